"""`harness submit` from the outside: the folder it writes, the script that reproduces the record, what it
refuses."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from tests.compare_bytes import assert_same

pytestmark = pytest.mark.slow

TINY = ("--preset", "tiny", "-o", "THREADS=1")
WHO = ("--author", "Ann Club", "--github-id", "ann")
TRAIN_LINE = re.compile(r"step:(\d+)/\d+ train_loss:(\S+) ")
CHANGED = (
    "TIE_EMBEDDINGS=0",
    "ATTENTION=sdpa",
    "GRAD_CLIP_NORM=1.0",
    "WARMUP_STEPS=2",
    "EVAL_STRIDE=64",
    "COMPRESSOR=lzma",
    "ITERATIONS=8",
    "VAL_LOSS_EVERY=0",
    "GPTQ_ENABLED=1",
    "INT8_KEEP_FLOAT_MAX_NUMEL=1000",
)


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    """A hole of two seeds, and one of another configuration."""
    folder = tmp_path_factory.mktemp("season")
    env = {**os.environ, "HARNESS_CACHE": str(folder / "cache"), "NO_COLOR": "1", "COLUMNS": "160"}

    def call(*words, **options):
        return subprocess.run(
            [sys.executable, "-m", "harness", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=env,
            **options,
        )

    plain = call("run", "round_001", *TINY, "--seeds", "42,7", "--title", "Two | Putts")
    changed = call("run", "round_002", *TINY, *(word for c in CHANGED for word in ("-o", c)))
    assert (plain.returncode, changed.returncode) == (0, 0), plain.stderr + changed.stderr
    call.folder = folder
    return call


def attempt(season, hole, number=1):
    return next(season.folder.glob(f"runs/{hole}*/attempt_{number:02d}"))


def record(season, hole, number=1):
    return json.loads((attempt(season, hole, number) / "record.json").read_text())


def run_script(folder, season, seed):
    """Start the written script as a stranger would: nothing of this project on the path."""
    data = json.loads((attempt(season, "round_001") / "launch.json").read_text())["config"]
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env |= {name: data[name] for name in ("DATA_PATH", "TOKENIZER_PATH")} | {"SEED": str(seed)}
    done = subprocess.run(
        [sys.executable, "-I", "train_gpt.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def number(pattern, text):
    return int(re.findall(pattern, text)[-1])


@pytest.mark.parametrize(("hole", "seeds"), [("round_001", (42, 7)), ("round_002", (1337,))])
def test_written_script_alone_gives_the_very_same_record(hole, seeds, season, tmp_path):
    out = tmp_path / "out"
    done = season("submit", hole, "--track", "10min", "--write", str(out), *WHO)
    assert done.returncode == 0, done.stdout + done.stderr
    submission = json.loads((out / "submission.json").read_text())
    script = out / "train_gpt.py"
    assert script.stat().st_size < 45_000
    assert "trainer" not in (out / "requirements.txt").read_text()

    for index, seed in enumerate(seeds, start=1):
        empty = tmp_path / f"empty_{seed}"
        empty.mkdir()
        (empty / "train_gpt.py").write_bytes(script.read_bytes())
        printed = run_script(empty, season, seed)
        played = record(season, hole, index)
        logged = (attempt(season, hole, index) / "train.log").read_text()

        label = played["official"]["label"]
        assert f"{label} val_loss:{played['val_loss']:.8f} val_bpb:{played['val_bpb']:.8f}" in printed
        assert_same(TRAIN_LINE.findall(printed), TRAIN_LINE.findall(logged))
        model = attempt(season, hole, index) / played["model_file"]
        assert_same((empty / played["model_file"]).read_bytes(), model.read_bytes())
        assert_same((empty / "logs" / "run.txt").read_text(), printed)
        code, total = (
            number(r"Code size: (\d+)", printed),
            number(r"Total submission size \S+ (\d+)", printed),
        )
        assert code == script.stat().st_size == submission["bytes_code"]
        assert code == played["code_bytes"]  # counted before the run
        assert (
            total == code + played["model_bytes"] == submission["seed_results"][str(seed)]["artifact_bytes"]
        )
        assert (
            number(r"Total submission size \S+ (\d+)", (out / f"train_seed{seed}.log").read_text()) == total
        )


def test_readable_script_computes_what_the_packed_one_does(season, tmp_path):
    out = tmp_path / "out"
    done = season("submit", "1", "--readable", "--write", str(out), *WHO)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "empty").mkdir()
    script = tmp_path / "empty" / "train_gpt.py"
    script.write_bytes((out / "train_gpt.py").read_bytes())

    printed = run_script(script.parent, season, 42)

    played = record(season, "round_001")
    assert TRAIN_LINE.findall(printed) == TRAIN_LINE.findall(
        (attempt(season, "round_001") / "train.log").read_text()
    )
    assert hashlib.sha256((script.parent / "model.zlib").read_bytes()).hexdigest() == played["model_sha256"]
    assert number(r"Code size: (\d+)", printed) == script.stat().st_size > 2 * played["code_bytes"]
    assert "# " in script.read_text().partition("# module trainer.train\n")[2]
    assert (
        f"{played['code_bytes']:,} bytes of code were counted (one packed script)"
        in (out / "README.md").read_text()
    )


def test_folder_has_what_the_challenge_asks_for(season, tmp_path):
    out = tmp_path / "out"
    out.mkdir()  # empty: fine

    done = season("submit", "1", "--write", str(out), *WHO, "--json")

    report = json.loads(done.stdout)
    assert report["written"] == str(out)
    assert {path.name: path.stat().st_size for path in out.iterdir()} == report["files"]
    assert set(report["files"]) == {
        "README.md",
        "harness_records.json",
        "submission.json",
        "train_seed42.log",
        "train_seed7.log",
        "train_gpt.py",
        "requirements.txt",
    }
    submission = json.loads((out / "submission.json").read_text())
    scores = [record(season, "round_001", n)["val_bpb"] for n in (1, 2)]
    assert submission["val_bpb"] == pytest.approx(sum(scores) / 2, abs=1e-12)
    assert submission["val_bpb_std"] == pytest.approx(abs(scores[0] - scores[1]) / 2**0.5, abs=1e-9)
    assert (submission["track"], submission["author"], submission["github_id"]) == (
        "10min_16mb",
        "Ann Club",
        "ann",
    )
    assert submission["bytes_total"] == max(r["artifact_bytes"] for r in submission["seed_results"].values())
    assert submission["name"] == "Two | Putts"
    compliance = submission["compliance"]
    assert compliance["log_proves_the_claim"] is True  # the referee read the folder
    assert {"course", "log", "code", "size", "artifact_size"} <= compliance.keys()
    assert {"author", "size, seed 42"}.isdisjoint(compliance)
    readme = (out / "README.md").read_text()
    assert "size, seed 42" in readme
    assert "log proves the claim" in readme
    assert "fineweb10B" not in readme  # of another course the reader fills in where its data lies
    assert "DATA_PATH=PATH_OF_THE_SHARDS" in readme
    assert f"{scores[0]:.8f}" in readme
    assert f"{record(season, 'round_001')['code_bytes']:,}" in readme  # both counts of the code are said
    assert not list(tmp_path.glob(".*tmp"))

    again = season("import", str(out), "--as", "hole", "--course", "practice", "--dry-run", "--json")
    read_back = json.loads(again.stdout)["bundles"][0]
    assert [r["artifact_bytes"] for r in read_back["records"]] == [
        submission["seed_results"][seed]["artifact_bytes"] for seed in ("42", "7")
    ]


def test_wrong_setting_is_refused_by_the_script_in_one_line(season, tmp_path):
    season("submit", "2", "--write", str(tmp_path / "out"), *WHO)

    done = subprocess.run(
        [sys.executable, "train_gpt.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "out",
        env={**os.environ, "ITERATIONS": "many"},
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ITERATIONS=many" in done.stderr


def test_check_writes_nothing_and_used_folder_is_refused(season, tmp_path):
    out = tmp_path / "out"
    assert season("submit", "1", "--check", "--write", str(out)).returncode == 0
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").write_text("keep")

    done = season("submit", "1", "--write", str(out))

    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


@pytest.fixture
def submit_changed(season, tmp_path):
    """A copy of the first hole, changed by a function, and what submit says of it."""
    import shutil

    def call(change, *words):
        runs = tmp_path / "runs"
        shutil.copytree(season.folder / "runs" / attempt(season, "round_001").parent.name, runs / "round_001")
        for number in (1, 2):
            folder = runs / "round_001" / f"attempt_{number:02d}"
            data = json.loads((folder / "record.json").read_text())
            change(folder, data)
            (folder / "record.json").write_text(json.dumps(data))
        out = tmp_path / "out"
        done = season("submit", "1", "--runs", str(runs), "--write", str(out), "--json", *words)
        assert not out.exists()
        return done

    return call


def other_trainer(folder, data):
    data["code"] |= {"source_sha256": "0" * 64, "git_sha": "a" * 40, "dirty": False}


def no_log(folder, data):
    (folder / "train.log").unlink()


def too_large(folder, data):
    data |= {
        "model_bytes": 15_990_000,
        "artifact_bytes": 15_990_000 + data["code_bytes"],
        "status": "over_cap",
    }
    (folder / "model.zlib").unlink()


def other_model(folder, data):
    (folder / "model.zlib").write_bytes(b"x")


def too_slow(folder, data):
    data["train_seconds"] = 900.0


def own_script(folder, data):
    data["code"]["trainer"] = "my_train.py"


@pytest.mark.parametrize(
    ("change", "rule", "expected", "command"),
    [
        (other_trainer, "code", "not the one that made", "git worktree add"),
        (no_log, "log", "train.log is not here", "--repeat"),
        (too_large, "size", "limit: under 16,000,000 bytes", "smaller"),
        (other_model, "size", "model.zlib has 1 bytes", "again"),
        (too_slow, "training time", "900", ""),
        (own_script, "code", "is not kept in", "train_gpt.py"),
    ],
)
def test_what_may_not_be_submitted_is_refused_with_the_reason(
    change, rule, expected, command, submit_changed
):
    done = submit_changed(change)

    assert done.returncode == 13
    report = json.loads(done.stdout)
    failed = [r for r in report["rules"] if r["outcome"] == "fail"]
    assert failed[0]["name"].startswith(rule)
    assert expected in failed[0]["what"]
    assert command in failed[0]["hint"]
    assert (report["compliant"], report["written"]) == (False, None)


def test_long_run_may_go_to_another_track(season, tmp_path, submit_changed):
    def fails(folder, data):
        data.update(train_seconds=900.0)
        (folder / "train.log").unlink()  # so that nothing is written here either

    report = json.loads(submit_changed(fails, "--track", "unlimited").stdout)

    assert report["track"] == "non-record-unlimited-compute-16mb"
    assert {r["name"] for r in report["rules"] if r["outcome"] == "fail"} == {"log"}


def test_script_of_ones_own_is_copied_as_it_was_kept(season, tmp_path):
    import shutil

    runs = tmp_path / "runs"
    shutil.copytree(season.folder / "runs" / attempt(season, "round_001").parent.name, runs / "round_001")
    code = {"mine.py": b"import part\nprint(part.x)\n", "part.py": b"x = 1\n"}
    for number in (1, 2):
        folder = runs / "round_001" / f"attempt_{number:02d}"
        data = json.loads((folder / "record.json").read_text())
        data["code"]["trainer"] = "mine.py"
        (folder / "record.json").write_text(json.dumps(data))
        (folder / "source").mkdir(exist_ok=True)
        for name, content in code.items():
            (folder / "source" / name).write_bytes(content)

    done = season("submit", "1", "--runs", str(runs), "--write", str(tmp_path / "out"), *WHO, "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "out" / "train_gpt.py").read_bytes() == code["mine.py"]
    assert (tmp_path / "out" / "part.py").read_bytes() == code["part.py"]
    assert json.loads(done.stdout)["code_bytes"] == sum(map(len, code.values()))


@pytest.mark.parametrize(
    ("words", "code", "expected", "hint"),
    [
        (["1", "--track", "10mn"], 2, "10mn", "did you mean 10min"),
        (["77"], 2, "77", "harness ls"),
    ],
)
def test_wrong_words_are_named(words, code, expected, hint, season):
    done = season("submit", *words)

    assert done.returncode == code
    assert expected in done.stderr
    assert hint in done.stderr


def test_a_rehearsal_is_told_how_to_play_its_settings_on_the_challenges_text(season, tmp_path):
    runs = ("--runs", str(tmp_path / "runs"))
    shutil.copytree(season.folder / "runs", tmp_path / "runs")
    done = season("submit", "1", "--track", "10min", *runs)

    (advice,) = re.findall("`harness (new .+?)`", done.stdout + done.stderr)
    made = season(*shlex.split(advice), *runs)

    assert made.returncode == 0, made.stderr
    (toml,) = (tmp_path / "runs").glob("*_on_fineweb/round.toml")
    assert 'course = "fineweb"' in toml.read_text()
    assert 'parent = "round_001' in toml.read_text()


def test_hole_without_a_complete_attempt_has_nothing_to_submit(season, tmp_path):
    folder = tmp_path / "runs" / "round_003" / "attempt_01"
    folder.mkdir(parents=True)
    data = {
        "schema": 2,
        "hole": "round_003",
        "course": "practice",
        "status": "failed",
        "failure": {"kind": "nan", "message": "train_loss became nan"},
    }
    (folder / "record.json").write_text(json.dumps(data))

    done = season("submit", "3", "--runs", str(tmp_path / "runs"))

    assert done.returncode == 1
    assert "no complete attempt to submit: 1 failed" in done.stderr
    assert "--why" in done.stderr


def test_numbers_of_the_notes_in_the_readme_are_those_of_the_records(season, tmp_path):
    shutil.copytree(season.folder / "runs", tmp_path / "runs")
    notes = next((tmp_path / "runs").glob("round_001*")) / "notes.md"
    words = ("submit", "1", "--runs", str(tmp_path / "runs"), "--write", str(tmp_path / "out"), *WHO)
    notes.write_text("## The Shot\n\nWhy?\n\nBecause of {{ attempt:2.val_bpb:.6f }}.\n")

    assert season(*words).returncode == 0
    assert (
        f"Because of {record(season, 'round_001', 2)['val_bpb']:.6f}."
        in (tmp_path / "out" / "README.md").read_text()
    )

    notes.write_text("## The Shot\n\nWhy?\n\nBecause of {{ val_bpb = 0.1 }}.\n")
    done = season(*words, "--check")
    assert done.returncode == 1
    assert f"error: {notes}:5: {{{{ val_bpb = 0.1 }}}}: the records say " in done.stderr
