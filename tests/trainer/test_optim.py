"""Muon and the schedules against references written another way."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.slow


def config(**knobs):
    from trainer.config import load_config

    return load_config({name.upper(): str(value) for name, value in knobs.items()})


@pytest.mark.parametrize("shape", [(64, 16), (16, 64), (32, 64)])
def test_orthogonalising_keeps_directions_and_evens_out_sizes(shape):
    """Against the exact answer, U V^T; square ones may keep a tiny singular value tiny."""
    import torch

    from trainer.optim import orthogonalise

    g = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    found = orthogonalise(g, 5, torch.float32)
    u, _, vt = torch.linalg.svd(g, full_matrices=False)
    along = torch.diagonal(u.T @ found @ vt.T)  # the sizes left over in g's own directions
    across = u.T @ found @ vt.T - torch.diag(along)

    assert along.min() > 0.6
    assert along.max() < 1.3
    assert across.abs().max() < 1e-3


def test_a_batch_is_orthogonalised_matrix_by_matrix():
    import torch

    from trainer.optim import orthogonalise

    g = torch.randn(3, 24, 40, generator=torch.Generator().manual_seed(0))
    together = orthogonalise(g, 5, torch.float32)

    for one, many in zip(g, together, strict=True):
        assert torch.allclose(orthogonalise(one, 5, torch.float32), many, atol=1e-5)


def test_a_gradient_of_zeros_moves_nothing():
    import torch

    from trainer.optim import orthogonalise

    assert orthogonalise(torch.zeros(8, 8), 5).abs().max() == 0


def muon(params, **knobs):
    from trainer.optim import Muon

    c = config(matrix_lr=0.1, muon_momentum=0.9, muon_backend_steps=5, muon_dtype="float32", **knobs)
    return Muon(params, c)


def test_adams_decay_reaches_every_adam_and_never_muon():
    import torch

    from trainer.model import GPT
    from trainer.optim import Muon, make_optimizers

    c = config(adam_wd=0.3, tie_embeddings="no", num_layers=2, model_dim=32, num_heads=4, num_kv_heads=1)
    for optimizer in make_optimizers(GPT(c), c, torch.device("cpu")):
        decays = {group.get("weight_decay") for group in optimizer.param_groups}
        assert decays == ({None} if isinstance(optimizer, Muon) else {0.3})


@pytest.mark.parametrize("tied", ["1", "0"])
def test_embeddings_have_a_decay_of_their_own_where_it_is_set(tied):
    """Public scripts since 2026-04-01: EMBED_WD for the embedding, ADAM_WD for scalars."""
    import torch

    from trainer.build import make_model
    from trainer.optim import Muon, make_optimizers

    c = config(adam_wd=0.02, embed_wd=0.085, bigram_vocab_size=64, tie_embeddings=tied, model_dim=32)
    model = make_model(c)
    tables = {model.tok_emb.weight, model.bigram.emb.weight}
    decays = {
        p: group["weight_decay"]
        for one in make_optimizers(model, c, torch.device("cpu"))
        if not isinstance(one, Muon)
        for group in one.param_groups
        for p in group["params"]
    }

    assert {decays[table] for table in tables} == {0.085}
    assert {decay for p, decay in decays.items() if p not in tables} == {0.02}


def test_a_share_of_the_run_decays_as_that_many_steps_would():
    from trainer.schedule import lr_scale

    by_share = config(iterations=40, warmdown_frac=0.25, max_wallclock_seconds=0)
    by_steps = config(iterations=40, warmdown_iters=10, max_wallclock_seconds=0)

    assert [lr_scale(by_share, step, 0.0) for step in range(41)] == pytest.approx(
        [lr_scale(by_steps, step, 0.0) for step in range(41)]
    )


def test_under_a_cap_a_share_of_the_time_decays():
    from trainer.schedule import lr_scale

    c = config(iterations=10**6, warmdown_frac=0.5, max_wallclock_seconds=10)

    assert [lr_scale(c, 100, ms) for ms in (4000.0, 7500.0, 10_000.0)] == pytest.approx([1, 0.5, 0])
    assert lr_scale(c, 900_000, 0.0) == pytest.approx(0.2)  # the steps are further on than the time


@given(st.integers(0, 400), st.floats(0, 1), st.booleans())
def test_the_learning_rate_never_falls_below_its_floor(step, floor, by_share):
    from trainer.schedule import lr_scale

    way = {"warmdown_frac": 1.0} if by_share else {"warmdown_iters": 300}
    c = config(iterations=300, max_wallclock_seconds=0, min_lr=floor, **way)

    assert lr_scale(c, step, 0.0) >= floor
    assert lr_scale(c, 0, 0.0) == 1


def test_muon_follows_its_definition():
    """Two steps of buffer = m * buffer + g; update = NS(g + m * buffer) * sqrt(max(1, rows / columns))."""
    import torch

    from trainer.optim import orthogonalise

    torch.manual_seed(1)
    start, grads = torch.randn(40, 10), [torch.randn(40, 10) for _ in range(2)]
    param = torch.nn.Parameter(start.clone())
    optimizer = muon([param])
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()

    expected, buffer = start.clone(), torch.zeros(40, 10)
    for grad in grads:
        buffer = 0.9 * buffer + grad
        expected -= 0.1 * 2.0 * orthogonalise(grad + 0.9 * buffer, 5, torch.float32)
    assert torch.allclose(param, expected, atol=1e-5)


def test_matrices_stepped_together_move_as_each_alone():
    """Those of one shape are orthogonalised in one batch, which must change nothing."""
    import torch

    torch.manual_seed(2)
    shapes = [(16, 16), (32, 16), (16, 16), (16, 32)]
    values, grads = [torch.randn(s) for s in shapes], [torch.randn(s) for s in shapes]
    together = [torch.nn.Parameter(v.clone()) for v in values]
    alone = [torch.nn.Parameter(v.clone()) for v in values]
    for params in (together, alone):
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad.clone()
    muon(together).step()
    for param in alone:
        muon([param]).step()

    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(together, alone, strict=True))


@pytest.mark.parametrize("tied", ["true", "false"])
def test_every_parameter_is_trained_by_exactly_one_optimizer(tied):
    import torch

    from trainer.model import GPT
    from trainer.optim import Muon, make_optimizers

    c = config(tie_embeddings=tied, num_layers=3, model_dim=32, num_heads=4, num_kv_heads=1)
    model = GPT(c)
    optimizers = make_optimizers(model, c, torch.device("cpu"))
    trained = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    by_muon = {
        id(p) for o in optimizers if isinstance(o, Muon) for group in o.param_groups for p in group["params"]
    }

    assert sorted(trained) == sorted(id(p) for p in model.parameters())
    assert {name for name, p in model.named_parameters() if id(p) in by_muon} == {
        f"blocks.{i}.{part}.weight"
        for i, part in itertools.product(
            range(3), ("attn.c_q", "attn.c_k", "attn.c_v", "attn.proj", "mlp.fc", "mlp.proj")
        )
    }


def test_one_layer_has_no_skip_weights_and_still_trains():
    import torch

    from trainer.model import GPT
    from trainer.optim import make_optimizers

    c = config(num_layers=1, model_dim=32, num_heads=4, num_kv_heads=2, train_seq_len=16)
    model = GPT(c)
    ids = torch.arange(33) % 7
    model(ids[:-1].view(2, 16), ids[1:].view(2, 16)).backward()
    for optimizer in make_optimizers(model, c, torch.device("cpu")):
        optimizer.step()

    assert all(p.isfinite().all() for p in model.parameters())


def test_the_learning_rate_falls_over_the_last_steps():
    from trainer.schedule import lr_scale

    c = config(iterations=30, warmdown_iters=10, max_wallclock_seconds=0)

    assert [lr_scale(c, step, 0.0) for step in (0, 19, 20, 21, 29)] == [1, 1, 1, 0.9, 0.1]


def test_under_a_cap_the_learning_rate_falls_with_the_time_left():
    """100 ms a step: the last 10 steps' worth of time, 1 s of 10, is the decay."""
    from trainer.schedule import lr_scale

    c = config(iterations=10**6, warmdown_iters=10, max_wallclock_seconds=10)

    assert lr_scale(c, 80, 8000.0) == 1
    assert lr_scale(c, 95, 9500.0) == pytest.approx(0.5)
    assert lr_scale(c, 101, 10_100.0) == 0


def test_no_warmdown_means_full_rate_to_the_end():
    from trainer.schedule import lr_scale

    assert lr_scale(config(iterations=5, warmdown_iters=0, max_wallclock_seconds=0), 4, 0.0) == 1


@given(st.integers(0, 400), st.integers(0, 500), st.integers(1, 300))
def test_the_learning_rate_never_rises_nor_reaches_zero_before_the_end(step, warmdown, iterations):
    from trainer.schedule import lr_scale

    c = config(iterations=iterations, warmdown_iters=warmdown, max_wallclock_seconds=0)
    now, later = lr_scale(c, step, 0.0), lr_scale(c, step + 1, 0.0)

    assert 0 <= later <= now
    assert now > 0 or step >= iterations


def test_momentum_ramps_by_step_and_stays():
    from trainer.schedule import muon_momentum

    c = config(muon_momentum=0.95, muon_momentum_warmup_start=0.85, muon_momentum_warmup_steps=10)

    assert [muon_momentum(c, step) for step in (0, 5, 10, 999)] == pytest.approx([0.85, 0.90, 0.95, 0.95])
    assert muon_momentum(config(muon_momentum_warmup_steps=0), 0) == 0.95
