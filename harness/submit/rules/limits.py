"""Rules on what a submission must bring: its files, and its author's word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from harness.errors import HarnessError
from harness.field.submission_file import read_submission
from harness.figures import number
from harness.submit.candidate import Case, find_script
from harness.submit.code import SCRIPT
from harness.submit.result import RuleResult


def check_files(case: Case) -> Iterator[RuleResult]:
    """Every file that the policy names must lie in the folder, under its name or a like one, and a log."""
    candidate, required = case.candidate, case.policy.submission.files
    folder = candidate.folder
    if folder is None or not required:
        return
    limit = ", ".join(required) + ", a log per seed"
    wrong, elsewhere, renamed = [], [], []
    for name in required:
        path = folder / name if (folder / name).is_file() else _find_like(folder, name)
        if path is None:
            below = sorted(path for path in folder.glob(f"*/{name}") if path.is_file())
            if len(below) == 1:
                elsewhere.append(f"{name} lies in {below[0].parent.name}/")
            else:
                wrong.append(f"{name} is missing")
        elif problem := _problem(path):
            wrong.append(problem)
        elif path.name != name:
            renamed.append(f"{path.name} for {name}")
    if not candidate.runs:
        wrong.append(candidate.without_run)
    if wrong:
        hint = "`harness submit ROUND --write DIR` makes them all"
        yield RuleResult("submission_files", "fail", "; ".join([*wrong, *elsewhere]), limit, hint)
    elif elsewhere:
        hint = "put them into the folder itself"
        yield RuleResult("submission_files", "cannot tell", "; ".join(elsewhere), limit, hint)
    else:
        named = f"; {', '.join(renamed)}" if renamed else ""
        logs = number(len(candidate.runs), "log")
        yield RuleResult("submission_files", "pass", f"all there, {logs}{named}", limit)


def _find_like(folder: Path, name: str) -> Path | None:
    """Return what stands for a file: `README.MD`, the script by another name, `submission_x.json`."""
    if name == SCRIPT:
        return find_script(folder)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    stem, ending = (re.escape(part) for part in name.rsplit(".", 1)) if "." in name else (re.escape(name), "")
    for pattern in (f"{stem}\\.{ending}", f"{stem}_\\w+\\.{ending}", f"{stem}(\\.(md|txt|rst))?"):
        for path in files:
            if re.fullmatch(pattern, path.name, re.IGNORECASE):
                return path
    return None


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
