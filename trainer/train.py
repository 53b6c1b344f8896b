"""The story of a run: train, score, pack, read back, score again. What it starts from: `trainer.setup`.

train()     the run itself; whatever happens, `result.json` says it
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
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer import events
from trainer.adapt import adapt_and_score
from trainer.artifact import (
    decode,
    encode,
    format_name,
    load_into,
    model_file,
    pack,
    write_whole,
)
from trainer.average import make_average
from trainer.build import build_model, count_params
from trainer.calibrate import calibrate
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
from trainer.evaluate import Evaluation, evaluate
from trainer.features.gpt import ExtendedGPT
from trainer.optim import make_optimizers, set_schedule
from trainer.prefetch import Batches
from trainer.progress import NotANumber, Observer, Progress, StepReport
from trainer.qat import switch_on
from trainer.result import RESULT_FILE, Failure, Result, Score, Stage
from trainer.schedule import lr_scale, muon_momentum, share_done
from trainer.setup import Setup

CURVE_FILE = "curve.jsonl"
FIRST_STEPS_LOGGED = 10
ARTIFACT_CAP_BYTES = 16_000_000  # the challenge's; what counts for a record is its course's
EXIT = {"ok": 0, "failed": 1, "stopped": 3, "nan": 4}


# Training -----------------------------------------------------------------------------------------


def train(setup: Setup, out: Path, resume: bool = False, observer: Observer | None = None) -> Result:
    """Train, score, pack and score again; write everything into `out` and return the account.

    Raises TrainerError for a checkpoint that does not fit; other failures end in the result.
    """
    began = time.perf_counter()
    run = Run(setup, out, observer or Observer())
    if resume:
        run.resume()
    elif setup.workers.leads:
        _refuse_used_folder(out)
    result = run.result
    if setup.workers.leads:
        run.curve = events.CurveLog(out / CURVE_FILE)
    try:
        with stop_signals() as stop:
            run.go(stop)
    except NotANumber as error:
        _fail(result, "nan", str(error), error.step)
    except (MemoryError, torch.OutOfMemoryError) as error:
        _fail(result, "out_of_memory", str(error) or "out of memory", run.progress.step)
    except TrainerError:
        raise
    except Exception as error:  # a record must still be written; the cause is kept in it
        traceback.print_exc()
        memory = "can't allocate memory" in str(error)
        _fail(
            result,
            "out_of_memory" if memory else "error",
            f"{type(error).__name__}: {error}",
            run.progress.step,
        )
    run.close()
    run.account(result, time.perf_counter() - began)
    if setup.workers.leads:
        result.write(out)
        if result.status == "ok":
            (out / CHECKPOINT_FILE).unlink(missing_ok=True)
    return result


def _refuse_used_folder(out: Path) -> None:
    """A second run would append to the first one's curve and write over its model."""
    for name in (CHECKPOINT_FILE, RESULT_FILE, CURVE_FILE):
        if (out / name).exists():
            raise CheckpointError(
                f"{out} holds {name} of an earlier run", "go on with --resume, or name another --out"
            )


class Run:
    """One run's moving parts."""

    def __init__(self, setup: Setup, out: Path, observer: Observer) -> None:
        c = self.c = setup.config
        self.setup, self.out, self.observer = setup, out, observer
        self.began = time.perf_counter()
        self.progress = Progress()
        self.rounded = 0  # matrices that train as the artifact will hold them
        self.curve: events.CurveLog | None = None
        random.seed(c.seed)
        np.random.seed(c.seed)
        torch.manual_seed(c.seed)
        self.model = build_model(c, setup.device, setup.autocast)
        observer.on_init(self.model)
        self.optimizers = make_optimizers(self.model, c, setup.device)
        self.average = make_average(self.model, c)
        self.batches = self._new_batches()
        self.forward: nn.Module = self.model
        if c.compile == "on":
            self.forward = torch.compile(self.model, dynamic=False, fullgraph=True)  # type: ignore[assignment]
        if setup.workers.world_size > 1:
            ids = [setup.workers.local_rank] if setup.device.type == "cuda" else None
            self.forward = nn.parallel.DistributedDataParallel(
                self.forward, device_ids=ids, broadcast_buffers=False
            )
        self.accumulation = c.accumulation(setup.workers.world_size)
        self.result = Result(
            status="ok", stop_reason="iterations", config=c.to_env(), seed=c.seed, environment=setup.environment,
            data=setup.data, params=count_params(self.model), planned_steps=c.iterations, code_bytes=setup.code_bytes,
        )  # fmt: skip

    def _new_batches(self, position: int = 0) -> Batches:
        stream = TokenStream([load_shard(path) for path in self.setup.train_paths])
        stream.position = position
        return Batches(stream, self.c, self.setup.workers, self.setup.device)

    # The story ------------------------------------------------------------------------------------

    def go(self, stop: Stop) -> None:
        """Train until the end or a stop, then score and pack."""
        c, p = self.c, self.progress
        self._introduce()
        if p.step == 0 and c.warmup_steps > 0:
            self._warm_up()
        last_saved = time.perf_counter()
        cap_ms = c.step_seconds * 1000
        stop_at: int | None = None
        if 0 < cap_ms <= p.train_ms and p.step < c.iterations:  # resumed with its time used up
            stop_at, self.result.stop_reason = p.step, "wallclock_cap"
        clock, elapsed_ms, asked = Clock(self.setup.device, p.train_ms), p.train_ms, False
        while True:
            self._switch_on_loops(elapsed_ms)
            last = p.step == c.iterations or (stop_at is not None and p.step >= stop_at)
            if last or (
                c.val_loss_every > 0 and p.step % c.val_loss_every == 0 and not self._val_logged(p.step)
            ):
                if last and self.average is not None:
                    self.average.put_into(self.model)
                    self._say(f"average:applied samples:{self.average.samples}")
                p.train_ms = clock.pause()
                self._validate(last)
                clock.start()
            if last:
                break
            if asked:
                p.train_ms = clock.pause()
                self._save()
                self.result.status, self.result.stop_reason = "stopped", "signal"
                return
            loss = self._step(elapsed_ms)
            p.step += 1
            p.train_ms, asked = self._agree(clock.now(), stop.asked)
            elapsed_ms = p.train_ms
            self._report_step(loss)
            if 0 < cap_ms <= p.train_ms and p.step < c.iterations:
                stop_at = p.step
                self.result.stop_reason = "wallclock_cap"
                self._say(
                    f"stopping_early: wallclock_cap train_time:{p.train_ms:.0f}ms step:{p.step}/{c.iterations}"
                )
            if self._checkpoint_due(last_saved):
                p.train_ms = clock.pause()
                self._save()
                last_saved = time.perf_counter()
                clock.start()
        self.observer.on_end(self.model)
        self._finish()

    def _switch_on_loops(self, elapsed_ms: float) -> None:
        """Let looped layers be passed more than once from ENABLE_LOOPING_AT of the training on."""
        model, c, step = self.model, self.c, self.progress.step
        if c.num_loops > 0 and isinstance(model, ExtendedGPT) and not model.looping:
            done = share_done(c, step, elapsed_ms)
            if done >= c.enable_looping_at:  # the clock is that of all ranks
                model.looping = True
                self._say(f"layer_loop:enabled step:{step} frac:{done:.3f} layers:{len(model.rounds)}")

    def _step(self, elapsed_ms: float) -> float:
        """One optimizer step; returns the mean loss over its micro-batches."""
        c, step = self.c, self.progress.step
        scale, momentum = lr_scale(c, step, elapsed_ms), muon_momentum(c, step)
        if c.qat_enabled and not self.rounded and scale <= c.late_qat_threshold:
            self.rounded = switch_on(self.model, c)
            self._say(f"late_qat:enabled step:{step} scale:{scale:.4f} matrices:{self.rounded}")
        total = torch.zeros((), device=self.setup.device)
        for micro in range(self.accumulation):
            if isinstance(self.forward, nn.parallel.DistributedDataParallel):
                self.forward.require_backward_grad_sync = micro == self.accumulation - 1
            x, y = self.batches.next()
            self.observer.on_batch(x, y)
            with torch.autocast(self.setup.device.type, torch.bfloat16, enabled=self.setup.autocast):
                loss = self.forward(x, y)
            total += loss.detach()
            (loss / self.accumulation).backward()
        total /= self.accumulation
        norm = None
        if c.grad_clip_norm > 0:
            norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), c.grad_clip_norm))
        elif self.observer.wants_grad_norm:
            norm = float(
                torch.nn.utils.get_total_norm([p.grad for p in self.model.parameters() if p.grad is not None])
            )
        set_schedule(self.optimizers, scale, momentum)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update(self.model, step + 1, scale)
        if self.setup.workers.world_size > 1:
            dist.all_reduce(
                total, op=dist.ReduceOp.AVG if self.setup.device.type == "cuda" else dist.ReduceOp.SUM
            )
            total = total if self.setup.device.type == "cuda" else total / self.setup.workers.world_size
        mean = float(total)
        self.observer.on_step(StepReport(step + 1, mean, norm, scale, momentum))
        if not math.isfinite(mean):
            raise NotANumber("train_loss", step + 1, mean)
        return mean

    def _warm_up(self) -> None:
        """Throw-away steps that prime compilation; weights, optimizers and data start over afterwards."""
        weights = {name: t.detach().cpu().clone() for name, t in self.model.state_dict().items()}
        batches = self._new_batches()
        for number in range(1, self.c.warmup_steps + 1):
            for _ in range(self.accumulation):
                x, y = batches.next()
                with torch.autocast(self.setup.device.type, torch.bfloat16, enabled=self.setup.autocast):
                    loss = self.forward(x, y)
                (loss / self.accumulation).backward()
            for optimizer in self.optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            if number <= 20 or number == self.c.warmup_steps:
                self._say(f"warmup_step:{number}/{self.c.warmup_steps}")
        batches.close()
        self.model.load_state_dict(weights)
        self.optimizers = make_optimizers(self.model, self.c, self.setup.device)

    def _validate(self, last: bool) -> None:
        c, p = self.c, self.progress
        scored = self._evaluate()
        self.observer.on_val(p.step, scored)
        if not math.isfinite(scored.val_loss):
            raise NotANumber("val_loss", p.step, scored.val_loss)
        self._say(events.val_line(p.step, c.iterations, scored.val_loss, scored.val_bpb, p.train_ms))
        self._log(
            {
                "step": p.step,
                "val_loss": scored.val_loss,
                "val_bpb": scored.val_bpb,
                "train_time_ms": p.train_ms,
            }
        )
        if last:
            self._keep_score("pre_quantization", "DIAGNOSTIC pre_quantization", scored)
            self._say(
                f"DIAGNOSTIC pre_quantization val_loss:{scored.val_loss:.8f} val_bpb:{scored.val_bpb:.8f}"
            )

    def _finish(self) -> None:
        """Pack, write, read back, load, score: what the artifact scores is what counts."""
        c = self.c
        grams = self._calibrate() if c.gptq_enabled else None
        packed = pack(self.model.state_dict(), c, grams)
        blob, name, form = encode(packed, c.compressor), model_file(c), format_name(c)
        path = self.out / name
        if self.setup.workers.leads:
            write_whole(path, blob)
            blob = path.read_bytes()
        result = self.result
        result.model_bytes, result.model_file = len(blob), name
        result.model_sha256 = hashlib.sha256(blob).hexdigest()
        assert result.code_bytes is not None
        result.artifact_bytes = len(blob) + result.code_bytes
        rate = self.progress.step * c.train_batch_tokens / max(self.progress.train_ms / 1000, 1e-9)
        self._say(f"peak memory allocated: {self._peak_memory() // 2**20} MiB")
        self._say(f"tokens_per_second:{rate:.0f}")
        self._say(f"Serialized model {form}: {len(blob)} bytes (payload:{packed.payload_bytes})")
        self._say(f"Code size: {result.code_bytes} bytes")
        self._say(f"Total submission size {form}: {result.artifact_bytes} bytes")
        self._say(f"headroom:{ARTIFACT_CAP_BYTES - result.artifact_bytes} bytes")
        load_into(self.model, decode(blob, name, c.compressor), name)
        before = self.progress.scores[-1]
        label = f"final_{form.replace('+', '_')}_roundtrip"
        scored = self._score("round_trip", label, self._evaluate())
        self._say(f"quantization_gap:{scored.val_bpb - before.val_bpb:+.6f}")
        if c.eval_stride > 0:
            how = f"stride:{c.eval_stride} eval_seq_len:{c.eval_length} "
            self._score("sliding_window", "final_sliding_window", self._evaluate(c.eval_stride), how)
        if c.ttt_enabled:
            scored = adapt_and_score(
                self.model, self.setup.validation, c, self.setup.device, self.setup.autocast
            )
            self.progress.eval_seconds += scored.seconds
            how = f"chunk_tokens:{c.ttt_chunk_tokens} epochs:{c.ttt_epochs} "
            self._score("test_time_training", "legal_ttt", scored, how)

    def _calibrate(self) -> dict[str, Tensor]:
        """Gather what GPTQ rounds for, from the training tokens that come next; the time is training's."""
        c, p = self.c, self.progress
        budget = c.max_wallclock_seconds - p.train_ms / 1000 if c.max_wallclock_seconds > 0 else math.inf
        clock = Clock(self.setup.device, 0.0)
        grams, batches = calibrate(self.model, lambda: self.batches.next()[0], c, self.setup.autocast, budget)
        p.calibration_ms = clock.pause()
        self._say(
            f"gptq:calibrated matrices:{len(grams)} batches:{batches}/{c.gptq_calibration_batches} "
            f"time:{p.calibration_ms:.0f}ms"
        )
        return grams

    def _score(self, stage: Stage, label: str, scored: Evaluation, how: str = "") -> Evaluation:
        """Keep and print one evaluation of the artifact. how: words about it for its log line."""
        if not math.isfinite(scored.val_loss):
            raise NotANumber("the packed model's val_loss", self.progress.step, scored.val_loss)
        self._keep_score(stage, f"{label}_exact", scored)
        for line in events.result_lines(label, scored.val_loss, scored.val_bpb, scored.seconds, how):
            self._say(line)
        return scored

    def _evaluate(self, stride: int = 0) -> Evaluation:
        w = self.setup.workers
        module = (
            self.forward.module
            if isinstance(self.forward, nn.parallel.DistributedDataParallel)
            else self.forward
        )
        scored = evaluate(
            module,
            self.setup.validation,
            self.c,
            self.setup.device,
            self.setup.autocast,
            w.rank,
            w.world_size,
            stride,
        )
        self.progress.eval_seconds += scored.seconds
        return scored

    def _keep_score(self, stage: Stage, label: str, scored: Evaluation) -> None:
        v = self.setup.validation
        score = Score(stage, label, scored.val_loss, scored.val_bpb, v.targets, v.bytes, scored.seconds)
        self.progress.scores.append(score)

    # Saying and saving ----------------------------------------------------------------------------

    def _introduce(self) -> None:
        setup, p = self.setup, self.progress
        if p.resumed:
            self._say(f"resumed from step {p.step} with {p.train_ms:.0f} ms on the clock")
            return
        for line in events.hyperparameter_lines(self.c.to_env()):
            self._say(line)
        self._say(f"Running Python {platform.python_version()}")
        self._say(f"Running PyTorch {torch.__version__}")
        self._say(
            f"device:{setup.environment['device']} {setup.environment['device_name']} dtype:{self.c.dtype}"
        )
        self._say(f"train_loader:shards:{len(setup.train_paths)} tokens:{setup.train_tokens}")
        self._say(f"val_loader:tokens:{setup.validation.targets}")
        self._say(f"model_params:{self.result.params}")
        self._say(f"world_size:{setup.workers.world_size} grad_accum_steps:{self.accumulation}")
        self._say(f"seed:{self.c.seed}")

    def _report_step(self, loss: float) -> None:
        c, p = self.c, self.progress
        p.last_train_loss = loss
        every = c.train_log_every
        if p.step <= FIRST_STEPS_LOGGED or p.step == c.iterations or (every > 0 and p.step % every == 0):
            self._say(events.train_line(p.step, c.iterations, loss, p.train_ms))
            self._log({"step": p.step, "train_loss": loss, "train_time_ms": p.train_ms})

    def _val_logged(self, step: int) -> bool:
        """A run resumed exactly where it had validated must not log that point twice."""
        return self._resumed_at == step and step > 0 and self._resumed_after_val

    _resumed_at: int | None = None
    _resumed_after_val = False

    def _log(self, point: dict[str, float]) -> None:
        self.progress.points_logged += 1
        if self.curve:
            self.curve.log(point)

    def _say(self, line: str) -> None:
        if self.setup.workers.leads:
            events.say(line)

    def _agree(self, train_ms: float, asked: bool) -> tuple[float, bool]:
        """Return the latest clock of all ranks, and whether any was asked to stop.

        The schedule and the end depend on both, so ranks that differ would train different models.
        """
        if self.setup.workers.world_size == 1:
            return train_ms, asked
        both = torch.tensor([train_ms, float(asked)], dtype=torch.float64, device=self.setup.device)
        dist.all_reduce(both, op=dist.ReduceOp.MAX)
        return float(both[0]), bool(both[1])

    def _checkpoint_due(self, last_saved: float) -> bool:
        c = self.c
        by_steps = c.checkpoint_every > 0 and self.progress.step % c.checkpoint_every == 0
        return by_steps or (
            c.checkpoint_seconds > 0 and time.perf_counter() - last_saved >= c.checkpoint_seconds
        )

    def _save(self) -> None:
        if not self.setup.workers.leads:
            return
        meta = {
            "config": self.c.to_env(), "step": self.progress.step, "train_ms": self.progress.train_ms,
            "eval_seconds": self.progress.eval_seconds, "position": self.batches.position,
            "points_logged": self.progress.points_logged, "last_train_loss": self.progress.last_train_loss,
            "averaged": self.average.samples if self.average else 0,
            "resumed": self.progress.resumed, "data": self.setup.data,
            "wall_seconds": self.progress.wall_seconds + time.perf_counter() - self.began,
        }  # fmt: skip
        tensors = state_tensors(self.model, self.optimizers, self.average)
        save_checkpoint(self.out / CHECKPOINT_FILE, tensors, meta)

    def resume(self) -> None:
        """Go on from the checkpoint, bit for bit as if nothing had happened. Without one the run starts anew."""
        path = self.out / CHECKPOINT_FILE
        if not path.exists():
            self._cut_curve(0)
            return
        tensors, meta = load_checkpoint(path)
        check_same_run(meta, self.setup)
        restore_state(tensors, self.model, self.optimizers, self.average, meta["averaged"])
        self.batches = self._new_batches(meta["position"])
        p = self.progress
        p.step, p.train_ms, p.eval_seconds = meta["step"], meta["train_ms"], meta["eval_seconds"]
        p.points_logged, p.last_train_loss = meta["points_logged"], meta["last_train_loss"]
        p.resumed, p.wall_seconds = meta["resumed"] + 1, meta["wall_seconds"]
        self._cut_curve(p.points_logged)
        self._resumed_at = p.step
        self._resumed_after_val = events.ends_with_val(self.out / CURVE_FILE, p.step)

    def _cut_curve(self, points: int) -> None:
        """Drop the points that come again. One rank does it, and the others wait before they look."""
        if self.setup.workers.leads:
            events.cut_curve(self.out / CURVE_FILE, points)
        if self.setup.workers.world_size > 1:
            dist.barrier()

    def close(self) -> None:
        self.batches.close()
        if self.curve:
            self.curve.close()

    def account(self, result: Result, wall_seconds: float) -> None:
        """Put what was measured into the result."""
        p, c = self.progress, self.c
        result.steps, result.resumed, result.scores = p.step, p.resumed, p.scores
        result.train_seconds = (p.train_ms + p.calibration_ms) / 1000
        result.eval_seconds = p.eval_seconds
        result.wall_seconds = p.wall_seconds + wall_seconds
        result.tokens_seen = p.step * c.train_batch_tokens
        result.last_train_loss = p.last_train_loss
        result.peak_memory_bytes = self._peak_memory()
        if p.step and p.train_ms:
            result.step_ms = p.train_ms / p.step
            result.tokens_per_second = result.tokens_seen / (p.train_ms / 1000)

    def _peak_memory(self) -> int:
        if self.setup.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.setup.device))
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _fail(result: Result, kind: Any, message: str, step: int) -> None:
    result.status, result.stop_reason = "failed", "failure"
    result.failure = Failure(kind, message, step)
    print(f"failed: {message}", file=sys.stderr, flush=True)
