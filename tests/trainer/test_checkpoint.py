"""A checkpoint comes back whole or not at all."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture
def state():
    import torch

    return {"weight": torch.randn(64, 32), "half": torch.randn(300).bfloat16(), "rng": torch.get_rng_state()}


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path, state):
    from trainer.checkpoint import load_checkpoint, save_checkpoint

    save_checkpoint(tmp_path / "c", state, {"step": 7, "train_ms": 0.1})
    tensors, meta = load_checkpoint(tmp_path / "c")

    assert all(tensors[name].equal(t) and tensors[name].dtype == t.dtype for name, t in state.items())
    assert meta == {"step": 7, "train_ms": 0.1}
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("size", [0, 5, 200, -1])
def test_a_torn_checkpoint_is_an_error_with_a_hint(tmp_path, state, size):
    from trainer.checkpoint import load_checkpoint, save_checkpoint
    from trainer.errors import CheckpointError

    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, state, {"step": 7})
    path.write_bytes(path.read_bytes()[:size])

    with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors") as caught:
        load_checkpoint(path)
    assert caught.value.hint


def test_a_flipped_byte_in_a_checkpoint_is_noticed(tmp_path, state):
    from trainer.checkpoint import load_checkpoint, save_checkpoint
    from trainer.errors import CheckpointError

    path = tmp_path / "c"
    save_checkpoint(path, state, {"step": 7})
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)

    with pytest.raises(CheckpointError):
        load_checkpoint(path)
