"""Every knob of the trainer, described once: type, default, unit, range, meaning; and which combinations fit.

Knows nothing of torch, data or files: `harness knobs` and every check before a run read this table.
Names, defaults and meanings of the baseline's knobs are those of the challenge's script.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainer.errors import ConfigError
from trainer.knob import Knob, Value, spell

__all__ = [
    "ALIASES",
    "KNOBS",
    "PRESETS",
    "Config",
    "ConfigError",
    "Knob",
    "Value",
    "is_neutral",
    "load_config",
    "nearest_knob",
    "resolve_aliases",
    "spell",
]


def _k(name: str, default: Value, meaning: str, **more: Any) -> Knob:
    return Knob(name, default, meaning, **more)


def _a(name: str, default: Value, meaning: str, **more: Any) -> Knob:
    """A knob that the challenge's script does not have."""
    return Knob(name, default, meaning, added=True, **more)


_COUNT = {"low": 1, "high": 10**9}
_RATE = {"low": 0.0, "high": 1e30}

KNOBS: dict[str, Knob] = {
    knob.name: knob
    for knob in (
        # data
        _k("DATA_PATH", "./data/datasets/fineweb10B_sp1024", "folder of the token shards"),
        _k("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model", "SentencePiece model of those tokens, or byte260: bytes without one"),
        _k("VOCAB_SIZE", 1024, "rows of the embedding table; must match the tokenizer", low=2, high=65536),
        _k("TRAIN_SEQ_LEN", 1024, "tokens of a training sequence", unit="tokens", **_COUNT),
        _k("TRAIN_BATCH_TOKENS", 524288, "tokens of an optimizer step over all devices", unit="tokens", **_COUNT),
        _k("VAL_BATCH_SIZE", 524288, "tokens of a validation batch over all devices", unit="tokens", **_COUNT),
        _k("GRAD_ACCUM_STEPS", 0, "micro-batches of a step; 0 = 8 / world size, as in the challenge", low=0, high=65536),
        # the evaluation
        _a("EVAL_SEQ_LEN", 0, "context at evaluation; 0 = TRAIN_SEQ_LEN", unit="tokens", low=0, high=10**9),
        _a("EVAL_STRIDE", 0, "step of a sliding-window evaluation after the round trip; 0 = none", unit="tokens", low=0, high=10**9),
        _a("TTT_ENABLED", False, "a last evaluation that learns from tokens it has already scored"),
        _a("TTT_LR", 0.002, "learning rate of that (SGD)", needs="TTT_ENABLED", **_RATE),
        _a("TTT_MOMENTUM", 0.9, "its momentum", low=0.0, high=0.999999, needs="TTT_ENABLED"),
        _a("TTT_EPOCHS", 3, "passes over each scored chunk", low=1, high=1000, needs="TTT_ENABLED"),
        _a("TTT_CHUNK_TOKENS", 32768, "tokens scored before each adaptation", unit="tokens", needs="TTT_ENABLED", **_COUNT),
        _a("TTT_BATCH_SEQS", 32, "training sequences of a step", low=1, high=10**6, needs="TTT_ENABLED"),
        _a("TTT_FREEZE_BLOCKS", 0, "first blocks that do not adapt", low=0, high=1000, needs="TTT_ENABLED"),
        _a("TTT_GRAD_CLIP", 1.0, "clip of the gradient's norm; 0 = off", low=0.0, high=1e9, needs="TTT_ENABLED"),
        # the run
        _k("RUN_ID", "run", "name of the run, printed in its log"),
        _k("SEED", 1337, "seed of the Python, NumPy and torch generators", low=0, high=2**32 - 1),
        _k("ITERATIONS", 20000, "upper bound of optimizer steps", unit="steps", low=1, high=10**9),
        _k("MAX_WALLCLOCK_SECONDS", 600.0, "training stops after the step that passes this; 0 = no cap", unit="s", low=0.0, high=1e9),
        _k("WARMUP_STEPS", 20, "throw-away steps before the clock starts; weights are restored", unit="steps", low=0, high=10**6),
        _k("WARMDOWN_ITERS", 1200, "length of the final linear decay of the learning rates", unit="steps", low=0, high=10**9),
        _k("VAL_LOSS_EVERY", 1000, "steps between validations; 0 = only at the end", unit="steps", low=0, high=10**9),
        _k("TRAIN_LOG_EVERY", 200, "steps between lines of training loss; 0 = only the first ten", unit="steps", low=0, high=10**9),
        _k("CHECKPOINT_EVERY", 0, "steps between checkpoints to resume from; 0 = by time only", unit="steps", low=0, high=10**9),
        _k("CHECKPOINT_SECONDS", 60.0, "seconds between checkpoints; 0 = by steps only", unit="s", low=0.0, high=1e9),
        # the model
        _k("NUM_LAYERS", 9, "transformer blocks", low=1, high=1000),
        _k("MODEL_DIM", 512, "width of the residual stream", low=2, high=65536),
        _k("NUM_HEADS", 8, "query heads", low=1, high=4096),
        _k("NUM_KV_HEADS", 4, "key/value heads (grouped-query attention)", low=1, high=4096),
        _k("MLP_MULT", 2, "hidden width of the MLP in multiples of MODEL_DIM", low=0.01, high=64, fractions=True),
        _k("TIE_EMBEDDINGS", True, "the embedding is the output head, too"),
        _k("TIED_EMBED_INIT_STD", 0.005, "initial standard deviation of the tied embedding", low=0.0, high=100.0),
        _k("ROPE_BASE", 10000.0, "base of the rotary position embedding", low=1.0, high=1e12),
        _k("LOGIT_SOFTCAP", 30.0, "logits become cap * tanh(logits / cap)", low=1e-3, high=1e6),
        _k("QK_GAIN_INIT", 1.5, "initial gain of each query head after normalisation", low=-1000.0, high=1000.0),
        _a("ACTIVATION", "relu2", "function inside the MLP", choices=("relu2", "leaky_relu2", "gelu", "silu")),
        _a("ROPE_DIMS", 0, "dimensions of a head that get rotary embedding; 0 = all", low=0, high=65536),
        _a("LN_SCALE", False, "scale each block's normed inputs by 1 / sqrt(layer + 1), layers from 0"),
        _a("XSA_LAST_N", 0, "deepest layers that take a token's own value out of its attention output", low=0, high=1000),
        _a("GATED_ATTENTION", False, "a sigmoid gate on each head's output"),
        _a("VALUE_RESIDUAL", False, "mix the first layer's values into those of the later ones"),
        _a("PARALLEL_START_LAYER", -1, "first layer whose MLP stands beside attention, from 0; -1 = none", low=-1, high=1000),
        _a("SMEAR_GATE_ENABLED", False, "add a gated share of the previous token's embedding"),
        _a("BIGRAM_VOCAB_SIZE", 0, "buckets of a hashed embedding of token pairs; 0 = off", low=0, high=10**7),
        _a("BIGRAM_DIM", 128, "width of that embedding", low=1, high=65536, needs="BIGRAM_VOCAB_SIZE"),
        _a("NUM_LOOPS", 0, "extra passes through the looped layers", low=0, high=64),
        _a("LOOP_START", 3, "first looped layer, from 0", low=0, high=1000, needs="NUM_LOOPS"),
        _a("LOOP_END", 5, "last looped layer", low=0, high=1000, needs="NUM_LOOPS"),
        _a("ENABLE_LOOPING_AT", 0.0, "share of the training after which looping begins", low=0.0, high=1.0, needs="NUM_LOOPS"),
        # the optimizers
        _k("EMBED_LR", 0.6, "learning rate of an untied embedding (Adam)", **_RATE),
        _k("HEAD_LR", 0.008, "learning rate of a separate output head (Adam)", **_RATE),
        _k("TIED_EMBED_LR", 0.05, "learning rate of the tied embedding (Adam)", **_RATE),
        _k("MATRIX_LR", 0.04, "learning rate of the blocks' matrices (Muon)", **_RATE),
        _k("SCALAR_LR", 0.04, "learning rate of vectors and scalars (Adam)", **_RATE),
        _k("BETA1", 0.9, "Adam's first decay", low=0.0, high=0.999999),
        _k("BETA2", 0.95, "Adam's second decay", low=0.0, high=0.999999),
        _k("ADAM_EPS", 1e-8, "Adam's epsilon", low=0.0, high=1.0),
        _k("MUON_MOMENTUM", 0.95, "Muon's momentum after its warm-up", low=0.0, high=0.999999),
        _k("MUON_MOMENTUM_WARMUP_START", 0.85, "Muon's momentum at step 0", low=0.0, high=0.999999),
        _k("MUON_MOMENTUM_WARMUP_STEPS", 500, "steps over which Muon's momentum ramps", unit="steps", low=0, high=10**9),
        _k("MUON_BACKEND_STEPS", 5, "Newton-Schulz iterations of a Muon update", low=1, high=100),
        _k("GRAD_CLIP_NORM", 0.0, "clip of the global gradient norm; 0 = off", low=0.0, high=1e9),
        _a("WARMDOWN_FRAC", 0.0, "share of the run that decays the learning rates; 0 = WARMDOWN_ITERS", low=0.0, high=1.0),
        _a("MIN_LR", 0.0, "floor of the learning rates' decay factor", low=0.0, high=1.0),
        _a("MUON_WD", 0.0, "decoupled weight decay of the blocks' matrices", **_RATE),
        _a("ADAM_WD", 0.0, "decoupled weight decay of what Adam trains", **_RATE),
        _a("MUON_POLYNOMIAL", "jordan", "Newton-Schulz coefficients: the challenge's, or Polar Express", choices=("jordan", "polar_express")),
        _a("MUON_ROW_NORMALIZE", False, "give the rows of a Muon update one length before it is orthogonalised"),
        _a("EMA_DECAY", 0.0, "decay of a moving average of the weights, which is what is packed; 0 = off", low=0.0, high=0.999999),
        _a("SWA_ENABLED", False, "pack the mean of weights sampled late in the run"),
        _a("SWA_EVERY", 50, "steps between those samples", unit="steps", low=1, high=10**9, needs="SWA_ENABLED"),
        _a("SWA_START_FRAC", 0.5, "decay factor of the learning rates below which they are taken", low=0.0, high=1.0, needs="SWA_ENABLED"),
        _a("QAT_ENABLED", False, "train with matrices rounded as the artifact will round them"),
        _a("LATE_QAT_THRESHOLD", 0.15, "decay factor of the learning rates below which that begins; 1 = at once", low=0.0, high=1.0, needs="QAT_ENABLED"),
        # the artifact
        _k("FP16_EMBED", False, "store the token embedding in fp16 instead of int8"),
        _k(
            "CONTROL_TENSOR_NAME_PATTERNS",
            "attn_scale,mlp_scale,resid_mix,q_gain,skip_weight",
            "parts of names, by comma: small tensors kept in fp32 and trained with the scalars",
        ),
        _k(
            "INT8_KEEP_FLOAT_FP32_NAME_PATTERNS",
            "attn_scale,mlp_scale,resid_mix,q_gain,skip_weight",
            "parts of names, by comma: small tensors stored in fp32 instead of fp16",
        ),
        _a("INT8_KEEP_FLOAT_MAX_NUMEL", 65536, "tensors of at most this many elements are stored as floats", low=0, high=10**12),
        _a("EMBED_BITS", 8, "bits of embeddings and of a separate head", unit="bits", low=4, high=8),
        _a("MATRIX_BITS", 8, "bits of all other quantized tensors", unit="bits", low=4, high=8),
        _a("QUANT_CLIP", "quantile", "where rows are clipped: the challenge's quantile, or a search for the least error", choices=("quantile", "search")),
        _a("GPTQ_ENABLED", False, "round the blocks' matrices so that their outputs change least on training tokens"),
        _a("GPTQ_CALIBRATION_BATCHES", 16, "training micro-batches that show what those inputs are", low=1, high=10**6, needs="GPTQ_ENABLED"),
        _a("GPTQ_RESERVE_SECONDS", 12.0, "taken off MAX_WALLCLOCK_SECONDS for them", unit="s", low=0.0, high=1e9, needs="GPTQ_ENABLED"),
        _a("GPTQ_BLOCK_SIZE", 128, "columns rounded before the rest is told", unit="columns", low=1, high=65536, needs="GPTQ_ENABLED"),
        _a("COMPRESSOR", "zlib", "codec of the artifact; zstd and brotli are an extra", choices=("zlib", "zstd", "lzma", "brotli")),
        # the machine
        _k("DEVICE", "auto", "where to train", choices=("auto", "cuda", "mps", "cpu")),
        _k("DTYPE", "auto", "activations; auto = bfloat16 where the machine is fast at it", choices=("auto", "bfloat16", "float32")),
        _k("MUON_DTYPE", "bfloat16", "Muon's update and Newton-Schulz", choices=("bfloat16", "float32")),
        _k("COMPILE", "auto", "torch.compile; auto = on CUDA only", choices=("auto", "on", "off")),
        _k(
            "ATTENTION",
            "sdpa",
            "torch's own kernel (the challenge's numbers), or blocked: faster on a CPU in bfloat16",
            choices=("sdpa", "blocked"),
        ),
        _a("FUSED_CE_ENABLED", False, "the loss in pieces that stay in the cache, in fp32 after the product: faster on a CPU"),
        _a("DETERMINISTIC", False, "same seed, same bits on one kind of machine: no operation that varies from run to run, one CPU thread if THREADS=0"),
        _k("THREADS", 0, "CPU threads; 0 = all cores", low=0, high=4096),
    )
}  # fmt: skip


# Control tensors of the features, by parts of their names.
_ADDED_CONTROLS = ("attn_gate", "value_mix", "smear_gate", "smear_scale")


@dataclass(frozen=True)
class Config:
    """The effective configuration: a field per knob, typed."""

    data_path: str
    tokenizer_path: str
    vocab_size: int
    train_seq_len: int
    train_batch_tokens: int
    val_batch_size: int
    grad_accum_steps: int
    eval_seq_len: int
    eval_stride: int
    ttt_enabled: bool
    ttt_lr: float
    ttt_momentum: float
    ttt_epochs: int
    ttt_chunk_tokens: int
    ttt_batch_seqs: int
    ttt_freeze_blocks: int
    ttt_grad_clip: float
    run_id: str
    seed: int
    iterations: int
    max_wallclock_seconds: float
    warmup_steps: int
    warmdown_iters: int
    val_loss_every: int
    train_log_every: int
    checkpoint_every: int
    checkpoint_seconds: float
    num_layers: int
    model_dim: int
    num_heads: int
    num_kv_heads: int
    mlp_mult: float
    tie_embeddings: bool
    tied_embed_init_std: float
    rope_base: float
    logit_softcap: float
    qk_gain_init: float
    activation: str
    rope_dims: int
    ln_scale: bool
    xsa_last_n: int
    gated_attention: bool
    value_residual: bool
    parallel_start_layer: int
    smear_gate_enabled: bool
    bigram_vocab_size: int
    bigram_dim: int
    num_loops: int
    loop_start: int
    loop_end: int
    enable_looping_at: float
    embed_lr: float
    head_lr: float
    tied_embed_lr: float
    matrix_lr: float
    scalar_lr: float
    beta1: float
    beta2: float
    adam_eps: float
    muon_momentum: float
    muon_momentum_warmup_start: float
    muon_momentum_warmup_steps: int
    muon_backend_steps: int
    grad_clip_norm: float
    warmdown_frac: float
    min_lr: float
    muon_wd: float
    adam_wd: float
    muon_polynomial: str
    muon_row_normalize: bool
    ema_decay: float
    swa_enabled: bool
    swa_every: int
    swa_start_frac: float
    qat_enabled: bool
    late_qat_threshold: float
    fp16_embed: bool
    control_tensor_name_patterns: str
    int8_keep_float_fp32_name_patterns: str
    int8_keep_float_max_numel: int
    embed_bits: int
    matrix_bits: int
    quant_clip: str
    gptq_enabled: bool
    gptq_calibration_batches: int
    gptq_reserve_seconds: float
    gptq_block_size: int
    compressor: str
    device: str
    dtype: str
    muon_dtype: str
    compile: str
    attention: str
    fused_ce_enabled: bool
    deterministic: bool
    threads: int

    @property
    def head_dim(self) -> int:
        return self.model_dim // self.num_heads

    @property
    def mlp_width(self) -> int:
        """Hidden units of an MLP; the part of one that MLP_MULT may leave over is cut off."""
        return int(self.mlp_mult * self.model_dim)

    @property
    def largest_matrix(self) -> int:
        """Elements of a block's largest matrix."""
        return self.model_dim * max(self.model_dim, self.mlp_width)

    @property
    def eval_length(self) -> int:
        """Tokens of an evaluation window."""
        return self.eval_seq_len or self.train_seq_len

    @property
    def step_seconds(self) -> float:
        """Wall clock of the optimizer steps: the cap less what is kept for GPTQ's calibration; 0 = no cap."""
        reserve = self.gptq_reserve_seconds if self.gptq_enabled else 0.0
        return self.max_wallclock_seconds - reserve if self.max_wallclock_seconds > 0 else 0.0

    @property
    def token_lr(self) -> float:
        return self.tied_embed_lr if self.tie_embeddings else self.embed_lr

    @property
    def control_names(self) -> tuple[str, ...]:
        """Parts of the names of tensors that stay fp32 and are trained with the scalars."""
        return _split_names(self.control_tensor_name_patterns) + _ADDED_CONTROLS

    @property
    def fp32_names(self) -> tuple[str, ...]:
        """Parts of the names of small tensors that the artifact keeps in fp32."""
        return _split_names(self.int8_keep_float_fp32_name_patterns) + _ADDED_CONTROLS

    def accumulation(self, world_size: int) -> int:
        """Micro-batches of a step on each device: the challenge's script always makes eight in all."""
        return self.grad_accum_steps or 8 // world_size

    def micro_batch_tokens(self, world_size: int) -> int:
        """Training tokens of one micro-batch on one device."""
        return self.train_batch_tokens // (world_size * self.accumulation(world_size))

    def to_env(self) -> dict[str, str]:
        """Return every knob in canonical spelling, by environment name."""
        return {field.name.upper(): spell(getattr(self, field.name)) for field in dataclasses.fields(self)}

    def check(self, world_size: int = 1) -> None:
        """Refuse combinations that cannot train. Raises ConfigError naming both values."""
        for holds, message, hint in _rules(self, world_size) + _unread(self):
            if not holds:
                raise ConfigError(message, hint)


def _rules(c: Config, world_size: int) -> list[tuple[bool, str, str]]:
    """Return (holds, what is wrong, what to do) for every combination that must fit."""
    if c.grad_accum_steps == 0 and 8 % world_size != 0:
        return [
            (
                False,
                f"world size {world_size} does not divide 8",
                "use 1, 2, 4 or 8 processes, or set GRAD_ACCUM_STEPS",
            )
        ]
    parts = world_size * c.accumulation(world_size)
    micro = c.train_batch_tokens // parts
    val_micro = c.val_batch_size // parts
    return [
        (c.model_dim % c.num_heads == 0,
         f"NUM_HEADS={c.num_heads} does not divide MODEL_DIM={c.model_dim}", "choose heads that divide the width"),
        (c.num_heads % c.num_kv_heads == 0,
         f"NUM_KV_HEADS={c.num_kv_heads} does not divide NUM_HEADS={c.num_heads}", "choose key/value heads that divide the query heads"),
        (c.head_dim % 2 == 0,
         f"MODEL_DIM={c.model_dim} over NUM_HEADS={c.num_heads} gives heads of {c.head_dim}, an odd width",
         "rotary embedding turns pairs: make MODEL_DIM / NUM_HEADS even"),
        (c.train_batch_tokens >= c.train_seq_len,
         f"TRAIN_BATCH_TOKENS={c.train_batch_tokens} is smaller than one sequence, TRAIN_SEQ_LEN={c.train_seq_len}",
         "raise the batch or shorten the sequence"),
        (c.train_batch_tokens % parts == 0,
         f"TRAIN_BATCH_TOKENS={c.train_batch_tokens} cannot be cut into {parts} micro-batches",
         f"choose a multiple of {parts}"),
        (micro >= c.train_seq_len,
         f"a micro-batch has {micro} tokens (TRAIN_BATCH_TOKENS={c.train_batch_tokens} / {parts}), "
         f"less than TRAIN_SEQ_LEN={c.train_seq_len}", "raise the batch, shorten the sequence, or set GRAD_ACCUM_STEPS=1"),
        (micro % c.train_seq_len == 0,
         f"TRAIN_BATCH_TOKENS={c.train_batch_tokens} in {parts} micro-batches gives {micro} tokens each, "
         f"no multiple of TRAIN_SEQ_LEN={c.train_seq_len}",
         f"choose TRAIN_BATCH_TOKENS as a multiple of {parts * c.train_seq_len}"),
        (val_micro >= c.eval_length,
         f"a validation batch has {val_micro} tokens (VAL_BATCH_SIZE={c.val_batch_size} / {parts}), "
         f"less than {'EVAL_SEQ_LEN' if c.eval_seq_len else 'TRAIN_SEQ_LEN'}={c.eval_length}",
         f"raise VAL_BATCH_SIZE to {parts * c.eval_length} or more"),
        (not c.qat_enabled or c.largest_matrix > c.int8_keep_float_max_numel,
         f"QAT_ENABLED=true changes nothing: the largest matrix has {c.largest_matrix} elements and stays a float",
         f"set INT8_KEEP_FLOAT_MAX_NUMEL below {c.largest_matrix}, or widen the model"),
        (not c.fused_ce_enabled or c.logit_softcap <= 80,
         f"FUSED_CE_ENABLED=true cannot hold LOGIT_SOFTCAP={c.logit_softcap}: e^cap must fit fp32", "use a cap of at most 80"),
        (c.mlp_width >= 1,
         f"MLP_MULT={c.mlp_mult} of MODEL_DIM={c.model_dim} leaves no hidden unit", "raise MLP_MULT"),
        (c.rope_dims % 2 == 0 and c.rope_dims <= c.head_dim,
         f"ROPE_DIMS={c.rope_dims} does not fit heads of {c.head_dim} dimensions (MODEL_DIM / NUM_HEADS)",
         "choose an even number of at most that, or 0 for all"),
        (c.xsa_last_n <= c.num_layers,
         f"XSA_LAST_N={c.xsa_last_n} is more than NUM_LAYERS={c.num_layers}", "choose at most the number of layers"),
        (c.parallel_start_layer < c.num_layers,
         f"PARALLEL_START_LAYER={c.parallel_start_layer} is no layer of NUM_LAYERS={c.num_layers}", "layers count from 0"),
        (c.num_loops == 0 or c.loop_start <= c.loop_end < c.num_layers,
         f"LOOP_START={c.loop_start} to LOOP_END={c.loop_end} is no range of NUM_LAYERS={c.num_layers}", "layers count from 0"),
        (c.bigram_vocab_size != 1,
         "BIGRAM_VOCAB_SIZE=1 leaves no bucket for a pair", "choose 2 or more, or 0 for none"),
        (not c.value_residual or c.num_layers > 1,
         "VALUE_RESIDUAL=true does nothing in a model of NUM_LAYERS=1", "leave it out"),
        (not c.ttt_enabled or c.ttt_chunk_tokens >= c.eval_length,
         f"TTT_CHUNK_TOKENS={c.ttt_chunk_tokens} is less than a window of {c.eval_length} tokens", "choose larger chunks"),
        (c.ttt_freeze_blocks <= c.num_layers,
         f"TTT_FREEZE_BLOCKS={c.ttt_freeze_blocks} is more than NUM_LAYERS={c.num_layers}", "choose at most the number of layers"),
        (c.ema_decay == 0 or not c.swa_enabled,
         f"EMA_DECAY={c.ema_decay} and SWA_ENABLED=true are two averages of the weights", "keep one of them"),
        (not c.gptq_enabled or c.largest_matrix > c.int8_keep_float_max_numel,
         f"GPTQ_ENABLED=true changes nothing: the largest matrix has {c.largest_matrix} elements and stays a float",
         f"set INT8_KEEP_FLOAT_MAX_NUMEL below {c.largest_matrix}, or widen the model"),
        (not c.gptq_enabled or not c.max_wallclock_seconds or 0 < c.gptq_reserve_seconds < c.max_wallclock_seconds,
         f"GPTQ_RESERVE_SECONDS={c.gptq_reserve_seconds} does not fit MAX_WALLCLOCK_SECONDS={c.max_wallclock_seconds}: "
         "calibration reads training data, so it is training time", "keep some seconds of the cap for it, not all"),
        (c.eval_stride <= c.eval_length,
         f"EVAL_STRIDE={c.eval_stride} steps over tokens: a window has {c.eval_length} (EVAL_SEQ_LEN or TRAIN_SEQ_LEN)",
         "choose a stride of at most the window"),
    ]  # fmt: skip


def _unread(c: Config) -> list[tuple[bool, str, str]]:
    """Return a rule for every knob that does nothing unless another one is on: a setting must not be in vain."""
    return [
        (
            bool(getattr(c, KNOBS[knob.needs].field)) or getattr(c, knob.field) == knob.default,
            f"{knob.name}={knob.format(getattr(c, knob.field))} does nothing without {knob.needs}",
            f"set {knob.needs}, or leave {knob.name} out",
        )
        for knob in KNOBS.values()
        if knob.needs
    ]


def _split_names(patterns: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in patterns.split(",") if part.strip())


def load_config(env: Mapping[str, str]) -> Config:
    """Read every knob from an environment; what is not set has its default. Raises ConfigError for a bad value."""
    values = {
        knob.field: knob.parse(env[name]) if name in env else knob.default for name, knob in KNOBS.items()
    }
    return Config(**values)  # type: ignore[arg-type]


def is_neutral(name: str, text: str) -> bool:
    """Whether a setting changes nothing: a knob beyond the challenge's own, at its default.

    Fingerprints of configurations leave such settings out, so that a new knob leaves old results what they were.
    """
    return (name, text) in _NEUTRAL


_NEUTRAL = frozenset((name, knob.format(knob.default)) for name, knob in KNOBS.items() if knob.added)


# Other people's names for our knobs. A pair of texts: what yes and no come to, where ours is a number.
ALIASES: dict[str, tuple[str, tuple[str, str] | None]] = {
    "VAL_BATCH_TOKENS": ("VAL_BATCH_SIZE", None),
    "FP16_EMBED_EXPORT": ("FP16_EMBED", None),
    "MUON_WEIGHT_DECAY": ("MUON_WD", None),
    "EMA_ENABLED": ("EMA_DECAY", ("0.997", "0")),
    "PARALLEL_RESIDUAL_START": ("PARALLEL_START_LAYER", None),
    "GATED_ATTN_ENABLED": ("GATED_ATTENTION", None),
    "BIGRAM_BUCKETS": ("BIGRAM_VOCAB_SIZE", None),
    "LATE_QAT": ("QAT_ENABLED", None),
    "QAT_THRESHOLD": ("LATE_QAT_THRESHOLD", None),
    "QUANT_BITS": ("MATRIX_BITS", None),
    "GPTQ_CALIB_BATCHES": ("GPTQ_CALIBRATION_BATCHES", None),
    "SLIDING_WINDOW_ENABLED": ("EVAL_STRIDE", ("64", "0")),
}


def resolve_alias(name: str, text: str) -> tuple[str, str]:
    """Return our name for a knob, and the value as our knob reads it; others stay as they are."""
    ours, yes_no = ALIASES.get(name, (name, None))
    if yes_no is None or ours == name:
        return ours, text
    switch = Knob(name, False, "")
    return ours, yes_no[0] if switch.parse(text) else yes_no[1]


def resolve_aliases(env: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return an environment in which our knobs have our names, and a sentence for each other name that was used.

    Raises ConfigError when both names are set and disagree.
    """
    found = {name: text for name, text in env.items() if name not in ALIASES}
    notices = []
    for alias in ALIASES:
        if alias not in env:
            continue
        name, text = resolve_alias(alias, env[alias])
        knob = KNOBS[name]
        if name in found and knob.parse(found[name]) != knob.parse(text):
            raise ConfigError(
                f"{alias}={env[alias]} and {name}={found[name]} are two names of one knob and disagree",
                f"keep {name}",
            )
        found[name] = text
        notices.append(f"{alias}={env[alias]} is read as {name}={text}")
    return found, notices


def nearest_knob(name: str) -> str | None:
    """Return the knob whose name is closest to a mistyped one."""
    close = difflib.get_close_matches(name.upper(), KNOBS, n=1)
    return close[0] if close else None


assert {knob.field for knob in KNOBS.values()} == {field.name for field in dataclasses.fields(Config)}

# Named settings to start from. `practice`: half a minute of CPU that beats zlib on the practice course;
# the whole run decays, since a short run gains most from it.
_SMALL = {
    "MODEL_DIM": "128", "NUM_LAYERS": "2", "NUM_HEADS": "4", "NUM_KV_HEADS": "2",
    "TRAIN_SEQ_LEN": "128", "TRAIN_BATCH_TOKENS": "2048", "GRAD_ACCUM_STEPS": "1", "VAL_BATCH_SIZE": "16384",
    "TIED_EMBED_LR": "0.03", "MATRIX_LR": "0.02", "SCALAR_LR": "0.02", "MUON_MOMENTUM_WARMUP_STEPS": "50",
    "MAX_WALLCLOCK_SECONDS": "0", "WARMUP_STEPS": "0", "TRAIN_LOG_EVERY": "10", "ATTENTION": "blocked", "FUSED_CE_ENABLED": "true",
}  # fmt: skip
PRESETS: dict[str, dict[str, str]] = {
    "baseline": {},
    "practice": _SMALL | {"ITERATIONS": "700", "WARMDOWN_ITERS": "700", "VAL_LOSS_EVERY": "175"},
    "practice_long": _SMALL | {
        "MODEL_DIM": "192", "ITERATIONS": "1500", "WARMDOWN_ITERS": "1500", "VAL_LOSS_EVERY": "375",
    },
    "tiny": _SMALL | {
        "MODEL_DIM": "64", "TRAIN_BATCH_TOKENS": "1024", "ITERATIONS": "20", "WARMDOWN_ITERS": "10",
        "TRAIN_LOG_EVERY": "5", "VAL_LOSS_EVERY": "10",
    },
}  # fmt: skip
