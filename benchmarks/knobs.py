"""What each added knob costs on the practice preset: parameters, bytes of the model, time of a step, of
packing, of scoring.

    python -m benchmarks.knobs [WORD ...] [--rounds N]

A run with the knob and one without take steps in turn, on one thread; times are CPU time, ratios are of
medians. Both are packed after those steps, or after 50 where packing is what is timed: bytes are of weights
that have hardly been trained. WORD: only knobs whose name holds it. The practice model is small (361,608
parameters): what a knob adds per layer or per head weighs less in a large one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from trainer.artifact import encode, pack
from trainer.build import count_params
from trainer.config import PRESETS, load_config
from trainer.scoring import score_validation
from trainer.setup import prepare
from trainer.state import Observer, Run
from trainer.train import start, take_step

PARITY = Path(__file__).resolve().parent.parent / "tests" / "data" / "parity"
PLAIN = PRESETS["practice"] | {
    "DATA_PATH": str(PARITY),
    "TOKENIZER_PATH": str(PARITY / "stdlib_1024_bpe.model"),
    "DEVICE": "cpu",
    "THREADS": "1",
}
STEPS_BEFORE_PACKING = 50  # untrained matrices are half zeros, which pack like nothing else
ALL_QUANTIZED = {"INT8_KEEP_FLOAT_MAX_NUMEL": "8192"}
TRAINING = (
    {"ACTIVATION": "leaky_relu2"},
    {"ACTIVATION": "gelu"},
    {"ACTIVATION": "silu"},
    {"MLP_MULT": "2.5"},
    {"ROPE_DIMS": "8"},
    {"LN_SCALE": "1"},
    {"XSA_LAST_N": "2"},
    {"GATED_ATTENTION": "1"},
    {"GATED_ATTN_ENABLED": "1"},
    {"VALUE_RESIDUAL": "1"},
    {"PARALLEL_START_LAYER": "0"},
    {"SMEAR_GATE_ENABLED": "1"},
    {"BIGRAM_VOCAB_SIZE": "4096", "BIGRAM_DIM": "64"},
    {"NUM_LOOPS": "1", "LOOP_START": "0", "LOOP_END": "1"},
    {"MUON_WD": "0.1"},
    {"ADAM_WD": "0.1"},
    {"EMBED_WD": "0.1"},
    {"MUON_POLYNOMIAL": "polar_express"},
    {"MUON_ROW_NORMALIZE": "1"},
    {"EMA_DECAY": "0.99"},
    {"SWA_ENABLED": "1", "SWA_EVERY": "1", "SWA_START_FRAC": "1"},
    {"QAT_ENABLED": "1"} | ALL_QUANTIZED,
    {"WARMDOWN_FRAC": "0.5"},
    {"DETERMINISTIC": "1"},
    {"FUSED_CE_ENABLED": "0"},
)
PACKING = (
    {"MATRIX_BITS": "6"} | ALL_QUANTIZED,
    {"MATRIX_BITS": "4"} | ALL_QUANTIZED,
    {"EMBED_BITS": "6"},
    {"QUANT_CLIP": "search"},
    {"GPTQ_ENABLED": "1"} | ALL_QUANTIZED,
    ALL_QUANTIZED,
    {"COMPRESSOR": "lzma"},
    {"COMPRESSOR": "zstd"},
    {"COMPRESSOR": "brotli"},
)
SCORING = (
    {"EVAL_STRIDE": "64"},
    {"EVAL_STRIDE": "32"},
    {"EVAL_SEQ_LEN": "256"},
    {"TTT_ENABLED": "1", "TTT_EPOCHS": "1", "TTT_CHUNK_TOKENS": "1024", "TTT_BATCH_SEQS": "8"},
)


def begin(knobs: dict[str, str]) -> Run:
    return start(prepare(load_config(PLAIN | knobs)), Path(), Observer())


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def in_turn(ours: Callable[[], object], plain: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Return the median CPU seconds of each, after one round that does not count."""
    times = [(seconds(ours), seconds(plain)) for _ in range(rounds + 1)][1:]
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)


def packed(run: Run) -> int:
    c, rounding = run.setup.config, {}
    with contextlib.redirect_stdout(io.StringIO()):
        for feature in run.features:
            rounding |= feature.matrix_rounding(run)
    return len(encode(pack(run.model.state_dict(), c, rounding), c.compressor))


def scored(run: Run) -> None:
    if not run.features:
        score_validation(run)
    with contextlib.redirect_stdout(io.StringIO()):
        for feature in run.features:
            feature.extra_scores(run)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("only", nargs="*", metavar="WORD", help="only knobs whose name holds it")
    words.add_argument("--rounds", type=int, default=15)
    asked = words.parse_args()

    def wanted(cases: tuple[dict[str, str], ...]) -> list[dict[str, str]]:
        return [
            case for case in cases if not asked.only or any(word.upper() in str(case) for word in asked.only)
        ]

    print(f"{'knob':58} {'parameters':>10} {'bytes':>9}  {'time beside plain'}")
    for cases, what, work, rounds in (
        (TRAINING, "step", lambda run: take_step(run, 0.0), asked.rounds),
        (PACKING, "packing", packed, max(asked.rounds // 5, 1)),
        (SCORING, "scoring", scored, 1),
    ):
        for knobs in wanted(cases):
            same = {} if knobs == ALL_QUANTIZED else {k: v for k, v in knobs.items() if k in ALL_QUANTIZED}
            ours, plain = begin(knobs), begin(same)
            for run in (ours, plain) if what == "packing" else ():
                for _ in range(STEPS_BEFORE_PACKING):
                    take_step(run, 0.0)
            a, b = in_turn(lambda: work(ours), lambda: work(plain), rounds)  # noqa: B023
            params = count_params(ours.model) - count_params(plain.model)
            size = 0 if what == "scoring" else packed(ours) - packed(plain)  # TTT has changed the weights
            name = " ".join(f"{k}={v}" for k, v in knobs.items())
            print(
                f"{name:58} {params:>+10,} {size:>+9,}  {what} {a / b:.2f}  "
                f"({a * 1000:.0f} to {b * 1000:.0f} ms)",
                flush=True,
            )


if __name__ == "__main__":
    main()
