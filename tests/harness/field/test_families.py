"""Logs of other trainers: each family's own lines, with invented numbers."""

from __future__ import annotations

import io
from typing import Any

import pytest

from harness.field.log_parser import parse_log
from harness.field.logged_run import LoggedRun
from tests.paths import DATA

FAMILIES = DATA / "families"  # in the shape that each prints, numbers invented


def text_of(name: str) -> str:
    return (FAMILIES / f"{name}.log").read_bytes().decode()


def read(text: str) -> LoggedRun:
    log = parse_log(io.BytesIO(text.encode()))
    assert len(log.runs) == 1
    return log.runs[0]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "autoresearch",
            {"steps": 87, "n": 9, "bpb": 1.371807, "params": 50_332_176, "ms": 300_100.0, "mib": 21_000.0},
        ),
        (
            "nanochat",
            {"steps": 200, "n": 3, "bpb": 1.198765, "params": 77_123_456, "ms": 17_400.0, "mib": 30_123.5},
        ),
        ("slowrun", {"steps": 80, "n": 2, "bpb": 1.301, "params": None, "ms": 16_800.0, "mib": 41_000.25}),
        (
            "modded_nanogpt",
            {"steps": 1750, "n": 0, "bpb": None, "params": None, "ms": 171_040.0, "mib": 39_123.0},
        ),
        ("nanogpt", {"steps": 250, "n": 3, "bpb": None, "params": 123_590_000, "ms": None, "mib": None}),
        ("llm_c", {"steps": 2, "n": 2, "bpb": None, "params": 124_475_904, "ms": None, "mib": None}),
        ("build_nanogpt", {"steps": 1, "n": 2, "bpb": None, "params": None, "ms": None, "mib": None}),
        ("gdn", {"steps": 9000, "n": 2, "bpb": None, "params": None, "ms": None, "mib": None}),
    ],
)
def test_a_family_is_read_by_its_own_lines(name: str, facts: dict[str, Any]) -> None:
    run = read(text_of(name))

    found = {
        "steps": run.steps,
        "n": run.train.count,
        "bpb": run.final_val_bpb,
        "params": run.model_params,
        "ms": run.train_time_ms and round(run.train_time_ms, 3),
        "mib": run.peak_memory_mib,
    }
    assert found == facts


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("nanochat", (200, None, 1.198765)),
        ("slowrun", (80, 4.27, 1.301)),
        ("modded_nanogpt", (1750, 3.2788, None)),
        ("nanogpt", (250, 5.14, None)),
        ("llm_c", (2, 10.512, None)),
        ("gdn", (9000, 2.18, 1.2911)),
    ],
)
def test_the_validation_curve_of_a_family_is_kept(
    name: str, last: tuple[int, float | None, float | None]
) -> None:
    run = read(text_of(name))

    assert run.val.last is not None
    step, (loss, bpb, _) = run.val.last
    assert (step, *(None if value != value else value for value in (loss, bpb))) == last


def test_a_score_without_an_artifact_says_that_it_is_of_the_trained_weights() -> None:
    for name in ("autoresearch", "nanochat", "slowrun"):
        run = read(text_of(name))
        assert run.choice.doubt
        assert "trained weights" in (run.choice.why or "")


def test_a_run_that_stopped_before_its_end_has_no_score() -> None:
    for name in ("autoresearch", "nanochat", "slowrun"):
        text = text_of(name)
        assert read(text[: text.index("Peak") if "Peak" in text else text.index("---")]).official is None


def test_steps_of_another_loop_inside_the_run_are_no_training() -> None:
    text = (
        "step:100/300 train_loss:3.1000 train_time:4400ms step_avg:44.00ms\n"
        "step:300/300 val_loss:2.0606 val_bpb:1.2172 train_time:11000ms step_avg:44.00ms\n"
        "step 1/8 | loss 2.0100\nstep 2/8 | loss 1.9100\n"
        "final_int8_zlib_roundtrip_exact val_loss:2.07000000 val_bpb:1.22500000\n"
        "iter 900: loss 1.8000\n"
    )
    run = read(text)

    assert (run.steps, run.train.count) == (300, 1)


@pytest.mark.parametrize(
    "line",
    [
        "step 5000 checkpoint saved",
        "Step 3: Train the tokenizer",
        "step:1000 churn:0.0",
        "step 12 | aux loss 0.1",
        "iter 7: grad norm 1.2, lr 0.1",
        "it was 12 loss-free days",
        "val_bpb:enabled tokenizer_kind=sentencepiece",
        "update 3: no val_loss yet",
    ],
)
def test_what_only_looks_like_a_step_is_none(line: str) -> None:
    assert parse_log(io.BytesIO((line + "\n").encode())).result is None
