"""Watching a run: another process looks at the folder while it fills, and writes nothing."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

from harness.cli.views.line_chart import draw
from harness.cli.views.watched import WatchScreen
from harness.run.watch.watch import AttemptView, AttemptWatcher

LOG = "".join(
    f"step:{step}/100 train_loss:{6 - step / 20:.4f} train_time:{step * 100}ms step_avg:100.00ms\n"
    for step in range(5, 55, 5)
)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def attempt(runs: Path, put_record: Callable[..., Path]) -> Path:
    """A half attempt beside a finished hole."""
    put_record("round_001_base", val_bpb=1.25, steps=100, planned_steps=100)
    (runs / "round_001_base" / "attempt_01" / "curve.jsonl").write_text(
        '{"step": 50, "val_loss": 2.5, "val_bpb": 1.5}\n{"step": 100, "val_loss": 2.1, "val_bpb": 1.25}\n'
    )
    folder = runs / "round_002_next" / "attempt_01"
    folder.mkdir(parents=True)
    (folder / "train.log").write_text(LOG + "\x1b[31mred\x1b[0m\n")
    (folder / "launch.json").write_text(json.dumps(launch()))
    return folder


def launch(**changed: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "hole": "round_002_next",
        "attempt": 1,
        "course": "fineweb",
        "cap_bytes": 16_000_000,
        "split": None,
        "preset": "baseline",
        "overrides": {},
        "seed": 7,
        "started_at": "2026-04-01T12:00:00Z",
        "config": {"ITERATIONS": "100", "TRAIN_BATCH_TOKENS": "2000"},
        "command": [],
        "code": {},
        "data": {},
        "harness": "0",
    } | changed


def put_val(attempt: Path) -> None:
    with (attempt / "train.log").open("a") as log:
        log.write("step:50/100 val_loss:2.4000 val_bpb:1.4500 train_time:5000ms step_avg:100.00ms\n")


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def look(attempt: Path) -> AttemptView:
    return AttemptWatcher(attempt.parents[1], "round_002").read()


def test_a_running_attempt_is_told_as_one_object_and_nothing_is_written(
    attempt: Path, runs: Path, harness: Run
) -> None:
    put_val(attempt)
    with FileLock(attempt / ".lock"):
        before = tree(runs)
        done = harness("watch", "2", "--json")
        after = tree(runs)

    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert (told["state"], told["step"], told["planned"], told["seed"]) == ("playing", 50, 100, 7)
    assert told["step_ms"] == pytest.approx(100)
    assert told["left_seconds"] == pytest.approx(5)
    assert told["tokens_per_second"] == pytest.approx(20_000)
    assert told["par"]["val_bpb"] == 1.2244  # the course's own
    assert told["projection"]["val_bpb"] == pytest.approx(1.45 - (1.5 - 1.25))
    assert "round_001_base" in told["projection"]["why"]
    assert told["last_lines"][-2] == "red"  # without what would colour a terminal
    assert before == after


def test_par_is_the_first_score_of_a_packed_artifact_as_on_the_scorecard(
    attempt: Path, put_record: Callable[..., Path]
) -> None:
    (attempt / "launch.json").write_text(json.dumps(launch(course="practice", split="python 3.12")))
    for hole, stage, val_bpb in (
        ("round_001_early", "pre_quantization", 2.0),
        ("round_001_packed", "round_trip", 2.5),
    ):
        put_record(
            hole,
            course="practice",
            split="python 3.12",
            val_bpb=val_bpb,
            scores=[{"stage": stage, "label": "final", "val_bpb": val_bpb}],
            official={"stage": stage, "label": "final", "why": "the only one"},
        )

    par = look(attempt).par

    assert par is not None
    assert (par.name, par.val_bpb) == ("round_001_packed", 2.5)


def test_a_pipe_gets_plain_lines_and_the_watching_ends_with_the_run(
    attempt: Path, runs: Path, put_record: Callable[..., Path]
) -> None:
    lock = FileLock(attempt / ".lock")
    lock.acquire()
    words = [sys.executable, "-m", "harness", "watch", "2", "--every", "0.1", "--runs", str(runs)]
    watching = subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "FORCE_COLOR": ""}
    )
    assert watching.stdout is not None
    first = [watching.stdout.readline(), watching.stdout.readline()]
    put_val(attempt)
    third = watching.stdout.readline()
    put_record("round_000_x", val_bpb=1.0)  # something else in the season does not matter
    (attempt / "record.json").write_text(
        json.dumps(
            {"schema": 2, "hole": "round_002_next", "course": "fineweb", "status": "ok", "val_bpb": 1.3}
        )
    )
    lock.release()
    rest = watching.communicate(timeout=180)[0]

    assert first[0] == "round_002_next attempt 1, seed 7: playing\n"
    assert "step 50/100" in first[1]
    assert "val_bpb 1.4500 at step 50" in third
    assert "val_bpb 1.3000, +0.0756 to par" in rest
    assert watching.returncode == 0
    assert "\x1b" not in "".join(first) + third + rest


def test_an_attempt_that_nobody_plays_is_shown_with_what_to_do(attempt: Path, harness: Run) -> None:
    done = harness("watch", "2")

    assert done.returncode == 0
    assert "not running, and it has no record" in done.stdout
    assert "`harness resume round_002_next --attempt" in done.stdout


def test_a_finished_attempt_shows_its_end_and_a_failed_one_its_reason(
    attempt: Path, put_record: Callable[..., Path], harness: Run
) -> None:
    put_record("round_003_bad", status="failed", failure={"kind": "nan", "message": "train_loss became nan"})

    assert "ok" in harness("watch", "1", "--once").stdout.splitlines()[0]
    assert "nan: train_loss became nan" in harness("watch", "round_003").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["round_009"], "no hole matches"),
        (["4"], "round_004_empty has no attempt to watch"),
        (["2", "--attempt", "5"], "round_002_next has no attempt 5"),
    ],
)
def test_there_must_be_something_to_watch(
    attempt: Path, runs: Path, harness: Run, words: list[str], said: str
) -> None:
    (runs / "round_004_empty").mkdir()

    done = harness("watch", *words)

    assert done.returncode in (1, 2)
    assert done.stderr.startswith(f"error: {said}") or said in done.stderr


def test_an_unreadable_launch_or_record_does_not_stop_the_watching(attempt: Path) -> None:
    (attempt / "launch.json").write_text("{")
    assert look(attempt).progress.step == 50
    (attempt / "record.json").write_text("{")
    assert look(attempt).state == "finished"


@pytest.mark.parametrize(("width", "height"), [(40, 24), (80, 24), (200, 60), (40, 10)])
def test_the_picture_fits_the_terminal(attempt: Path, width: int, height: int) -> None:
    put_val(attempt)
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)
    with FileLock(attempt / ".lock"):
        console.print(WatchScreen(look(attempt)))

    drawn = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, drawn)) <= width
    assert len(drawn) < max(height, 18)
    assert "projected finish 1.2000" in " ".join(" ".join(drawn).split())
    assert "red" in drawn[-2] or height < 20


def test_a_curve_is_drawn_from_its_top_left_to_its_bottom_right() -> None:
    rows = draw([(float(step), 5 - step / 25) for step in range(100)], 40, 6)

    assert [row[:6] for row in (rows[0], rows[-1])] == ["4.800 ", "1.040 "]
    assert rows[0][6] != "\u2800"
    assert len(rows[-1]) == 40
    assert draw([(1.0, float("nan"))], 40, 6) == []
    assert len(draw([(1.0, 2.0)], 8, 3)) == 3
