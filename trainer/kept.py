"""Trained weights that are kept, and a run that packs and scores them in place of training.

keep_weights()    an observer of `trainer.train.train` that writes them unrounded when training ends
evaluate_kept()   pack and score such weights, or score an artifact, as another configuration says

A submission trains once and keeps nothing, so nothing that it imports imports this module.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.artifact import decode, load_into
from trainer.checkpoint import check_same_data, load_checkpoint, save_checkpoint
from trainer.config import KNOBS, load_config
from trainer.errors import CheckpointError
from trainer.result import Result
from trainer.schedule import lr_scale
from trainer.scoring import validate
from trainer.setup import Setup
from trainer.state import Observer, Run, StepReport
from trainer.train import introduce, open_batches, pack_and_score, score_packed, see_through, start

WEIGHTS_FILE = "weights.safetensors"
_AGAIN = "train again: `harness run` keeps the weights"


@dataclass(frozen=True)
class Kept:
    """What a run from kept weights starts with.

    path: the weights, or with `packed` an artifact, whose ending names its codec.
    steps, train_seconds: of the training; weights know their steps themselves. The time is no part of their
    file, so that the same weights have the same hash.
    """

    path: Path
    packed: bool = False
    steps: int = 0
    train_seconds: float = 0.0


def keep_weights() -> Observer:
    """Return an observer that writes the weights as training leaves them, averages applied.

    The file's facts say all that the packing and the scores after it depend on.
    """
    scales: list[float] = []  # of the last step's learning rates

    def note(report: StepReport) -> None:
        scales[:] = [report.lr_scale]

    def write(run: Run) -> None:
        if not run.setup.workers.leads:
            return
        p, path, config = run.progress, run.out / WEIGHTS_FILE, run.setup.config.to_env()
        facts = {
            "config": {name: v for name, v in config.items() if not KNOBS[name].free_on_resume},
            "data": run.setup.data,
            "step": p.step,
            "last_train_loss": p.last_train_loss,
            "position": run.batches.position,
            "lr_scale": scales[0] if scales else _last_scale(run),
        }
        save_checkpoint(path, dict(run.model.state_dict()), facts)
        run.result.weights_file = path.name
        run.result.weights_sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    return Observer(on_step=note, on_end=write)


def evaluate_kept(setup: Setup, out: Path, kept: Kept) -> Result:
    """Pack and score trained weights, write the artifact and the account into `out`.

    Raises TrainerError for weights that are missing or broken, or that another configuration or other data
    trained; what fails later ends in the result.
    """
    began = time.perf_counter()
    run = start(setup, out, Observer())
    if kept.packed:
        return see_through(run, began, lambda: _score_artifact(run, kept))
    tensors, facts = load_checkpoint(kept.path, _AGAIN)
    _check_same_training(facts, setup)
    p = run.progress
    p.step, p.train_ms, p.last_train_loss = facts["step"], 1000 * kept.train_seconds, facts["last_train_loss"]
    # Calibration reads the training tokens that would have come next.
    run.batches.close()
    run.batches = open_batches(setup, facts["position"])
    run.model.load_state_dict(tensors)

    def pack_again() -> None:
        introduce(run)
        run.say(f"weights:{kept.path.name} step:{p.step}")
        _as_training_ended(run, facts["lr_scale"])
        validate(run, last=True)
        pack_and_score(run)

    return see_through(run, began, pack_again)


def _score_artifact(run: Run, kept: Kept) -> None:
    """Score an artifact as it is; another codec holds the same tensors."""
    p, name = run.progress, kept.path.name
    p.step, p.train_ms = kept.steps, 1000 * kept.train_seconds
    packed = decode(kept.path.read_bytes(), name, name.rpartition(".")[2])
    load_into(run.model, packed, name)
    introduce(run)
    run.say(f"artifact:{name} step:{p.step}")
    _as_training_ended(run, _last_scale(run))
    score_packed(run, packed)


def _as_training_ended(run: Run, scale: float) -> None:
    """Let features stand as they did after the last step: looped layers, rounding in training passes."""
    for feature in run.features:
        feature.before_step(run, run.progress.train_ms)
        feature.before_forward(run, scale)


def _last_scale(run: Run) -> float:
    """The warmdown factor of the last step, by the schedule."""
    return lr_scale(run.setup.config, max(run.progress.step - 1, 0), run.progress.train_ms)


def _check_same_training(facts: dict[str, Any], setup: Setup) -> None:
    """Refuse weights that this configuration would not have trained, naming the first knob that differs."""
    before, after = load_config(facts["config"]), setup.config
    then, now = before.to_env(), after.to_env()
    for name, knob in KNOBS.items():
        if then[name] == now[name] or knob.free_on_resume:
            continue
        if why := knob.acts_in_training(before, after):
            raise CheckpointError(
                f"the weights were trained with {name}={then[name]}, now it is {now[name]}: {why}",
                "train with it: `harness run`",
            )
    check_same_data(facts, setup)
