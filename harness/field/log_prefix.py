"""What launchers print before a line: clocks, log levels, ranks, names of jobs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

# One blank at most is eaten after each, since hyperparameters are known by their indent.
_PREFIX = re.compile(
    rb"(?:\d{9,11}\.\d{1,9} "
    rb"|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?:?(?: [-|:])? "
    rb"|\[?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]? "
    rb"|\[(?:rank|default|worker)[ :]?(\d{1,4})\]:? ?"
    rb"|[Rr]ank ?(\d{1,4}): ?"
    rb"|(\d{1,4}): (?=step:|final_|quantized|\d+/\d|Traceback|(?:\w+\.)*\w*Error\b| )"
    rb"|\((?:\w+[ ,] ?)?(?:pid|ip|rank)=[\w.:, =-]{1,60}\) "
    rb"|\[(?:INFO|DEBUG|WARNING|ERROR|root|stdout|stderr|[a-z]{2,20}|__main__)\]:? "
    rb"|(?:INFO|DEBUG)(?::root)?(?:: ?| - | )"
    rb"){1,4}"
).match

# A clock before every line: removed from a whole block at once.
_CLOCK = rb"(?:\d{9,11}\.\d{1,9}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?Z?) (?![-|:] )"
starts_with_clock = re.compile(_CLOCK).match
_CLOCKS = re.compile(rb"\n" + _CLOCK)


def strip_clocks(block: bytes) -> bytes:
    """Take the clock off every line of a block that has one."""
    return _CLOCKS.sub(b"\n", b"\n" + block)[1:]


PREFIX_STARTS = frozenset(b"0123456789[(IDrR")


def strip_prefix(line: bytes) -> tuple[bytes, int | None]:
    """Remove time stamps, log levels and rank tags; return the rest and the rank, if there is one."""
    match = _PREFIX(line)
    if match is None:
        return line, None
    rank = match[1] or match[2] or match[3]
    return line[match.end() :], None if rank is None else int(rank)


def strip_text_prefix(line: str) -> str:
    """Remove the same from a line of text."""
    return strip_prefix(line.encode())[0].decode()


# Prefixes that no list knows ----------------------------------------------------------------------

# How lines begin that only a trainer prints, found by a word: what stands before them is a prefix. The first
# are steps; of each other word, a line is one kind.
_KNOWN: tuple[tuple[bytes, Callable[[bytes, int], re.Match[bytes] | None]], ...] = (
    (b"step:", re.compile(rb"step:\d+/\d+ [tvl]").match),
    (b"step ", re.compile(rb"step +\d+(?:/\d+)? ?(?:\(\d|\||:)").match),
    (b"iter ", re.compile(rb"iter \d+: loss").match),
    (b"seed:", re.compile(rb"seed: ?\d").match),
    (b"model_params:", re.compile(rb"model_params: ?\d").match),
    (b"world_size:", re.compile(rb"world_size: ?\d").match),
    (b"warmup_step:", re.compile(rb"warmup_step:").match),
    (b"Serialized model", re.compile(rb"Serialized model").match),
    (b"stopping_early:", re.compile(rb"stopping_early:").match),
    (b"val_loader:", re.compile(rb"val_loader:").match),
    (b"Hyperparameters:", re.compile(rb"Hyperparameters:").match),
    (b"train_loss: ", re.compile(rb"train_loss: \d").match),
)
_INSIDE = re.compile(rb"[\w\n]").match  # of a longer word, or at a line's start
_BARE_STEP = re.compile(rb"(?<![\w:/])\d+/\d+ $").search
_WORDS_ALONE = re.compile(rb"[A-Za-z \t]*$").match  # `warmup step:1/20` is another kind of step
_STEP_KINDS = 3
MAX_PREFIX_BYTES = 120
# What differs from line to line inside one prefix: numbers, levels, the place in the source.
_VARIES = re.compile(
    rb"(?P<place>[\w.<>/-]+(?:\.py|:[\w.<>]+):\d+)"
    rb"|(?P<level>\b(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|SUCCESS|TRACE)\b *)"
    rb"|(?P<number>\d+)|(?P<blanks>  +)"
)
_PATTERNS = {
    "place": rb"[\w.<>/-]{1,80}(?::[\w.<>]{1,80})?:\d{1,7}",
    "level": rb"(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|SUCCESS|TRACE) *",
    "number": rb"\d{1,20}",
    "blanks": rb" {2,60}",
}
_PLACE_AT_END = rb"[ \t]{2,200}[\w./-]{1,80}\.py:\d{1,6}[ \t]*$"  # the right column of rich
MAX_LEARN_LINES, _LEARN_BYTES = 4_096, 256 * 1024  # at the head of a file; what is learnt then is kept
MIN_LINES = 6  # fewer show no habit
_MIN_COUNT = 3


_RANK_TAG = re.compile(rb"\[?(?:rank|default|worker)[ :]?\d{1,4}\]?:? ?$").search
MAX_SHAPES = 200


class PrefixLearner:
    """Learns from the head of a log what stands before the lines of its trainer, as it is read line by line.

    head: the lines so far. pattern: of the prefixes found, each at the start of a line, and of a place in the
    source at its end, to be removed; None if there are none. done: whether no more is to be learnt. What
    `strip_prefix` knows is left to it, since it tells ranks apart.
    """

    def __init__(self) -> None:
        self.head = b""
        self.pattern: re.Pattern[bytes] | None = None
        self.done = False
        self._lines = 0
        self._due = MIN_LINES  # at how many lines it is looked at again, however the log comes in pieces
        self._shapes: dict[bytes, Counter[int]] = {}  # pattern of a prefix -> kinds of lines after it
        self._learnt: set[bytes] = set()

    def split(self, data: bytes) -> int:
        """Return how many bytes of a block of whole lines can be added before it is looked at again."""
        end = 0
        for _ in range(self._due - self._lines):
            end = data.find(b"\n", end) + 1
            if end == 0:
                end = len(data)
                break
        room = _LEARN_BYTES - len(self.head)
        return end if end <= room else min(end, data.find(b"\n", max(room - 1, 0)) + 1)

    def add(self, lines: bytes) -> bool:
        """Take whole lines; return whether a prefix was found, so that the head must be read again."""
        self.head += lines
        self._lines += lines.count(b"\n")
        for kind, (word, begins) in enumerate(_KNOWN):
            at = lines.find(word)
            while at >= 0:
                if at and not _INSIDE(lines[at - 1 : at]) and begins(lines, at):
                    self._count(lines[lines.rfind(b"\n", 0, at) + 1 : at], max(kind, _STEP_KINDS))
                at = lines.find(word, at + 1)
        if len(self.head) >= _LEARN_BYTES or self._lines >= MAX_LEARN_LINES:
            self.done = True
        elif self._lines < self._due:
            return False
        self._due *= 2
        return self.learn()

    def learn(self) -> bool:
        """Look at the head once more; return whether a prefix was found that was not known before."""
        found = {shape for shape, kinds in self._shapes.items() if self._is_habit(shape, kinds)}
        if found <= self._learnt:
            return False
        self._learnt |= found
        pattern = rb"^(?:" + rb"|".join(sorted(self._learnt)) + rb")"
        if 2 * len(re.findall(rb"(?m)" + _PLACE_AT_END, self.head)) > self._lines:
            pattern += rb"|" + _PLACE_AT_END
        self.pattern = re.compile(rb"(?m)" + pattern)
        return True

    def _count(self, prefix: bytes, kind: int) -> None:
        if step := _BARE_STEP(prefix[-30:]):  # `N/M train_loss:`
            prefix = prefix[: len(prefix) - len(step[0])]
        if rank := _RANK_TAG(prefix):
            prefix = prefix[: rank.start()]
        if not 2 <= len(prefix) <= MAX_PREFIX_BYTES or b"\r" in prefix or _WORDS_ALONE(prefix):
            return
        if strip_prefix(prefix + b"x")[0] == b"x":
            return
        shape = _pattern_of(prefix)
        if shape in self._shapes or len(self._shapes) < MAX_SHAPES:
            self._shapes.setdefault(shape, Counter())[kind] += 1

    def _is_habit(self, shape: bytes, kinds: Counter[int]) -> bool:
        """Whether a prefix stands before lines of several kinds, or on most lines of the head."""
        if kinds.total() < _MIN_COUNT:
            return False
        return len(kinds) > 1 or 2 * len(re.findall(rb"(?m)^" + shape, self.head)) > self._lines


# rich prints a time once and leaves its place blank until it changes.
_RICH_TIME = rb"(?:\[\d[\d/ :]{7,20}\]| {10,22}) "


def _pattern_of(prefix: bytes) -> bytes:
    """Turn a prefix into a pattern of all that are like it but for numbers, levels and places."""
    pattern, at = b"", 0
    if (rich := re.match(_RICH_TIME, prefix)) and _VARIES.match(prefix, rich.end()):
        pattern, at = _RICH_TIME, rich.end()
    for match in _VARIES.finditer(prefix, at):
        pattern += re.escape(prefix[at : match.start()]) + _PATTERNS[str(match.lastgroup)]
        at = match.end()
    return pattern + re.escape(prefix[at:])
