"""Weights to bytes and back, and every way in which the bytes can be wrong."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import load_config

pytestmark = pytest.mark.slow


@pytest.fixture
def state():
    """A matrix large enough to be quantized, a small one, a control tensor, an embedding in bfloat16."""
    import torch

    torch.manual_seed(0)
    return {
        "tok_emb.weight": torch.randn(300, 256).bfloat16(),
        "blocks.0.mlp.fc.weight": torch.randn(512, 256) * 0.3,
        "blocks.0.attn.c_k.weight": torch.randn(32, 64),
        "blocks.0.resid_mix": torch.randn(2, 64),
    }


def encoded(state, fp16_embed=False) -> bytes:
    from trainer.artifact import encode, pack

    return encode(pack(state, load_config({"FP16_EMBED": str(fp16_embed)})))


def test_the_same_weights_give_the_same_bytes(state):
    assert len({encoded(state) for _ in range(10)}) == 1


def test_weights_come_back_near_and_in_their_types(state):
    from trainer.artifact import decode, unpack

    back = unpack(decode(encoded(state)))

    assert {name: t.dtype for name, t in back.items()} == {name: t.dtype for name, t in state.items()}
    for name, step in {"tok_emb.weight": 0.05, "blocks.0.mlp.fc.weight": 0.02}.items():
        assert (back[name].float() - state[name].float()).abs().max() < step
    assert (back["blocks.0.attn.c_k.weight"] - state["blocks.0.attn.c_k.weight"]).abs().max() < 2e-3
    assert back["blocks.0.resid_mix"].equal(state["blocks.0.resid_mix"])  # fp32, bit for bit


def test_fp16_embed_keeps_the_embedding(state):
    from trainer.artifact import decode, unpack

    back = unpack(decode(encoded(state, fp16_embed=True)))

    # bfloat16 values of this size are fp16 values but for the last few subnormals
    assert (back["tok_emb.weight"].float() - state["tok_emb.weight"].float()).abs().max() < 1e-6
    assert len(encoded(state, fp16_embed=True)) > len(encoded(state))


def test_what_is_read_back_packs_to_the_same_values(state):
    """The round trip is stable: a second one changes nothing that is int8."""
    from trainer.artifact import decode, pack, unpack

    first = decode(encoded(state))
    again = pack(unpack(first), load_config({}))

    assert again.tensors["blocks.0.mlp.fc.weight.int8"].equal(first.tensors["blocks.0.mlp.fc.weight.int8"])


@given(st.integers(0, 2**31), st.floats(1e-4, 1e3))
@settings(max_examples=40, deadline=None)
def test_quantizing_is_off_by_half_a_step_at_most(seed, size):
    import torch

    from trainer.artifact import dequantize_tensor, quantize_tensor

    weights = torch.randn(8, 64, generator=torch.Generator().manual_seed(seed)) * size
    q, scale = quantize_tensor(weights)
    error = (dequantize_tensor(q, scale, torch.float32) - weights).abs()
    clipped = weights.abs() - weights.abs().quantile(0.9999984, dim=1, keepdim=True).clamp_min(0)
    step = scale.float()[:, None]

    # half a step, what the clip took off, and the scale's own rounding to fp16 over 127 steps
    assert (error <= 0.5 * step + clipped.clamp_min(0) + 127 * step * 2**-10).all()


def test_a_one_dimensional_giant_is_quantized_as_a_whole():
    import torch

    from trainer.artifact import dequantize_tensor, quantize_tensor

    weights = torch.linspace(-2, 2, 70_000)
    q, scale = quantize_tensor(weights)

    assert scale.ndim == 0
    assert (dequantize_tensor(q, scale, torch.float32) - weights).abs().max() < 2 / 127


def refusal(blob: bytes) -> str:
    from trainer.artifact import decode, unpack
    from trainer.errors import ArtifactError

    with pytest.raises(ArtifactError) as caught:
        unpack(decode(blob, "model.zlib"))
    return caught.value.message


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_artifact_says_so(state, share):
    blob = encoded(state)

    assert "truncated" in refusal(blob[: int(len(blob) * share)])


@pytest.mark.parametrize("place", [0, 20, 1000, -3])
def test_a_flipped_byte_is_noticed(state, place):
    blob = bytearray(encoded(state))
    blob[place] ^= 0xFF

    assert "model.zlib" in refusal(bytes(blob))


def test_bytes_after_the_end_are_noticed(state):
    assert "after its end" in refusal(encoded(state) + b"more")


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"{}", (2**62).to_bytes(8, "little") + b"{}"])
def test_compressed_rubbish_is_no_model(content):
    assert "not a packed model" in refusal(zlib.compress(content))


def with_metadata(state, **changes) -> bytes:
    """The artifact of `state` with other facts about itself."""
    from safetensors.torch import load, save

    raw = zlib.decompress(encoded(state))
    length = int.from_bytes(raw[:8], "little")
    ((key, text),) = json.loads(raw[8 : 8 + length])["__metadata__"].items()
    return zlib.compress(save(load(raw), {key: json.dumps(json.loads(text) | changes)}), 9)


@pytest.mark.parametrize("changes", [{"version": 2}, {"version": "1.5"}, {"format": "other"}])
def test_another_version_is_refused_by_name(state, changes):
    assert str(next(iter(changes.values()))) in refusal(with_metadata(state, **changes))


def test_a_type_that_is_none_is_refused(state):
    dtypes = dict.fromkeys(state, "os.system")

    assert "os.system" in refusal(with_metadata(state, dtypes=dtypes))


@pytest.mark.parametrize("dtypes", [{}, None, {"tok_emb.weight": 3}])
def test_damaged_metadata_is_refused(state, dtypes):
    assert refusal(with_metadata(state, dtypes=dtypes))


@pytest.fixture
def model(tiny):
    import torch

    from trainer.config import load_config
    from trainer.model import build_model

    torch.manual_seed(0)
    return build_model(load_config(tiny), torch.device("cpu"), bfloat16=False)


def test_an_artifact_of_another_shape_names_the_tensor(model):
    from trainer.artifact import load_into, pack
    from trainer.errors import ArtifactError

    state = model.state_dict()
    state["blocks.0.attn.c_k.weight"] = state["blocks.0.attn.c_k.weight"][:, :32]

    with pytest.raises(ArtifactError, match=r"blocks\.0\.attn\.c_k\.weight"):
        load_into(model, pack(state, load_config({})))


def test_an_artifact_that_lacks_a_tensor_names_it(model):
    from trainer.artifact import load_into, pack
    from trainer.errors import ArtifactError

    state = {name: t for name, t in model.state_dict().items() if name != "skip_weights"}

    with pytest.raises(ArtifactError, match="skip_weights"):
        load_into(model, pack(state, load_config({})))


def test_no_code_in_an_artifact_is_run(tmp_path):
    """A pickle that would leave a file behind is refused and leaves none."""
    import pickle

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "trapped"), "w"))

    refusal(zlib.compress(pickle.dumps(Trap())))

    assert not (tmp_path / "trapped").exists()


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path, state):
    from trainer.artifact import load_checkpoint, save_checkpoint

    save_checkpoint(tmp_path / "c", state, {"step": 7, "train_ms": 0.1})
    tensors, meta = load_checkpoint(tmp_path / "c")

    assert all(tensors[name].equal(t) and tensors[name].dtype == t.dtype for name, t in state.items())
    assert meta == {"step": 7, "train_ms": 0.1}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("size", [0, 5, 200, -1])
def test_a_torn_checkpoint_is_an_error_with_a_hint(tmp_path, state, size):
    from trainer.artifact import load_checkpoint, save_checkpoint
    from trainer.errors import CheckpointError

    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, state, {"step": 7})
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors") as caught:
        load_checkpoint(path)
    assert caught.value.hint


def test_a_flipped_byte_in_a_checkpoint_is_noticed(tmp_path, state):
    from trainer.artifact import load_checkpoint, save_checkpoint
    from trainer.errors import CheckpointError

    path = tmp_path / "c"
    save_checkpoint(path, state, {"step": 7})
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)

    with pytest.raises(CheckpointError):
        load_checkpoint(path)
