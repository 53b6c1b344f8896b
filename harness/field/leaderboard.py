"""A leaderboard table in Markdown, as the challenge's README has it, turned into dated data.

What a table must have is found by its headings (a name, a score, a date), not by their order.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.courses.course import RECORD_TRACK, ReferenceScore, read_leaderboard, read_leaderboard_row
from harness.errors import HarnessError
from harness.files import write_whole

_HEADINGS = {
    "name": ("run", "name", "submission", "record"),
    "score": ("score", "val_bpb", "val bpb", "bpb"),
    "author": ("author", "by", "authors"),
    "date": ("date", "day"),
    "info": ("info", "link", "links", "details", "pr"),
}
_NEEDED = ("name", "score", "date")


def refresh_leaderboard(source: Path, runs: Path, dry_run: bool = False) -> list[ReferenceScore]:
    """Read a README's tables into `runs/field/leaderboard.json` and return the rows.

    From then on the SOTA of a day is computed from it. Raises HarnessError when no table has the columns, or
    a row has no number or date.
    """
    try:
        raw = source.read_bytes()
    except OSError as error:
        raise HarnessError(f"cannot read {source}: {error.strerror}") from error
    rows = list(_rows(raw.decode("utf-8", errors="replace"), source))
    if not rows:
        raise HarnessError(
            f"{source} holds no leaderboard table",
            "a table needs columns for the run's name, its score and its date",
        )
    board = {
        "format": "field-leaderboard/1",
        "source": {
            "repository": source.name,
            "commit": hashlib.sha256(raw).hexdigest(),
            "licence": "see the source",
        },
        "rows": rows,
    }
    path = runs / "field" / "leaderboard.json"
    if not dry_run:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(board, indent=1, ensure_ascii=False) + "\n").encode())
        return list(read_leaderboard(path))
    return [read_leaderboard_row(row, source.name) for row in rows]


def _rows(text: str, source: Path) -> Iterator[dict[str, Any]]:
    heading = ""
    for kind, content in _parts(text):
        if kind == "heading":
            heading = content[0][0]
            continue
        columns = _columns(content[0])
        if any(name not in columns for name in _NEEDED):
            continue
        track = (
            "non_record_16mb"
            if re.search(r"non[- ]record|unlimited", heading, re.IGNORECASE)
            else RECORD_TRACK
        )
        for rank, cells in enumerate(content[1:], start=1):
            yield _row(rank, cells, columns, track, source)


def _row(
    rank: int, cells: Sequence[str], columns: dict[str, int], track: str, source: Path
) -> dict[str, Any]:
    def cell(name: str) -> str:
        at = columns.get(name)
        return cells[at] if at is not None and at < len(cells) else ""

    score = re.search(r"\d+\.\d+", cell("score"))
    date = re.search(r"\d{4}-\d{2}-\d{2}", cell("date"))
    if score is None or date is None:
        missing = "score" if score is None else "date"
        raise HarnessError(
            f"{source}: row {rank} ({cell('name')[:60]}) has no {missing}: {cell(missing)!r:.60}",
            "a score is a decimal number, a date is YYYY-MM-DD",
        )
    try:
        day = dt.date.fromisoformat(date[0])
    except ValueError:
        raise HarnessError(
            f"{source}: row {rank} has an impossible date {date[0]}", "mend that row"
        ) from None
    pull = re.search(r"/pull/(\d+)", cell("info"))
    record = re.search(r"records/[^/\s)]+/([^/\s)]+)", cell("info"))
    return {
        "rank": rank,
        "name": _plain(cell("name")),
        "score": float(score[0]),
        "score_text": score[0],
        "author": _plain(cell("author")) or None,
        "date": day.isoformat(),
        "track": track,
        "pr": int(pull[1]) if pull else None,
        "record": record[1] if record else None,
    }


def _parts(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield headings and tables in order; a heading is a table of one cell."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    table: list[list[str]] | None = None
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            yield "heading", [[tokens[at + 1].content]]
        elif token.type == "table_open":
            table = []
        elif token.type == "tr_open" and table is not None:
            table.append([])
        elif token.type in ("th_open", "td_open") and table is not None:
            table[-1].append(_source_of(tokens[at + 1]))
        elif token.type == "table_close" and table is not None:
            yield "table", table
            table = None


def _source_of(inline: Token) -> str:
    return inline.content.strip()


def _columns(headings: Sequence[str]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for at, heading in enumerate(headings):
        word = _plain(heading).lower()
        for name, words in _HEADINGS.items():
            if word in words:
                columns.setdefault(name, at)
    return columns


def _plain(cell: str) -> str:
    """Return a cell's text without links and emphasis."""
    without_links = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", cell)
    return re.sub(r"[*_`]{1,3}(\S.*?\S|\S)[*_`]{1,3}", r"\1", without_links).strip()
