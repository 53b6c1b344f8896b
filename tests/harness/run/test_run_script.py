"""`harness run --script` from the outside: a script of one's own gets what the built-in trainer gets."""

import base64
import fcntl
import json
import lzma
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import termios

import pytest

from harness.run import processes
from tests.paths import DATA, ROOT
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

SCRIPT = DATA / "script"
PARITY = SCRIPT.parent / "parity"


@pytest.fixture
def script(tmp_path):
    """The script and its local module, in a folder where a user works."""
    for path in SCRIPT.glob("*.py"):
        shutil.copy(path, tmp_path)
    return tmp_path / "train_gpt.py"


@pytest.fixture
def play(harness, script):
    def call(hole, *words, **options):
        return harness("run", hole, "--script", "train_gpt.py", *words, **options)

    return call


def start(tmp_path, *words):
    """Start `harness run` without waiting for it."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *words],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1"},
    )


def attempt_of(tmp_path, hole="round_007", number=1):
    return tmp_path / "runs" / hole / f"attempt_{number:02d}"


def record_of(tmp_path, hole="round_007", number=1):
    return json.loads((attempt_of(tmp_path, hole, number) / "record.json").read_text())


def steps_logged(tmp_path, hole="round_007"):
    log = attempt_of(tmp_path, hole) / "train.log"
    return log.read_text().count("train_loss:") if log.exists() else 0


def test_script_gets_a_record_a_card_and_a_folder_of_its_own(play, script, tmp_path):
    done = play("round_007", "-o", "MATRIX_LR=0.03", "-o", "USE_EMA=yes", "-o", "TIE_EMBEDDINGS=off")

    assert done.returncode == 0, done.stderr
    record, attempt = record_of(tmp_path), attempt_of(tmp_path)
    assert record["status"] == "ok"
    assert (record["split"], record["code"]["trainer"], record["seed"]) == ("current", "train_gpt.py", 1337)
    assert record["overrides"] == {"MATRIX_LR": "0.03", "USE_EMA": "true", "TIE_EMBEDDINGS": "false"}
    log = (attempt / "train.log").read_text()
    assert "matrix_lr:0.03 tie_embeddings:False use_ema:True" in log
    sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.py")}
    assert record["code_bytes"] == sizes["train_gpt.py"] + sizes["pace.py"]
    assert record["artifact_bytes"] == record["code_bytes"] + record["model_bytes"]
    assert (attempt / record["model_file"]).stat().st_size == record["model_bytes"]
    assert "final_model.pt" in record["produced"]
    assert (attempt / "source" / "pace.py").read_bytes() == (tmp_path / "pace.py").read_bytes()
    points = [json.loads(line) for line in (attempt / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points if "val_bpb" in point] == [0, 20, 40]
    assert sum("train_loss" in point for point in points) == 40
    assert f"{record['val_bpb']:.4f}" in done.stdout
    assert "step:40/40" in done.stderr
    assert not (tmp_path / "logs").exists()
    assert not (tmp_path / "final_model.pt").exists()


def test_script_of_round_toml_runs_without_being_named(play, harness, tmp_path):
    assert play("round_007").returncode == 0

    more = harness("run", "round_007", "--seeds", "42,7", "--json")

    assert more.returncode == 0, more.stderr
    assert set(json.loads(more.stdout)["seeds"]) == {7, 42, 1337}
    assert record_of(tmp_path, number=2)["seed"] == 42


def test_same_script_again_is_a_duplicate_until_its_module_changes(play, tmp_path):
    assert play("round_001").returncode == 0
    again = play("round_002")
    module = tmp_path / "pace.py"
    module.write_text(module.read_text().replace("2.0 + 5.0", "2.1 + 5.0"))
    changed = play("round_002", "--parent", "round_001")

    assert (again.returncode, changed.returncode) == (15, 0)
    assert "round_001 attempt 1" in again.stderr


def test_code_diff_to_the_parent_is_shown(play, harness, tmp_path):
    assert play("round_001").returncode == 0
    module = tmp_path / "pace.py"
    module.write_text(module.read_text().replace("2.0 + 5.0", "2.1 + 5.0"))
    assert play("round_002", "--parent", "round_001").returncode == 0

    shown = harness("show", "2", "--diff")
    alone = harness("show", "1", "--diff")

    assert "-    return 2.0 + 5.0" in shown.stdout
    assert "+    return 2.1 + 5.0" in shown.stdout
    assert "names no parent" in alone.stdout


def test_edit_during_the_run_changes_nothing(script, tmp_path):
    process = start(tmp_path, "round_007", "--script", "train_gpt.py", "-o", "STEP_SECONDS=0.02")
    wait_for(lambda: steps_logged(tmp_path) > 3)
    script.write_text("raise SystemExit('edited')\n")
    _, errors = process.communicate(timeout=180)

    assert process.returncode == 0, errors
    assert "def main" in (attempt_of(tmp_path) / "source" / "train_gpt.py").read_text()


def test_relative_path_of_a_knob_is_found_from_the_run_folder(play, tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "a.txt").write_text("found me")

    assert play("round_007", "-o", "TABLE_PATH=tables/a.txt").returncode == 0

    assert "table: found me" in (attempt_of(tmp_path) / "train.log").read_text()
    assert record_of(tmp_path)["config"]["TABLE_PATH"] == "tables/a.txt"


def test_variable_of_the_shell_does_not_reach_the_script(play, tmp_path):
    assert play("round_007", env={"MATRIX_LR": "0.5", "ITERATIONS": "3"}).returncode == 0

    assert record_of(tmp_path)["steps"] == 40


@pytest.mark.parametrize(
    ("words", "code", "said", "hint"),
    [
        (["-o", "MATRIX_RL=0.03"], 2, "MATRIX_RL=0.03", "MATRIX_LR"),
        (["-o", "MATRIX_LR=fast"], 2, "train_gpt.py line", "MATRIX_LR=0.04"),
        (["-o", "ITERATIONS=2.5"], 2, "whole number", ""),
        (["-o", "USE_EMA=maybe"], 2, "yes/no", "true or false"),
        (["-o", "MATRIX_LR"], 2, "KEY=VALUE", "MATRIX_LR=0.03"),
        (["--preset", "tiny"], 2, "--preset tiny", "-o"),
        (["--course", "practice"], 2, "DATA_PATH", "--course"),
        (["--launcher", "torchrn"], 2, "torchrn", "torchrun"),
        (["--nproc", "2", "--launcher", "python"], 2, "--nproc 2", "torchrun"),
        (["--abort", "val_bpb@1000"], 2, "val_bpb@1000", "val_bpb@1000>1.45"),
        (["--abort", "loss>3"], 2, "loss", "train_loss"),
        (["--max-cost", "1"], 2, "--max-cost 1", "--rate"),
        (["--seed", "7", "-o", "SEED=8"], 2, "twice", ""),
    ],
)
def test_wrong_input_is_named_before_anything_is_written(words, code, said, hint, play, tmp_path):
    done = play("round_007", *words)

    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert hint in done.stderr.split("hint:")[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_missing_script_is_named(harness, tmp_path):
    done = harness("run", "round_007", "--script", "train.py")

    assert done.returncode == 2
    assert "--script train.py does not exist" in done.stderr


def test_the_hint_for_an_unread_override_names_the_script_to_look_into(play, harness):
    done = play("round_007", "-o", "NEW_KNOB=3")

    assert done.returncode == 2
    advice = re.search("`harness (knobs .+?)`", done.stderr)[1]
    assert harness(*shlex.split(advice)).returncode == 0


def test_unread_override_can_be_insisted_on(play, tmp_path):
    done = play("round_007", "-o", "NEW_KNOB=3", "--allow-unread")

    assert done.returncode == 0
    assert "NEW_KNOB=3 is unchecked" in done.stderr
    assert record_of(tmp_path)["overrides"] == {"NEW_KNOB": "3"}


@pytest.mark.parametrize(
    ("mishap", "kind", "message"),
    [
        ("nan", "nan", "train_loss became nan"),
        ("memory", "out_of_memory", "CUDA out of memory"),
        ("module", "missing_module", "flash_attn_9000"),
        ("data", "missing_data", "…/fineweb_val_000000.bin"),
        ("kill", "killed", "SIGKILL"),
        ("quiet", "no_result", "without a score"),
        ("assert", "error", "AssertionError: seq_len must be a multiple of 128"),
    ],
)
def test_failure_is_named_with_its_last_lines_and_a_hint(mishap, kind, message, play, harness, tmp_path):
    done = play("round_007", "-o", f"MISHAP={mishap}", "-o", "STEP_SECONDS=0.02")

    assert done.returncode == 10, done.stderr
    record = record_of(tmp_path)
    assert (record["status"], record["failure"]["kind"]) == ("failed", kind)
    assert message in record["failure"]["message"]
    assert record["failure"]["step"] >= 7 or kind == "nan"
    why = harness("show", "7", "--why").stdout
    assert "hint:" in why
    assert "step:7/40" in why or kind == "nan"
    assert (attempt_of(tmp_path) / "curve.jsonl").exists()


def test_progress_bars_and_colours_do_not_harm_the_log_or_the_last_lines(play, tmp_path):
    assert play("round_007", "-o", "MISHAP=bar").returncode == 0

    log = (attempt_of(tmp_path) / "train.log").read_bytes()
    assert b"\x1b[32m100%" in log
    assert record_of(tmp_path)["steps"] == 40


def test_abort_rule_stops_the_run_and_stands_in_the_record(play, tmp_path):
    done = play("round_007", "-o", "STEP_SECONDS=0.05", "-o", "ITERATIONS=2000", "--abort", "val_bpb@15>1.45")

    assert done.returncode == 16, done.stderr
    record = record_of(tmp_path)
    assert (record["status"], record["failure"]["kind"]) == ("stopped", "aborted")
    assert "at step 20 (--abort 'val_bpb@15>1.45')" in record["failure"]["message"]
    assert 20 <= record["steps"] < 2000


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (["-o", "ITERATIONS=2000", "--timeout", "1.5"], "timeout", 11),
        (["-o", "ITERATIONS=2000", "--max-cost", "0.001", "--rate", "3"], "budget", 14),
        (["-o", "MISHAP=hang", "--stall", "1"], "stalled", 16),
        (["-o", "ITERATIONS=2000", "--slow", "10"], "slow", 16),
    ],
)
def test_limits_stop_the_run_with_the_reason_in_the_record(words, kind, code, play, tmp_path):
    done = play("round_007", "-o", "STEP_SECONDS=0.06", *words)

    assert done.returncode == code, done.stderr
    assert record_of(tmp_path)["failure"]["kind"] == kind
    assert record_of(tmp_path)["steps"] > 0


def test_run_that_cannot_be_paid_for_is_refused(script, harness, tmp_path):
    script.write_text(
        script.read_text().replace(
            "class Hyperparameters:\n",
            'class Hyperparameters:\n    cap = float(os.environ.get("MAX_WALLCLOCK_SECONDS", 600))\n',
        )
    )

    done = harness("run", "1", "--script", "train_gpt.py", "--max-cost", "0.10", "--rate", "24")

    assert done.returncode == 14
    assert "cost 4.00 at 24 an hour" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_interrupt_once_stops_with_a_record(script, tmp_path):
    process = start(tmp_path, "round_007", "--script", "train_gpt.py", "-o", "STEP_SECONDS=0.1")
    wait_for(lambda: steps_logged(tmp_path) > 3)

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)

    assert process.returncode == 130
    record = record_of(tmp_path)
    assert (record["status"], record["failure"]["kind"]) == ("stopped", "interrupted")
    assert record["steps"] >= 3


def test_interrupt_twice_kills_a_script_that_does_not_listen(script, tmp_path):
    deaf = "import signal\nsignal.signal(signal.SIGINT, lambda *_: print('heard', flush=True))\n"
    script.write_text(deaf + script.read_text())
    process = start(
        tmp_path, "round_007", "--script", "train_gpt.py", "-o", "STEP_SECONDS=0.5", "-o", "ITERATIONS=2000"
    )
    wait_for(lambda: steps_logged(tmp_path) > 1)

    process.send_signal(signal.SIGINT)
    wait_for(lambda: "heard" in (attempt_of(tmp_path) / "train.log").read_text())
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)

    assert process.returncode == 130
    assert record_of(tmp_path)["failure"]["kind"] == "interrupted"
    assert processes.members(str(attempt_of(tmp_path).resolve())) == []


def test_two_runs_at_once_on_one_hole_are_two_attempts(script, tmp_path):
    words = ("round_007", "--script", "train_gpt.py", "-o", "STEP_SECONDS=0.02")
    both = [start(tmp_path, *words, "--seed", str(seed)) for seed in (1, 2)]
    for process in both:
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors

    records = [record_of(tmp_path, number=number) for number in (1, 2)]
    assert {record["seed"] for record in records} == {1, 2}
    assert all(len(record["produced"]) == 3 for record in records)


def test_attempt_whose_harness_was_killed_is_salvaged_from_its_log(script, harness, tmp_path):
    process = start(tmp_path, "round_007", "--script", "train_gpt.py", "-o", "STEP_SECONDS=0.05")
    wait_for(lambda: steps_logged(tmp_path) > 5)

    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not processes.members(str(attempt_of(tmp_path).resolve())))

    assert not (attempt_of(tmp_path) / "record.json").exists()
    noticed = harness("ls")
    assert "round_007 attempt 1" in noticed.stderr
    assert "harness resume round_007" in noticed.stderr
    printed = steps_logged(tmp_path)
    salvaged = harness("resume", "round_007")
    assert salvaged.returncode == 10, salvaged.stderr
    record = record_of(tmp_path)
    assert (record["status"], record["failure"]["kind"]) == ("failed", "killed")
    assert record["steps"] == printed
    assert "attempt 1" not in harness("ls").stderr


def test_child_goes_on_without_the_harness_when_it_may(script, harness, tmp_path):
    """The script stays in its tenth step until the test lets it go on."""
    wait = f"while step == 9 and not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.02)"
    held = script.read_text().replace("        time.sleep(args.step_seconds)\n", f"        {wait}\n")
    assert wait in held
    script.write_text(held)
    process = start(
        tmp_path,
        "round_007",
        "--script",
        "train_gpt.py",
        "--outlive",
    )
    wait_for(lambda: steps_logged(tmp_path) > 3)
    process.send_signal(signal.SIGKILL)
    process.wait()

    early = harness("resume", "round_007")
    assert early.returncode == 1
    assert "still running" in early.stderr
    (tmp_path / "go").touch()
    wait_for(lambda: not processes.members(str(attempt_of(tmp_path).resolve())))
    assert harness("resume", "round_007").returncode == 0
    assert record_of(tmp_path)["status"] == "ok"


def test_commands_of_the_readme_do_what_they_say(script, harness, tmp_path):
    readme = (ROOT / "README.md").read_text()
    section = readme.split("## Your own train_gpt.py")[1].split("## ")[0]
    commands = [line for line in section.split("```")[1].splitlines() if line.startswith("harness ")]

    assert len(commands) == 5
    for command in commands:
        done = harness(*shlex.split(command)[1:])
        assert done.returncode == 0, (command, done.stderr)


def add_data_knobs(script):
    """Let the script read where its data lies, as those of the field do."""
    script.write_text(
        script.read_text().replace(
            "class Hyperparameters:\n",
            "class Hyperparameters:\n"
            '    data_path = os.environ.get("DATA_PATH", "./data/shards")\n'
            '    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./data/tokens.model")\n'
            '    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))\n',
        )
    )


def test_data_of_a_script_is_checked_and_fingerprinted(script, play, tmp_path):
    add_data_knobs(script)
    missing = play("round_007")
    assert missing.returncode == 1
    assert "DATA_PATH=./data/shards does not exist" in missing.stderr
    assert "-o DATA_PATH=PATH" in missing.stderr
    assert not (tmp_path / "runs").exists()

    shutil.copytree(PARITY, tmp_path / "data" / "shards")
    shutil.copy(PARITY / "stdlib_1024_bpe.model", tmp_path / "data" / "tokens.model")
    done = play("round_007", "-o", "VOCAB_SIZE=2048")
    assert done.returncode == 0, done.stderr
    assert "VOCAB_SIZE=2048, but tokens.model has 1024 pieces" in done.stderr
    data = record_of(tmp_path)["data"]
    assert {"train_fingerprint", "val_sha256", "tokenizer_sha256"} <= set(data)
    assert play("round_008", "-o", "VOCAB_SIZE=2048").returncode == 15


def test_script_with_data_knobs_plays_the_practice_course(script, play, tmp_path, tmp_path_factory):
    add_data_knobs(script)

    done = play("round_007", "--course", "practice", timeout=600)

    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path)
    assert record["course"] == "practice"
    assert record["split"].startswith("py3")
    assert record["data"]["yardsticks"]["zlib-9"] > 1


DATA_FOLDER = """
import glob, os
class H:
    data_dir = os.environ.get("DATA_DIR", "./data/")
    vocab_size = int(os.environ.get("VOCAB_SIZE", "1024"))
    folder = os.path.join(data_dir, "datasets", f"fineweb10B_sp{vocab_size}")
    tokenizer_path = os.path.join(data_dir, "tokenizers", f"fineweb_{vocab_size}_bpe.model")
train = glob.glob(os.path.join(H.folder, "fineweb_train_*.bin"))
val = glob.glob(os.path.join(H.folder, "fineweb_val_*.bin"))
print("found", bool(train), bool(val), os.path.isfile(H.tokenizer_path))
print("step:1/1 val_loss:1.7000 val_bpb:1.3000 train_time:200ms step_avg:100.00ms")
open("final_model.int8.ptz", "wb").write(b"x" * 1000)
print("final_int8_zlib_roundtrip_exact val_loss:1.70000000 val_bpb:1.30000000")
"""


def test_data_below_a_folder_is_worked_out_checked_and_fingerprinted(script, play, tmp_path):
    script.write_text(DATA_FOLDER)
    missing = play("round_007", "-o", "DATA_DIR=there", "--dry-run")
    assert missing.returncode == 1
    assert "DATA_DIR=there does not exist" in missing.stderr
    (tmp_path / "there").mkdir()
    missing = play("round_007", "-o", "DATA_DIR=there", "-o", "VOCAB_SIZE=4096", "--dry-run")
    assert missing.returncode == 1
    assert "there/datasets/fineweb10B_sp4096 does not exist" in missing.stderr
    assert "works it out from DATA_DIR=" in missing.stderr

    shutil.copytree(PARITY, tmp_path / "there/datasets/fineweb10B_sp1024")
    (tmp_path / "there/tokenizers").mkdir()
    shutil.copy(PARITY / "stdlib_1024_bpe.model", tmp_path / "there/tokenizers/fineweb_1024_bpe.model")
    done = play("round_007", "-o", "DATA_DIR=there")
    assert done.returncode == 0, done.stderr
    assert "found True True True" in (attempt_of(tmp_path) / "train.log").read_text()
    assert {"train_fingerprint", "val_sha256", "tokenizer_sha256"} <= set(record_of(tmp_path)["data"])


def test_course_with_its_own_data_is_given_to_a_script_that_takes_one_folder(script, play, tmp_path):
    script.write_text(DATA_FOLDER)

    done = play("round_007", "--course", "practice", timeout=600)

    assert done.returncode == 0, done.stderr
    assert "found True True True" in (attempt_of(tmp_path) / "train.log").read_text()
    assert record_of(tmp_path)["split"].startswith("py3")


def test_full_disk_is_a_clear_error_and_leaves_no_half_record(script, harness, tmp_path):
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        hog = disk / "hog"
        with hog.open("wb") as file:
            file.write(b"\0" * (8 << 20))
        refused = harness("run", "1", "--script", "train_gpt.py", "--runs", "small/runs")
        hog.unlink()
        script.write_text(script.read_text().replace('b"\\0" * 20000', 'b"\\0" * (30 << 20)'))
        filled = harness("run", "1", "--script", "train_gpt.py", "--runs", "small/runs")

        assert refused.returncode == 1
        assert "free some space" in refused.stderr
        assert filled.returncode in (1, 10)
        assert "Traceback" not in filled.stderr
        record = disk / "runs" / "round_001" / "attempt_01" / "record.json"
        if record.exists():
            assert json.loads(record.read_text())["failure"]["kind"] == "disk_full"
        assert not list(disk.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", disk], check=True)


def test_random_kills_lose_nothing(tmp_path):
    """A few rounds of `benchmarks/kills.py`."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.kills", "6", "3"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_several_processes_are_started_by_torchrun(play, tmp_path):
    done = play("round_007", "--nproc", "2")

    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path)
    assert record["environment"]["world_size"] == 2
    assert record["steps"] == 40
    assert "--nproc 2" in " ".join(record["command"])


def test_failure_of_a_torchrun_worker_is_named(play, tmp_path):
    done = play("round_007", "--nproc", "2", "-o", "MISHAP=memory")

    assert done.returncode == 10
    assert record_of(tmp_path)["failure"]["kind"] == "out_of_memory"


def test_an_error_behind_ranks_is_named_without_them(harness, tmp_path):
    lines = ["Traceback (most recent call last):", "  File 3, in main", "ValueError: heads differ"]
    text = "".join(f"[rank{rank}]: {line}\n" for rank in (0, 1) for line in lines)
    (tmp_path / "own.py").write_text(f"import sys\nsys.stderr.write({text!r})\nsys.exit(1)\n")

    done = harness("run", "round_007", "--script", "own.py")

    assert done.returncode == 10
    failure = record_of(tmp_path)["failure"]
    assert (failure["kind"], failure["message"]) == ("error", "ValueError: heads differ")
    assert "ValueError: heads differ" in done.stderr + done.stdout


def test_a_run_without_a_score_names_the_nearest_line_and_what_is_read(harness, tmp_path):
    (tmp_path / "own.py").write_text("print('loss 3.1')\nprint('rate: 1.2345 bits per byte')\nprint('bye')\n")

    done = harness("run", "round_007", "--script", "own.py")

    assert done.returncode == 10
    assert "closest is line 2: rate: 1.2345 bits per byte" in record_of(tmp_path)["failure"]["message"]
    assert "`val_bpb: 1.2244`" in " ".join((done.stdout + done.stderr).replace("│", " ").split())


def test_a_script_that_ends_with_a_summary_has_a_score(harness, tmp_path):
    (tmp_path / "own.py").write_text(
        "for step in range(4):\n"
        "    print(f'\\rstep {step:05d} ({step}.0%) | loss: {5 - step:.6f} | remaining: 1s   ', end='')\n"
        "print('\\n---\\nval_bpb:          1.512345\\ntraining_seconds: 12.5\\nnum_steps:        8')\n"
    )

    done = harness("run", "round_007", "--script", "own.py")

    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path)
    assert (record["val_bpb"], record["steps"], record["train_seconds"]) == (1.512345, 8, 12.5)
    assert "trained weights" in record["official"]["why"]


@pytest.mark.parametrize(("reached", "score"), [(20, 1.72), (10, None)])
def test_a_script_that_ends_with_the_validation_of_its_last_step_has_a_score(
    reached, score, harness, tmp_path
):
    (tmp_path / "own.py").write_text(
        f"for step in range({reached}):\n"
        "    print(f'step {step:05d}/00020 ({step}.00%) | loss: {5 - step / 10:.6f} | dt: 50.00ms')\n"
        f"print('Step {reached:05d} | Validation bpb: 1.7200')\n"
    )

    done = harness("run", "round_007", "--script", "own.py")

    assert done.returncode == (0 if score else 10), done.stderr
    assert record_of(tmp_path).get("val_bpb") == score


def test_packed_script_is_checked_and_played(script, play, tmp_path):
    blob = base64.b85encode(lzma.compress(script.read_bytes())).decode()
    script.write_text(f"import lzma,base64\nexec(lzma.decompress(base64.b85decode({blob!r})))\n")

    refused = play("round_007", "-o", "MATRIX_RL=1")
    done = play("round_007", "-o", "MATRIX_LR=0.03")

    assert refused.returncode == 2
    assert "MATRIX_LR" in refused.stderr
    assert done.returncode == 0, done.stderr
    record = record_of(tmp_path)
    assert record["code_bytes"] == script.stat().st_size + (tmp_path / "pace.py").stat().st_size


def test_page_shows_a_script_like_any_other_run(play, harness, tmp_path):
    assert play("round_007", "-o", "MATRIX_LR=0.03", "--title", "My Own").returncode == 0

    done = harness("publish", "--out", "site")

    assert done.returncode == 0, done.stderr
    page = tmp_path / "site" / "holes" / "round_007_my_own.html"
    assert "--script train_gpt.py" in page.read_text()


def test_link_out_of_the_season_is_not_written_through(script, play, harness, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "round_007").symlink_to(outside)
    refused = play("round_007")

    assert play("round_001", "-o", "MISHAP=quiet").returncode == 10
    log = attempt_of(tmp_path, "round_001") / "train.log"
    log.unlink()
    log.symlink_to(outside / "log")
    (log.parent / "record.json").unlink()
    resumed = harness("resume", "round_001")

    assert (refused.returncode, resumed.returncode) == (1, 1)
    assert "is a link to" in refused.stderr
    assert "train.log is a link to" in resumed.stderr
    assert list(outside.iterdir()) == []


def test_closed_terminal_ends_neither_the_run_nor_the_next_seed(script, tmp_path):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "harness",
            "run",
            "round_007",
            "--script",
            "train_gpt.py",
            "--seeds",
            "1,2",
            "-o",
            "STEP_SECONDS=0.05",
        ],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    seen = b""
    while b"loss" not in seen:  # the live view draws
        seen += os.read(ours, 4096)

    os.close(ours)
    process.wait(timeout=180)

    assert [record_of(tmp_path, number=number)["status"] for number in (1, 2)] == ["ok", "ok"]


def test_script_over_the_cap_is_recorded_with_its_own_exit_code(script, play, tmp_path):
    courses = tmp_path / "runs" / "courses"
    courses.mkdir(parents=True)
    shipped = ROOT / "harness" / "data" / "courses" / "fineweb.toml"
    (courses / "fineweb.toml").write_text(shipped.read_text().replace("16_000_000", "9_000"))

    done = play("round_007")

    assert done.returncode == 12, done.stderr
    assert record_of(tmp_path)["status"] == "over_cap"
    assert "OVER THE CAP" in done.stdout


def test_size_is_weighed_where_the_log_prints_none(script, play, tmp_path):
    text = script.read_text()
    script.write_text(
        "\n".join(line for line in text.splitlines() if "int8+zlib: {len(blob)" not in line) + "\n"
    )

    assert play("round_007").returncode == 0

    record = record_of(tmp_path)
    assert record["model_bytes"] == (attempt_of(tmp_path) / "work" / "final_model.int8.ptz").stat().st_size
    assert record["model_file"] == "work/final_model.int8.ptz"


def test_override_that_the_script_shows_otherwise_is_told(script, play, tmp_path):
    script.write_text(script.read_text().replace('"MATRIX_LR", 0.04))', '"MATRIX_LR", 0.04)) * 2'))

    done = play("round_007", "-o", "MATRIX_LR=0.03")

    assert "override MATRIX_LR=0.03, but the script says it has 0.06" in done.stderr
