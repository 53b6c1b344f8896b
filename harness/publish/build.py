"""`harness publish`: look at what changed, make the pages it concerns, swap the site in whole.

The same runs give the same bytes: on another day, from another folder, made whole or in part.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import HarnessError, UsageError
from harness.publish.folder import SiteFolder
from harness.publish.manifest import (
    EMPTY,
    HoleEntry,
    Manifest,
    Sources,
    digest,
    key_of,
    load_manifest,
    look_at_sources,
    save_manifest,
)
from harness.workers import fork_pool, worker_count

if TYPE_CHECKING:  # records, templates and all: not needed to see that nothing changed
    from harness.publish.pages import Site
    from harness.publish.views.index import Line, Round
    from harness.season.bindings import BoundNotes
    from harness.season.season import Season
    from harness.season.standing import Standing

PAGES_PER_PROCESS = 24  # pages needed to start another process
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class PublishOptions:
    """base_url: where the site will be served, for canonical addresses, feeds and the sitemap.

    theme: a folder whose templates/, assets/ and copy/ win over ours, file by file.
    pictures: draw a social picture for each hole (matplotlib, cached by what it shows).
    live: say whether an attempt without a record is being played right now, which only a preview can know.
    fresh: make every page again, whatever an earlier publish made.
    """

    base_url: str = ""
    theme: Path | None = None
    pictures: bool = True
    live: bool = False
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class PublishReport:
    """written, unchanged: files. problems: what could not be read and was passed over.

    wrong_notes: numbers in notes that the records do not hold, each with what to do. The pages show them as
    they were typed.
    """

    out: Path
    holes: int
    written: int
    unchanged: int
    problems: tuple[str, ...]
    wrong_notes: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()


_DEFAULTS = PublishOptions()


def publish(runs: Path, out: Path, options: PublishOptions = _DEFAULTS) -> PublishReport:
    """Build the site of a season. Broken records are named in the report and passed over.

    Raises HarnessError when `out` holds something else, when it cannot be written, or when a theme is broken;
    the old site then stands as it was.
    """
    _check_apart(runs, out)
    _check_address(options.base_url)
    with _garbage_collection(False), SiteFolder(out) as folder:  # off: a tenth of the time
        known = EMPTY if options.fresh else load_manifest(folder.out)
        shown_by = repr(replace(options, fresh=False))
        sources = look_at_sources(runs, theme=options.theme, live=options.live, options=shown_by)
        if sources.everything and (sources.everything, folder.before) == (known.inputs, known.files):
            folder.leave()
            return PublishReport(
                out=folder.out,
                holes=len(known.holes),
                written=0,
                unchanged=len(known.files),
                problems=known.problems,
                wrong_notes=known.wrong_notes,
            )
        manifest = _fill(runs, folder, options, known, sources)
    save_manifest(folder.out, manifest)
    written = tuple(folder.written)
    return PublishReport(
        out=folder.out,
        holes=len(manifest.holes),
        written=len(written),
        unchanged=len(folder.log) - len(written),
        problems=manifest.problems,
        wrong_notes=manifest.wrong_notes,
        changed=written,
    )


@contextmanager
def _garbage_collection(on: bool) -> Iterator[None]:
    """Switch Python's garbage collection on or off for a while."""
    before = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if before else gc.disable)()


def _check_apart(runs: Path, out: Path) -> None:
    """Refuse a site that would hold its own sources: they would be replaced with it."""
    inside, outside = out.resolve(), runs.resolve()
    if inside == outside or outside.is_relative_to(inside):
        raise UsageError(f"{out} holds the runs themselves", "name another folder with --out DIR")


def _check_address(base_url: str) -> None:
    if base_url and not re.match(r"https?://[^/\s]+", base_url):
        raise UsageError(f'"{base_url}" is not an address', "it looks like https://name.github.io/project")


def _fill(
    runs: Path, folder: SiteFolder, options: PublishOptions, known: Manifest, sources: Sources
) -> Manifest:
    """Fill the new site: carry over what stands, make the rest."""
    from harness.publish import pages
    from harness.publish.views import index
    from harness.publish.views.curve import CurveCache
    from harness.publish.words.wording import load_wording
    from harness.season.season import summarise_season

    wording = load_wording(options.theme)
    season = summarise_season(runs, shown=True)
    site = pages.Site(
        season=season,
        wording=wording,
        pictures=options.pictures,
        live=options.live,
        folder=folder,
        env=pages.make_environment(options.theme),
        base=options.base_url.rstrip("/") + "/" if options.base_url else "",
        courses=index.course_links(season),
        curve_cache=CurveCache(),
    )
    pages.write_assets(folder, options.theme)

    standings = [season.standing(played) for played in season.holes]
    shared = f"{sources.shared} {site.courses}"  # the navigation names the courses
    notes = [_bound_notes(season, one, sources) for one in standings]
    holes = _fill_holes(site, known, _hole_keys(site, sources, shared, standings, notes), standings)
    holes = {name: _mark_claim(one, season.claims.survives(name)) for name, one in holes.items()}
    lines = [index.unpack_line(one.line) for one in holes.values()]
    rounds = index.rounds_of(lines)
    round_keys = _fill_rounds(site, known, holes, rounds, shared)
    pages.write_clubhouse(site, lines, rounds, standings, [one.example for one in holes.values()])
    pages.write_feeds(site, lines, standings)
    return Manifest(
        inputs=sources.everything,
        problems=tuple(dict.fromkeys(season.problems)),
        wrong_notes=tuple((one.message, one.hint) for bound in notes for one in bound.problems),
        holes=holes,
        rounds=round_keys,
        files=folder.contents(),
    )


def _bound_notes(season: Season, standing: Standing, sources: Sources) -> BoundNotes:
    """A hole's notes with the numbers of today's records; nothing is read where there are none."""
    from harness.season.bindings import BoundNotes, bind_notes

    played = standing.played
    mark = sources.marks.text_marks.get(played.name.folder)
    return BoundNotes() if mark and "notes.md" not in mark else bind_notes(season, played)


def _hole_keys(
    site: Site,
    sources: Sources,
    shared: str,
    standings: Sequence[Standing],
    notes: Sequence[BoundNotes],
) -> dict[str, str]:
    """What each hole's files follow from; in the order of play."""
    from harness.publish.views.curve import baseline_hole

    season, keys = site.season, {}
    for standing, bound in zip(standings, notes, strict=True):
        baseline = baseline_hole(season, standing, site.curve_cache)
        keys[standing.played.name.folder] = key_of(shared, sources.marks, season, standing, baseline, bound)
    return keys


@dataclass(frozen=True)
class RoundTask:
    """The holes of a round from the first that cannot be carried over, with their keys in the order of play.

    used: keys of the copy's sentences that the holes before them took.
    """

    standings: tuple[Standing, ...]
    keys: dict[str, str]
    used: frozenset[str]
    known: Manifest


def _fill_holes(
    site: Site, known: Manifest, keys: dict[str, str], standings: Sequence[Standing]
) -> dict[str, HoleEntry]:
    """Carry over the holes whose key is as it was; write the others, those of a round in turn.

    A hole's words depend on those of the holes before it in its round.
    """
    carried: dict[str, HoleEntry] = {}
    tasks: list[RoundTask] = []
    for _, group in groupby(standings, key=lambda standing: standing.played.name.round):
        holes, used = list(group), set[str]()
        while holes:
            name = holes[0].played.name.folder
            entry = _carried(site, known, name, keys[name], used)
            if entry is None:
                tasks.append(RoundTask(tuple(holes), keys, frozenset(used), known))
                break
            carried[name] = entry
            used.update(entry.own)
            del holes[0]
    pages = sum(len(task.standings) for task in tasks)
    made = {name: one for holes in _make(site, _write_holes, tasks, pages) for name, one in holes.items()}
    return {name: carried.get(name) or made[name] for name in keys}


def _write_holes(site: Site, task: RoundTask) -> dict[str, HoleEntry]:
    """Write the holes of a round, and carry over those among them that stay as they were."""
    from harness.publish import pages

    entries: dict[str, HoleEntry] = {}
    used = set(task.used)
    for standing in task.standings:
        name = standing.played.name.folder
        entry = _carried(site, task.known, name, task.keys[name], used)
        if entry is None:
            one = pages.write_hole(site, standing, frozenset(used))
            entry = HoleEntry(
                key=task.keys[name],
                files=one.files,
                line=one.line,
                example=one.example,
                own=one.choice.own,
                passed_over=one.choice.passed_over,
            )
        entries[name] = entry
        used.update(entry.own)
    return entries


def _carried(site: Site, known: Manifest, name: str, key: str, used: set[str]) -> HoleEntry | None:
    """Carry a hole's files over if its key is as it was, and if it would choose the same words."""
    from harness.publish.words.commentary import Choice

    entry = known.holes.get(name)
    if entry is None or not key or entry.key != key:
        return None
    if not Choice(entry.own, entry.passed_over).still_holds(used):
        return None
    return entry if _carry(entry.files, site.folder, known) else None


def _mark_claim(hole: HoleEntry, survives: bool | None) -> HoleEntry:
    """Say in a hole's row whether its claim is lost among those of the whole season."""
    return replace(hole, line=hole.line | {"among_many": survives is False})


def _fill_rounds(
    site: Site, known: Manifest, holes: dict[str, HoleEntry], rounds: Sequence[Round], shared: str
) -> dict[str, str]:
    """Carry over or write the page of each round; return what each follows from."""
    from harness.publish import pages

    def rows(lines: Sequence[Line]) -> list[dict[str, Any]]:
        return [holes[line.name].line for line in lines]

    keys = {one.href: digest([shared, rows(one.lines)]) for one in rounds}
    stale = [
        (one, rows(one.lines))
        for one in rounds
        if known.rounds.get(one.href) != keys[one.href] or not _carry((one.href,), site.folder, known)
    ]
    _make(site, pages.write_round, stale, len(stale))
    return keys


def _carry(files: Sequence[str], folder: SiteFolder, known: Manifest) -> bool:
    """Carry files of the old site over, if they are still those that were written."""
    if any(name not in known.files or folder.before.get(name) != known.files[name] for name in files):
        return False
    return all(folder.keep(name) for name in files)


# Pages, shared among the cores --------------------------------------------------------------------


def _make(
    site: Site, write: Callable[[Site, Task], Result], tasks: Sequence[Task], pages: int
) -> list[Result]:
    """Make the pages of each task, on all cores; return what `write` returns, in order.

    pages: how many all tasks make.
    """
    if not tasks:
        return []
    for name in site.env.list_templates():  # compiled once, before the processes part
        site.env.get_template(name)
    gc.freeze()  # a season of thousands of holes is not searched for garbage with every page
    try:
        with _garbage_collection(True):  # each page leaves some
            (first, _), *others = _share(site, write, tasks, pages)
    finally:
        gc.unfreeze()
    for _, log in others:  # of files that other processes wrote
        site.folder.log += log
    return [*first, *(result for results, _ in others for result in results)]


_Log = list[tuple[str, bool]]


def _share(
    site: Site, write: Callable[[Site, Task], Result], tasks: Sequence[Task], pages: int
) -> list[tuple[list[Result], _Log]]:
    """Make equal slices of `tasks`, the first in this process and each other in a fork of it."""
    count = min(len(tasks), worker_count(pages, PAGES_PER_PROCESS))
    if count == 1:
        return [_make_slice(site, write, tasks)]
    from concurrent.futures import BrokenExecutor

    edges = [len(tasks) * n // count for n in range(count + 1)]
    with fork_pool(count - 1, _set_job, (site, write, tasks)) as pool:
        futures = [pool.submit(_work, start, end) for start, end in pairwise(edges[1:])]
        first = _make_slice(site, write, tasks[: edges[1]])
        try:
            return [first, *(future.result() for future in futures)]
        except BrokenExecutor as error:
            raise HarnessError(
                "a process that made pages was killed", "if memory ran out, free some and run it again"
            ) from error


def _make_slice(
    site: Site, write: Callable[[Site, Task], Result], tasks: Sequence[Task]
) -> tuple[list[Result], _Log]:
    start = len(site.folder.log)
    return [write(site, task) for task in tasks], site.folder.log[start:]


# Of a worker process, set once when it starts. A fork inherits it: pages and their season are never pickled.
_job: tuple[Site, Callable[..., Any], Sequence[Any]]


def _set_job(site: Site, write: Callable[..., Any], tasks: Sequence[Any]) -> None:
    global _job
    _job = (site, write, tasks)


def _work(start: int, end: int) -> tuple[list[Any], _Log]:
    site, write, tasks = _job
    return _make_slice(site, write, tasks[start:end])


__all__ = ["PublishOptions", "PublishReport", "publish"]
