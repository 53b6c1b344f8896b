"""Test-time training is legal: a token is scored before it is learnt from, by weights that never saw it."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.config import ConfigError, load_config

pytestmark = pytest.mark.slow

KNOBS = {
    "MODEL_DIM": "32",
    "NUM_LAYERS": "2",
    "NUM_HEADS": "2",
    "NUM_KV_HEADS": "1",
    "VOCAB_SIZE": "64",
    "TRAIN_SEQ_LEN": "16",
    "GRAD_ACCUM_STEPS": "1",
    "VAL_BATCH_SIZE": "64",
    "TTT_ENABLED": "1",
    "TTT_CHUNK_TOKENS": "40",
    "TTT_EPOCHS": "2",
    "TTT_BATCH_SEQS": "2",
    "TTT_LR": "0.05",
}


@pytest.fixture
def adapted(monkeypatch):
    """Adapt a small model to some tokens: what was scored and learnt in which order, and the evaluation."""
    import torch

    from trainer.build import build_model
    from trainer.evaluate import Validation
    from trainer.features import adapt

    def run(tokens, **knobs: str):
        c = load_config(KNOBS | knobs)
        torch.manual_seed(0)
        model = build_model(c, torch.device("cpu"), bfloat16=False)
        for weight in (w for w in model.parameters() if w.ndim == 2):
            torch.nn.init.normal_(weight, std=0.1)
        events, score, learn = [], adapt.score_windows, adapt.learn

        def watch_score(model, tokens, batch, device, autocast):
            loss = score(model, tokens, batch, device, autocast)
            targets = [w.start + place for w in batch for place in range(w.first, w.length)]
            events.append(("score", targets, float(loss)))
            return loss

        def watch_learn(model, optimizer, part, *rest):
            first = part.__array_interface__["data"][0] - tokens.__array_interface__["data"][0]
            start = first // tokens.itemsize
            events.append(("learn", list(range(start, start + len(part) - 1)), 0.0))
            learn(model, optimizer, part, *rest)

        monkeypatch.setattr(adapt, "score_windows", watch_score)
        monkeypatch.setattr(adapt, "learn", watch_learn)
        found = adapt.adapt_and_score(model, Validation(tokens, 1000), c, torch.device("cpu"), False)
        monkeypatch.undo()
        return events, found, model

    return run


def some_tokens(count: int = 193, seed: int = 1):
    return np.random.default_rng(seed).integers(2, 64, count).astype(np.uint16)


@pytest.mark.parametrize("stride", ["0", "4"])
def test_every_token_is_scored_once_and_before_it_is_learnt_from(adapted, stride):
    events, _, _ = adapted(some_tokens(), EVAL_STRIDE=stride)
    scored: list[int] = []
    learnt = 0
    for what, targets, _ in events:
        if what == "score":
            scored += targets
        else:
            learnt += len(targets)
            assert set(targets) <= set(scored)

    assert sorted(scored) == list(range(192))
    assert learnt >= 120


def test_what_comes_later_changes_no_earlier_score(adapted):
    """Other tokens from the third chunk on: the scores before are the same bits, the ones after are not."""
    one = some_tokens()
    other = one.copy()
    other[100:] = some_tokens(seed=2)[100:]
    first, second = ([e for e in adapted(t)[0] if e[0] == "score"] for t in (one, other))
    before = [k for k, (_, targets, _) in enumerate(first) if max(targets) < 99]

    assert [first[k][2] for k in before] == [second[k][2] for k in before]
    assert len(before) >= 2
    assert first[-1][2] != second[-1][2]


def test_learning_helps_where_the_text_repeats_itself(adapted):
    repeated = np.tile(some_tokens(17), 40)[:641].astype(np.uint16)

    assert adapted(repeated)[1].val_loss < adapted(repeated, TTT_LR="0.0")[1].val_loss - 0.1


def test_without_learning_it_is_the_plain_evaluation(adapted):
    import torch

    from trainer.evaluate import Validation, evaluate

    tokens = some_tokens()
    _, found, model = adapted(tokens, TTT_LR="0.0")
    plain = evaluate(model, Validation(tokens, 1000), load_config(KNOBS), torch.device("cpu"), False)

    assert found.val_loss == pytest.approx(plain.val_loss, abs=1e-9)


def test_frozen_blocks_stay_as_they_were(adapted):
    before = adapted(some_tokens(), TTT_LR="0.0")[2].state_dict()
    after = adapted(some_tokens(), TTT_FREEZE_BLOCKS="1")[2].state_dict()
    moved = {name for name in before if not before[name].equal(after[name])}

    assert not {name for name in moved if name.startswith("blocks.0.")}
    assert any(name.startswith("blocks.1.") for name in moved)


def test_chunks_shorter_than_a_window_are_refused():
    with pytest.raises(ConfigError, match="TTT_CHUNK_TOKENS=8"):
        load_config(KNOBS | {"TTT_CHUNK_TOKENS": "8"}).check()


def test_a_run_ends_with_the_adapted_score(trainer, tiny, tmp_path):
    import json

    knobs = {"TTT_ENABLED": "1", "TTT_CHUNK_TOKENS": "8192", "ITERATIONS": "3", "VAL_LOSS_EVERY": "0"}
    done = trainer(tiny | knobs, "--out", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    score = json.loads((tmp_path / "out" / "result.json").read_text())["scores"][-1]
    assert (score["stage"], score["label"], score["tokens"]) == (
        "test_time_training",
        "legal_ttt_exact",
        32_768,
    )
    assert f"legal_ttt_exact val_loss:{score['val_loss']:.8f}" in done.stdout
