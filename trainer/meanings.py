"""What the public scripts mean by a name of ours, where that is not what ours does.

A sentence for each name, our own or another one that is read as ours. `harness knobs NAME` shows it,
`harness run` says it where the name is set, docs/knobs.md holds all of them. Names that mean the same have
none. The facts are read off train_gpt.py of the records in openai/parameter-golf and off
KellerJordan/modded-nanogpt (both MIT); a date is the one in the name of a record's folder. Nothing of their
code or text is here.

Knows nothing of torch or of the configuration: a run and a submission do without it.
"""

from __future__ import annotations

MEANINGS: dict[str, str] = {
    "EVAL_SEQ_LEN": (
        "positions beyond the training length turn on at the same base here; many public scripts raise the "
        "base of the rotary embedding for a longer context"
    ),
    "ROPE_DIMS": (
        "the same dimensions and frequencies as in the public scripts up to 1,024 tokens; those of "
        "2026-03-25 raise the base for longer sequences, in training too, later ones beyond "
        "ROPE_TRAIN_SEQ_LEN"
    ),
    "TTT_ENABLED": (
        "SGD on all weights at a constant rate here; public scripts of 2026-03-23 let the rate fall as a "
        "cosine over the chunks and freeze 2 blocks unless TTT_FREEZE_BLOCKS is set, and most since "
        "2026-04-10 train low-rank adapters a document under this name"
    ),
    "GATED_ATTENTION": (
        "the gate with a bias that begins at 4, so open at 0.982, as in public scripts of March "
        "2026; the one of those since 2026-04-19, without a bias, is GATED_ATTN_ENABLED"
    ),
    "GATED_ATTN_ENABLED": (
        "as in public scripts since 2026-04-19: no bias, so it begins half open, at sigmoid of "
        "N(0, GATED_ATTN_INIT_STD) x, where GATED_ATTENTION begins at 0.982; they store it in fp16 or, with "
        "GATED_ATTN_QUANT_GATE, int8, here it is fp32"
    ),
    "VALUE_RESIDUAL": (
        "0.5 v + 0.5 v1 to begin with, both learnt, as in public scripts of 2026-03-23; those of 2026-03-25 "
        "mean another part by this name, v + sigmoid(alpha) v1, which is not here"
    ),
    "PARALLEL_START_LAYER": (
        "one stream: attention and MLP read the same input, as by PARALLEL_RESIDUAL_START in public scripts; "
        "those since April 2026 that read this name keep two streams mixed by learnt weights, and 0 is none "
        "there, here all layers"
    ),
    "SMEAR_GATE_ENABLED": (
        "before the norm and from 12 channels (their GATE_WINDOW), as in public scripts of 2026-04-27 and in "
        "modded-nanogpt; those of 2026-04-19 also smear into the beginning of a document, and the SmearGate "
        "of March 2026, (1 - g) x + g x_previous after the norm, is another part"
    ),
    "BIGRAM_VOCAB_SIZE": (
        "the table begins at N(0, 0.02), the projection at 0, and there is no scale; in public scripts the "
        "table begins at 0, and a learnt scale that begins at 0.05 multiplies the result"
    ),
    "BIGRAM_BUCKETS": (
        "no scale here, and the projection begins at 0; public scripts multiply by a learnt scale that "
        "begins at 0.05"
    ),
    "NUM_LOOPS": (
        "loops from the first step unless ENABLE_LOOPING_AT is set; public scripts begin at 0.35 or 0.5 of "
        "the training unless it is set"
    ),
    "WARMDOWN_FRAC": (
        "of the steps or of the clock, whichever is further on; with a wall-clock cap public scripts go by "
        "the clock alone, ENABLE_LOOPING_AT included"
    ),
    "ADAM_WD": (
        "decays the embedding here, where EMBED_WD is not set, with the scalars and a separate head; so do "
        "public scripts of March 2026, but for the head, and since 2026-04-01 they decay the embedding by "
        "EMBED_WD (0.085 unless set) and scalars alone by ADAM_WD (0.02)"
    ),
    "SWA_ENABLED": (
        "what is packed is this mean; many public scripts since 2026-03-22 gather it and pack the EMA all "
        "the same, and begin at a decay factor of 0.2 whatever SWA_START_FRAC is"
    ),
    "SWA_START_FRAC": (
        "a decay factor of the learning rates, as in public scripts of 2026-03-20; some others read it as a "
        "share of the run that has passed"
    ),
    "QAT_ENABLED": (
        "from the first step, as in the public scripts; they round to 6 bits whatever is stored, here it is "
        "MATRIX_BITS, 8 unless set. With LATE_QAT_THRESHOLD it begins there, in their scripts at the first "
        "step all the same"
    ),
    "LATE_QAT_THRESHOLD": (
        "says when the rounding of QAT_ENABLED=1 begins, which it needs; in public scripts it begins "
        "rounding by itself, at 0.15 unless set, and 0 is never"
    ),
    "LATE_QAT": "public scripts round to 6 bits and begin at QAT_THRESHOLD, 0.1 or 0.15 unless set",
    "QAT_THRESHOLD": "it needs QAT_ENABLED=1 or LATE_QAT=1 here; public scripts have 0.1 or 0.15 unless set",
    "EMBED_BITS": (
        "rounded plainly, each row clipped as QUANT_CLIP says; public scripts since 2026-04-05 round the "
        "embedding by GPTQ and clip it at EMBED_CLIP_SIGMAS, 20 standard deviations of a row unless set"
    ),
    "MATRIX_BITS": (
        "rounded plainly without GPTQ_ENABLED, each row clipped as QUANT_CLIP says; public scripts that read "
        "this name always round by GPTQ and clip at MATRIX_CLIP_SIGMAS, 12.85 standard deviations of a row "
        "unless set"
    ),
    "QUANT_BITS": (
        "of every quantized matrix but embeddings and head, which have EMBED_BITS; public scripts differ in "
        "what it leaves at 8 bits, and 0 is a mixture in some"
    ),
    "GPTQ_ENABLED": (
        "rounds the blocks' matrices; public scripts since 2026-04-05 round the embedding so, too, and most "
        "have no switch for it"
    ),
    "GPTQ_CALIBRATION_BATCHES": (
        "micro-batches of the training tokens that come next, 16 unless set; public scripts begin the "
        "training tokens anew, 64 or 16 unless set"
    ),
    "GPTQ_CALIB_BATCHES": (
        "training tokens here, 16 unless set; public scripts that read this name have 256, and some "
        "calibrate on validation tokens or on text that the model has written"
    ),
    "COMPRESSOR": (
        "of the packed file as it is; public scripts that read this name have brotli unless set and reorder "
        "the bytes before they compress them"
    ),
}

# What public scripts mostly play where a name is not set, if that is not what ours does: the defaults in the
# code of 1,831 of them, the most frequent one first, then one that has at least a third of its count.
USUAL: dict[str, str] = {
    "EVAL_SEQ_LEN": "2048",
    "EVAL_STRIDE": "64",
    "TTT_FREEZE_BLOCKS": "2 or 0",
    "ROPE_DIMS": "16",
    "LN_SCALE": "true",
    "XSA_LAST_N": "11 or 4",
    "PARALLEL_START_LAYER": "8 or 7",
    "BIGRAM_VOCAB_SIZE": "2048 or 10240",
    "NUM_LOOPS": "2",
    "ENABLE_LOOPING_AT": "0.35",
    "WARMDOWN_FRAC": "0.72 or 0.75",
    "MUON_WD": "0.04 or 0.095",
    "ADAM_WD": "0.04 or 0.02",
    "EMBED_WD": "0.085",
    "MUON_ROW_NORMALIZE": "true",
    "EMA_DECAY": "0.997 or 0.9965",
    "SWA_ENABLED": "true",
    "SWA_START_FRAC": "0.4 or 0.5",
    "LATE_QAT_THRESHOLD": "0.15",
    "MATRIX_BITS": "6",
    "GPTQ_ENABLED": "true or false",
    "GPTQ_CALIBRATION_BATCHES": "64 or 16",
    "COMPRESSOR": "brotli",
    "FUSED_CE_ENABLED": "true",
}
