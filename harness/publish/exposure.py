"""What a site would show of this machine: secrets, folders, users and hosts (`harness doctor --publish`).

The site is made in a folder that is deleted again and read as a visitor would. What its pages leave out still
lies in the season's files, which git may publish: those are read, too.
"""

from __future__ import annotations

import getpass
import html
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from harness.figures import number
from harness.files import open_plain
from harness.findings import Finding, Group
from harness.privacy import Leak, find_leaks, own_hosts
from harness.publish.build import PublishOptions, publish
from harness.records.store import Store

_LISTED = 20  # findings of a group; the others are counted
_READ_BYTES = 4_000_000  # of a file
_PAGES = {".html", ".xml", ".json", ".txt", ".csv"}
_COMMON_USERS = {
    "root",
    "user",
    "ubuntu",
    "debian",
    "admin",
    "runner",
    "docker",
    "jovyan",
    "nobody",
    "unknown",
}


def examine_exposure(runs: Path) -> list[Group]:
    """Return what the season's site shows of this kind, and what its files hold."""
    with tempfile.TemporaryDirectory(prefix="harness-doctor-") as folder:
        out = Path(folder) / "site"
        publish(runs, out, PublishOptions(pictures=False))
        pages = [
            path for path in sorted(out.rglob("*")) if path.suffix in _PAGES and "assets" not in path.parts
        ]
        shown = [(path.relative_to(out).as_posix(), html.unescape(path.read_text("utf-8"))) for path in pages]
        site = _look(shown)
    site_findings = [
        Finding(
            "error",
            f"{place}: {leak.kind}: {leak.text}",
            "a published page shows it to everybody",
            "take it out of the hole's words (round.toml, notes.md) or of what was typed with a decision",
        )
        for place, leak in site
    ]
    file_findings = [
        Finding(
            "warning",
            f"{place}: {leak.kind}: {leak.text}",
            "pages leave it out, but the file holds it, and git would push it",
            "replace it there; a secret that was ever pushed must be revoked where it is from",
        )
        for place, leak in _look(_season_files(runs))
    ]
    return [
        Group("site", f"{number(len(shown), 'file')} of a site looked at", _first(site_findings)),
        Group("files", "records, round.toml, notes, decisions", _first(file_findings)),
    ]


def _look(texts: Iterable[tuple[str, str]]) -> list[tuple[str, Leak]]:
    hosts, users = own_hosts(), _own_users()
    return [(place, leak) for place, text in texts for leak in dict.fromkeys(find_leaks(text, hosts, users))]


def _own_users() -> tuple[str, ...]:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container without a user's entry
        return ()
    return () if len(name) < 4 or name in _COMMON_USERS else (name,)


def _season_files(runs: Path) -> Iterator[tuple[str, str]]:
    """Yield the files of a season that git keeps, by name."""
    for hole, attempts in Store(runs).load_all():
        texts = (hole.intent_path, hole.notes_path, hole.decision_path, hole.prediction_path)
        for path in (*texts, *(attempt.record_path for attempt in attempts)):
            try:
                with open_plain(path) as file:
                    content = file.read(_READ_BYTES)
            except OSError:  # missing, or no plain file: what the doctor says elsewhere
                continue
            yield path.relative_to(runs).as_posix(), content.decode("utf-8", "replace")


def _first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    more = len(findings) - _LISTED
    rest = [Finding("note", f"{number(more, 'finding')} more of this kind")] if more > 0 else []
    return (*findings[:_LISTED], *rest)
