"""What people say of a hole: `round.toml`, what it is to try; `decision.json`, what was decided and why.

The intent is written before the hole is played. Every decision is kept; the newest one counts.
"""

from __future__ import annotations

import codecs
import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tomli_w
from pydantic import BeforeValidator, Field, StringConstraints, ValidationError

from harness.documents import MissingFile, check_model, read_model, read_toml
from harness.errors import HarnessError, UsageError
from harness.files import read_plain, write_whole
from harness.privacy import mask_page, mask_secret_settings, mask_text
from harness.records.frozen import AwareDatetime, CourseName, Date, Frozen, Int
from harness.records.prediction import Prediction
from harness.records.seed_plan import MAX_SEEDS
from harness.records.store import Hole

MAX_BYTES = 256_000  # of either file

# The closed list of kinds of play, as the caddie names them.
Strategy = Literal[
    "safe tweak", "architecture", "schedule", "optimizer", "tokenizer", "export", "long shot", "reference"
]


# A word that holes are filed under; short and plain, since it stands in columns, pages and filters.
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,30}$")]


def _as_text(value: object) -> object:
    """Accept `FP16_EMBED = true` and `MATRIX_LR = 0.03` as people write them in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class Intent(Frozen):
    """What `round.toml` says: the idea, before the run."""

    title: str = ""
    strategy: Strategy | None = None
    hypothesis: str = ""
    course: CourseName | None = None
    preset: str | None = None
    script: str | None = None  # a training script of one's own instead of the built-in trainer
    module: str | None = None  # the script as `python -m` knows it
    arguments: tuple[str, ...] = ()  # the script's command-line options
    python: str | None = None  # the interpreter that the script runs under, where it is not the harness's own
    seeds: Annotated[tuple[Int, ...], Field(max_length=MAX_SEEDS)] = ()
    parent: str | None = None
    created: Date | None = None
    tags: tuple[Tag, ...] = ()
    archived: bool = False  # not listed; its score counts as before
    former_names: tuple[str, ...] = ()  # folders that it had before, the first one first
    prediction: Prediction | None = None
    overrides: dict[str, Annotated[str, BeforeValidator(_as_text)]] = Field(default_factory=dict)


def load_intent(path: Path) -> Intent:
    """Read a `round.toml`; a missing one means nothing. Raises FileProblem with the place of a mistake."""
    try:
        raw = read_toml(path, MAX_BYTES)
    except MissingFile:
        return Intent()
    return check_model(Intent, raw, path, f"mend that line; known keys: {', '.join(Intent.model_fields)}")


def dump_intent(intent: Intent) -> str:
    """Return the text of a `round.toml`: only what is set, tables last."""
    raw: dict[str, Any] = intent.model_dump(exclude_defaults=True)
    lists = ("seeds", "arguments", "tags", "former_names")
    raw |= {name: list(raw[name]) for name in lists if name in raw}
    return tomli_w.dumps(raw)


def rewrite_intent(hole: Hole, intent: Intent, names: Collection[str]) -> None:
    """Write these keys of an intent into a hole's `round.toml`; comments and all else stay as they are.

    intent: without secrets. A value that stands there and was left out of the intent as a secret stays.
    """
    before = load_intent(hole.intent_path)
    old, new = (one.model_dump(mode="json", exclude_defaults=True) for one in (before, intent))
    masked = mask_secret_settings(before.overrides)
    if all(_same(name, old, new, masked) for name in names):
        return
    import tomlkit

    try:
        text = read_plain(hole.intent_path).removeprefix(codecs.BOM_UTF8).decode()
    except FileNotFoundError:
        text = ""
    document = tomlkit.parse(text)
    for name in sorted(names):
        if _same(name, old, new, masked):
            continue
        if name == "overrides":
            _rewrite_table(document, old.get(name, {}), new.get(name, {}), masked)
        elif name not in new:
            document.pop(name, None)
        else:
            document[name] = new[name]
    write_whole(hole.intent_path, tomlkit.dumps(document).encode())


def _same(name: str, old: dict[str, Any], new: dict[str, Any], masked: dict[str, str]) -> bool:
    if name == "overrides" and new.get(name, {}) == masked:
        return True
    return bool(old.get(name) == new.get(name))


def _rewrite_table(document: Any, old: dict[str, str], new: dict[str, str], masked: dict[str, str]) -> None:
    table = document.setdefault("overrides", {})
    for name in old.keys() - new.keys():
        del table[name]
    for name, value in new.items():
        if value not in (old.get(name), masked.get(name)):
            table[name] = value


def edit_intent(hole: Hole, **changes: Any) -> Intent:
    """Change keys of a hole's `round.toml`, and nothing else of it. Return what it says then."""
    if "title" in changes:
        changes["title"] = mask_page(changes["title"])
    intent = load_intent(hole.intent_path).model_copy(update=changes)
    rewrite_intent(hole, intent, changes.keys())
    return intent


# The decision -------------------------------------------------------------------------------------

Choice = Literal["keep", "drop", "invalid"]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Decision(Frozen):
    decision: Choice
    reason: Text
    who: Text
    when: AwareDatetime


class Decisions(Frozen):
    """All decisions on one hole, oldest first."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    history: tuple[Decision, ...] = ()

    @property
    def newest(self) -> Decision | None:
        return self.history[-1] if self.history else None


def load_decisions(path: Path) -> Decisions:
    """Read a `decision.json`; a missing one holds none. Raises FileProblem with the place of a mistake."""
    try:
        return read_model(Decisions, path, MAX_BYTES, "mend it, or restore it from git")
    except MissingFile:
        return Decisions()


def decide(hole: Hole, choice: str, reason: str, who: str, when: dt.datetime) -> Decision:
    """Add a decision to a hole's history. Raises UsageError for words that decide nothing."""
    if choice not in get_args(Choice):
        raise UsageError(f'"{choice}" is no decision', "decide keep, drop or invalid")
    try:
        words = {"reason": mask_text(reason), "who": mask_text(who)}  # git keeps the file
        decision = Decision(decision=choice, when=when, **words)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"--{first['loc'][0]}: {first['msg'].lower()}", 'say why: --reason "no gain over three seeds"'
        ) from error
    from filelock import FileLock  # brings asyncio, which `harness ls` need not wait for

    try:
        with FileLock(hole.path / ".decision.lock", timeout=10):  # two deciders: both are kept
            earlier = load_decisions(hole.decision_path)
            decisions = earlier.model_copy(update={"history": (*earlier.history, decision)})
            text = decisions.model_dump_json(by_alias=True, indent=2) + "\n"
            write_whole(hole.decision_path, text.encode())
    except OSError as error:  # no lock
        raise HarnessError(
            f"cannot write in {hole.path}: {error.strerror or error}", "check the folder's permissions"
        ) from error
    return decision


def decision_data(decision: Decision | None) -> dict[str, Any] | None:
    return None if decision is None else decision.model_dump(mode="json")
