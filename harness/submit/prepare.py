"""A hole as the challenge's record folder: README, submission.json, a log per seed, one script.

    prepare()   the code and the files are made in memory, the referee judges them
              -> submission.py, code.py, files.py, referee.py
    write()     the folder appears whole, or not at all

The script is our trainer packed (`harness.scripts.one_file`), or the snapshot of the script that ran. Its
bytes are the code bytes that count. Numbers come from the records; nothing is rounded but in the README's
tables.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import figures
from harness.courses.claim import Claim
from harness.courses.course import load_course
from harness.courses.policy import Policy, policy_for
from harness.courses.track import NamedTrack, read_track
from harness.errors import HarnessError
from harness.files import refuse_used
from harness.privacy import secrets_of_code
from harness.records.notes import Notes
from harness.records.record import RunRecord, over_cap
from harness.scripts.git import run_git
from harness.season.bindings import bind_notes
from harness.season.hole import PlayedHole
from harness.season.season import Season
from harness.submit.candidate import CandidateRun, attempt_runs, folder_candidate
from harness.submit.code import make_code
from harness.submit.files import folder_data, make_files
from harness.submit.referee import check
from harness.submit.result import RuleResult
from harness.submit.rules.decision import decision_results
from harness.submit.rules.size import size_rule
from harness.submit.submission import (
    Author,
    Submission,
    SubmittedRun,
    author_rule,
    course_rule,
    log_rule,
    submitted_runs,
)
from harness.temporary import new_folder


def prepare(
    played: PlayedHole,
    track: str,
    author: Author,
    season: Season,
    policy: Policy | None = None,
    readable: bool = False,
) -> Submission:
    """Make a hole's submission in memory and judge it by all rules. Writes nothing.

    policy: that of the referee; by default the one in force on the hole's day. readable: see
    `trainer_script`.
    Raises UsageError for an unknown track, HarnessError when the hole has nothing to submit.
    """
    name = read_track(track).file_name
    if not played.group:
        raise HarnessError(*_nothing_to_submit(played))
    runs = submitted_runs(played)
    course = load_course(played.course or "", season.runs)
    submission = Submission(played, name, author, course, runs, _load_notes(season, played))
    submission.rules += [author_rule(author), course_rule(submission), *decision_results(played)]
    submission.rules += [log_rule(run) for run in runs]
    try:
        submission.code = make_code(runs[0].record, runs[0].attempt, readable)
        submission.rules.append(_code_rule(submission))
    except HarnessError as error:
        submission.rules.append(RuleResult("code", "fail", error.message, hint=error.hint))
        return submission
    submission.rules += [size_rule(submission, run) for run in runs]
    if not [rule for rule in submission.failed if rule.id == "log"]:
        submission.files = make_files(submission)
        submission.rules += _judge(submission, season, policy)
        # Once more: the README and the submission file have the referee's results.
        submission.files = make_files(submission)
    return submission


def _code_rule(submission: Submission) -> RuleResult:
    for place, kind in secrets_of_code(submission.code):
        hint = "read it from the environment there, os.environ[...], and play the hole again"
        return RuleResult("code", "fail", f"{place} holds what looks like a {kind}", hint=hint)
    what = f"{len(submission.code)} file(s), {submission.code_bytes:,} bytes"
    return RuleResult("code", "pass", what)


def _load_notes(season: Season, played: PlayedHole) -> Notes:
    """The hole's words, for the README. Raises HarnessError when a number in them contradicts the records."""
    bound = bind_notes(season, played)
    if bound.unread:
        raise HarnessError(f"cannot read {played.hole.notes_path}: {bound.unread}")
    if bound.problems:
        raise HarnessError(bound.problems[0].message, bound.problems[0].hint)
    return bound.notes


def _judge(submission: Submission, season: Season, policy: Policy | None) -> list[RuleResult]:
    """Judge the files as they would be written, by a policy; by default the one of the hole's day."""
    try:
        policy = policy or policy_for(submission.course.name, submission.played.day, season.runs)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / submission.played.name.folder
            folder.mkdir()
            submission.write_into(folder)
            candidate = folder_candidate(folder, season.runs, submission.course.name)
            attempts = attempt_runs(submission.played)
            models = {run.record.attempt: run.model for run in attempts}
            others = tuple(run for run in attempts if run.record not in submission.played.group)
            runs = tuple(
                CandidateRun(
                    run.log_name,
                    _with_own_code(submission, run),
                    folder / run.log_name,
                    models.get(run.record.attempt),
                )
                for run in submission.runs
            )
            candidate = replace(
                candidate,
                runs=runs,
                others=others,
                claim=Claim(submission.played.day),
                track=NamedTrack(read_track(submission.track), "as --track says"),
                played=submission.played,
            )
            report = check(season, candidate, policy)
    except HarnessError as error:
        return [RuleResult("referee", "cannot tell", error.message, hint=error.hint)]
    return [_without_limit(result, submission) for result in report.results]


def _with_own_code(submission: Submission, run: SubmittedRun) -> RunRecord:
    """The record as it would be had the folder's code run."""
    total = submission.total_bytes(run)
    status = "over_cap" if over_cap(total, submission.course.caps.artifact_bytes) else "ok"
    counted = {"code_bytes": submission.code_bytes, "artifact_bytes": total, "status": status}
    return run.record.model_copy(update=counted)


def _without_limit(result: RuleResult, submission: Submission) -> RuleResult:
    """A referee's result with its limit among what was measured, as the folder's files say it."""
    outcome, hint = result.outcome, result.hint
    if result.id == "significance" and outcome == "fail":
        if submission.course.leaderboard is None:  # nobody's record is claimed on a course of one's own
            outcome = "please attest"
        else:
            hint = "hand it in without the claim: --track non-record"
    limit = f" (limit: {result.limit})" if result.limit else ""
    return replace(result, outcome=outcome, measured=result.measured + limit, limit="", hint=hint)


def write(submission: Submission, out: Path) -> list[Path]:
    """Write a prepared submission; the folder appears whole. Raises HarnessError when it cannot."""
    refuse_used(out, "--write")
    try:
        with new_folder(out) as unfinished:
            submission.write_into(unfinished)
    except OSError as error:
        raise HarnessError(
            f"cannot write {out}: {error.strerror or error}", "name another folder with --write DIR"
        ) from error
    return [out / name for name in submission.files]


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


def find_author(name: str, github_id: str) -> Author:
    """Return who submits: as given, else as git knows (`user.name`, `github.user`)."""
    return Author(name or _git_config("user.name"), github_id or _git_config("github.user"))


def _git_config(key: str) -> str:
    return (run_git(Path(), "config", key) or "").strip()


def as_data(submission: Submission, written: Path | None) -> Mapping[str, Any]:
    """Return what `--json` prints."""
    return {
        "hole": submission.played.name.folder,
        "track": submission.track,
        "compliant": not submission.failed,
        "rules": [
            {"name": rule.title, "outcome": rule.outcome, "what": rule.measured, "hint": rule.hint}
            for rule in submission.rules
        ],
        "code_bytes": submission.code_bytes or None,
        "bytes_total": submission.largest_total if submission.code else None,
        "recorded_artifact_bytes": [run.record.artifact_bytes for run in submission.runs],
        "files": {name: len(content) for name, content in submission.files.items()},
        "submission": folder_data(submission) if submission.code else None,
        "written": str(written) if written else None,
    }


def describe(submission: Submission) -> str:
    """Return the report that a person reads."""
    marks = {"pass": "pass", "fail": "FAIL", "cannot tell": "  ? ", "please attest": "note"}
    lines = [
        f"{submission.played.name.folder} for {submission.track}: val_bpb {figures.bpb(submission.val_bpb)}"
    ]
    for rule in submission.rules:
        lines.append(f"  {marks[rule.outcome]}  {rule.title}: {rule.measured}")
        if rule.hint and rule.outcome != "pass":
            lines.append(f"        -> {rule.hint}")
    return "\n".join(lines)
