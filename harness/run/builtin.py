"""The built-in trainer, checked before it runs: settings, data, sizes.

The checks that need torch run in a process of its own.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import trainer
from harness.courses.corpus import ProgressCallback
from harness.courses.course import SPLIT_TOLERANCE, UNSCORED_TOKENS, Course
from harness.errors import HarnessError, UsageError, nearest
from harness.plain_text import plain_line
from harness.records.private import warn_of_secrets
from harness.records.record import Code, Data, recorded_config
from harness.run.command import trainer_command
from harness.run.preset_choice import Choice, choose_preset
from harness.run.request import (
    PlanInputs,
    TrainerSetup,
    choose_seeds,
    file_overrides,
    own_data,
    parse_overrides,
    practice_data,
)
from harness.run.resources import resources, shows_gpu
from harness.run.torch_install import explain_torch
from harness.scripts.git import describe_code
from harness.scripts.one_file import submission_script
from trainer.bytevocab import NAME as BYTE_VOCABULARY
from trainer.config import KNOBS, PRESETS
from trainer.names import ALIASES

KNOB_NAMES = (*KNOBS, *ALIASES)

TRAINER_FOLDER = Path(trainer.__file__).resolve().parent


def check_builtin(inputs: PlanInputs, settings: Mapping[str, str] | None = None) -> TrainerSetup:
    """Check a configuration of the built-in trainer, its data included.

    settings: of an attempt whose weights are evaluated, in place of the preset's.
    """
    request, intent, course = inputs.request, inputs.intent, inputs.course
    named = request.preset or intent.preset
    preset, reason = Choice(named) if named else choose_preset(course, shows_gpu(), resources())
    if preset not in PRESETS:
        close = nearest(preset, PRESETS)
        raise UsageError(
            f'no preset is called "{preset}"',
            (f"did you mean {close}? " if close else "") + f"known presets: {', '.join(PRESETS)}",
        )
    written = file_overrides(intent.overrides, inputs.place)
    typed = parse_overrides(request.overrides, written.settings)
    overrides = written.settings | typed.settings
    seeds = choose_seeds(request, intent, overrides.pop("SEED", None), str(KNOBS["SEED"].default))
    for seed in seeds:
        file_overrides({"SEED": str(seed)}, "--seed")

    places, course_data, split = _course_data(course, overrides, inputs.progress)
    settings = PRESETS[preset] if settings is None else settings
    knobs = file_overrides(settings, f"preset {preset}").settings | places | overrides
    _refuse_vain_thresholds(overrides, knobs)
    answer = _check_config(knobs, seeds[0], request.nproc)
    data = Data.model_validate(answer["data"] | course_data)
    code, diff = describe_code(TRAINER_FOLDER)
    counted, warnings = _count_code(answer["config"], overrides, code)
    return TrainerSetup(
        overrides=overrides,
        config=answer["config"],
        environ=answer["config"],
        hidden=frozenset(KNOB_NAMES),
        seeds=seeds,
        data=data,
        code=code,
        code_diff=diff,
        preset=preset,
        preset_reason=reason,
        split=split or _name_split(course, data),
        params=answer["params"],
        gpu_bytes=tuple(answer["gpu_bytes"]) if answer["gpu_bytes"] else None,
        code_bytes=counted,
        forecast_bytes=answer["model_bytes"] + counted if counted else answer["forecast_bytes"],
        warnings=(*dict.fromkeys((*typed.notes, *written.notes)), *warn_of_secrets(overrides), *warnings),
    )


def _refuse_vain_thresholds(overrides: dict[str, str], knobs: dict[str, str]) -> None:
    """Refuse a knob that public scripts begin something by, and that needs a switch here.

    The trainer cannot: a record's configuration holds the knob's default whether it was set or not.
    """
    for name in overrides:
        knob = KNOBS.get(name)
        if knob and knob.alone is not None and not KNOBS[knob.needs].parse(knobs.get(knob.needs, "false")):
            raise UsageError(
                f"override {name}={overrides[name]} does nothing without {knob.needs}",
                f"add -o {knob.needs}=1 to play it, or leave {name} out",
            )


def _count_code(
    config: dict[str, str], overrides: dict[str, str], code: Code
) -> tuple[int | None, tuple[str, ...]]:
    """Weigh the script that this configuration would be handed in as.

    A trainer that makes none counts whole.
    """
    try:
        return len(submission_script(recorded_config(config, overrides), code)), ()
    except HarnessError as error:
        return None, (
            f"the trainer cannot be written as one script, so all of it counts as code: {error.message}",
        )


def _course_data(
    course: Course, overrides: dict[str, str], progress: ProgressCallback
) -> tuple[dict[str, str], dict[str, Any], str | None]:
    """Return where the course's data lies (as knobs), what is known of it, and its split."""
    if course.data:
        return own_data(course, overrides), {}, None
    if course.name != "practice":
        places = {
            name: str(Path(overrides.get(name) or str(KNOBS[name].default)).expanduser().resolve())
            for name in ("DATA_PATH", "TOKENIZER_PATH")
        }
        overrides |= {name: places[name] for name in places if name in overrides}
        return places, {}, None
    return practice_data(course, overrides, progress, (BYTE_VOCABULARY,))


def _check_config(knobs: dict[str, str], seed: int, nproc: int) -> dict[str, Any]:
    """Let the trainer check a configuration and its data in a process of its own: that needs torch."""
    return _ask_trainer(knobs | {"SEED": str(seed)}, "--check", "--workers", str(nproc))


def knobs_of(trainer_folder: Path) -> frozenset[str]:
    """Return the knobs of a trainer of any commit: ours, and the fields of its `Config` by its text."""
    try:
        tree = ast.parse((trainer_folder / "config.py").read_bytes())
    except (OSError, SyntaxError, ValueError):
        return frozenset(KNOB_NAMES)
    return frozenset(KNOB_NAMES).union(
        line.target.id.upper()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == "Config"
        for line in node.body
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name)
    )


def weigh_untrained(config: dict[str, str]) -> int:
    """Return the compressed bytes of a configuration's model as it is initialised; takes a second or two."""
    return int(_ask_trainer(config, "--weigh")["untrained_bytes"])


def _ask_trainer(config: dict[str, str], *words: str) -> dict[str, Any]:
    """Start the trainer, which answers in JSON. Raises UsageError with what it says is wrong."""
    command = trainer_command(Path.cwd(), config, os.environ, KNOB_NAMES, *words)
    process = subprocess.run(
        command.argv,
        env=command.env,
        cwd=command.cwd,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if process.returncode == 0:
        answer: dict[str, Any] = json.loads(process.stdout)
        return answer
    problem = dict(
        line.split(": ", 1) for line in process.stderr.splitlines() if line.startswith(("error: ", "hint: "))
    )
    if "error" in problem:
        raise UsageError(problem["error"], problem.get("hint", ""))
    raise _explain_end(process.returncode, process.stderr)


def _explain_end(exit_code: int, stderr: str) -> HarnessError:
    """Say why the trainer ended without an answer: by its last line, a signal, or an exit code."""
    last = next(
        (f": {plain_line(line.strip())[:300]}" for line in reversed(stderr.splitlines()) if line.strip()), ""
    )
    if exit_code > 0 and (error := explain_torch(stderr)):
        return error
    if exit_code == -signal.SIGKILL:
        return HarnessError(
            f"the trainer was killed (SIGKILL) while it checked the run{last}",
            "most often the system ran out of memory: make the model smaller, or close other programs",
        )
    if exit_code < 0:
        return HarnessError(
            f"the trainer was ended by {signal.Signals(-exit_code).name} while it checked the run{last}",
            "`harness doctor` tries torch and says what is wrong with it",
        )
    what = last or " and printed nothing"
    return HarnessError(
        f"the trainer cannot start: it ended with exit code {exit_code}{what}",
        "`harness doctor` tries torch and says what is wrong with it",
    )


def _name_split(course: Course, data: Data) -> str:
    """Name the export of the validation text by its bytes; an unknown one goes by its fingerprint."""
    # Of a course's own data the end that fills no sequence may be much of a short text.
    unscored = UNSCORED_TOKENS / data.val_tokens if course.data and data.val_tokens else 0.0
    for split in course.splits:
        if data.val_bytes and abs(data.val_bytes / split.val_bytes - 1) < SPLIT_TOLERANCE + unscored:
            return split.name
    return f"unknown-{(data.val_sha256 or 'none')[:12]}"
