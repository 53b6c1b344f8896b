"""Rules on what a submission must bring: its files, and its author's word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.errors import HarnessError
from harness.field.submission_file import read_submission
from harness.figures import number
from harness.submit.candidate import Case
from harness.submit.required_files import find_like
from harness.submit.result import RuleResult
from harness.submit.rules.seeds import missing_seeds


def check_files(case: Case) -> Iterator[RuleResult]:
    """Every file that the policy names must lie in the folder, under its name or a like one, and the logs.

    Records without a log are in the table, and other tracks have taken one log for several seeds.
    """
    candidate, required = case.candidate, case.policy.submission.files
    folder = candidate.folder
    if folder is None or not required:
        return
    limit = ", ".join(required) + ", a log per seed"
    wrong, excused, renamed = [], [], []
    for name in required:
        path = folder / name if (folder / name).is_file() else find_like(folder, name)
        if path is None:
            below = sorted(path for path in folder.glob(f"*/{name}") if path.is_file())
            if len(below) == 1:
                excused.append(f"{name} lies in {below[0].parent.name}/")
            else:
                wrong.append(f"{name} is missing")
        elif problem := _problem(path):
            wrong.append(problem)
        elif path.name != name:
            renamed.append(f"{path.name} for {name}")
    accepted = "; the table lists it all the same" if candidate.is_listed else ""
    if not candidate.runs:
        (excused if accepted else wrong).append(candidate.without_run + accepted)
    elif lost := missing_seeds(candidate):
        lenient = accepted or not candidate.track.track.for_records
        (excused if lenient else wrong).append(f"no log of seed {', '.join(lost)}{accepted}")
    if wrong:
        hint = (
            "add what is missing; of a hole of yours, `harness submit HOLE --write DIR` makes a whole folder"
        )
        yield RuleResult("submission_files", "fail", "; ".join([*wrong, *excused]), limit, hint)
    elif excused:
        hint = "put it into the folder itself, or say why it is not there"
        yield RuleResult("submission_files", "cannot tell", "; ".join(excused), limit, hint)
    else:
        named = f"; {', '.join(renamed)}" if renamed else ""
        logs = number(len(candidate.runs), "log")
        yield RuleResult("submission_files", "pass", f"all there, {logs}{named}", limit)


def _problem(path: Path) -> str:
    """Say what is wrong with a file that is there; empty when nothing is."""
    if path.stat().st_size == 0:
        return f"{path.name} is empty"
    if path.suffix.lower() == ".json":
        try:
            read_submission(path)
        except HarnessError as error:
            return error.message.replace(str(path), path.name)
    return ""


def check_attest(case: Case) -> Iterator[RuleResult]:
    for one in case.policy.attest:
        yield RuleResult("your_word", "please attest", one.what)
