"""Weights to bytes and back, and every way in which the bytes can be wrong."""

from __future__ import annotations

import contextlib
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


def encoded(state, fp16_embed=False, **knobs: str) -> bytes:
    from trainer.artifact import encode, pack

    c = load_config(knobs | {"FP16_EMBED": str(fp16_embed)})
    return encode(pack(state, c), c.compressor)


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

    from trainer.quantize import dequantize_tensor, quantize_tensor

    weights = torch.randn(8, 64, generator=torch.Generator().manual_seed(seed)) * size
    q, scale = quantize_tensor(weights)
    error = (dequantize_tensor(q, scale, torch.float32) - weights).abs()
    clipped = weights.abs() - weights.abs().quantile(0.9999984, dim=1, keepdim=True).clamp_min(0)
    step = scale.float()[:, None]

    # half a step, what the clip took off, and the scale's own rounding to fp16 over 127 steps
    assert (error <= 0.5 * step + clipped.clamp_min(0) + 127 * step * 2**-10).all()


def test_a_one_dimensional_giant_is_quantized_as_a_whole():
    import torch

    from trainer.quantize import dequantize_tensor, quantize_tensor

    weights = torch.linspace(-2, 2, 70_000)
    q, scale = quantize_tensor(weights)

    assert scale.ndim == 0
    assert (dequantize_tensor(q, scale, torch.float32) - weights).abs().max() < 2 / 127


@pytest.mark.parametrize("columns", [1, 2, 3, 64, 512, 1536, 700_000])
@pytest.mark.parametrize("seed", range(3))
def test_the_clip_is_torchs_quantile_bit_for_bit(columns, seed):
    import torch

    from trainer.quantize import CLIP_QUANTILE, clip_rank, largest_quantile

    rows = torch.randn(3, columns, generator=torch.Generator().manual_seed(seed)).abs()

    assert largest_quantile(rows, clip_rank(columns)).equal(torch.quantile(rows, CLIP_QUANTILE, dim=1))


@pytest.mark.parametrize("bits", [4, 5, 6, 7, 8])
def test_fewer_bits_keep_fewer_values_and_err_by_half_a_step(bits):
    import torch

    from trainer.quantize import dequantize_tensor, quantize_tensor

    weights = torch.randn(40, 300, generator=torch.Generator().manual_seed(bits)) * 0.05
    q, scale = quantize_tensor(weights, bits, search=bits == 8)
    error = (dequantize_tensor(q, scale, torch.float32) - weights).abs()
    clip = scale.float()[:, None] * (2 ** (bits - 1) - 1)

    assert q.abs().max() <= 2 ** (bits - 1) - 1
    assert (error <= 0.5001 * scale.float()[:, None] + (weights.abs() - clip).clamp_min(0)).all()


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_a_searched_clip_never_errs_more_and_finds_the_best_of_all(bits):
    """Against a search of its own over many more clips, row by row, in numpy."""
    import numpy as np
    import torch

    from trainer.quantize import dequantize_tensor, quantize_tensor

    weights = torch.distributions.StudentT(4.0).sample((6, 256)) * 0.02

    def errors(search: bool) -> np.ndarray:
        q, scale = quantize_tensor(weights, bits, search)
        return (dequantize_tensor(q, scale, torch.float32) - weights).double().square().sum(1).numpy()

    most = 2 ** (bits - 1) - 1
    best = []
    for row in weights.double().numpy():
        steps = np.linspace(0.3, 1.0, 400) * np.abs(row).max() / most
        best.append(min(((np.clip(np.round(row / s), -most, most) * s - row) ** 2).sum() for s in steps))
    found = errors(search=True)

    assert (found <= errors(search=False) * (1 + 1e-9)).all()
    assert (found <= np.array(best) * 1.15).all()


def test_bits_are_set_by_group(state):
    from trainer.artifact import pack

    packed = pack(state, load_config({"EMBED_BITS": "7", "MATRIX_BITS": "4"})).tensors

    assert packed["blocks.0.mlp.fc.weight.int8"].abs().max() == 7
    assert 7 < packed["tok_emb.weight.int8"].abs().max() <= 63
    assert "blocks.0.attn.c_k.weight" in packed


def test_smaller_tensors_are_quantized_too_when_asked(state):
    from trainer.artifact import pack

    assert (
        "blocks.0.attn.c_k.weight.int8"
        in pack(state, load_config({"INT8_KEEP_FLOAT_MAX_NUMEL": "1000"})).tensors
    )


def test_four_bits_take_about_half_the_bytes_of_eight(state):
    """Gaussian weights: entropy falls by a bit for each bit; the scales and the small tensors stay."""
    whole = len(encoded(state, QUANT_CLIP="search"))
    half = len(encoded(state, EMBED_BITS="4", MATRIX_BITS="4", QUANT_CLIP="search"))

    assert 0.4 < half / whole < 0.65


CODECS = ["zlib", "zstd", "lzma", "brotli"]


def refusal(blob: bytes, codec: str = "zlib") -> str:
    from trainer.artifact import decode, unpack
    from trainer.errors import ArtifactError

    with pytest.raises(ArtifactError) as caught:
        unpack(decode(blob, f"model.{codec}", codec))
    return caught.value.message


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_gives_back_what_was_packed(state, codec):
    from trainer.artifact import decode, pack

    packed = pack(state, load_config({}))
    back = decode(encoded(state, COMPRESSOR=codec), codec=codec)

    assert back.dtypes == packed.dtypes
    assert all(back.tensors[name].equal(t) for name, t in packed.tensors.items())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_artifact_says_so(state, share, codec):
    blob = encoded(state, COMPRESSOR=codec)

    assert "truncated" in refusal(blob[: int(len(blob) * share)], codec)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("place", [0, 20, 1000, -3])
def test_a_flipped_byte_never_loads_unnoticed(state, place, codec):
    """A codec without a checksum may give back other weights, but then the container or the model differs."""
    from trainer.artifact import decode
    from trainer.errors import ArtifactError

    blob = bytearray(encoded(state, COMPRESSOR=codec))
    blob[place] ^= 0xFF
    if codec in ("zlib", "lzma"):
        assert f"model.{codec}" in refusal(bytes(blob), codec)
        return
    with contextlib.suppress(ArtifactError):  # no other exception; the run's own sha256 tells the rest
        decode(bytes(blob), codec=codec)


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_after_the_end_are_noticed(state, codec):
    said = refusal(encoded(state, COMPRESSOR=codec) + b"more", codec)

    assert "after its end" in said or codec == "brotli"


def test_rubbish_is_corrupt_for_every_codec():
    for codec in CODECS:
        assert refusal(b"this is no compressed model at all" * 9, codec)


def test_a_codec_that_is_not_installed_is_named_with_what_to_type(monkeypatch):
    from trainer.codec import require_codec
    from trainer.errors import ConfigError

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="COMPRESSOR=zstd") as caught:
        require_codec("zstd")

    assert caught.value.hint == "pip install zstandard"
    require_codec("lzma")


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

    from trainer.build import build_model
    from trainer.config import load_config

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
