"""What logs of other people say in other words than the challenge's script: each kind on a small log."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from harness.field.closest_line import find_closest_line, say_closest
from harness.field.log_events import ValLine
from harness.field.log_parser import LogParser, ParsedLog, parse_log
from harness.field.logged_run import LoggedRun

SETUP = "model_params:20123456\nworld_size:8 grad_accum_steps:1\nseed:11\nwarmup_step:1/5\n"
STEPS = (
    "step:0/5000 val_loss:6.9310 val_bpb:4.1049 train_time:0ms step_avg:0.01ms\n"
    "step:200/5000 train_loss:3.4120 train_time:20000ms step_avg:100.00ms\n"
    "step:4400/5000 val_loss:2.0500 val_bpb:1.2142 train_time:440000ms step_avg:100.00ms\n"
)
SIZES = (
    "Serialized model: 80000000 bytes\nCode size: 50000 bytes\nTotal submission size: 80050000 bytes\n"
    "Serialized model int6+lzma: 15000000 bytes\nTotal submission size int6+lzma: 15050000 bytes\n"
)
ROUND_TRIP = "final_int6_lzma_roundtrip_exact val_loss:2.07000000 val_bpb:1.22600000\n"


def read(text: str) -> LoggedRun:
    run = parse_log(io.BytesIO(text.encode())).result
    assert run is not None
    return run


def parse(text: str) -> ParsedLog:
    return parse_log(io.BytesIO(text.encode()))


def warnings(text: str) -> str:
    return "\n".join(warn.text for warn in parse_log(io.BytesIO(text.encode())).warnings)


# Which result is the score ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label",
    [
        "sliding_window_eval_exact",
        "slot_eval_exact",
        "ngram_exact:",
        "ppm_sliding",
        "ttt_eval",
        "online_best_agree_0.7_exact",
        "final_quant_lzma(preset=9)_roundtrip",
        "Post-quant sliding",
    ],
)
def test_a_lower_result_after_the_artifact_is_the_score(label: str) -> None:
    run = read(SETUP + STEPS + SIZES + ROUND_TRIP + f"{label} val_loss:2.00000000 val_bpb:1.18450000\n")

    assert run.final_val_bpb == 1.1845
    assert run.choice.doubt is None


@pytest.mark.parametrize(
    "label",
    [
        "final_pre_quant",
        "final_prequant_sliding",
        "final_fp_raw",
        "final_fp32",
        "unquantized",
        "ema_final",
        "bpb_gap",
    ],
)
def test_a_result_that_is_not_of_the_artifact_is_never_the_score(label: str) -> None:
    other = f"{label} val_loss:1.90000000 val_bpb:1.12000000\n"

    assert read(SETUP + STEPS + other + SIZES + ROUND_TRIP + other).final_val_bpb == 1.226
    assert read(SETUP + STEPS + SIZES + other).official is None


@pytest.mark.parametrize(
    ("line", "label", "bpb"),
    [
        ("val_bpb (int6 roundtrip): 1.2044", "int6 roundtrip", 1.2044),
        ("Final sliding-window BPB: 1.2044", "Final sliding-window", 1.2044),
        ("final eval: loss=2.0333 bpb=1.2044", "final eval", 1.2044),
        ("int6 roundtrip | val_loss 2.0333 | val_bpb 1.2044", "int6 roundtrip", 1.2044),
        (">>> final_sliding val_loss:2.0333 val_bpb:1.2044", "final_sliding", 1.2044),
        ("sliding window bits per byte: 1.2044", "sliding window", 1.2044),
        ("ppm_mixer val_bpb:1.2044 order=4 T=0.9", "ppm_mixer", 1.2044),
        ("Final sliding-window (stride 64): val_loss:2.0333 val_bpb:1.2044", "Final sliding-window", 1.2044),
        ("final_sliding_bpb=1.2044", "final_sliding", 1.2044),
        ("\u2705 Final BPB (TTT): 1.2044", "Final TTT", 1.2044),
        ("pre_quant_bpb: 1.2044", ROUND_TRIP.split()[0], 1.226),
        ("roundtrip_penalty_bpb: 0.0044", ROUND_TRIP.split()[0], 1.226),
        ("sliding_eval running bpb: 1.2044", ROUND_TRIP.split()[0], 1.226),
        ("sliding window speed 1.2044 bpb 3.1x", ROUND_TRIP.split()[0], 1.226),
        ("val_bpb (pre-quant): 1.2044", ROUND_TRIP.split()[0], 1.226),
        ("teacher_eval val_loss:2.0333 val_bpb:1.2044", ROUND_TRIP.split()[0], 1.226),
        ("fake_quant_eval val_loss:2.0333 val_bpb:1.2044", ROUND_TRIP.split()[0], 1.226),
        ("quant gap: val_bpb 0.0044", ROUND_TRIP.split()[0], 1.226),
        ("improvement_exact val_loss:0.0040 val_bpb:0.0044", ROUND_TRIP.split()[0], 1.226),
    ],
)
def test_a_score_in_other_words(line: str, label: str, bpb: float) -> None:
    official = read(SETUP + STEPS + SIZES + ROUND_TRIP + line + "\n").official

    assert official is not None
    assert (official.label, official.val_bpb) == (label, bpb)


def test_a_stage_before_adaptation_is_not_called_adaptation() -> None:
    run = read(SETUP + STEPS + SIZES + "pre_ttt_sliding_exact val_loss:2.00000000 val_bpb:1.18450000\n")

    assert run.official is not None
    assert run.official.stage == "sliding_window"


def test_an_evaluation_before_the_artifact_is_made_is_not_its_score() -> None:
    early = "sliding_window_eval val_loss:1.9000 val_bpb:1.1200\n"

    assert read(SETUP + STEPS + early + SIZES + ROUND_TRIP).final_val_bpb == 1.226


def test_an_unknown_label_after_the_size_counts_and_is_called_not_sure() -> None:
    text = SETUP + STEPS + SIZES + "my_own_check val_loss:2.10000000 val_bpb:1.24380000\n"

    assert read(text).final_val_bpb == 1.2438
    assert "not sure" in (read(text).choice.why or "")
    assert "my_own_check" in warnings(text)
    assert read(text + ROUND_TRIP).final_val_bpb == 1.226
    assert read(text + ROUND_TRIP).choice.doubt is None


def test_a_lower_result_under_an_unknown_label_counts_and_is_called_not_sure() -> None:
    text = SETUP + STEPS + SIZES + ROUND_TRIP + "my_own_mixer val_loss:2.00000000 val_bpb:1.18450000\n"

    assert read(text).final_val_bpb == 1.1845
    assert "my_own_mixer is not sure" in warnings(text)


def test_bits_per_byte_alone_are_a_score_without_a_loss() -> None:
    run = read(SETUP + STEPS + SIZES + ROUND_TRIP + "final_sliding_window_exact val_bpb:1.20440000\n")

    assert (run.final_val_bpb, run.final_val_loss) == (1.2044, None)


def test_progress_with_bits_per_byte_is_no_result() -> None:
    run = read(
        SETUP + STEPS + SIZES + ROUND_TRIP + "sliding eval 12/90 val_bpb:1.1000\nttt 50% val_bpb:1.1000\n"
    )

    assert run.final_val_bpb == 1.226


def test_a_size_that_is_printed_after_its_score_belongs_to_it() -> None:
    run = read(
        SETUP
        + STEPS
        + "val_bpb (int4 roundtrip): 1.3400\nArtifact size: 11,960,000 bytes\n"
        + "val_bpb (int6 roundtrip): 1.2600\nArtifact size: 15,880,000 bytes\n"
        + "val_bpb (int4 roundtrip): 1.3300\nArtifact size: 11,970,000 bytes\n"
    )

    assert (run.final_val_bpb, run.bytes_total) == (1.26, 15_880_000)


def test_a_count_that_makes_up_the_total_with_the_code_is_the_model() -> None:
    text = "Code size: 53888 bytes\nTernary artifact: 15057568 bytes\nTotal submission size: 15111456 bytes\n"
    run = read(SETUP + STEPS + text + ROUND_TRIP)

    assert (run.bytes_total, run.bytes_model, run.bytes_code) == (15_111_456, 15_057_568, 53_888)


def test_the_score_and_the_size_are_of_one_artifact() -> None:
    large = "Total submission size int8+zlib: 19900000 bytes\n"
    large += "final_int8_roundtrip_exact val_loss:2.05000000 val_bpb:1.21400000\n"
    run = read(SETUP + STEPS + large + SIZES + ROUND_TRIP)
    reverse = read(SETUP + STEPS + SIZES + ROUND_TRIP + large)

    assert (run.final_val_bpb, run.bytes_total) == (1.226, 15_050_000)
    assert (reverse.final_val_bpb, reverse.bytes_total) == (1.226, 15_050_000)


# One run or several -------------------------------------------------------------------------------


def test_a_recap_of_the_score_lines_is_no_second_run() -> None:
    lines = SETUP + STEPS + SIZES + ROUND_TRIP
    recap = "[job] scores\n" + STEPS.splitlines()[0] + "\n" + STEPS.splitlines()[2] + "\n" + ROUND_TRIP
    log = parse_log(io.BytesIO((lines + recap).encode()))

    assert len(log.runs) == 1
    assert log.result is not None
    assert (log.result.bytes_total, log.result.seed, log.result.steps) == (15_050_000, 11, 4400)


def curve(*steps: int, shift: float = 0.0) -> str:
    return "".join(
        f"step:{step}/5000 train_loss:{4 - step / 5000 + shift:.4f} train_time:{step}ms step_avg:1.00ms\n"
        for step in steps
    )


def test_a_recap_in_the_middle_of_training_is_no_second_run() -> None:
    log = parse(SETUP + curve(100, 200, 300) + "status:\n" + curve(200, 300) + curve(400, 500) + ROUND_TRIP)

    assert len(log.runs) == 1
    assert [step for step, _ in log.runs[0].train] == [100, 200, 300, 400, 500]
    assert log.runs[0].seed == 11


def test_a_recap_of_several_runs_is_none_of_its_own() -> None:
    other = "final_int6_lzma_roundtrip_exact val_loss:2.09000000 val_bpb:1.23800000\n"
    second = SETUP.replace("seed:11", "seed:12") + curve(100, 200, shift=0.1) + SIZES + other
    log = parse(SETUP + curve(100, 200) + SIZES + ROUND_TRIP + second + curve(100, 200) + ROUND_TRIP + other)

    assert [(run.seed, run.final_val_bpb, run.train.count) for run in log.runs] == [
        (11, 1.226, 2),
        (12, 1.238, 2),
    ]


def test_a_run_that_begins_with_the_numbers_of_the_one_before_is_whole() -> None:
    log = parse(curve(100, 200, 300) + ROUND_TRIP + curve(100) + curve(200, 300, 400, shift=0.1))

    assert [run.train.count for run in log.runs] == [3, 4]


def test_results_after_a_recap_belong_to_the_run() -> None:
    run = read(SETUP + STEPS + SIZES + STEPS.splitlines()[2] + "\n" + ROUND_TRIP)

    assert (run.seed, run.final_val_bpb) == (11, 1.226)


def test_a_head_printed_twice_is_one_run() -> None:
    head = "Running Python 3.12.3\n" + SETUP

    assert "run" not in warnings(head + head + STEPS + SIZES + ROUND_TRIP)
    other = head.replace("seed:11", "seed:12")
    assert "earlier run" in warnings(head + other + STEPS + SIZES + ROUND_TRIP)


def test_blank_lines_do_not_end_the_hyperparameters() -> None:
    text = "Hyperparameters:\n  iterations: 5000\n\n  model_dim: 512\n\n  seed: 77\nval_tokens: 40540160\n"

    assert read(text + STEPS).hyperparameters["model_dim"] == "512"
    assert read(text + STEPS).seed == 77


def test_the_stop_line_says_how_far_the_run_came() -> None:
    run = read(SETUP + STEPS + "stopping_early: wallclock_cap train_time:482000ms step:4820/5000\n")

    assert (run.steps, run.train_time_ms) == (4820, 482_000)


# Facts in other places ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "seed", "world_size"),
    [
        ("lr:embed=0.03 batch:786432 wall:600s seed:99", 99, None),
        ("[setup] H100 x 8, world_size=8, seed=99, bf16", 99, 8),
        ("launch: torchrun --standalone --nproc_per_node=4 train.py", None, 4),
    ],
)
def test_a_fact_in_the_middle_of_a_line_is_read(line: str, seed: int | None, world_size: int | None) -> None:
    run = read(line + "\n" + STEPS)

    assert (run.seed, run.world_size) == (seed, world_size)


@pytest.mark.parametrize(
    ("line", "seed", "world_size", "params"),
    [
        ("params: 26.99M (26,993,756)", None, None, 26_993_756),
        ("model has 26_993_756 parameters", None, None, 26_993_756),
        ("26,993,756 trainable parameters", None, None, 26_993_756),
        ("model size: 26,993,756 parameters", None, None, 26_993_756),
        ("model:11L params:26993756 seed:42 ws:8", 42, 8, 26_993_756),
        ("num decayed parameter tensors: 50, with 26,000,000 parameters", None, None, None),
        ("[init] rank 0/8 seed=42", 42, 8, None),
        ("DDP: rank 0 / world 8", None, 8, None),
        ("args: {'seed': 42, 'world_size': 8}", 42, 8, None),
        ('{"seed": 42, "world_size": 8, "params": 26993756}', 42, 8, 26_993_756),
        ("--nproc_per_node=8 train_gpt.py", None, 8, None),
        ("Running on 8 GPUs", None, 8, None),
        ("nproc_per_node=8", None, 8, None),
        ("setting seed to 42", 42, None, None),
        ("  seed                : 42", 42, None, None),
        ("seed.......... 42", 42, None, None),
        ("data_seed: 7 eval seed 9", None, None, None),
        ("run exp_seed42 of 3", None, None, None),
        ("param groups: 4 on GPU 0", None, None, None),
        ("model_params_total:26993756 model_params_export:26900000", None, None, 26_993_756),
        ("unique_params:26993756 effective_params:81000000", None, None, 26_993_756),
        ("Total trainable parameters ............ 26993756", None, None, 26_993_756),
        ("Model parameters (total): 26,993,756", None, None, 26_993_756),
        ("Params: 21.6M (transformer 21.1M + embed 0.5M)", None, None, 21_600_000),
        ("Number of parameters: 27.12 million", None, None, 27_120_000),
        ("Model initialized | 27.1M params | 8 GPUs | seed 42", 42, 8, 27_100_000),
        ("embedding params: 524288, lora params: 40960", None, None, None),
        ("lr:embed=0.03 params:26993756 ws:8", None, 8, 26_993_756),
        ("seed=42 | world=8 | params=26993756", 42, 8, 26_993_756),
        ("ddp_world_size = 8", None, 8, None),
        ("devices: 8", None, 8, None),
        ("gpus: 0,1,2,3", None, 4, None),
        ("Hardware: 8xH100 80GB HBM3", None, 8, None),
        ("gpu: NVIDIA H100 80GB HBM3 x 8", None, 8, None),
        ("GPU 1: NVIDIA H100, device: cuda:2", None, None, None),
        ("random seed set to 42", 42, None, None),
        ("set_seed(42)", 42, None, None),
    ],
)
def test_facts_in_other_words(
    line: str, seed: int | None, world_size: int | None, params: int | None
) -> None:
    run = read(line + "\n" + STEPS)

    assert (run.seed, run.world_size, run.model_params) == (seed, world_size, params)


def test_facts_that_are_said_at_the_end_are_taken() -> None:
    run = read(STEPS + SIZES + ROUND_TRIP + "model_params:20123456 seed:11\nDone on 8 GPUs\n")

    assert (run.seed, run.world_size, run.model_params) == (11, 8, 20_123_456)
    assert read(SETUP + STEPS + ROUND_TRIP + "seed:12\nresults of seed 13\n").seed == 11


def test_a_line_of_its_own_counts_before_the_middle_of_another() -> None:
    assert read("data: shuffled with seed=5, twice\nseed:11\n" + STEPS).seed == 11


@pytest.mark.parametrize(
    ("line", "total", "model", "code"),
    [
        ("model:13015800 code:102880 total:13118680 (13.12 MB)", 13_118_680, 13_015_800, 102_880),
        ("serialized_model_int8_zlib:12288500 bytes (payload:17551040)", None, 12_288_500, None),
        ("Artifact: 14,800,100 bytes", 14_800_100, None, None),
        ("Submission size limit: 16000000 bytes", None, None, None),
        ("Artifact size: 14.80 MB (14,800,100 bytes)", 14_800_100, None, None),
        ("Total: 14,800,100 / 16,000,000 bytes", 14_800_100, None, None),
        ("submission_bytes: 14800100", 14_800_100, None, None),
        ("Saved quantized model to out/final_model.ptz: 14,750,000 bytes", None, 14_750_000, None),
        ("Compressed size: 14,750,000 bytes", None, 14_750_000, None),
        ("Code bytes: 50,100", None, None, 50_100),
        ("max artifact bytes: 16000000", None, None, None),
        ("headroom: 1,199,900 bytes", None, None, None),
        ("total bytes: 151080891", None, None, None),
        ("model:13 code:9 total:23", None, None, None),
        ("submission_bytes=13118680 model_bytes=13015800 code_bytes=102880", 13_118_680, 13_015_800, 102_880),
        (
            "int6+br artifact: 13015800 bytes, code 102880 bytes, total 13118680",
            13_118_680,
            13_015_800,
            102_880,
        ),
        ("Artifact: 13015800 bytes + code 102880 = 13118680 bytes", 13_118_680, 13_015_800, 102_880),
        ("Ternary artifact: 15057568 bytes (lzma) = 15.06MB", 15_057_568, None, None),
        ("serialized_artifact_lzma:15603974 bytes", 15_603_974, None, None),
        ("export: final_model.int6.ptz 15211004 bytes", None, 15_211_004, None),
        ("target artifact: 16000000 bytes", None, None, None),
        ("baseline artifact: 15863489 bytes", None, None, None),
    ],
)
def test_sizes_in_other_words(line: str, total: int | None, model: int | None, code: int | None) -> None:
    run = read(SETUP + STEPS + line + "\n")

    assert (run.bytes_total, run.bytes_model, run.bytes_code) == (total, model, code)


@pytest.mark.parametrize(
    ("line", "ms"),
    [
        ("stopping_early: wallclock_cap at step 4450/5000 (600.1s)", 600_100.0),
        ("Reached wallclock limit at step 4450 (600.0s)", 600_000.0),
        ("wallclock cap reached: step 4450, 600.0s", 600_000.0),
        ("Time limit reached at step 4450/5000, stopping", 440_000.0),
        ("max_wallclock reached step:4450", 440_000.0),
        ("Early stop at step=4450: time budget used up after 10.0m", 600_000.0),
        ("Max wallclock reached (600.0s), stopping at step 4450", 600_000.0),
        ("Time budget exhausted: step 4450, 600.1s", 600_100.0),
        ("WALLCLOCK CAP at step 4450/5000, 600.0s", 600_000.0),
    ],
)
def test_a_stop_at_the_limit_in_other_words(line: str, ms: float) -> None:
    run = read(SETUP + STEPS + line + "\n")

    assert (run.steps, run.planned_steps, run.stop_reason) == (4450, 5000, "wallclock_cap")
    assert run.train_time_ms == ms


@pytest.mark.parametrize(
    ("line", "reason", "ms"),
    [
        ("Training complete: 4450 steps in 600.0 s", None, 600_000.0),
        ("Training done in 600.0s (4450 steps)", None, 600_000.0),
        ("Finished training at step 4450", None, 440_000.0),
        ("Trained 4450 steps in 10.0 min", None, 600_000.0),
        ("early stop: step=4450", "early_stop", 440_000.0),
        ("[trainer] stopping at step 4450 after 600.1s", "early_stop", 600_100.0),
    ],
)
def test_the_end_of_training_in_other_words(line: str, reason: str | None, ms: float) -> None:
    run = read(SETUP + STEPS + line + "\n" + ROUND_TRIP)

    assert (run.steps, run.stop_reason, run.train_time_ms) == (4450, reason, ms)
    assert run.status == ("wallclock_cap" if reason else "completed")


@pytest.mark.parametrize(
    "line",
    [
        "Early stopping enabled: patience 6000 steps",
        "training will be done in 5000 steps",
        "warmup complete at step 4999",
    ],
)
def test_words_of_an_end_that_is_none_stop_nothing(line: str) -> None:
    run = read(SETUP + STEPS + line + "\n" + ROUND_TRIP)

    assert (run.stop, run.steps) == (None, 4400)


def test_a_limit_that_is_only_announced_stops_nothing() -> None:
    run = read(
        SETUP + "Time limit 600s, evaluation every step 500\nmax_wallclock_seconds: 600 step 1\n" + STEPS
    )

    assert (run.steps, run.train.count) == (4400, 1)


# Ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (
            "Traceback (most recent call last):\n  File\ntorch.OutOfMemoryError: CUDA out of memory.",
            "out_of_memory",
        ),
        ("[rank0]: Traceback (most recent call last):\n[rank0]: ValueError: no such shard", "error"),
        ("[rank3]: torch.OutOfMemoryError: CUDA out of memory.", "out_of_memory"),
        ("ModuleNotFoundError: No module named 'zstandard'", "missing_module"),
        ("RuntimeError: x\ntorch.distributed.elastic.multiprocessing.errors.ChildFailedError:", "error"),
        ("Killed", "killed"),
        ("rank0: ValueError: no such shard", "error"),
        ("(Trainer pid=4711, ip=10.0.0.3) ValueError: no such shard", "error"),
        ("1: torch.OutOfMemoryError: CUDA out of memory.", "out_of_memory"),
        ("train.sh: line 12:  4711 Killed                  python train_gpt.py", "killed"),
        ("Segmentation fault (core dumped)", "error"),
        (
            "slurmstepd: error: *** JOB 4711 ON node3 CANCELLED AT 2026-03-20T12:00:07 DUE TO TIME LIMIT ***",
            "timeout",
        ),
        (
            "[2026-04-05T14:36:10] error: *** JOB 1 ON g1 CANCELLED AT 2026-04-05 DUE TO TIME LIMIT ***",
            "timeout",
        ),
        ("Terminated", "killed"),
        (
            "E0405 14:36:10.1 4 torch/elastic/api.py:874] failed (exitcode: -9) local_rank: 0 (pid: 1)",
            "killed",
        ),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=4711.0.", "killed"),
        (
            "[rank2]:[E320 12:00:07.1 ProcessGroupNCCL.cpp:616] [Rank 2] Watchdog caught collective "
            "operation timeout: WorkNCCL(SeqNum=9, Timeout(ms)=600000)\n"
            "[rank2]: torch.distributed.DistBackendError: NCCL communicator was aborted",
            "timeout",
        ),
        (
            "Traceback (most recent call last):\nx.errors.ChildFailedError:\n"
            "  exitcode  : -9 (pid: 4711)\n  traceback : Signal 9 (SIGKILL) received by PID 4711",
            "killed",
        ),
        (
            "[rank3]: torch.OutOfMemoryError: CUDA out of memory.\n[rank0]: RuntimeError: peer left",
            "out_of_memory",
        ),
        ("loss is nan at step 4500, stopping", "nan"),
        ("NaN loss detected at step 4500", "nan"),
        ("loss exploded to nan at step 4500, aborting", "nan"),
        ("/bin/bash: line 1:  4711 Killed                  python train.py", "killed"),
        ("Command terminated with exit code 137", "killed"),
        ("libc++abi: terminating due to uncaught exception: [METAL] Insufficient Memory", "out_of_memory"),
        ("triton.runtime.errors.OutOfResources: out of resource: shared memory", "error"),
    ],
)
def test_a_log_that_ends_in_an_error_says_which(end: str, kind: str) -> None:
    run = read(SETUP + STEPS + end + "\n")

    assert run.ended_by is not None
    assert run.ended_by.kind == kind
    assert "ChildFailed" not in run.ended_by.text


def test_an_error_that_the_run_survived_did_not_end_it() -> None:
    assert read("ImportError: flash_attn\n" + SETUP + STEPS).ended_by is None


def test_the_last_error_of_a_chain_is_the_reason() -> None:
    chain = "KeyError: 'wte'\n\nDuring handling of the above exception:\n\nRuntimeError: no weights for wte\n"
    run = read(SETUP + STEPS + chain)

    assert run.ended_by is not None
    assert run.ended_by.text == "RuntimeError: no weights for wte"


def test_what_was_survived_does_not_hide_how_it_ended() -> None:
    run = read("RuntimeError: compiled again\n" + SETUP + STEPS + "Traceback (most recent call last):\n")

    assert run.ended_by is not None
    assert run.ended_by.text.startswith("Traceback")


# No score -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "number", "text"),
    [
        (
            ["step 5", "compression: 1.2345 bits/byte", "loss went to 3.1", "bye"],
            2,
            "compression: 1.2345 bits/byte",
        ),
        (["[rank0]: my bits-per-byte is 1.25", "eval loss 3.2"], 1, "my bits-per-byte is 1.25"),
        (["train loss 3.1", "eval_nll: 2.9", "eval_nll: 2.8"], 3, "eval_nll: 2.8"),
        (["print('val_bpb', 1.25)", "loss 3.1"], 2, "loss 3.1"),
    ],
)
def test_the_line_nearest_to_a_score_is_found(
    lines: list[str], number: int, text: str, tmp_path: Path
) -> None:
    log = tmp_path / "train.log"
    log.write_text("\n".join(lines) + "\n")

    assert find_closest_line(log) == (number, text)


def test_the_nearest_line_of_a_long_log_has_its_number(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("nothing to see in this line\n" * 200_000 + "total bits per byte 1.25\n")

    assert find_closest_line(log) == (200_001, "total bits per byte 1.25")


def test_nothing_near_to_a_score_is_said_plainly(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text("hello\n")

    assert say_closest(log) == "no line comes near to one"


# Prefixes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix",
    [
        "web-1  | ",
        "own_job_d704: ",
        "(train_fn pid=4711) ",
        "I0320 12:00:07.123456 4711 train.py:120] ",
        "2026-03-20 12:00:07.123 | INFO     | __main__:main:12 - ",
        "my.trainer - INFO - ",
        "[1776142360.71]\t",
    ],
)
def test_a_prefix_before_most_lines_is_learnt_from_the_file(prefix: str) -> None:
    text = SETUP + STEPS + SIZES + ROUND_TRIP
    run = read("".join(prefix + line for line in text.splitlines(keepends=True)))

    assert (run.seed, run.model_params, run.steps) == (11, 20_123_456, 4400)
    assert (run.final_val_bpb, run.bytes_total) == (1.226, 15_050_000)
    assert run.official is not None
    assert run.official.label == "final_int6_lzma_roundtrip_exact"


@pytest.mark.parametrize(
    ("out", "err"),
    [
        ("web-1  | ", "web-1  | "),
        ("2026-03-20 12:00:07 | INFO    | run:log:12 - ", "2026-03-20 12:00:08 | ERROR   | run:main:90 - "),
        ("I0320 12:00:07.123456 4711 train.py:120] ", "[rank0]: "),
        ("own_job_d704: ", ""),
        ("(train_fn pid=4711) ", "(train_fn pid=4711) [rank0]: "),
    ],
)
def test_lines_of_both_streams_are_read_with_their_own_prefixes(out: str, err: str) -> None:
    lines = [out + line for line in (SETUP + STEPS).splitlines()]
    lines += [err + "Traceback (most recent call last):", err + "ValueError: no such shard"]
    run = read("\n".join(lines) + "\n")

    assert (run.seed, run.steps) == (11, 4400)
    assert run.ended_by is not None
    assert run.ended_by.text == "ValueError: no such shard"


def test_a_prefix_on_a_part_of_the_lines_is_learnt() -> None:
    noise = "a line of the launcher\n" * 40
    text = SETUP + STEPS + SIZES + ROUND_TRIP
    run = read(noise + "".join("gpu-7> " + line for line in text.splitlines(keepends=True)) + noise)

    assert (run.seed, run.steps, run.final_val_bpb) == (11, 4400, 1.226)


def test_the_columns_of_rich_are_taken_off() -> None:
    left = ["[12:00:07] INFO     ", "           INFO     ", "           WARNING  "]
    text = SETUP + STEPS + SIZES + ROUND_TRIP
    run = read(
        "".join(f"{left[i % 3]}{line}      train.py:{i}\n" for i, line in enumerate(text.splitlines()))
    )

    assert (run.seed, run.steps, run.train.count) == (11, 4400, 1)
    assert (run.final_val_bpb, run.bytes_total) == (1.226, 15_050_000)


def test_a_word_of_the_line_itself_is_no_prefix() -> None:
    warm = "".join(
        f"warmup step:{step}/5 train_loss:6.0000 train_time:9ms step_avg:9.00ms\n" for step in range(5)
    )

    assert read(warm + SETUP + STEPS).train.count == 1
    steps = "".join(f"step:{step}/900 train_loss:3.0 train_time:{step}ms\n" for step in range(1, 900))
    assert read(steps).train.count == 899


def test_a_prefix_is_learnt_from_a_log_that_comes_line_by_line() -> None:
    parser, events = LogParser(), []
    for line in (SETUP + STEPS + SIZES + ROUND_TRIP).splitlines():
        events += parser.feed(f"web-1  | {line}\n")
    log = parser.close()

    assert log.result is not None
    assert (log.result.seed, log.result.final_val_bpb) == (11, 1.226)
    assert [event.step for event in events if isinstance(event, ValLine)] == [0, 4400]
