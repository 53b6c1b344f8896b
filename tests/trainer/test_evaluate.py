"""Bits per byte against a count by hand; batches and ranks must not matter."""

from __future__ import annotations

import math

import pytest

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
    torch.nn.init.normal_(model.tok_emb.weight)  # so that the loss is not that of a uniform guess

    def score(**knobs: str):
        config = load_config(tiny | knobs)
        tokens = load_validation(find_shards(parity, "val"), config.train_seq_len)
        validation = Validation.of(tokens, config.train_seq_len, table)
        return evaluate(model, validation, config, torch.device("cpu"), autocast=False), validation, model

    return score


def test_the_batch_size_does_not_matter(scored):
    found = [scored(VAL_BATCH_SIZE=size)[0].val_loss for size in ("128", "1280", "16384")]

    assert found == pytest.approx([found[0]] * 3, rel=1e-6)


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
