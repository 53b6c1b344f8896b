"""Each part against its definition written another way, its cost, and that training learns with it."""

from __future__ import annotations

import math

import pytest

from trainer.config import ConfigError, load_config

pytestmark = pytest.mark.slow

SMALL = {
    "MODEL_DIM": "32",
    "NUM_LAYERS": "4",
    "NUM_HEADS": "4",
    "NUM_KV_HEADS": "2",
    "VOCAB_SIZE": "64",
    "TRAIN_SEQ_LEN": "16",
    "DTYPE": "float32",
}
# knobs, and the parameters they add with C = 32, H = 4, L = 4
PARTS = {
    "leaky": ({"ACTIVATION": "leaky_relu2"}, 0),
    "gelu": ({"ACTIVATION": "gelu"}, 0),
    "rope": ({"ROPE_DIMS": "4"}, 0),
    "ln": ({"LN_SCALE": "1"}, 0),
    "xsa": ({"XSA_LAST_N": "2"}, 0),
    "gate": ({"GATED_ATTENTION": "1"}, 4 * (4 * 32 + 4)),
    "gate without bias": ({"GATED_ATTN_ENABLED": "1"}, 4 * 4 * 32),
    "values": ({"VALUE_RESIDUAL": "1"}, 3 * 2),
    "parallel": ({"PARALLEL_START_LAYER": "2"}, 0),
    "smear": ({"SMEAR_GATE_ENABLED": "1"}, 12 + 1),
    "bigram": ({"BIGRAM_VOCAB_SIZE": "100", "BIGRAM_DIM": "8"}, 100 * 8 + 8 * 32),
    "loops": (
        {"NUM_LOOPS": "2", "LOOP_START": "1", "LOOP_END": "2"},
        2 * 32,
    ),  # two skips more: 8 passes, not 4
    "mlp": ({"MLP_MULT": "2.5"}, 4 * 2 * 16 * 32),
}
EACH = pytest.mark.parametrize("part", PARTS)


def build(**knobs: str):
    """A model with every matrix random, so that each part has something to act on."""
    import torch

    from trainer.build import build_model

    torch.manual_seed(0)
    model = build_model(load_config(SMALL | knobs), torch.device("cpu"), bfloat16=False)
    for weight in (w for name, w in model.named_parameters() if w.ndim == 2 and "resid_mix" not in name):
        torch.nn.init.normal_(weight, std=0.2)
    return model


def ids(rows: int = 2, length: int = 16):
    import torch

    return torch.randint(2, 64, (rows, length), generator=torch.Generator().manual_seed(1))


def logits(model, x):
    """Final states, from which all logits follow."""
    import torch

    with torch.no_grad():
        return model.transform(model.embed(x))


@EACH
def test_a_part_costs_the_parameters_it_says(part):
    from trainer.build import count_params

    knobs, added = PARTS[part]

    assert count_params(build(**knobs)) - count_params(build()) == added


@EACH
def test_a_part_changes_the_model_and_never_looks_ahead(part):
    """Another last token changes no state before it."""
    knobs, _ = PARTS[part]
    model, x = build(**knobs), ids()
    nudge(model)
    other = x.clone()
    other[:, -1] = (x[:, -1] + 1) % 62 + 2
    before, after = logits(model, x), logits(model, other)

    assert (before[:, :-1] - after[:, :-1]).abs().max() < 1e-5
    assert (before[:, -1] - after[:, -1]).abs().max() > 1e-3


def nudge(model) -> None:
    """Give what begins at zero a value, as training does."""
    import torch

    with torch.no_grad():
        for name, p in model.named_parameters():
            if "smear" in name:
                p.fill_(0.7)


@EACH
def test_every_parameter_of_a_part_is_trained_by_one_optimizer_and_learns(part):
    import torch

    from trainer.optim import make_optimizers

    knobs, _ = PARTS[part]
    model, c = build(**knobs), load_config(SMALL | knobs)
    optimizers = make_optimizers(model, c, torch.device("cpu"))
    trained = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(2):
        model(ids()[:, :-1], ids()[:, 1:]).backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    assert sorted(trained) == sorted(id(p) for p in model.parameters())
    assert [name for name, p in model.named_parameters() if p.equal(before[name])] == []


@pytest.mark.parametrize("part", ["smear", "bigram"])
def test_training_begins_as_without_what_is_added_at_zero(part):
    """As built, before any matrix is made random."""
    import torch

    from trainer.build import build_model

    found = []
    for knobs in (PARTS[part][0], {}):
        torch.manual_seed(3)
        model = build_model(load_config(SMALL | knobs), torch.device("cpu"), bfloat16=False)
        found.append(model(ids()[:, :-1], ids()[:, 1:]).item())

    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_the_plain_model_has_nothing_at_its_hook_points():
    from trainer.model import after_attention, relu_squared, rms_norm

    model = build()

    assert (model.embedding_parts, model.layers) == ((), (0, 1, 2, 3))
    for block in model.blocks:
        assert (block.norm, block.mlp_input, block.mlp.activation) == (
            rms_norm,
            after_attention,
            relu_squared,
        )
        assert (block.attn.value_parts, block.attn.head_parts) == ((), ())


def test_the_activations_are_their_formulas():
    import torch

    from trainer.features.blocks import ACTIVATIONS

    x = torch.tensor([-2.0, 0.5])
    found = {name: activation(x).tolist() for name, activation in ACTIVATIONS.items()}

    assert found["leaky_relu2"] == [1.0, 0.25]
    assert found["relu2"] == [0.0, 0.25]
    # fp32 has 7 digits; without vector instructions torch's erf loses one more to cancellation.
    assert found["silu"] == pytest.approx([v / (1 + math.exp(-v)) for v in (-2.0, 0.5)], abs=1e-6)
    gelu = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in (-2.0, 0.5)]
    assert found["gelu"] == pytest.approx(gelu, abs=1e-6)


def test_partial_rotation_turns_the_first_dimensions_only_and_by_position():
    """Complex multiplication by e^(-i position angle), dimension pairs (0, 2), (1, 3); the rest as it was."""
    import torch

    from trainer.features.attention import PartialRotary

    x = torch.randn(1, 1, 5, 8)
    found = PartialRotary(4, 16, 100.0)(x)
    for position in range(5):
        for pair in (0, 1):
            angle = position * 100.0 ** (-2 * pair / 4)
            turned = complex(*x[0, 0, position, [pair, pair + 2]].tolist()) * complex(
                math.cos(angle), -math.sin(angle)
            )
            assert found[0, 0, position, [pair, pair + 2]].tolist() == pytest.approx(
                [turned.real, turned.imag], abs=1e-5
            )

    assert found[..., 4:].equal(x[..., 4:])


def test_exclusive_attention_is_orthogonal_to_the_own_value_and_else_unchanged():
    import torch

    from trainer.features.attention import exclude_self

    y, v = torch.randn(2, 4, 6, 8), torch.randn(2, 2, 6, 8)
    found = exclude_self(y, v)
    own = v.repeat_interleave(2, dim=1)  # heads 0 and 1 share the first value head

    assert (found * own).sum(-1).abs().max() < 1e-5
    taken = y - found
    assert (
        taken - (taken * own).sum(-1, keepdim=True) / own.square().sum(-1, keepdim=True) * own
    ).abs().max() < 1e-5


def test_gates_scale_each_head_by_its_sigmoid():
    import torch

    from trainer.features.attention import HeadGate

    gate = HeadGate(load_config(SMALL))
    y, x = torch.randn(1, 4, 3, 8), torch.randn(1, 3, 32)
    assert torch.allclose(gate(y, y, x), y / (1 + math.exp(-4)), atol=1e-6)  # as built: almost open

    torch.nn.init.normal_(gate.attn_gate)
    expected = 1 / (1 + math.exp(-float(gate.attn_gate[2].detach() @ x[0, 1]) - 4))
    assert torch.allclose(gate(y, y, x)[0, 2, 1], y[0, 2, 1] * expected, atol=1e-5)


def test_gates_without_a_bias_begin_half_open_and_a_little_apart():
    """GATED_ATTN_ENABLED in public scripts since 2026-04-19: sigmoid of N(0, 0.01) x."""
    import torch

    from trainer.build import make_model

    torch.manual_seed(0)
    model = make_model(load_config(SMALL | {"GATED_ATTN_ENABLED": "1"}))
    gates = [block.attn.gate for block in model.blocks]
    weights = torch.cat([gate.attn_gate.detach().flatten() for gate in gates])
    assert weights.std().item() == pytest.approx(0.01, rel=0.1)
    assert weights.mean().abs() < 0.002
    y, x = torch.randn(1, 4, 3, 8), torch.randn(1, 3, 32)
    share = gates[0](y, y, x) / y
    assert (share - 0.5).abs().max() < 0.1

    expected = 1 / (1 + math.exp(-float(gates[0].attn_gate[2].detach() @ x[0, 1])))
    assert torch.allclose(share[0, 2, 1], torch.full((8,), expected), atol=1e-5)
    wide = make_model(load_config(SMALL | {"GATED_ATTN_ENABLED": "1", "GATED_ATTN_INIT_STD": "0.5"}))
    assert wide.blocks[0].attn.gate.attn_gate.std().item() == pytest.approx(0.5, rel=0.2)


def test_later_layers_mix_in_the_first_ones_values():
    """With value_mix = (0, 1) a later layer's values do not matter; with (1, 0) it is the plain model."""
    import torch

    x = ids()
    plain, mixed = build(), build(VALUE_RESIDUAL="1")
    shared = mixed.state_dict() | plain.state_dict()
    for own, first in ((1.0, 0.0), (0.0, 1.0)):
        mixed.load_state_dict(
            {n: torch.tensor([own, first]) if "value_mix" in n else t for n, t in shared.items()}
        )
        same = logits(mixed, x)
        with torch.no_grad():
            mixed.blocks[2].attn.c_v.weight.add_(1.0)
        changed = logits(mixed, x)
        assert torch.allclose(same, changed) == (own == 0.0)
        if own == 1.0:
            assert torch.allclose(same, logits(plain, x), atol=1e-5)


def test_parallel_blocks_add_both_branches_of_one_input():
    import torch

    from trainer.model import rms_norm

    block = build(PARALLEL_START_LAYER="0").blocks[0]
    rotary = build().rotary
    x = torch.randn(2, 16, 32)

    assert torch.allclose(
        block(x, x, rotary), x + block.attn(rms_norm(x), rotary) + block.mlp(rms_norm(x)), atol=1e-5
    )


def test_norms_shrink_with_depth():
    import torch

    block = build(LN_SCALE="1").blocks[3]
    x = torch.randn(1, 4, 32)

    assert block.norm(x).square().mean().sqrt().item() == pytest.approx(0.5, rel=1e-3)


def test_smearing_adds_a_share_of_the_previous_token_but_not_into_a_new_document():
    import torch

    from trainer.features.tokens import BOS, SmearGate

    gate = SmearGate(load_config(SMALL))
    torch.nn.init.normal_(gate.smear_gate)
    torch.nn.init.constant_(gate.smear_scale, 0.7)
    x, tokens = torch.randn(1, 4, 32), torch.tensor([[5, 6, BOS, 7]])
    found = gate(x, tokens)

    assert found[:, [0, 2]].equal(x[:, [0, 2]])
    for at in (1, 3):
        share = 0.7 / (1 + math.exp(-float(gate.smear_gate.detach() @ x[0, at, :12])))
        assert torch.allclose(found[0, at], x[0, at] + share * x[0, at - 1], atol=1e-6)


@pytest.mark.parametrize("bigrams", [{}, {"BIGRAM_VOCAB_SIZE": "100", "BIGRAM_DIM": "8"}])
def test_a_smeared_embedding_is_normed_after_it(bigrams):
    """As in public scripts of 2026-04-27 and modded-nanogpt: the blocks get unit RMS at any scale."""
    import torch

    model, plain, x = build(SMEAR_GATE_ENABLED="1", **bigrams), build(**bigrams), ids()
    plain.load_state_dict({n: t for n, t in model.state_dict().items() if "smear" not in n})
    torch.nn.init.constant_(model.smear.smear_scale, 0.5)
    smeared = model.embed(x).detach()

    assert smeared.square().mean(-1).sqrt() == pytest.approx(1.0, abs=1e-4)
    rows = plain.tok_emb(x).detach()
    for part in plain.embedding_parts:
        rows = part(rows, x).detach()
    by_hand = rows.clone()
    by_hand[:, 1:] += 0.25 * rows[:, :-1]  # sigmoid(0) of the scale
    assert torch.allclose(smeared, torch.nn.functional.rms_norm(by_hand, (32,)), atol=1e-5)


def test_bigrams_share_a_bucket_only_by_their_pair():
    import torch

    from trainer.features.tokens import BigramHash

    table = BigramHash(load_config(SMALL | {"BIGRAM_VOCAB_SIZE": "5000"}))
    found = table.bucket_of(torch.tensor([[3, 7, 9, 3, 7], [8, 7, 3, 7, 9]]))

    assert (found[:, 0] == 4999).all()  # no pair
    assert found[0, 1] == found[0, 4] == found[1, 3]  # (3, 7) wherever it stands
    assert found[0, 1] != found[1, 1]  # (8, 7)
    assert (found[:, 1:] < 4999).all()


def test_looped_layers_are_passed_again_with_the_same_weights():
    """Layers 1 and 2 twice more: the same as a plain model of eight layers that holds copies of them."""
    import torch

    looped = build(NUM_LOOPS="2", LOOP_START="1", LOOP_END="2")
    assert looped.layers == (0, 1, 2, 1, 2, 1, 2, 3)
    unrolled = build(NUM_LAYERS="8")
    state = looped.state_dict()
    copied = {name: t for name, t in state.items() if not name.startswith("blocks.")}
    for place, layer in enumerate(looped.layers):
        copied |= {
            f"blocks.{place}.{name.split('.', 2)[2]}": t
            for name, t in state.items()
            if name.startswith(f"blocks.{layer}.")
        }
    unrolled.load_state_dict(copied)

    assert torch.allclose(logits(looped, ids()), logits(unrolled, ids()), atol=1e-5)


def test_looping_begins_at_its_share_of_the_training(trainer, tiny, tmp_path):
    knobs = {
        "NUM_LOOPS": "1",
        "LOOP_START": "0",
        "LOOP_END": "1",
        "ENABLE_LOOPING_AT": "0.5",
        "ITERATIONS": "8",
    }
    done = trainer(tiny | knobs, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    assert "layer_loop:enabled step:4 frac:0.500 layers:4" in done.stdout


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"ROPE_DIMS": "3"}, "ROPE_DIMS=3"),
        ({"ROPE_DIMS": "66"}, "ROPE_DIMS=66"),
        ({"XSA_LAST_N": "10"}, "XSA_LAST_N=10"),
        ({"PARALLEL_START_LAYER": "9"}, "PARALLEL_START_LAYER=9"),
        ({"NUM_LOOPS": "1", "LOOP_START": "6"}, "LOOP_START=6 to LOOP_END=5"),
        ({"NUM_LOOPS": "1", "LOOP_END": "9"}, "LOOP_END=9"),
        ({"BIGRAM_VOCAB_SIZE": "1"}, "BIGRAM_VOCAB_SIZE=1"),
        ({"MLP_MULT": "0.01", "MODEL_DIM": "16", "NUM_HEADS": "2", "NUM_KV_HEADS": "1"}, "MLP_MULT=0.01"),
        ({"VALUE_RESIDUAL": "1", "NUM_LAYERS": "1"}, "VALUE_RESIDUAL=true"),
        ({"GATED_ATTENTION": "1", "GATED_ATTN_ENABLED": "1"}, "are two gates of one output"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(env, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(env).check()

    assert caught.value.hint


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_all_parts_together_train_pack_and_score(trainer, tiny, tmp_path, dtype):
    everything = {
        "ACTIVATION": "leaky_relu2",
        "ROPE_DIMS": "8",
        "LN_SCALE": "1",
        "XSA_LAST_N": "1",
        "GATED_ATTENTION": "1",
        "VALUE_RESIDUAL": "1",
        "PARALLEL_START_LAYER": "1",
        "SMEAR_GATE_ENABLED": "1",
        "BIGRAM_VOCAB_SIZE": "1024",
        "BIGRAM_DIM": "32",
        "NUM_LOOPS": "1",
        "LOOP_START": "1",
        "LOOP_END": "1",
        "MLP_MULT": "2.5",
        "DTYPE": dtype,
        "EVAL_STRIDE": "128",  # side by side: a processor that emulates bfloat16 needs its time for less
        "VAL_LOSS_EVERY": "0",
        "EMA_DECAY": "0.5",
        "ITERATIONS": "6",
        "WARMUP_STEPS": "1",
    }
    import json

    done = trainer(tiny | everything, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    losses = [score["val_loss"] for score in result["scores"]]
    assert len(losses) == 3
    assert all(loss < 6.5 for loss in losses)  # ln(1024) = 6.93 at the start
    assert result["config"]["MLP_MULT"] == "2.5"
