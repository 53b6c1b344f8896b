"""How often the referee is right about records that the maintainers merged, rule by rule.

    python -m benchmarks.referee [FOLDER ...] [--track 10min]

FOLDER holds record folders, all of them merged: no rule should fail. Counts what passes, what cannot be told
or must be attested, what the table lists though the rule is broken, and fails. A fail is false unless it
stands in WAIVED, with the reason. Rules on code and files are left out for a folder without a script: public
selections hold logs and submission files only. Ends with 1 when a fail is false or less than AIM agrees.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harness.cli.app import open_season
from harness.courses.policy import policy_for
from harness.errors import HarnessError
from harness.submit.candidate import folder_candidate
from harness.submit.referee import RULES, Report, check
from harness.submit.result import RULE_TITLES, RuleResult

ROOT = Path(__file__).resolve().parent.parent
RECORDS = ROOT / "tests" / "data" / "field" / "records"
AIM = 0.90
OF_CODE = ("local_code", "network", "submission_files")

# Merged although a rule is broken, as their own logs show.
WAIVED = {
    (
        "2026-04-06_SP8192_HessianSDClip_ProgressiveRecurrence",
        "artifact_size",
    ): "its logs print 16,059,704 bytes",
    ("2026-03-23_DGAttention_DavidGao", "artifact_size"): "its log prints 16,638,468 bytes",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, default=[RECORDS], help="of merged records")
    parser.add_argument("--track", help="only folders of this track: 10min, non-record, unlimited")
    args = parser.parse_args()
    judged, unread = judge(args.folders, args.track)
    return print_agreement(judged, unread)


def judge(folders: list[Path], track: str | None) -> tuple[list[tuple[Path, Report]], list[str]]:
    """Check every record folder; return the reports, and what could not be read at all."""
    judged, unread = [], []
    with tempfile.TemporaryDirectory() as place:
        season = open_season(Path(place))
        for folder in (child for parent in folders for child in sorted(parent.iterdir()) if child.is_dir()):
            try:
                candidate = folder_candidate(folder, Path(place))
            except HarnessError as error:
                unread.append(f"{folder.name}: {error.message}")
                continue
            if track not in (None, candidate.track.track.name):
                continue
            claim = candidate.claim
            policy = policy_for(candidate.course.name, claim.day, Path(place), claim.pr)
            judged.append((folder, check(season, candidate, policy)))
    return judged, unread


def print_agreement(judged: list[tuple[Path, Report]], unread: list[str]) -> int:
    """Print a row a rule and every fail; return the exit code."""
    counts: dict[str, Counter[str]] = {title: Counter() for title in RULE_TITLES.values()}
    fails: list[str] = []
    for folder, report in judged:
        for result in judgeable(folder, report):
            word = kind_of(folder, result)
            counts[RULE_TITLES[result.id]][word] += 1
            if result.outcome == "fail":
                reason = WAIVED.get((folder.name, result.id))
                fails.append(f"{word}: {folder.name}, {result.title}: {reason or result.measured}")
    total: Counter[str] = sum(counts.values(), Counter())
    print(f"{len(judged)} merged folders, {len(RULES)} rules; without a script: no {', no '.join(_names())}")
    print(
        f"{'rule':22}{'pass':>6}{'cannot tell':>13}{'attest':>8}{'listed':>8}{'waived':>8}{'false fail':>12}"
    )
    for title, row in [*((t, r) for t, r in counts.items() if r), ("all", total)]:
        print(
            f"{title:22}{row['pass']:6}{row['cannot tell']:13}{row['please attest']:8}{row['listed']:8}"
            f"{row['waived']:8}{row['false fail']:12}"
        )
    print(*[f"  {line}" for line in fails], *[f"  not read: {line}" for line in unread], sep="\n")
    asked = total.total() - total["please attest"]
    agree = asked - total["false fail"] - total["waived"]
    share, shown = agree / max(asked, 1), total["pass"] / max(asked, 1)
    print(
        f"agreement {share:.1%} of {asked} rules (aim: {AIM:.0%}), {shown:.1%} shown to pass, "
        f"{total['listed']} listed though broken; {total['false fail']} false fails (aim: 0)"
    )
    return 0 if share >= AIM and not total["false fail"] and not unread else 1


def judgeable(folder: Path, report: Report) -> Iterator[RuleResult]:
    """The results that a folder's files can show."""
    has_script = any(folder.glob("*.py"))
    yield from (result for result in report.results if has_script or result.id not in OF_CODE)


def kind_of(folder: Path, result: RuleResult) -> str:
    """Return the column of a result: its outcome, or what a fail of a merged record is."""
    if result.outcome == "fail":
        return "waived" if (folder.name, result.id) in WAIVED else "false fail"
    return "listed" if "the table lists it all the same" in result.measured else result.outcome


def _names() -> list[str]:
    return [RULE_TITLES[rule] for rule in OF_CODE]  # type: ignore[index]


if __name__ == "__main__":
    sys.exit(main())
