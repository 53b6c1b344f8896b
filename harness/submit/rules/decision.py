"""The rule on what was decided: what its own author ruled invalid is not handed in."""

from __future__ import annotations

from collections.abc import Iterator

from harness.season.hole import PlayedHole
from harness.submit.candidate import Case
from harness.submit.result import RuleResult


def check_decision(case: Case) -> Iterator[RuleResult]:
    """Fail what was decided to be invalid; of what was dropped, only its author knows why it is here."""
    if case.candidate.played is not None:
        yield from decision_results(case.candidate.played)


def decision_results(played: PlayedHole) -> Iterator[RuleResult]:
    """Return the result for a hole; none where nothing speaks against it."""
    if (decision := played.decision) is None or not (played.invalid or played.dropped):
        return
    measured = f"{decision.decision} ({decision.who}, {decision.when.date().isoformat()}): {decision.reason}"
    hint = f'where that is over: `harness decide {played.name.folder} keep --reason "..."`'
    yield RuleResult("decision", "fail" if played.invalid else "please attest", measured, hint=hint)
