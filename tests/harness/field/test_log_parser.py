"""The log reader against every published log, and against what users and hostile files do to logs."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.field.log_events import Event, ResultLine, Setting, TrainLine, ValLine
from harness.field.log_parser import LogParser, ParsedLog, parse_lines, parse_log
from harness.field.logged_run import LoggedRun
from harness.field.thinned_curve import MAX_POINTS
from tests.compare_bytes import assert_same
from tests.paths import DATA, ROOT

FIELD = DATA / "field"
EXPECTED: dict[str, Any] = json.loads((FIELD / "expected.json").read_text(encoding="utf-8"))["records"]
LOGS = [(record, log) for record, entry in EXPECTED.items() for log in entry["logs"]]

HEAD = """\
model_params:17059912
world_size:8 grad_accum_steps:1
train_batch_tokens:524288 train_seq_len:1024 iterations:300 max_wallclock_seconds:600.000
seed:1337
warmup_step:1/20
"""
STEPS = """\
step:0/300 val_loss:6.9357 val_bpb:4.1077 train_time:0ms step_avg:0.01ms
step:1/300 train_loss:6.9370 train_time:50ms step_avg:50.00ms
step:100/300 train_loss:3.1000 train_time:4400ms step_avg:44.00ms
step:200/300 train_loss:2.5000 train_time:8800ms step_avg:44.00ms
step:250/300 val_loss:2.0606 val_bpb:1.2172 train_time:11000ms step_avg:44.00ms
stopping_early: wallclock_cap train_time:11000ms step:250/300
"""
END = """\
Serialized model: 67224983 bytes
Code size: 47642 bytes
Total submission size: 67272625 bytes
Serialized model int8+zlib: 15815847 bytes (payload:17178912 raw_torch:17224025 payload_ratio:3.91x)
Total submission size int8+zlib: 15863489 bytes
final_int8_zlib_roundtrip val_loss:2.0727 val_bpb:1.2244 eval_time:1401ms
final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570
"""
RUN = HEAD + STEPS + END


def parse(text: str | bytes) -> ParsedLog:
    return parse_log(io.BytesIO(text.encode() if isinstance(text, str) else text))


def result(text: str | bytes) -> LoggedRun:
    run = parse(text).result
    assert run is not None
    return run


def as_expected(run: LoggedRun) -> dict[str, Any]:
    """Lay a run out as expected.json does."""
    official = run.official
    train = [None if p is None else [p[0], p[1][0]] for p in (run.train.first, run.train.last)]
    return {
        "status": run.status,
        "final_val_bpb": run.final_val_bpb,
        "final_val_loss": run.final_val_loss,
        "final_label": official.label if official else None,
        "final_decimals": official.decimals if official else None,
        "steps": run.steps,
        "planned_steps": run.planned_steps,
        "step_avg_ms": run.step_avg_ms,
        "train_time_ms": run.train_time_ms,
        "params": run.model_params,
        "seed": run.seed,
        "world_size": run.world_size,
        "torch": run.torch,
        "val_tokens": run.val_tokens,
        "bytes_total": run.bytes_total,
        "bytes_model": run.bytes_model,
        "bytes_code": run.bytes_code,
        "n_train_points": run.train.count,
        "n_val_points": run.val.count,
        "first_train": train[0],
        "last_train": train[1],
        "last_val": None if run.val.last is None else [run.val.last[0], *run.val.last[1][:2]],
        "final_metrics": [
            {"label": line.label, "val_loss": line.val_loss, "val_bpb": line.val_bpb} for line in run.results
        ],
    }


# The public records -------------------------------------------------------------------------------


@pytest.mark.parametrize(("record", "name"), LOGS)
def test_public_log_gives_every_expected_field(record: str, name: str) -> None:
    entry = EXPECTED[record]["logs"][name]

    log = parse_log(FIELD / "records" / record / name)

    assert log.result is not None
    found = as_expected(log.result) | {
        "n_runs": len(log.runs),
        "copies": log.result.copies,
        "other_runs": [as_expected(run) for run in log.other_runs],
    }
    beside = {"duplicate_of", "submission_match"}  # of the folder, not of one log
    assert found == {key: value for key, value in entry.items() if key not in beside}
    assert log.result.sizes_add_up is not False


def test_identical_public_logs_share_their_checksum() -> None:
    for record, name in LOGS:
        if other := EXPECTED[record]["logs"][name]["duplicate_of"]:
            folder = FIELD / "records" / record
            assert parse_log(folder / name).sha256 == parse_log(folder / other).sha256


@pytest.mark.parametrize(("record", "name"), LOGS[::9])
def test_feeding_pieces_gives_what_reading_the_file_gives(record: str, name: str) -> None:
    path = FIELD / "records" / record / name
    raw, whole = path.read_bytes(), parse_log(path)
    parser, events = LogParser(), 0

    for at in range(0, len(raw), 997):
        events += len(parser.feed(raw[at : at + 997]))
    fed = parser.close()

    assert events > 0
    assert fed.result is not None
    assert whole.result is not None
    assert as_expected(fed.result) == as_expected(whole.result)
    assert_same(as_expected_text(fed.result), as_expected_text(whole.result))
    assert (fed.sha256, fed.lines, fed.result.hyperparameters) == (
        whole.sha256,
        whole.lines,
        whole.result.hyperparameters,
    )


def test_curve_holds_every_printed_point_with_its_time() -> None:
    run = result(RUN)

    assert list(run.train) == [(1, (6.937, 50.0)), (100, (3.1, 4400.0)), (200, (2.5, 8800.0))]
    assert [step for step, _ in run.val] == [0, 250]


# Scores -------------------------------------------------------------------------------------------


def test_official_score_is_the_precise_twin_of_the_lowest() -> None:
    run = result(
        RUN + "final_int6_sliding_window val_loss:1.8773 val_bpb:1.1118 stride:64 eval_time:78358ms\n"
        "final_int6_sliding_window_exact val_loss:1.87728338 val_bpb:1.11183590\n"
    )

    assert run.official is not None
    assert (run.official.val_bpb_text, run.official.line) == ("1.11183590", 20)
    assert run.choice.why is not None
    assert "line 20, final_int6_sliding_window_exact (of 4)" in run.choice.why
    assert run.eval_ms == 78358


def test_a_failed_last_evaluation_is_not_the_score() -> None:
    assert (
        result(RUN + "final_int6_ttt val_loss:2.3 val_bpb:1.336 eval_time:9ms\n").final_val_bpb == 1.2243657
    )


def test_nothing_before_quantization_can_be_the_score() -> None:
    text = (
        HEAD
        + STEPS
        + "DIAGNOSTIC post_ema val_loss:1.9 val_bpb:1.1000\ndiagnostic quantized val_loss:1.9 val_bpb:1.12\n"
    )

    run = result(text)

    assert (run.status, run.final_val_bpb) == ("truncated", None)
    assert [line.stage for line in run.results] == ["pre_quantization", "round_trip"]


def test_stages_and_gaps_are_told_apart() -> None:
    run = result(
        HEAD
        + STEPS
        + (
            "diagnostic pre-quantization post-ema val_loss:2.77 val_bpb:1.07280189 eval_time:6448ms\n"
            "quantized val_loss:2.80433049 val_bpb:1.08560874 eval_time:9ms\n"
            "quantized_sliding_window val_loss:2.78 val_bpb:1.07600000 eval_time:9ms\n"
            "quantized_ttt_phased val_loss:2.77232000 val_bpb:1.07325147 eval_time:504949ms\n"
            "total_eval_time:504.9s\n"
        )
    )

    assert [gap.after for gap in run.gaps] == ["round_trip", "sliding_window", "test_time_training"]
    assert run.gaps[0].bpb == pytest.approx(1.08560874 - 1.07280189)
    assert run.eval_ms == pytest.approx(504_900)


def test_a_score_repeated_under_an_older_label_keeps_its_stage() -> None:
    run = result(
        HEAD
        + STEPS
        + (
            "final_int6_roundtrip_exact val_loss:1.91694484 val_bpb:1.13532271\n"
            "final_int6_sliding_window_exact val_loss:1.87728338 val_bpb:1.11183590\n"
            "final_int8_zlib_roundtrip_exact val_loss:1.87728338 val_bpb:1.11183590\n"
        )
    )

    assert [(line.stage, line.copy_of) for line in run.results] == [
        ("round_trip", None),
        ("sliding_window", None),
        ("sliding_window", 13),
    ]
    assert run.official is not None
    assert run.official.label == "final_int6_sliding_window_exact"


@pytest.mark.parametrize(
    ("line", "label", "bpb"),
    [
        ("final_ternary_roundtrip val_loss:2.9 val_bpb:1.1601", "final_ternary_roundtrip", 1.1601),
        ("final_temped val_loss:2.9 val_bpb:1.1590 T:0.90", "final_temped", 1.159),
        (
            "final_sliding val_loss:2.9027 val_bpb:1.1239 (stride=16, T=0.90) eval_time:7ms",
            "final_sliding",
            1.1239,
        ),
        (
            "final_sliding_window_eval_exact stride:64 val_loss:1.9 val_bpb:1.16301431",
            "final_sliding_window_eval_exact",
            1.16301431,
        ),
        (
            "final_INT7_zlib_roundtrip_exact val_loss:2.0 val_bpb:1.19",
            "final_INT7_zlib_roundtrip_exact",
            1.19,
        ),
        ("final_roundtrip val_loss:2.0 val_bpb:1.19 eval_seq_len:2048", "final_roundtrip", 1.19),
        (
            "legal_ttt_exact val_loss:1.8 val_bpb:1.12002032 eval_mode:online_ttt",
            "legal_ttt_exact",
            1.12002032,
        ),
        (
            "final_int8_zlib_roundtrip_exact sliding val_loss:2.0 sliding val_bpb:1.19692464",
            "final_int8_zlib_roundtrip_exact sliding",
            1.19692464,
        ),
    ],
)
def test_score_labels_of_the_field(line: str, label: str, bpb: float) -> None:
    official = result(HEAD + STEPS + line + "\n").official

    assert official is not None
    assert (official.label, official.val_bpb) == (label, bpb)


@pytest.mark.parametrize(
    "line",
    [
        "val_bpb:enabled tokenizer_kind=sentencepiece",
        "val_bpb:          1.12278022",
        "sliding_eval [ 10.6%] 128/1893 windows running_bpb=1.05",
        "  ttt_chunk [1/1893] bpb=1.05 time=3.1s",
        "ttt_progress: batch 5/9 batch_loss:2.1 batch_bpb:1.0 running_loss:2.0 running_bpb:1.01",
        "ttp: b778/782 bl:2.1 bb:1.0 rl:2.0 rb:1.01 dl:1-2 gd:1",
        "jepa_diagnostics step:5 probe_bpb:0.9 val_bpb_probe:0.9",
        "legal_ttt:chunk 5/100 val_loss:1.0 val_bpb:0.9",
        "final_x val_loss:{q_val_loss:.4f} val_bpb:{q_val_bpb:.4f}",
        'print(f"final_x val_loss:1.0 val_bpb:0.5")',
        "final_int8_zlib_roundtrip_exact val_loss:nan val_bpb:nan",
        "final_int8_zlib_roundtrip_exact val_loss:1e999 val_bpb:1e999",
    ],
)
def test_lines_that_are_no_score(line: str) -> None:
    assert result(RUN + line + "\n").final_val_bpb == 1.2243657


# Step lines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "point"),
    [
        (
            "step:5/20 train_loss:2.1855 train_time:590003ms step_avg:43.54ms",
            (5, 20, 2.1855, 590003, 43.54, None),
        ),
        (
            "step:5/20 [BRIDGE 3%] train_loss:0.2 train_time:9ms step_avg:8.3ms",
            (5, 20, 0.2, 9, 8.3, "BRIDGE 3%"),
        ),
        (
            "step:5/20 train_loss:2.1 lr_mul:0.9 train_time:9ms step_avg:8.3ms tok/s:512",
            (5, 20, 2.1, 9, 8.3, None),
        ),
        (
            "500/20000 train_loss: 3.2 train_time: 0.8m tok/s: 8251409 looping:False",
            (500, 20000, 3.2, 48000, None, None),
        ),
        ("step:500/50000 loss:3.6 t:77540ms avg:155.1ms", (500, 50000, 3.6, 77540, 155.1, None)),
        (
            "step:500/50000 loss:3.6 ce:3.1 mtp_loss:9.9 t:77540ms step_avg:155.1ms",
            (500, 50000, 3.6, 77540, 155.1, None),
        ),
    ],
)
def test_training_lines_of_each_family(line: str, point: tuple[object, ...]) -> None:
    (event,) = LogParser().feed_line(line)

    assert isinstance(event, TrainLine)
    found = (event.step, event.planned, event.loss, event.time_ms, event.step_avg_ms, event.tag)
    assert found == pytest.approx(point) if None not in point else found == point


@pytest.mark.parametrize(
    "line",
    [
        "warmup_step: 1/20",
        "loop_warmup_step: 1/20",
        "loop_warmup_p1_step:3/20",
        "base_warmup_step:1/20",
        "recur_warmup_step:5/20",
        "warmup:1/5",
        "step:1000 churn:0.0",
        "step:5000 checkpoint saved",
        "3/100 windows done",
        "step:1/x train_loss:2.0",
        "step:1/10 train_loss:",
        "12/20 loss:0.1",
    ],
)
def test_lines_that_are_no_step(line: str) -> None:
    run = result(HEAD + line + "\n" + END)

    assert (run.steps, run.train.count) == (None, 0)


def test_minutes_are_not_taken_for_the_training_time() -> None:
    run = result(
        "model_params:5\n0/9 val_loss: 9.0 val_bpb: 3.4\n8/9 train_loss: 3.2 train_time: 0.8m tok/s: 82\n"
    )

    assert (run.train_time_ms, run.step_avg_ms, run.derived_step_ms) == (None, None, None)


def test_derived_step_time_is_kept_apart_from_a_printed_one() -> None:
    text = (
        "model_params:5\n8/9 train_loss: 3.2 train_time: 0.8m tok/s: 82\n"
        "stopping_early: wallclock_cap train_time: 800ms step: 8/9\n"
    )

    run = result(text)

    assert (run.step_avg_ms, run.derived_step_ms, run.stop_reason) == (None, 100.0, "wallclock_cap")


def test_loss_that_is_no_number_is_reported_with_its_step() -> None:
    log = parse(HEAD + STEPS.replace("train_loss:2.5000", "train_loss:nan"))

    assert log.result is not None
    assert log.result.nan_step == 200
    assert any("not a number from step 200 on" in warning.text for warning in log.warnings)


def test_a_stretch_of_steps_after_a_loss_that_is_no_number_ends_it() -> None:
    lines = (
        f"step:{step}/40 train_loss:{'nan' if step == 5 else '6.0'} train_time:{step}ms step_avg:1.00ms"
        for step in range(1, 41)
    )

    log = parse(HEAD + "\n".join(lines) + "\n")

    assert [warning.text for warning in log.warnings if "not a number" in warning.text] == [
        "the training loss is not a number at step 5, and is one again at step 6"
    ]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (("nan", "2.0", "1.9"), "not a number at step 1, and is one again at step 2"),
        (("2.1", "nan", "inf", "1.9"), "not a number at step 2, and is one again at step 4"),
        (("nan", "2.0", "nan", "1.9"), "not a number at step 1, and is one again at step 4"),
        (("nan", "2.0", "nan"), "not a number from step 1 on"),
    ],
)
def test_a_loss_that_becomes_a_number_again_is_not_reported_for_ever(
    losses: tuple[str, ...], expected: str
) -> None:
    lines = (
        f"step:{step}/9 train_loss:{loss} train_time:{step}ms" for step, loss in enumerate(losses, start=1)
    )

    log = parse(HEAD + "\n".join(lines) + "\n")

    assert [warning.text for warning in log.warnings if "not a number" in warning.text] == [
        f"the training loss is {expected}"
    ]


# Facts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "params"),
    [
        ("model_params:17059912 (unique_layers:9 loops:1)", 17059912),
        ("params:73685840 L:10 d:768 ws:8 s:42", 73685840),
        ("params:36,915,884 (eval:32,816,684 shared:1)", 36915884),
        ("Total params: 17,059,912", 17059912),
        (
            "=== Parameter budget ===\n  embedding   524,288\n  blocks  1,000,000\n  TOTAL      1,524,288",
            1524288,
        ),
        ("model_params:17.1M", 17_100_000),
        ("model_params:" + "9" * 5000, None),
    ],
)
def test_parameter_counts(line: str, params: int | None) -> None:
    assert result(line + "\n" + STEPS + END).model_params == params


@pytest.mark.parametrize(
    ("head", "seed", "world"),
    [
        (
            "Hyperparameters:\n  artifact_dir: \n  lr: 0.5\n  seed: 42\n  world_size: 8\ntrain_shards: 80\n",
            42,
            8,
        ),
        ("--- Hyperparameters ---\nadam_lr=0.05 layers=[1, 2] seed=7 world_size=2\n", 7, 2),
        ("params:9 L:1 ws:4 ga:1 s:3\n", 3, 4),
        ("seed:1337\nworld_size:8 grad_accum_steps:1\n", 1337, 8),
        ("1776142360.710 Hyperparameters:\n1776142360.710   seed: 2\n1776142360.711   world_size: 8\n", 2, 8),
        ("nothing\n", None, None),
    ],
)
def test_seed_and_world_size_where_they_are_printed(head: str, seed: int | None, world: int | None) -> None:
    run = result(head + STEPS)

    assert (run.seed, run.world_size) == (seed, world)


def test_hyperparameters_keep_their_printed_text() -> None:
    run = result("Hyperparameters:\n  adam_eps: 1e-08\n  artifact_dir: \n  betas: (0.9, 0.95)\n" + STEPS)

    assert run.hyperparameters == {"adam_eps": "1e-08", "artifact_dir": "", "betas": "(0.9, 0.95)"}


def test_compressed_code_counts_and_adds_up() -> None:
    run = result(
        HEAD
        + STEPS
        + (
            "Serialized model: 135409136 bytes\nCode size (uncompressed): 139831 bytes\n"
            "Code size (compressed): 28599 bytes\nSerialized model quantized+brotli: 15960206 bytes\n"
            "Total submission size quantized+brotli: 15988805 bytes\n"
        )
    )

    assert (run.bytes_total, run.bytes_model, run.bytes_code) == (15988805, 15960206, 28599)
    assert (run.sizes.raw_model, run.sizes.codec, run.sizes_add_up) == (135409136, "quantized+brotli", True)


@pytest.mark.parametrize(
    ("plain", "packed", "total"),
    [
        ("Code size (uncompressed)", "Code size (compressed)", "Total submission size int6+lzma"),
        ("code_bytes_uncompressed", "code_bytes_compressed", "Serialized model + code"),
        ("Code size", "Code size (minified, lzma)", "Serialized model + code int6+lzma"),
    ],
)
def test_each_count_of_the_code_keeps_its_words(plain: str, packed: str, total: str) -> None:
    run = result(
        HEAD
        + STEPS
        + f"{plain}: 141871 bytes\n{packed}: 32000 bytes\nSerialized model int6+lzma: 15900000 bytes\n"
        + f"{total}: 15932000 bytes\nSubmission size limit: 16000000 bytes\n"
    )

    assert run.code_counts == {plain: 141871, packed: 32000}
    assert (run.bytes_total, run.bytes_model, run.bytes_code) == (15932000, 15900000, 32000)


def test_raw_total_of_a_run_that_died_is_not_the_artifact() -> None:
    text = (
        HEAD
        + STEPS
        + "Serialized model: 67224983 bytes\nCode size: 47642 bytes\nTotal submission size: 67272625 bytes\n"
    )

    assert result(text).bytes_total is None


def test_budget_line_gives_total_and_code() -> None:
    run = result(
        HEAD + STEPS + "artifact:15.60MB ternary:97320960(13685760B) fp:2542200(2585072B) code:70,399\n"
        "budget:15670651/16000000 (15.67/16.00MB) FITS\n"
    )

    assert (run.bytes_total, run.bytes_code, run.bytes_model) == (15670651, 70399, None)


def test_sizes_on_one_line_and_in_megabytes() -> None:
    run = result(
        HEAD
        + STEPS
        + "Serialized model int6+zstd: 15,810,407 bytes | Code size: 52,243 bytes | "
        + "Total size: 15,862,650 bytes\n"
    )
    vague = parse(HEAD + STEPS + "Total submission size: 15.86 MB\n")

    assert (run.bytes_total, run.bytes_model, run.bytes_code) == (15862650, 15810407, 52243)
    assert vague.result is not None
    assert vague.result.bytes_total is None
    assert any("only in megabytes" in warning.text for warning in vague.warnings)


# Several runs -------------------------------------------------------------------------------------


def test_last_of_several_runs_is_the_result() -> None:
    second = (
        RUN.replace("1.22436570", "1.20000000").replace("seed:1337", "seed:42").replace("3.1000", "3.0000")
    )

    log = parse("Running Python 3.12.3\n" + RUN + "Running Python 3.12.3\n" + second)

    assert [run.seed for run in log.runs] == [1337, 42]
    assert log.result is not None
    assert log.result.final_val_bpb == 1.2
    assert any("1 earlier run(s)" in warning.text for warning in log.warnings)


def test_a_step_number_going_back_starts_a_run_with_the_head_before_it() -> None:
    log = parse(RUN + RUN.replace("seed:1337", "seed:7").replace("2.5000", "2.4000"))

    assert [(run.seed, run.model_params, run.steps) for run in log.runs] == [
        (1337, 17059912, 250),
        (7, 17059912, 250),
    ]


def test_the_same_run_printed_twice_counts_once() -> None:
    console = "".join(line for line in RUN.splitlines(keepends=True) if not line.startswith("model_params"))

    log = parse(RUN + "Running Python 3.12.3\nRunning PyTorch 2.9.1+cu128\n" + console)

    assert len(log.runs) == 1
    assert log.result is not None
    assert (log.result.copies, log.result.model_params, log.result.torch) == (2, 17059912, "2.9.1+cu128")
    assert log.result.train.count == 3


def test_a_line_printed_twice_in_a_row_is_one_point() -> None:
    doubled = "".join(line * 2 for line in RUN.splitlines(keepends=True))

    assert as_expected(result(doubled)) == as_expected(result(RUN))


def test_an_aborted_start_is_reported_and_does_not_hide_the_run() -> None:
    start = "Running Python 3.12.3\n" + HEAD

    log = parse(start + "Traceback (most recent call last):\n" + start + STEPS + END)

    assert [run.status for run in log.runs] == ["truncated", "wallclock_cap"]


def test_a_trailing_start_that_made_no_step_is_not_the_result() -> None:
    log = parse(RUN + "Running Python 3.12.3\n" + HEAD)

    assert log.result is not None
    assert log.result.final_val_bpb == 1.2243657
    assert any("made no step" in warning.text for warning in log.warnings)


def test_two_logs_pasted_without_a_newline_between_them() -> None:
    log = parse(RUN.rstrip("\n") + "Running Python 3.12.3\n" + RUN.replace("2.5000", "2.4000"))

    assert [run.final_val_bpb for run in log.runs] == [1.2243657, 1.2243657]


def test_a_resumed_run_is_one_run() -> None:
    log = parse(
        HEAD + STEPS[: STEPS.index("step:250")] + "resuming from checkpoint step:150\n"
        "step:160/300 train_loss:2.6000 train_time:7000ms step_avg:44.00ms\n" + END
    )

    assert len(log.runs) == 1


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (RUN, "wallclock_cap"),
        (RUN.replace("stopping_early", "# ").replace("step:250/300", "step:300/300"), "completed"),
        (HEAD + STEPS, "truncated"),
        (HEAD + END, "eval_only"),
        ("torch==2.9\nnumpy\n", "not_a_run"),
        ('{"seed": 42, "val_bpb": 1.07}\n', "not_a_run"),
        ("", "not_a_run"),
    ],
)
def test_status_of_a_log(text: str, status: str) -> None:
    assert parse(text).status == status


# What happens to logs -----------------------------------------------------------------------------


def _noisy(text: str) -> str:
    noise = (
        "[rank3]:[W318 14:38:18.8 Utils.hpp:112] Warning: step:7/9 train_loss:1.0\nfoo bar\n\n| N/A 3C |\n"
    )
    return "".join(noise + line for line in text.splitlines(keepends=True))


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\x1b[0m\n").replace("step:", "\x1b[32mstep:"),
        lambda text: "".join(f"1712345678.123 {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"2026-03-18T14:38:12.123Z {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"[2026-03-18 14:38:12] {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"2026-03-18 14:38:12,123 - {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"[rank0]:{line}\n[rank1]:{line}\n" for line in text.splitlines()),
        lambda text: "".join(f"  10%|#   | 1/9\r 100%|####| 9/9\r{line}\n" for line in text.splitlines()),
        lambda text: text.replace("\n", "\n\x00\x07\x1b\n"),
        lambda text: text.replace("seed:1337", "seed:1337\nmodèle ± 5"),
        _noisy,
    ],
)
def test_result_survives_what_terminals_and_launchers_do(damage: Any) -> None:
    assert as_expected(result(damage(RUN))) == as_expected(result(RUN))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_other_encodings_are_read_and_reported(encoding: str) -> None:
    log = parse((HEAD + "modèle\n" + STEPS + END).encode(encoding))

    assert log.result is not None
    assert log.result.final_val_bpb == 1.2243657
    assert log.warnings
    assert log.encoding != "utf-8"


SCRIPT = '''\
"""A trainer. Prints lines such as
final_int8_zlib_roundtrip_exact val_loss:1.00000000 val_bpb:0.50000000
step:7/9 train_loss:1.0000 train_time:5ms step_avg:5.00ms
"""
from __future__ import annotations
import os
class Hyperparameters:
    seed = int(os.environ.get("SEED", 99))
    iterations: int = 5
def main() -> None:
    log0(f"model_params:{n_params}")
    log0(f"step:{step}/{args.iterations} train_loss:{loss:.4f}")
    print("step:1/10 train_loss:1.0 train_time:1ms step_avg:1.0ms")
final_int8_zlib_roundtrip_exact val_loss:1.00000000 val_bpb:0.50000000
'''


@pytest.mark.parametrize(
    "rule", ["=" * 100 + "\nRunning Python 3.12.3\nRunning PyTorch 2.9.1\n", "=" * 100 + "\n", ""]
)
def test_source_code_in_a_log_is_not_read(rule: str) -> None:
    run = result(SCRIPT + rule + RUN)

    assert (run.final_val_bpb, run.seed, run.model_params) == (1.2243657, 1337, 17059912)
    assert run.train.count == 3
    assert len(run.results) == 2


def test_source_code_between_hyperparameters_and_steps_keeps_both() -> None:
    run = result(
        "Hyperparameters:\n  seed: 42\n  lr: 0.1\nSource code:\n"
        + SCRIPT
        + "=" * 100
        + "\nRunning Python 3.12\n"
        + STEPS
        + END
    )

    assert (run.seed, run.hyperparameters, run.final_val_bpb) == (42, {"seed": "42", "lr": "0.1"}, 1.2243657)


@pytest.mark.parametrize(
    "last",
    [
        "final_int6_sliding_window_exact val_loss:1.87728338 val_bpb:1.1",
        "final_int6_sliding_window_exact val_loss:1.8",
        "step:275/300 train_loss:2.",
        "step:275/300 val_loss:2.0606 val_bpb:1.2",
        "step:275/300 train_loss:2.1000 train_time:59",
        "Total submission size int8+zlib: 1586",
        "seed:13",
    ],
)
def test_a_half_line_at_the_end_is_not_believed(last: str) -> None:
    log = parse(RUN + last)

    assert log.result is not None
    assert as_expected(log.result) == as_expected(result(RUN))


def test_embedded_half_lines_change_nothing() -> None:
    halves = "".join(line[: len(line) // 3] + "\n" for line in STEPS.splitlines())

    assert result(HEAD + halves + STEPS + END).train.count == 3


@pytest.mark.parametrize(
    "line",
    [
        "step:" + "9" * 100_000 + "/5 train_loss:1.0",
        "step:1/2 train_loss:" + "9" * 100_000,
        "final_x_exact val_loss:1.0 val_bpb:0." + "1" * 100_000,
        "Total submission size int8+zlib: " + "9" * 100_000 + " bytes",
        "model_params:" + "1," * 50_000,
        "seed:" + "1" * 5_000,
        "a:" * 30_000,
        " " * 60_000 + "x",
        "[" * 60_000,
        "=" * 60_000,
        "(" * 30_000 + ")" * 30_000,
        "step:1/2 " + "[" * 50_000,
        "final_ " * 9_000 + "val_loss:1 val_bpb:1",
        "final_x " + "a=b " * 15_000 + "val_loss:1 val_bpb:1",
        "artifact:" + "code:" * 12_000,
        "params " * 9_000,
        "\x00" * 60_000,
        "\x1b[" * 30_000,
        "val_loader" + ":tokens" * 9_000,
        "resume " + "step " * 12_000,
        "1712345678.123 " * 4_000,
    ],
)
def test_hostile_lines_are_neither_believed_nor_slow(line: str) -> None:
    start = time.process_time()  # milliseconds; what backtracks takes minutes
    log = parse(HEAD + (line + "\n") * 3 + STEPS + END)

    assert time.process_time() - start < 5.0
    assert log.result is not None
    assert log.result.final_val_bpb == 1.2243657
    assert log.result.bytes_total == 15863489


def test_a_huge_line_is_cut_and_reported() -> None:
    parser = LogParser()
    parser.feed(HEAD + STEPS)
    for _ in range(200):
        parser.feed(b"x" * 100_000)
    parser.feed("\n" + END)

    log = parser.close()

    assert log.result is not None
    assert log.result.final_val_bpb == 1.2243657
    assert [warning.text for warning in log.warnings] == [
        "a line of 20,000,000 bytes; only its beginning was read"
    ]


def test_ten_thousand_warnings_stay_bounded() -> None:
    log = parse(("x" * 70_000 + "\n") * 300)

    assert len(log.warnings) <= 201
    assert "more warnings" in log.warnings[-1].text


def test_missing_file_says_so() -> None:
    with pytest.raises(HarnessError, match="cannot read"):
        parse_log(Path("no/such/train.log"))


# Live ---------------------------------------------------------------------------------------------


def test_events_come_with_each_line() -> None:
    parser = LogParser()

    assert [type(event) for event in parser.feed_line("seed:1337")] == [Setting]
    assert [type(event) for event in parser.feed_line(STEPS.splitlines()[1])] == [TrainLine]
    assert parser.run.steps == 1
    assert [type(event) for event in parser.feed_line(STEPS.splitlines()[4])] == [ValLine]
    (event,) = parser.feed_line(END.splitlines()[-1] + "\n")
    assert isinstance(event, ResultLine)
    assert parser.run.final_val_bpb == 1.2243657


def test_an_unfinished_line_waits_for_its_rest() -> None:
    parser = LogParser()

    assert parser.feed("model_params:1\nstep:100/300 train_loss:3.1") != []
    assert parser.run.train.count == 0
    assert len(parser.feed("000 train_time:4400ms step_avg:44.00ms\n")) == 1
    assert parser.run.train.last == (100, (3.1, 4400.0))


def test_sink_gets_every_point_though_the_curve_is_thinned() -> None:
    count = MAX_POINTS * 2 + 7
    lines = (
        f"step:{i}/{count} train_loss:2.{i:06d} train_time:{i}ms step_avg:1.00ms\n"
        for i in range(1, count + 1)
    )
    raw = "".join(lines).encode()
    points: list[Event] = []

    listened = parse_log(io.BytesIO(raw), points.append).result
    skimmed = parse_log(io.BytesIO(raw)).result

    assert sum(isinstance(point, TrainLine) for point in points) == count
    assert listened is not None
    assert skimmed is not None
    for run in (listened, skimmed):
        assert run.train.count == count
        assert len(list(run.train)) == len(run.train) <= MAX_POINTS + 2
        assert run.train.first == (1, (2.000001, 1.0))
        assert run.train.last == (count, (float(f"2.{count:06d}"), float(count)))
    assert_same(list(listened.train), list(skimmed.train))
    assert listened.curve_mark == skimmed.curve_mark


# Laws ---------------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *RUN.splitlines(keepends=True),
        "Running Python 3.12\n",
        "Hyperparameters:\n",
        "  seed: 5\n",
        "\n",
        "\r",
        "\x1b[1m",
        '"""\n',
        "import os\n",
        "=" * 40 + "\n",
        "step:",
        "val_bpb:",
        "1712345678.1 ",
        "[rank1]: ",
        "nan",
        "1e999",
        "/",
        "é",
        "\x00",
        "9" * 30,
        "budget:1/2\n",
        "12/20 train_loss: 1.0 train_time: 0.1m\n",
        "step:5/9 loss:1.0 t:5ms avg:1.0ms\n",
    ]
)


@settings(max_examples=150, deadline=timedelta(seconds=20), suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode()), st.binary(max_size=400)
    )
)
def test_anything_can_be_read(raw: bytes) -> None:
    log = parse(raw)

    assert log.size == len(raw)
    for run in log.runs:
        assert run.status != "not_a_run"
        assert len(list(run.train)) == run.train.count
        assert run.final_val_bpb is None or math.isfinite(run.final_val_bpb)
        assert run.gaps is not None
        assert run.sizes_add_up in (True, False, None)


@settings(max_examples=150, deadline=timedelta(seconds=20), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=30).map("".join), st.lists(st.integers(1, 60), min_size=1, max_size=20))
def test_how_a_log_is_cut_into_pieces_does_not_matter(text: str, sizes: list[int]) -> None:
    raw = text.encode()
    parser, at, turn = LogParser(), 0, 0
    while at < len(raw):
        parser.feed(raw[at : at + sizes[turn % len(sizes)]])
        at += sizes[turn % len(sizes)]
        turn += 1

    fed, whole = parser.close(), parse(raw)

    assert_same([as_expected_text(run) for run in fed.runs], [as_expected_text(run) for run in whole.runs])
    assert (fed.lines, fed.encoding) == (whole.lines, whole.encoding)
    assert fed.warnings == whole.warnings


def as_expected_text(run: LoggedRun) -> str:
    """As text, since NaN is not equal to itself."""
    return repr((as_expected(run), run.hyperparameters, list(run.train), list(run.val), run.copies))


def test_lines_and_bytes_give_the_same() -> None:
    log = parse_lines(RUN.splitlines())

    assert log.result is not None
    assert as_expected(log.result) == as_expected(result(RUN))


# Size ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("one_line", [False, True])
def test_memory_does_not_grow_with_the_log(tmp_path: Path, one_line: bool) -> None:
    path = tmp_path / "train.log"
    with path.open("w") as file:
        file.write(HEAD)
        if one_line:
            for _ in range(60):
                file.write("y" * 1_000_000)
        else:
            for step in range(1, 800_000):
                file.write(f"step:{step}/800000 train_loss:2.1234 train_time:{step}ms step_avg:1.00ms\n")
        file.write("\n" + END)
    code = (
        "import resource, sys; from pathlib import Path; from harness.field.log_parser import parse_log\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "log = parse_log(Path(sys.argv[1])); assert log.result.final_val_bpb == 1.2243657\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )

    root = ROOT
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=root, check=True, capture_output=True, text=True
    )

    assert path.stat().st_size > 50_000_000
    assert int(done.stdout) < 20_000  # KiB


BAR = b"\r 42%|####      | 421/1000 [00:42<00:58,  9.99it/s, loss=2.1]"
FLOODS = {
    "lines": b"UserWarning: this loop prints for ever\n" * 1000,
    "empty": b"\n" * 40_000,
    "bar in one line": BAR * 1000,
    "bar in many lines": (BAR + b"\n") * 1000,
    "source code": b"import os\nif x:\n  '''\n" * 2000,
}


@pytest.mark.timeout(60)  # far above what it takes; read the careful way, it takes minutes
@pytest.mark.parametrize("flood", FLOODS)
def test_what_stands_behind_a_flood_is_read_and_has_its_line_number(flood: str) -> None:
    block = FLOODS[flood]
    noise = block * (30_000_000 // len(block))

    log = parse_log(io.BytesIO(HEAD.encode() + noise + b"\n" + END.encode()))

    assert log.result is not None
    assert log.result.final_val_bpb == 1.2243657
    assert log.lines == HEAD.count("\n") + noise.count(b"\n") + 1 + END.count("\n")


def test_a_step_in_a_progress_bar_between_others_is_read() -> None:
    line = b"step:1/20 train_loss:5.0000 train_time:1ms step_avg:1.00ms"

    log = parse_log(io.BytesIO(BAR * 40 + b"\r" + line + BAR * 40 + b"\n"))

    assert log.result is not None
    assert log.result.steps == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_of_a_log_beyond_the_limit_both_ends_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "train.log"
    noise = "UserWarning: this loop prints for ever\n" * 40_000
    middle = "final_int8_zlib_roundtrip val_loss:9.9 val_bpb:9.9\n"
    path.write_text(HEAD + noise + middle + noise + END, encoding)

    log = parse_log(path, max_bytes=1_000_000)

    assert log.result is not None
    assert log.result.final_val_bpb == 1.2243657
    assert log.result.hyperparameters == parse(HEAD).result.hyperparameters
    assert [warning.text for warning in log.warnings if "were not read" in warning.text]
    assert log.size < 2_000_000
