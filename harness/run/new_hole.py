"""A hole that is made before it is played: its number, the settings it inherits, `round.toml`, `notes.md`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from harness.courses.course import load_course
from harness.errors import UsageError, nearest
from harness.files import write_whole
from harness.privacy import mask_page
from harness.records.intent import Intent, Strategy, dump_intent, load_intent
from harness.records.notes import EMPTY_NOTES
from harness.records.prediction import Prediction
from harness.records.private import private_intent
from harness.records.references import clean_reference, is_public
from harness.records.store import Hole, Store, slugify
from harness.run.request import parse_overrides
from harness.season.aliases import next_number

# What a hole takes over from the one that it varies: how it is played, not what it is about.
INHERITED = ("course", "preset", "script", "module", "arguments", "python", "seeds", "overrides")


@dataclass(frozen=True)
class NewHole:
    """What `harness new` was asked for. inherit: a hole whose settings it starts from."""

    title: str
    hypothesis: str = ""
    strategy: str | None = None
    inherit: str | None = None
    parent: str | None = None
    prediction: Prediction | None = None
    course: str | None = None
    preset: str | None = None
    script: Path | None = None
    overrides: Sequence[str] = field(default_factory=tuple)


def inherited_intent(store: Store, reference: str) -> Intent:
    """Return the settings of a hole as those of a new one, with that hole as the parent."""
    source = store.get(reference)
    intent = load_intent(source.intent_path)
    changes = {name: getattr(intent, name) for name in INHERITED}
    if intent.script and (source.path / intent.script).is_file() and not Path(intent.script).is_file():
        changes["script"] = f"../{source.name.folder}/{intent.script}"  # it lies in that hole's folder
    return Intent(parent=source.name.folder, **changes)


def make_new_hole(new: NewHole, store: Store) -> Hole:
    """Make the next hole with its `round.toml` and the headings of its notes; nothing is played.

    Raises UsageError for a title without words, an unknown course, preset, strategy, parent or override.
    """
    title = " ".join(new.title.split())
    if not title:
        raise UsageError("a hole needs a title", 'say what it tries: harness new "Wider embedding"')
    intent = _intent(new, title, store)
    with store.locked():
        slug = slugify(title)
        folder = f"round_{next_number(store):03d}" + (f"_{slug}" if slug else "")
        with store.add_hole(folder, dump_intent(private_intent(intent))) as hole:
            write_whole(hole.notes_path, f"# {mask_page(title)}\n\n{EMPTY_NOTES}".encode())
    return store.get(folder)


def _intent(new: NewHole, title: str, store: Store) -> Intent:
    base = inherited_intent(store, new.inherit) if new.inherit is not None else Intent()
    if new.strategy is not None and new.strategy not in get_args(Strategy):
        close = nearest(new.strategy, get_args(Strategy))
        hint = f"did you mean {close}? " if close else ""
        raise UsageError(
            f'--strategy "{new.strategy}" is not known', f"{hint}use one of {', '.join(get_args(Strategy))}"
        )
    parent = base.parent if new.parent is None else clean_reference(new.parent, store.root)
    if parent is not None and not is_public(parent):
        parent = store.get(parent).name.folder
    if new.course is not None:
        load_course(new.course, store.root)
    if new.preset is not None:
        _check_preset(new.preset)
    script = str(new.script) if new.script is not None else base.script
    if new.script is not None and not new.script.is_file():
        raise UsageError(f"--script {new.script} is not here", "name the file of a training script")
    return base.model_copy(
        update={
            "title": title,
            "hypothesis": new.hypothesis,
            "strategy": new.strategy,
            "prediction": new.prediction,
            "parent": parent,
            "course": new.course or base.course,
            "preset": None if script else new.preset or base.preset,
            "script": script,
            "overrides": base.overrides | _settings(new.overrides, script is not None),
            "created": dt.datetime.now(dt.UTC).date(),
        }
    )


def _settings(words: Sequence[str], of_script: bool) -> dict[str, str]:
    """Read overrides; those of a script are checked against its text when it is planned."""
    if not of_script:
        return parse_overrides(words).settings
    pairs = [word.partition("=") for word in words]
    for word, (name, equals, _) in zip(words, pairs, strict=True):
        if not equals or not name.strip():
            raise UsageError(f'override "{word}" is not KEY=VALUE', "write it like MATRIX_LR=0.03")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _check_preset(name: str) -> None:
    from trainer.presets import PRESETS

    if name not in PRESETS:
        close = nearest(name, PRESETS)
        raise UsageError(
            f'preset "{name}" is not known',
            (f"did you mean {close}? " if close else "") + "`harness presets` lists all of them",
        )
