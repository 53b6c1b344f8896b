"""Bits per byte against a count by hand; batches and ranks must not matter."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.slow


def test_bits_per_byte_by_hand():
    """Eight bits a token, four bytes a token: two bits a byte."""
    from trainer.evaluate import bits_per_byte

    assert bits_per_byte(8 * math.log(2), tokens=10, bytes_=40) == pytest.approx(2.0, abs=1e-15)


def test_a_score_over_no_bytes_is_an_error():
    from trainer.evaluate import bits_per_byte

    with pytest.raises(ValueError, match="no byte"):
        bits_per_byte(1.0, tokens=10, bytes_=0)


def test_the_challenges_own_record_adds_up(reference):
    from trainer.evaluate import bits_per_byte

    record = reference["baseline"]["official_record_log"]
    tokens = record["val_tokens"]
    bytes_ = tokens * record["val_loss_roundtrip"] / math.log(2) / record["val_bpb_roundtrip"]

    assert bits_per_byte(record["val_loss_roundtrip"], tokens, round(bytes_)) == pytest.approx(
        record["val_bpb_roundtrip"], abs=1e-7
    )


@pytest.fixture
def scored(parity, tiny):
    """Evaluate one fresh model under some knobs, for one rank of several."""
    import sentencepiece
    import torch

    from trainer.config import load_config
    from trainer.data import byte_table, find_shards, load_validation
    from trainer.evaluate import Validation, evaluate
    from trainer.model import GPT

    torch.set_num_threads(1)
    table = byte_table(sentencepiece.SentencePieceProcessor(model_file=tiny["TOKENIZER_PATH"]))
    torch.manual_seed(0)
    model = GPT(load_config(tiny))
    for weight in (w for w in model.parameters() if w.ndim == 2):  # as built, no token sees another
        torch.nn.init.normal_(weight, std=0.3)

    def score(rank=0, world_size=1, stride=0, autocast=False, **knobs: str):
        config = load_config(tiny | knobs)
        config.check()
        tokens = load_validation(find_shards(parity, "val"), config.train_seq_len)
        validation = Validation.of(tokens, table)
        device = torch.device("cpu")
        found = evaluate(model, validation, config, device, autocast, rank, world_size, stride)
        return found, validation, model

    return score


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("stride", [0, 48])
def test_the_batch_size_does_not_matter(scored, stride, autocast):
    found = [
        scored(stride=stride, autocast=autocast, VAL_BATCH_SIZE=size)[0].val_bpb
        for size in ("128", "1280", "16384")
    ]

    assert found == pytest.approx([found[0]] * 3, abs=1e-9)


@pytest.mark.parametrize("world_size", [2, 8])
def test_the_number_of_ranks_does_not_matter(scored, monkeypatch, world_size):
    """Each rank's share, added up as all_reduce would."""
    monkeypatch.setattr("torch.distributed.all_reduce", lambda total: None)
    alone = scored()[0].val_loss
    shares = [scored(rank=rank, world_size=world_size)[0].val_loss for rank in range(world_size)]

    assert sum(shares) == pytest.approx(alone, abs=1e-9)


@given(st.integers(1, 400), st.integers(1, 100), st.data())
def test_windows_score_every_target_once_with_as_much_context_as_the_stride_leaves(targets, length, data):
    from trainer.evaluate import windows

    stride = data.draw(st.integers(1, length))
    laid = windows(targets, length, stride)
    scored = [w.start + place for w in laid for place in range(w.first, w.length)]

    assert scored == list(range(targets))
    assert all(w.start >= 0 and w.start + w.length <= targets for w in laid)
    if length < targets:
        assert all(w.length == length and w.first >= length - stride for w in laid[1:])


def test_a_sliding_window_scores_as_one_pass_a_token_would(scored):
    """Stride 1: the loss of each target after the 127 tokens before it, one window at a time."""
    import torch

    _, validation, model = scored()
    short = validation.tokens[:200]
    from trainer.evaluate import Window, score_windows, windows

    with torch.no_grad():
        found = float(score_windows(model, short, windows(199, 128, 1), torch.device("cpu"), False))
    ids = torch.from_numpy(short.astype("int64"))
    with torch.no_grad():
        expected = float(model(ids[:128][None], ids[1:129][None], "none").double().sum())
        for last in range(128, 199):
            x, y = ids[last - 127 : last + 1], ids[last - 126 : last + 2]
            expected += float(model(x[None], y[None], "none")[-1])

    assert windows(199, 128, 1)[1] == Window(1, 128, 127)
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_context_of_an_evaluation_is_its_own_setting(scored):
    """Same targets, other windows: 96 does not divide them, and still each is scored once."""
    shorter, validation, _ = scored(EVAL_SEQ_LEN="96")
    plain, same, _ = scored()

    assert (validation.targets, validation.bytes) == (same.targets, same.bytes) == (32_768, 58_490)
    assert shorter.val_loss != plain.val_loss


def test_every_target_is_scored_once(scored):
    """The mean over all windows, one at a time, in float64."""
    import torch

    evaluation, validation, model = scored(VAL_BATCH_SIZE="1280")
    ids = torch.from_numpy(validation.tokens.astype("int64"))
    with torch.no_grad():
        losses = [
            model(ids[at : at + 128][None], ids[at + 1 : at + 129][None]).double()
            for at in range(0, validation.targets, 128)
        ]

    assert evaluation.val_loss == pytest.approx(torch.stack(losses).mean().item(), abs=1e-6)
    assert len(losses) * 128 == validation.targets == 32_768


def test_evaluating_first_does_not_spoil_training(scored):
    """Tables cached under inference mode once killed the first backward pass."""
    import torch

    _, validation, model = scored()
    ids = torch.from_numpy(validation.tokens[:129].astype("int64"))
    model(ids[:-1][None], ids[1:][None]).backward()

    assert model.tok_emb.weight.grad is not None


def test_the_model_is_left_as_it_was(scored):
    _, _, model = scored()

    assert model.training
