"""The lines of the field's logs: what one line says, as an event.

Owns every pattern and knows no file, no run and no earlier line; `harness.field.log_parser` keeps those.
Patterns work on bytes (nearly all lines are never decoded), are anchored at the line's start and read numbers
of bounded length only, so that no line can make them slow. Counted over the 165 logs of the public records;
see tests/data/field/README.md for where those come from.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from harness.records.record import Stage

SizeKind = Literal["raw_model", "model", "code", "total"]


# Events: NamedTuples, since a log of a gigabyte holds millions of them -------------------------------


class TrainLine(NamedTuple):
    """A step line with a training loss. The loss is NaN where the log says so."""

    line: int
    step: int
    planned: int
    loss: float
    time_ms: float | None = None  # minutes with one decimal in some families, then good to 6 s
    step_avg_ms: float | None = None  # mean since the start, as printed
    time_is_ms: bool = True  # whether the log printed milliseconds
    tag: str | None = None  # the stage in brackets; the loss changes its meaning between stages


class ValLine(NamedTuple):
    """A step line with a validation loss and bits per byte, both before quantization."""

    line: int
    step: int
    planned: int
    loss: float
    bpb: float
    time_ms: float | None = None
    step_avg_ms: float | None = None
    time_is_ms: bool = True


class StepLine(NamedTuple):
    """A step line without a loss we know (`fitness:`, say)."""

    line: int
    step: int
    planned: int
    time_ms: float | None = None
    step_avg_ms: float | None = None


class ResultLine(NamedTuple):
    """An evaluation under a label. Texts are as printed; a value is None where it is not a finite number."""

    line: int
    label: str
    stage: Stage
    val_loss: float | None
    val_bpb: float | None
    val_loss_text: str
    val_bpb_text: str
    eval_ms: float | None = None
    copy_of: int | None = None  # the line whose numbers stand here again under another label

    @property
    def decimals(self) -> int:
        """Digits printed after the point of val_bpb."""
        return len(re.split(r"[eE]", self.val_bpb_text)[0].partition(".")[2])

    @property
    def post_quantization(self) -> bool:
        """Whether the label names a result of the artifact, so that it can be the score."""
        return self.val_bpb is not None and self.label.lower().startswith(SCORED_LABELS)


class Size(NamedTuple):
    """A byte count. bytes is None where only megabytes are printed."""

    line: int
    kind: SizeKind
    bytes: int | None
    text: str
    codec: str | None = None  # or "compressed", "uncompressed" for code


class Setting(NamedTuple):
    """`key:value` words: seed, world size, parameters, hyperparameters."""

    line: int
    values: tuple[tuple[str, str], ...]
    indented: bool = False  # as under a `Hyperparameters:` heading


class StopLine(NamedTuple):
    """`stopping_early: REASON`."""

    line: int
    reason: str
    time_ms: float | None = None
    step: int | None = None
    planned: int | None = None


class Marker(NamedTuple):
    """A line that structures the file: a program starts, a heading, warm-up, source code, a rule."""

    line: int
    what: Literal["python", "hyperparameters", "warmup", "code", "rule", "resume", "params_table"]
    text: str = ""


class Warn(NamedTuple):
    """Something a reader should know of; line 0 means the whole file."""

    line: int
    text: str


Event = TrainLine | ValLine | StepLine | ResultLine | Size | Setting | StopLine | Marker | Warn

SCORED_LABELS = ("final_", "quantized", "legal_ttt")


# Numbers ------------------------------------------------------------------------------------------

# At most 18 digits before the point and 40 after: a longer one is hostile, and is not read. What follows a
# number may be a letter: logs are pasted together without a newline between them.
_FINITE = rb"[-+]?(?:\d{1,18}+(?:\.\d{0,40}+)?+|\.\d{1,40}+)(?:[eE][-+]?\d{1,3}+)?+(?!\d)"
NUMBER = rb"(" + _FINITE + rb"|[-+]?(?:nan|inf)(?![a-z]))"
COUNT = rb"(\d[\d,_]{0,20}+)(?![\d,_])"
STEP = rb"(\d{1,12})/(\d{1,12})(?![\d/])"


def _finite(text: bytes) -> float | None:
    value = float(text)
    return value if -1e300 < value < 1e300 else None


def read_count(text: bytes) -> int | None:
    """Turn `36,915,884` into a number; None beyond 15 digits, which no count has."""
    digits = text.replace(b",", b"").replace(b"_", b"")
    return int(digits) if 0 < len(digits) <= 15 and digits.isdigit() else None


def to_text(raw: bytes, limit: int = 300) -> str:
    """Decode what is kept of a line: UTF-8 or else Latin-1, printable, bounded."""
    raw = raw[: 4 * limit]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    if not text.isprintable():
        text = "".join(char for char in text if char.isprintable())
    return text[:limit].strip()


_TO_MS = {b"ms": 1.0, b"s": 1000.0, b"m": 60_000.0, b"min": 60_000.0, b"h": 3_600_000.0}


# Step lines ---------------------------------------------------------------------------------------

# The commonest line of all, read in one match; every other form takes the slower way below.
_TRAIN_A = re.compile(
    rb"step:(\d{1,12})/(\d{1,12}) train_loss:(\d{1,9}\.\d{1,17}) train_time:(\d{1,15})ms"
    rb" step_avg:(\d{1,12}\.\d{1,9})ms"
).match
_TRAIN_B = re.compile(
    rb"(\d{1,12})/(\d{1,12}) train_loss: (\d{1,9}\.\d{1,17}) train_time: (\d{1,9}\.\d{1,9})m\b"
).match
_STEP = re.compile(rb"step:\s?" + STEP + rb"\s+(\S.*)", re.DOTALL).match
_BARE_STEP = re.compile(STEP + rb"\s+((?:train_loss|val_loss)\b.*)", re.DOTALL).match
_TAG = re.compile(rb"\[([^\]]{1,40})\]\s*").match
_TRAIN_LOSS = re.compile(rb"(?<![\w.])(?:train_)?loss\s?[:=]\s?" + NUMBER, re.IGNORECASE).search
_VAL_LOSS = re.compile(rb"(?<![\w.])val_loss\s?[:=]\s?" + NUMBER, re.IGNORECASE).search
_VAL_BPB = re.compile(rb"(?<![\w.])val_bpb\s?[:=]\s?" + NUMBER, re.IGNORECASE).search
_TIME = re.compile(rb"(?<![\w.])(?:train_time|t)\s?[:=]\s?" + NUMBER + rb"\s?(ms|s|min|m|h)\b").search
_AVG = re.compile(rb"(?<![\w.])(?:step_)?avg\s?[:=]\s?" + NUMBER + rb"\s?(ms|s)\b").search
_METRIC = re.compile(rb"(?:\[[^\]]{1,40}\]\s*)?[A-Za-z_][\w/.]{0,40}\s?[:=]\s?[-+.\dni]").match


def _read_step(match: re.Match[bytes], number: int) -> Event | None:
    step, planned, rest = int(match[1]), int(match[2]), match[3]
    time, avg = _TIME(rest), _AVG(rest)
    time_ms = float(time[1]) * _TO_MS[time[2]] if time else None
    time_is_ms = time is not None and time[2] == b"ms"
    avg_ms = float(avg[1]) * _TO_MS[avg[2]] if avg else None
    loss, bpb = _VAL_LOSS(rest), _VAL_BPB(rest)
    if loss and bpb:
        values = float(loss[1]), float(bpb[1])
        return ValLine(number, step, planned, *values, time_ms, avg_ms, time_is_ms)
    if train := _TRAIN_LOSS(rest):
        tag = _TAG(rest)
        tag_text = to_text(tag[1]) if tag else None
        return TrainLine(number, step, planned, float(train[1]), time_ms, avg_ms, time_is_ms, tag_text)
    if _METRIC(rest):
        return StepLine(number, step, planned, time_ms if time_is_ms else None, avg_ms)
    return None


# Result lines -------------------------------------------------------------------------------------

_LABEL_WORD = re.compile(rb"[A-Za-z][\w+.-]{0,80}(?::[A-Za-z]\w{0,40})?:?$").match
_ANNOTATION = re.compile(rb"[A-Za-z_]\w{0,40}[:=][^/%\s]{1,80}$").match
_EVAL_TIME = re.compile(rb"(?<![\w.])(?:eval_time|elapsed)\s?[:=]\s?" + NUMBER + rb"\s?(ms|s|m)\b").search

# In order: the first pattern match in a label names its stage.
_STAGES: tuple[tuple[re.Pattern[str], Stage], ...] = (
    (re.compile(r"pre.?quant|post.?ema"), "pre_quantization"),
    (re.compile(r"ttt|test.?time"), "test_time_training"),
    (re.compile(r"sliding"), "sliding_window"),
    (re.compile(r"round.?trip|quantized|^final_(?:temped|int\d|ternary|binary|xnor)"), "round_trip"),
)


def stage_of(label: str) -> Stage:
    """Name the stage a label belongs to; "other" when the label names none."""
    folded = label.lower()
    return next((stage for pattern, stage in _STAGES if pattern.search(folded)), "other")


def _read_result(line: bytes, number: int) -> ResultLine | None:
    """Read `LABEL [annotations] val_loss:X [words] val_bpb:Y`.

    None for progress lines (a fraction or a percentage stands before the numbers) and for bare numbers.
    """
    loss, bpb = _VAL_LOSS(line), _VAL_BPB(line)
    if loss is None or bpb is None:
        return None
    head = line[: min(loss.start(), bpb.start())]
    if len(head) > 300:
        return None
    words: list[bytes] = []
    for word in head.replace(b"(", b" ").replace(b")", b" ").replace(b",", b" ").split():
        if _LABEL_WORD(word):
            words.append(word.removesuffix(b":"))
        elif not _ANNOTATION(word):
            return None
    if not words or not head[:1].isalpha() or len(words) > 6:
        return None
    label = to_text(b" ".join(words))
    match = _EVAL_TIME(line)
    return ResultLine(
        number,
        label,
        stage_of(label),
        _finite(loss[1]),
        _finite(bpb[1]),
        loss[1].decode(),
        bpb[1].decode(),
        float(match[1]) * _TO_MS[match[2]] if match else None,
    )


# Everything else, by how the line begins ----------------------------------------------------------

_STOP = re.compile(rb"stopping_early:\s?([\w-]{1,60})").match
_STOP_STEP = re.compile(rb"(?<![\w.])step:\s?(\d{1,12})(?:/(\d{1,12}))?(?!\d)").search
_SIZE = re.compile(
    rb"(?:(serialized model|compressed model|model size)|(code size|code)"
    rb"|(total submission size|submission size|total artifact size|artifact size|total size|total))"
    rb"\s{0,2}(?:\(?([\w+./ -]{1,40}?)\)?)?\s{0,2}[:=]"
    rb"\s{0,8}(\d[\d,_]{0,20}(?:\.\d{1,9})?)(?![\d,.]*\d)\s?(bytes|[kmg]?i?b)?\b",
    re.IGNORECASE,
).match
_BUDGET = re.compile(rb"budget:\s?" + COUNT + rb"/\d").match
_ARTIFACT = re.compile(rb"artifact:.{0,400}?\bcode:\s?" + COUNT + rb"(?!\.)", re.DOTALL).match
_WRAPPER = re.compile(rb"(?:artifact_bytes|bytes_total)\s{0,4}[:=]\s{0,40}" + COUNT).match
_PYTHON = re.compile(rb"(?:Running )?Python (\d+\.\d+\S{0,20})").match
_TORCH = re.compile(
    rb"(?:Running )?(?:Py)?Torch(?: version)?:? v?(\d+\.\d[\w.+-]{0,40})", re.IGNORECASE
).match
_PARAMS = re.compile(
    rb"(?:(?:model|total|num|n)[ _])?param(?:eter)?s?(?:[ _]count)?\s?[:=]\s{0,8}"
    + COUNT
    + rb"(?!\.|\s?[kKmMbB]\b)(.{0,300})",
    re.IGNORECASE | re.DOTALL,
).match
_SHORT_KEYS = re.compile(rb"(?<![\w.])(ws|s|ga):(\d{1,18})(?![\w.])").finditer
_VAL_LOADER = re.compile(rb"val_loader\b.{0,1000}?\btokens:\s?" + COUNT, re.DOTALL).match
_PEAK = re.compile(rb"peak memory allocated:\s{0,8}(\d{1,9}(?:\.\d{1,9})?)\s?MiB").match
_EVAL_TOTAL = re.compile(rb"total_eval_time:\s?" + NUMBER + rb"s\b").match
_WORDS = re.compile(
    rb"[A-Za-z_][\w.-]{0,80}[:=]\s?[^\s:=][^\s=]{0,400}(?:\s[A-Za-z_][\w.-]{0,80}[:=][^\s=]{1,400}){0,60}\s{0,8}$"
).match
_WORD = re.compile(rb"([A-Za-z_][\w.-]{0,80})[:=]\s?(\S{1,400})").finditer
_INDENTED = re.compile(rb" {1,8}([A-Za-z_][\w.-]{0,80})\s?[:=](?: (.{0,4000}))?$", re.DOTALL).match
_ASSIGNED = re.compile(rb"(?<!\S)([A-Za-z_]\w{0,80})=((?:[^\s=]|\s(?!\w{1,80}=)){0,400})").finditer
_HEADING = re.compile(rb"\W{0,8}hyper-?param(?:eter)?s\W{0,8}$", re.IGNORECASE).match
_PARAMS_TABLE = re.compile(
    rb"\W{0,8}[\w ]{0,20}param\w{0,8} (?:budget|count|breakdown|table)\b", re.IGNORECASE
).match
_TABLE_TOTAL = re.compile(rb"\W{0,8}total\b[^\d\n]{0,60}(\d[\d,_]{3,20})(?![\d.])", re.IGNORECASE).match
_RESUME = re.compile(
    rb"resum\w{0,6}\b.{0,200}?\bstep[ :=]{1,3}(\d{1,12})(?!\d)", re.IGNORECASE | re.DOTALL
).match
_WARMUP = re.compile(rb"(?:[a-z0-9]{1,12}_){0,3}warm_?up(?:_[a-z0-9]{1,12}){0,3}:\s?\d{1,9}/\d").match
_RULE = re.compile(rb"={20,}\s*$").match
_CODE = re.compile(
    rb"(?:from [\w.]{1,80} import |import [\w.]{1,80}(?:\s|,|$)|def \w{1,80}\(|async def |class \w{1,80}[(:]"
    rb"|@\w{1,40}[\w.(]{0,40}|\"\"\"|'''|#!/|# -\*- |if __name__ ==)"
).match

_SIZE_KINDS: tuple[SizeKind, ...] = ("model", "code", "total")


def _read_size(line: bytes, number: int) -> Size | None:
    match = _SIZE(line)
    if match is None:
        return None
    kind = _SIZE_KINDS[next(index for index in range(3) if match[index + 1])]
    unit, codec = (match[6] or b"").lower(), to_text(match[4]) if match[4] else None
    short = (match[2] or match[3] or b"").lower() in (b"code", b"total")
    if short and unit != b"bytes":  # too common a word to count without its unit
        return None
    if kind == "model" and codec is None and match[1].lower() == b"serialized model":
        kind = "raw_model"
    exact = unit in (b"bytes", b"b") or (not unit and b"." not in match[5] and len(match[5]) > 3)
    return Size(number, kind, read_count(match[5]) if exact else None, to_text(line, 120), codec)


def _read_params(match: re.Match[bytes], number: int) -> Setting | None:
    count = read_count(match[1])
    if count is None:
        return None
    names = {b"ws": "world_size", b"s": "seed", b"ga": "grad_accum_steps"}
    more = tuple((names[word[1]], word[2].decode()) for word in _SHORT_KEYS(match[2]))
    return Setting(number, (("model_params", str(count)), *more))


def _read_words(line: bytes, number: int) -> Event | None:
    if _WARMUP(line):
        return Marker(number, "warmup")
    if not _WORDS(line):
        return None
    return Setting(number, tuple((to_text(word[1]), to_text(word[2])) for word in _WORD(line)))


def _read_other(line: bytes, number: int) -> Event | None:
    """Read a line that is neither a step nor a result; the table below says which pattern may fit."""
    first = line[0] | 0x20  # ASCII lower case
    if first == 0x70 or first == 0x72:  # p, r
        if match := _PARAMS(line):
            return _read_params(match, number)
        if match := _PYTHON(line):
            return Marker(number, "python", to_text(match[1]))
        if match := _TORCH(line):
            return Setting(number, (("torch", to_text(match[1])),))
        if match := _PEAK(line):
            return Setting(number, (("peak_memory_mib", match[1].decode()),))
        if match := _RESUME(line):
            return Marker(number, "resume", match[1].decode())
    elif first == 0x73:  # s
        if match := _STOP(line):
            step, time = _STOP_STEP(line), _TIME(line)
            return StopLine(
                number,
                to_text(match[1]),
                float(time[1]) * _TO_MS[time[2]] if time else None,
                int(step[1]) if step else None,
                int(step[2]) if step and step[2] else None,
            )
        if size := _read_size(line, number):
            return size
    elif first in b"ctma":
        if size := _read_size(line, number):
            return size
        if (first == 0x6D or first == 0x74) and (match := _PARAMS(line)):  # model_params, total params
            return _read_params(match, number)
        if first == 0x61 and (match := _ARTIFACT(line)):
            return Size(number, "code", read_count(match[1]), to_text(line, 120))
        if first == 0x61 and (match := _WRAPPER(line)):
            return Size(number, "total", read_count(match[1]), to_text(line, 120), "wrapper")
        if first == 0x74 and (match := _EVAL_TOTAL(line)):
            return Setting(number, (("total_eval_seconds", match[1].decode()),))
        if first == 0x74 and (match := _TORCH(line)):
            return Setting(number, (("torch", to_text(match[1])),))
    elif first == 0x62:  # b
        if match := _BUDGET(line):
            return Size(number, "total", read_count(match[1]), to_text(line, 120), "budget")
    elif first == 0x76:  # v
        if match := _VAL_LOADER(line):
            return Setting(number, (("val_tokens", str(read_count(match[1]) or "")),))
    elif first == 0x68 and _HEADING(line):  # h
        return Marker(number, "hyperparameters")
    elif first == 0x6E and (match := _PARAMS(line)):  # n
        return _read_params(match, number)
    if _CODE(line):
        return Marker(number, "code", to_text(line, 80))
    if b"aram" in line and _PARAMS_TABLE(line):
        return Marker(number, "params_table")
    return _read_words(line, number)


# Digits do not decide whether a line means something, only what: lines of one shape are alike.
SHAPES = bytes.maketrans(b"123456789", b"000000000")

# Consecutive step lines of the commonest family, whole and in order: read many at a time.
STRETCH = re.compile(
    rb"(?:step:\d{1,12}+/\d{1,12}+ "
    rb"(?:train_loss:\d{1,9}+\.\d{1,17}+|val_loss:\d{1,9}+\.\d{1,17}+ val_bpb:\d{1,9}+\.\d{1,17}+)"
    rb" train_time:\d{1,15}+ms step_avg:\d{1,12}+\.\d{1,9}+ms\n)++"
).match
STRETCH_STEPS = re.compile(rb"step:(\d+)/").findall
STRETCH_TRAIN = re.compile(rb"step:(\d+)/\d+ train_loss:([\d.]+) train_time:(\d+)").findall
STRETCH_VAL = re.compile(rb"step:(\d+)/\d+ val_loss:([\d.]+) val_bpb:([\d.]+) train_time:(\d+)").findall


def read_line(line: bytes, number: int) -> Event | None:
    """Say what one line means, or None when it means nothing here.

    line: without its newline, prefix and escape sequences; not empty. number: its place in the file.
    """
    if match := _TRAIN_A(line):
        step, planned, loss, time, avg = match.groups()
        return TrainLine(number, int(step), int(planned), float(loss), float(time), float(avg))
    first = line[0]
    if line.startswith(b"step:"):
        match = _STEP(line)
        return _read_step(match, number) if match else None
    if 0x30 <= first <= 0x39:
        if match := _TRAIN_B(line):
            step, planned, loss, time = match.groups()
            return TrainLine(number, int(step), int(planned), float(loss), float(time) * 60_000, None, False)
        match = _BARE_STEP(line)
        return _read_step(match, number) if match else None
    if b"val_bpb" in line and (result := _read_result(line, number)):
        return result
    if 0x41 <= first <= 0x7A:  # a letter, an underscore or an opening bracket
        return _read_other(line, number)
    if first == 0x20:
        if match := _INDENTED(line):
            return Setting(number, ((to_text(match[1]), to_text(match[2] or b"", 2000)),), True)
        return None
    if first == 0x3D:  # =
        if _PARAMS_TABLE(line):
            return Marker(number, "params_table")
        return Marker(number, "rule") if _RULE(line) else None
    if first == 0x2D:  # -
        if _HEADING(line):
            return Marker(number, "hyperparameters")
        return Marker(number, "params_table") if _PARAMS_TABLE(line) else None
    if first in b"\"'#@" and _CODE(line):
        return Marker(number, "code", to_text(line, 80))
    return None


def read_assignments(line: bytes, number: int) -> Setting | None:
    """Read one long line of `key=value` words, as it follows `--- Hyperparameters ---`."""
    values = tuple((to_text(word[1]), to_text(word[2])) for word in _ASSIGNED(line[:32_768]))
    return Setting(number, values, True) if len(values) > 1 else None


def read_table_total(line: bytes) -> int | None:
    """Read the total of a table of parameters."""
    match = _TABLE_TOTAL(line)
    return read_count(match[1]) if match else None


# Prefixes -----------------------------------------------------------------------------------------

# One blank at most is eaten after each, since hyperparameters are known by their indent.
_PREFIX = re.compile(
    rb"(?:\d{9,11}\.\d{1,9} "
    rb"|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?:?(?: [-|:])? "
    rb"|\[?\d\d:\d\d:\d\d(?:[.,]\d{1,9})?\]? "
    rb"|\[(?:rank|default|worker)[ :]?(\d{1,4})\]:? ?"
    rb"|(\d{1,4}): (?=step:|final_|quantized|\d+/\d)"
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


PREFIX_STARTS = frozenset(b"0123456789[ID")


def strip_prefix(line: bytes) -> tuple[bytes, int | None]:
    """Remove time stamps, log levels and rank tags; return the rest and the rank, if there is one."""
    match = _PREFIX(line)
    if match is None:
        return line, None
    rank = match[1] or match[2]
    return line[match.end() :], None if rank is None else int(rank)
