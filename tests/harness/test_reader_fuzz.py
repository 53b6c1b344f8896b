"""Whatever stands in a file of a season: it is read, or a problem names it; quickly, and in little memory.

`pytest tests/harness/test_reader_fuzz.py --hypothesis-profile=long` looks for hours instead of seconds.
"""

from __future__ import annotations

import copy
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.courses.course import load_course
from harness.courses.policy import load_policy
from harness.errors import HarnessError
from harness.field.entries import FieldStore
from harness.field.log_parser import parse_log
from harness.field.submission_file import read_submission
from harness.records.curve import load_curve
from harness.records.intent import load_decisions, load_intent
from harness.records.launch import load_launch
from harness.records.notes import parse_notes, read_notes
from harness.records.prediction import load_seals
from harness.records.record import load_record
from harness.run.bundle.emit import load_bundle
from harness.run.result import read_result
from tests.harness.bad_files import FILES, dump_file, load_file, make_season
from tests.harness.test_bad_files import call

EXAMPLES = settings.default.max_examples  # 100, or those of the profile
pytestmark = pytest.mark.timeout(max(300, EXAMPLES))

# How each kind of file is read; `runs` is the season, `path` the file.
READERS: dict[str, Callable[[Path, Path], object]] = {
    "record": lambda runs, path: load_record(path),
    "curve": lambda runs, path: load_curve(path),
    "launch": lambda runs, path: load_launch(path),
    "intent": lambda runs, path: load_intent(path),
    "notes": lambda runs, path: parse_notes(read_notes(path)).booth_turns(),
    "decision": lambda runs, path: load_decisions(path),
    "prediction": lambda runs, path: load_seals(path),
    "additions": lambda runs, path: load_course("fineweb", runs),
    "leaderboard": lambda runs, path: load_course("fineweb", runs),
    "entry": lambda runs, path: FieldStore(runs).load_field(),
    "entry's record": lambda runs, path: FieldStore(runs).load_field(),
    "course": lambda runs, path: load_course("mine", runs),
    "policy": lambda runs, path: load_policy("own", runs),
}
# Files that are not a season's.
OTHERS: dict[str, Callable[[Path], object]] = {
    "bundle.json": lambda path: load_bundle(path.parent),
    "result.json": read_result,
    "submission.json": read_submission,
    "train.log": parse_log,
}
STRUCTURED = [kind for kind, name in FILES.items() if not name.endswith(".md")]

# What others have been found to write, or could.
ODD: list[Any] = [None, True, "", "x", [], {}, [[]], [None], [1], {"a": 1}, ["a"] * 50]
ODD += [-1, 0, 1, 2**62, 2**63, 2**64, 10**400, "9" * 400, "9" * 5000]
ODD += [1e-320, 1e20, 3.4e38, 1e39, 1e308, -1e308, float("nan"), float("inf"), "nan", "1e308"]
ODD += ["x" * 300_000, "é" * 300, "\x00", "\x1b[31m", "\u202e<b>", "\ud800", "{{ val_bpb }}"]
ODD += ["../../x", "a/b", "/etc/passwd", "round_001_baseline", "field:x", "pr:3"]
ODD += ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
ODD += [functools.reduce(lambda inner, _: [inner], range(40), 1)]


def places(data: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every value."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*place, key)
        yield from places(value, (*place, key))


def change(data: Any, draw: st.DataObject) -> Any:
    """Replace, remove or add one to three values of a document."""

    def odd() -> Any:
        return copy.deepcopy(draw.draw(st.sampled_from(ODD)))

    data = copy.deepcopy(data)
    for _ in range(draw.draw(st.integers(1, 3))):
        *outer, key = draw.draw(st.sampled_from(list(places(data))))
        box = data
        for step in outer:
            box = box[step]
        how = draw.draw(st.sampled_from(["replace", "replace", "scale", "remove", "add"]))
        if how == "remove" and len(box) > 1:
            del box[key]
        elif how == "add" and isinstance(box, dict):
            box[draw.draw(st.sampled_from(["", "x", "schema", "name", "\ud800"]))] = odd()
        elif how == "scale" and type(box[key]) in (int, float) and abs(box[key]) < 1e300:
            box[key] *= draw.draw(st.sampled_from([-1, 0, 1e-300, 1e9, 1e30]))
        else:
            box[key] = odd()
    return data


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("fuzz") / "runs"
    make_season(runs)
    return runs


def with_file(
    season: Path, kind: str, write: Callable[[Path], object], then: Callable[[Path, Path], object]
) -> None:
    """Do something while a file of the season is another one."""
    path = season / FILES[kind]
    before = path.read_bytes()
    try:
        write(path)
        then(season, path)
    finally:
        path.write_bytes(before)


def problem_only(read: Callable[[], object]) -> None:
    """Read; nothing but a named problem may be raised."""
    problem = ""
    with suppress(HarnessError):
        try:
            read()
        except HarnessError as error:
            problem = error.message
            raise

    assert len(problem) < 3_000


quick = settings(deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", STRUCTURED)
@settings(quick, max_examples=EXAMPLES // 2)
@given(draw=st.data())
def test_a_changed_file_is_read_or_named(kind: str, season: Path, draw: st.DataObject) -> None:
    def write(path: Path) -> None:
        dump_file(path, change(load_file(path), draw))

    with_file(season, kind, write, lambda runs, path: problem_only(lambda: READERS[kind](runs, path)))


@pytest.mark.parametrize("kind", READERS)
@settings(quick, max_examples=EXAMPLES // 4)
@given(draw=st.data())
def test_a_damaged_file_is_read_or_named(kind: str, season: Path, draw: st.DataObject) -> None:
    """Cut off, with bytes of another file in it, or with nothing but noise."""

    def write(path: Path) -> None:
        content = path.read_bytes()
        at = draw.draw(st.integers(0, len(content)))
        added = draw.draw(
            st.binary(max_size=20) | st.sampled_from([b"[" * 3000, b"9" * 5000, b"a." * 5000, b'"'])
        )
        path.write_bytes(content[:at] + added + content[at + draw.draw(st.integers(0, 50)) :])

    with_file(season, kind, write, lambda runs, path: problem_only(lambda: READERS[kind](runs, path)))


@pytest.mark.parametrize("name", OTHERS)
@settings(quick, max_examples=EXAMPLES // 2)
@given(
    data=st.sampled_from(ODD)
    | st.dictionaries(st.sampled_from(["schema", "val_bpb", "status", "a"]), st.sampled_from(ODD))
)
def test_other_files_are_read_or_named(
    name: str, data: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    with suppress(ValueError):  # JSON cannot say it
        dump_file(path, data)
        problem_only(lambda: OTHERS[name](path))


@settings(quick, max_examples=EXAMPLES // 4)
@given(draw=st.data())
def test_a_season_is_shown_beside_any_changed_file(season: Path, draw: st.DataObject) -> None:
    kind = draw.draw(st.sampled_from(STRUCTURED))
    os.environ["HARNESS_CACHE"] = str(season.parent / "cache")
    there = ["--runs", str(season)]
    site = season.parent / "site"

    def show(runs: Path, path: Path) -> None:
        assert call(["ls", "--json", "--full", *there]) == 0
        assert call(["brief", *there]) == 0
        assert call(["publish", "--no-pictures", "--out", str(site), *there]) == 0
        assert (site / "holes/round_001_baseline.html").is_file()
        assert call(["compare", "1", "3", *there]) in (0, 13)

    with_file(season, kind, lambda path: dump_file(path, change(load_file(path), draw)), show)
    shutil.rmtree(site)


# Memory -------------------------------------------------------------------------------------------

_GREEDY = """
import resource, sys
from pathlib import Path
from tests.harness.bad_files import FILES, make_season
from tests.harness.test_reader_fuzz import READERS

runs = Path("runs")
make_season(runs)
for kind in READERS:
    READERS[kind](runs, runs / FILES[kind])  # whatever is loaded late
limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for kind, read in READERS.items():
    path = runs / FILES[kind]
    before = path.read_bytes()
    lines = path.suffix == ".jsonl"
    head = b"" if lines else b"a = [" if path.suffix == ".toml" else b"["
    for part in (b"1\\n", b"[],", b'{"step": 1, "a": 2}\\n') if lines else (b"[],", b'"",'):
        for size in (1_900_000, 15_900_000) if lines else (250_000, 1_900_000):
            path.write_bytes(head + part * (size // len(part)) + (b"1\\n" if lines else b"1]"))
            try:
                read(runs, path)
            except Exception as error:
                if "MemoryError" in repr(error):
                    sys.exit(f"{kind} of {size} bytes of {part}: {error}")
    path.write_bytes(before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_greediest_file_takes_less_than_200_mb(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _GREEDY],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )

    assert done.returncode == 0, done.stderr
