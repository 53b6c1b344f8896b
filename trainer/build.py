"""From a configuration to a model in its place and types."""

from __future__ import annotations

import torch
from torch import nn

from trainer.config import Config
from trainer.features import load
from trainer.model import GPT, Linear, matches

PLANNED_WITHOUT_NUMBERS = 200_000_000  # parameters, which take 0.8 GB


def make_model(c: Config) -> GPT:
    """Return the model as initialised, on the CPU in fp32, with what the configuration's features add."""
    model = GPT(c)
    for feature in load(c):
        feature.extend_model(model)
    return model


def plan_model(c: Config) -> GPT:
    """Return a model to count and weigh, not to train: tensors of a large one hold no numbers."""
    # A model on "meta" takes no memory, but torch loads 5 s for it.
    mixing = c.model_dim * (4 * c.model_dim + 2 * c.mlp_width)
    if c.vocab_size * c.model_dim + c.num_layers * mixing < PLANNED_WITHOUT_NUMBERS:
        return make_model(c)
    with torch.device("meta"):
        return make_model(c)


def build_model(c: Config, device: torch.device, bfloat16: bool) -> GPT:
    """Build, initialise and place a model.

    In bfloat16 tables are stored so; matrices and control tensors stay fp32.
    """
    model = make_model(c)
    if bfloat16:
        model.bfloat16()  # rounds every initial value, as in the challenge
        linear = {id(module.weight) for module in model.modules() if isinstance(module, Linear)}
        for name, parameter in model.named_parameters():
            if id(parameter) in linear or parameter.ndim < 2 or matches(name, c.control_names):
                parameter.data = parameter.data.float()
        model.rotary.fill(torch.bfloat16)
    return model.to(device)


def count_params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
