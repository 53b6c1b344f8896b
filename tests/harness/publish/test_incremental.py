"""A publish that makes only what changed leaves the same files and bytes as one that makes everything."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.season import write_season
from harness import cache
from harness.errors import HarnessError
from harness.publish import build, manifest, pages
from harness.publish.build import PublishOptions, publish
from tests.compare_bytes import file_hashes
from tests.paths import DATA, ROOT

SEASON = DATA / "season"
FIELD = ROOT / "runs" / "field"
BASE = "https://example.org/golf"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fate of a hole, two courses, parents, several seeds, an imported field; and a theme."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copytree(SEASON, folder / "runs")
    write_season(folder / "more", holes=8, attempts=2, points=30)
    for hole in (folder / "more").iterdir():
        number = int(hole.name.split("_")[1]) + 30
        hole.rename(folder / "runs" / f"round_{number:03d}_{hole.name.split('_', 2)[2]}")
    (folder / "theme" / "copy").mkdir(parents=True)
    (folder / "theme" / "templates").mkdir()
    (folder / "theme" / "assets").mkdir()
    return folder


@pytest.fixture
def place(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy with a cache of its own, its files taken for old ones."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(manifest, "SETTLED_NS", 0)
    monkeypatch.setattr(cache, "SETTLED_NS", 0)
    for name in ("runs", "theme"):
        shutil.copytree(source / name, tmp_path / name)
    return tmp_path


def options(place: Path, **more: bool) -> PublishOptions:
    return PublishOptions(base_url=BASE, theme=place / "theme", pictures=False, **more)


def made_whole(place: Path) -> dict[str, str]:
    shutil.rmtree(place / "whole", ignore_errors=True)
    publish(place / "runs", place / "whole", options(place, fresh=True))
    return file_hashes(place / "whole")


def hole(place: Path, start: str) -> Path:
    return next((place / "runs").glob(f"{start}*"))


def edit_json(path: Path, **fields: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def edit_record(place: Path) -> None:
    edit_json(hole(place, "round_006") / "attempt_01" / "record.json", steps=1299)


def edit_best(place: Path) -> None:
    """A score that changes whom later holes are compared with."""
    edit_json(hole(place, "round_005") / "attempt_01" / "record.json", val_bpb=1.2)


def break_record(place: Path) -> None:
    (hole(place, "round_007") / "attempt_02" / "record.json").write_text("{")


def edit_curve(place: Path) -> None:
    path = hole(place, "round_005") / "attempt_01" / "curve.jsonl"
    path.write_text(path.read_text().replace('"train_loss": 2.', '"train_loss": 3.', 3))


def edit_baseline_curve(place: Path) -> None:
    """Every page of the course draws it."""
    path = hole(place, "round_001") / "attempt_01" / "curve.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[::2]))


def train_on(place: Path) -> None:
    """A hole that is being played logs more."""
    path = hole(place, "round_008") / "attempt_01" / "curve.jsonl"
    path.write_text(path.read_text() + '\n{"step": 610, "train_loss": 2.6, "train_time_ms": 140910}\n')


def edit_notes(place: Path) -> None:
    (hole(place, "round_006") / "notes.md").write_text("## Post-Round Lesson\n\nCount the clubs.\n")


def delete_notes(place: Path) -> None:
    (hole(place, "round_006") / "notes.md").unlink(missing_ok=True)


def rename_title(place: Path) -> None:
    """Neighbours, children and those it was compared with show it."""
    (hole(place, "round_005") / "round.toml").write_text('title = "Otherwise"\nstrategy = "schedule"\n')


def make_reference(place: Path) -> None:
    path = hole(place, "round_033") / "round.toml"
    path.write_text(path.read_text().replace("strategy = ", 'strategy = "reference" # '))


def decide_invalid(place: Path) -> None:
    taken = {"decision": "invalid", "reason": "r", "who": "w", "when": "2026-03-18T09:00:00Z"}
    path = hole(place, "round_019") / "decision.json"
    path.write_text(json.dumps({"schema": 1, "history": [taken]}))


def add_hole(place: Path) -> None:
    shutil.copytree(hole(place, "round_006"), place / "runs" / "round_018_between", dirs_exist_ok=True)


def add_unplayed(place: Path) -> None:
    (place / "runs" / "round_040_idea").mkdir(exist_ok=True)


def add_attempt(place: Path) -> None:
    there = hole(place, "round_034")
    shutil.copytree(there / "attempt_01", there / "attempt_09", dirs_exist_ok=True)


def delete_hole(place: Path) -> None:
    for found in (place / "runs").glob("round_005*"):
        shutil.rmtree(found)
    (place / "runs" / "round_005_more_swings").mkdir()  # later edits may look for it
    (place / "runs" / "round_005_more_swings" / "attempt_01").mkdir()
    for name in ("record.json", "curve.jsonl"):
        shutil.copy(
            SEASON / "round_001_baseline" / "attempt_01" / name,
            place / "runs" / "round_005_more_swings" / "attempt_01" / name,
        )


def drop_last(place: Path) -> None:
    shutil.rmtree(hole(place, "round_038"), ignore_errors=True) if list(
        (place / "runs").glob("round_038*")
    ) else None


def import_entry(place: Path) -> None:
    """Somebody else's practice round: the field of another course appears in the navigation's order."""
    shutil.copytree(
        FIELD / "2026-03-17_NaiveBaseline",
        place / "runs" / "field" / "2026-03-17_NaiveBaseline",
        dirs_exist_ok=True,
    )


def add_reference(place: Path) -> None:
    (place / "runs" / "field.toml").write_text(
        '[[reference]]\ncourse = "fineweb"\nname = "Ours elsewhere"\nval_bpb = 1.21\n'
        'date = 2026-03-18\nsource = "us"\n'
    )


def change_template(place: Path) -> None:
    ours = (build_templates() / "hole.html").read_text()
    (place / "theme" / "templates" / "hole.html").write_text(ours.replace("<article", "<article lang='en'"))


def change_copy(place: Path) -> None:
    (place / "theme" / "copy" / "club.toml").write_text('[club]\nname = "Muni Links"\n')


def change_asset(place: Path) -> None:
    (place / "theme" / "assets" / "club.css").write_text("body { color: green }\n")


def build_templates() -> Path:
    return pages.shared_dir("templates")


def touch_everything(place: Path) -> None:
    for path in (place / "runs").rglob("*"):
        os.utime(path)


def spoil_page(place: Path) -> None:
    """Somebody edited a published page by hand."""
    (place / "site" / "holes" / "round_006_fp16embed.html").write_text("mine now")


def lose_page(place: Path) -> None:
    (place / "site" / "compare" / "round_006_fp16embed.html").unlink(missing_ok=True)


def stray_file(place: Path) -> None:
    (place / "site" / "stray.html").write_text("who put this here")


EDITS = [
    edit_record,
    edit_best,
    break_record,
    edit_curve,
    edit_baseline_curve,
    train_on,
    edit_notes,
    delete_notes,
    rename_title,
    make_reference,
    decide_invalid,
    add_hole,
    add_unplayed,
    add_attempt,
    delete_hole,
    drop_last,
    import_entry,
    add_reference,
    change_template,
    change_copy,
    change_asset,
    touch_everything,
    spoil_page,
    lose_page,
    stray_file,
]


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
def test_site_after_an_edit_is_the_site_made_whole(edit: Callable[[Path], None], place: Path) -> None:
    publish(place / "runs", place / "site", options(place))

    edit(place)
    report = publish(place / "runs", place / "site", options(place))

    whole = made_whole(place)
    assert file_hashes(place / "site") == whole
    assert report.written + report.unchanged == len(whole)


@pytest.mark.slow
@given(edits=st.lists(st.sampled_from(EDITS), min_size=2, max_size=6))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_edits_in_any_order_give_the_site_made_whole(
    edits: list[Callable[[Path], None]], place: Path, source: Path
) -> None:
    for name in ("runs", "theme"):
        shutil.rmtree(place / name)
        shutil.copytree(source / name, place / name)
    publish(place / "runs", place / "site", options(place))
    for edit in edits:
        edit(place)
        publish(place / "runs", place / "site", options(place))

        assert file_hashes(place / "site") == made_whole(place)


def test_a_few_edits_give_the_site_made_whole(place: Path) -> None:
    publish(place / "runs", place / "site", options(place))
    for edit in (edit_record, rename_title, spoil_page):
        edit(place)
        publish(place / "runs", place / "site", options(place))
    assert file_hashes(place / "site") == made_whole(place)


def test_nothing_changed_makes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_record(place)
    first = publish(place / "runs", place / "site", options(place))
    inode = (place / "site").stat().st_ino
    monkeypatch.setattr(build, "_fill", None)

    second = publish(place / "runs", place / "site", options(place))

    assert (second.written, second.unchanged) == (0, first.written)
    assert "round_007" in " ".join(first.problems)
    assert second.problems == first.problems
    assert (place / "site").stat().st_ino == inode


def test_only_the_pages_that_a_change_concerns_are_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(place / "runs", place / "site", options(place))
    made = []
    write_hole = pages.write_hole
    monkeypatch.setattr(
        pages,
        "write_hole",
        lambda site, s, used: made.append(s.played.name.folder) or write_hole(site, s, used),
    )

    edit_notes(place)
    publish(place / "runs", place / "site", options(place))

    assert made == ["round_006_fp16embed"]


def test_other_options_make_the_pages_again(place: Path) -> None:
    publish(place / "runs", place / "site", options(place))
    publish(place / "runs", place / "site", PublishOptions(pictures=False))

    publish(place / "runs", place / "whole", PublishOptions(pictures=False, fresh=True))

    assert file_hashes(place / "site") == file_hashes(place / "whole")


def test_several_processes_make_the_same_site(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(place / "runs", place / "site", options(place, fresh=True))
    monkeypatch.setattr(build, "PAGES_PER_PROCESS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})

    report = publish(place / "runs", place / "shared", options(place, fresh=True))

    assert file_hashes(place / "shared") == file_hashes(place / "site")
    assert report.written == len(file_hashes(place / "site"))


def test_broken_template_in_a_process_leaves_the_old_site(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(place / "runs", place / "site", options(place))
    before = file_hashes(place / "site")
    monkeypatch.setattr(build, "PAGES_PER_PROCESS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    (place / "theme" / "templates" / "compare.html").write_text("{{ nothing.like.this }}")

    with pytest.raises(HarnessError, match=r"template compare\.html failed"):
        publish(place / "runs", place / "site", options(place))

    assert file_hashes(place / "site") == before
    assert not list(place.glob(".site*"))


def test_killed_process_leaves_the_old_site(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(place / "runs", place / "site", options(place))
    before = file_hashes(place / "site")
    here, write_hole = os.getpid(), pages.write_hole
    monkeypatch.setattr(build, "PAGES_PER_PROCESS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    monkeypatch.setattr(
        pages,
        "write_hole",
        lambda site, standing, used: (
            write_hole(site, standing, used) if os.getpid() == here else os.kill(os.getpid(), signal.SIGKILL)
        ),
    )

    with pytest.raises(HarnessError, match="killed"):
        publish(place / "runs", place / "site", options(place, fresh=True))

    assert file_hashes(place / "site") == before
    assert not list(place.glob(".site*"))


def test_a_hole_that_appears_while_a_site_is_made_is_on_it_and_on_the_next(place, monkeypatch):
    look = build.look_at_sources

    def look_and_add(*args: object, **words: object) -> manifest.Sources:
        sources = look(*args, **words)  # type: ignore[arg-type]
        shutil.copytree(place / "runs" / "round_001_baseline", place / "runs" / "round_077_late")
        return sources

    with monkeypatch.context() as patch:
        patch.setattr(build, "look_at_sources", look_and_add)
        publish(place / "runs", place / "site", options(place))
    first = (place / "site" / "index.html").read_text()
    publish(place / "runs", place / "site", options(place))

    assert "round_077_late" in first
    assert file_hashes(place / "site") == made_whole(place)


def test_two_publishes_into_one_new_folder_both_succeed(place):
    words = ("publish", "--runs", "runs", "--out", "site", "--no-pictures")
    command = (sys.executable, "-m", "harness", *words)

    both = [subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate()[1] for process in both]

    assert [process.returncode for process in both] == [0] * 4, errors
    assert sorted(path.name for path in place.iterdir() if path.name[:1] == ".") == []


def test_a_file_where_the_field_should_lie_stops_no_site(runs, put_record, tmp_path):
    put_record("round_001_base", val_bpb=1.3)
    (runs / "field").write_text("no folder")

    publish(runs, tmp_path / "site", PublishOptions(pictures=False))

    assert (tmp_path / "site" / "holes" / "round_001_base.html").is_file()
