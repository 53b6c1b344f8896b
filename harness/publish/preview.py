"""`harness preview`: build, serve, watch the sources, build again, send the news to the open pages.

The site lies in a temporary folder that is deleted at the end; nothing under `runs/` is written, and no error
ends it.
"""

from __future__ import annotations

import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from watchfiles import Change, DefaultFilter, watch

from harness.errors import HarnessError, UsageError
from harness.files import shared_dir
from harness.publish.build import PublishOptions, publish
from harness.publish.serve import News, make_server
from harness.records.store import Store
from harness.season.progress import is_playing

_GATHER_MS = 1000  # changes within this time make one build, for trainers that log often
_LOOK_MS = 5000  # how often attempts are checked for an end, which changes no file


@dataclass(frozen=True)
class Built:
    """One build as it is reported. problems: sentences; failed: the pages are those of an earlier build."""

    changed: int
    seconds: float
    problems: tuple[str, ...]
    failed: bool


def preview_site(out: Path, port: int, ready: Callable[[str], None], hosts: Sequence[str] = ()) -> None:
    """Serve a published folder as it is, until interrupted.

    ready: is called with the address. hosts: see `make_server`.
    """
    with make_server(out, port, hosts=hosts) as server, _stopping():
        ready(server.address)
        server.serve_forever()


def preview_season(
    runs: Path,
    theme: Path | None,
    port: int,
    ready: Callable[[str], None],
    on_build: Callable[[Built], None],
    hosts: Sequence[str] = (),
) -> None:
    """Serve a season from its sources, building again whenever they change, until interrupted.

    hosts: see `make_server`.
    Raises UsageError when there is nothing to watch, HarnessError when the port is taken.
    """
    if not runs.is_dir():
        raise UsageError(
            f"there is no folder {runs}", "play a hole first, or name the season with --runs DIR"
        )
    if theme is not None and not theme.is_dir():
        raise UsageError(
            f"there is no theme in {theme}", "a theme is a folder with templates/, assets/ or copy/"
        )
    with tempfile.TemporaryDirectory(prefix="harness-preview-") as folder, _stopping():
        news, out = News(), Path(folder) / "site"
        with make_server(out, port, news, hosts) as server:
            options = PublishOptions(server.address, theme, pictures=False, live=True)
            on_build(_build(runs, out, options, news))
            Thread(target=server.serve_forever, daemon=True).start()
            ready(server.address)
            for _ in _changes(runs, theme):
                on_build(_build(runs, out, options, news))


def _build(runs: Path, out: Path, options: PublishOptions, news: News) -> Built:
    """Build once and announce it, with whatever went wrong: somebody is editing, and will repair it."""
    began = time.monotonic()
    changed: tuple[str, ...] = ()
    failed = False
    try:
        report = publish(runs, out, options)
        wrong = (f"{message} ({hint})" for message, hint in report.wrong_notes)
        changed, problems = report.changed, (*report.problems, *wrong)
    except HarnessError as error:
        failed, problems = True, (error.message, *([f"hint: {error.hint}"] if error.hint else []))
    except Exception as error:  # a theme's template can raise anything; the cause is shown
        failed, problems = True, (*traceback.format_exception(error)[-2:],)
    news.announce(changed, problems)
    return Built(len(changed), time.monotonic() - began, problems, failed)


def _changes(runs: Path, theme: Path | None) -> Iterator[None]:
    """Yield whenever a source changed, or an attempt started or ended."""
    places = [runs, shared_dir("templates"), shared_dir("site"), *([theme] if theme else [])]
    playing = _playing(runs)
    for changes in watch(
        *places,
        watch_filter=_WatchedSources(),
        debounce=_GATHER_MS,
        rust_timeout=_LOOK_MS,
        yield_on_timeout=True,
    ):
        before, playing = playing, _playing(runs)
        if changes or playing != before:
            yield


class _WatchedSources(DefaultFilter):
    """Leaves out what no page is made from: locks, half-written files, weights."""

    def __call__(self, change: Change, path: str) -> bool:
        name = Path(path).name
        left_out = name.startswith((".", "model.", "checkpoint")) or name.endswith((".tmp", "~"))
        return not left_out and super().__call__(change, path)


def _playing(runs: Path) -> frozenset[Path]:
    newest = [attempts[-1] for _, attempts in Store(runs).load_all() if attempts]
    return frozenset(
        attempt.path for attempt in newest if not attempt.record_path.is_file() and is_playing(attempt)
    )


class _stopping:
    """Ends the block quietly on Ctrl-C and on the system's request to end alike."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGTERM, signal.default_int_handler)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        signal.signal(signal.SIGTERM, self._before)
        return kind is not None and issubclass(kind, KeyboardInterrupt)
