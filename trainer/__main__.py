"""`python -m trainer --out DIR [--resume]`, or `--check`: knobs come from the environment.

`--weights FILE` or `--artifact FILE` packs and scores what was trained before, and trains nothing.

Exit codes: 0 done, 1 failed, 2 a wrong setting or missing data, 3 stopped by a signal, 4 the loss was no
number.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from trainer.config import Config, load_config
from trainer.errors import TrainerError
from trainer.names import resolve_aliases


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path(), help="folder for curve, checkpoint, artifact and result"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in that folder")
    parser.add_argument(
        "--check", action="store_true", help="check settings and data, print the plan as JSON"
    )
    parser.add_argument(
        "--weigh", action="store_true", help="print the size of the untrained artifact as JSON"
    )
    parser.add_argument("--workers", type=int, help="with --check: for this many processes")
    parser.add_argument(
        "--code-bytes",
        type=int,
        help="bytes of code to count with the model; all of the trainer if not given",
    )
    parser.add_argument("--weights", type=Path, help="pack and score these weights instead of training")
    parser.add_argument("--artifact", type=Path, help="score this artifact instead of training")
    parser.add_argument("--steps", type=int, default=0, help="with --artifact: those of its training")
    parser.add_argument("--train-seconds", type=float, default=0.0, help="the time of its training")
    arguments = parser.parse_args()
    try:
        env, notices = resolve_aliases(os.environ)
        for notice in notices:
            print(f"note: {notice}", file=sys.stderr)
        config = load_config(env)
        config.check(arguments.workers or int(os.environ.get("WORLD_SIZE", "1")))
        return _run(arguments, config)
    except TrainerError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace, config: Config) -> int:
    """Import torch only now: a wrong setting is told at once."""
    # Seconds, of which a typing error in a knob shall cost none.
    import torch

    from trainer.kept import Kept, evaluate_kept, keep_weights
    from trainer.setup import Workers, describe, prepare, start_torch, weigh_untrained
    from trainer.train import EXIT, train

    workers = Workers.of(dict(os.environ))
    if arguments.weigh:
        print(json.dumps({"untrained_bytes": weigh_untrained(config)}))
        return 0
    if arguments.check:
        planned = Workers(world_size=arguments.workers or workers.world_size)
        print(json.dumps(describe(prepare(config, planned)), indent=2))
        return 0
    # Before prepare, which records the switches that it sets.
    start_torch(config, workers)
    setup = prepare(config, workers, arguments.code_bytes)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.weights:
        kept = Kept(arguments.weights.resolve(), train_seconds=arguments.train_seconds)
        result = evaluate_kept(setup, arguments.out, kept)
    elif arguments.artifact:
        kept = Kept(arguments.artifact.resolve(), True, arguments.steps, arguments.train_seconds)
        result = evaluate_kept(setup, arguments.out, kept)
    else:
        observer = keep_weights() if config.keep_weights else None
        result = train(setup, arguments.out, arguments.resume, observer)
    if workers.world_size > 1:
        # gloo aborts a process whose peers have left before it takes its threads down.
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
    if result.failure is not None and result.failure.kind == "nan":
        return EXIT["nan"]
    return EXIT[result.status]


if __name__ == "__main__":
    sys.exit(main())
