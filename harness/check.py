"""The referee: holds an exhibit against a policy, rule by rule, and says what was measured.

A rule passes only on evidence. What is not on disk or not recorded is "cannot tell", what no program can see is
"please attest"; neither ever counts as a pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from harness import figures, network
from harness.course import Reference, check_bytes
from harness.exhibit import Exhibit, Run
from harness.logs import parse_log
from harness.opponents import SAME_SCORE
from harness.policy import Policy, Significance
from harness.registry import Season
from harness.stats import Sample, lower_by
from harness.submission import ROUNDING_BPB

Outcome = Literal["pass", "fail", "cannot tell", "please attest"]
BASELINE_TOKENS_A_BYTE = 0.41052  # of the challenge's 1024-piece tokenizer, as all public logs with it imply
LOG_DIGITS = 5e-9  # a log prints eight decimals; older lines four, which `text` in the score tells


@dataclass(frozen=True)
class Finding:
    """What one rule came to. limit: what was allowed. hint: what to do about it."""

    rule: str
    outcome: Outcome
    measured: str
    limit: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Report:
    subject: str
    title: str
    policy: Policy
    findings: tuple[Finding, ...]

    def count(self, outcome: Outcome) -> int:
        return sum(finding.outcome == outcome for finding in self.findings)

    @property
    def failed(self) -> bool:
        return self.count("fail") > 0

    @property
    def closing(self) -> str:
        """One line that never takes silence for consent."""
        if self.failed:
            return f"not compliant: {_number(self.count('fail'), 'rule')} failed"
        untold, yours = self.count("cannot tell"), self.count("please attest")
        open_ends = [f"{untold} cannot be told"] * bool(untold) + [f"{yours} for you to attest"] * bool(yours)
        if open_ends:
            return f"nothing failed, but not proven either: {' and '.join(open_ends)}"
        return "every rule passed"


@dataclass(frozen=True)
class _Case:
    """What every rule is given."""

    exhibit: Exhibit
    policy: Policy
    season: Season


def check(season: Season, exhibit: Exhibit, policy: Policy) -> Report:
    """Judge an exhibit by every rule of a policy that applies to it."""
    case = _Case(exhibit, policy, season)
    findings = [finding for rule in RULES for finding in rule(case)]
    return Report(exhibit.name, exhibit.title, policy, tuple(findings))


def as_data(report: Report) -> dict[str, Any]:
    """Return what `--json` says."""
    return {
        "subject": report.subject,
        "title": report.title,
        "policy": {
            "name": report.policy.name,
            "title": report.policy.title,
            "since": report.policy.since.isoformat(),
            "source": report.policy.source,
        },
        "compliant": None
        if not report.failed and report.count("pass") < len(report.findings)
        else not report.failed,
        "closing": report.closing,
        "findings": [
            {
                "rule": f.rule,
                "outcome": f.outcome,
                "measured": f.measured,
                "limit": f.limit or None,
                "hint": f.hint or None,
            }
            for f in report.findings
        ],
    }


# Bytes --------------------------------------------------------------------------------------------


def _size(case: _Case) -> Iterator[Finding]:
    """Weigh model and code from the files on disk."""
    cap = case.policy.limits.artifact_bytes
    if cap is None:
        return
    limit = f"under {cap:,} bytes ({_both(cap)})"
    totals, missing, wrong = [], set(), []
    code = case.exhibit.code.total
    for run in case.exhibit.runs:
        record = run.record
        model = run.model.stat().st_size if run.model else record.model_bytes
        if run.model is None:
            missing.add("the model file")
        elif record.model_bytes is not None and model != record.model_bytes:
            wrong.append(
                f"{run.name}: its model weighs {model:,} bytes, the record claims {record.model_bytes:,}"
            )
        counted = code if code is not None else record.code_bytes
        if code is None:
            missing.add("the code")
        if model is not None and counted is not None:
            totals.append(max(model + counted, record.artifact_bytes or 0))
        elif record.artifact_bytes is not None:
            totals.append(record.artifact_bytes)
    if not totals:
        yield Finding(
            "artifact size", "cannot tell", "no size is known", limit, "keep the model beside its record"
        )
        return
    worst = max(totals)
    said = f"{worst:,} bytes ({_both(worst)})" + (
        f", the largest of {len(totals)}" if len(totals) > 1 else ""
    )
    if wrong:
        yield Finding(
            "artifact size",
            "fail",
            "; ".join(wrong),
            limit,
            "the record and the file belong to different runs",
        )
    elif worst >= cap:
        yield Finding(
            "artifact size",
            "fail",
            f"{said}: {worst - cap:,} too many",
            limit,
            "shrink the model or the code",
        )
    elif missing:
        what = " and ".join(sorted(missing))
        yield Finding("artifact size", "cannot tell", f"{said} as claimed; {what} cannot be weighed here", limit,
                      "check where the run was made, or keep its files")  # fmt: skip
    else:
        yield Finding("artifact size", "pass", said, limit)


def _both(size: int) -> str:
    return f"{size / 1e6:.3f} MB, {size / 2**20:.3f} MiB"


def _local_code(case: _Case) -> Iterator[Finding]:
    """Every local module that the script imports must be counted."""
    code = case.exhibit.code
    limit = "all of it counted"
    claimed = {run.record.code_bytes for run in case.exhibit.runs if run.record.code_bytes is not None}
    if code.total is None:
        yield Finding("local code", "cannot tell", code.why, limit, "keep the script beside its record")
        return
    if not claimed:
        yield Finding(
            "local code", "cannot tell", f"{code.total:,} bytes on disk; no count was recorded", limit
        )
        return
    least = min(claimed)
    files = code.script.files if code.script else {}
    main = len(files[code.script.main]) if code.script else code.total
    if least >= code.total:
        what = _number(len(files), "file")
        yield Finding("local code", "pass", f"{code.total:,} bytes in {what}, {least:,} counted", limit)
    elif len(files) > 1 and least >= main:
        assert code.script is not None
        extra = ", ".join(name for name in sorted(files) if name != code.script.main)
        yield Finding(
            "local code", "fail", f"{least:,} bytes counted, {code.total:,} on disk: {extra} are imported, too", limit,
            "count them, or put them into the script",
        )  # fmt: skip
    else:
        yield Finding(
            "local code", "cannot tell", f"{least:,} bytes counted, the code here has {code.total:,}", limit,
            "another version of the script, or it was counted packed: keep the file that ran",
        )  # fmt: skip


# Time and machine ---------------------------------------------------------------------------------


def _train_time(case: _Case) -> Iterator[Finding]:
    cap, steps = case.policy.limits.train_seconds, case.policy.limits.over_by_steps
    if cap is None:
        return
    limit = f"at most {cap:,.0f} s" + (f" and {_number(steps, 'step')}" if steps else "")
    times = [(run.record.train_seconds, run) for run in case.exhibit.runs]
    known = [(seconds, run) for seconds, run in times if seconds is not None]
    if len(known) < len(times):
        yield Finding(
            "training time",
            "cannot tell",
            f"{len(times) - len(known)} of {len(times)} runs tell no time",
            limit,
        )
        return
    seconds, run = max(known, key=lambda pair: pair[0])
    spare = steps * (run.record.step_ms or 0) / 1000
    said = f"{seconds:,.3f} s ({run.name})"
    if seconds <= cap:
        yield Finding("training time", "pass", said, limit)
    elif seconds <= cap + spare:
        yield Finding(
            "training time", "pass", f"{said}: over by less than its last steps took, {spare:.3f} s", limit
        )
    else:
        yield Finding("training time", "fail", said, limit, "lower MAX_WALLCLOCK_SECONDS and play again")


def _eval_time(case: _Case) -> Iterator[Finding]:
    cap = case.policy.limits.eval_seconds
    if cap is None:
        return
    limit = f"at most {cap:,.0f} s"
    known = [
        (run.record.eval_seconds, run) for run in case.exhibit.runs if run.record.eval_seconds is not None
    ]
    if known and max(known, key=lambda pair: pair[0])[0] > cap:
        seconds, run = max(known, key=lambda pair: pair[0])
        yield Finding(
            "evaluation time", "fail", f"{seconds:,.1f} s ({run.name})", limit, "evaluate with less"
        )
    elif len(known) < len(case.exhibit.runs):
        missing = len(case.exhibit.runs) - len(known)
        yield Finding(
            "evaluation time",
            "cannot tell",
            f"{missing} of {len(case.exhibit.runs)} runs tell no time",
            limit,
        )
    else:
        yield Finding("evaluation time", "pass", f"{max(s for s, _ in known):,.1f} s", limit)


def _machine(case: _Case) -> Iterator[Finding]:
    gpus, hardware = case.policy.limits.gpus, case.policy.limits.hardware
    if gpus is None and hardware is None:
        return
    limit = f"{gpus or ''} x {hardware or 'GPU'}".strip()
    seen = {
        (run.record.environment.world_size, run.gpu, run.record.environment.device)
        for run in case.exhibit.runs
    }
    said = "; ".join(
        sorted(f"{size or '?'} x {name or device or 'unknown device'}" for size, name, device in seen)
    )
    wrong_size = any(gpus and size is not None and size != gpus for size, _, _ in seen)
    wrong_name = any(
        hardware and name is not None and hardware.lower() not in name.lower() for _, name, _ in seen
    )
    wrong_kind = any(device not in (None, "cuda") for _, _, device in seen)
    if wrong_size or wrong_name or wrong_kind:
        yield Finding("machine", "fail", said, limit, "play it on the machine the rule names")
    elif any((gpus and size is None) or (hardware and name is None) for size, name, _ in seen):
        yield Finding("machine", "cannot tell", said, limit, "the record or log must name the GPUs")
    else:
        yield Finding("machine", "pass", said, limit)


# The score ----------------------------------------------------------------------------------------


def _split(case: _Case) -> Iterator[Finding]:
    """The validation text must be the course's current one, and whole."""
    splits = case.exhibit.course.splits
    seen = {run.record.split for run in case.exhibit.runs}
    if len(seen) > 1:
        names = ", ".join(sorted(str(name) for name in seen))
        yield Finding(
            "validation split", "fail", f"the runs were scored on several: {names}", "one for all runs"
        )
        return
    (split,) = seen
    if not splits:
        marks = {run.record.data.val_sha256 or "" for run in case.exhibit.runs}
        mark = min(marks)
        if split and len(marks) == 1 and mark:
            yield Finding(
                "validation split",
                "pass",
                f"{split}, fingerprint {mark[:12]}",
                "one for all runs",
            )
        else:
            yield Finding(
                "validation split",
                "cannot tell",
                f"{split or 'unknown'}, with no fingerprint",
                "one for all runs",
            )
        return
    limit = f"{splits[0].name}, {splits[0].val_bytes / 1e6:.2f} M bytes, whole"
    if split is None:
        yield Finding("validation split", "cannot tell", "nothing tells which text was scored", limit,
                      "the log must print the number of validation tokens")  # fmt: skip
    elif split == splits[0].name:
        yield Finding("validation split", "pass", split, limit)
    elif split in {known.name for known in splits}:
        yield Finding(
            "validation split", "fail", f"{split}: an older export", limit, "evaluate on the current export"
        )
    else:
        yield Finding("validation split", "fail", f"{split}: no known export, or a part of one", limit,
                      "score the whole validation text")  # fmt: skip


def _byte_count(case: _Case) -> Iterator[Finding]:
    """bytes = tokens * val_loss / (ln 2 * val_bpb) must be those of the text."""
    if not case.exhibit.course.splits:
        return
    limit = "the bytes of a known export"
    worst: Finding | None = None
    for run in case.exhibit.runs:
        record = run.record
        badge = check_bytes(case.exhibit.course, _scored_tokens(run), record.val_loss, record.val_bpb)
        outcome: Outcome = {"suspect": "fail", "unchecked": "cannot tell"}.get(badge.kind, "pass")  # type: ignore[assignment]
        finding = Finding("byte count", outcome, f"{run.name}: {badge.why}", limit,
                          "look at how bits per byte are computed" if outcome == "fail" else "")  # fmt: skip
        if worst is None or _GRAVITY[outcome] > _GRAVITY[worst.outcome]:
            worst = finding
    if worst:
        yield worst


_GRAVITY: dict[Outcome, int] = {"pass": 0, "please attest": 1, "cannot tell": 2, "fail": 3}


def _scored_tokens(run: Run) -> int | None:
    official = run.record.official
    for score in run.record.scores:
        if official and (score.stage, score.label) == (official.stage, official.label) and score.tokens:
            return score.tokens
    return run.record.data.val_tokens


def _log_proves(case: _Case) -> Iterator[Finding]:
    """Read every kept log again and hold it against the record, or against what the submission claims."""
    limit = "score, bytes, steps and seed as in the log"
    missing = [run.name for run in case.exhibit.runs if run.log is None]
    wrong = [problem for run in case.exhibit.runs if run.log is not None for problem in _contradictions(run)]
    submission = case.exhibit.submission
    sample = case.exhibit.sample
    if submission and submission.val_bpb is not None and sample:
        nearest = min(abs(submission.val_bpb - value) for value in (sample.mean, *sample.values))
        if nearest > ROUNDING_BPB:
            wrong.append(
                f"submission.json claims {submission.val_bpb}; its logs show {sample.mean:.8f} on average, "
                f"{min(sample.values):.8f} at best"
            )
    if wrong:
        yield Finding(
            "log proves the claim", "fail", "; ".join(wrong[:3]), limit, "the log counts: correct the claim"
        )
    elif missing:
        yield Finding("log proves the claim", "cannot tell", f"no log is kept of {', '.join(missing[:4])}", limit,
                      "git ignores train.log: check where the run was made")  # fmt: skip
    else:
        yield Finding(
            "log proves the claim", "pass", f"{_number(len(case.exhibit.runs), 'log')} read again", limit
        )


def _contradictions(run: Run) -> list[str]:
    assert run.log is not None
    log, record = parse_log(run.log).result, run.record
    if log is None or log.final_val_bpb is None:
        return [f"{run.log.name} shows no score"]
    claims = [
        ("steps", record.steps, log.steps),
        ("seed", record.seed, log.seed),
        ("total bytes", record.artifact_bytes, log.bytes_total),
    ]
    found = [f"{run.name}: {what} {ours}, the log says {theirs}" for what, ours, theirs in claims
             if None not in (ours, theirs) and ours != theirs]  # fmt: skip
    official, shown = log.official, log.final_val_bpb
    digits = 5e-5 if official is not None and len(str(shown).partition(".")[2]) <= 4 else LOG_DIGITS
    if record.val_bpb is not None and abs(record.val_bpb - shown) > digits * 1.01:
        found.append(f"{run.name}: val_bpb {record.val_bpb}, the log says {shown}")
    return found


# Seeds and significance ---------------------------------------------------------------------------


def _seeds(case: _Case) -> Iterator[Finding]:
    """Seeds must be distinct, and all of them shown."""
    limit = "distinct, none left out"
    runs = case.exhibit.runs
    seeds = [run.record.seed for run in runs]
    said = ", ".join("?" if seed is None else str(seed) for seed in seeds)
    again = sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1})
    unfinished = [run for run in case.exhibit.others if _same_configuration(run, runs)]
    if unfinished:
        said += "; also tried: " + ", ".join(f"{run.record.seed} ({run.record.status})" for run in unfinished)
    claimed = _claimed_seeds(case.exhibit)
    hidden = sorted(
        set(claimed) - {str(seed) for seed in seeds} - {str(run.record.seed) for run in unfinished}
    )
    unclaimed = sorted({str(seed) for seed in seeds if seed is not None} - set(claimed)) if claimed else []
    if again:
        yield Finding("seeds", "fail", f"{said}: {again[0]} was used {seeds.count(again[0])} times", limit,
                      "a repeat of one seed is no second run")  # fmt: skip
    elif hidden:
        yield Finding(
            "seeds", "fail", f"{said}: no log of seed {', '.join(hidden)}", limit, "add the missing log"
        )
    elif unclaimed:
        yield Finding("seeds", "fail", f"{said}: submission.json leaves out {', '.join(unclaimed)}", limit,
                      "list every run that was made")  # fmt: skip
    elif None in seeds:
        yield Finding(
            "seeds", "cannot tell", f"{said}: a run names no seed", limit, "the log must print its seed"
        )
    else:
        yield Finding("seeds", "pass", said, limit)


def _same_configuration(run: Run, counted: tuple[Run, ...]) -> bool:
    return any(run.record.config_hash == other.record.config_hash for other in counted)


def _claimed_seeds(exhibit: Exhibit) -> list[str]:
    if exhibit.submission is None:
        return []
    return [score.seed for score in exhibit.submission.seeds]


def _significance(case: _Case) -> Iterator[Finding]:
    rule = case.policy.significance
    if rule is None:
        return
    name, exhibit = "significance", case.exhibit
    asked = f"{rule.min_improvement_nats:g} nats " if rule.min_improvement_nats else ""
    limit = f"{asked}better than the {_AGAINST[rule.against]} at p < {rule.p_below:g}"
    waiver = "a systems-only speed-up may be waived: say so in the submission" if asked else ""
    reference = _reference(case, rule)
    if isinstance(reference, str):
        yield Finding(name, "cannot tell", reference, limit)
        return
    label, other = reference
    ours = exhibit.sample
    assert ours is not None  # an exhibit has a complete run
    gain = other.mean - ours.mean
    readings = _readings(gain, exhibit)
    told = ", ".join(
        f"{value:+.4f} {_READING[reading]}{' (the gate)' if reading == rule.reading else ''}"
        for reading, value in readings.items()
    )
    said = f"{figures.bpb(ours.mean)} against {figures.bpb(other.mean)} of {label}: {told}"
    gate = readings.get(rule.reading)
    if gate is None:
        yield Finding(name, "cannot tell", f"{said}; val_loss is not known, so nats a token are not", limit)
        return
    if gate <= 0 or gate < rule.min_improvement_nats:
        yield Finding(name, "fail", said, limit, waiver or "nothing to claim yet")
        return
    margin = rule.min_improvement_nats * gain / gate if rule.margin_in_test else 0.0  # in bpb
    test = lower_by(ours, other, margin, exhibit.course.noise_std)
    if isinstance(test, str):
        yield Finding(name, "cannot tell", f"{said}; {test}", limit, "play more seeds: --seeds 42,1337,314")
        return
    said += (
        f"; one-sided p {test.p:.2g} (t {test.t:.2f}, {test.freedom:.2f} degrees of freedom; {test.basis})"
    )
    if test.p < rule.p_below:
        yield Finding(name, "pass", said, limit)
    else:
        yield Finding(
            name, "fail", said, limit, waiver or "more seeds may show it, or show that it is not there"
        )


_AGAINST = {"sota": "SOTA of the day", "par": "course's par", "best": "best hole before it"}
_READING = {
    "own tokenizer": "nats a token",
    "baseline tokenizer": "nats a token of the baseline's tokenizer",
    "per byte": "nats a byte",
}


def _readings(gain: float, exhibit: Exhibit) -> dict[str, float]:
    """Return an improvement in bpb in the three readings of "nats"; what is not known is left out."""
    a_byte = gain * math.log(2)
    found: dict[str, float] = {}
    if exhibit.bytes_a_token is not None:
        found["own tokenizer"] = a_byte * exhibit.bytes_a_token
    return found | {"baseline tokenizer": a_byte / BASELINE_TOKENS_A_BYTE, "per byte": a_byte}


def _reference(case: _Case, rule: Significance) -> tuple[str, Sample] | str:
    """Return whom the rule compares with, with the seeds of a published score where its logs were imported."""
    exhibit, course = case.exhibit, case.exhibit.course
    if rule.against == "best":
        if exhibit.played is None:
            return "only a hole of ours has an earlier best"
        comparison = case.season.standing(exhibit.played).comparisons["best"]
        if comparison.hole is None or comparison.hole.sample is None:
            return comparison.reason or "there is no earlier best"
        return comparison.hole.name.folder, comparison.hole.sample
    if rule.against == "par":
        return (course.par.name, Sample((course.par.val_bpb,))) if course.par else "this course has no par"
    if exhibit.day is None:
        return "the day is not known, and so neither is its SOTA"
    ours = exhibit.sample
    rows = course.field
    if ours:  # its own row is not what it had to beat
        rows = tuple(row for row in rows if not _is_own(row, exhibit, ours.mean))
    best = course.model_copy(update={"field": rows}).sota(exhibit.day)
    if best is None:
        return f"nothing was published by {exhibit.day.isoformat()}"
    entry = next(
        (e for e in case.season.public
         if e.sample and e.entry.course == course.name and abs(e.sample.mean - best.val_bpb) <= SAME_SCORE), None,
    )  # fmt: skip
    return f"{best.name} ({best.date.isoformat()})", entry.sample if entry and entry.sample else Sample(
        (best.val_bpb,)
    )


def _is_own(row: Reference, exhibit: Exhibit, mean: float) -> bool:
    named = row.source.endswith(exhibit.name)
    return named or (exhibit.published and abs(row.val_bpb - mean) <= SAME_SCORE)


# Code and papers ----------------------------------------------------------------------------------


def _network(case: _Case) -> Iterator[Finding]:
    """A warning by reading: what could reach the network."""
    limit = "none while the artifact is evaluated"
    script = case.exhibit.code.script
    if script is None:
        why = case.exhibit.code.why or "the code is not here"
        yield Finding("network", "cannot tell", why, limit)
        return
    uses, problems = network.find_uses(script.texts())
    if uses:
        yield Finding(
            "network",
            "please attest",
            "; ".join(uses[:4]),
            limit,
            "say that none of it runs in training or evaluation",
        )
    elif problems:
        yield Finding(
            "network",
            "cannot tell",
            "; ".join(problems[:2]),
            limit,
            "code that cannot be read cannot be vouched for",
        )
    else:
        yield Finding("network", "pass", f"nothing found in {_number(len(script.files), 'file')}", limit)


def _files(case: _Case) -> Iterator[Finding]:
    folder, wanted = case.exhibit.folder, case.policy.submission.files
    if folder is None or not wanted:
        return
    missing = [
        name for name in wanted if not (folder / name).is_file() or (folder / name).stat().st_size == 0
    ]
    limit = ", ".join(wanted) + ", a log per seed"
    if missing:
        yield Finding("submission files", "fail", f"missing or empty: {', '.join(missing)}", limit,
                      "`harness submit ROUND --write DIR` makes them all")  # fmt: skip
    else:
        yield Finding(
            "submission files", "pass", f"all there, {_number(len(case.exhibit.runs), 'log')}", limit
        )


def _attest(case: _Case) -> Iterator[Finding]:
    for one in case.policy.attest:
        yield Finding("your word", "please attest", one.what)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


RULES: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
    _size, _local_code, _train_time, _eval_time, _machine, _split, _byte_count, _log_proves, _seeds, _significance,
    _network, _files, _attest,
)  # fmt: skip
