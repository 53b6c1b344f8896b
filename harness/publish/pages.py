"""The pages and feeds of the club: view models -> templates -> files. `build` decides which are made."""

from __future__ import annotations

import datetime as dt
import html
import json
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined, TemplateError

from harness import figures
from harness.errors import HarnessError
from harness.files import cache_dir, shared_dir
from harness.plain_text import escape_json, plain
from harness.privacy import mask_page
from harness.publish.drawings.charts import thin
from harness.publish.drawings.social import SocialCard, draw_picture, thinned
from harness.publish.folder import SiteFolder
from harness.publish.holes_json import holes_json
from harness.publish.views import index
from harness.publish.views.card import HoleCard, build_card
from harness.publish.views.claims import count_claims
from harness.publish.views.compare import build_compare, compared_kinds
from harness.publish.views.curve import CurveCache, curve_csv
from harness.publish.views.handbook import build_handbook
from harness.publish.views.leaderboard import build_board
from harness.publish.words.commentary import Choice
from harness.publish.words.wording import Wording
from harness.records.record import dump_record
from harness.season.hole import PlayedHole
from harness.season.prediction import as_data, calibrate, forecast
from harness.season.season import Season
from harness.season.standing import Standing

NEWEST = 50  # holes in a feed
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SPARK_POINTS = 24  # stretches of the small curves on a round's page, two points each


@dataclass(frozen=True)
class Page:
    """What the frame of a page needs. path: from the site's top."""

    path: str
    kind: str
    title: str
    description: str
    picture: str
    canonical: str = ""
    base: str = ""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What every page of one publish is made with. base: the site's address with a final slash, or empty."""

    season: Season
    wording: Wording
    pictures: bool
    live: bool
    folder: SiteFolder
    env: Environment
    base: str
    courses: list[index.Link]
    curve_cache: CurveCache

    def render(
        self, template: str, path: str, *, kind: str, title: str, description: str, **view: Any
    ) -> None:
        """Write one page. view: what its template shows; `picture` is the path of its social picture."""
        picture = view.pop("picture", "assets/club.png")
        root = "../" * path.count("/")
        page = Page(
            path=path,
            kind=kind,
            title=title,
            description=description,
            picture=(self.base or root) + picture,
            canonical=self.base + view.get("href", path) if self.base else "",
            # It is served at any depth, so its links need a base; all others are right as they are.
            base=urlsplit(self.base).path if kind == "missing" else "",
        )
        try:
            text = self.env.get_template(template).render(
                page=page, root=root, club=self.wording.club, courses=self.courses, **view
            )
        except TemplateError as error:
            raise HarnessError(
                f"template {template} failed on {path}: {error}", "check the theme's templates against ours"
            ) from error
        self.folder.write(path, mask_page(plain(text)).encode())


def make_environment(theme: Path | None) -> Environment:
    folders = [*([theme / "templates"] if theme else []), shared_dir("templates")]
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        bytecode_cache=_compiled(),
    )


def _compiled() -> FileSystemBytecodeCache | None:
    """Where compiled templates are kept, as Python keeps its own; they are checked against their source."""
    place = cache_dir()
    try:
        if place is None:
            return None
        (place / "templates").mkdir(parents=True, exist_ok=True)
        return FileSystemBytecodeCache(str(place / "templates"))
    except OSError:
        return None


def write_assets(folder: SiteFolder, theme: Path | None) -> None:
    """Write css, scripts and pictures; a theme's own first."""
    paths: dict[str, Path] = {}
    for place in (shared_dir("site") / "assets", *([theme / "assets"] if theme else [])):
        paths |= {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    for name in sorted(paths):
        folder.write(f"assets/{name}", paths[name].read_bytes())
    folder.write(".nojekyll", b"")


@dataclass(frozen=True, kw_only=True)
class HolePages:
    """What a hole adds to the site.

    line: its row on other pages. example: its card can explain all cards. choice: of the copy's sentences,
    which the holes after it in its round leave alone.
    """

    name: str
    files: tuple[str, ...]
    line: dict[str, Any]
    example: bool
    choice: Choice


def write_hole(site: Site, standing: Standing, used: Collection[str]) -> HolePages:
    """Write a hole's page with its record, its curve, its picture and its compare pages.

    used: keys of the copy's sentences, by the holes before it in its round.
    """
    played, curve_cache = standing.played, site.curve_cache
    start = len(site.folder.log)
    card = build_card(site.season, standing, site.wording, site.curve_cache, live=site.live, used=used)
    site.render(
        "hole.html",
        f"holes/{card.file}",
        kind="hole",
        title=f"{card.title}, {card.position}",
        description=_describe(card),
        card=card,
        tags=played.summary.tags,
        archived=played.summary.archived,
        former_names=played.summary.former_names,
        picture=_picture(site, played, card),
    )
    if played.record is not None:
        site.folder.write(
            f"holes/{card.name}.json", escape_json(mask_page(dump_record(played.record))).encode()
        )
    if card.has_curve:
        site.folder.write(f"holes/{card.name}.csv", curve_csv(curve_cache.get(played)))
    _write_compared(site, standing, card)
    _write_former(site, played, card, start)
    files = tuple(name for name, _ in site.folder.log[start:])
    predicted = as_data(forecast(site.season, standing))
    points = thin(curve_cache.line(played), SPARK_POINTS)
    line = index.pack_line(index.index_line(card, standing, predicted, points))
    return HolePages(
        name=card.name,
        files=files,
        line=line,
        example=_can_explain(card, played),
        choice=card.choice,
    )


def _write_former(site: Site, played: PlayedHole, card: HoleCard, start: int) -> None:
    """Keep the addresses that a hole had before it was renamed: a page that leads on, and its data again.

    start: where the hole's own files begin in the log of the site.
    """
    written = [name for name, _ in site.folder.log[start:]]
    for former in played.summary.former_names:
        if any(former == hole.name.folder for hole in site.season.holes):
            continue  # another hole has this name now
        for name in written:
            if name.endswith((".json", ".csv")):
                site.folder.copy(name, name.replace(card.name, former))
            elif name.endswith(".html"):
                site.render(
                    "moved.html",
                    name.replace(card.name, former),
                    kind="moved",
                    title=card.title,
                    description=f"{former} is {card.name} now",
                    href=name,
                )


def _can_explain(card: HoleCard, played: PlayedHole) -> bool:
    return bool(card.comparison and played.record and played.record.val_loss)


def _write_compared(site: Site, standing: Standing, card: HoleCard) -> None:
    """Write the hole's compare pages; both curves are on the curve_cache now."""
    for kind in compared_kinds(standing):
        is_story = standing.comparisons[kind].hole is standing.story.hole
        sentence = card.comparison_verdict if is_story else ""
        if pair := build_compare(standing, kind, sentence, site.wording, site.curve_cache):
            title = f"{pair.a_title} against {pair.b_title}"
            site.render(
                "compare.html",
                pair.path,
                kind="compare",
                title=title,
                description=f"{title}: {pair.delta.value} bpb, {pair.delta.word}",
                pair=pair,
            )


def _describe(card: HoleCard) -> str:
    head = (
        f"{card.verdict}, {card.score} bits per byte. "
        if card.results and card.par_delta.value
        else f"{card.verdict}. "
    )
    return head + card.summary


def _picture(site: Site, played: PlayedHole, card: HoleCard) -> str:
    """Return the path of the hole's social picture; draw it only when what it shows has changed."""
    if not site.pictures or played.record is None:
        return "assets/club.png"
    par = card.par_delta
    picture = SocialCard(
        club=site.wording.say("club", "name"),
        position=card.position,
        title=card.title,
        verdict=card.verdict,
        strokes=card.strokes,
        score=card.score,
        label=f"{card.score_label}, {par.value} to par" if par.value else card.score_label,
        line=f"{card.artifact} · {card.tempo} a step · {card.tempo_note}" if played.sample else card.summary,
        curve=thinned(site.curve_cache.line(played)),
    )
    path = f"holes/{card.name}.{picture.key}.png"
    if not site.folder.keep(path):
        site.folder.write(path, draw_picture(picture))
    return path


def write_round(site: Site, task: tuple[index.Round, Sequence[dict[str, Any]]]) -> None:
    """A round's page follows from its rows alone; it is the only one that shows their curves."""
    one = replace(task[0], lines=tuple(index.unpack_line(line, curve=True) for line in task[1]))
    site.render(
        "round.html",
        one.href,
        kind="round",
        title=f"Round {one.number}",
        description=f"Round {one.number}: {one.tally}",
        round=one,
        walk=index.draw_round(one, site.season, site.wording),
        sparks=index.sparks_of(one),
    )


def write_clubhouse(
    site: Site,
    lines: list[index.Line],
    rounds: Sequence[index.Round],
    standings: Sequence[Standing],
    examples: Sequence[bool],
) -> None:
    """Write the pages that show many holes. examples: by hole, whether its card can explain all cards."""
    _write_index(site, lines, rounds, standings)
    copy = site.wording.club
    for name, link in zip(index.course_names_in_order(site.season), site.courses, strict=True):
        board = build_board(site.season, name, lines, site.wording)
        site.render(
            "field.html",
            link.href,
            kind="field",
            title=f"{copy['field']['title']}: {board.title}",
            description=copy["field"]["lead"],
            board=board,
        )
    explaining = [standing for standing, can in zip(standings, examples, strict=True) if can]
    site.render(
        "handbook.html",
        "handbook.html",
        kind="handbook",
        title=copy["handbook"]["title"],
        description=copy["handbook"]["lead"],
        book=build_handbook(
            site.season, site.wording, _scored(standings), explaining[-1].played if explaining else None
        ),
    )
    missing = copy["missing"]
    site.render("404.html", "404.html", kind="missing", title=missing["title"], description=missing["lead"])


def _write_index(
    site: Site, lines: list[index.Line], rounds: Sequence[index.Round], standings: Sequence[Standing]
) -> None:
    shown = index.rounds_on_index(rounds)
    summaries = [
        index.summarise_course(site.season, name, lines, site.wording)
        for name in index.course_names_in_order(site.season)
        if any(line.course == name for line in lines)
    ]
    site.render(
        "index.html",
        "index.html",
        kind="index",
        title=site.wording.club["index"]["title"],
        description=site.wording.club["club"]["description"],
        rounds=shown,
        others=[one for one in rounds if one.number not in {other.number for other in shown}],
        archived=sum(line.archived for line in lines),
        summaries=summaries,
        lesson=next((line for line in reversed(lines) if line.own_lesson), None),
        holes=len(lines),
        claims=count_claims(site.season, standings, site.wording),
        tally=index.tally(lines),
        predictions=_word_calibration(site, lines),
        spent=_word_cost(site),
        in_play=[line for line in lines if line.in_play],
    )


def _word_cost(site: Site) -> str:
    """What all attempts cost together; empty where no rate was given."""
    costs = [hole.summary.cost for hole in site.season.holes if hole.summary.cost is not None]
    if not costs:
        return ""
    attempts = figures.number(sum(hole.summary.attempts for hole in site.season.holes), "attempt")
    return site.wording.fill("note", "spent", cost=figures.money(sum(costs)), attempts=attempts)


def _word_calibration(site: Site, lines: Sequence[index.Line]) -> str:
    """How many sealed predictions held; empty where none was scored."""
    outcomes = [(line.prediction["outcome"], line.prediction["direction_outcome"]) for line in lines]
    text = calibrate(outcomes).text
    return site.wording.fill("prediction", "season", text=text) if text else ""


def _scored(standings: Sequence[Standing]) -> dict[str, Standing]:
    """One scored hole's standing a course, for the course's own numbers."""
    scored: dict[str, Standing] = {}
    for standing in standings:
        played = standing.played
        if played.sample is not None and played.course and standing.comparisons["par"].val_bpb is not None:
            scored.setdefault(played.course, standing)
    return scored


# Feeds --------------------------------------------------------------------------------------------


def write_feeds(site: Site, lines: list[index.Line], standings: Sequence[Standing]) -> None:
    """Write what machines read: Atom and JSON feed, holes.json, robots.txt, sitemap. None holds a build time.

    The sitemap lists every page of the site so far.
    """
    write, base, wording = site.folder.write, site.base, site.wording
    names = sorted(name for name, _ in site.folder.log)
    present = {hole.name.folder for hole in site.season.holes}
    moved = {name for hole in site.season.holes for name in hole.summary.former_names} - present
    pages = [
        name
        for name in names
        if name.endswith(".html")
        and name != "404.html"
        and not name.startswith("assets/")
        and not any(former in name for former in moved)
    ]
    write("feed.xml", mask_page(plain(_atom_feed(lines, wording, base))).encode())
    write("feed.json", mask_page(_json_feed(lines, wording, base)).encode())
    write("holes.json", mask_page(holes_json(site.season, standings, lines)).encode())
    write("robots.txt", _robots(base).encode())
    if base:  # a sitemap holds absolute addresses only
        write("sitemap.xml", _sitemap(pages, base).encode())


def _escape(text: str) -> str:
    return html.escape(text, quote=False)


def _identity(name: str) -> str:
    """A hole's id in feeds: the same wherever the site is served from."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'hole:{name}')}"


def _headline(line: index.Line) -> str:
    """Score and delta in the title: `Hole: 1.4141 (+0.1897 to par), Triple Bogey`."""
    ruling = f" ({line.ruling.lower()})" if line.ruling else ""
    if line.val_bpb is None:
        return f"{line.position}, {line.title}: {line.verdict}{ruling}"
    to_par = f" ({line.to_par.value} to par)" if line.to_par.value else ""
    return f"{line.position}, {line.title}: {line.score}{to_par}, {line.verdict}{ruling}"


def _newest(lines: Sequence[index.Line]) -> list[index.Line]:
    played = [line for line in lines if line.status != "unplayed" and not line.invalid]
    return sorted(played, key=lambda line: (line.updated, line.number), reverse=True)[:NEWEST]


def _atom_feed(lines: Sequence[index.Line], wording: Wording, base: str) -> str:
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
            f"<id>{_identity(line.first_name)}</id>",
            f'<link href="{html.escape(base + line.href)}"/>',
            f"<updated>{line.updated.isoformat()}</updated>",
            f"<summary>{_escape(line.result + '. ' + line.summary)}</summary>",
            "</entry>",
        ]
    return "\n".join([*parts, "</feed>", ""])


def _json_feed(lines: Sequence[index.Line], wording: Wording, base: str) -> str:
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
                    "id": _identity(line.first_name),
                    "url": base + line.href,
                    "title": _headline(line),
                    "content_text": f"{line.result}. {line.summary}",
                    "date_published": line.updated.isoformat(),
                }
                for line in _newest(lines)
            ],
        }
    )


def _sitemap(pages: Sequence[str], base: str) -> str:
    rows = "".join(f"<url><loc>{_escape(base + page)}</loc></url>\n" for page in pages)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        f"{rows}</urlset>\n"
    )


def _robots(base: str) -> str:
    return "User-agent: *\nAllow: /\n" + (f"Sitemap: {base}sitemap.xml\n" if base else "")


def _json(value: object) -> str:
    return escape_json(json.dumps(value, indent=1, ensure_ascii=False)) + "\n"
