"""Rules on bytes: the artifact as it weighs on disk, and code that must be counted."""

from __future__ import annotations

from collections.abc import Iterator

from harness.records.code_rule import RULE_WORDS, code_rule
from harness.submit.rules.ruling import Case, Ruling, number


def check_size(case: Case) -> Iterator[Ruling]:
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
        yield Ruling(
            "artifact size", "cannot tell", "no size is known", limit, "keep the model beside its record"
        )
        return
    worst = max(totals)
    said = f"{worst:,} bytes ({_both(worst)})" + (
        f", the largest of {len(totals)}" if len(totals) > 1 else ""
    )
    if wrong:
        yield Ruling(
            "artifact size",
            "fail",
            "; ".join(wrong),
            limit,
            "the record and the file belong to different runs",
        )
    elif worst >= cap:
        yield Ruling(
            "artifact size",
            "fail",
            f"{said}: {worst - cap:,} too many",
            limit,
            "shrink the model or the code",
        )
    elif missing:
        what = " and ".join(sorted(missing))
        yield Ruling(
            "artifact size",
            "cannot tell",
            f"{said} as claimed; {what} cannot be weighed here",
            limit,
            "check where the run was made, or keep its files",
        )
    else:
        yield Ruling("artifact size", "pass", said, limit)


def _both(size: int) -> str:
    return f"{size / 1e6:.3f} MB, {size / 2**20:.3f} MiB"


def check_local_code(case: Case) -> Iterator[Ruling]:
    """Every local module that the script imports must be counted."""
    code = case.exhibit.code
    limit = "all of it counted"
    claimed = {run.record.code_bytes for run in case.exhibit.runs if run.record.code_bytes is not None}
    if code.total is None:
        yield Ruling("local code", "cannot tell", code.why, limit, "keep the script beside its record")
        return
    if not claimed:
        yield Ruling(
            "local code", "cannot tell", f"{code.total:,} bytes on disk; no count was recorded", limit
        )
        return
    least = min(claimed)
    files = code.script.files if code.script else {}
    main = len(files[code.script.main]) if code.script else code.total
    if least >= code.total:
        what = number(len(files), "file")
        counted = f"{least:,} counted{_as_counted(case)}"
        yield Ruling("local code", "pass", f"{code.total:,} bytes in {what}, {counted}", limit)
    elif len(files) > 1 and least >= main:
        assert code.script is not None
        extra = ", ".join(name for name in sorted(files) if name != code.script.main)
        yield Ruling(
            "local code",
            "fail",
            f"{least:,} bytes counted, {code.total:,} on disk: {extra} are imported, too",
            limit,
            "count them, or put them into the script",
        )
    else:
        yield Ruling(
            "local code",
            "cannot tell",
            f"{least:,} bytes counted{_as_counted(case)}, the code here has {code.total:,}",
            limit,
            "another version of the script, or it was counted packed: keep the file that ran",
        )


def _as_counted(case: Case) -> str:
    """Say by which rule the code was counted, where that is not today's."""
    rules = [code_rule(run.record) for run in case.exhibit.runs]
    return "".join(f" as {words}" for rule, words in RULE_WORDS.items() if rule in rules and rule != "packed")
