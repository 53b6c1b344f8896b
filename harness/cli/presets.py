"""`harness presets` and `harness courses`: what a run can start from, and what it can predict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness import figures
from harness.cli.app import Json, PlainCommand, Runs, app, check_runs, print_json, report_problems
from harness.cli.completion import PRESET_MEANINGS
from harness.cli.terminal import print_table
from harness.errors import UsageError, nearest

if TYPE_CHECKING:
    from harness.courses.course import Course

_SHOWN = ("MODEL_DIM", "NUM_LAYERS", "TRAIN_SEQ_LEN", "TRAIN_BATCH_TOKENS", "ITERATIONS")


@app.command(cls=PlainCommand, short_help="List the presets")
def presets(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One preset, with all that it sets.")] = "",
    as_json: Json = False,
) -> None:
    """List the presets of the built-in trainer: settings to start from, with `harness run --preset NAME`."""
    from trainer.presets import PRESETS

    if name and name not in PRESETS:
        close = nearest(name, PRESETS)
        raise UsageError(
            f'no preset is called "{name}"',
            (f"did you mean {close}? " if close else "") + "`harness presets` lists all of them",
        )
    data = [_preset_data(one) for one in PRESETS if name in ("", one)]
    if as_json:
        print_json("presets", presets=data)
    elif name:
        rows = [(knob, value) for knob, value in data[0]["settings"].items()]
        typer.echo(f"{name}: {data[0]['meaning']}")
        print_table(("knob", "value"), rows or [("all", "as `harness knobs` lists them")])
    else:
        headings = ("preset", "width", "layers", "context", "batch", "steps", "what it is for")
        rows = [(one["name"], *(one["values"][knob] for knob in _SHOWN), one["meaning"]) for one in data]
        print_table(headings, rows, right=range(1, 6))


def _preset_data(name: str) -> dict[str, Any]:
    """Return a preset. settings: what it sets; values: of the knobs that the table shows, set or not."""
    from trainer.config import KNOBS
    from trainer.presets import PRESETS

    settings = PRESETS[name]
    return {
        "name": name,
        "meaning": PRESET_MEANINGS.get(name, ""),
        "settings": settings,
        "values": {knob: settings.get(knob, KNOBS[knob].unset) for knob in _SHOWN},
    }


@app.command(cls=PlainCommand, short_help="List the courses")
def courses(
    runs: Runs = Path("runs"),
    as_json: Json = False,
) -> None:
    """List the courses, shipped ones and those of this season: what is predicted, its caps, par and record.

    Play one with `harness run HOLE --course NAME`; `harness data prepare` makes one of your own text.
    """
    from harness.courses.course import course_names, load_course
    from harness.errors import HarnessError
    from harness.season.season import summarise_season

    check_runs(runs)
    problems: list[str] = []
    found: list[Course] = []
    for name in course_names(runs):
        try:
            found.append(load_course(name, runs, problems))
        except HarnessError as error:
            problems.append(error.message)
    holes = summarise_season(runs).holes
    data = [_course_data(one, sum(hole.course == one.name for hole in holes), runs) for one in found]
    if as_json:
        print_json("courses", courses=data, problems=problems)
    else:
        headings = ("course", "holes", "par", "best published", "cap", "what is predicted")
        rows = [
            (
                one["name"],
                str(one["holes"]),
                figures.bpb(one["par"]) if one["par"] is not None else "first hole",
                figures.bpb(one["sota"]) if one["sota"] is not None else "none",
                figures.megabytes(one["cap_bytes"]),
                one["what"],
            )
            for one in data
        ]
        print_table(headings, rows, right=range(1, 5))
    report_problems(problems, False)


def _course_data(course: Course, holes: int, runs: Path) -> dict[str, Any]:
    sota = min((row.val_bpb for row in course.field), default=None)
    return {
        "name": course.name,
        "title": course.title,
        "what": course.what,
        "own": (runs / "courses" / f"{course.name}.toml").is_file(),
        "holes": holes,
        "par": course.par.val_bpb if course.par else None,
        "sota": sota,
        "cap_bytes": course.caps.artifact_bytes,
        "noise_std_bpb": course.noise_std,
        "splits": [split.name for split in course.splits],
    }
