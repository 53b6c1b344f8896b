"""Weights to bytes and back: int8 with scales, safetensors inside zlib. Also the container of checkpoints.

Nothing here executes what it reads. The artifact states its format and version; the same weights give the
same bytes. Quantizer source: the challenge's train_gpt.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from trainer.config import Config
from trainer.errors import ArtifactError, CheckpointError
from trainer.model import matches

FORMAT = "pg-artifact"
VERSION = 1
MODEL_FILE = "model.zlib"
LARGEST_KEPT = 65_536  # elements; larger tensors become int8
CLIP_QUANTILE = 99.99984 / 100.0
_META = "pg"  # one metadata key only: several come out in random order, and bytes must repeat


@dataclass(frozen=True)
class Packed:
    """A model as tensors to store. payload_bytes: before compression, as the challenge counts it."""

    tensors: dict[str, Tensor]
    dtypes: dict[str, str]  # what each quantized or cast tensor was, and becomes again

    @property
    def payload_bytes(self) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())


def quantize_tensor(t: Tensor) -> tuple[Tensor, Tensor]:
    """Return int8 values and fp16 scale(s): per row for matrices, per tensor otherwise.

    The clip is the 99.99984 % quantile of |w|; the scale is at least 1/127, which costs matrices of small
    weights most of their bits.
    """
    w = t.float()
    if w.ndim == 2:
        clip = torch.quantile(w.abs(), CLIP_QUANTILE, dim=1) if w.numel() else torch.empty(w.size(0))
        clipped = torch.maximum(torch.minimum(w, clip[:, None]), -clip[:, None])
        scale = (clip / 127.0).clamp_min(1.0 / 127.0)
        q = torch.round(clipped / scale[:, None]).clamp(-127, 127).to(torch.int8)
        return q.contiguous(), scale.to(torch.float16).contiguous()
    clip_value = float(torch.quantile(w.abs().flatten(), CLIP_QUANTILE)) if w.numel() else 0.0
    scale = torch.tensor(clip_value / 127.0 if clip_value > 0 else 1.0, dtype=torch.float32)
    q = torch.round(w.clamp(-clip_value, clip_value) / scale).clamp(-127, 127).to(torch.int8)
    return q.contiguous(), scale


def dequantize_tensor(q: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    if scale.ndim > 0:
        return (q.float() * scale.float().view(-1, *([1] * (q.ndim - 1)))).to(dtype).contiguous()
    return (q.float() * float(scale)).to(dtype).contiguous()


def pack(state: dict[str, Tensor], c: Config) -> Packed:
    """Turn weights into what is stored: large floats int8, small ones fp16, control tensors fp32."""
    tensors: dict[str, Tensor] = {}
    dtypes: dict[str, str] = {}
    for name, value in state.items():
        t = value.detach().cpu().contiguous()
        dtype = str(t.dtype).removeprefix("torch.")
        if not t.is_floating_point():
            tensors[name] = t
        elif _becomes_int8(name, t, c):
            tensors[f"{name}.int8"], tensors[f"{name}.scale"] = quantize_tensor(t)
            dtypes[name] = dtype
        elif matches(name, c.fp32_names):
            tensors[name] = t.float()
        else:
            tensors[name] = t.to(torch.float16) if t.dtype in (torch.float32, torch.bfloat16) else t
            dtypes[name] = dtype
    return Packed(tensors, dtypes)


def _becomes_int8(name: str, t: Tensor, c: Config) -> bool:
    return t.numel() > LARGEST_KEPT and not (c.fp16_embed and name == "tok_emb.weight")


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


def encode(packed: Packed) -> bytes:
    """Return the artifact's bytes: safetensors, zlib level 9."""
    meta = {"format": FORMAT, "version": VERSION, "dtypes": packed.dtypes}
    return zlib.compress(save_tensors(packed.tensors, {_META: json.dumps(meta, sort_keys=True)}), 9)


def decode(blob: bytes, name: str = "artifact") -> Packed:
    """Read an artifact's bytes. Raises ArtifactError when they are torn, foreign or of another version."""
    again = "pack the model again"
    engine = zlib.decompressobj()
    try:
        raw = engine.decompress(blob)
    except zlib.error as error:
        raise ArtifactError(f"{name} is corrupt: {error}", again) from error
    if not engine.eof:
        raise ArtifactError(f"{name} is truncated: it ends after {len(blob)} bytes, inside the data", again)
    if engine.unused_data:
        raise ArtifactError(f"{name} has {len(engine.unused_data)} bytes after its end", again)
    try:
        tensors = load_tensors(raw)
        length = int.from_bytes(raw[:8], "little")
        meta = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"][_META])
        dtypes = {str(key): str(value) for key, value in meta["dtypes"].items()}
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{name} is not a packed model: {error}", again) from error
    if meta.get("format") != FORMAT or meta.get("version") != VERSION:
        raise ArtifactError(
            f"{name} is {meta.get('format')} version {meta.get('version')}; this reads {FORMAT} version {VERSION}",
            "use the trainer that wrote it",
        )
    quantized = {key.removesuffix(".int8") for key in tensors if key.endswith(".int8")}
    untyped = sorted(key for key in quantized if key not in dtypes or f"{key}.scale" not in tensors)
    if untyped:
        raise ArtifactError(f"{name} does not say how {untyped[0]} was stored", again)
    for dtype in dtypes.values():
        _dtype(dtype)
    return Packed(tensors, dtypes)


def load_into(model: torch.nn.Module, packed: Packed, name: str = "artifact") -> None:
    """Put unpacked weights into a model. Raises ArtifactError naming the first tensor that does not fit."""
    state, wanted = unpack(packed), model.state_dict()
    for key, t in wanted.items():
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

    zlib leaves 0.92 of the payload of trained weights (15,815,847 of 17,178,912 bytes for the baseline; 0.92 to
    0.93 for fp16). Weights of small norm compress better, so this is rather too high.
    """
    payload = 0
    for name, t in state.items():
        if _becomes_int8(name, t, c):
            payload += t.numel() + (2 * t.size(0) if t.ndim == 2 else 4)
        else:
            payload += t.numel() * (4 if matches(name, c.fp32_names) else 2)
    return round(0.92 * payload)


# Checkpoints --------------------------------------------------------------------------------------


def save_checkpoint(path: Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write tensors and JSON data as one file that appears whole or not at all."""
    contiguous = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    stamped = json.dumps({"sha256": _hash_tensors(contiguous), "meta": meta})
    write_whole(path, save_tensors(contiguous, {_META: stamped}))


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint. Raises CheckpointError when it is missing or broken."""
    try:
        with safe_open(path, framework="pt") as file:
            stamped = json.loads(file.metadata()[_META])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no checkpoint {path}", "start again without --resume") from error
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        raise CheckpointError(
            f"checkpoint {path} is broken: {error}", "start again without --resume"
        ) from error
    if _hash_tensors(tensors) != stamped["sha256"]:
        raise CheckpointError(
            f"checkpoint {path} is damaged: its checksum differs", "start again without --resume"
        )
    return tensors, stamped["meta"]


def _hash_tensors(tensors: dict[str, Tensor]) -> str:
    """Return a sha256 over names and bytes; safetensors itself would not notice a flipped bit."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, flush to disk, rename."""
    beside = path.with_name(f".{path.name}.tmp")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ArtifactError(f"the artifact names an unknown type {name}", "pack the model again")
    return dtype
