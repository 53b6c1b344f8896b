"""What `harness check` says of a submission's folder before it is handed in."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from harness.courses.course import RECORD_TRACK
from harness.errors import HarnessError
from harness.records.record import RunRecord
from harness.season.season import Season
from harness.submit.claim import ClaimedRun, show_folder, show_hole
from harness.submit.policy import Policy, policy_for
from harness.submit.prepared import Prepared, Requirement, SubmittedRun
from harness.submit.referee import check
from harness.submit.rules.ruling import Ruling

# Rules of the ten-minute track alone.
_RECORD_ONLY = frozenset({"training time", "evaluation time", "machine", "significance"})


def judge(made: Prepared, season: Season, policy: Policy | None) -> list[Requirement]:
    """Hold the folder's files, as they would be written, against a policy; else against the one of the hole's day."""
    try:
        policy = policy or policy_for(made.course.name, made.played.day, season.runs)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / made.played.name.folder
            made.write_into(folder)
            shown = show_folder(folder, season.runs, made.course.name)
            hole = show_hole(season, made.played)
            models = {run.record.attempt: run.model for run in hole.runs}
            runs = tuple(
                ClaimedRun(
                    run.log_name,
                    _as_counted(made, run),
                    folder / run.log_name,
                    models.get(run.record.attempt),
                )
                for run in made.runs
            )
            exhibit = replace(shown, runs=runs, others=hole.others, day=made.played.day, played=made.played)
            report = check(season, exhibit, policy)
    except HarnessError as error:
        return [Requirement("referee", "cannot tell", error.message, error.hint)]
    findings = [f for f in report.findings if made.track == RECORD_TRACK or f.rule not in _RECORD_ONLY]
    return [_rule(finding, made) for finding in findings]


def _as_counted(made: Prepared, run: SubmittedRun) -> RunRecord:
    """The record as it would be had the folder's code run."""
    total = made.total_bytes(run)
    status = "over_cap" if total is not None and total >= made.course.caps.artifact_bytes else "ok"
    counted = {"code_bytes": made.code_bytes, "artifact_bytes": total, "status": status}
    return run.record.model_copy(update=counted)


def _rule(finding: Ruling, made: Prepared) -> Requirement:
    outcome, hint = finding.outcome, finding.hint
    if finding.rule == "significance" and outcome == "fail":
        if made.course.leaderboard is None:  # nobody's record is claimed on a course of one's own
            outcome = "please attest"
        else:
            hint = "hand it in without the claim: --track non-record"
    limit = f" (limit: {finding.limit})" if finding.limit else ""
    return Requirement(finding.rule, outcome, finding.measured + limit, hint)
