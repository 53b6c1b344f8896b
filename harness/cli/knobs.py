"""harness knobs: what can be overridden."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.app import Json, PlainCommand, app, print_json, warn
from harness.cli.completion import complete_knob_name
from harness.cli.terminal import print_table
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.scripts.arguments import ScriptOption


# The groups of the trainer's configuration: heading and the first knob of each, in its order.
_GROUPS = {
    "DATA_PATH": "data",
    "EVAL_SEQ_LEN": "evaluation",
    "RUN_ID": "run",
    "NUM_LAYERS": "model",
    "EMBED_LR": "optimizers and schedule",
    "EMA_DECAY": "averages and rounding in training",
    "FP16_EMBED": "artifact",
    "DEVICE": "machine",
}


@app.command(cls=PlainCommand, short_help="List the knobs and what they do")
def knobs(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="[WORD]",
            help="Only knobs with this word in a name of theirs.",
            autocompletion=complete_knob_name,
        ),
    ] = "",
    script: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="Those that a training script reads.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the trainer's knobs: type, default, range, meaning, other names, and what public scripts mean by
    the name where that is something else; or the knobs and command-line options of a script, read off its
    source."""
    from harness.run.request import unknown_name
    from trainer.config import KNOBS
    from trainer.names import ALIASES

    if script is not None:
        _list_script_knobs(script, pattern, as_json)
        return
    word = pattern.strip().upper()
    meant = {ours for alias, ours in ALIASES.items() if word in alias}
    matches = [knob for name, knob in KNOBS.items() if word in name or name in meant]
    if not matches:
        elsewhere = unknown_name(word)
        raise UsageError(
            f'no knob has "{pattern}" in its name',
            (f"{elsewhere}; " if elsewhere else "") + "`harness knobs` lists all of them",
        )
    if as_json:
        print_json("knobs", knobs=[_knob_data(knob) for knob in matches])
        return
    grouped: dict[str, list[tuple[str, ...]]] = {}
    for d in map(_knob_data, matches):
        row = (d["name"], d["default"], d["unit"], d["range"], d["acts"], _explain(d))
        grouped.setdefault(d["group"], []).append(row)
    print_table(("knob", "default", "unit", "range", "acts in", "meaning"), grouped)


def _list_script_knobs(path: Path, pattern: str, as_json: bool) -> None:
    from harness.scripts.knobs import read_script
    from harness.scripts.options import read_options
    from harness.scripts.snapshot import take_snapshot

    texts = take_snapshot(path).texts()
    script, taken = read_script(texts), read_options(texts)
    word = pattern.upper()
    matches = [knob for name, knob in sorted(script.knobs.items()) if word in name.upper()]
    options = [o for o in (*taken.options.values(), *taken.bare) if word.replace("_", "-") in _folded(o)]
    if not matches and not options and not script.dynamic and not taken.unclear:
        what = (
            f'no knob or option with "{pattern}" in its name'
            if pattern
            else "no environment variable and no option at all"
        )
        everything = f"`harness knobs --script {shlex.quote(str(path))}` lists all of them"
        raise UsageError(
            f"{path} reads {what}", everything if pattern else "docs/script.md says what is read"
        )
    if as_json:
        rows = [
            {
                "name": k.name,
                "type": k.kind,
                "default": k.default,
                "file": k.file,
                "line": k.line,
                "read_with": k.how,
                "spelling": k.spelling,
            }
            for k in matches
        ]
        unchecked = list(script.unclear)
        print_json(
            "knobs",
            script=str(path),
            knobs=rows,
            unchecked=unchecked,
            options=[asdict(option) for option in options],
            commands=list(taken.commands),
            unchecked_options=list(taken.unclear),
        )
        return
    if matches:
        print_table(
            ("knob", "default", "type", "read in", "with"),
            [
                (k.name, k.default if k.default is not None else "computed or none", k.kind, k.place, k.how)
                for k in matches
            ],
        )
    if options:
        print_table(("option", "default", "type", "taken in", "help"), [_option_row(o) for o in options])
    if taken.commands:
        print(f"commands: {', '.join(taken.commands)}")
    for what in script.unclear:
        warn(f"unchecked: {what}; names it reads there are not listed")
    for what in taken.unclear:
        warn(f"unchecked: {what}; options it takes there are not listed")


def _folded(option: ScriptOption) -> str:
    return " ".join((option.name, *option.others)).upper().replace("_", "-")


def _option_row(option: ScriptOption) -> tuple[str, ...]:
    """Return an option's spellings, default, type with its choices, place and help."""
    spellings = [option.name, *option.others, *([option.off] if option.off else [])]
    default = "required" if option.required else "none"
    words = {"1": "", "0": "", "?": ", may be left out"}.get(option.takes, ", several words")
    return (
        ", ".join(spellings),
        option.default if option.default is not None else default,
        ("one of " + ", ".join(option.choices) if option.choices else option.kind) + words,
        option.place,
        option.help,
    )


def _explain(data: dict[str, Any]) -> str:
    """Return a knob's meaning, and below it its other names and what public scripts mean by any of them."""
    lines = [data["meaning"]]
    if data["other_names"]:
        lines.append(f"also: {', '.join(data['other_names'])}")
    if data["usual_default"]:
        lines.append(f"public scripts, where it is not set: {data['usual_default']}")
    lines += [
        text if name == data["name"] else f"{name}: {text}" for name, text in data["public_scripts"].items()
    ]
    return "\n".join(lines)


def _group_of(name: str) -> str:
    """Return the group of a knob: the last one that begins before it."""
    from trainer.config import KNOBS

    order = list(KNOBS)
    begun = [first for first in _GROUPS if order.index(first) <= order.index(name)]
    return _GROUPS[begun[-1]]


def _knob_data(knob: Any) -> dict[str, Any]:
    """Return what there is to know of a knob, for machines.

    public_scripts: by name, its own or another one, what public scripts mean by it where that differs.
    usual_default: what they mostly play where it is not set, if that differs.
    """
    from trainer.meanings import MEANINGS, USUAL
    from trainer.names import ALIASES

    others = [alias for alias, ours in ALIASES.items() if ours == knob.name]
    return {
        "name": knob.name,
        "group": _group_of(knob.name),
        "type": knob.type_name,
        "default": knob.unset,
        "unit": knob.unit,
        "range": knob.range_text,
        "acts": knob.acts,
        "meaning": knob.meaning,
        "other_names": others,
        "usual_default": USUAL.get(knob.name, ""),
        "public_scripts": {name: MEANINGS[name] for name in (knob.name, *others) if name in MEANINGS},
    }
