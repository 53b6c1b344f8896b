"""A hole as others may see it: on pages, in a submission, in `--json`; it is played from what it is."""

from __future__ import annotations

from dataclasses import replace

from harness.privacy import mask_text
from harness.records.private import private_record, shown_intent
from harness.records.store import Hole
from harness.season.hole import Files, PlayedHole, load_hole, read_files


def shown_hole(hole: Hole) -> PlayedHole:
    """Read one hole to show it."""
    return load_hole(hole, shown_files)


def shown_files(hole: Hole) -> Files:
    """Read a hole's files without secrets and the places of this machine (`harness.privacy`)."""
    files = read_files(hole)
    entries = tuple(
        replace(entry, record=private_record(entry.record)) if entry.record else entry
        for entry in files.entries
    )
    decision = files.decision and files.decision.model_copy(
        update={"reason": mask_text(files.decision.reason)}
    )
    problems = tuple(_shown_problem(hole, problem) for problem in files.problems)
    return Files(shown_intent(files.intent), entries, decision, problems, files.unread)


def shown_summary(played: PlayedHole) -> PlayedHole:
    """Return a hole whose summary came from the cache, where it is as it was read."""
    summary = played.summary
    problems = tuple(_shown_problem(played.hole, problem) for problem in summary.problems)
    return replace(played, summary=summary._replace(title=mask_text(summary.title), problems=problems))


def _shown_problem(hole: Hole, problem: str) -> str:
    """Return a problem that names its file from the season's folder on, wherever that folder lies."""
    above = str(hole.path.parent.parent)
    return mask_text(problem.replace(f"{above}/", "") if above != "/" else problem)
