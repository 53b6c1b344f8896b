"""A course of the user's own text: the data by `harness.courses.prepare`, and the file that describes it under `runs/courses`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import tomli_w

from harness.courses.corpus import CourseError
from harness.courses.course import course_names, load_course
from harness.courses.prepare import TOKENIZER, TextCourse, prepare_text
from harness.errors import HarnessError, UsageError
from harness.files import write_whole

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


def make_course(
    name: str,
    text: Path,
    target: Path,
    runs: Path,
    vocab_size: int,
    val_bytes: int | None,
    title: str,
    progress: Callable[[str, float], None],
) -> tuple[TextCourse, Path]:
    """Prepare the data in the new folder `target` and describe the course; return both.

    The course has no par and no noise figure: its first complete hole sets par, and one seed cannot be told from
    luck until several seeds of one configuration were played.
    Raises UsageError for a name that is taken or none, HarnessError for text that makes no course.
    """
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f'"{name}" is no name for a course', "use small letters, digits, dash and underscore"
        )
    if name in course_names(runs):
        raise UsageError(f'there is a course called "{name}" already', "choose another name")
    try:
        made = prepare_text(text, target, vocab_size, val_bytes, progress)
    except CourseError as error:
        raise HarnessError(error.message, error.hint) from error
    path = runs / "courses" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, tomli_w.dumps(_describe(name, title, made, path)).encode())
    return made, path


def _describe(name: str, title: str, made: TextCourse, path: Path) -> dict[str, object]:
    """The course's file. Caps are the challenge's; verdict edges those of the practice course, by hand to be mended."""
    practice = load_course("practice")
    folder = Path(os.path.relpath(made.path.resolve(), path.parent.resolve()))
    return {
        "name": name,
        "title": title or name.replace("_", " ").title(),
        "what": f"{made.val_documents} of {made.documents} documents, held out by the hash of their names",
        "caps": practice.caps.model_dump(),
        "verdicts": practice.verdicts.model_dump(mode="json"),
        "data": {
            "path": folder.as_posix(),
            "tokenizer": (folder / TOKENIZER).as_posix(),
            "vocab_size": made.vocab_size,
        },
        "splits": [{"name": made.val_text_sha256[:12], "val_bytes": made.val_bytes}],
    }
