"""The story of `harness publish`: registry -> cards -> templates -> files, swapped in as a whole.

The same runs give the same bytes, on another day and from another folder too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from harness.errors import HarnessError, UsageError
from harness.publish import boards, feed
from harness.publish.cards import HoleCard, build_card, compared_kinds
from harness.publish.charts import thin
from harness.publish.compare import build_compare
from harness.publish.curves import Shelf, curve_csv
from harness.publish.folder import SiteFolder
from harness.publish.leaderboard import build_board
from harness.publish.pictures import Picture, draw_picture, thinned
from harness.publish.rounds import draw_round, rounds_of, rounds_on_index, sparks_of, tally
from harness.publish.wording import Wording, load_wording
from harness.record import dump_record
from harness.registry import Played, Season, Standing, load_season
from harness.resources import shared_dir

SPARK_POINTS = 24  # stretches of the small curves on a round's page, two points each


@dataclass(frozen=True)
class PublishOptions:
    """base_url: where the site will be served, for canonical addresses, feeds and the sitemap.

    theme: a folder whose templates/, assets/ and copy/ win over ours, file by file.
    pictures: draw a social picture for each hole (matplotlib, cached by what it shows).
    live: say whether an attempt without a record is being played at this moment, which only a preview can know.
    """

    base_url: str = ""
    theme: Path | None = None
    pictures: bool = True
    live: bool = False


@dataclass(frozen=True)
class PublishReport:
    """written, unchanged: files. problems: what could not be read and was passed over."""

    out: Path
    holes: int
    written: int
    unchanged: int
    problems: tuple[str, ...]
    changed: tuple[str, ...] = ()


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


@dataclass
class _Site:
    """The pass over a season: what is at hand while pages are made."""

    season: Season
    wording: Wording
    options: PublishOptions
    folder: SiteFolder
    env: Environment
    base: str
    courses: list[boards.Link] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)

    def render(self, template: str, path: str, kind: str, title: str, description: str, **view: Any) -> None:
        """Write one page."""
        picture = view.pop("picture", "assets/club.png")
        root = "../" * path.count("/")
        page = Page(
            path, kind, title, description, (self.base or root) + picture,
            canonical=self.base + path if self.base else "",
            # It is served at any depth, so its links need a base; all others are right as they are.
            base=urlsplit(self.base).path if kind == "missing" else "",
        )  # fmt: skip
        try:
            html = self.env.get_template(template).render(
                page=page, root=root, club=self.wording.club, courses=self.courses, **view
            )
        except TemplateError as error:
            raise HarnessError(
                f"template {template} failed on {path}: {error}", "check the theme's templates against ours"
            ) from error
        self.folder.write(path, html.encode("utf-8", "replace"))
        if kind != "missing":
            self.pages.append(path)


def publish(runs: Path, out: Path, options: PublishOptions = PublishOptions()) -> PublishReport:
    """Build the site of a season. Broken records are named in the report and passed over.

    Raises HarnessError when `out` holds something else, when it cannot be written, or when a theme is broken;
    the old site then stands as it was.
    """
    _check_apart(runs, out)
    _check_address(options.base_url)
    wording = load_wording(options.theme)
    season = load_season(runs)
    base = options.base_url.rstrip("/") + "/" if options.base_url else ""
    with SiteFolder(out) as folder:
        site = _Site(
            season, wording, options, folder, _environment(options.theme), base, boards.course_links(season)
        )
        _write_assets(folder, options.theme)
        lines, standings, example = _write_holes(site)
        _write_clubhouse(site, lines, standings, example)
        _write_feeds(site, lines)
    problems = tuple(dict.fromkeys(season.problems))
    return PublishReport(
        folder.out, len(lines), len(folder.written), folder.unchanged, problems, tuple(folder.written)
    )


def _check_apart(runs: Path, out: Path) -> None:
    """A site that swallowed its own sources would be swapped away with them."""
    inside, outside = out.resolve(), runs.resolve()
    if inside == outside or outside.is_relative_to(inside):
        raise HarnessError(f"{out} holds the runs themselves", "name another folder with --out DIR")


def _check_address(base_url: str) -> None:
    if base_url and not re.match(r"https?://[^/\s]+", base_url):
        raise UsageError(f'"{base_url}" is not an address', "it looks like https://name.github.io/project")


def _environment(theme: Path | None) -> Environment:
    folders = [*([theme / "templates"] if theme else []), shared_dir("templates")]
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )


def _write_assets(folder: SiteFolder, theme: Path | None) -> None:
    found: dict[str, Path] = {}
    for place in (shared_dir("site") / "assets", *([theme / "assets"] if theme else [])):
        found |= {path.relative_to(place).as_posix(): path for path in place.rglob("*") if path.is_file()}
    for name in sorted(found):
        folder.write(f"assets/{name}", found[name].read_bytes())
    folder.write(".nojekyll", b"")


def _write_holes(site: _Site) -> tuple[list[boards.Line], dict[str, Standing], HoleCard | None]:
    """Write each hole's page with its record and its curve; return what the other pages need of them."""
    shelf = Shelf()
    lines: list[boards.Line] = []
    standings: dict[str, Standing] = {}
    example: HoleCard | None = None
    for played in site.season.holes:
        standing = site.season.standing(played)
        card = build_card(site.season, standing, site.wording, shelf, site.options.live)
        line = boards.index_line(card, standing, thin(shelf.line(played), SPARK_POINTS))
        path = f"holes/{card.file}"
        site.render(
            "hole.html", path, "hole", f"{card.title}, {card.position}", _describe(card),
            card=card, picture=_picture(site, played, card, shelf),
        )  # fmt: skip
        if played.record is not None:
            site.folder.write(f"holes/{card.name}.json", dump_record(played.record).encode())
        if card.has_curve:
            site.folder.write(f"holes/{card.name}.csv", curve_csv(shelf.get(played)).encode())
        _write_compared(site, standing, card, shelf)
        lines.append(line)
        if played.sample is not None and played.course and standing.comparisons["par"].val_bpb is not None:
            standings.setdefault(played.course, standing)
        if card.comparison and played.record and played.record.val_loss:
            example = card
    return lines, standings, example


def _write_compared(site: _Site, standing: Standing, card: HoleCard, shelf: Shelf) -> None:
    """Write the hole's compare pages; both curves are at hand now."""
    for kind in compared_kinds(standing):
        if pair := build_compare(standing, kind, card, site.wording, shelf):
            title = f"{pair.a_title} against {pair.b_title}"
            site.render(
                "compare.html",
                pair.path,
                "compare",
                title,
                f"{title}: {pair.delta.value} bpb, {pair.delta.word}",
                pair=pair,
            )


def _describe(card: HoleCard) -> str:
    head = (
        f"{card.verdict}, {card.score} bits per byte. "
        if card.results and card.par_delta.value
        else f"{card.verdict}. "
    )
    return head + card.summary


def _picture(site: _Site, played: Played, card: HoleCard, shelf: Shelf) -> str:
    """Return the path of the hole's social picture; draw it only when what it shows has changed."""
    if not site.options.pictures or played.record is None:
        return "assets/club.png"
    par = card.par_delta
    picture = Picture(
        site.wording.say("club", "name"), card.position, card.title, card.verdict, card.strokes, card.score,
        f"{card.score_label}, {par.value} to par" if par.value else card.score_label,
        f"{card.artifact} · {card.tempo} a step · {card.tempo_note}" if played.sample else card.summary,
        thinned(shelf.line(played)),
    )  # fmt: skip
    path = f"holes/{card.name}.{picture.key}.png"
    if not site.folder.keep(path):
        site.folder.write(path, draw_picture(picture))
    return path


def _write_clubhouse(
    site: _Site, lines: list[boards.Line], standings: dict[str, Standing], example: HoleCard | None
) -> None:
    """The pages that show many holes."""
    copy = site.wording.club
    rounds = rounds_of(lines)
    summaries = [
        boards.summarise_course(site.season, name, lines, site.wording)
        for name in boards.course_names_in_order(site.season)
        if any(line.course == name for line in lines)
    ]
    shown = rounds_on_index(rounds)
    lesson = next((line for line in reversed(lines) if line.own_lesson), None)
    site.render(
        "index.html", "index.html", "index", copy["index"]["title"], copy["club"]["description"],
        rounds=shown, others=rounds[len(shown) :], summaries=summaries, lesson=lesson, holes=len(lines),
        tally=tally(lines), in_play=[line for line in lines if line.in_play],
    )  # fmt: skip
    for one in rounds:
        site.render(
            "round.html",
            one.href,
            "round",
            f"Round {one.number}",
            f"Round {one.number}: {one.tally}",
            round=one,
            walk=draw_round(one, site.season, site.wording),
            sparks=sparks_of(one),
        )
    for name, link in zip(boards.course_names_in_order(site.season), site.courses, strict=True):
        board = build_board(site.season, name, lines, site.wording)
        title = f"{copy['field']['title']}: {board.title}"
        site.render("field.html", link.href, "field", title, copy["field"]["lead"], board=board)
    handbook = boards.build_handbook(site.season, site.wording, standings, example)
    site.render(
        "handbook.html",
        "handbook.html",
        "handbook",
        copy["handbook"]["title"],
        copy["handbook"]["lead"],
        book=handbook,
    )
    site.render("404.html", "404.html", "missing", copy["missing"]["title"], copy["missing"]["lead"])


def _write_feeds(site: _Site, lines: list[boards.Line]) -> None:
    write, base, wording = site.folder.write, site.base, site.wording
    write("feed.xml", feed.atom_feed(lines, wording, base).encode())
    write("feed.json", feed.json_feed(lines, wording, base).encode())
    write("holes.json", feed.season_json(lines).encode())
    write("robots.txt", feed.robots(base).encode())
    if base:  # a sitemap holds absolute addresses only
        write("sitemap.xml", feed.sitemap(site.pages, base).encode())


__all__ = ["PublishOptions", "PublishReport", "publish"]
