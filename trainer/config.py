"""Every knob of the trainer, written once: a field of `Config` with type, default, range, unit and meaning.

From the fields come the table `KNOBS` (`harness knobs`), what a value may be, which settings are read by
nothing, and what a resumed run goes by. Which fit together: `trainer.rules`. Other names: `trainer.names`.

Knows nothing of torch, data or files: every check before a run reads this table. Names, defaults and meanings
of the baseline's knobs are those of the challenge's train_gpt.py; `added` marks the others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from trainer.errors import ConfigError
from trainer.knob import ARTIFACT_SIZE, STEP_TIME, Knob, Unread, Value, added, eval_knob, export_knob, knob
from trainer.knob import spell as spell
from trainer.presets import PRESETS as PRESETS
from trainer.rules import OTHER_CAP, ROUNDS_IN_TRAINING, broken_rules

# Ranges, both ends included. Upper ends are where a number stops making sense, not where it stops being wise.
COUNT, WHOLE = (1, 10**9), (0, 10**9)
RATE, SHARE, SECONDS = (0.0, 1e30), (0.0, 1.0), (0.0, 1e9)
DECAY = (0.0, 0.999999)  # a decay of 1 never forgets, and Adam divides by 1 - beta
CONTROLS = "attn_scale,mlp_scale,resid_mix,q_gain,skip_weight"

# Control tensors of the features, by parts of their names.
ADDED_CONTROLS = ("attn_gate", "value_mix", "smear_gate", "smear_scale")


@dataclass(frozen=True)
class Config:
    """The effective configuration: a field per knob, typed.

    The environment names are the fields' in capitals.
    """

    # Data.
    data_path: str = knob(
        "./data/datasets/fineweb10B_sp1024", "folder of the token shards", free_on_resume=True
    )
    tokenizer_path: str = knob(
        "./data/tokenizers/fineweb_1024_bpe.model",
        "SentencePiece model of those tokens, or byte260: bytes without one",
        free_on_resume=True,
    )
    # 1,024 pieces in the challenge: the embedding is then half a million weights of 17 million, and every
    # piece is seen often enough to be learnt within ten minutes.
    vocab_size: int = knob(
        1024, "rows of the embedding table; must match the tokenizer", (2, 65536), decides=STEP_TIME
    )
    train_seq_len: int = knob(1024, "tokens of a training sequence", COUNT, unit="tokens", decides=STEP_TIME)
    # Half a million tokens: the challenge's batch on eight H100, modded-nanogpt's order of size.
    train_batch_tokens: int = knob(
        524288, "tokens of an optimizer step over all devices", COUNT, unit="tokens", decides=STEP_TIME
    )
    # Changes no score: every token's loss is added up in float64.
    val_batch_size: int = knob(
        524288,
        "tokens of a validation batch over all devices",
        COUNT,
        unit="tokens",
        aliases=("VAL_BATCH_TOKENS",),
        acts="evaluation",
    )
    # The challenge divides 8 by the number of processes, so that a micro-batch has one size on 1 and on 8.
    grad_accum_steps: int = knob(
        0, "micro-batches of a step; 0 = 8 / world size, as in the challenge", (0, 65536)
    )

    # The evaluation. A sliding window and test-time training score the artifact once more.
    eval_seq_len: int = eval_knob(0, "context at evaluation; 0 = TRAIN_SEQ_LEN", WHOLE, unit="tokens")
    # A stride of 64 costs length / 64 times the plain evaluation.
    eval_stride: int = eval_knob(
        0,
        "step of a sliding-window evaluation after the round trip; 0 = none",
        WHOLE,
        unit="tokens",
    )
    ttt_enabled: bool = eval_knob(False, "a last evaluation that learns from tokens it has already scored")
    # Plain SGD, as in dynamic evaluation (arXiv:1709.07432): Adam's moments need storing or a warm-up.
    ttt_lr: float = eval_knob(0.002, "learning rate of that (SGD)", RATE, needs="TTT_ENABLED")
    ttt_momentum: float = eval_knob(0.9, "its momentum", DECAY, needs="TTT_ENABLED")
    ttt_epochs: int = eval_knob(3, "passes over each scored chunk", (1, 1000), needs="TTT_ENABLED")
    # Smaller chunks adapt sooner and cost more passes; at least a window, since a chunk is scored whole.
    ttt_chunk_tokens: int = eval_knob(
        32768, "tokens scored before each adaptation", COUNT, unit="tokens", needs="TTT_ENABLED"
    )
    ttt_batch_seqs: int = eval_knob(32, "training sequences of a step", (1, 10**6), needs="TTT_ENABLED")
    # Early blocks know the least of a document and the most of the language.
    ttt_freeze_blocks: int = eval_knob(0, "first blocks that do not adapt", (0, 1000), needs="TTT_ENABLED")
    ttt_grad_clip: float = eval_knob(1.0, "clip of its gradient; 0 = off", (0.0, 1e9), needs="TTT_ENABLED")

    # The run.
    run_id: str = knob("run", "name of the run, printed in its log", free_on_resume=True)
    # The challenge's own default; its records are told with three of them, often 42, 314 and 1337.
    seed: int = knob(1337, "seed of the Python, NumPy and torch generators", (0, 2**32 - 1))
    iterations: int = knob(20000, "upper bound of optimizer steps", COUNT, unit="steps")
    # The challenge's ten minutes. With a cap the learning rates decay by the clock, not by steps.
    max_wallclock_seconds: float = knob(
        600.0, "training stops after the step that passes this; 0 = no cap", SECONDS, unit="s"
    )
    # Enough for torch.compile to have seen every shape; modded-nanogpt's way of timing only the training.
    warmup_steps: int = knob(
        20, "throw-away steps before the clock starts; weights are restored", (0, 10**6), unit="steps"
    )
    # Trapezoidal schedule: constant, then linear to 0. As good as a cosine, and the length of a run need not
    # be known at its start (arXiv:2405.18392).
    warmdown_iters: int = knob(
        1200,
        "length of the final linear decay of the learning rates",
        WHOLE,
        unit="steps",
        unread=Unread(lambda c: c.warmdown_frac > 0, "WARMDOWN_FRAC is set and goes first"),
    )
    val_loss_every: int = knob(1000, "steps between validations; 0 = only at the end", WHOLE, unit="steps")
    train_log_every: int = knob(
        200, "steps between lines of training loss; 0 = only the first ten", WHOLE, unit="steps"
    )
    # By time and not by steps unless asked: a checkpoint costs the same whatever a step takes.
    checkpoint_every: int = knob(
        0,
        "steps between checkpoints to resume from; 0 = by time only",
        WHOLE,
        unit="steps",
        free_on_resume=True,
    )
    checkpoint_seconds: float = knob(
        60.0, "seconds between checkpoints; 0 = by steps only", SECONDS, unit="s", free_on_resume=True
    )
    # On: they take 68 MB of the baseline, whose training takes ten minutes of eight H100.
    keep_weights: bool = added(True, "keep the trained weights, for `harness evaluate`", free_on_resume=True)

    # The model: the challenge's, then what the field added to it.
    # 9 blocks of 512 at int8 fill the 16,000,000 bytes of the challenge.
    num_layers: int = knob(9, "transformer blocks", (1, 1000), decides=STEP_TIME)
    model_dim: int = knob(512, "width of the residual stream", (2, 65536), decides=STEP_TIME)
    num_heads: int = knob(8, "query heads", (1, 4096))
    # Half the query heads: grouped-query attention (arXiv:2305.13245) saves bytes in the artifact.
    num_kv_heads: int = knob(4, "key/value heads (grouped-query attention)", (1, 4096))
    # 2, not the usual 4, as in the challenge: the bytes go to depth.
    mlp_mult: float = knob(
        2, "hidden width of the MLP in multiples of MODEL_DIM", (0.01, 64), fractions=True, decides=STEP_TIME
    )
    # Press and Wolf 2016, arXiv:1608.05859: a table less to store.
    tie_embeddings: bool = knob(True, "the embedding is the output head, too")
    # Small, since the table is the head, too: logits begin near 0 and the loss near ln V. Its norm makes the
    # stream's scale independent of it.
    tied_embed_init_std: float = knob(
        0.005,
        "initial standard deviation of the tied embedding",
        (0.0, 100.0),
        unread=Unread(lambda c: not c.tie_embeddings, "TIE_EMBEDDINGS=false: the embedding is not tied"),
    )
    # The paper's base (arXiv:2104.09864).
    rope_base: float = knob(10000.0, "base of the rotary position embedding", (1.0, 1000000000000.0))
    # Gemma 2's cap of the final logits (arXiv:2408.00118).
    logit_softcap: float = knob(30.0, "logits become cap * tanh(logits / cap)", (0.001, 1000000.0))
    # Normalised queries and keys (arXiv:2010.04245) give scores of at most sqrt(D); the gain sharpens them.
    qk_gain_init: float = knob(1.5, "initial gain of each query head after normalisation", (-1000.0, 1000.0))
    activation: str = added(
        "relu2", "function inside the MLP", choices=("relu2", "leaky_relu2", "gelu", "silu")
    )
    rope_dims: int = added(0, "dimensions of a head that get rotary embedding; 0 = all", (0, 65536))
    # arXiv:2502.05795.
    ln_scale: bool = added(False, "scale each block's normed inputs by 1 / sqrt(layer + 1), layers from 0")
    xsa_last_n: int = added(
        0, "deepest layers that take a token's own value out of its attention output", (0, 1000)
    )
    # arXiv:2505.06708.
    gated_attention: bool = added(False, "a sigmoid gate on each head's output; its bias begins at 4")
    gated_attn_enabled: bool = added(False, "such a gate without a bias, which begins half open")
    gated_attn_init_std: float = added(
        0.01, "initial deviation of that gate's weights", (0.0, 100.0), needs="GATED_ATTN_ENABLED"
    )
    # arXiv:2410.17897.
    value_residual: bool = added(
        False, "mix the first layer's values into those of the later ones, 0.5 of each to begin with"
    )
    # GPT-J's and PaLM's (arXiv:2204.02311) parallel residual, from a layer on.
    parallel_start_layer: int = added(
        -1,
        "first layer whose MLP stands beside attention, from 0; -1 = none",
        (-1, 1000),
        aliases=("PARALLEL_RESIDUAL_START",),
    )
    # modded-nanogpt's.
    smear_gate_enabled: bool = added(
        False, "add a gated share of the previous token's embedding, before the norm"
    )
    bigram_vocab_size: int = added(
        0, "buckets of a hashed embedding of token pairs; 0 = off", (0, 10**7), aliases=("BIGRAM_BUCKETS",)
    )
    bigram_dim: int = added(128, "width of that embedding", (1, 65536), needs="BIGRAM_VOCAB_SIZE")
    # Weights shared over depth: arXiv:1807.03819. The layers in the middle, since the first and last ones
    # have work of their own.
    num_loops: int = added(0, "extra passes through the looped layers", (0, 64))
    loop_start: int = added(3, "first looped layer, from 0", (0, 1000), needs="NUM_LOOPS")
    loop_end: int = added(5, "last looped layer", (0, 1000), needs="NUM_LOOPS")
    enable_looping_at: float = added(
        0.0, "share of the training after which looping begins", SHARE, needs="NUM_LOOPS"
    )

    # The optimizers. Rates are those of the challenge's script, tuned there for its model and batch.
    # Twelve times the tied rate: an untied input table gets gradients only for the tokens of a batch.
    embed_lr: float = knob(
        0.6,
        "learning rate of an untied embedding (Adam)",
        RATE,
        unread=Unread(lambda c: c.tie_embeddings, "TIE_EMBEDDINGS=true: TIED_EMBED_LR is read instead"),
    )
    head_lr: float = knob(
        0.008,
        "learning rate of a separate output head (Adam)",
        RATE,
        unread=Unread(lambda c: c.tie_embeddings, "TIE_EMBEDDINGS=true: there is no separate head"),
    )
    tied_embed_lr: float = knob(
        0.05,
        "learning rate of the tied embedding (Adam)",
        RATE,
        unread=Unread(
            lambda c: not c.tie_embeddings, "TIE_EMBEDDINGS=false: EMBED_LR and HEAD_LR are read instead"
        ),
    )
    # Muon's updates have one size whatever the gradient, so this rate is in units of weights.
    matrix_lr: float = knob(0.04, "learning rate of the blocks' matrices (Muon)", RATE)
    scalar_lr: float = knob(0.04, "learning rate of vectors and scalars (Adam)", RATE)
    # Adam (arXiv:1412.6980) with a second decay of 0.95, usual for language models since GPT-3
    # (arXiv:2005.14165): at 0.999 the moments would be older than a short run's warm-up.
    beta1: float = knob(0.9, "Adam's first decay", DECAY)
    beta2: float = knob(0.95, "Adam's second decay", DECAY)
    adam_eps: float = knob(1e-8, "Adam's epsilon", SHARE)
    # Nesterov's momentum, ramped up as in modded-nanogpt: early gradients point elsewhere.
    muon_momentum: float = knob(0.95, "Muon's momentum after its warm-up", DECAY)
    muon_momentum_warmup_start: float = knob(
        0.85,
        "Muon's momentum at step 0",
        DECAY,
        unread=Unread(
            lambda c: c.muon_momentum_warmup_steps == 0,
            "MUON_MOMENTUM_WARMUP_STEPS=0: the momentum does not ramp",
        ),
    )
    muon_momentum_warmup_steps: int = knob(500, "steps over which Muon's momentum ramps", WHOLE, unit="steps")
    # Five bring singular values into 0.7 to 1.2, which Jordan found to be enough.
    muon_backend_steps: int = knob(5, "Newton-Schulz iterations of a Muon update", (1, 100))
    # Off, as in the challenge: Muon's update does not depend on the gradient's size.
    grad_clip_norm: float = knob(0.0, "clip of the global gradient norm; 0 = off", (0.0, 1e9))
    # The schedule that does not need to know the number of steps.
    warmdown_frac: float = added(0.0, "share of the run that decays the rates; 0 = WARMDOWN_ITERS", SHARE)
    # A share of the rate, not a rate.
    min_lr: float = added(0.0, "floor of the learning rates' decay factor", SHARE)
    # arXiv:2502.16982 (Moonlight) needs it for long runs; smaller weights also compress better.
    muon_wd: float = added(
        0.0, "decoupled weight decay of the blocks' matrices", RATE, aliases=("MUON_WEIGHT_DECAY",)
    )
    adam_wd: float = added(
        0.0, "decoupled weight decay of what Adam trains: scalars, head, embeddings without EMBED_WD", RATE
    )
    embed_wd: float = added(-1.0, "decoupled weight decay of embeddings; -1 = ADAM_WD", (-1.0, 1e30))
    # arXiv:2505.16932.
    muon_polynomial: str = added(
        "jordan",
        "Newton-Schulz coefficients: the challenge's, or Polar Express",
        choices=("jordan", "polar_express"),
    )
    muon_row_normalize: bool = added(False, "give a Muon update's rows one length, then orthogonalise it")
    # 1 / (1 - decay) is the number of steps it remembers: well below those of the run.
    ema_decay: float = added(
        0.0, "decay of a moving average of the weights, which is what is packed; 0 = off", DECAY
    )
    # arXiv:1803.05407.
    swa_enabled: bool = added(False, "pack the mean of weights sampled late in the run")
    swa_every: int = added(50, "steps between those samples", COUNT, unit="steps", needs="SWA_ENABLED")
    swa_start_frac: float = added(
        0.5, "decay factor of the learning rates below which they are taken", SHARE, needs="SWA_ENABLED"
    )
    # arXiv:1712.05877; better late, since rounded weights learn slower while the rates are high.
    qat_enabled: bool = added(
        False, "train with matrices rounded as the artifact will round them, from the first step on"
    )
    # 0.15 stands in records from when QAT_ENABLED alone came to it.
    late_qat_threshold: float = added(
        0.15,
        "decay factor of the learning rates at which that begins instead; 1 or 0 = the first step",
        SHARE,
        needs="QAT_ENABLED",
        alone=1.0,
        aliases=("QAT_THRESHOLD",),
    )

    # The artifact.
    # Twice the bytes for the one table that is input and output and suffers most from rounding.
    fp16_embed: bool = knob(
        False,
        "store the token embedding in fp16 instead of int8",
        aliases=("FP16_EMBED_EXPORT",),
        decides=ARTIFACT_SIZE,
        acts="export",
    )
    control_tensor_name_patterns: str = knob(
        CONTROLS, "parts of names, by comma: small tensors kept in fp32 and trained with the scalars"
    )
    int8_keep_float_fp32_name_patterns: str = knob(
        CONTROLS, "parts of names, by comma: small tensors stored in fp32 instead of fp16", acts="export"
    )
    # The challenge's limit: what is small saves little, and scalars would lose most by rounding.
    int8_keep_float_max_numel: int = export_knob(
        65536,
        "tensors of at most this many elements are stored as floats",
        (0, 10**12),
        decides=ARTIFACT_SIZE,
        trains=ROUNDS_IN_TRAINING,
    )
    # Fewer than 8 are stored one a byte: the codec removes the empty bits.
    embed_bits: int = export_knob(
        8,
        "bits of embeddings and of a separate head",
        (4, 8),
        unit="bits",
        unread=Unread(
            lambda c: c.fp16_embed and c.tie_embeddings, "FP16_EMBED=true: the embedding is stored in fp16"
        ),
        decides=ARTIFACT_SIZE,
        trains=ROUNDS_IN_TRAINING,
    )
    matrix_bits: int = export_knob(
        8,
        "bits of all other quantized tensors",
        (4, 8),
        unit="bits",
        aliases=("QUANT_BITS",),
        decides=ARTIFACT_SIZE,
        trains=ROUNDS_IN_TRAINING,
    )
    # Clipping trades a large error of few weights for a small one of all (arXiv:1810.05723).
    quant_clip: str = export_knob(
        "quantile",
        "where rows are clipped: the challenge's quantile, or a search for the least error",
        choices=("quantile", "search"),
        decides=ARTIFACT_SIZE,
    )
    # arXiv:2210.17323.
    gptq_enabled: bool = export_knob(
        False, "round matrices so that their outputs change least on training tokens", trains=OTHER_CAP
    )
    gptq_calibration_batches: int = export_knob(
        16,
        "training micro-batches that show what those inputs are",
        (1, 10**6),
        needs="GPTQ_ENABLED",
        aliases=("GPTQ_CALIB_BATCHES",),
    )
    # Calibration reads training data, so the challenge's ten minutes hold it, too.
    gptq_reserve_seconds: float = export_knob(
        12.0, "kept free of MAX_WALLCLOCK_SECONDS", SECONDS, unit="s", needs="GPTQ_ENABLED", trains=OTHER_CAP
    )
    # The paper's: larger blocks update less often and fit the cache worse. Only the speed depends on it.
    gptq_block_size: int = export_knob(
        128, "columns rounded before the rest is told", (1, 65536), unit="columns", needs="GPTQ_ENABLED"
    )
    # What Python brings first: a submission's reader need not install anything.
    compressor: str = export_knob(
        "zlib",
        "codec of the artifact; zstd and brotli are an extra",
        choices=("zlib", "zstd", "lzma", "brotli"),
        decides=ARTIFACT_SIZE,
    )

    # The machine.
    device: str = knob("auto", "where to train", choices=("auto", "cuda", "mps", "cpu"), decides=STEP_TIME)
    # bfloat16 has fp32's range, so no loss scaling is needed (arXiv:1905.12322).
    dtype: str = knob(
        "auto",
        "activations; auto = bfloat16 where the machine is fast at it",
        choices=("auto", "bfloat16", "float32"),
    )
    # The iteration forgives rounding: it pulls singular values towards 1 again at each step.
    muon_dtype: str = knob("bfloat16", "Muon's update and Newton-Schulz", choices=("bfloat16", "float32"))
    compile: str = knob("auto", "torch.compile; auto = on CUDA only", choices=("auto", "on", "off"))
    # Not `added`: it is another summation order of the same function, like another kernel of torch's.
    attention: str = knob(
        "sdpa",
        "torch's own kernel (the challenge's numbers), or blocked: faster on a CPU in bfloat16",
        choices=("sdpa", "blocked"),
    )
    fused_ce_enabled: bool = added(
        False, "the loss in pieces that stay in the cache, in fp32 after the product: faster on a CPU"
    )
    # What it promises and what it cannot: docs/knobs.md, "What repeats".
    deterministic: bool = added(
        False,
        "same seed, same bits on one kind of machine: no operation that varies from run to run, "
        "one CPU thread if THREADS=0",
    )
    threads: int = knob(0, "CPU threads; 0 = all cores", (0, 4096), free_on_resume=True)

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
    def embedding_wd(self) -> float:
        return self.adam_wd if self.embed_wd < 0 else self.embed_wd

    @property
    def token_lr(self) -> float:
        return self.tied_embed_lr if self.tie_embeddings else self.embed_lr

    @property
    def control_names(self) -> tuple[str, ...]:
        """Parts of the names of tensors that stay fp32 and are trained with the scalars."""
        return _split_names(self.control_tensor_name_patterns) + ADDED_CONTROLS

    @property
    def fp32_names(self) -> tuple[str, ...]:
        """Parts of the names of small tensors that the artifact keeps in fp32."""
        return _split_names(self.int8_keep_float_fp32_name_patterns) + ADDED_CONTROLS

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
        """Refuse combinations that cannot train, and settings in vain.

        Raises ConfigError naming the values.
        """
        for message, hint in broken_rules(self, world_size):
            raise ConfigError(message, hint)
        for one in KNOBS.values():
            value = getattr(self, one.field)
            if one.needs and value != one.default and not getattr(self, KNOBS[one.needs].field):
                raise ConfigError(
                    f"{one.name}={one.format(value)} does nothing without {one.needs}",
                    f"set {one.needs}, or leave {one.name} out",
                )


KNOBS: dict[str, Knob] = {
    field.name.upper(): Knob.of_field(field.name, field.default, field.metadata)
    for field in dataclasses.fields(Config)
}


def _split_names(patterns: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in patterns.split(",") if part.strip())


def _read(one: Knob, env: Mapping[str, str]) -> Value:
    if one.name in env:
        return one.parse(env[one.name])
    switched_on = one.needs in env and KNOBS[one.needs].parse(env[one.needs])
    return one.alone if switched_on and one.alone is not None else one.default


def load_config(env: Mapping[str, str]) -> Config:
    """Read every knob from an environment; what is not set has its default.

    Raises ConfigError for a bad value.
    """
    values = {one.field: _read(one, env) for one in KNOBS.values()}
    return Config(**values)  # type: ignore[arg-type]


# Settings (name, text) that change nothing: knobs beyond the challenge's own, at their defaults. Fingerprints
# of configurations leave them out, so that a new knob leaves old results what they were.
NEUTRAL = frozenset((name, knob.format(knob.default)) for name, knob in KNOBS.items() if knob.added)
