"""`decision.json`: what was decided on a hole, by whom and why. Every decision is kept; the newest one counts."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from harness.errors import HarnessError, UsageError, first_problem
from harness.files import read_plain, write_whole
from harness.records.store import Hole

Choice = Literal["keep", "drop", "invalid"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Decision(_Data):
    decision: Choice
    reason: Text
    who: Text
    when: AwareDatetime


class Decisions(_Data):
    """All decisions on one hole, oldest first."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    history: tuple[Decision, ...] = ()

    @property
    def newest(self) -> Decision | None:
        return self.history[-1] if self.history else None


def load_decisions(path: Path) -> Decisions:
    """Read a `decision.json`; a missing file holds no decision. Raises HarnessError with the place of a mistake."""
    try:
        return Decisions.model_validate(json.loads(read_plain(path)))
    except FileNotFoundError:
        return Decisions()
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise HarnessError(f"{path}: {first_problem(error)}", "mend it, or restore it from git") from error
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{path} is not JSON: {error}", "mend it, or restore it from git") from error


def decide(hole: Hole, choice: str, reason: str, who: str, when: dt.datetime) -> Decision:
    """Add a decision to a hole's history. Raises UsageError for words that decide nothing."""
    if choice not in get_args(Choice):
        raise UsageError(f'"{choice}" is no decision', "decide keep, drop or invalid")
    try:
        decision = Decision(decision=choice, reason=reason, who=who, when=when)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"--{first['loc'][0]}: {first['msg'].lower()}", 'say why: --reason "no gain over three seeds"'
        ) from error
    from filelock import FileLock  # brings asyncio, which `harness ls` need not wait for

    try:
        with FileLock(hole.path / ".decision.lock", timeout=10):  # two deciders: both are kept
            known = load_decisions(hole.decision_path)
            kept = known.model_copy(update={"history": (*known.history, decision)})
            text = kept.model_dump_json(by_alias=True, indent=2) + "\n"
            write_whole(hole.decision_path, text.encode())
    except OSError as error:  # a lock that cannot be made or had
        raise HarnessError(
            f"cannot write in {hole.path}: {error.strerror or error}", "check the folder's permissions"
        ) from error
    return decision


def as_data(decision: Decision | None) -> dict[str, Any] | None:
    return None if decision is None else decision.model_dump(mode="json")
