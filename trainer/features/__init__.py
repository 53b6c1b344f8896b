"""What the field added to the baseline: which parts there are, and which of them a configuration uses.

The baseline knows none of them. Outside of this folder no module imports a feature; `load` does, by name,
when a configuration needs it, so that a run and a submission carry only the code that they use.

To add a feature:
1. its knobs are fields of `trainer.config.Config`, declared with `added`, off by default;
2. its module here defines `hooks(c)`, which returns a `trainer.hooks.Hooks` that overrides what it needs;
3. `FEATURES` gets a line: when it is used, and which other modules of this folder it imports;
4. `trainer.config.ADDED_CONTROLS` names parameters that stay fp32 and are trained with the scalars;
5. docs/knobs.md says what it costs (`python -m benchmarks.knobs NAME`), and a test what it does.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from trainer.config import Config
from trainer.hooks import Hooks


@dataclass(frozen=True)
class Feature:
    """When a module is used, and which modules of this folder it imports itself."""

    used: Callable[[Config], bool]
    imports: tuple[str, ...] = ()


# In this order their hooks are called: parts of a block before what comes around the blocks.
FEATURES: dict[str, Feature] = {
    "attention": Feature(
        lambda c: (
            c.rope_dims > 0
            or c.xsa_last_n > 0
            or c.gated_attention
            or c.gated_attn_enabled
            or c.value_residual
        )
    ),
    "blocks": Feature(lambda c: c.activation != "relu2" or c.ln_scale or c.parallel_start_layer >= 0),
    "loops": Feature(lambda c: c.num_loops > 0),
    "tokens": Feature(lambda c: c.bigram_vocab_size > 0 or c.smear_gate_enabled),
    "muon": Feature(lambda c: c.muon_wd > 0 or c.muon_polynomial != "jordan" or c.muon_row_normalize),
    "average": Feature(lambda c: c.ema_decay > 0 or c.swa_enabled),
    "qat": Feature(lambda c: c.qat_enabled),
    "gptq": Feature(lambda c: c.gptq_enabled, imports=("calibrate",)),
    "sliding": Feature(lambda c: c.eval_stride > 0),
    "adapt": Feature(lambda c: c.ttt_enabled),
}


def used(c: Config) -> list[str]:
    """Return the features of a configuration, in the order of their hooks."""
    return [name for name, feature in FEATURES.items() if feature.used(c)]


def needed(config: Config) -> tuple[str, ...]:
    """Return the dotted names of all modules here that a configuration needs, with what those import here."""
    names = {name for one in used(config) for name in (one, *FEATURES[one].imports)}
    return tuple(f"{__name__}.{name}" for name in sorted(names))


def load(c: Config) -> list[Hooks]:
    """Import the features of a configuration and return their hooks, fresh ones at each call."""
    modules = [importlib.import_module(f"{__name__}.{name}") for name in used(c)]
    return [module.hooks(c) for module in modules]
