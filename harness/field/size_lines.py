"""The size lines of the field's logs: bytes of the model, of the code, and of both.

A line that states a limit is no size. Megabytes alone are kept as text, not as a count.
"""

from __future__ import annotations

import re

from harness.field.log_events import COUNT, Size, SizeKind, read_count, to_text

_SIZE = re.compile(
    rb"(?:(serialized[ _]model|(?:compressed|quantized|packed)[ _](?:model|weights|size)"
    rb"|model[ _](?:size|bytes)|model)"
    rb"|(code[ _](?:size|bytes)|code)"
    rb"|((?:total[ _])?submission[ _](?:size|bytes)|(?:total[ _])?artifact[ _]size|total[ _]size"
    rb"|(?:[a-z0-9+-]{2,20}[ _]){0,2}artifact|total))"
    rb"(?:[ _]bytes)?[\s_]{0,2}(?:\(?([\w+./ =(),-]{1,40}?)\)?)??\s{0,2}[:=]"
    rb"\s{0,8}(\d[\d,_]{0,20}(?:\.\d{1,9})?)(?![\d,.]*\d)\s?(bytes|[kmg]?i?b)?\b(?!\s?param)",
    re.IGNORECASE,
).match
_EXACTLY = re.compile(rb"\s?\((\d[\d,_]{3,20}+) ?(?:bytes|B)\b").match  # `14.80 MB (14,800,100 bytes)`
_OF_CAP = re.compile(
    rb"(?:total|artifact|submission)[^\d\n:=]{0,30}[:=]\s?" + COUNT + rb"\s?/\s?1[5-7][,_]?\d{3}[,_]?\d{3}\b",
    re.IGNORECASE,
).match
_FILE = re.compile(
    rb"(?:^|[\s/(])[\w.-]{1,80}\.(ptz|zst|zstd|br|xz|lzma|zlib|gz)\b[^\d\n]{0,20}(\d[\d,_]{3,20}+) ?bytes\b"
).search
_SHORT = frozenset({b"model", b"code", b"total", b"artifact"})  # too common a word to count without its unit
_BUDGET = re.compile(rb"budget:\s?" + COUNT + rb"/\d").match
_ARTIFACT = re.compile(rb"artifact:.{0,400}?\bcode:\s?" + COUNT + rb"(?!\.)", re.DOTALL).match
_WRAPPER = re.compile(rb"(?:artifact_bytes|bytes_total)\s{0,4}[:=]\s{0,40}" + COUNT).match
_LIMIT = re.compile(
    r"(?:^|[ _(])(?:limit|cap|max|maximum|budget|allowed|target|headroom|remaining|left|margin)\)?$",
    re.IGNORECASE,
).search
_CODE_WORDS = re.compile(r"code[^:=]{0,60}(?=[:=])", re.IGNORECASE).match
_WITH_CODE = re.compile(r"\+ ?code\b ?", re.IGNORECASE).match  # `Serialized model + code`
_OTHERS = re.compile(
    rb"\b(?:target|limit|cap|max\w*|budget|base(?:line)?|parent|previous|old|reference|sota|merged|record|wip)\b",
    re.IGNORECASE,
).search
_CODE_PART = re.compile(
    rb"(?<![\w.])code(?:[ _](?:bytes|size))?(?:\s?[:=]\s{0,8}|\s)" + COUNT, re.IGNORECASE
).search
_PARTS = re.compile(rb"(?<![\w.,])" + COUNT + rb"(?![.\w])").findall
_KINDS: tuple[SizeKind, ...] = ("model", "code", "total")


def read_size(line: bytes, number: int) -> Size | None:
    """Read the first size of a line; the others are `more_sizes`'."""
    if parts := _read_parts(line, number):
        return parts[0]
    if match := _SIZE(line):
        size = _read_match(match, line, number)
        if size is not None:
            return size
    first = line[0] | 0x20
    if first == 0x61:  # a
        if match := _ARTIFACT(line):
            return Size(number, "code", read_count(match[1]), to_text(line, 120))
        if match := _WRAPPER(line):
            return Size(number, "total", read_count(match[1]), to_text(line, 120), "wrapper")
    elif first == 0x62 and (match := _BUDGET(line)):  # b
        return Size(number, "total", read_count(match[1]), to_text(line, 120), "budget")
    if match := _OF_CAP(line):
        return Size(number, "total", read_count(match[1]), to_text(line, 120))
    if b"bytes" in line and (match := _FILE(line[:1000])):
        return Size(number, "model", read_count(match[2]), to_text(line, 120), match[1].decode())
    return None


def more_sizes(line: bytes, number: int) -> list[Size]:
    """Return the sizes of a line beyond the first: behind bars, or model, code and total in one line."""
    parts = _read_parts(line, number)
    if parts:
        return parts[1:]
    texts = (text.strip() for text in line.split(b" | ")[1:20])
    return [size for text in texts if text and (size := read_size(text, number)) is not None]


def choose_code(codes: dict[str, Size], total: int | None, model: int | None) -> int | None:
    """Return the count of the code that adds up to the total, else the compressed one.

    codes: the lines by what they say of the code, `compressed`.
    """
    counts = {variant: code.bytes for variant, code in codes.items()}
    if total is not None and model is not None and total - model in counts.values():
        return total - model
    for variant in ("compressed", "", "uncompressed"):
        if variant in counts:
            return counts[variant]
    return next(reversed(counts.values()), None)


def code_words(size: Size) -> str:
    """Return what a log calls a count of the code: `Code size (compressed)`."""
    words = _CODE_WORDS(size.text)
    return words[0].strip() if words else "code"


def _read_match(match: re.Match[bytes], line: bytes, number: int) -> Size | None:
    kind = _KINDS[next(index for index in range(3) if match[index + 1])]
    unit = (match[6] or b"").lower()
    codec = to_text(match[4].strip(b"_")) or None if match[4] else None
    name = (match[1] or match[2] or match[3]).lower().replace(b"_", b" ")
    if (codec is not None and _LIMIT(codec)) or _OTHERS(name):
        return None
    counts_bytes = unit == b"bytes" or (kind == "code" and line[match.end(2) :].lower().startswith(b"_bytes"))
    if name.rpartition(b" ")[2] in _SHORT and not counts_bytes:
        return None
    if kind == "model" and codec is not None and (both := _WITH_CODE(codec)):
        kind, codec = "total", codec[both.end() :] or None
    if kind == "model" and codec is None and name == b"serialized model":
        kind = "raw_model"
    exact = unit in (b"bytes", b"b") or (not unit and b"." not in match[5] and len(match[5]) > 3)
    count = read_count(match[5]) if exact else None
    if count is None and (exactly := _EXACTLY(line, match.end())):
        count = read_count(exactly[1])
    return Size(number, kind, count, to_text(line, 120), codec)


def _read_parts(line: bytes, number: int) -> list[Size]:
    """Read model, code and total where a line has all three and they add up; else nothing."""
    code = _CODE_PART(line[:1000]) if b"ode" in line else None
    if code is None or not (code_bytes := read_count(code[1])):
        return []
    counts = {read_count(count) or 0 for count in _PARTS(line[:1000])}
    total = max(counts)
    model = total - code_bytes
    if model not in counts or model == code_bytes:
        return []
    text = to_text(line, 120)
    return [
        Size(number, kind, count, text)
        for kind, count in zip(_KINDS, (model, code_bytes, total), strict=True)
    ]
