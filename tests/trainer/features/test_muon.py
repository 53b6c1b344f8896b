"""Variants of Muon: what their coefficients, rows and decay do to an update."""

from __future__ import annotations

import pytest

from trainer.config import load_config

pytestmark = pytest.mark.slow


def muon(params, **knobs):
    """Muon in fp32, with whatever the knobs of a feature change in it."""
    from trainer.features import load
    from trainer.optim import Muon

    fixed = {"matrix_lr": 0.1, "muon_momentum": 0.9, "muon_backend_steps": 5, "muon_dtype": "float32"}
    c = load_config({name.upper(): str(value) for name, value in (fixed | knobs).items()})
    optimizer = Muon(params, c)
    for feature in load(c):
        feature.extend_optimizers([optimizer])
    return optimizer


def test_polar_express_comes_closer_to_the_nearest_orthogonal_matrix():
    """Against U V^T from the singular values, on a matrix of a wide spectrum."""
    import torch

    from trainer.features.muon import POLAR_EXPRESS
    from trainer.optim import JORDAN, orthogonalise

    torch.manual_seed(4)
    u, _ = torch.linalg.qr(torch.randn(48, 48))
    v, _ = torch.linalg.qr(torch.randn(48, 48))
    g = u @ torch.diag(torch.logspace(0, -2.3, 48)) @ v.T
    off = {
        name: (orthogonalise(g, steps, torch.float32, which) - u @ v.T).norm().item()
        for name, which, steps in (
            ("jordan", JORDAN, 5),
            ("five", POLAR_EXPRESS, 5),
            ("eight", POLAR_EXPRESS, 8),
        )
    }

    assert off["five"] < 0.6 * off["jordan"]
    assert off["eight"] < 1e-2


def test_the_polynomials_of_polar_express_follow_each_other():
    """The law of the method: from 1e-3 on, five of them bring every singular value to 1 within 16 %."""
    import numpy as np

    from trainer.features.muon import POLAR_EXPRESS

    x = np.geomspace(1e-3, 1, 20_001)
    spread = []
    for a, b, c in (*POLAR_EXPRESS, POLAR_EXPRESS[-1]):
        x = a * x + b * x**3 + c * x**5
        spread.append(np.abs(x - 1).max())

    assert spread[4] < 0.16
    assert spread[-1] < 1e-6
    assert spread == sorted(spread, reverse=True)


def test_rows_of_any_length_move_a_row_normalised_matrix_alike():
    import torch

    torch.manual_seed(5)
    grad, moved = torch.randn(8, 32), []
    for lengths in (torch.ones(8, 1), torch.logspace(-2, 2, 8)[:, None]):
        param = torch.nn.Parameter(torch.zeros(8, 32))
        param.grad = grad * lengths
        muon([param], muon_row_normalize=True).step()
        moved.append(param.detach())

    assert torch.allclose(moved[0], moved[1], atol=1e-4)


def test_weight_decay_is_decoupled_from_the_gradient():
    """p shrinks by 1 - lr * decay and then moves as without decay."""
    import torch

    torch.manual_seed(6)
    start, grad = torch.randn(16, 16), torch.randn(16, 16)
    moved = {}
    for decay in (0.0, 0.5):
        param = torch.nn.Parameter(start.clone())
        param.grad = grad.clone()
        muon([param], muon_wd=decay).step()
        moved[decay] = param.detach() - start

    assert torch.allclose(moved[0.5], moved[0.0] - 0.1 * 0.5 * start, atol=1e-6)
