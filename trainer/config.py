"""Every knob of the trainer, described once, and which of their combinations make sense.

A knob is a field of `Config`; its environment name is the field's name in capitals. Type, default, unit, range and
meaning stand beside each other in the class below, and `KNOBS`, the parser, the help and the range checks are read
off it. This module imports nothing but the standard library, so that a command line can check overrides at once.

The defaults are those of the challenge's train_gpt.py, and give exactly 17,059,912 parameters.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from trainer.errors import ConfigError

__all__ = ["KNOBS", "PRESETS", "Config", "ConfigError", "Knob", "load_config", "nearest_knob"]

Value = bool | int | float | str | tuple[str, ...]

_BIGGEST = 10**12  # no count here needs more; keeps 1e300 from becoming a whole number of 301 digits


# -- the knobs --------------------------------------------------------------------------------------------------


def _knob(default: Value, meaning: str, unit: str = "", **limits: Any) -> Any:
    """Describe a knob. limits: minimum, maximum (inclusive), above, below (exclusive), choices."""
    return field(default=default, metadata={"meaning": meaning, "unit": unit, **limits})


@dataclass(frozen=True)
class Config:
    """A complete configuration. Build one from text with `load_config`, which checks it."""

    # Data and run
    data_path: str = _knob(
        "./data/datasets/fineweb10B_sp1024",
        "folder with fineweb_train_*.bin and fineweb_val_*.bin shards",
        "path",
    )
    tokenizer_path: str = _knob(
        "./data/tokenizers/fineweb_1024_bpe.model", "SentencePiece model, needed to count bytes", "path"
    )
    run_id: str = _knob("", "name of the run, printed in its log; empty: none", "name")
    seed: int = _knob(1337, "seed of the Python, NumPy and torch generators", minimum=0, maximum=2**32 - 1)

    # How long, how much, how often
    iterations: int = _knob(20_000, "optimizer steps at most", "steps", minimum=1)
    max_wallclock_seconds: float = _knob(
        600.0, "training ends after the first step past this; 0: no cap", "s", minimum=0.0
    )
    train_batch_tokens: int = _knob(
        524_288, "tokens of an optimizer step, over all ranks", "tokens", minimum=1
    )
    train_seq_len: int = _knob(1024, "tokens of a sequence, in training and validation", "tokens", minimum=1)
    grad_accum_steps: int = _knob(
        0, "micro-batches of a step; 0: eight over all ranks. Changes which tokens are seen", minimum=0
    )
    warmup_steps: int = _knob(
        20,
        "throw-away steps that prime compilation; weights are restored, time not counted",
        "steps",
        minimum=0,
    )
    warmdown_iters: int = _knob(
        1200, "length of the final linear decay; turned into time under a wall-clock cap", "steps", minimum=0
    )
    val_batch_size: int = _knob(524_288, "tokens of a validation batch, over all ranks", "tokens", minimum=1)
    val_loss_every: int = _knob(1000, "steps between validations; 0: only at the end", "steps", minimum=0)
    train_log_every: int = _knob(
        200, "steps between logged train losses, besides the first ten; 0: none", "steps", minimum=0
    )

    # Model
    vocab_size: int = _knob(
        1024, "rows of the embedding; must match the tokenizer", "ids", minimum=1, maximum=65_536
    )
    num_layers: int = _knob(9, "transformer blocks", minimum=1, maximum=1000)
    model_dim: int = _knob(512, "width of the residual stream", "channels", minimum=1, maximum=65_536)
    num_heads: int = _knob(8, "query heads", minimum=1, maximum=4096)
    num_kv_heads: int = _knob(4, "key and value heads (grouped-query attention)", minimum=1, maximum=4096)
    mlp_mult: float = _knob(
        2.0, "hidden width of the MLP as a multiple of MODEL_DIM", above=0.0, maximum=64.0
    )
    tie_embeddings: bool = _knob(True, "the embedding is also the output head")
    rope_base: float = _knob(10_000.0, "base frequency of the rotary positions", above=0.0)
    logit_softcap: float = _knob(30.0, "logits become cap * tanh(logits / cap)", above=0.0)
    qk_gain_init: float = _knob(1.5, "initial gain per head on the normalised queries")
    tied_embed_init_std: float = _knob(0.005, "initial standard deviation of the tied embedding", minimum=0.0)

    # Optimizers
    embed_lr: float = _knob(0.6, "Adam learning rate of an embedding with a separate head", minimum=0.0)
    head_lr: float = _knob(0.008, "Adam learning rate of a separate head", minimum=0.0)
    tied_embed_lr: float = _knob(
        0.05, "Adam learning rate of the embedding that is also the head", minimum=0.0
    )
    matrix_lr: float = _knob(0.04, "Muon learning rate of the blocks' matrices", minimum=0.0)
    scalar_lr: float = _knob(0.04, "Adam learning rate of vectors, gains and skip weights", minimum=0.0)
    muon_momentum: float = _knob(0.95, "final momentum of Muon", minimum=0.0, below=1.0)
    muon_momentum_warmup_start: float = _knob(0.85, "momentum of Muon at step 0", minimum=0.0, below=1.0)
    muon_momentum_warmup_steps: int = _knob(
        500, "steps until Muon has its final momentum", "steps", minimum=0
    )
    muon_backend_steps: int = _knob(5, "Newton-Schulz iterations of a Muon update", minimum=1, maximum=100)
    beta1: float = _knob(0.9, "Adam's decay of the mean", minimum=0.0, below=1.0)
    beta2: float = _knob(0.95, "Adam's decay of the square", minimum=0.0, below=1.0)
    adam_eps: float = _knob(1e-8, "Adam's epsilon", above=0.0)
    grad_clip_norm: float = _knob(0.0, "clips the norm of all gradients together; 0: off", minimum=0.0)

    # Packing
    control_tensor_name_patterns: tuple[str, ...] = _knob(
        ("attn_scale", "mlp_scale", "resid_mix", "q_gain", "skip_weight"),
        "parts of names of tensors kept in fp32 and trained by SCALAR_LR",
        "names",
    )
    int8_keep_float_fp32_name_patterns: tuple[str, ...] = _knob(
        (), "parts of names of tensors packed as fp32; empty: as CONTROL_TENSOR_NAME_PATTERNS", "names"
    )
    fp16_embed: bool = _knob(False, "pack the embedding in fp16 instead of int8; costs about 0.5 MB")

    # Machine: how it is computed. DTYPE and MUON_DTYPE change the numbers, the others at most their rounding.
    device: str = _knob(
        "auto", "where to compute; auto: the best there is", choices=("auto", "cuda", "mps", "cpu")
    )
    dtype: str = _knob(
        "auto",
        "type of activations and embedding; auto: bfloat16 where the hardware has it",
        choices=("auto", "bfloat16", "float32"),
    )
    muon_dtype: str = _knob("bfloat16", "type of Muon's orthogonalisation", choices=("bfloat16", "float32"))
    attention: str = _knob(
        "auto",
        "sdpa: torch's kernel; blocked: explicit products, faster for bfloat16 on CPU; auto: the faster one",
        choices=("auto", "sdpa", "blocked"),
    )
    muon_batch: bool = _knob(True, "orthogonalise matrices of one shape together; false: one by one")
    compile: str = _knob("auto", "torch.compile; auto: on CUDA only", choices=("auto", "on", "off"))
    threads: int = _knob(0, "CPU threads; 0: all cores. Does not change results", minimum=0, maximum=4096)
    checkpoint_every: int = _knob(0, "steps between checkpoints; 0: off", "steps", minimum=0)
    checkpoint_seconds: float = _knob(60.0, "seconds between checkpoints; 0: off", "s", minimum=0.0)

    @property
    def head_dim(self) -> int:
        return self.model_dim // self.num_heads

    @property
    def mlp_dim(self) -> int:
        return round(self.mlp_mult * self.model_dim)

    @property
    def fp32_patterns(self) -> tuple[str, ...]:
        """Parts of names of tensors that are packed in fp32."""
        return self.int8_keep_float_fp32_name_patterns or self.control_tensor_name_patterns

    @property
    def params(self) -> int:
        """Trainable numbers of the model."""
        attention = 2 * self.model_dim * (self.num_heads + self.num_kv_heads) * self.head_dim + self.num_heads
        mlp = 2 * self.model_dim * self.mlp_dim
        scales = 4 * self.model_dim  # attn_scale, mlp_scale, and resid_mix of two rows
        skips = self.num_layers // 2 * self.model_dim
        embeddings = (1 if self.tie_embeddings else 2) * self.vocab_size * self.model_dim
        return embeddings + self.num_layers * (attention + mlp + scales) + skips

    def micro_batches(self, world_size: int = 1) -> int:
        """Return the micro-batches of a step on each rank. Raises ConfigError if eight cannot be shared out."""
        if self.grad_accum_steps:
            return self.grad_accum_steps
        if 8 % world_size:
            raise ConfigError(
                f"GRAD_ACCUM_STEPS=0 shares 8 micro-batches out, but not over {world_size} ranks",
                "use 1, 2, 4 or 8 ranks, or set GRAD_ACCUM_STEPS",
            )
        return 8 // world_size

    def local_tokens(self, world_size: int = 1) -> int:
        """Return the tokens of one micro-batch on one rank."""
        return self.train_batch_tokens // (world_size * self.micro_batches(world_size))

    def check(self, world_size: int = 1) -> Config:
        """Return self. Raises ConfigError, naming both values, if two knobs cannot go together."""
        for knob in KNOBS.values():
            knob.check(getattr(self, knob.field_name))
        for wrong, message, hint in self._conflicts(world_size):
            if wrong:
                raise ConfigError(message, hint)
        return self

    def _conflicts(self, world_size: int) -> list[tuple[bool, str, str]]:
        """Pairs of knobs that exclude each other: is it so, what is wrong, what to do."""
        micro_batches = self.micro_batches(world_size)
        parts = world_size * micro_batches
        batch, seq_len, val_batch = self.train_batch_tokens, self.train_seq_len, self.val_batch_size
        shared = f"{micro_batches} micro-batches x {world_size} rank{'s' if world_size > 1 else ''}"
        smallest = parts * seq_len
        return [
            (
                self.model_dim % self.num_heads != 0,
                f"MODEL_DIM={self.model_dim} is not divisible by NUM_HEADS={self.num_heads}",
                f"use a width of {self.num_heads} times an even number",
            ),
            (
                self.num_heads % self.num_kv_heads != 0,
                f"NUM_HEADS={self.num_heads} is not divisible by NUM_KV_HEADS={self.num_kv_heads}",
                "every key/value head serves the same number of query heads",
            ),
            (
                self.head_dim % 2 != 0,
                f"MODEL_DIM={self.model_dim} over NUM_HEADS={self.num_heads} gives heads of {self.head_dim} channels, "
                "an odd number",
                "rotary positions turn pairs of channels; choose an even MODEL_DIM / NUM_HEADS",
            ),
            (
                not math.isclose(self.mlp_mult * self.model_dim, self.mlp_dim) or self.mlp_dim < 1,
                f"MLP_MULT={_format_float(self.mlp_mult)} times MODEL_DIM={self.model_dim} is not a whole number",
                "choose a multiple that gives a whole hidden width",
            ),
            (
                batch < smallest,
                f"TRAIN_BATCH_TOKENS={batch} is smaller than {shared} of TRAIN_SEQ_LEN={seq_len}",
                f"use {smallest} or more, or a smaller GRAD_ACCUM_STEPS (now {micro_batches})",
            ),
            (
                batch % smallest != 0,
                f"TRAIN_BATCH_TOKENS={batch} does not divide into {shared} of TRAIN_SEQ_LEN={seq_len}",
                f"use a multiple of {smallest}",
            ),
            (
                val_batch < smallest,
                f"VAL_BATCH_SIZE={val_batch} is smaller than {shared} of TRAIN_SEQ_LEN={seq_len}",
                f"use {smallest} or more",
            ),
            (
                self.dtype == "float32" and self.attention == "blocked" and self.device == "cuda",
                "ATTENTION=blocked and DEVICE=cuda: the blocked form is made for CPUs",
                "use ATTENTION=auto",
            ),
        ]

    def to_env(self) -> dict[str, str]:
        """Return the whole configuration as environment variables, one spelling per value."""
        return {name: knob.format(getattr(self, knob.field_name)) for name, knob in KNOBS.items()}

    def with_values(self, **values: Value) -> Config:
        """Return a copy with some fields replaced."""
        return replace(self, **values)  # type: ignore[arg-type]


def load_config(env: Mapping[str, str], world_size: int = 1) -> Config:
    """Read the knobs from environment variables; names that are no knobs are ignored.

    Raises ConfigError for a value of the wrong type or out of range, and for impossible combinations.
    """
    values = {knob.field_name: knob.parse(env[name]) for name, knob in KNOBS.items() if name in env}
    return Config(**values).check(world_size)  # type: ignore[arg-type]


def nearest_knob(name: str) -> str | None:
    """Return the knob whose name is most like `name`, if any is."""
    return next(iter(difflib.get_close_matches(name.upper(), KNOBS, n=1)), None)


# -- text and values --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Knob:
    """One knob: what may stand in its environment variable and what it means."""

    name: str  # in the environment
    type_name: str  # bool, int, float, str or names
    default: Value
    unit: str
    meaning: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def field_name(self) -> str:
        return self.name.lower()

    @property
    def range_text(self) -> str:
        """Say in words what is allowed; empty if anything of the type is."""
        if self.choices:
            return " | ".join(self.choices)
        if self.type_name == "bool":
            return "true | false"
        limits = (
            ("at least", self.minimum),
            ("above", self.above),
            ("at most", self.maximum),
            ("below", self.below),
        )
        return ", ".join(f"{word} {_format_float(limit)}" for word, limit in limits if limit is not None)

    def parse(self, text: str) -> Value:
        """Read a value. Raises ConfigError if it has the wrong type or is out of range."""
        kind = _KINDS[self.type_name]
        try:
            value = kind.parse(text.strip())
        except (ValueError, OverflowError):
            hint = " or ".join(self.choices) or self.range_text or kind.example
            raise ConfigError(f"{self.name}={text} is not {kind.called}", f"use {hint}") from None
        self.check(value)
        return value

    def format(self, value: Value) -> str:
        """Spell a value the one way; `parse` gives it back."""
        return _KINDS[self.type_name].format(value)

    def check(self, value: Value) -> None:
        """Raise ConfigError if the value is out of range."""
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.name}={value} is unknown", f"use {self.range_text}")
        if isinstance(value, int | float) and not isinstance(value, bool) and not self._fits(value):
            raise ConfigError(
                f"{self.name}={self.format(value)} is out of range",
                f"use {self.range_text or 'a finite number'}",
            )

    def _fits(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


@dataclass(frozen=True)
class _Kind:
    """A type of value: its name in errors, how it is read, how it is spelled."""

    called: str
    example: str
    parse: Callable[[str], Value]
    format: Callable[[Any], str]


_TRUTH = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)


def _parse_bool(text: str) -> bool:
    try:
        return _TRUTH[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _parse_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        value = float(text)  # 3.0 and 1e3 are whole numbers too
    if value != int(value) or abs(value) > _BIGGEST:
        raise ValueError(text)
    return int(value)


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _format_float(value: float) -> str:
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


def _parse_names(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


_KINDS = {
    "bool": _Kind("a yes/no value", "true or false", _parse_bool, lambda value: "true" if value else "false"),
    "int": _Kind("a whole number", "a whole number", _parse_int, str),
    "float": _Kind("a number", "a number like 0.04 or 1e-3", _parse_float, _format_float),
    "str": _Kind("text", "text", str, str),
    "tuple[str, ...]": _Kind("a list of names", "names between commas", _parse_names, ",".join),
}

KNOBS: dict[str, Knob] = {
    f.name.upper(): Knob(f.name.upper(), str(f.type), f.default, **f.metadata)  # type: ignore[arg-type]
    for f in fields(Config)
}


# -- presets ----------------------------------------------------------------------------------------------------

# Measured on two cores with bf16 instructions; where the numbers come from: see `practice` below.
_PRACTICE = {
    "NUM_LAYERS": "2",
    "MODEL_DIM": "128",
    "NUM_HEADS": "4",
    "NUM_KV_HEADS": "2",
    "TRAIN_SEQ_LEN": "128",
    "TRAIN_BATCH_TOKENS": "2048",
    "GRAD_ACCUM_STEPS": "1",
    "MATRIX_LR": "0.02",
    "SCALAR_LR": "0.02",
    "TIED_EMBED_LR": "0.03",
    "MUON_MOMENTUM_WARMUP_STEPS": "50",
    "WARMUP_STEPS": "0",
    "MAX_WALLCLOCK_SECONDS": "0",
    "VAL_BATCH_SIZE": "16384",
    "TRAIN_LOG_EVERY": "10",
    "CHECKPOINT_SECONDS": "10",
}

PRESETS: dict[str, dict[str, str]] = {
    # The challenge's own: for one to eight large GPUs.
    "baseline": {},
    # Half a minute on two cores; beats zlib -9 on the practice course. The decay over the whole run is worth 0.015 bpb.
    "practice": _PRACTICE | {"ITERATIONS": "700", "WARMDOWN_ITERS": "700", "VAL_LOSS_EVERY": "175"},
    # Goes for xz.
    "practice_long": _PRACTICE | {"ITERATIONS": "1400", "WARMDOWN_ITERS": "1400", "VAL_LOSS_EVERY": "350"},
    # Seconds: for tests.
    "tiny": _PRACTICE
    | {
        "MODEL_DIM": "64",
        "ITERATIONS": "20",
        "WARMDOWN_ITERS": "20",
        "VAL_LOSS_EVERY": "0",
        "TRAIN_BATCH_TOKENS": "1024",
    },
}
