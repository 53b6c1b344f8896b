"""Every score that a log prints, under whatever label: what proves a number that somebody claims.

Which of them is the run's official score is the log parser's question; here a claim is looked for to the
digits it has, rounded as honest people round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.field.log_events import Event, StepLine, TrainLine, ValLine, to_text
from harness.field.log_parser import parse_log
from harness.files import open_file

FEWEST_PLACES = 4  # of a score that can be told from another one
# Half a unit of the last place, and a little for those who cut a mean off; from six places on, one unit.
_HALF, _WHOLE = 0.6, 1.01

_BPB = re.compile(
    rb"(?:bpb|bits[ _-]?per[ _-]?byte)\w{0,20}[\"']?\s{0,3}[:=|]?\s{0,12}(\d\.\d{3,16})(?!\d)", re.IGNORECASE
)
_LONG = re.compile(rb"(?<![\d.])(\d\.\d{6,16})(?!\d)")
_PROGRESS = re.compile(
    rb"running|chunk|train_loss|batch\s{0,2}\d|\[\s{0,4}\d+(?:\.\d+)?\s?%?[/\]]|\bbb:|\b(?:gap|delta|diff)",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(
    rb"(?:\b|_)(?:sota|target|goal|leaderboard|threshold|to[ _]beat)(?:\b|_)", re.IGNORECASE
)
_STEP = re.compile(rb"(?:^|\s)(?:step[: ]\s?)?\d{1,9}/\d{1,9}[ :]|step[: ]\s?\d")
_BEFORE_PACKING = re.compile(r"(?<![a-z])(?:pre|raw|fp\d*|float\w*|bf16|unquant\w*)", re.IGNORECASE)


@dataclass(frozen=True)
class PrintedScore:
    """A score in a line of a log. label: the line's words before it. of_artifact: not before quantization."""

    log: str
    line: int
    label: str
    value: float
    places: int
    of_artifact: bool

    def __str__(self) -> str:
        return f"line {self.line} of {self.log} ({self.label})"


def read_printed_scores(log: Path, name: str) -> tuple[PrintedScore, ...]:
    """Return the scores that a log prints after its first step, in order; without progress, differences,
    and the scores of others that it names to compare with.

    name: what the log is called in sentences.
    """
    first = _FirstStep()
    run = parse_log(log, first).result
    stages = {line.line: line.stage for line in run.results} if run else {}
    scores: list[PrintedScore] = []
    with open_file(log) as file:
        for number, raw in enumerate(file, start=1):
            line = raw[:1000]
            if number < first.line or _PROGRESS.search(line):
                continue
            in_step = _STEP.search(line) is not None
            end = 0
            for match in _matches(line):
                words, end = line[end : match.end()], match.end()
                if _OF_OTHERS.search(words):
                    continue
                label = "validation in training" if in_step else _label(line[: match.start()])
                before = in_step or stages.get(number) == "pre_quantization"
                before = before or (number not in stages and _BEFORE_PACKING.search(label) is not None)
                text = match[1].decode()
                places = len(text.partition(".")[2])
                scores.append(PrintedScore(name, number, label, float(text), places, not before))
    return tuple(scores)


def _matches(line: bytes) -> Iterator[re.Match[bytes]]:
    yield from _BPB.finditer(line)
    if not _BPB.search(line):
        yield from _LONG.finditer(line)


def _label(before: bytes) -> str:
    """`final_int6_sliding_window_exact`, or the words before a number that no `key:` begins."""
    text = re.split(r"\bval_(?:loss|bpb)\b", to_text(before), maxsplit=1)[0].strip(" \t,;:=|\"'")
    return text[-60:] or "a line with no label"


class _FirstStep:
    """Remembers the line of the first step; scores before it are settings or source code."""

    def __init__(self) -> None:
        self.line = 0

    def __call__(self, event: Event) -> None:
        if not self.line and isinstance(event, TrainLine | ValLine | StepLine):
            self.line = event.line


def places_of(claim: float) -> int:
    """Return how many places a claim has; a file drops the zeros at its end, so four at least are meant."""
    return max(FEWEST_PLACES, len(repr(claim).partition(".")[2])) if "e" not in repr(claim) else 16


def states(claim: float, value: float, places: int = 16) -> bool:
    """Whether a value, printed with so many places, is a claim to the fewer places of the two."""
    common = min(places_of(claim), places)
    if common < FEWEST_PLACES:
        return False
    return abs(claim - value) <= (_HALF if common < 6 else _WHOLE) * 10.0**-common
