"""`harness check`: each rule on a case that keeps it, one that breaks it and one where nobody can tell."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy import stats as scipy_stats

from tests.paths import DATA, ROOT

RECORDS = DATA / "field" / "records"
VAL_BYTES, VAL_TOKENS = 151_080_000, 62_021_632
DAY = "2026-04-20T12:00:00Z"  # the SOTA of that day is 1.0655 of 2026-04-19
SCRIPT = "import torch\nprint('train')\n"


def loss_of(bpb: float) -> float:
    return bpb * math.log(2) * VAL_BYTES / VAL_TOKENS


def legal(seed: int, bpb: float, **changed: object) -> dict[str, object]:
    """The record of a run of a user's own script, in which every rule is kept."""
    official = {"stage": "sliding_window", "label": "final_int6_sliding_window_exact", "why": "the lowest"}
    score = {"stage": official["stage"], "label": official["label"], "val_bpb": bpb, "val_loss": loss_of(bpb)}
    return {
        "started_at": DAY,
        "seed": seed,
        "val_bpb": bpb,
        "val_loss": loss_of(bpb),
        "official": official,
        "scores": [score | {"tokens": VAL_TOKENS, "bytes": VAL_BYTES}],
        "split": "current",
        "data": {"val_tokens": VAL_TOKENS, "val_bytes": VAL_BYTES, "val_sha256": "ab" * 32},
        "model_file": "model.bin",
        "model_bytes": 5_000,
        "code_bytes": len(SCRIPT),
        "artifact_bytes": 5_000 + len(SCRIPT),
        "cap_bytes": 16_000_000,
        "config_hash": None,
        "steps": 6000,
        "train_seconds": 600.05,
        "eval_seconds": 120.0,
        "step_ms": 100.0,
        "code": {"trainer": "train_gpt.py", "source_sha256": "cd" * 32},
        "environment": {"device": "cuda", "device_name": "NVIDIA H100 80GB HBM3", "world_size": 8},
    } | changed


def log_of(record: dict[str, object]) -> str:
    steps, seconds = record["steps"], float(str(record["train_seconds"] or 1))
    return (
        f"seed:{record['seed']}\nstep:1/20000 train_loss:6.9 train_time:100ms step_avg:100.00ms\n"
        f"step:{steps}/20000 val_loss:2.0 val_bpb:1.2 train_time:{seconds * 1000:.0f}ms step_avg:100.00ms\n"
        f"Total submission size: {record['artifact_bytes']} bytes\n"
        f"final_int6_sliding_window_exact val_loss:{record['val_loss'] or 2:.8f} "
        f"val_bpb:{record['val_bpb'] or 1:.8f}\n"
    )


@pytest.fixture
def play(put_record: Callable[..., Path]) -> Callable[..., Path]:
    """Put an attempt with all its files; a file is changed or, with None, left out."""

    def put(attempt: int, record: dict[str, object], files: dict[str, str | None] | None = None) -> Path:
        path = put_record("round_001_try", attempt, **{k: v for k, v in record.items() if v is not None})
        contents: dict[str, str | None] = {
            "train.log": log_of(record),
            "model.bin": "w" * 5_000,
            "source/train_gpt.py": SCRIPT,
        } | (files or {})
        for name, text in contents.items():
            if text is not None:
                (path.parent / name).parent.mkdir(exist_ok=True)
                (path.parent / name).write_text(text)
        return path

    return put


@pytest.fixture
def judge(harness: Callable) -> Callable[..., dict[str, tuple[str, str]]]:
    def call(*words: str, exit_code: int | None = None) -> dict[str, tuple[str, str]]:
        done = harness("check", *(words or ("1",)), "--json")
        results = json.loads(done.stdout)
        assert done.returncode == (13 if results["compliant"] is False else 0), done.stderr
        return {f["rule"]: (f["outcome"], f["measured"]) for f in results["findings"]}

    return call


SEEDS = {42: 1.0600, 1337: 1.0605, 314: 1.0603}


def test_run_that_keeps_every_rule_passes_all_but_what_only_a_person_knows(play, judge, harness):
    for attempt, (seed, bpb) in enumerate(SEEDS.items(), start=1):
        play(attempt, legal(seed, bpb))

    results = judge()

    assert {rule: outcome for rule, (outcome, _) in results.items()} == {
        "artifact size": "pass",
        "local code": "pass",
        "training time": "pass",
        "evaluation time": "pass",
        "machine": "pass",
        "validation split": "pass",
        "byte count": "pass",
        "log proves the claim": "pass",
        "seeds": "pass",
        "significance": "pass",
        "network": "pass",
        "your word": "please attest",
    }
    assert "0.005 MB, 0.005 MiB" in results["artifact size"][1]
    assert "not proven either: 3 for you to attest" in harness("check", "1").stdout


BREACHES = {
    "model heavier than claimed": ("artifact size", "fail", {}, {"model.bin": "w" * 5_001}),
    "over the cap": (
        "artifact size",
        "fail",
        {"model_bytes": 16_000_000 - len(SCRIPT), "artifact_bytes": 16_000_000, "status": "over_cap"},
        {"model.bin": None},
    ),
    "model not here": ("artifact size", "cannot tell", {}, {"model.bin": None}),
    "module not counted": (
        "local code",
        "fail",
        {},
        {"source/train_gpt.py": "import tricks\n#" + "x" * (len(SCRIPT) - 15), "source/tricks.py": "x = 1\n"},
    ),
    "script not here": ("local code", "cannot tell", {}, {"source/train_gpt.py": None}),
    "too long": ("training time", "fail", {"train_seconds": 600.3}, {}),
    "time unknown": ("training time", "cannot tell", {"train_seconds": None}, {"train.log": None}),
    "slow evaluation": ("evaluation time", "fail", {"eval_seconds": 688.0}, {}),
    "evaluation unknown": ("evaluation time", "cannot tell", {"eval_seconds": None}, {}),
    "one small GPU": (
        "machine",
        "fail",
        {"environment": {"device": "cuda", "device_name": "NVIDIA A100", "world_size": 8}},
        {},
    ),
    "two of eight": (
        "machine",
        "fail",
        {"environment": {"device": "cuda", "device_name": "NVIDIA H100", "world_size": 2}},
        {},
    ),
    "machine unknown": ("machine", "cannot tell", {"environment": {}}, {}),
    "older export": ("validation split", "fail", {"split": "first export"}, {}),
    "part of the text": ("validation split", "fail", {"split": "suspect"}, {}),
    "split unknown": ("validation split", "cannot tell", {"split": None}, {}),
    "bytes miscounted": (
        "byte count",
        "fail",
        {"val_loss": loss_of(1.03), "scores": []} | {"official": None},
        {"train.log": None},
    ),
    "loss unknown": (
        "byte count",
        "cannot tell",
        {"val_loss": None, "scores": [], "official": None},
        {"train.log": None},
    ),
    "another score in the log": (
        "log proves the claim",
        "fail",
        {},
        {"train.log": log_of(legal(42, 1.0599))},
    ),
    "another seed in the log": ("log proves the claim", "fail", {}, {"train.log": log_of(legal(7, 1.06))}),
    "empty log": ("log proves the claim", "fail", {}, {"train.log": ""}),
    "log not kept": ("log proves the claim", "cannot tell", {}, {"train.log": None}),
    "one seed": ("significance", "cannot tell", {}, {}),
    "worse than the SOTA": (
        "significance",
        "fail",
        {"val_bpb": 1.08, "val_loss": loss_of(1.08), "scores": [], "official": None},
        {"train.log": None},
    ),
    "downloads": ("network", "please attest", {}, {"source/train_gpt.py": "import urllib.request\n"}),
    "shells out": (
        "network",
        "please attest",
        {},
        {"source/train_gpt.py": "import os\nos.system('pip install brotli')\n"},
    ),
    "code computed": ("network", "cannot tell", {}, {"source/train_gpt.py": "exec(open('x').read())\n"}),
}


@pytest.mark.parametrize("case", BREACHES)
def test_each_rule_is_told_from_its_breach(case, play, judge):
    rule, outcome, changed, files = BREACHES[case]
    play(1, legal(42, 1.06) | changed, files)

    results = judge()

    assert results[rule][0] == outcome, results[rule][1]


def test_packed_script_is_read_without_running_it(play, judge):
    import base64
    import lzma

    inner = base64.b85encode(lzma.compress(b"import requests\n")).decode()
    play(
        1,
        legal(42, 1.06),
        {"source/train_gpt.py": f"import lzma, base64\nexec(lzma.decompress(base64.b85decode({inner!r})))"},
    )

    outcome, measured = judge()["network"]

    assert (outcome, measured) == ("please attest", "train_gpt.py (unpacked) line 1 imports requests")


def test_repeated_seed_and_hidden_failure_are_told(play, judge):
    play(1, legal(42, 1.06, config_hash="x"))
    play(2, legal(42, 1.0601, config_hash="x"))
    play(
        3,
        {
            "status": "failed",
            "failure": {"kind": "nan", "message": "m"},
            "seed": 7,
            "config_hash": "x",
            "code": {"trainer": "train_gpt.py", "source_sha256": "cd" * 32},
            "started_at": DAY,
            "steps": 1,
            "train_seconds": 1.0,
            "artifact_bytes": 0,
            "val_loss": 0.0,
            "val_bpb": None,
        }
        | {"val_loss": None},
        {"train.log": None},
    )

    outcome, measured = judge()["seeds"]

    assert outcome == "fail"
    assert "42 was used 2 times" in measured
    assert "also tried: 7 (nan)" in measured


@pytest.mark.parametrize(
    ("fates", "outcome", "what"),
    [
        # Two of five seeds went to NaN.
        (["ok", "nan", "ok", "nan", "ok"], "cannot tell", "3 of 5 finished"),
        # The seed that failed was played again and finished.
        (["ok", "nan 1", "ok", "ok"], "pass", "also tried: 1 (nan)"),
    ],
)
def test_seeds_that_did_not_finish_stand_in_the_denominator(fates, outcome, what, play, judge):
    for attempt, fate in enumerate(fates, start=1):
        if fate == "ok":
            play(attempt, legal(attempt, 1.06 + attempt / 10_000, config_hash="x"))
            continue
        failed = legal(int(fate.partition(" ")[2] or attempt), 1.0, config_hash="x", status="failed")
        failed |= {"failure": {"kind": "nan", "message": "m"}}
        unknown = {"val_bpb": None, "val_loss": None, "official": None, "scores": []}
        play(attempt, failed | unknown, {"train.log": None})

    assert judge()["seeds"][0] == outcome
    assert what in judge()["seeds"][1]


def test_claim_is_compared_with_the_pull_requests_before_it(judge, harness, tmp_path):
    """PR 1493 and PR 1514 are of one day; PR 1477 is of the day before."""
    folder = RECORDS / "2026-04-09_SP8192_3LayerRecur_ParResid_QK525_LegalTTT"
    entry, unlisted, numbered = folder.name, tmp_path / "unlisted", tmp_path / "numbered"
    assert harness("import", str(folder), "--as", "field").returncode == 0
    for copy in (unlisted, numbered):
        shutil.copytree(folder, copy)
    submission = numbered / "submission.json"
    submission.write_text(submission.read_text().replace("{", '{"pr": 1500,', 1))

    for candidate in (str(folder), entry):
        outcome, measured = judge(candidate)["significance"][:2]
        assert "1.0810 against 1.0822 of SP8192 + Parallel Residuals" in measured
        assert "PR 1477)" in measured
        # It gains 0.0031 nats, not the 0.005 of the policy, and was accepted.
        assert outcome == "cannot tell"
    assert "PR 1477)" in judge(str(unlisted))["significance"][1]
    assert "PR 1493" in judge(str(numbered))["significance"][1]


@pytest.mark.parametrize(
    ("bpb", "outcome", "what"),
    [
        # Better than what stood, not by enough than the best of its own day.
        (1.0797, "cannot tell", "has 1.0798 on the same day, and nothing says which came first"),
        (1.0700, "pass", "PR 1477)"),  # better than all of them
        (1.0821, "fail", "PR 1477)"),  # no better than what stood
    ],
)
def test_rows_of_the_same_day_never_fail_a_claim_without_a_number(bpb, outcome, what, play, judge):
    for attempt, seed in enumerate((42, 1337, 314), start=1):
        play(attempt, legal(seed, bpb + attempt / 10_000, started_at="2026-04-09T12:00:00Z"))

    result = judge()["significance"]

    assert result[0] == outcome
    assert what in result[1]


def test_reference_whose_logs_mix_versions_counts_as_published(play, judge, harness):
    """PR 1530's three logs are of three versions: their spread is not luck."""
    folder = RECORDS / "2026-04-10_VarLenAttn"
    assert harness("import", str(folder), "--as", "field").returncode == 0
    for attempt, seed in enumerate((42, 1337, 314), start=1):
        play(attempt, legal(seed, 1.06 + attempt / 10_000, started_at="2026-04-12T12:00:00Z"))

    measured = judge()["significance"][1]

    assert "as published: its logs are 3 seeds in 3 logs of 3 versions" in measured
    assert "one published value" in measured


def test_identical_scores_are_no_certainty(play, judge):
    for attempt, seed in enumerate((1, 2, 3), start=1):
        play(attempt, legal(seed, 1.06))

    outcome, measured = judge()["significance"]

    assert outcome == "cannot tell"
    assert "show no spread" in measured


def test_gate_is_tested_as_scipy_does_with_the_margin_inside(play, judge, harness, runs):
    """The SOTA of 2026-04-20 has its three seeds here; 0.005 nats are asked beyond it, in the run's own
    tokens."""
    theirs = RECORDS / "2026-04-19_SP8192_CaseOps_GatedAttn_QuantGate_Loop45_PhasedTTT"
    assert harness("import", str(theirs), "--as", "field").returncode == 0
    ours = [bpb - 0.002 for bpb in SEEDS.values()]
    for attempt, (seed, bpb) in enumerate(zip(SEEDS, ours, strict=True), start=1):
        play(attempt, legal(seed, bpb))

    outcome, measured = judge("1", "--policy", "challenge")["significance"]

    other = [
        json.loads(path.read_text())["val_bpb"] for path in sorted((runs / "field").rglob("record.json"))
    ]
    margin = 0.005 / math.log(2) * VAL_TOKENS / VAL_BYTES
    reference = scipy_stats.ttest_ind(ours, [x - margin for x in other], equal_var=False, alternative="less")
    assert outcome == "pass", measured
    assert (
        f"one-sided p {reference.pvalue:.2g} (t {reference.statistic:.2f}, {reference.df:.2f} degrees"
        in measured
    )
    assert measured.count("nats") == 3  # the three readings


def test_policy_is_that_of_the_day_and_another_can_be_named(play, harness, runs, tmp_path):
    play(1, legal(42, 1.06))
    play(2, legal(43, 1.0601))
    (runs / "policies").mkdir()
    own = (
        'schema = 1\nname = "mine"\ntitle = "Mine"\ncourse = "fineweb"\nsince = 2020-01-01\nsource = "me"\n'
        "[limits]\neval_seconds = 60\n"
    )
    (runs / "policies" / "mine.toml").write_text(own)
    (tmp_path / "bad.toml").write_text(own.replace("eval_seconds = 60", "eval_second = 60"))

    today = json.loads(harness("check", "1", "--json").stdout)
    earlier = json.loads(harness("check", "1", "--policy", "challenge", "--json").stdout)
    mine = json.loads(harness("check", "1", "--policy", "mine", "--json").stdout)
    invalid = harness("check", "1", "--policy", "bad.toml")
    unknown = harness("check", "1", "--policy", "progresion")

    assert today["policy"]["name"] == "progression"
    assert "p < 0.25" in next(f["limit"] for f in today["findings"] if f["rule"] == "significance")
    assert "p < 0.01" in next(f["limit"] for f in earlier["findings"] if f["rule"] == "significance")
    assert [f["outcome"] for f in mine["findings"] if f["rule"] == "evaluation time"] == ["fail"]
    assert (invalid.returncode, "limits.eval_second" in invalid.stderr) == (1, True)
    assert (unknown.returncode, "did you mean progression?" in unknown.stderr) == (2, True)


def test_public_record_folders_are_judged_from_their_logs(judge):
    results = judge(str(RECORDS / "2026-04-06_SP8192_HessianSDClip_ProgressiveRecurrence"))
    repeats = judge(str(RECORDS / "2026-03-17_LoRA_TTT"))

    assert results["artifact size"] == (
        "fail",
        '16,059,704 bytes (16.060 MB, 15.316 MiB) = model 15,979,649 + code 80,055 ("Code size"): '
        "59,705 bytes too many (train_seed3141.log, the largest of 3)",
    )
    assert results["submission files"][0] == "fail"
    assert "train_gpt.py" in results["submission files"][1]
    assert results["seeds"][0] == "pass"
    assert "the same settings under 78,688 and 80,055 bytes of code" in results["seeds"][1]
    # The claim is one run's; the two-GPU run and the others of its seed lie beside it.
    assert repeats["seeds"][0] == repeats["training time"][0] == repeats["machine"][0] == "pass"
    assert "3 more logs of these seeds, not counted: train_v0.txt" in repeats["seeds"][1]


@pytest.mark.parametrize(
    ("words", "expected", "code"),
    [
        (["9"], "no hole matches", 2),
        (["round_"], "fits 2 holes", 2),
        (["round_001"], "round_001_failed has no complete attempt", 1),
        (["round_002"], "val_bpb", 1),
        (["./several"], "holds 2 records", 2),
    ],
)
def test_what_cannot_be_checked_is_said(words, expected, code, harness, put_record, tmp_path):
    put_record("round_001_failed", status="failed", failure={"kind": "nan", "message": "m"})
    path = put_record("round_002_old", val_bpb=1.2)
    path.write_text(path.read_text().replace("1.2", "NaN"))
    for name in ("a", "b"):
        (tmp_path / "several" / name).mkdir(parents=True)
        (tmp_path / "several" / name / "submission.json").write_text("{}")

    done = harness("check", *words)

    assert done.returncode == code, done.stdout
    assert expected in done.stderr


def test_policy_shown_in_the_docs_is_one(tmp_path):
    from harness.courses.policy import load_policy

    page = (ROOT / "docs" / "policies.md").read_text()
    (tmp_path / "shown.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])

    assert load_policy(str(tmp_path / "shown.toml"), tmp_path).limits.gpus == 1


def test_our_trainers_code_is_weighed_as_its_commit_would_hand_it_in(harness) -> None:
    """Hole 33 was played by an older trainer; git has its commit, so a script of it can be made."""
    root = ROOT
    played_at = "da42181b4a401a093d9903440615a9a3a8cae835"
    if subprocess.run(
        ["git", "cat-file", "-e", played_at], cwd=root, capture_output=True, check=False
    ).returncode:
        pytest.skip("the history of this checkout does not go back to that commit")

    done = harness("check", "33", "--policy", "practice", "--runs", str(root / "runs"), "--json")

    results = {finding["rule"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert re.fullmatch(
        r"[34]\d,\d{3} bytes in 1 file, 74,924 counted as one plain script", results["local code"]["measured"]
    )
    assert results["network"]["outcome"] == "pass"
