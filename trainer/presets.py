"""Named settings to start from. Pure data."""

from __future__ import annotations

# What the presets for a CPU share. Rates are lower than the challenge's: its batch is 256 times as large.
_SMALL = {
    "MODEL_DIM": "128",
    "NUM_LAYERS": "2",
    "NUM_HEADS": "4",
    "NUM_KV_HEADS": "2",
    "TRAIN_SEQ_LEN": "128",
    "TRAIN_BATCH_TOKENS": "2048",
    "GRAD_ACCUM_STEPS": "1",
    "VAL_BATCH_SIZE": "16384",
    "TIED_EMBED_LR": "0.03",
    "MATRIX_LR": "0.02",
    "SCALAR_LR": "0.02",
    "MUON_MOMENTUM_WARMUP_STEPS": "50",
    "MAX_WALLCLOCK_SECONDS": "0",
    "WARMUP_STEPS": "0",
    "TRAIN_LOG_EVERY": "10",
    "ATTENTION": "blocked",
    "FUSED_CE_ENABLED": "true",
}
# practice: half a minute on a CPU that beats zlib on the practice course. The whole run decays, since a short
# run gains most from it. tiny: seconds, for tests.
PRESETS: dict[str, dict[str, str]] = {
    "baseline": {},
    "practice": _SMALL | {"ITERATIONS": "700", "WARMDOWN_ITERS": "700", "VAL_LOSS_EVERY": "175"},
    "practice_long": _SMALL
    | {
        "MODEL_DIM": "192",
        "ITERATIONS": "1500",
        "WARMDOWN_ITERS": "1500",
        "VAL_LOSS_EVERY": "375",
    },
    "tiny": _SMALL
    | {
        "MODEL_DIM": "64",
        "TRAIN_BATCH_TOKENS": "1024",
        "ITERATIONS": "20",
        "WARMDOWN_ITERS": "10",
        "TRAIN_LOG_EVERY": "5",
        "VAL_LOSS_EVERY": "10",
    },
}
