"""A big season for the benchmarks: holes with attempts, records as the harness writes them, curves, notes.

    python -m benchmarks.season FOLDER [--holes 1000] [--attempts 1] [--points 1000]

Synthetic, and the same bytes each time. Every fate occurs: most holes end well, some crash, some are over
the cap, the last one is still out; a few holes open a second course; one in ten has notes of its own;
parents, overrides and decisions are there.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import random
from pathlib import Path

from harness.records.record import hash_config

STRATEGIES = ("safe tweak", "architecture", "schedule", "optimizer", "tokenizer", "export", "long shot")
FIRST_DAY = dt.date(2026, 3, 18)
DENOMINATOR = 151_080_000  # bytes of the validation text; tokens and losses are made to agree with it
TOKENS = 62_021_632
CONFIG = {
    "VOCAB_SIZE": "1024",
    "TRAIN_SEQ_LEN": "1024",
    "TRAIN_BATCH_TOKENS": "131072",
    "VAL_BATCH_SIZE": "524288",
    "GRAD_ACCUM_STEPS": "8",
    "RUN_ID": "run",
    "ITERATIONS": "20000",
    "MAX_WALLCLOCK_SECONDS": "600.0",
    "WARMUP_STEPS": "20",
    "WARMDOWN_ITERS": "1200",
    "VAL_LOSS_EVERY": "1000",
    "TRAIN_LOG_EVERY": "200",
    "CHECKPOINT_EVERY": "0",
    "CHECKPOINT_SECONDS": "60.0",
    "NUM_LAYERS": "9",
    "MODEL_DIM": "512",
    "NUM_HEADS": "8",
    "NUM_KV_HEADS": "4",
    "MLP_MULT": "2",
    "TIE_EMBEDDINGS": "true",
    "TIED_EMBED_INIT_STD": "0.005",
    "ROPE_BASE": "10000.0",
    "LOGIT_SOFTCAP": "30.0",
    "QK_GAIN_INIT": "1.5",
    "EMBED_LR": "0.6",
    "HEAD_LR": "0.008",
    "TIED_EMBED_LR": "0.05",
    "MATRIX_LR": "0.04",
    "SCALAR_LR": "0.04",
    "BETA1": "0.9",
    "BETA2": "0.95",
    "ADAM_EPS": "1e-08",
    "MUON_MOMENTUM": "0.95",
    "MUON_MOMENTUM_WARMUP_START": "0.85",
    "MUON_MOMENTUM_WARMUP_STEPS": "500",
    "MUON_BACKEND_STEPS": "5",
    "GRAD_CLIP_NORM": "0.0",
    "FP16_EMBED": "false",
    "DEVICE": "cuda",
    "DTYPE": "bfloat16",
    "MUON_DTYPE": "bfloat16",
    "COMPILE": "on",
    "ATTENTION": "flash",
    "THREADS": "16",
}
NOTES = """## The Caddie's Pick

Hole {number} asks whether {knob} earns its keep. The last card says maybe; we want a number.

## The Shot: what {knob} is for

Does it move the score by more than luck?

A knob is worth *keeping* when it pays on **every** seed. This one pays on some, and we say so here \
at a length that a
person would write: two or three paragraphs, a list, and a table.

1. It is cheap.
2. It is safe.

| part | before | after |
| --- | --- | --- |
| {knob} | default | {value} |

## The Booth Reacts

**Trent Fairway:** A gentle stroke towards {knob}.

**Slice Shanksalot:** Gentle? I have seen glaciers in more of a hurry!

## Post-Round Lesson

Write the number down before you read the tea leaves.
"""


def write_season(folder: Path, holes: int = 1000, attempts: int = 1, points: int = 1000) -> None:
    """Write a season into an empty or new folder; points: logged training losses of a curve, 0 for no
    curves."""
    parent = ""
    for number in range(1, holes + 1):
        luck = random.Random(f"hole {number}")
        word = luck.choice(("fp16", "longer", "lighter", "deeper", "quicker"))
        name = f"round_{number:03d}_{word}_{luck.randrange(999)}"
        knob = luck.choice(("WARMDOWN_ITERS", "MATRIX_LR", "MUON_MOMENTUM", "ROPE_BASE", "QK_GAIN_INIT"))
        value = str(luck.randrange(1, 4000))
        place = folder / name
        place.mkdir(parents=True)
        _write(place / "round.toml", _intent(number, luck, knob, value, parent))
        if number % 10 == 0:
            _write(place / "notes.md", NOTES.format(number=number, knob=knob, value=value))
        if number % 25 == 0:
            _write(place / "decision.json", _decision(number, luck))
        fate = "ok" if number <= 2 else luck.choices(("ok", "over_cap", "failed"), (92, 4, 4))[0]
        fate = "out" if number == holes and holes > 2 else fate
        level = 2.05 + 0.3 * math.exp(-number / 400) + luck.gauss(0, 0.01)
        for attempt in range(1, attempts + 1):
            end = level + luck.gauss(0, 0.001)  # seeds differ by a tenth of what holes do
            _attempt(
                place / f"attempt_{attempt:02d}", number, attempt, fate, {knob: value}, luck, points, end
            )
        parent = name if luck.random() < 0.3 else parent


def _intent(number: int, luck: random.Random, knob: str, value: str, parent: str) -> str:
    lines = [
        f'title = "What {knob} does at {value}"',
        f'strategy = "{luck.choice(STRATEGIES)}"',
        f'hypothesis = "Setting {knob} to {value} lowers the score by more than luck alone can do."',
        f"created = {(FIRST_DAY + dt.timedelta(hours=5 * number)).isoformat()}",
        *(['course = "practice"'] if number % 40 == 0 else []),
        *([f'parent = "{parent}"'] if parent and luck.random() < 0.5 else []),
        "seeds = [42, 1337, 314]",
        "",
        "[overrides]",
        f'{knob} = "{value}"',
    ]
    return "\n".join(lines) + "\n"


def _decision(number: int, luck: random.Random) -> str:
    when = dt.datetime.combine(FIRST_DAY, dt.time(), dt.UTC) + dt.timedelta(hours=5 * number + 4)
    taken = {
        "decision": luck.choice(("keep", "drop", "invalid")),
        "reason": "two more seeds said the same",
        "who": "caddie",
        "when": when.isoformat().replace("+00:00", "Z"),
    }
    return json.dumps({"schema": 1, "history": [taken]}, indent=2) + "\n"


def _attempt(
    place: Path,
    number: int,
    attempt: int,
    fate: str,
    overrides: dict[str, str],
    luck: random.Random,
    points: int,
    end: float,
) -> None:
    place.mkdir()
    if points:
        cut = points // 3 if fate in ("failed", "out") else points
        _write(place / "curve.jsonl", _curve(luck, points, cut, end))
    if fate != "out":
        record = _record(place.parent.name, number, attempt, fate, overrides, luck, end)
        _write(place / "record.json", json.dumps(record, indent=2) + "\n")


def _curve(luck: random.Random, points: int, cut: int, end: float) -> str:
    """Losses that fall from ln(1024) to `end`, with a validation every fiftieth point."""
    lines = []
    for at in range(1, cut + 1):
        loss = end + (6.93 - end) * math.exp(-6.5 * (at / points) ** 0.55) + luck.gauss(0, 0.02)
        time_ms = at * 230.7 + luck.random()
        lines.append(f'{{"step": {at * 10}, "train_loss": {loss!r}, "train_time_ms": {time_ms!r}}}\n')
        if at % 50 == 0:
            lines.append(
                f'{{"step": {at * 10}, "val_loss": {loss!r}, "val_bpb": {loss * 0.59226!r}, '
                f'"train_time_ms": {time_ms!r}}}\n'
            )
    return "".join(lines)


def _record(
    hole: str,
    number: int,
    attempt: int,
    fate: str,
    overrides: dict[str, str],
    luck: random.Random,
    end: float,
) -> dict[str, object]:
    started = dt.datetime.combine(FIRST_DAY, dt.time(), dt.UTC) + dt.timedelta(
        hours=5 * number, minutes=12 * attempt
    )
    seed = (42, 1337, 314, 7, 2025, 999, 11, 123)[(attempt - 1) % 8]
    config = CONFIG | overrides | {"SEED": str(seed)}
    size = 16_200_000 if fate == "over_cap" else luck.randrange(9_000_000, 15_900_000)
    course = "practice" if number % 40 == 0 else "fineweb"
    record: dict[str, object] = {
        "schema": 2,
        "hole": hole,
        "attempt": attempt,
        "course": course,
        "split": "py3.11.7-fb51b4a77635" if course == "practice" else "current",
        "status": fate,
        "started_at": _stamp(started),
        "ended_at": _stamp(started + dt.timedelta(minutes=11)),
    }
    if fate == "failed":
        record["failure"] = {
            "kind": "out_of_memory",
            "message": "CUDA out of memory. Tried to allocate 2.25 GiB",
            "step": 321,
            "last_lines": [
                f"step:{n}/20000 train_loss:3.1234 train_time:{n * 230}ms" for n in range(310, 322)
            ],
        }
    else:
        record |= _scores(end + 0.004, luck)
    return record | {
        "artifact_bytes": size,
        "code_bytes": 47_642,
        "model_bytes": size - 47_642,
        "cap_bytes": 16_000_000,
        "model_file": "model.zlib",
        "model_sha256": luck.randbytes(32).hex(),
        "params": 17_059_912,
        "steps": 10_000,
        "planned_steps": 20_000,
        "step_ms": 43.1 + luck.random(),
        "train_seconds": 431.7 + luck.random(),
        "eval_seconds": 14.408817920000729,
        "wall_seconds": 470.44642643700081,
        "tokens_seen": 1_310_720_000,
        "tokens_per_second": 2_643_957.2700311943,
        "peak_memory_bytes": 10_705_961_984,
        "last_train_loss": end,
        "stop_reason": "iterations",
        "resumes": 0,
        "seed": seed,
        "preset": "baseline",
        "overrides": overrides,
        "config": config,
        "config_hash": hash_config(config),
        "command": ["harness", "run", hole, "--preset", "baseline", "--seed", str(seed)],
        "code": {
            "trainer": "builtin",
            "source_sha256": "35bd100b58d93e79121690ff16f658d5987bbd79793ace9222513c671873cb38",
            "git_sha": "6dbd0878dd77e2e822f670c07d88a27c502f8d40",
            "dirty": False,
        },
        "environment": {
            "python": "3.11.7",
            "torch": "2.8.0",
            "sentencepiece": "0.2.3",
            "numpy": "2.4.6",
            "harness": "0.1.0",
            "platform": "Linux x86_64",
            "device": "cuda",
            "device_name": "NVIDIA H100 80GB HBM3",
            "world_size": 8,
            "threads": 16,
        },
        "data": {
            "val_sha256": "f223e71d0e14af662d4fa3d9081a3053fbff4b9496372285eaaaead7b752efc3",
            "val_tokens": TOKENS,
            "val_bytes": DENOMINATOR,
            "train_fingerprint": "1ba6cd519d7c387a25ccf1501656a80a72c31906b7a5a49dea0b82503a307297",
            "train_tokens": 8_000_000_000,
            "tokenizer_sha256": "21db4dad48951ab16db2f6b979b8b5e7df148973a0c67013dfc1058fb054988b",
        },
        "warnings": [],
    }


def _scores(loss: float, luck: random.Random) -> dict[str, object]:
    label = "final_int8_zlib_roundtrip_exact"
    before = loss - abs(luck.gauss(0.003, 0.001))
    scores = [
        {
            "stage": stage,
            "label": name,
            "val_loss": value,
            "val_bpb": value / math.log(2) * TOKENS / DENOMINATOR,
            "tokens": TOKENS,
            "bytes": DENOMINATOR,
            "seconds": 2.0513695239997105,
        }
        for stage, name, value in (
            ("pre_quantization", "DIAGNOSTIC pre_quantization", before),
            ("round_trip", label, loss),
        )
    ]
    why = "the artifact read back from its compressed bytes: what would be submitted"
    return {
        "val_bpb": scores[-1]["val_bpb"],
        "val_loss": loss,
        "scores": scores,
        "official": {"stage": "round_trip", "label": label, "why": why},
    }


def _stamp(moment: dt.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--holes", type=int, default=1000)
    parser.add_argument("--attempts", type=int, default=1)
    parser.add_argument("--points", type=int, default=1000)
    args = parser.parse_args()
    write_season(args.folder, args.holes, args.attempts, args.points)


if __name__ == "__main__":
    main()
