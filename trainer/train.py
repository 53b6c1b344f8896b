"""The story of a run: train, score, pack, read back, score again. What it starts from: `trainer.setup`.

Reads top to bottom: `train` is the whole run with its failures, `start` puts the parts together,
`train_and_pack` is the loop, and the functions after it are its paragraphs. What the field added comes in at
`run.features`, whose places `trainer.hooks` names.
"""

from __future__ import annotations

import hashlib
import math
import platform
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer import events, features
from trainer.artifact import Packed, decode, encode, format_name, load_into, model_file, pack
from trainer.build import build_model, count_params
from trainer.checkpoint import (
    CHECKPOINT_FILE,
    check_same_run,
    load_checkpoint,
    restore_state,
    save_checkpoint,
    state_tensors,
)
from trainer.clock import Clock, Stop, stop_signals
from trainer.data import TokenStream, load_shard
from trainer.errors import CheckpointError, TrainerError
from trainer.files import write_whole
from trainer.optim import make_optimizers, set_schedule
from trainer.prefetch import Batches
from trainer.result import RESULT_FILE, Failure, Result
from trainer.schedule import lr_scale, muon_momentum
from trainer.scoring import keep_artifact_score, score_validation, validate
from trainer.setup import Setup
from trainer.state import NotANumber, Observer, Run, StepReport

CURVE_FILE = "curve.jsonl"
# Figures of the challenge's script; names of files that the harness looks for.
FIRST_STEPS_LOGGED = 10  # as the challenge's script logs them
ARTIFACT_CAP_BYTES = 16_000_000  # the challenge's; what counts for a record is its course's
EXIT = {"ok": 0, "failed": 1, "stopped": 3, "nan": 4}


def train(setup: Setup, out: Path, resume: bool = False, observer: Observer | None = None) -> Result:
    """Train, score, pack and score again; write everything into `out` and return the account.

    Raises TrainerError for a checkpoint that does not fit; other failures end in the result.
    """
    began = time.perf_counter()
    leads = setup.workers.leads
    run = start(setup, out, observer or Observer())
    if resume:
        go_on_from_checkpoint(run)
    elif leads:
        _refuse_used_folder(out)
    if leads:
        run.curve = events.CurveLog(out / CURVE_FILE)
    with stop_signals() as stop:
        return see_through(run, began, lambda: train_and_pack(run, stop))


def see_through(run: Run, began: float, work: Callable[[], None]) -> Result:
    """Do a run's work and write its account, however the work ends. began: by time.perf_counter."""
    # Whatever happens from here on, the result says it: a failure is a result, too.
    try:
        work()
    except NotANumber as error:
        _fail(run, "nan", str(error), error.step)
    except (MemoryError, torch.OutOfMemoryError) as error:
        _fail(run, "out_of_memory", str(error) or "out of memory", run.progress.step)
    except TrainerError:
        raise
    except Exception as error:  # a record must still be written; the cause is kept in it
        traceback.print_exc()
        memory = "can't allocate memory" in str(error)  # torch's allocator for the CPU raises a RuntimeError
        what = f"{type(error).__name__}: {error}"
        _fail(run, "out_of_memory" if memory else "error", what, run.progress.step)
    run.batches.close()
    if run.curve:
        run.curve.close()
    account(run, time.perf_counter() - began)
    # The result last: a folder with one is finished. The checkpoint is kept until the run has ended well.
    if run.setup.workers.leads:
        run.result.write(run.out)
        if run.result.status == "ok":
            (run.out / CHECKPOINT_FILE).unlink(missing_ok=True)
    return run.result


def start(setup: Setup, out: Path, observer: Observer) -> Run:
    """Put a run's parts together: seeds, model, optimizers, features, data."""
    began = time.perf_counter()
    c, workers = setup.config, setup.workers
    # All three generators, though only torch's is used here: a feature may draw from the others.
    random.seed(c.seed)
    np.random.seed(c.seed)
    torch.manual_seed(c.seed)
    model = build_model(c, setup.device, setup.autocast)
    # The observer sees the model before it is compiled or wrapped: its names are the reference's.
    observer.on_init(model)
    # Trained through `forward`, read through `model`: both have the same parameters.
    forward: nn.Module = model
    if c.compile == "on":
        # One shape and no graph breaks: a break would cost more than compilation gains, so it is an error.
        forward = torch.compile(model, dynamic=False, fullgraph=True)  # type: ignore[assignment]
    if workers.world_size > 1:
        ids = [workers.local_rank] if setup.device.type == "cuda" else None
        # Buffers are tables of angles, the same on all ranks, so none need be sent.
        forward = nn.parallel.DistributedDataParallel(forward, device_ids=ids, broadcast_buffers=False)
    run = Run(
        setup=setup,
        out=out,
        observer=observer,
        model=model,
        forward=forward,
        optimizers=make_optimizers(model, c, setup.device),
        features=features.load(c),
        batches=open_batches(setup),
        result=Result(
            status="ok",
            stop_reason="iterations",
            config=c.to_env(),
            seed=c.seed,
            environment=setup.environment,
            data=setup.data,
            params=count_params(model),
            planned_steps=c.iterations,
            code_bytes=setup.code_bytes,
        ),
        began=began,
    )
    for feature in run.features:
        feature.begin(run)
    return run


def open_batches(setup: Setup, position: int = 0) -> Batches:
    """The training stream from a position on, in tokens."""
    stream = TokenStream([load_shard(path) for path in setup.train_paths])
    stream.position = position
    return Batches(stream, setup.config, setup.workers, setup.device)


# The loop -----------------------------------------------------------------------------------------


def train_and_pack(run: Run, stop: Stop) -> None:
    """Train until the steps, the time or the user's patience end, then score and pack."""
    c, p = run.setup.config, run.progress
    # The lines that a log begins with; then, as in the challenge, steps that only prime compilers.
    introduce(run)
    if p.step == 0 and c.warmup_steps > 0:
        warm_up(run)

    # With a wall-clock cap the end is not known before it comes: the step that passes it is the last.
    cap_ms = c.step_seconds * 1000
    out_of_time = 0 < cap_ms <= p.train_ms and p.step < c.iterations  # resumed with its time used up
    if out_of_time:
        run.result.stop_reason = "wallclock_cap"
    clock, elapsed_ms = Clock(run.setup.device, p.train_ms), p.train_ms
    last_saved, stop_requested = time.perf_counter(), False

    while True:
        for feature in run.features:
            feature.before_step(run, elapsed_ms)

        # Validate as VAL_LOSS_EVERY says, and at the end. The training clock stands still for it.
        last = p.step == c.iterations or out_of_time
        due = c.val_loss_every > 0 and p.step % c.val_loss_every == 0 and run.validated_at != p.step
        if last or due:
            if last:
                for feature in run.features:
                    feature.before_last_validation(run)
            p.train_ms = clock.pause()
            validate(run, last)
            clock.start()
        if last:
            break

        # Asked to stop: a checkpoint, and a result that says so. Asked after the validation, so that a
        # resumed run finds it in the curve.
        if stop_requested:
            p.train_ms = clock.pause()
            save(run)
            run.result.status, run.result.stop_reason = "stopped", "signal"
            return

        loss = take_step(run, elapsed_ms)
        p.step += 1
        p.train_ms, stop_requested = agree(run, clock.now(), stop.requested)
        elapsed_ms = p.train_ms
        report_step(run, loss)

        if 0 < cap_ms <= p.train_ms and p.step < c.iterations:
            out_of_time, run.result.stop_reason = True, "wallclock_cap"
            run.say(
                f"stopping_early: wallclock_cap train_time:{p.train_ms:.0f}ms step:{p.step}/{c.iterations}"
            )
        if checkpoint_due(run, last_saved):
            p.train_ms = clock.pause()
            save(run)
            last_saved = time.perf_counter()
            clock.start()

    # What follows changes the weights: they are rounded and loaded again.
    run.observer.on_end(run)
    pack_and_score(run)


def introduce(run: Run) -> None:
    """Print what the run is, in the lines that the field's logs begin with."""
    setup, p = run.setup, run.progress
    # A resumed run's log goes on where the other process left it: what it is was said there.
    if p.resumed:
        run.say(f"resumed from step {p.step} with {p.train_ms:.0f} ms on the clock")
        return
    c, workers = setup.config, setup.workers
    lines = [
        *events.hyperparameter_lines(c.to_env()),
        f"Running Python {platform.python_version()}",
        f"Running PyTorch {torch.__version__}",
        f"device:{setup.environment['device']} {setup.environment['device_name']} dtype:{c.dtype}",
        f"train_loader:shards:{len(setup.train_paths)} tokens:{setup.train_tokens}",
        f"val_loader:tokens:{setup.validation.targets}",
        f"model_params:{run.result.params}",
        f"world_size:{workers.world_size} grad_accum_steps:{c.accumulation(workers.world_size)}",
        f"seed:{c.seed}",
    ]
    for line in lines:
        run.say(line)


def warm_up(run: Run) -> None:
    """Throw-away steps that prime compilation; weights, optimizers and data start over afterwards."""
    setup, c = run.setup, run.setup.config
    # On the CPU: the GPU's memory is for the step.
    weights = {name: t.detach().cpu().clone() for name, t in run.model.state_dict().items()}
    batches = open_batches(setup)
    accumulation = c.accumulation(setup.workers.world_size)
    for number in range(1, c.warmup_steps + 1):
        for _ in range(accumulation):
            (forward_loss(run, *batches.next()) / accumulation).backward()  # type: ignore[no-untyped-call]
        for optimizer in run.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if number <= 20 or number == c.warmup_steps:
            run.say(f"warmup_step:{number}/{c.warmup_steps}")
    batches.close()
    run.model.load_state_dict(weights)
    run.optimizers = make_optimizers(run.model, c, setup.device)


def forward_loss(run: Run, x: Tensor, y: Tensor) -> Tensor:
    """Mean loss of a micro-batch, in mixed precision where the configuration says bfloat16."""
    with torch.autocast(run.setup.device.type, torch.bfloat16, enabled=run.setup.autocast):
        loss: Tensor = run.forward(x, y)
    return loss


def take_step(run: Run, elapsed_ms: float) -> float:
    """One optimizer step; returns the mean loss over its micro-batches and all ranks.

    Does not count it: the caller does. Raises NotANumber.
    """
    setup, c, step = run.setup, run.setup.config, run.progress.step
    workers, accumulation = setup.workers, c.accumulation(setup.workers.world_size)
    # Both are read before the step: the first one trains at the full rate.
    scale, momentum = lr_scale(c, step, elapsed_ms), muon_momentum(c, step)
    for feature in run.features:
        feature.before_forward(run, scale)

    # Forward and backward. Gradients of several processes are averaged once, with the last micro-batch.
    total = torch.zeros((), device=setup.device)
    for micro in range(accumulation):
        if isinstance(run.forward, nn.parallel.DistributedDataParallel):
            run.forward.require_backward_grad_sync = micro == accumulation - 1
        x, y = run.batches.next()
        run.observer.on_batch(x, y)
        loss = forward_loss(run, x, y)
        total += loss.detach()  # stays on the device: reading it here would wait for the GPU
        (loss / accumulation).backward()  # type: ignore[no-untyped-call]
    total /= accumulation

    norm = None
    if c.grad_clip_norm > 0:
        # The norm is of all parameters together, those that Muon trains included, as in the challenge.
        norm = float(nn.utils.clip_grad_norm_(run.model.parameters(), c.grad_clip_norm))
    elif run.observer.wants_grad_norm:
        gradients = [p.grad for p in run.model.parameters() if p.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients))

    set_schedule(run.optimizers, scale, momentum)
    for optimizer in run.optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    for feature in run.features:
        feature.after_update(run, step + 1, scale)

    if workers.world_size > 1:
        # gloo has no average.
        cuda = setup.device.type == "cuda"
        dist.all_reduce(total, op=dist.ReduceOp.AVG if cuda else dist.ReduceOp.SUM)
        total = total if cuda else total / workers.world_size
    mean = float(total)
    run.observer.on_step(StepReport(step + 1, mean, norm, scale, momentum))
    if not math.isfinite(mean):
        raise NotANumber("train_loss", step + 1, mean)
    return mean


def agree(run: Run, train_ms: float, stop_requested: bool) -> tuple[float, bool]:
    """Return the latest clock of all ranks, and whether any was asked to stop.

    The schedule and the end depend on both, so ranks that differ would train different models.
    """
    # One process agrees with itself without a transfer.
    if run.setup.workers.world_size == 1:
        return train_ms, stop_requested
    # Both in one transfer, made at every step. float64: milliseconds of hours exceed fp32's digits.
    both = torch.tensor([train_ms, float(stop_requested)], dtype=torch.float64, device=run.setup.device)
    dist.all_reduce(both, op=dist.ReduceOp.MAX)
    return float(both[0]), bool(both[1])


def report_step(run: Run, loss: float) -> None:
    """Print and log a step's loss: the first ten, then every TRAIN_LOG_EVERY-th, and the last."""
    c, p = run.setup.config, run.progress
    p.last_train_loss = loss
    # The first steps say most about whether a run is sound, so all of them are logged.
    every = c.train_log_every
    if p.step <= FIRST_STEPS_LOGGED or p.step == c.iterations or (every > 0 and p.step % every == 0):
        run.say(events.train_line(p.step, c.iterations, loss, p.train_ms))
        run.log({"step": p.step, "train_loss": loss, "train_time_ms": p.train_ms})


# Packing ------------------------------------------------------------------------------------------


def pack_and_score(run: Run) -> None:
    """Pack the weights and score what the bytes give back."""
    rounding = {k: v for feature in run.features for k, v in feature.matrix_rounding(run).items()}
    score_packed(run, pack(run.model.state_dict(), run.setup.config, rounding))


def score_packed(run: Run, packed: Packed) -> None:
    """Write, read back, load, score: what the artifact scores is what counts."""
    c, result, p = run.setup.config, run.result, run.progress
    blob, name, form = encode(packed, c.compressor), model_file(c), format_name(c)
    if run.setup.workers.leads:
        write_whole(run.out / name, blob)
        blob = (run.out / name).read_bytes()  # from the disk: a file that cannot be read back must not score

    assert result.code_bytes is not None
    result.model_bytes, result.model_file = len(blob), name
    result.model_sha256 = hashlib.sha256(blob).hexdigest()
    result.artifact_bytes = len(blob) + result.code_bytes
    # Of the steps alone: calibration reads tokens, too, but does not train on them.
    rate = p.step * c.train_batch_tokens / max(p.train_ms / 1000, 1e-9)
    run.say(f"peak memory allocated: {peak_memory_bytes(run) // 2**20} MiB")
    run.say(f"tokens_per_second:{rate:.0f}")
    run.say(f"Serialized model {form}: {len(blob)} bytes (payload:{packed.payload_bytes})")
    run.say(f"Code size: {result.code_bytes} bytes")
    run.say(f"Total submission size {form}: {result.artifact_bytes} bytes")
    run.say(f"headroom:{ARTIFACT_CAP_BYTES - result.artifact_bytes} bytes")

    # Back through the codec and the quantizer, as the referee of the challenge would read it.
    load_into(run.model, decode(blob, name, c.compressor), name)
    before = p.scores[-1] if p.scores else None
    scored = score_validation(run)
    keep_artifact_score(run, "round_trip", f"final_{form.replace('+', '_')}_roundtrip", scored)
    if before:
        run.say(f"quantization_gap:{scored.val_bpb - before.val_bpb:+.6f}")
    for feature in run.features:
        feature.extra_scores(run)


# Stopping and going on ----------------------------------------------------------------------------


def checkpoint_due(run: Run, last_saved: float) -> bool:
    """Whether it is time for a checkpoint, by steps or by seconds since the last one."""
    c = run.setup.config
    # Either may be off; both off means no checkpoints.
    by_steps = c.checkpoint_every > 0 and run.progress.step % c.checkpoint_every == 0
    seconds = time.perf_counter() - last_saved
    return by_steps or (c.checkpoint_seconds > 0 and seconds >= c.checkpoint_seconds)


def save(run: Run) -> None:
    """Write a checkpoint. One rank does: weights, momenta and averages are the same on all of them."""
    if not run.setup.workers.leads:
        return
    p = run.progress
    facts = {
        "config": run.setup.config.to_env(),
        "step": p.step,
        "train_ms": p.train_ms,
        "eval_seconds": p.eval_seconds,
        "position": run.batches.position,
        "points_logged": p.points_logged,
        "last_train_loss": p.last_train_loss,
        "resumed": p.resumed,
        "data": run.setup.data,
        "wall_seconds": p.wall_seconds + time.perf_counter() - run.began,
    }
    tensors = state_tensors(run.model, run.optimizers)
    for feature in run.features:
        tensors |= feature.checkpoint_tensors()
        facts |= feature.checkpoint_facts()
    save_checkpoint(run.out / CHECKPOINT_FILE, tensors, facts)


def go_on_from_checkpoint(run: Run) -> None:
    """Go on from the checkpoint, bit for bit as if nothing had happened. Without one the run starts anew."""
    path, p = run.out / CHECKPOINT_FILE, run.progress
    if not path.exists():  # stopped before the first one was written
        cut_curve(run, 0)
        return
    tensors, facts = load_checkpoint(path)
    check_same_run(facts, run.setup)
    restore_state(tensors, run.model, run.optimizers)
    for feature in run.features:
        feature.restore(tensors, facts)
    # What lay ready but was not trained on is made again: the position counts what was handed out.
    run.batches = open_batches(run.setup, facts["position"])
    p.step, p.train_ms, p.eval_seconds = facts["step"], facts["train_ms"], facts["eval_seconds"]
    p.points_logged, p.last_train_loss = facts["points_logged"], facts["last_train_loss"]
    p.resumed, p.wall_seconds = facts["resumed"] + 1, facts["wall_seconds"]
    cut_curve(run, p.points_logged)
    if p.step > 0 and events.ends_with_val(run.out / CURVE_FILE, p.step):
        run.validated_at = p.step  # stopped right after a validation, which must not be logged twice


def cut_curve(run: Run, points: int) -> None:
    """Drop the points that come again. One rank does it, and the others wait before they look."""
    if run.setup.workers.leads:
        events.cut_curve(run.out / CURVE_FILE, points)
    if run.setup.workers.world_size > 1:
        dist.barrier()


def _refuse_used_folder(out: Path) -> None:
    """A second run would append to the first one's curve and write over its model."""
    for name in (CHECKPOINT_FILE, RESULT_FILE, CURVE_FILE):
        if (out / name).exists():
            raise CheckpointError(
                f"{out} holds {name} of an earlier run", "go on with --resume, or name another --out"
            )


# The account --------------------------------------------------------------------------------------


def account(run: Run, wall_seconds: float) -> None:
    """Put what was measured into the result. wall_seconds: of this process."""
    p, c, result = run.progress, run.setup.config, run.result
    result.steps, result.resumed, result.scores = p.step, p.resumed, p.scores
    # Calibration reads training data, so the challenge counts it as training.
    result.train_seconds = (p.train_ms + p.calibration_ms) / 1000
    result.eval_seconds = p.eval_seconds
    result.wall_seconds = p.wall_seconds + wall_seconds
    result.tokens_seen = p.step * c.train_batch_tokens
    result.last_train_loss = p.last_train_loss
    result.peak_memory_bytes = peak_memory_bytes(run)
    # Not measured is None, never 0.
    if p.step and p.train_ms:
        result.step_ms = p.train_ms / p.step
        result.tokens_per_second = result.tokens_seen / (p.train_ms / 1000)


def peak_memory_bytes(run: Run) -> int:
    """Largest memory so far: of the GPU's allocator, or of the process."""
    if run.setup.device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(run.setup.device))
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage counts bytes on macOS, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _fail(run: Run, kind: Literal["nan", "out_of_memory", "error"], message: str, step: int) -> None:
    run.result.status, run.result.stop_reason = "failed", "failure"
    run.result.failure = Failure(kind, message, step)
    print(f"failed: {message}", file=sys.stderr, flush=True)
