"""Rules on the code itself: is all of it counted, and could it reach the network?"""

from __future__ import annotations

from collections.abc import Iterator

from harness.figures import number
from harness.scripts import network
from harness.season.artifact import RULE_WORDS, code_rule
from harness.submit.candidate import Case, CodeOnDisk
from harness.submit.result import RuleResult

LIMIT = "all of it counted"


def check_local_code(case: Case) -> Iterator[RuleResult]:
    """Every local file that the script imports, executes or opens must be counted."""
    code, runs = case.candidate.code, case.candidate.runs or case.candidate.others
    claimed = {run.record.code_bytes for run in runs if run.record.code_bytes is not None}
    if not claimed and case.candidate.submission and case.candidate.submission.bytes_code is not None:
        claimed = {case.candidate.submission.bytes_code}
    if code.total is None:
        hint = "keep the script next to its record"
        yield RuleResult("local_code", "cannot tell", code.missing, LIMIT, hint)
    elif not claimed:
        what = f"{code.total:,} bytes on disk; no count was recorded"
        yield RuleResult("local_code", "cannot tell", what, LIMIT)
    else:
        # Logs of several versions of the code lie side by side: the one that is here is whole in its own.
        yield _judge(case, code.total, code.total if code.total in claimed else min(claimed))


def _judge(case: Case, total: int, least: int) -> RuleResult:
    code = case.candidate.code
    files = code.script.files if code.script else {}
    what = number(len(files), "file")
    counted = f"{least:,} counted{_counting_rule(case)}"
    if least >= total:
        return RuleResult("local_code", "pass", f"{total:,} bytes in {what}, {counted}", LIMIT)
    counts = [dict(run.code_counts) for run in case.candidate.runs or case.candidate.others]
    if counts and all(max(each.values(), default=0) >= total for each in counts):
        words, whole = max(counts[0].items(), key=lambda item: item[1])
        measured = f'{total:,} bytes in {what}, as "{words}" {whole:,} of the log; {counted}'
        return RuleResult("local_code", "pass", measured, LIMIT)
    largest = max([least, *(count for each in counts for count in each.values())])
    others = sorted(files.keys() - code.script.certain) if code.script else []
    if missing := uncounted_files(code, largest):
        measured = f"{largest:,} bytes counted, {total:,} on disk: {_names(missing)}, which the script runs"
        return RuleResult("local_code", "fail", measured, LIMIT, "count them, or put them into the script")
    if code.script and others and largest >= len(files[code.script.main]):
        measured = f"{largest:,} bytes counted, {total:,} on disk with {_names(others)}"
        hint = "they may take no part (named, opened, or imported in a function): count them, or say so"
        return RuleResult("local_code", "cannot tell", measured, LIMIT, hint)
    return RuleResult(
        "local_code",
        "cannot tell",
        f"{least:,} bytes counted{_counting_rule(case)}, the code here has {total:,}",
        LIMIT,
        "another version of the script, or it was counted packed: keep the file that ran",
    )


def uncounted_files(code: CodeOnDisk, counted: int) -> dict[str, int]:
    """Return the files, with their bytes, that surely run beside the script and that a count leaves out.

    None where the count is below the script's own bytes, or not by half of theirs below all: then it is of
    another version of the code, or of its packed form.
    """
    script = code.script
    if script is None or script.main not in script.files:
        return {}
    beside = {name: len(script.files[name]) for name in script.certain - {script.main}}
    all_bytes, main = sum(beside.values()), len(script.files[script.main])
    left_out = main + all_bytes - counted
    return beside if main <= counted and left_out > all_bytes / 2 else {}


def _names(names: object, most: int = 4) -> str:
    listed = sorted(names)  # type: ignore[call-overload]
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _counting_rule(case: Case) -> str:
    """Say by which rule the code was counted, where that is not today's, or in the log's own words."""
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
        hint = "say that none of it runs in training or evaluation"
        yield RuleResult("network", "please attest", "; ".join(uses[:4]), limit, hint)
    elif problems:
        hint = "code that cannot be read cannot be checked"
        yield RuleResult("network", "cannot tell", "; ".join(problems[:2]), limit, hint)
    else:
        yield RuleResult("network", "pass", f"nothing found in {number(len(script.files), 'file')}", limit)
