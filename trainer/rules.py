"""Which settings fit together, and which of the packing reach back into training.

Each rule says what is wrong, with the values, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trainer.knob import Trains

if TYPE_CHECKING:
    from trainer.config import Config

Broken = Iterator[tuple[str, str]]

ROUNDS_IN_TRAINING = Trains(
    lambda before, after: before.qat_enabled or after.qat_enabled,
    "with QAT_ENABLED=true the matrices are rounded in training, too",
)
OTHER_CAP = Trains(
    lambda before, after: before.step_seconds != after.step_seconds,
    "GPTQ_RESERVE_SECONDS is taken off MAX_WALLCLOCK_SECONDS, so training would have ended elsewhere",
)


def broken_rules(c: Config, world_size: int) -> Broken:
    """Yield (what is wrong, what to do) for every rule that a configuration breaks, the most basic one first.

    world_size: processes of the launch.
    """
    # Eight micro-batches in all, as the challenge's script has them on one GPU and on eight.
    if c.grad_accum_steps == 0 and 8 % world_size != 0:
        yield (
            f"world size {world_size} does not divide 8",
            "use 1, 2, 4 or 8 processes, or set GRAD_ACCUM_STEPS",
        )
        return  # how a batch is cut cannot be said
    yield from _heads(c)
    yield from _batches(c, world_size)
    yield from _parts(c)
    yield from _evaluation(c)
    yield from _weights(c)


def _heads(c: Config) -> Broken:
    if c.model_dim % c.num_heads:
        yield (
            f"NUM_HEADS={c.num_heads} does not divide MODEL_DIM={c.model_dim}",
            "choose heads that divide the width",
        )
    if c.num_heads % c.num_kv_heads:
        yield (
            f"NUM_KV_HEADS={c.num_kv_heads} does not divide NUM_HEADS={c.num_heads}",
            "choose key/value heads that divide the query heads",
        )
    # Halves of a head are turned against each other (trainer.model.Rotary).
    if c.head_dim % 2:
        yield (
            f"MODEL_DIM={c.model_dim} over NUM_HEADS={c.num_heads} gives heads of {c.head_dim}, an odd width",
            "rotary embedding turns pairs: make MODEL_DIM / NUM_HEADS even",
        )


def _batches(c: Config, world_size: int) -> Broken:
    """Training and validation batches are cut alike, as in the challenge: ranks times micro-batches."""
    parts = world_size * c.accumulation(world_size)
    micro, val_micro = c.train_batch_tokens // parts, c.val_batch_size // parts
    batch, sequence = f"TRAIN_BATCH_TOKENS={c.train_batch_tokens}", f"TRAIN_SEQ_LEN={c.train_seq_len}"
    # The larger mistake first: each of these would also break the ones below.
    if c.train_batch_tokens < c.train_seq_len:
        yield f"{batch} is smaller than one sequence, {sequence}", "raise the batch or shorten the sequence"
    if c.train_batch_tokens % parts:
        yield f"{batch} cannot be cut into {parts} micro-batches", f"choose a multiple of {parts}"
    if micro < c.train_seq_len:
        yield (
            f"a micro-batch has {micro} tokens ({batch} / {parts}), less than {sequence}",
            "raise the batch, shorten the sequence, or set GRAD_ACCUM_STEPS=1",
        )
    if micro % c.train_seq_len:
        yield (
            f"{batch} in {parts} micro-batches gives {micro} tokens each, no multiple of {sequence}",
            f"choose TRAIN_BATCH_TOKENS as a multiple of {parts * c.train_seq_len}",
        )
    if val_micro < c.eval_length:
        yield (
            f"a validation batch has {val_micro} tokens (VAL_BATCH_SIZE={c.val_batch_size} / {parts}), "
            f"less than {'EVAL_SEQ_LEN' if c.eval_seq_len else 'TRAIN_SEQ_LEN'}={c.eval_length}",
            f"raise VAL_BATCH_SIZE to {parts * c.eval_length} or more",
        )


def _parts(c: Config) -> Broken:
    """Of the model."""
    layers = f"NUM_LAYERS={c.num_layers}"
    if c.fused_ce_enabled and c.logit_softcap > 80:  # trainer.kernels.LARGEST_CAP; e^88.7 is fp32's largest
        yield (
            f"FUSED_CE_ENABLED=true cannot hold LOGIT_SOFTCAP={c.logit_softcap}: e^cap must fit fp32",
            "use a cap of at most 80",
        )
    if c.mlp_width < 1:
        yield f"MLP_MULT={c.mlp_mult} of MODEL_DIM={c.model_dim} leaves no hidden unit", "raise MLP_MULT"
    if c.rope_dims % 2 or c.rope_dims > c.head_dim:
        yield (
            f"ROPE_DIMS={c.rope_dims} does not fit heads of {c.head_dim} dimensions (MODEL_DIM / NUM_HEADS)",
            "choose an even number of at most that, or 0 for all",
        )
    if c.xsa_last_n > c.num_layers:
        yield f"XSA_LAST_N={c.xsa_last_n} is more than {layers}", "choose at most the number of layers"
    if c.parallel_start_layer >= c.num_layers:
        yield (
            f"PARALLEL_START_LAYER={c.parallel_start_layer} is no layer of {layers}",
            "layers count from 0; -1 is none, for which some public scripts write a number beyond the last",
        )
    if c.num_loops and not c.loop_start <= c.loop_end < c.num_layers:
        yield (
            f"LOOP_START={c.loop_start} to LOOP_END={c.loop_end} is no range of {layers}",
            "layers count from 0",
        )
    if c.bigram_vocab_size == 1:
        yield "BIGRAM_VOCAB_SIZE=1 leaves no bucket for a pair", "choose 2 or more, or 0 for none"
    if c.gated_attention and c.gated_attn_enabled:
        yield (
            "GATED_ATTENTION=true and GATED_ATTN_ENABLED=true are two gates of one output",
            "keep one of them; `harness knobs GATED` says how they differ",
        )
    if c.value_residual and c.num_layers == 1:
        yield "VALUE_RESIDUAL=true does nothing in a model of NUM_LAYERS=1", "leave it out"


def _evaluation(c: Config) -> Broken:
    # A chunk shorter than a window would be scored with tokens of the next one, which it has learnt from.
    if c.ttt_enabled and c.ttt_chunk_tokens < c.eval_length:
        yield (
            f"TTT_CHUNK_TOKENS={c.ttt_chunk_tokens} is less than a window of {c.eval_length} tokens",
            "choose larger chunks",
        )
    if c.ttt_freeze_blocks > c.num_layers:
        yield (
            f"TTT_FREEZE_BLOCKS={c.ttt_freeze_blocks} is more than NUM_LAYERS={c.num_layers}",
            "choose at most the number of layers",
        )
    if c.eval_stride > c.eval_length:
        yield (
            f"EVAL_STRIDE={c.eval_stride} steps over tokens: a window has {c.eval_length} "
            "(EVAL_SEQ_LEN or TRAIN_SEQ_LEN)",
            "choose a stride of at most the window",
        )


def _weights(c: Config) -> Broken:
    """What is packed, and how."""
    # What is packed can be one of them only.
    if c.ema_decay and c.swa_enabled:
        yield (
            f"EMA_DECAY={c.ema_decay} and SWA_ENABLED=true are two averages of the weights",
            "keep one of them; most public scripts that set both pack the EMA",
        )
    if -1 < c.embed_wd < 0:
        yield f"EMBED_WD={c.embed_wd} is no decay", "choose 0 or more, or -1 for ADAM_WD"
    # A setting in vain is refused rather than ignored: its score would be told as the feature's.
    for name, enabled in {"QAT_ENABLED": c.qat_enabled, "GPTQ_ENABLED": c.gptq_enabled}.items():
        if enabled and c.largest_matrix <= c.int8_keep_float_max_numel:
            yield (
                f"{name}=true changes nothing: the largest matrix has {c.largest_matrix} elements "
                "and stays a float",
                f"set INT8_KEEP_FLOAT_MAX_NUMEL below {c.largest_matrix}, or widen the model",
            )
    # Without a cap there is nothing to keep seconds of.
    cap, reserve = c.max_wallclock_seconds, c.gptq_reserve_seconds
    if c.gptq_enabled and cap and not 0 < reserve < cap:
        yield (
            f"GPTQ_RESERVE_SECONDS={reserve} does not fit MAX_WALLCLOCK_SECONDS={cap}: "
            "calibration reads training data, so it is training time",
            "keep some seconds of the cap for it, not all",
        )
