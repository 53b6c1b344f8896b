"""What will be started, as data: a command line, an environment, a folder. Pure; starts nothing.

`Launch` is kept as `launch.json` before anything runs: whatever happens then, what was tried is known,
and a killed attempt can be resumed or told apart from a finished one.

The environment is the user's own without any knob, plus the whole effective configuration: a variable
forgotten in a shell cannot change a run behind its record's back.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.files import PACKAGE
from harness.records.launch import Launch, Trained
from harness.records.origin import EvaluatedFrom
from harness.run import processes

TRAINER = "trainer"  # the module that is started for the built-in trainer
_START = str(Path(__file__).with_name("start_module.py"))
# Python itself runs code that these lead to: never for the built-in trainer, whatever a shell says.
_LEADS_PYTHON = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONPYCACHEPREFIX", "PYTHONBREAKPOINT", "PYTHONINSPECT")

# Set by torchrun for its own workers; inherited by accident they make one process wait for others.
_LAUNCHER_VARIABLES = frozenset(
    {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
)


@dataclass(frozen=True)
class Command:
    """A process to start."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: Path


def trainer_command(
    out: Path,
    config: Mapping[str, str],
    inherited: Mapping[str, str],
    knobs: Iterable[str],
    *arguments: str,
    nproc: int = 1,
    launcher: str = "python",
    trainer_folder: Path = PACKAGE.parent / "trainer",
) -> Command:
    """Return the command that starts the built-in trainer.

    out: the attempt's folder, which is also where it runs.
    config: the effective configuration by environment name; paths in it must be absolute.
    inherited: the environment the harness was started in.
    knobs: every name that the trainer reads.
    arguments: more words for its command line, such as `--resume`.
    trainer_folder: the package; Python looks for it in the folder above, before anywhere else.
    Raises HarnessError for a configuration that sets anything but knobs: it may come from a file of others.
    """
    out, knobs = out.resolve(), tuple(knobs)
    refuse_other_settings(config, knobs, out)
    env = isolated(_environment(inherited, knobs, config, out), trainer_folder.parent)
    starter = () if launcher == "python" else (_START, *_torchrun(nproc))
    return Command((sys.executable, "-P", *starter, _START, TRAINER, "--out", str(out), *arguments), env, out)


def refuse_other_settings(config: Mapping[str, str], knobs: Iterable[str], attempt: Path) -> None:
    """Raise HarnessError for a configuration that sets anything but knobs."""
    strange = sorted(config.keys() - set(knobs))
    if strange:
        raise HarnessError(
            f"{attempt / 'launch.json'} sets {', '.join(strange[:5])}, which is no knob of the trainer",
            "only knobs are handed to a trainer; play a new attempt instead: `harness run HOLE --repeat`",
        )


def isolated(env: Mapping[str, str], import_first: Path | None = None) -> dict[str, str]:
    """Return an environment in which Python imports nothing from the folder it runs in, nor first from
    PYTHONPATH.

    import_first: a folder whose packages come before all others. Both go to `harness.run.start_module`.
    """
    isolated = {name: value for name, value in env.items() if name not in _LEADS_PYTHON}
    isolated["PYTHONSAFEPATH"] = "1"  # for torchrun's workers and whatever else the trainer starts
    isolated["HARNESS_IMPORT_FIRST"] = str(import_first or "")
    isolated["HARNESS_IMPORT_LAST"] = env.get("PYTHONPATH", "")
    return isolated


def isolated_python(*words: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the command line and the environment that start a module of the harness' own installation."""
    return (sys.executable, "-P", _START, *words), isolated(_absolute_paths(os.environ), PACKAGE.parent)


def kept_words(weights: Path, origin: EvaluatedFrom, trained: Trained) -> tuple[str, ...]:
    """Return the words with which the trainer evaluates weights. trained: what is known of their training."""
    path = str(weights)
    steps = trained.steps or 0
    if origin.weights == "artifact":
        seconds = trained.train_seconds or 0.0
        return "--artifact", path, "--steps", str(steps), "--train-seconds", str(seconds)
    # Of the steps alone: the calibration of a packing is made anew.
    return "--weights", path, "--train-seconds", str((trained.step_ms or 0.0) * steps / 1000)


def script_command(
    source: Path, work: Path, launch: Launch, attempt: Path, inherited: Mapping[str, str]
) -> Command:
    """Return the command that starts a script from its snapshot, in a folder of its own.

    source: the snapshot's folder. work: where it runs. attempt: the attempt's folder.
    """
    assert launch.script is not None
    handed = dict(launch.environ)
    if launch.seed is not None:
        handed["SEED"] = str(launch.seed)
    env = _environment(inherited, launch.hidden, handed, attempt.resolve())
    script = source.resolve() / launch.script
    if script.parent != source.resolve():  # its package lies beside that folder
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(source.resolve()), env.get("PYTHONPATH", "")]))
    what = ("-m", launch.module) if launch.module else (str(script),)
    starter = ("-m", *_torchrun(launch.nproc)) if launch.launcher == "torchrun" else ()
    python = launch.python or sys.executable
    return Command((python, *starter, *what, *launch.arguments), env, work.resolve())


def _environment(
    inherited: Mapping[str, str], hidden: Iterable[str], handed: Mapping[str, str], attempt: Path
) -> dict[str, str]:
    """The user's own environment without knobs or a launcher's variables, plus what is handed over."""
    without = _LAUNCHER_VARIABLES.union(hidden)
    env = _absolute_paths({name: value for name, value in inherited.items() if name not in without})
    return env | dict(handed) | {"PYTHONUNBUFFERED": "1", processes.MARK: str(attempt)}


def _absolute_paths(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment with PYTHONPATH as it is meant where the harness was started."""
    env = dict(inherited)
    if paths := env.get("PYTHONPATH"):
        env["PYTHONPATH"] = os.pathsep.join(
            str(Path(path).absolute()) for path in paths.split(os.pathsep) if path
        )
    return env


def _torchrun(nproc: int) -> tuple[str, ...]:
    """The words that start several processes on this machine."""
    return ("torch.distributed.run", "--standalone", "--nproc-per-node", str(nproc))
