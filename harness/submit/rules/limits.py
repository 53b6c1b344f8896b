"""Rules on what a submission weighs and must bring: bytes on disk, code, network, files."""

from __future__ import annotations

from collections.abc import Iterator

from harness.figures import number
from harness.records.record import excess_bytes, over_cap
from harness.scripts import network
from harness.season.artifact import RULE_WORDS, code_rule
from harness.submit.candidate import Case
from harness.submit.result import RuleResult


def check_size(case: Case) -> Iterator[RuleResult]:
    """Weigh model and code from the files on disk."""
    cap = case.policy.limits.artifact_bytes
    if cap is None:
        return
    limit = f"under {cap:,} bytes ({_both(cap)})"
    totals, missing, wrong = [], set(), []
    code = case.candidate.code.total
    for run in case.candidate.runs:
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
        yield RuleResult(
            "artifact_size", "cannot tell", "no size is known", limit, "keep the model next to its record"
        )
        return
    worst = max(totals)
    measured = f"{worst:,} bytes ({_both(worst)})" + (
        f", the largest of {len(totals)}" if len(totals) > 1 else ""
    )
    if wrong:
        yield RuleResult(
            "artifact_size",
            "fail",
            "; ".join(wrong),
            limit,
            "the record and the file belong to different runs",
        )
    elif over_cap(worst, cap):
        yield RuleResult(
            "artifact_size",
            "fail",
            f"{measured}: {number(excess_bytes(worst, cap), 'byte')} too many",
            limit,
            "shrink the model or the code",
        )
    elif missing:
        what = " and ".join(sorted(missing))
        yield RuleResult(
            "artifact_size",
            "cannot tell",
            f"{measured} as claimed; {what} cannot be weighed here",
            limit,
            "check where the run was made, or keep its files",
        )
    else:
        yield RuleResult("artifact_size", "pass", measured, limit)


def _both(size: int) -> str:
    return f"{size / 1e6:.3f} MB, {size / 2**20:.3f} MiB"


def check_local_code(case: Case) -> Iterator[RuleResult]:
    """Every local module that the script imports must be counted."""
    code = case.candidate.code
    limit = "all of it counted"
    claimed = {run.record.code_bytes for run in case.candidate.runs if run.record.code_bytes is not None}
    if code.total is None:
        yield RuleResult(
            "local_code", "cannot tell", code.missing, limit, "keep the script next to its record"
        )
        return
    if not claimed:
        yield RuleResult(
            "local_code", "cannot tell", f"{code.total:,} bytes on disk; no count was recorded", limit
        )
        return
    least = min(claimed)
    files = code.script.files if code.script else {}
    main = len(files[code.script.main]) if code.script else code.total
    if least >= code.total:
        what = number(len(files), "file")
        counted = f"{least:,} counted{_counting_rule(case)}"
        yield RuleResult("local_code", "pass", f"{code.total:,} bytes in {what}, {counted}", limit)
    elif len(files) > 1 and least >= main:
        assert code.script is not None
        extra = ", ".join(name for name in sorted(files) if name != code.script.main)
        yield RuleResult(
            "local_code",
            "fail",
            f"{least:,} bytes counted, {code.total:,} on disk: {extra} are imported, too",
            limit,
            "count them, or put them into the script",
        )
    else:
        yield RuleResult(
            "local_code",
            "cannot tell",
            f"{least:,} bytes counted{_counting_rule(case)}, the code here has {code.total:,}",
            limit,
            "another version of the script, or it was counted packed: keep the file that ran",
        )


def _counting_rule(case: Case) -> str:
    """Say by which rule the code was counted, where that is not today's."""
    rules = [code_rule(run.record) for run in case.candidate.runs]
    return "".join(f" as {words}" for rule, words in RULE_WORDS.items() if rule in rules and rule != "packed")


def check_network(case: Case) -> Iterator[RuleResult]:
    """A warning by reading: what could reach the network."""
    limit = "none while the artifact is evaluated"
    script = case.candidate.code.script
    if script is None:
        why = case.candidate.code.missing or "the code is not here"
        yield RuleResult("network", "cannot tell", why, limit)
        return
    uses, problems = network.find_uses(script.texts())
    if uses:
        yield RuleResult(
            "network",
            "please attest",
            "; ".join(uses[:4]),
            limit,
            "say that none of it runs in training or evaluation",
        )
    elif problems:
        yield RuleResult(
            "network",
            "cannot tell",
            "; ".join(problems[:2]),
            limit,
            "code that cannot be read cannot be checked",
        )
    else:
        yield RuleResult("network", "pass", f"nothing found in {number(len(script.files), 'file')}", limit)


def check_files(case: Case) -> Iterator[RuleResult]:
    folder, required = case.candidate.folder, case.policy.submission.files
    if folder is None or not required:
        return
    missing = [
        name for name in required if not (folder / name).is_file() or (folder / name).stat().st_size == 0
    ]
    limit = ", ".join(required) + ", a log per seed"
    if missing:
        yield RuleResult(
            "submission_files",
            "fail",
            f"missing or empty: {', '.join(missing)}",
            limit,
            "`harness submit ROUND --write DIR` makes them all",
        )
    else:
        yield RuleResult(
            "submission_files", "pass", f"all there, {number(len(case.candidate.runs), 'log')}", limit
        )


def check_attest(case: Case) -> Iterator[RuleResult]:
    for one in case.policy.attest:
        yield RuleResult("your_word", "please attest", one.what)
