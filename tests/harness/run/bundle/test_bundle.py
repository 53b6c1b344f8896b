"""A launch bundle: emitted here, played in a folder that knows nothing of here, taken back as an attempt."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.compare_bytes import file_hashes
from tests.paths import DATA, ROOT
from tests.waiting import wait_for
from trainer.data import HEADER_BYTES, TOKEN_BYTES, write_shard

pytestmark = pytest.mark.slow

SCRIPT = DATA / "script"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The machine where runs are planned: a user's folder with a script in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    for path in SCRIPT.glob("*.py"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def away(tmp_path: Path, home: Path, harness: Run) -> Path:
    """A bundle of the script with two seeds, on the machine where it will be played."""
    words = ("--script", "train_gpt.py", "--title", "Far away", "--seeds", "7,8", "-o", "MATRIX_LR=0.03")
    done = harness("run", "round_003", *words, "--emit", "out/bundle", cwd=home)
    assert done.returncode == 0, done.stderr
    return Path(shutil.copytree(home / "out" / "bundle", tmp_path / "away" / "bundle"))


def clean_env(**extra: str) -> dict[str, str]:
    """A rented machine's environment: nothing of the harness, nothing of this checkout."""
    return {"PATH": os.environ["PATH"], "HOME": "/nowhere", "PYTHON": sys.executable, **extra}


def play_there(bundle: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(bundle / "run.sh"), *words],
        cwd=bundle.parent,
        env=clean_env(**env),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def records(runs: Path, hole: str) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((runs / hole).glob("attempt_*/record.json"))]


HOLE = "round_003_far_away"


def test_a_script_goes_away_and_comes_back_as_attempts_with_their_intent(
    home: Path, away: Path, harness: Run
) -> None:
    played = play_there(away)
    assert played.returncode == 0, played.stderr
    assert "step:40/40" in played.stdout  # the screen shows what the log keeps
    first = harness("import", "--pull", str(away), cwd=home)
    before = file_hashes(home / "runs")
    again = harness("import", "--pull", str(away), cwd=home)

    assert first.returncode == 0, first.stderr
    assert first.stdout.count("added as attempt") == 2
    seven, eight = records(home / "runs", HOLE)
    assert (seven["seed"], eight["seed"], seven["status"]) == (7, 8, "ok")
    assert seven["overrides"] == {"MATRIX_LR": "0.03"}
    assert "matrix_lr:0.03" in (home / "runs" / HOLE / "attempt_01" / "train.log").read_text()
    assert (home / "runs" / HOLE / "attempt_01" / "source" / "pace.py").is_file()
    assert (home / "runs" / HOLE / "attempt_01" / seven["model_file"]).is_file()
    assert seven["artifact_bytes"] == seven["code_bytes"] + seven["model_bytes"]
    assert again.returncode == 0
    assert again.stdout.count("is here already") == 2
    assert file_hashes(home / "runs") == before
    refused = harness("run", HOLE, "--script", "train_gpt.py", "--seed", "7", cwd=home)
    assert refused.returncode == 15  # it was played: over there


# What another machine measures anew, and why nothing else may differ from a run that was played at home.
ANEW = {
    "started_at": "it was played later",
    "ended_at": "it was played later",
    "wall_seconds": "of that machine",
    "step_ms": "of that machine",
    "train_seconds": "of that machine",
    "eval_seconds": "of that machine",
    "environment": "of that machine",
    "scores": "their times are of that machine",
    "command": "it was started by run.sh",
    "provenance": "it names the bundle",
    "attempt": "attempts are numbered where they arrive",
    "code": "git knows nothing of it there",
}


def test_a_record_that_comes_back_is_the_one_of_a_run_at_home(home: Path, away: Path, harness: Run) -> None:
    words = ("--script", "train_gpt.py", "--seeds", "7,8", "-o", "MATRIX_LR=0.03")
    play_there(away)
    harness("import", "--pull", str(away), cwd=home)
    harness("run", "round_004_far_away", *words, "--repeat", cwd=home)

    for there, here in zip(
        records(home / "runs", HOLE), records(home / "runs", "round_004_far_away"), strict=True
    ):
        changed = {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)}
        assert changed - {"hole", "produced"} <= ANEW.keys()
        assert len(here["produced"]) == len(there["produced"])  # a log has another name and times


def test_a_bundle_knows_nothing_of_the_machine_it_comes_from(home: Path, tmp_path: Path, away: Path) -> None:
    said = b"".join(path.read_bytes() for path in away.rglob("*") if path.is_file())

    assert str(tmp_path).encode() not in said
    assert str(ROOT).encode() not in said
    assert json.loads((away / "bundle.json").read_text())["intent"]["script"] == "train_gpt.py"


def test_results_make_the_hole_where_it_is_not_known(away: Path, tmp_path: Path, harness: Run) -> None:
    play_there(away, "--seed", "8")
    done = harness("import", "--pull", str(away), "--runs", "elsewhere/runs")

    assert done.returncode == 0
    assert "seed 7: nothing to take: it was not played" in done.stdout
    assert 'title = "Far away"' in (tmp_path / "elsewhere" / "runs" / HOLE / "round.toml").read_text()


def test_another_code_than_was_launched_is_refused_and_when_forced_said(
    home: Path, away: Path, harness: Run
) -> None:
    with (away / "code" / "pace.py").open("a") as code:
        code.write("\n# quick fix\n")

    refused = play_there(away)
    forced = play_there(away, "--force", "--seed", "7")
    pulled = harness("import", "--pull", str(away), cwd=home)

    assert refused.returncode == 2
    assert "code/pace.py is another file than was launched" in refused.stderr
    assert "--force" in refused.stderr
    assert forced.returncode == 0
    assert "another code ran than was launched" in pulled.stderr
    (record,) = records(home / "runs", HOLE)
    assert any("code/pace.py" in warning for warning in record["warnings"])
    launched = json.loads((away / "bundle.json").read_text())["code"]["source_sha256"]
    assert record["code"]["source_sha256"] != launched


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            lambda there: (there / "result/seed_7/train.log").write_text("cut"),
            "is not the file that was written",
        ),
        (lambda there: (there / "result/seed_7/work/final_model.int8.ptz").unlink(), "is missing"),
        (lambda there: _link(there / "result/seed_7/train.log"), "is a link"),
        (lambda there: _link(there / "result/seed_7/work"), "is a link"),
        (lambda there: _link(there / "result/seed_7"), "is a link"),
        (lambda there: _link(there / "result"), "is a link"),
        (lambda there: _link(there / "code"), "is a link"),
        (lambda there: _link(there / "code/pace.py"), "is a link"),
        (lambda there: _pipe(there / "code/pace.py"), "is a pipe"),
        (lambda there: _pipe(there / "result/seed_7/train.log"), "is a pipe"),
        (lambda there: (there / "code/pace.py").write_text("cut"), "is not the file that was launched"),
        (lambda there: _edit(there / "bundle.json", "cap_bytes", 1), "was changed after it was written"),
        (
            lambda there: _edit(there / "result/seed_7/finish.json", "files", {"../x": "0"}),
            "outside of its folder",
        ),
        (lambda there: (there / "bundle.json").unlink(), "is no launch bundle"),
    ],
)
def test_a_broken_copy_is_told_and_nothing_is_written(
    home: Path, away: Path, harness: Run, damage: Callable[[Path], object], said: str
) -> None:
    play_there(away, "--seed", "7")
    before = file_hashes(home / "runs")
    damage(away)

    done = harness("import", "--pull", str(away), cwd=home)

    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())
    assert file_hashes(home / "runs") == before
    assert not list((home / "runs").rglob("attempt_*"))


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _edit(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))


def test_a_run_that_is_cut_short_ends_with_run_sh_and_is_no_result_yet(
    home: Path, away: Path, harness: Run
) -> None:
    process = subprocess.Popen(
        [sys.executable, "start.py", "--seed", "7"],
        cwd=away,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_env(STEP_SECONDS="0.2"),
    )
    log = away / "result" / "seed_7" / "train.log"
    wait_for(lambda: log.exists() and "train_loss" in log.read_text(), "the first step")
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(child.is_running() for child in started), "the end of what it had started")
    size = log.stat().st_size
    pulled = harness("import", "--pull", str(away), cwd=home)
    after = play_there(away, "--seed", "7")

    assert started
    assert size == (away / "result" / "seed_7.unfinished_1" / "train.log").stat().st_size  # nothing ran on
    assert pulled.returncode == 1
    assert "was cut short" in pulled.stdout
    assert after.returncode == 0


def test_a_log_that_runs_ahead_of_the_screen_is_read_in_pieces(
    home: Path, tmp_path: Path, harness: Run
) -> None:
    noise = "UserWarning: this loop prints for ever\\n"
    (home / "noise.py").write_text(
        "import os\n"
        f"for _ in range(1000): os.write(1, b'{noise}' * 8000)\n"
        "print('that was all', flush=True)\n"
        "open('ended', 'w').close()\n"
    )
    harness("run", "round_004", "--script", "noise.py", "--emit", str(tmp_path / "b"), cwd=home)
    result = tmp_path / "b" / "result"
    wrapped = (
        "import runpy, sys; sys.argv = ['start.py']\n"
        "try: runpy.run_path('start.py', run_name='__main__')\n"
        "finally: print(open('/proc/self/status').read(), file=sys.stderr)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", wrapped],
        cwd=tmp_path / "b",
        stdout=subprocess.PIPE,  # not looked at until the script has ended
        stderr=subprocess.PIPE,
        text=True,
        env=clean_env(),
    )
    wait_for(lambda: list(result.glob("*/work/ended")), "the end of the script")
    out, err = process.communicate()

    assert process.returncode == 0, err
    assert next(result.glob("*/train.log")).stat().st_size > 300_000_000
    assert "that was all" in out
    assert int(err.rpartition("VmHWM:")[2].split()[0]) < 60_000  # KiB


def test_a_failed_run_comes_back_as_what_it_is(home: Path, tmp_path: Path, harness: Run) -> None:
    words = ("--script", "train_gpt.py", "-o", "MISHAP=memory")
    harness("run", "round_004", *words, "--emit", str(tmp_path / "b"), cwd=home)
    played = play_there(tmp_path / "b")
    pulled = harness("import", "--pull", str(tmp_path / "b"), "--json", cwd=home)

    assert played.returncode == 1
    assert json.loads(pulled.stdout)["pulled"][0]["status"] == "failed"
    assert records(home / "runs", "round_004")[0]["failure"]["kind"] == "out_of_memory"


def test_the_data_must_be_what_it_was(home: Path, tmp_path: Path, harness: Run) -> None:
    script = home / "train_gpt.py"
    knobs = (
        'data_path = os.environ.get("DATA_PATH", "./shards")\n'
        '    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./shards/tok.model")\n    table = os'
    )
    script.write_text(script.read_text().replace("table = os", knobs))
    shards = home / "shards"
    shards.mkdir()
    for name, size in {"fineweb_train_000000.bin": 70_000_000, "fineweb_val_000000.bin": 2048}.items():
        write_shard(shards / name, np.zeros((size - HEADER_BYTES) // TOKEN_BYTES, dtype=np.uint16))
    (shards / "tok.model").write_bytes(b"tokenizer")
    bundle = tmp_path / "b"
    done = harness("run", "round_005", "--script", "train_gpt.py", "--emit", str(bundle), cwd=home)
    assert done.returncode == 0, done.stderr
    there = Path(shutil.copytree(shards, tmp_path / "data"))
    places = {"DATA_PATH": str(there), "TOKENIZER_PATH": str(there / "tok.model")}

    nowhere = play_there(bundle, "--check")
    fits = play_there(bundle, "--check", **places)
    (there / "fineweb_val_000000.bin").write_bytes(b"short")
    (there / "tok.model").write_bytes(b"another")
    differs = play_there(bundle, "--check", **places)

    assert (nowhere.returncode, fits.returncode, differs.returncode) == (2, 0, 2)
    assert "has no train shards" in nowhere.stderr
    assert "DATA_PATH=DIR bash run.sh" in nowhere.stderr
    assert "first of another size: fineweb_val_000000.bin" in differs.stderr
    assert "is another tokenizer" in differs.stderr
    assert not (bundle / "result").exists()


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        (["--seed", "9"], {}, "--seed 9 is not in this bundle"),
        ([], {"NPROC": "many"}, "NPROC=many is not a number"),
    ],
)
def test_run_sh_says_what_is_wrong(away: Path, words: list[str], env: dict[str, str], said: str) -> None:
    done = play_there(away, *words, **env)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle_is_not_written_over_something(home: Path, harness: Run) -> None:
    (home / "mine").mkdir()
    (home / "mine" / "precious.txt").write_text("x")

    done = harness("run", "round_009", "--script", "train_gpt.py", "--emit", "mine", cwd=home)

    assert done.returncode == 2
    assert "--emit mine is there already" in done.stderr
    assert not (home / "runs").exists()


def test_our_trainer_goes_away_with_its_data_and_goes_on_from_its_checkpoint(
    tmp_path: Path, harness: Run
) -> None:
    knobs = ("THREADS=1", "ITERATIONS=40", "VAL_LOSS_EVERY=0", "CHECKPOINT_EVERY=5", "TRAIN_LOG_EVERY=1")
    words = [word for knob in knobs for word in ("-o", knob)]
    done = harness("run", "round_001", "--preset", "tiny", *words, "--emit", str(tmp_path / "b"))
    assert done.returncode == 0, done.stderr
    (tmp_path / "b").rename(tmp_path / "there")
    there = tmp_path / "there"
    process = subprocess.Popen(
        ["bash", "run.sh"], cwd=there, env=clean_env(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step:7/"):
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=120)

    stopped = json.loads((there / "result" / "seed_1337" / "finish.json").read_text())
    went_on = play_there(there, NPROC="2")
    pulled = harness("import", "--pull", str(there))

    assert stopped["interrupted"]
    assert went_on.returncode == 0, went_on.stderr
    assert pulled.returncode == 0, pulled.stderr
    (record,) = records(tmp_path / "runs", "round_001")
    assert (record["status"], record["resumes"], record["steps"]) == ("ok", 1, 40)
    assert record["environment"]["world_size"] == 2
    assert "DATA_PATH" not in record["config"]
