"""The rules that a hole is held against before it is submitted, each with what was measured and what to type."""

from __future__ import annotations

from harness.course import RECORD_TRACK
from harness.submit.made import Author, Outcome, Prepared, Rule, Run


def author_rule(author: Author) -> Rule:
    missing = [
        option for option, value in (('--author "NAME"', author.name), ("--github-id ID", author.github_id))
        if not value
    ]  # fmt: skip
    if missing:
        return Rule("author", "attest", "who submits is not known; the field stays empty", " ".join(missing))
    return Rule("author", "pass", f"{author.name} ({author.github_id})")


def seeds_rule(made: Prepared) -> Rule:
    seeds = [run.record.seed for run in made.runs]
    listed = ", ".join(map(str, seeds))
    if len(set(seeds)) < len(seeds):
        return Rule("seeds", "attest", f"a seed was played more than once ({listed}); all logs are included")
    if len(seeds) == 1:
        hint = f"`harness run {made.played.name.folder} --seeds 42,1337,314` plays more"
        return Rule("seeds", "attest", f"one seed only ({listed}): no spread, no significance", hint)
    return Rule("seeds", "pass", f"{len(seeds)} distinct seeds: {listed}")


def course_rule(made: Prepared) -> Rule:
    if made.course.name != "fineweb":
        what = (
            f"played on the course {made.course.name}, not on the challenge's text: good for a rehearsal only"
        )
        return Rule("course", "attest", what, f"`harness run {made.played.name.folder} --course fineweb`")
    first = made.course.splits[0].name if made.course.splits else None
    outcome: Outcome = "pass" if made.played.split == first else "attest"
    return Rule("course", outcome, f"validation split: {made.played.split}")


def log_rule(run: Run) -> Rule:
    path = run.attempt.log_path
    if path.is_file() and path.stat().st_size:
        return Rule("log", "pass", f"{run.log_name}: {path.stat().st_size:,} bytes")
    seed = run.record.seed
    return Rule(
        "log",
        "fail",
        f"{path} is not here (git ignores logs)",
        f"copy it from where seed {seed} was played, or play it again: "
        f"`harness run {run.record.hole} --seed {seed} --repeat`",
    )


def size_rule(made: Prepared, run: Run) -> Rule:
    record, total = run.record, made.total_bytes(run)
    cap = made.course.caps.artifact_bytes
    name = f"size, seed {record.seed}"
    if record.model_bytes is None or total is None:
        return Rule(name, "fail", f"attempt {record.attempt} does not say how large its model is")
    weighed = _weigh_model(run)
    if weighed is not None and weighed != record.model_bytes:
        what = f"{record.model_file} has {weighed:,} bytes, its record says {record.model_bytes:,}"
        return Rule(name, "fail", what, "play the attempt again")
    what = (
        f"{total:,} bytes = model {record.model_bytes:,} + code {made.code_bytes:,}; "
        f"cap {cap:,}, headroom {cap - total:,}"
    )
    if record.code_bytes is not None and record.code_bytes != made.code_bytes:
        what += f" (the record counted {record.artifact_bytes:,}, with {record.code_bytes:,} bytes of code)"
    if total >= cap:
        return Rule(name, "fail", what, "the artifact must be under the cap: make the model smaller")
    return Rule(name, "pass", what + ("" if weighed else "; the weights themselves are not here"))


def _weigh_model(run: Run) -> int | None:
    path = run.attempt.path / (run.record.model_file or "model.zlib")
    return path.stat().st_size if path.is_file() else None


def time_rules(made: Prepared, run: Run) -> list[Rule]:
    """Training and evaluation time; the clock is read between steps, so a run may pass the cap by one step."""
    caps, record = made.course.caps, run.record
    slack = 2 * (record.step_ms or 0.0) / 1000
    evaluation = run.eval_seconds
    measured = (
        ("training time", record.train_seconds, caps.train_seconds, slack),
        ("evaluation time", evaluation, caps.eval_seconds, 0.0),
    )
    rules = []
    for what, seconds, cap, more in measured:
        name = f"{what}, seed {record.seed}"
        if made.track != RECORD_TRACK:
            continue
        if seconds is None:
            rules.append(Rule(name, "cannot tell", "not measured"))
        elif seconds > cap + more:
            hint = "submit it to another track: --track non-record"
            rules.append(Rule(name, "fail", f"{seconds:,.1f} s; the track allows {cap:,.0f} s", hint))
        else:
            rules.append(Rule(name, "pass", f"{seconds:,.1f} s of {cap:,.0f} s"))
    return rules


def hardware_rule(made: Prepared) -> Rule:
    """The record track runs on eight H100; elsewhere a run may be too slow or too fast to count there."""
    found = {run.hardware or "unknown hardware" for run in made.runs}
    listed = ", ".join(sorted(found))
    if made.track != RECORD_TRACK or all(name.startswith("8x ") and "H100" in name for name in found):
        return Rule("hardware", "pass", listed)
    return Rule("hardware", "attest", f"{listed}; the track runs on 8x H100", "or choose --track non-record")
