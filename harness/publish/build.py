"""The story of `harness publish`: look at what changed, make the pages that it concerns, swap the site in whole.

The same runs give the same bytes: on another day, from another folder, and whether all was made or only a part.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.errors import HarnessError, UsageError
from harness.forked import share
from harness.publish.folder import SiteFolder
from harness.publish.manifest import (
    NOTHING,
    Kept,
    Manifest,
    Marks,
    digest,
    hash_inputs,
    hash_world,
    key_of,
    load_manifest,
    mark_field,
    mark_holes,
    save_manifest,
)
from harness.publish.options import PublishOptions, PublishReport
from harness.records.names import hole_names

if TYPE_CHECKING:  # records, templates and all: not needed to see that nothing changed
    from harness.publish.pages import Site
    from harness.season.season import Standing

FORK_WORTHY = 24  # pages for a process of their own
Task = TypeVar("Task")
Result = TypeVar("Result")
_DEFAULTS = PublishOptions()


def publish(runs: Path, out: Path, options: PublishOptions = _DEFAULTS) -> PublishReport:
    """Build the site of a season. Broken records are named in the report and passed over.

    Raises HarnessError when `out` holds something else, when it cannot be written, or when a theme is broken;
    the old site then stands as it was.
    """
    _check_apart(runs, out)
    _check_address(options.base_url)
    with _collecting(False), SiteFolder(out) as folder:  # a tenth of the time, for next to nothing
        known = NOTHING if options.fresh else load_manifest(folder.out)
        world = hash_world(runs, replace(options, fresh=False))
        marks = mark_holes(runs, hole_names(runs), options.live)
        inputs = hash_inputs(world, mark_field(runs), marks)
        if inputs and (inputs, folder.before) == (known.inputs, known.files):
            folder.leave()
            return PublishReport(folder.out, len(known.holes), 0, len(known.files), known.problems)
        manifest = _fill(runs, folder, options, known, marks, world, inputs)
    save_manifest(folder.out, manifest)
    written = tuple(folder.written)
    return PublishReport(
        folder.out,
        len(manifest.holes),
        len(written),
        len(folder.log) - len(written),
        manifest.problems,
        written,
    )


@contextmanager
def _collecting(on: bool) -> Iterator[None]:
    """Look for garbage, or do not, for a while."""
    before = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if before else gc.disable)()


def _check_apart(runs: Path, out: Path) -> None:
    """A site that swallowed its own sources would be swapped away with them."""
    inside, outside = out.resolve(), runs.resolve()
    if inside == outside or outside.is_relative_to(inside):
        raise HarnessError(f"{out} holds the runs themselves", "name another folder with --out DIR")


def _check_address(base_url: str) -> None:
    if base_url and not re.match(r"https?://[^/\s]+", base_url):
        raise UsageError(f'"{base_url}" is not an address', "it looks like https://name.github.io/project")


def _fill(
    runs: Path,
    folder: SiteFolder,
    options: PublishOptions,
    known: Manifest,
    marks: Marks,
    world: str,
    inputs: str,
) -> Manifest:
    """Fill the new site: carry over what stands, make the rest."""
    from harness.publish import pages
    from harness.publish.views import index
    from harness.publish.views.curve import Shelf
    from harness.publish.views.round import rounds_of
    from harness.publish.words.wording import load_wording
    from harness.season.season import summarise_season

    wording = load_wording(options.theme)
    season = summarise_season(runs)
    base = options.base_url.rstrip("/") + "/" if options.base_url else ""
    courses = index.course_links(season)
    site = pages.Site(
        season, wording, options, folder, pages.make_environment(options.theme), base, courses, Shelf()
    )
    pages.write_assets(folder, options.theme)

    standings = [season.standing(played) for played in season.holes]
    world = f"{world} {courses}"  # the navigation names the courses
    keys = _keys(site, marks, world, standings)
    kept = {
        name: one
        for name, one in known.holes.items()
        if one.key == keys.get(name) and one.key and _carry(one.files, folder, known)
    }
    missing = [one for one in standings if one.played.name.folder not in kept]
    made = {one.name: one for one in _make(site, pages.write_hole, missing)}
    holes = {
        name: kept[name] if name in kept else Kept(key, made[name].files, made[name].line, made[name].example)
        for name, key in keys.items()
    }

    lines = [index.unpack_line(one.line) for one in holes.values()]
    rounds = rounds_of(lines)
    round_keys = {one.href: digest([world, [holes[line.name].line for line in one.lines]]) for one in rounds}
    stale = [
        (one, [holes[line.name].line for line in one.lines])
        for one in rounds
        if known.rounds.get(one.href) != round_keys[one.href] or not _carry((one.href,), folder, known)
    ]
    _make(site, pages.write_round, stale)
    pages.write_clubhouse(site, lines, rounds, standings, [one.example for one in holes.values()])
    pages.write_feeds(site, lines)
    return Manifest(inputs, tuple(dict.fromkeys(season.problems)), holes, round_keys, folder.contents())


def _keys(site: Site, marks: Marks, world: str, standings: Sequence[Standing]) -> dict[str, str]:
    """What each hole's files follow from; in the order of play."""
    from harness.publish.views.curve import baseline_hole

    season, keys = site.season, {}
    for standing in standings:
        baseline = baseline_hole(season, standing, site.shelf)
        keys[standing.played.name.folder] = key_of(world, marks, season, standing, baseline)
    return keys


def _carry(files: Sequence[str], folder: SiteFolder, known: Manifest) -> bool:
    """Carry files of the old site over, if they are still those that were written."""
    if any(name not in known.files or folder.before.get(name) != known.files[name] for name in files):
        return False
    return all(folder.keep(name) for name in files)


def _make(site: Site, write: Callable[[Site, Task], Result], tasks: Sequence[Task]) -> list[Result]:
    """Make pages, shared among the cores."""

    def work(part: Sequence[Task]) -> tuple[list[Result], list[tuple[str, bool]]]:
        start = len(site.folder.log)
        return [write(site, task) for task in part], site.folder.log[start:]

    if tasks:
        for name in site.env.list_templates():  # compiled once, before the processes part
            site.env.get_template(name)
    gc.freeze()  # a season of thousands of holes need not be looked through for every page
    try:
        with _collecting(True):  # each page leaves something behind
            first, *others = share(work, tasks, fewest=FORK_WORTHY)
    finally:
        gc.unfreeze()
    for _, log in others:  # of files that other processes wrote
        site.folder.log += log
    return [one for made, _ in (first, *others) for one in made]


__all__ = ["PublishOptions", "PublishReport", "publish"]
