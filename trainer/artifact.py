"""Weights to bytes and back: small integers with scales, safetensors inside a codec.

Nothing here executes what it reads. The artifact states its format and version; the same weights give the
same bytes. Quantizer source: the challenge's train_gpt.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from trainer.codec import compress, decompress
from trainer.config import Config
from trainer.errors import ArtifactError
from trainer.hooks import Rounding
from trainer.model import matches
from trainer.quantize import dequantize_tensor, quantize_tensor

FORMAT = "pg-artifact"
VERSION = 1
META = "pg"  # one metadata key only: several come out in random order, and bytes must repeat


@dataclass(frozen=True)
class Packed:
    """A model as tensors to store. payload_bytes: before compression, as the challenge counts it."""

    tensors: dict[str, Tensor]
    dtypes: dict[str, str]  # what each quantized or cast tensor was, and becomes again

    @property
    def payload_bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


def model_file(c: Config) -> str:
    return f"model.{c.compressor}"


def format_name(c: Config) -> str:
    """How the log names the artifact's form: `int8+zlib`, as the challenge does."""
    return f"int{c.matrix_bits}+{c.compressor}"


def pack(state: dict[str, Tensor], c: Config, rounding: Mapping[str, Rounding] | None = None) -> Packed:
    """Turn weights into what is stored: large floats int8, small ones fp16, control tensors fp32.

    rounding: for the matrices that a feature rounds in its own way, by name.
    """
    tensors: dict[str, Tensor] = {}
    dtypes: dict[str, str] = {}
    for name, value in state.items():
        # Contiguous: safetensors stores memory as it lies.
        t = value.detach().cpu().contiguous()
        dtype = str(t.dtype).removeprefix("torch.")
        if not t.is_floating_point():
            tensors[name] = t
        elif is_quantized(name, t, c):
            if rounding and name in rounding:
                q, scale = rounding[name](t)
            else:
                q, scale = quantize_tensor(t, bits_of(name, c), c.quant_clip == "search")
            tensors[f"{name}.int8"], tensors[f"{name}.scale"] = q, scale
            dtypes[name] = dtype
        elif matches(name, c.fp32_names):
            tensors[name] = t.float()
        else:
            # fp16 rather than bfloat16: weights are small, and three more bits of mantissa cost nothing.
            tensors[name] = t.to(torch.float16) if t.dtype in (torch.float32, torch.bfloat16) else t
            dtypes[name] = dtype
    return Packed(tensors, dtypes)


def is_quantized(name: str, t: Tensor, c: Config) -> bool:
    """Whether a tensor is stored in integers."""
    return t.numel() > c.int8_keep_float_max_numel and not (c.fp16_embed and name == "tok_emb.weight")


def bits_of(name: str, c: Config) -> int:
    """Bits of a quantized tensor: tables of tokens (embeddings, a separate head) have their own."""
    return c.embed_bits if matches(name, ("emb.weight", "lm_head")) else c.matrix_bits


def unpack(packed: Packed) -> dict[str, Tensor]:
    """Return the weights as the model will use them."""
    state = {}
    for name, t in packed.tensors.items():
        if name.endswith(".scale"):
            continue
        if name.endswith(".int8"):
            plain = name.removesuffix(".int8")
            state[plain] = dequantize_tensor(
                t, packed.tensors[f"{plain}.scale"], _dtype(packed.dtypes[plain])
            )
        else:
            state[name] = t.to(_dtype(packed.dtypes[name])) if name in packed.dtypes else t
    return state


def encode(packed: Packed, codec: str = "zlib") -> bytes:
    """Return the artifact's bytes: safetensors, compressed."""
    # Sorted keys and one metadata entry: the same weights must give the same bytes, on every machine.
    meta = {"format": FORMAT, "version": VERSION, "dtypes": packed.dtypes}
    return compress(save_tensors(packed.tensors, {META: json.dumps(meta, sort_keys=True)}), codec)


def decode(blob: bytes, name: str = "artifact", codec: str = "zlib") -> Packed:
    """Read an artifact's bytes. Raises ArtifactError when they are torn, foreign or of another version."""
    hint = "pack the model again"
    raw = decompress(blob, codec, name)
    try:
        tensors = load_tensors(raw)
        # safetensors: 8 bytes of header length, a JSON header, then the tensors. Nothing in it can be
        # executed, unlike a pickle.
        length = int.from_bytes(raw[:8], "little")
        meta = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"][META])
        dtypes = {str(key): str(value) for key, value in meta["dtypes"].items()}
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{name} is not a packed model: {error}", hint) from error
    if meta.get("format") != FORMAT or meta.get("version") != VERSION:
        raise ArtifactError(
            f"{name} is {meta.get('format')} version {meta.get('version')}; "
            f"this reads {FORMAT} version {VERSION}",
            "use the trainer that wrote it",
        )
    quantized = {key.removesuffix(".int8") for key in tensors if key.endswith(".int8")}
    # A torn header may still parse: every quantized tensor must have its scale and its type.
    untyped = sorted(key for key in quantized if key not in dtypes or f"{key}.scale" not in tensors)
    if untyped:
        raise ArtifactError(f"{name} does not say how {untyped[0]} was stored", hint)
    for dtype in dtypes.values():
        _dtype(dtype)
    return Packed(tensors, dtypes)


def load_into(model: torch.nn.Module, packed: Packed, name: str = "artifact") -> None:
    """Put unpacked weights into a model. Raises ArtifactError naming the first tensor that does not fit."""
    state, expected = unpack(packed), model.state_dict()
    for key, t in expected.items():
        if key not in state:
            raise ArtifactError(f"{name} has no tensor {key}", "its configuration is another one")
        if state[key].shape != t.shape:
            raise ArtifactError(
                f"{name}: {key} has shape {tuple(state[key].shape)}, the model wants {tuple(t.shape)}",
                "its configuration is another one",
            )
    model.load_state_dict(state)


def forecast_bytes(state: dict[str, Tensor], c: Config) -> int:
    """Estimate the compressed model's size from untrained weights.

    zlib leaves 0.92 of the payload of trained weights (15,815,847 of 17,178,912 bytes for the baseline; 0.92
    to 0.93 for fp16). Weights of small norm compress better, so this is rather too high.
    """
    payload = 0.0
    for name, t in state.items():
        if is_quantized(name, t, c):
            # One fp16 scale a row; a tensor that is no matrix has one in fp32.
            payload += t.numel() * bits_of(name, c) / 8 + (2 * t.size(0) if t.ndim == 2 else 4)
        else:
            payload += t.numel() * (4 if matches(name, c.fp32_names) else 2)
    return round(0.92 * payload)


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ArtifactError(f"the artifact names an unknown type {name}", "pack the model again")
    return dtype
