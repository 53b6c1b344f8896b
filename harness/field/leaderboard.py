"""A leaderboard table in Markdown, as the challenge's README has it, turned into dated data.

What a table must have is found by its headings (a name, a score, a date), not by their order.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from harness.courses.course import RECORD_TRACK, ReferenceScore, read_leaderboard, read_leaderboard_row
from harness.documents import naming, read_file
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
MAX_BYTES = 4_000_000
MAX_CELL = 1_000  # characters that are read; Markdown's links take time with the square of a text
_MARKDOWN = MarkdownIt("commonmark")
_BLOCKS = MarkdownIt("commonmark").enable("table").disable("inline")


def refresh_leaderboard(source: Path, runs: Path, dry_run: bool = False) -> list[ReferenceScore]:
    """Read a README's tables into `runs/field/leaderboard.json` and return the rows.

    From then on the SOTA of a day is computed from it. Raises HarnessError when no table has the columns, or
    a row has no number or date.
    """
    raw = read_file(source.resolve(), MAX_BYTES)
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
    with naming(source, "mend that row"):
        scores = [read_leaderboard_row(row, source.name) for row in rows]
    path = runs / "field" / "leaderboard.json"
    if not dry_run:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(board, indent=1, ensure_ascii=False) + "\n").encode())
        return list(read_leaderboard(path))
    return scores


def _rows(text: str, source: Path) -> Iterator[dict[str, Any]]:
    heading = ""
    for kind, content in _parts(text):
        if kind == "heading":
            heading = content[0][0].source
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
    rank: int, cells: Sequence[Cell], columns: dict[str, int], track: str, source: Path
) -> dict[str, Any]:
    def cell(name: str) -> Cell:
        at = columns.get(name)
        return cells[at] if at is not None and at < len(cells) else Cell("")

    score = re.search(r"(?<!\d)\d+\.\d+", cell("score").source)
    date = re.search(r"\d{4}-\d{2}-\d{2}", cell("date").source)
    if score is None or date is None:
        missing = "score" if score is None else "date"
        raise HarnessError(
            f"{source}: row {rank} ({cell('name').text:.60}) has no {missing}: {cell(missing).source!r:.60}",
            "a score is a decimal number, a date is YYYY-MM-DD",
        )
    try:
        day = dt.date.fromisoformat(date[0])
    except ValueError:
        raise HarnessError(
            f"{source}: row {rank} has an impossible date {date[0]}", "mend that row"
        ) from None
    pull = re.search(r"/pull/(\d+)", cell("info").source)
    record = re.search(r"records/[^/\s)]+/([^/\s)]+)", cell("info").source)
    return {
        "rank": rank,
        "name": cell("name").text,
        "score": float(score[0]),
        "score_text": score[0],
        "author": cell("author").text or None,
        "date": day.isoformat(),
        "track": track,
        "pr": int(pull[1]) if pull else None,
        "record": record[1] if record else None,
    }


@dataclass(frozen=True)
class Cell:
    """A cell as it is written."""

    source: str

    @property
    def text(self) -> str:
        """What it says without links and emphasis."""
        inline = _MARKDOWN.parseInline(self.source)[0].children or []
        return "".join(token.content for token in inline if token.type in ("text", "code_inline")).strip()


def _parts(text: str) -> Iterator[tuple[str, list[list[Cell]]]]:
    """Yield headings and tables in order; a heading is a table of one cell."""
    tokens = _BLOCKS.parse(text)
    table: list[list[Cell]] | None = None
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            yield "heading", [[_cell(tokens[at + 1])]]
        elif token.type == "table_open":
            table = []
        elif token.type == "tr_open" and table is not None:
            table.append([])
        elif token.type in ("th_open", "td_open") and table is not None:
            table[-1].append(_cell(tokens[at + 1]))
        elif token.type == "table_close" and table is not None:
            yield "table", table
            table = None


def _cell(inline: Token) -> Cell:
    return Cell(inline.content.strip()[:MAX_CELL])


def _columns(headings: Sequence[Cell]) -> dict[str, int]:
    columns: dict[str, int] = {}
    for at, heading in enumerate(headings):
        word = heading.text.lower()
        for name, words in _HEADINGS.items():
            if word in words:
                columns.setdefault(name, at)
    return columns
