"""What was typed after `harness run`, and what a trainer answers when it is asked about it.

Both trainers, the built-in one (`harness.run.builtin`) and a script (`harness.run.script`), get a `Question` and answer
with a `Trainer`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.courses.course import Course, course_names
from harness.errors import UsageError
from harness.forked import aside
from harness.records.intent import Intent
from harness.records.record import Code, CodeRule, Data
from harness.scripts.snapshot import Snapshot
from trainer.bytevocab import NAME as BYTE_VOCABULARY
from trainer.bytevocab import SIZE as BYTE_VOCABULARY_SIZE

if TYPE_CHECKING:
    from harness.courses.practice import PracticeCourse

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Request:
    """What was typed after `harness run`."""

    reference: str
    overrides: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    preset: str | None = None
    course: str | None = None
    title: str = ""
    parent: str | None = None
    script: Path | None = None
    nproc: int = 1
    launcher: str | None = None
    repeat: bool = False
    allow_over_cap: bool = False
    allow_unread: bool = False


@dataclass(frozen=True)
class Trainer:
    """What a trainer says of a configuration: the built-in one, or a script.

    config: all settings, as resolved. environ: what is handed over, in the trainer's own spelling.
    hidden: variables of the shell that must not reach it. params, forecast_bytes: None when nobody can tell.
    code_bytes: of the script that our trainer would be handed in as; None for a script of one's own.
    """

    overrides: dict[str, str]
    config: dict[str, str]
    environ: dict[str, str]
    hidden: frozenset[str]
    seeds: tuple[int | None, ...]
    data: Data
    code: Code
    preset: str | None = None
    split: str | None = None
    params: int | None = None
    forecast_bytes: int | None = None
    code_bytes: int | None = None
    code_diff: str = ""
    snapshot: Snapshot | None = None
    warnings: tuple[str, ...] = ()

    @property
    def code_rule(self) -> CodeRule | None:
        """How the code will be counted; a trainer that makes no script counts whole."""
        if self.snapshot is not None:
            return None
        return "package" if self.code_bytes is None else "packed"


@dataclass(frozen=True)
class Question:
    """What a trainer is asked: the request, what round.toml says, the course."""

    request: Request
    intent: Intent
    course: Course
    place: str  # the hole's round.toml, for errors
    progress: Progress = field(default=lambda what, share: None)


def choose_seeds(request: Request, intent: Intent, overridden: str | None, default: str) -> tuple[int, ...]:
    """Seeds from the command line, else from an override, else from round.toml, else the trainer's own."""
    by_override = (int(overridden),) if overridden is not None else ()
    if request.seeds and by_override and request.seeds != by_override:
        raise UsageError(
            f"the seed is given twice: --seed {request.seeds[0]} and SEED={by_override[0]}",
            "keep one of them",
        )
    seeds = request.seeds or by_override or intent.seeds or (int(default),)
    repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if repeated:
        raise UsageError(f"seed {repeated[0]} is listed twice", "a seed shows something once; name others")
    return seeds


def practice_data(
    course: Course, overrides: Mapping[str, str], progress: Progress, vocabularies: Collection[str] = ()
) -> tuple[dict[str, str], dict[str, Any], str]:
    """Prepare the practice course's data; return where it lies, what is known of it, and its split.

    vocabularies: values of TOKENIZER_PATH under which the same text may be read.
    """
    as_bytes = overrides.get("TOKENIZER_PATH") in vocabularies
    _refuse_other_data(course, {k: v for k, v in overrides.items() if k != "TOKENIZER_PATH" or not as_bytes})
    prepared, folder = aside(_prepare_bytes if as_bytes else _prepare_practice, progress)
    places = {"DATA_PATH": str(folder), "TOKENIZER_PATH": str(prepared.tokenizer_path)}
    if as_bytes:
        places |= {"TOKENIZER_PATH": BYTE_VOCABULARY, "VOCAB_SIZE": str(BYTE_VOCABULARY_SIZE)}
    return places, {"yardsticks": prepared.yardsticks}, f"py{prepared.python}-{prepared.val_text_sha256[:12]}"


def _prepare_practice(progress: Progress, as_bytes: bool = False) -> tuple[PracticeCourse, Path]:
    """Reads the whole corpus and imports numpy: 20 MB that a process of its own takes away with it."""
    from harness.courses.practice import byte_shards, prepare_course

    course = prepare_course(progress)
    return course, byte_shards(course) if as_bytes else course.data_path


_prepare_bytes = partial(_prepare_practice, as_bytes=True)


def own_data(course: Course, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return where a course made of one's own text keeps its data, as knobs."""
    assert course.data is not None
    _refuse_other_data(course, overrides)
    return {
        "DATA_PATH": course.data.path,
        "TOKENIZER_PATH": course.data.tokenizer,
        "VOCAB_SIZE": str(course.data.vocab_size),
    }


def _refuse_other_data(course: Course, overrides: Mapping[str, str]) -> None:
    others = [name for name in course_names() if name != course.name]
    for name in ("DATA_PATH", "TOKENIZER_PATH"):
        if name in overrides:
            raise UsageError(
                f"override {name}={overrides[name]} does not fit the {course.name} course, which brings its own data",
                f"leave it out, or name the course of that data: --course {' | '.join(others)}",
            )
