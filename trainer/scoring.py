"""Scores of a run: the validation on the way, and those of the artifact, printed as the field prints them."""

from __future__ import annotations

import math

from torch import nn

from trainer import events
from trainer.evaluate import Evaluation, evaluate
from trainer.result import Score, Stage
from trainer.state import NotANumber, Run


def score_validation(run: Run, stride: int = 0) -> Evaluation:
    """Score the validation tokens with the weights as they are.

    stride: of a sliding window; 0 = side by side.
    """
    setup, workers = run.setup, run.setup.workers
    # Without the wrapper for several processes, which waits for gradients; ranks have own windows.
    module = run.forward
    if isinstance(module, nn.parallel.DistributedDataParallel):
        module = module.module
    scored = evaluate(
        module,
        setup.validation,
        setup.config,
        setup.device,
        setup.autocast,
        workers.rank,
        workers.world_size,
        stride,
    )
    run.progress.eval_seconds += scored.seconds
    return scored


def validate(run: Run, last: bool) -> None:
    """Score, print and log the model.

    The last score, before quantization, is kept to measure what packing costs.

    Raises NotANumber.
    """
    p, planned = run.progress, run.setup.config.iterations
    scored = score_validation(run)
    loss, bpb = scored.val_loss, scored.val_bpb
    run.observer.on_val(p.step, scored)
    if not math.isfinite(loss):
        raise NotANumber("val_loss", p.step, loss)
    run.say(events.val_line(p.step, planned, loss, bpb, p.train_ms))
    run.log({"step": p.step, "val_loss": loss, "val_bpb": bpb, "train_time_ms": p.train_ms})
    if last:
        _keep(run, "pre_quantization", "DIAGNOSTIC pre_quantization", scored)
        run.say(f"DIAGNOSTIC pre_quantization val_loss:{loss:.8f} val_bpb:{bpb:.8f}")


def keep_artifact_score(run: Run, stage: Stage, label: str, scored: Evaluation, how: str = "") -> None:
    """Keep and print one evaluation of the artifact.

    how: words about it for its log line. Raises NotANumber.
    """
    if not math.isfinite(scored.val_loss):
        raise NotANumber("the packed model's val_loss", run.progress.step, scored.val_loss)
    _keep(run, stage, f"{label}_exact", scored)
    for line in events.result_lines(label, scored.val_loss, scored.val_bpb, scored.seconds, how):
        run.say(line)


def _keep(run: Run, stage: Stage, label: str, scored: Evaluation) -> None:
    v = run.setup.validation
    score = Score(stage, label, scored.val_loss, scored.val_bpb, v.targets, v.bytes, scored.seconds)
    # In the order in which they were made, as the log has them.
    run.progress.scores.append(score)
