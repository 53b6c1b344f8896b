"""A hole as the record folder that the challenge asks for: README, submission.json, a log per seed, one script.

    prepare()   every rule is held against the hole; the files are made in memory, the referee asked
              -> rules.py, code.py, files.py, referee.py
    write()     the folder appears whole, or not at all

The script is our trainer packed (`harness.scripts.one_file`), or the snapshot of the script that ran. Its bytes are
the code bytes that count. Numbers come from the records; nothing is rounded but in the README's tables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import figures
from harness.courses.course import RECORD_TRACK, load_course
from harness.errors import HarnessError, UsageError, nearest
from harness.records.record import RunRecord
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.submit.code import make_code
from harness.submit.files import make_files, submission_data
from harness.submit.needs import author_rule, course_rule, log_rule, size_rule
from harness.submit.policy import Policy
from harness.submit.prepared import Author, Prepared, Requirement, SubmittedRun
from harness.submit.self_check import judge

# What people type -> the track's name in submission files.
TRACKS = {
    "10min": RECORD_TRACK,
    "non-record": "non-record-16mb",
    "unlimited": "non-record-unlimited-compute-16mb",
}
_SPELLINGS = TRACKS | {name: name for name in TRACKS.values()} | {"non_record_16mb": "non-record-16mb"}


def prepare(
    played: PlayedHole,
    track: str,
    author: Author,
    season: Season,
    policy: Policy | None = None,
    readable: bool = False,
) -> Prepared:
    """Make a hole's submission in memory and hold the rules against it. Writes nothing.

    policy: what the referee goes by; else the one in force on the hole's day. readable: see `submission_script`.
    Raises UsageError for an unknown track, HarnessError when the hole has nothing to submit.
    """
    name = _track_name(track)
    if not played.group:
        raise HarnessError(*_nothing_to_submit(played))
    by_record = {id(entry.record): entry.attempt for entry in played.entries}
    runs = tuple(SubmittedRun(r, by_record[id(r)], _log_name(r, played)) for r in played.group)
    course = load_course(played.course or "", season.runs)
    made = Prepared(played, name, author, course, runs, played.hole.load_notes())
    made.rules += [author_rule(author), course_rule(made)]
    made.rules += [log_rule(run) for run in runs]
    try:
        made.code = make_code(runs[0], readable)
        made.rules.append(Requirement("code", "pass", f"{len(made.code)} file(s), {made.code_bytes:,} bytes"))
    except HarnessError as error:
        made.rules.append(Requirement("code", "fail", error.message, error.hint))
        return made
    made.rules += [size_rule(made, run) for run in runs]
    if not [rule for rule in made.failed if rule.name == "log"]:
        made.files = make_files(made)
        made.rules += judge(made, season, policy)
        made.files = make_files(made)  # the README and the submission file tell what the referee found
    return made


def write(made: Prepared, out: Path) -> list[Path]:
    """Write a prepared submission; the folder appears whole. Raises HarnessError when it may or can not be."""
    refuse_used(out)
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        made.write_into(beside)
        if out.is_dir():
            out.rmdir()  # empty, as was checked
        beside.rename(out)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise HarnessError(
            f"cannot write {out}: {error.strerror or error}", "name another folder with --write DIR"
        ) from error
    return [out / name for name in made.files]


def refuse_used(out: Path) -> None:
    """Never write over something. Raises HarnessError."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise HarnessError(f"{out} exists and is not empty", "name a new folder with --write DIR")


def _track_name(track: str) -> str:
    name = _SPELLINGS.get(track.lower())
    if name is None:
        close = nearest(track, _SPELLINGS)
        raise UsageError(
            f'no track is called "{track}"',
            (f"did you mean {close}? " if close else "") + f"known tracks: {', '.join(TRACKS)}",
        )
    return name


def _nothing_to_submit(played: PlayedHole) -> tuple[str, str]:
    folder = played.name.folder
    if not played.entries:
        return f"{folder} has no attempt", f"play it: `harness run {folder}`"
    failed = [entry.record.status if entry.record else "unfinished" for entry in played.entries]
    states = ", ".join(f"{failed.count(state)} {state}" for state in dict.fromkeys(failed))
    return (
        f"{folder} has no complete attempt to submit: {states}",
        f"`harness show {folder} --why` tells more",
    )


def _log_name(record: RunRecord, played: PlayedHole) -> str:
    """`train_seed42.log`; the attempt's number joins in when two attempts share a seed."""
    twins = [other for other in played.group if other.seed == record.seed]
    tail = f"_attempt{record.attempt}" if len(twins) > 1 else ""
    seed = f"seed{record.seed}" if record.seed is not None else f"attempt{record.attempt}"
    return f"train_{seed}{tail if record.seed is not None else ''}.log"


def find_author(name: str, github_id: str) -> Author:
    """Return who submits: as given, else as git knows (`user.name`, `github.user`)."""
    return Author(name or _git_config("user.name"), github_id or _git_config("github.user"))


def _git_config(key: str) -> str:
    try:
        done = subprocess.run(("git", "config", key), capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def as_data(made: Prepared, written: Path | None) -> Mapping[str, Any]:
    """Return what `--json` prints."""
    return {
        "hole": made.played.name.folder,
        "track": made.track,
        "compliant": not made.failed,
        "rules": [vars(rule) for rule in made.rules],
        "code_bytes": made.code_bytes or None,
        "bytes_total": made.largest_total if made.code else None,
        "recorded_artifact_bytes": [run.record.artifact_bytes for run in made.runs],
        "files": {name: len(content) for name, content in made.files.items()},
        "submission": submission_data(made) if made.code else None,
        "written": str(written) if written else None,
    }


def describe(made: Prepared) -> str:
    """Return the report that a person reads."""
    marks = {"pass": "pass", "fail": "FAIL", "cannot tell": "  ? ", "please attest": "note"}
    lines = [f"{made.played.name.folder} for {made.track}: val_bpb {figures.bpb(made.val_bpb)}"]
    for rule in made.rules:
        lines.append(f"  {marks[rule.outcome]}  {rule.name}: {rule.what}")
        if rule.hint and rule.outcome != "pass":
            lines.append(f"        -> {rule.hint}")
    return "\n".join(lines)
