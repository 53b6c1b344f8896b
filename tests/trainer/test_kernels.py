"""The faster forms against the plain ones: values and gradients, by autograd in float64 and float32."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("length", [1, 64, 256, 300, 700])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_blocked_attention_and_its_gradients_are_those_of_attention(length, kv_heads):
    import torch

    from trainer.kernels import blocked_attention
    from trainer.model import causal_attention

    torch.manual_seed(length)
    q = torch.randn(2, 4, length, 8, dtype=torch.float64)
    k, v = (torch.randn(2, kv_heads, length, 8, dtype=torch.float64) for _ in range(2))
    wanted = torch.randn(2, 4, length, 8, dtype=torch.float64)
    found = {}
    for form in (blocked_attention, causal_attention):
        inputs = [t.clone().requires_grad_() for t in (q, k, v)]
        out = form(*inputs)
        (out * wanted).sum().backward()
        found[form] = [out.detach(), *(t.grad for t in inputs)]

    for mine, theirs in zip(found[blocked_attention], found[causal_attention], strict=True):
        assert torch.allclose(mine, theirs, atol=1e-10)


def test_blocked_attention_reads_tensors_that_are_not_contiguous():
    import torch

    from trainer.kernels import blocked_attention
    from trainer.model import causal_attention

    q, k, v = (torch.randn(2, 40, 4, 8).transpose(1, 2) for _ in range(3))

    assert torch.allclose(blocked_attention(q, k, v), causal_attention(q, k, v), atol=1e-5)


def plain_loss(x, head, targets, cap, reduction):
    import torch
    import torch.nn.functional as F

    return F.cross_entropy(cap * torch.tanh(x @ head.T / cap), targets, reduction=reduction)


@pytest.mark.parametrize("rows", [1, 128, 300])
@pytest.mark.parametrize("cap", [5.0, 30.0, 80.0])
def test_the_fused_loss_and_its_gradients_are_those_of_the_plain_one(rows, cap):
    import torch

    from trainer.kernels import capped_loss

    torch.manual_seed(rows)
    x, head = torch.randn(rows, 16) * 3, torch.randn(50, 16) * 3
    targets = torch.randint(0, 50, (rows,))
    found = {}
    for form in (capped_loss, plain_loss):
        inputs = [t.clone().requires_grad_() for t in (x, head)]
        loss = form(*inputs, targets, cap, "mean")
        (3 * loss).backward()
        found[form] = [loss.detach(), *(t.grad for t in inputs)]

    for mine, theirs in zip(found[capped_loss], found[plain_loss], strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5, rtol=1e-4)


def test_the_fused_loss_of_every_row_is_that_of_the_plain_one():
    import torch

    from trainer.kernels import capped_loss

    torch.manual_seed(0)
    x, head, targets = torch.randn(300, 16), torch.randn(50, 16), torch.randint(0, 50, (300,))

    assert torch.allclose(
        capped_loss(x, head, targets, 30.0, "none"), plain_loss(x, head, targets, 30.0, "none"), atol=1e-5
    )


def test_all_of_it_together_trains_as_the_challenges_form_does(tiny, tmp_path):
    """In float32 the same losses at every step, to the last digits."""
    from trainer.config import load_config
    from trainer.setup import prepare
    from trainer.train import Observer, train

    losses: dict[str, list[float]] = {}
    for form in ("sdpa", "blocked"):
        knobs = {"ATTENTION": form, "FUSED_CE_ENABLED": str(form == "blocked"), "MUON_DTYPE": "float32"}
        seen = losses[form] = []
        (tmp_path / form).mkdir()
        observer = Observer(on_step=lambda report, seen=seen: seen.append(report.train_loss))
        train(prepare(load_config(tiny | knobs)), tmp_path / form, observer=observer)

    assert losses["blocked"] == pytest.approx(losses["sdpa"], abs=2e-5)
