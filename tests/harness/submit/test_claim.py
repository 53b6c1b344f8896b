"""`harness check`: which lines of which logs prove a claim, and which seeds stand behind it."""

from __future__ import annotations

import pytest

from tests.harness.submit.conftest import log_text

MIX = "all documents mixed by bytes, bpb = {:.8f}\n"


@pytest.mark.parametrize(
    ("tail", "claim", "outcome", "what"),
    [
        ("", 1.19, "pass", "1 log read again"),
        (
            MIX.format(1.18432101),
            1.18432101,
            "pass",
            "(all documents mixed by bytes); by our rule the score is",
        ),
        (MIX.format(1.18432101), 1.1843, "pass", "1.1843 stands in line"),
        ("scored 1.18432101 on all of it\n", 1.18432101, "pass", "(scored)"),
        # What prints a number without claiming it.
        ("ttt_chunk [3/9] bpb=1.184321 time=3s\n", 1.184321, "fail", "its logs show 1.19000000"),
        ("eval running_bpb:1.184321\n", 1.184321, "fail", "its logs show 1.19000000"),
        ("gap val_bpb:1.184321\n", 1.184321, "fail", "its logs show 1.19000000"),
        ("SOTA val_bpb:1.184321\n", 1.184321, "fail", "its logs show 1.19000000"),
        ("target_bpb: 1.184321, online bpb: 1.1871\n", 1.184321, "fail", "its logs show 1.19000000"),
        ("target_bpb: 1.184321, online bpb: 1.1871\n", 1.1871, "pass", "1.1871 stands in line"),
        ("", 1.18, "fail", "claims 1.18; its logs show 1.19000000"),
        ("", 1.2970, "cannot tell", "1.297 stands only before quantization: line"),
        ("pre_quant_exact val_bpb:1.18432101\n", 1.18432101, "cannot tell", "only before quantization"),
        (MIX.format(1.18432101), 1.2, "cannot tell", "too few places to tell"),
    ],
)
def test_any_line_of_the_artifact_proves_a_claim(tail, claim, outcome, what, write_folder, judge):
    folder = write_folder({"train_seed1.log": log_text(1.19, 1, tail=tail)}, val_bpb=claim, seeds=[1])

    result = judge(folder)["log proves the claim"]

    assert result[0] == outcome
    assert what in result[1]


THREE = {f"train_seed{seed}.log": log_text(1.19 + seed / 1000, seed) for seed in (1, 2, 3)}


@pytest.mark.parametrize(
    ("logs", "submission", "outcome", "what"),
    [
        (THREE, {"val_bpb": 1.192}, "pass", "1.192 is their mean"),
        (THREE, {"val_bpb": 1.191}, "pass", "1.191 is the score of train_seed1.log"),
        (THREE, {"val_bpb": 1.1895}, "fail", "its logs show 1.19200000 on average"),
        # The submission speaks of runs whose logs are not here.
        (THREE, {"val_bpb": 1.1895, "seeds": [1, 2, 3, 4]}, "cannot tell", "no log of seed 4 is here"),
        (
            {"train.log": log_text(1.19, 1)},
            {"val_bpb": 1.1895, "val_bpb_std": 0.001},
            "cannot tell",
            "it speaks of more runs than there are logs",
        ),
        # A mean of one other label, and a score by seed that no line prints.
        (
            {f"train_seed{s}.log": log_text(1.19, s, tail=MIX.format(1.18 + s / 1000)) for s in (1, 2, 3)},
            {"val_bpb": 1.182, "seeds": [1, 3]},
            "pass",
            "1.182 ",
        ),
        (
            THREE,
            {"val_bpb": 1.192, "seed_results": {"1": {"val_bpb": 1.191}, "2": {"val_bpb": 1.18}}},
            "fail",
            "claims 1.18 for seed 2; no log prints it",
        ),
    ],
)
def test_means_and_scores_by_seed_are_held_against_all_logs(
    logs, submission, outcome, what, write_folder, judge
):
    result = judge(write_folder(logs, **submission))["log proves the claim"]

    assert result[0] == outcome
    assert what in result[1]


def test_second_log_of_a_seed_proves_it_and_the_first_is_named(write_folder, judge):
    logs = {
        "run_a.log": log_text(1.2, 1, train_ms=2_400_000, world_size=2),
        "run_b.log": log_text(1.19, 1),
        "run_c.log": log_text(1.193, 2),
    }
    folder = write_folder(
        logs, val_bpb=1.1915, seed_results={"1": {"val_bpb": 1.19}, "2": {"val_bpb": 1.193}}
    )

    results = judge(folder)

    assert results["log proves the claim"] == ("pass", "2 logs read again; 1.1915 is their mean")
    assert results["seeds"] == ("pass", "1, 2; 1 more log of these seeds, not counted: run_a.log")
    assert results["training time"][0] == "pass"
    assert "2 x" not in results["machine"][1]


def test_a_mean_over_repeats_of_one_seed_claims_all_of_them(write_folder, judge):
    logs = {f"run_{i}.log": log_text(1.19 + i / 1000, 42) for i in (1, 2, 3)}

    outcome, measured = judge(write_folder(logs, val_bpb=1.192))["seeds"]

    assert (outcome, "42 was used 3 times" in measured) == ("fail", True)


@pytest.mark.parametrize(
    ("names", "seeds"),
    [
        (("train_seed7.log", "seed_42.txt", "log_s1337.txt"), [7, 42, 1337]),
        (("logs/train0.txt", "logs/train1.txt", "logs/train2.txt"), [0, 1, 2]),
        (("runs/seed_7/train.log", "runs/seed_42/train.log", "runs/seed1337/train.log"), [7, 42, 1337]),
    ],
)
def test_seeds_that_no_log_prints_are_read_from_file_names(names, seeds, write_folder, judge):
    logs = {name: log_text(1.19 + i / 1000) for i, name in enumerate(names)}

    outcome, measured = judge(write_folder(logs, val_bpb=1.191, seeds=seeds))["seeds"]

    assert outcome == "pass"
    assert set(measured.split(", ")) == {str(seed) for seed in seeds}


@pytest.mark.parametrize(
    ("logs", "seeds", "outcome", "what"),
    [
        ({"train.log": log_text(1.19, 1)}, [1, 2], "cannot tell", "1: no log of seed 2"),
        # One log under the names of several seeds; a copy under a name without one is no claim.
        (
            {f"train_seed{seed}.log": log_text(1.19) for seed in (1, 2, 3)},
            [1, 2, 3],
            "fail",
            "1: train_seed1.log, train_seed2.log, train_seed3.log are the same, byte for byte",
        ),
        ({name: log_text(1.19, 1) for name in ("train.log", "train_seed1.log")}, [1], "pass", "1"),
        (THREE, [1, 2], "cannot tell", "submission.json leaves out 3"),
        (
            {"train_seed0.log": log_text(1.19, 1337), "train_seed1.log": log_text(1.191, 1)},
            [0, 1],
            "cannot tell",
            "train_seed0.log prints 1337",
        ),
    ],
)
def test_seeds_that_are_not_shown_are_not_known(logs, seeds, outcome, what, write_folder, judge):
    result = judge(write_folder(logs, val_bpb=1.19, seeds=seeds))["seeds"]

    assert result[0] == outcome
    assert what in result[1]


@pytest.mark.parametrize(
    ("heads", "outcome", "what"),
    [
        (
            ("depth:9 lr:0.04", "depth:9 lr:0.04 new_gate:0"),
            "pass",
            "the same settings under 10,000 and 10,039",
        ),
        (
            ("depth:9 lr:0.04", "depth:9 lr:0.05"),
            "cannot tell",
            "lr 0.04, 0.05; 10,000 and 10,039 bytes of code",
        ),
    ],
)
def test_other_bytes_of_code_alone_are_no_other_configuration(heads, outcome, what, write_folder, judge):
    logs = {
        f"train_seed{seed}.log": log_text(1.19, seed, head=f"{head}\n", code_bytes=10_000 + 39 * seed)
        for seed, head in enumerate(heads)
    }

    result = judge(write_folder(logs, val_bpb=1.19))["seeds"]

    assert result[0] == outcome
    assert what in result[1]


def test_seeds_of_very_many_logs_are_counted_not_all_named(write_folder, judge):
    logs = {f"train_seed{seed}.log": log_text(1.19 + seed / 1e6, seed) for seed in range(10, 40)}

    outcome, measured = judge(write_folder(logs, val_bpb=1.19001))["seeds"]

    assert outcome == "pass"
    assert measured == ", ".join(map(str, range(10, 30))) + " and 10 more logs"
