"""`harness check`: the time of an evaluation and the machine, from logs and from what a submission states."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.field.evaluation_time import measure_evaluation
from harness.field.gpu_names import NamedGpu, gpu_in_log, gpu_in_submission
from harness.field.log_parser import parse_log
from tests.harness.submit.conftest import log_text

ADAPTED = (
    "prequant_ttt:start epochs=9\nprequant_ttt:epoch 9/9 time=55.2s\nprequant_ttt:done total_time=501.5s\n"
)


@pytest.mark.parametrize(
    ("evaluation", "stated", "outcome", "what"),
    [
        ("", {}, "pass", "90.0 s"),
        (ADAPTED, {}, "pass", "591.5 s (train_seed1.log, 501.5 s of it prequant_ttt)"),
        (ADAPTED.replace("501.5", "511.5"), {}, "fail", "601.5 s"),
        ("", {"eval_ops_seconds": 688}, "fail", "submission.json says 688.0 s (eval_ops_seconds)"),
        ("", {"results": {"7": {"eval_time_ms": 590_000}}}, "cannot tell", "says 590.0 s (eval_time_ms)"),
        ("", {"eval_time_s_mean": 94.2, "compliance": {"eval_under_600s": True}}, "pass", "says 94.2 s"),
        ("ttt adaptation took 511.5 s\n", {}, "fail", "601.5 s"),
        ("online_ttt_time:511500ms\n", {}, "fail", "601.5 s (train_seed1.log, 511.5 s of it online_ttt)"),
        ("test_time_training finished in 511.5s\n", {}, "fail", "601.5 s"),
        ("ttt:epoch 3/9 time=511.5s\n", {}, "pass", "90.0 s"),
        # Evaluations that the score may not need.
        ("roundtrip val_loss:2.1 val_bpb:1.29 eval_time:515000ms\n", {}, "cannot tell", "of 605.0 s in all"),
        # What the evaluation's own time holds, and what is no evaluation.
        (
            "ttt_lora:compile warmup done (153.3s)\nttt_lora:compile warmup done in 700.0s\n",
            {},
            "pass",
            "90.0 s (",
        ),
    ],
)
def test_all_of_an_evaluation_is_summed_and_compared_with_what_is_stated(
    evaluation, stated, outcome, what, write_folder, judge
):
    logs = {"train_seed1.log": log_text(1.19, 1, evaluation=evaluation)}

    result = judge(write_folder(logs, val_bpb=1.19, **stated))["evaluation time"]

    assert result[0] == outcome
    assert what in result[1]


def test_adaptation_within_a_timed_evaluation_counts_once(tmp_path):
    log = tmp_path / "train.log"
    log.write_text(
        log_text(1.19, 1, tail="ttt_sliding:done val_loss=2.0 val_bpb=1.18 elapsed=409.8s\n")
        + "legal_ttt val_loss:2.0 val_bpb:1.18 eval_time:410268ms\n"
        + "legal_ttt_exact val_loss:2.00000001 val_bpb:1.18000001 eval_time:410268ms\n"
    )

    time = measure_evaluation(410.268, log, parse_log(log).result)

    assert time is not None
    assert (time.counted, time.phases) == (410.268, {})
    assert time.every == pytest.approx(500.268)


@pytest.mark.parametrize(
    ("head", "submission", "outcome", "what"),
    [
        ("", {}, "cannot tell", "8 x unknown device"),
        ("[cloud] Launching torchrun on 8xH100...\n", {}, "pass", "8 x H100"),
        ("gpu: NVIDIA A100-SXM4-80GB\n", {"hardware": "8xH100 SXM"}, "fail", "8 x NVIDIA A100-SXM4-80GB"),
        ("", {"hardware": "8xH100 80GB SXM"}, "pass", "8 x H100 80GB SXM as submission.json says"),
        ("", {"gpu": "8xH100_SXM"}, "pass", "8 x H100_SXM as submission.json says"),
        ("", {"environment": {"gpu": "1xRTX5090"}}, "fail", "8 x RTX5090 as submission.json says"),
        ("", {"blurb": "ten minutes on 8x NVIDIA H100"}, "pass", "8 x NVIDIA H100 as submission.json says"),
        ("", {"blurb": "beats the B200/782 score of T4 and L4/9"}, "cannot tell", "8 x unknown device"),
    ],
)
def test_gpus_are_believed_wherever_they_are_named(head, submission, outcome, what, write_folder, judge):
    result = judge(write_folder({"train.log": log_text(1.19, 1, head=head)}, val_bpb=1.19, **submission))

    assert result["machine"] == (outcome, what)


def test_progress_lines_name_no_gpu(tmp_path):
    log = tmp_path / "train.log"
    log.write_text("ttp: b200/782 bl:2.37\nfinal val_loss:2.5 eval_time:76004ms\nl4: 9.5\n")
    about = tmp_path / "submission.json"
    about.write_text('{"hardware": "2x NVIDIA H100 80GB HBM3 (rented), developed on 1x NVIDIA GB10"}')

    assert gpu_in_log(log) is None
    assert gpu_in_submission(about) == NamedGpu("NVIDIA H100 80GB HBM3", 2)


@pytest.mark.parametrize(
    ("readme", "outcome", "what"),
    [
        ("1.19 | 8×H100 SXM, 600 s\n", "pass", "8 x H100 SXM as README.md says"),
        (
            "Runs on 8 NVIDIA H100 80GB GPUs; tests on 1xA100\n",
            "pass",
            "8 x NVIDIA H100 80GB as README.md says",
        ),
        ("Runs on 8xH100 SXM, on 8xH100 80GB before\n", "pass", "8 x H100 SXM as README.md says"),
        ("Runs on 8xA100\n", "fail", "8 x A100 as README.md says"),
        ("Runs on 8xA100 or 8xH100\n", "cannot tell", "8 x unknown device"),
        ("Tests on 1xH100, 10 H100 hours in all\n", "cannot tell", "8 x unknown device"),
    ],
)
def test_the_readme_names_the_machine_where_nothing_else_does(readme, outcome, what, write_folder, judge):
    folder = write_folder({"train.log": log_text(1.19, 1)}, val_bpb=1.19)
    Path(folder, "README.md").write_text(readme)

    assert judge(folder)["machine"] == (outcome, what)


def test_calibration_after_training_is_named(write_folder, judge):
    evaluation = "gptq:generated 64 sequences in 196.7s\nGPTQ:collected 67 Hessians in 2.3s\n"
    folder = write_folder({"train.log": log_text(1.19, 1, evaluation=evaluation)}, val_bpb=1.19)

    result = judge(folder)["training time"]

    assert result == ("pass", "599.000 s (train.log); 199.0 s of calibration after it are in no count")
