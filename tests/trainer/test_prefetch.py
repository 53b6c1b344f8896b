"""Batches made in advance are the batches that would have been made."""

from __future__ import annotations

import json
import threading
from functools import partial

import numpy as np
import pytest

from trainer.config import load_config
from trainer.data import TokenStream
from trainer.errors import DataError

pytestmark = pytest.mark.slow


@pytest.fixture
def batches(tiny):
    """Make the batches of a stream of 5,000 tokens: batches(ahead, tokens)."""
    import torch

    from trainer.prefetch import Batches
    from trainer.setup import Workers

    made = []

    def make(ahead, tokens=None):
        tokens = np.arange(5000) % 1024 if tokens is None else tokens
        stream = TokenStream([tokens.astype(np.uint16)])
        made.append(Batches(stream, load_config(tiny), Workers(), torch.device("cpu"), ahead))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_lies_ready_changes_neither_batches_nor_position(batches):
    plain, early = batches(0), batches(3)
    for _ in range(12):  # twice round the stream
        for ours, theirs in zip(early.next(), plain.next(), strict=True):
            assert ours.equal(theirs)
        assert early.position == plain.position
    assert plain.position == 12 * 1025


def test_a_bad_token_is_named_when_its_batch_is_due(batches):
    tokens = np.arange(5000) % 1024
    tokens[2500] = 1024  # in the third batch of 1,024 + 1
    early = batches(3, tokens)
    early.next()
    early.next()

    with pytest.raises(DataError, match="token 1024 does not fit VOCAB_SIZE=1024"):
        early.next()


def test_closing_ends_the_thread(batches):
    early = batches(2)
    early.next()
    assert any(thread.name.startswith("batches") for thread in threading.enumerate())

    early.close()

    assert not any(thread.name.startswith("batches") for thread in threading.enumerate())


def test_a_run_fed_in_advance_is_the_same_run_and_resumes_from_what_it_trained_on(
    tiny, tmp_path, monkeypatch
):
    import trainer.train
    from trainer.prefetch import Batches
    from trainer.setup import prepare
    from trainer.state import Observer
    from trainer.train import train

    def run(name, stop_after=None, resume=False):
        out = tmp_path / name
        out.mkdir(exist_ok=True)

        def step(report):
            if report.step == stop_after:
                raise KeyboardInterrupt

        knobs = tiny | {"CHECKPOINT_EVERY": "7", "WARMUP_STEPS": "2"}
        train(prepare(load_config(knobs)), out, resume, Observer(on_step=step))
        return [
            (point["step"], point.get("train_loss", point.get("val_loss")))
            for point in map(json.loads, (out / "curve.jsonl").read_text().splitlines())
        ]

    plain = run("plain")
    monkeypatch.setattr(trainer.train, "Batches", partial(Batches, ahead=3))
    assert run("early") == plain
    with pytest.raises(KeyboardInterrupt):
        run("broken", stop_after=11)
    assert run("broken", resume=True) == plain
