"""Writes `tests/data/season`: a small season with every fate a hole can have. Synthetic, the same bytes each time.

python tests/data/make_season.py
"""

from __future__ import annotations

import json
import math
import random
import shutil
from pathlib import Path

SEASON = Path(__file__).parent / "season"


def curve(
    name: str, steps: int, end: float, every: int = 10, val_bpb: float | None = None, spike: float = 0.0
) -> str:
    """A loss that falls from ln(1024) and ends at `end` exactly."""
    luck = random.Random(name)
    ms = 231.0
    lines = []
    grid = sorted({*range(1, 11), *range(10 + every, steps + 1, every), steps})
    measured = {grid[len(grid) * n // 4 - 1] for n in range(1, 5)}
    for step in grid:
        share = step / steps
        loss = end + (6.93 - end) * math.exp(-6.5 * share**0.55) + luck.gauss(0, 0.02)
        if step == 2:
            loss += spike
        if step == steps:
            loss = end
        lines.append({"step": step, "train_loss": round(loss, 4), "train_time_ms": round(step * ms)})
        if val_bpb and step in measured:
            bpb = val_bpb if step == steps else round(val_bpb + (loss - end) * 0.592, 4)
            lines.append(
                {
                    "step": step,
                    "val_loss": round(bpb / 0.59228, 4),
                    "val_bpb": bpb,
                    "train_time_ms": round(step * ms),
                }
            )
    return "".join(json.dumps(line) + "\n" for line in lines)


def hole(folder: str, toml: str, notes: str = "", **attempts: tuple[object, str]) -> None:
    """attempts: attempt_01=(record or None, curve text)."""
    place = SEASON / folder
    place.mkdir(parents=True)
    (place / "round.toml").write_text(toml, encoding="utf-8")
    if notes:
        (place / "notes.md").write_text(notes.strip() + "\n", encoding="utf-8")
    for name, (record, points) in attempts.items():
        (place / name).mkdir()
        if record is not None:
            (place / name / "record.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if points:
            (place / name / "curve.jsonl").write_text(points, encoding="utf-8")


def record(folder: str, number: int, day: str, bpb: float, **fields: object) -> dict[str, object]:
    pre = fields.pop("pre_bpb", None)
    loss = fields.pop("val_loss", round(bpb / 0.59228, 6))
    scores = (
        []
        if pre is None
        else [
            {"stage": "pre_quantization", "label": "step val", "val_bpb": pre},
            {"stage": "round_trip", "label": "final_int8_zlib_roundtrip", "val_bpb": bpb, "val_loss": loss},
        ]
    )
    official = {
        "stage": "round_trip",
        "label": "final_int8_zlib_roundtrip",
        "why": "the artifact read back from its compressed bytes: what would be submitted",
    }
    known: dict[str, object] = {
        "schema": 2,
        "hole": folder,
        "attempt": number,
        "course": "fineweb",
        "status": "ok",
        "started_at": f"{day}T09:00:00Z",
        "ended_at": f"{day}T09:12:00Z",
        "val_bpb": bpb,
        "val_loss": loss,
        "scores": scores,
        "params": 17059912,
        "steps": 1300,
        "planned_steps": 20000,
        "step_ms": 231.0,
        "train_seconds": 300.0,
        "cap_bytes": 16000000,
        "seed": 1337,
        "stop_reason": "wall clock",
        "environment": {
            "python": "3.11.9",
            "torch": "2.8.0",
            "device": "cuda",
            "device_name": "NVIDIA GeForce RTX 4090",
            "world_size": 1,
        },
        "code": {"trainer": "builtin", "git_sha": "0f3c2a9be1d4", "dirty": False},
    }
    if pre is not None:
        known["official"] = official
    return known | fields


def write() -> None:
    shutil.rmtree(SEASON, ignore_errors=True)
    hole(
        "round_001_baseline",
        'title = "The Naive Baseline"\nstrategy = "reference"\ncreated = 2026-03-18\n'
        'hypothesis = "The published baseline reproduces on our machine within seed noise."\n',
        NOTES_BASELINE,
        attempt_01=(
            record(
                "round_001_baseline",
                1,
                "2026-03-18",
                1.2244,
                pre_bpb=1.2172,
                steps=13780,
                step_ms=43.5,
                train_seconds=599.6,
                artifact_bytes=15863489,
                code_bytes=47642,
                model_bytes=15815847,
                last_train_loss=2.0711,
            ),
            curve("round_001", 13780, 2.0711, every=130, val_bpb=1.2172, spike=6.0),
        ),
    )
    failed = record("round_002_hot_hands", 1, "2026-03-18", 1.0, status="failed", steps=412)
    for gone in ("val_bpb", "val_loss", "scores"):
        failed.pop(gone)
    failed["failure"] = {
        "kind": "nan",
        "message": "the training loss is nan at step 412",
        "step": 412,
        "last_lines": ["step:411/20000 train_loss:9.8143", "step:412/20000 train_loss:nan"],
    }
    failed["overrides"] = {"MATRIX_LR": "0.4"}
    hole(
        "round_002_hot_hands",
        'title = "Hot Hands"\nstrategy = "optimizer"\ncreated = 2026-03-18\n'
        'hypothesis = "Ten times the matrix learning rate reaches the same loss in a third of the steps."\n',
        attempt_01=(
            failed,
            curve("round_002", 410, 7.9) + '{"step": 412, "train_loss": NaN, "train_time_ms": 95172}\n',
        ),
    )
    hole(
        "round_003_wide_fairway",
        'title = "The Wide Fairway"\nstrategy = "architecture"\ncreated = 2026-03-18\n'
        'hypothesis = "A model a quarter wider uses its steps better."\n',
        attempt_01=(
            record(
                "round_003_wide_fairway",
                1,
                "2026-03-18",
                1.3987,
                status="over_cap",
                pre_bpb=1.3921,
                params=26312712,
                artifact_bytes=20114903,
                code_bytes=47642,
                model_bytes=20067261,
                last_train_loss=2.3411,
                step_ms=318.0,
                steps=943,
                overrides={"MODEL_DIM": "640"},
            ),
            curve("round_003", 940, 2.3411, val_bpb=1.3921),
        ),
    )
    hole(
        "round_004_longer_irons",
        'title = "Longer Irons"\nstrategy = "schedule"\ncreated = 2026-03-18\n'
        'hypothesis = "A longer warm-down lowers the quantization gap."\n[overrides]\nWARMDOWN_ITERS = 2400\n',
    )
    hole(
        "round_005_more_swings",
        'title = "More Swings, Less Club Head"\nstrategy = "schedule"\ncreated = 2026-03-18\n'
        'hypothesis = "A batch a quarter the size buys four times the steps, and the steps are worth more."\n',
        attempt_01=(
            {
                "schema": 1,
                "run_id": "round_005_more_swings",
                "date": "2026-03-18",
                "val_bpb": 1.4139,
                "val_loss": 2.3872,
                "params": 17059912,
                "artifact_bytes": 13350000,
                "wall_time_s": 300,
                "steps": 1310,
                "step_avg_ms": 229,
                "status": "ok",
                "backend": "cuda",
                "sota": 1.2197,
                "baseline": 1.2244,
                "last_train_loss": 2.3702,
                "overrides": {"TRAIN_BATCH_TOKENS": "131072", "MAX_WALLCLOCK_SECONDS": "300"},
            },
            curve("round_005", 1310, 2.3702),
        ),
    )
    hole(
        "round_006_fp16embed",
        'title = "Full Ink for the Names"\nstrategy = "safe tweak"\ncreated = 2026-03-17\n'
        'parent = "round_005_more_swings"\n'
        'hypothesis = "Keeping the tied embedding in fp16 at export removes most of the quantization gap '
        'for a third of a megabyte."\n[overrides]\nFP16_EMBED = true\n',
        NOTES_FP16,
        attempt_01=(
            {
                "run_id": "round_006_fp16embed",
                "round": 1,
                "hole": 6,
                "date": "2026-03-18",
                "val_bpb": 1.4141,
                "val_loss": 2.3876,
                "params": 17059912,
                "artifact_bytes": 13678772,
                "wall_time_s": 300,
                "steps": 1300,
                "step_avg_ms": 231,
                "status": "ok",
                "backend": "cuda",
                "overrides": {
                    "TRAIN_BATCH_TOKENS": "131072",
                    "FP16_EMBED": "true",
                    "MAX_WALLCLOCK_SECONDS": "300",
                },
                "previous": {
                    "hole": 5,
                    "val_bpb": 1.4139,
                    "artifact_mb": 13.35,
                    "title": "More Swings, Less Club Head",
                },
                "next": {"hole": 7, "title": "Traveling Light"},
                "sota": 1.2197,
                "baseline": 1.2244,
                "our_best": 1.2244,
                "last_train_loss": 2.3685,
            },
            curve("round_006", 1300, 2.3685, val_bpb=1.4102, spike=8.0),
        ),
    )
    light = {
        f"attempt_{n:02d}": (
            record(
                "round_007_traveling_light",
                n,
                "2026-03-19",
                bpb,
                pre_bpb=round(bpb - 0.0031, 5),
                seed=seed,
                artifact_bytes=9884120 + n,
                code_bytes=47642,
                model_bytes=9836478 + n,
                step_ms=172.4,
                steps=1740,
                params=12082184,
                last_train_loss=2.3402,
                overrides={"NUM_LAYERS": "6", "TRAIN_BATCH_TOKENS": "131072"},
            ),
            curve(f"round_007_{n}", 1740, 2.3402, val_bpb=round(bpb - 0.0031, 5)),
        )
        for n, (seed, bpb) in enumerate([(1337, 1.3986), (42, 1.3991), (7, 1.3979)], start=1)
    }
    hole(
        "round_007_traveling_light",
        'title = "Traveling Light"\nstrategy = "architecture"\ncreated = 2026-03-19\n'
        'parent = "round_006_fp16embed"\nhypothesis = "Three layers fewer make each step a quarter quicker."\n',
        **light,
    )
    hole(
        "round_008_still_walking",
        'title = "Still Walking"\nstrategy = "long shot"\ncreated = 2026-03-20\n',
        attempt_01=(None, curve("round_008", 600, 2.61).rstrip("\n")[:-9]),
    )
    hole(
        "round_009_practice_green",
        'title = "The Practice Green"\nstrategy = "reference"\ncreated = 2026-03-21\ncourse = "practice"\n',
        attempt_01=(
            record(
                "round_009_practice_green",
                1,
                "2026-03-21",
                2.0417,
                course="practice",
                split="cpython-3.11.9",
                val_loss=3.9021,
                pre_bpb=2.0391,
                artifact_bytes=1204331,
                code_bytes=51200,
                model_bytes=1153131,
                params=1118992,
                steps=200,
                planned_steps=200,
                step_ms=310.2,
                train_seconds=62.0,
                last_train_loss=3.874,
                environment={"python": "3.11.9", "device": "cpu", "threads": 2},
                data={
                    "val_bytes": 1048576,
                    "val_tokens": 380272,
                    "yardsticks": {"zlib -9": 2.2511, "xz": 1.9072},
                },
            ),
            curve("round_009", 200, 3.874, every=2, val_bpb=2.0391),
        ),
    )
    hole(
        "round_019_back_nine_again",
        'title = "Round Two, First Tee"\nstrategy = "schedule"\ncreated = 2026-03-28\n'
        'hypothesis = "A cosine warm-down ends a hair lower than a linear one."\n',
        attempt_01=(
            record(
                "round_019_back_nine_again",
                1,
                "2026-03-28",
                1.2179,
                pre_bpb=1.2138,
                steps=13640,
                step_ms=44.0,
                train_seconds=600.0,
                artifact_bytes=15902211,
                code_bytes=47980,
                model_bytes=15854231,
                last_train_loss=2.0594,
                overrides={"WARMDOWN": "cosine"},
            ),
            curve("round_019", 13640, 2.0594, every=120, val_bpb=1.2138),
        ),
    )


NOTES_BASELINE = """
## The Caddie's Pick

Before anyone swings for the flag, walk the course once with nothing clever in the bag. This is the published
recipe, untouched, so that every later hole has an honest ground to stand on.

## The Shot: par is a measurement, not an opinion

What is the score of doing nothing clever?

A baseline is the least glamorous run of a season and the one that every other run leans on. If it is wrong by a
hair, every comparison is wrong by the same hair, and nobody notices.

## Post-Round Lesson

Measure the ground before you measure the jump.
"""

NOTES_FP16 = """
## The Caddie's Pick

The packing step rounds every weight to eight bits, the embedding table along with the rest. But the embedding works
twice in this model: once to read a token, once more to name the next. Rounding it smudges both ends of the pencil.
So we carry that one table in sixteen bits. It costs about a third of a megabyte, and we have more than two spare.

## On the Tee

*[Whispering, from behind the yellow rope]*

He has put the driver back. He is reaching for... yes, it is the sixteen-bit embedding. No power in this shot, ladies
and gentlemen. Only tidiness.

## The Shot: why one table deserves better ink

Can half precision on a single table buy back what the packing loses?

Think of a telephone directory. You may print the adverts on thin grey paper and nobody will mind. Print the *names* on
it and people will dial wrong numbers all year. The embedding is the directory's list of names: **every** prediction
begins by looking a token up in it and ends by comparing against it.

Eight-bit rounding gives each row of a matrix 255 steps between its smallest and largest weight. For a wide matrix in
the middle of the network the errors wash out, since many of them are added together and they disagree with one
another. The tied embedding has no such luck. Its errors go straight into the logits, one token at a time.

So the export keeps this table as it is, in fp16, and rounds only the rest:

| part | bits | why |
| --- | --- | --- |
| attention, MLP | 8 | errors average out |
| embedding | 16 | errors reach the logits |

### The catch

We trained for five minutes on one card. At this level the *training* is what is missing, not the packing. A neat export
cannot give back what was never learned, and the gap it closes is smaller than the seed noise of the whole run.

1. It is cheap: a third of a megabyte.
2. It is safe: nothing about training changes.
3. It is invisible, for now.

The move should come back when a long run leaves a real gap between the trained weights and the packed ones. Until
then it is a good habit, and good habits rarely show on the card the day you take them up.

## The Booth Reacts

**Trent Fairway:** A gentle stroke. One almost felt the ball think about it.

**Slice Shanksalot:** Felt it think? Trent, I've seen tectonic plates with more follow-through!

**Trent Fairway:** And yet nothing was broken, and the bag is scarcely heavier.

**Slice Shanksalot:** I'll say this for him. He missed by the width of a blade of grass, and he *wrote it down*.

## Post-Round Lesson

Fix the export when the export is what hurts. Keep the trick in the bag for the day when the gap is real.
"""

if __name__ == "__main__":
    write()
