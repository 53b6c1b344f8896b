"""Rules on code and papers: what could reach the network, which files are there, what only a person can say."""

from __future__ import annotations

from collections.abc import Iterator

from harness.scripts import network
from harness.submit.rules.ruling import Case, Ruling, number


def check_network(case: Case) -> Iterator[Ruling]:
    """A warning by reading: what could reach the network."""
    limit = "none while the artifact is evaluated"
    script = case.exhibit.code.script
    if script is None:
        why = case.exhibit.code.why or "the code is not here"
        yield Ruling("network", "cannot tell", why, limit)
        return
    uses, problems = network.find_uses(script.texts())
    if uses:
        yield Ruling(
            "network",
            "please attest",
            "; ".join(uses[:4]),
            limit,
            "say that none of it runs in training or evaluation",
        )
    elif problems:
        yield Ruling(
            "network",
            "cannot tell",
            "; ".join(problems[:2]),
            limit,
            "code that cannot be read cannot be vouched for",
        )
    else:
        yield Ruling("network", "pass", f"nothing found in {number(len(script.files), 'file')}", limit)


def check_files(case: Case) -> Iterator[Ruling]:
    folder, wanted = case.exhibit.folder, case.policy.submission.files
    if folder is None or not wanted:
        return
    missing = [
        name for name in wanted if not (folder / name).is_file() or (folder / name).stat().st_size == 0
    ]
    limit = ", ".join(wanted) + ", a log per seed"
    if missing:
        yield Ruling(
            "submission files",
            "fail",
            f"missing or empty: {', '.join(missing)}",
            limit,
            "`harness submit ROUND --write DIR` makes them all",
        )
    else:
        yield Ruling("submission files", "pass", f"all there, {number(len(case.exhibit.runs), 'log')}", limit)


def check_attest(case: Case) -> Iterator[Ruling]:
    for one in case.policy.attest:
        yield Ruling("your word", "please attest", one.what)
