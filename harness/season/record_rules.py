"""Whether a hole that beats the SOTA holds up as a record, by what its own records tell.

The limits are those of the policy of its day, which `harness check` applies with the files at hand. Seeds,
time or size that are not known count against a record: a badge says that something was shown.
"""

from __future__ import annotations

from harness.courses.course import Course, check_record_bytes
from harness.courses.policy import PolicyLimits, Significance
from harness.figures import number
from harness.records.record import over_cap
from harness.season.gain import judge_gain, mean_token_bytes
from harness.season.hole import PlayedHole
from harness.stats import Sample


def find_obstacles(played: PlayedHole, course: Course, limits: PolicyLimits) -> tuple[str, ...]:
    """Return, in words, what keeps a complete hole from being a record; empty when nothing does."""
    texts = [*_seeds(played), *_times(played, limits), *_artifact(played, limits), *_text(played, course)]
    machines = {
        limits.allows_machine(
            record.environment.world_size, record.environment.device_name, record.environment.device
        )
        for record in played.group
    }
    if False in machines:
        asked = f"{limits.gpus or ''} x {limits.hardware or 'GPU'}".strip()
        texts.append(f"another machine than {asked}")
    return tuple(texts)


def find_gain_obstacle(
    played: PlayedHole, sota_bpb: float, asked: Significance, noise_std: float | None
) -> tuple[str, ...]:
    """Say, in one text, that a gain over the SOTA is less than the policy asks; empty when it is enough."""
    if played.sample is None or asked.against != "sota":
        return ()
    token_bytes = mean_token_bytes(played.group)
    gain = judge_gain(played.sample, Sample((sota_bpb,)), token_bytes, asked, noise_std)
    if gain.outcome == "pass":
        return ()
    size = f"{asked.min_improvement_nats:g} nats " if asked.min_improvement_nats else ""
    return (f"{size}better than the SOTA at p < {asked.p_below:g} is not shown",)


def _seeds(played: PlayedHole) -> list[str]:
    texts = []
    n = played.sample.n if played.sample else 0
    if n < 2:
        texts.append("one seed shows no spread")
    if failed := len(played.summary.failed_seeds):
        texts.append(f"{n} of {number(n + failed, 'seed')} finished")
    return texts


def _times(played: PlayedHole, limits: PolicyLimits) -> list[str]:
    texts = []
    trained = [(record.train_seconds, record.step_ms) for record in played.group]
    cap = limits.train_seconds
    if cap is not None and any(seconds is None for seconds, _ in trained):
        texts.append("the training time is not known")
    too_long = [s for s, step_ms in trained if s is not None and not limits.allows_training(s, step_ms)]
    if too_long:
        texts.append(f"training took {max(too_long):,.7g} s, {cap:,.0f} s are allowed")
    evaluated = [s for record in played.group if (s := record.evaluation_seconds) is not None]
    if limits.eval_seconds is not None and evaluated and max(evaluated) > limits.eval_seconds:
        texts.append(f"evaluation took {max(evaluated):,.7g} s, {limits.eval_seconds:,.0f} s are allowed")
    return texts


def _artifact(played: PlayedHole, limits: PolicyLimits) -> list[str]:
    if limits.artifact_bytes is None:
        return []
    sizes = [record.artifact_bytes for record in played.group]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return ["the size of the artifact is not known"]
    cap = limits.artifact_bytes
    return [f"{max(known):,} bytes are not under {cap:,}"] if any(over_cap(s, cap) for s in known) else []


def _text(played: PlayedHole, course: Course) -> list[str]:
    """A part of the validation text, another export of it, or bytes that fit none."""
    if not course.splits:
        return []
    texts = []
    if any(record.split not in (None, course.splits[0].name) for record in played.group):
        texts.append("another validation text than the current one")
    if any(check_record_bytes(course, record).kind == "suspect" for record in played.group):
        texts.append("its bytes are those of no known validation text")
    return texts
