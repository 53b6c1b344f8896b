"""Stands in for `python -m trainer`: the same words, environment, lines, files and exit codes, in
milliseconds.

    python fake_trainer.py --out DIR [--resume | --weights FILE | --artifact FILE] | --check | --weigh

It imports no torch and trains nothing: its loss is a formula of step, seed and settings. FAKE_TRAINER in the
environment makes it end in another way at its third step: nan, memory, crash, silent, torn, kill, big, wait
(until it is asked to stop) or deaf (until it is killed); `nan@43` does so with seed 43 alone.
`tests/trainer/test_fake.py` compares what it writes with the real one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from trainer.config import load_config
from trainer.errors import TrainerError
from trainer.names import resolve_aliases

VAL_TOKENS, VAL_BYTES = 1000, 2500
CODE_BYTES = 50_000  # when the harness counts none itself
MODEL_BYTES = 20_000
BIG_BYTES = 16_000_000
CHECKPOINT, CURVE, WEIGHTS = "checkpoint.safetensors", "curve.jsonl", "weights.safetensors"
DATA = {
    "val_tokens": VAL_TOKENS,
    "val_bytes": VAL_BYTES,
    "val_sha256": "0" * 64,
    "train_tokens": 90_000,
    "train_fingerprint": "1" * 64,
    "tokenizer_sha256": "2" * 64,
}
stop = False


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--weigh", action="store_true")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--code-bytes", type=int, default=CODE_BYTES)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--artifact", type=Path)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--train-seconds", type=float)
    words = parser.parse_args()
    try:
        config = load_config(resolve_aliases(os.environ)[0])
        config.check(words.workers or 1)
    except TrainerError as error:
        print(f"error: {error.message}\nhint: {error.hint}", file=sys.stderr)
        return 2
    settings = config.to_env()
    if words.check:
        sizes = {"model_bytes": MODEL_BYTES, "forecast_bytes": MODEL_BYTES + CODE_BYTES}
        print(json.dumps({"params": 123, "config": settings, "data": DATA, "gpu_bytes": None, **sizes}))
        return 0
    if words.weigh:
        print(json.dumps({"untrained_bytes": MODEL_BYTES}))
        return 0
    return Attempt(settings, words).play()


class Attempt:
    """One run, from its first or from its resumed step to its result."""

    def __init__(self, settings: dict[str, str], words: argparse.Namespace) -> None:
        self.settings, self.out, self.code_bytes = settings, words.out, words.code_bytes
        self.kept = words.weights or words.artifact
        self.packed = words.artifact is not None
        self.steps = int(settings["ITERATIONS"])
        self.fate, _, seed = os.environ.get("FAKE_TRAINER", "").partition("@")
        if seed and seed != settings["SEED"]:
            self.fate = ""
        self.began = int((self.out / CHECKPOINT).read_text()) if words.resume else 0
        unlike = {name: value for name, value in settings.items() if name not in ("ITERATIONS", "RUN_ID")}
        digest = hashlib.sha256(json.dumps(unlike, sort_keys=True).encode()).digest()
        self.offset = int.from_bytes(digest[:4], "big") / 2**32 / 10

    def play(self) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if self.fate == "deaf" else ask_to_stop)
        print(f"model_params:123\nworld_size:1 grad_accum_steps:8\nseed:{self.settings['SEED']}", flush=True)
        if self.began:
            print(f"resumed from step {self.began} with {100 * self.began} ms on the clock", flush=True)
        if self.kept:
            print(f"evaluating {self.kept.name}: {len(self.kept.read_bytes())} bytes", flush=True)
            return self.finish()
        for step in range(self.began + 1, self.steps + 1):
            loss = self.loss(step)
            ms = 100 * step
            print(
                f"step:{step}/{self.steps} train_loss:{loss:.4f} train_time:{ms}ms step_avg:100.00ms",
                flush=True,
            )
            with (self.out / CURVE).open("a") as curve:
                curve.write(json.dumps({"step": step, "train_loss": loss, "train_time_ms": float(ms)}) + "\n")
            (self.out / CHECKPOINT).write_text(str(step))
            if step == 3 and (code := self.meet_fate(step)) is not None:
                return code
        return self.finish()

    def loss(self, step: int) -> float:
        return 2.0 + 5.0 / (step + 1) + self.offset

    def meet_fate(self, step: int) -> int | None:
        """Return the exit code of a run that ends here, None when it goes on."""
        if self.fate == "nan":
            return self.fail("nan", f"the loss is nan at step {step}", step, 4)
        if self.fate == "memory":
            return self.fail("out_of_memory", "out of memory", step, 1)
        if self.fate == "crash":
            raise RuntimeError("the fake trainer was asked to crash")
        if self.fate == "silent":
            return 0
        if self.fate == "torn":
            (self.out / "result.json").write_text('{"status": "o')
            return 0
        if self.fate == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        while self.fate in ("wait", "deaf") and not stop:
            time.sleep(0.01)
        if stop:
            self.write("stopped", "signal", step)
            return 3
        return None

    def fail(self, kind: str, message: str, step: int, code: int) -> int:
        self.write("failed", "failure", step, failure={"kind": kind, "message": message, "step": step})
        return code

    def finish(self) -> int:
        loss = self.loss(self.steps)
        model = bytes(BIG_BYTES if self.fate == "big" else MODEL_BYTES)
        codec = self.settings["COMPRESSOR"]
        (self.out / f"model.{codec}").write_bytes(model)
        (self.out / CHECKPOINT).unlink(missing_ok=True)
        weights = {}
        if self.settings["KEEP_WEIGHTS"] == "true" and not self.kept:
            content = f"weights of seed {self.settings['SEED']}".encode()
            (self.out / WEIGHTS).write_bytes(content)
            weights = {"weights_file": WEIGHTS, "weights_sha256": hashlib.sha256(content).hexdigest()}
        scores = [
            self.score("pre_quantization", "DIAGNOSTIC pre_quantization", loss),
            self.score("round_trip", f"final_int8_{codec}_roundtrip_exact", loss + 0.01),
        ][1 if self.packed else 0 :]
        for score in scores:
            print(
                f"{score['label']} val_loss:{score['val_loss']:.8f} val_bpb:{score['val_bpb']:.8f}",
                flush=True,
            )
        self.write(
            "ok",
            "iterations",
            self.steps,
            scores=scores,
            code_bytes=self.code_bytes,
            model_bytes=len(model),
            artifact_bytes=self.code_bytes + len(model),
            model_file=f"model.{codec}",
            model_sha256=hashlib.sha256(model).hexdigest(),
            **weights,
        )
        return 0

    def score(self, stage: str, label: str, loss: float) -> dict[str, Any]:
        bpb = loss / 0.6931471805599453 * VAL_TOKENS / VAL_BYTES
        sizes = {"tokens": VAL_TOKENS, "bytes": VAL_BYTES, "seconds": 0.5}
        return {"stage": stage, "label": label, "val_loss": loss, "val_bpb": bpb} | sizes

    def write(self, status: str, reason: str, steps: int, **more: Any) -> None:
        """Write the account of the run as `trainer.result.Result` does."""
        account: dict[str, Any] = {
            "status": status,
            "stop_reason": reason,
            "config": self.settings,
            "seed": int(self.settings["SEED"]),
            "environment": {
                "python": "3.11.7",
                "torch": "2.13.0",
                "device": "none",
                "threads": 1,
                "world_size": 1,
            },
            "data": DATA,
            "failure": None,
            "params": 123,
            "steps": steps,
            "planned_steps": self.steps,
            "train_seconds": 0.1 * steps,
            "step_ms": 100.0,
            "tokens_seen": 1024 * steps,
            "tokens_per_second": 10240.0,
            "wall_seconds": 0.1 * steps + 1,
            "eval_seconds": 0.5,
            "peak_memory_bytes": 1_000_000,
            "last_train_loss": self.loss(steps),
            "scores": [],
            "code_bytes": None,
            "model_bytes": None,
            "artifact_bytes": None,
            "model_file": None,
            "model_sha256": None,
            "weights_file": None,
            "weights_sha256": None,
            "resumed": 1 if self.began else 0,
            "schema": 1,
        }
        (self.out / "result.json").write_text(json.dumps(account | more, indent=2) + "\n")


def ask_to_stop(signum: int, frame: object) -> None:
    global stop
    stop = True


if __name__ == "__main__":
    sys.exit(main())
