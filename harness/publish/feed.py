"""What machines read: Atom and JSON feed, holes.json, sitemap, robots. No build time in any of them."""

from __future__ import annotations

import datetime as dt
import html
import json
import uuid
from collections.abc import Sequence
from typing import Any

from harness.publish.views.index import Line
from harness.publish.words.wording import Wording

NEWEST = 50
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SEASON_SCHEMA = 1


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _identity(name: str) -> str:
    """A hole's id in feeds: the same wherever the site is served from."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'hole:{name}')}"


def _headline(line: Line) -> str:
    """Score and delta in the title: `Hole: 1.4141 (+0.1897 to par), Triple Bogey`."""
    if line.val_bpb is None:
        return f"{line.position}, {line.title}: {line.verdict}"
    to_par = f" ({line.to_par.value} to par)" if line.to_par.value else ""
    return f"{line.position}, {line.title}: {line.score}{to_par}, {line.verdict}"


def _newest(lines: Sequence[Line]) -> list[Line]:
    played = [line for line in lines if line.status != "unplayed"]
    return sorted(played, key=lambda line: (line.updated, line.number), reverse=True)[:NEWEST]


def atom_feed(lines: Sequence[Line], wording: Wording, base: str) -> str:
    """Return the Atom feed. base: the site's address with a final slash, or empty for relative links."""
    newest = _newest(lines)
    club = wording.club["club"]
    updated = max((line.updated for line in newest), default=EPOCH)
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<feed xmlns="http://www.w3.org/2005/Atom">',
        f"<title>{_escape(club['name'])}</title>",
        f"<subtitle>{_escape(club['tagline'])}</subtitle>",
        f"<id>{_escape(base or _identity('season'))}</id>",
        f"<updated>{updated.isoformat()}</updated>",
        f"<author><name>{_escape(club['name'])}</name></author>",
        f'<link href="{html.escape(base)}index.html"/>',
        f'<link rel="self" href="{html.escape(base)}feed.xml"/>',
    ]
    for line in newest:
        parts += [
            "<entry>",
            f"<title>{_escape(_headline(line))}</title>",
            f"<id>{_identity(line.name)}</id>",
            f'<link href="{html.escape(base + line.href)}"/>',
            f"<updated>{line.updated.isoformat()}</updated>",
            f"<summary>{_escape(line.result + '. ' + line.summary)}</summary>",
            "</entry>",
        ]
    return "\n".join([*parts, "</feed>", ""])


def json_feed(lines: Sequence[Line], wording: Wording, base: str) -> str:
    """Return the same as a JSON Feed 1.1."""
    club = wording.club["club"]
    return _json(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": club["name"],
            "description": club["tagline"],
            "home_page_url": base + "index.html",
            "feed_url": base + "feed.json",
            "items": [
                {
                    "id": _identity(line.name),
                    "url": base + line.href,
                    "title": _headline(line),
                    "content_text": f"{line.result}. {line.summary}",
                    "date_published": line.updated.isoformat(),
                }
                for line in _newest(lines)
            ],
        }
    )


def season_json(lines: Sequence[Line]) -> str:
    """Return `holes.json`: every hole with its unrounded score; the schema is described in docs/site.md."""
    holes: list[dict[str, Any]] = []
    for line in lines:
        hole: dict[str, Any] = {
            "hole": line.name,
            "number": line.number,
            "round": line.round,
            "hole_in_round": line.hole,
            "title": line.title,
            "course": line.course or None,
            "status": line.status,
            "date": line.day_iso or None,
            "val_bpb": line.val_bpb,
            "par": line.par,
            "to_par": None if line.val_bpb is None or line.par is None else round(line.val_bpb - line.par, 9),
            "verdict": line.verdict,
            "result": line.result,
            "page": line.href,
            "record": line.href.removesuffix(".html") + ".json"
            if line.status not in ("unplayed", "unfinished", "unreadable")
            else None,
        }
        holes.append(hole)
    return _json({"schema": SEASON_SCHEMA, "holes": holes})


def sitemap(pages: Sequence[str], base: str) -> str:
    rows = "".join(f"<url><loc>{_escape(base + page)}</loc></url>\n" for page in pages)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{rows}</urlset>\n"
    )


def robots(base: str) -> str:
    return "User-agent: *\nAllow: /\n" + (f"Sitemap: {base}sitemap.xml\n" if base else "")


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
