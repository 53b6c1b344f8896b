"""The result lines of the field's logs: `LABEL [annotations] val_loss:X val_bpb:Y`, and what a label says.

A label is read by its words, not looked up: whether it speaks of the artifact, of the weights before
quantization, or of neither. What stands where in a log, and which result is the score, is
`harness.field.logged_run`'s.
"""

from __future__ import annotations

import re

from harness.field.log_events import NUMBER, TO_MS, Claim, ResultLine, finite, to_text
from harness.records.record import Stage

VAL_LOSS = re.compile(rb"(?<![\w.])val_loss\s?[:=]\s?" + NUMBER, re.IGNORECASE).search
VAL_BPB = re.compile(rb"(?<![\w.])val_bpb\s?[:=]\s?" + NUMBER, re.IGNORECASE).search

# The same numbers in other words; they count only under a label that names an evaluation or the artifact.
_LOSS = re.compile(
    rb"(?<![\w.])(?:val(?:idation)?[_ ])?loss\s?(?:[:=]\s{0,8}|\s)" + NUMBER + rb"(?![\w%])", re.IGNORECASE
).search
_BPB = re.compile(
    rb"(?:(?<![\w.])|(?<=_))(?:val(?:idation)?[_ ])?(?:bpb|bits[_ ]per[_ ]byte)\s?(?:\(([^()]{1,60})\)\s?)?"
    rb"(?:[:=]\s{0,20}|\s)" + NUMBER + rb"(?![\w%])",
    re.IGNORECASE,
).search
_DECORATION = re.compile(rb"[>*=#~+|\-\s\x80-\xff]{1,20}").match
_SETTING = re.compile(rb" ?\((?:stride|window|seq(?:_len)?|context|ctx|chunk|epochs?)[ =:] ?\d{1,9}\)").sub

_LABEL_WORD = re.compile(rb"[A-Za-z][\w+.-]{0,80}(?::[A-Za-z]\w{0,40})?:?$").match
_INNER_PARENTHESES = re.compile(rb"[A-Za-z][^\s()%]{0,80}\([^\s()%]{1,40}\)[\w+.-]{1,80}:?$").match
_OTHER_SIGNS = re.compile(rb"[A-Za-z](?![^\s]*\d/\d)[^\s%=()]{0,120}$").match
_ANNOTATION = re.compile(rb"[A-Za-z_]\w{0,40}[:=][^/%\s]{1,80}$").match
_EVAL_TIME = re.compile(rb"(?<![\w.])(?:eval_time|elapsed)\s?[:=]\s?" + NUMBER + rb"\s?(ms|s|m)\b").search

# What a label says of itself -----------------------------------------------------------------------

_BEFORE = re.compile(
    r"(?<![a-z])pre[ _.-]?(?:quant|ptq|gptq|export|compress|prun|pack|round)"
    r"|(?<![a-z])pre(?:[ _.-](?:sliding|exact)|$)"
    r"|un.?quant|post.?ema|before.?quant"
)
_FLOAT = re.compile(r"(?<![a-z0-9])(?:raw|fp|fp16|fp32|bf16|float(?:16|32)?|full.?precision)(?![a-z0-9])")
_ARTIFACT = re.compile(
    r"round.?trip|post.?(?:train.?)?quant|(?<!un)(?<!un[ _-])quantized|(?<![a-z0-9])q?int[1-8](?![0-9])"
    r"|ternary|(?<![a-z])binary|xnor|zlib|zstd|lzma|brotli|artifact|(?<![a-z])g?ptq"
)
_EVALUATION = re.compile(
    r"sliding|(?<![a-z])ttt|test.?time|(?<![a-z])slot|n.?gram|(?<![a-z])ppm|(?<![a-z])cache|online|sequence.?match"
    r"|stride|window|(?<![a-z])eval|final|legal|exact$"
)
_DIFFERENCE = re.compile(
    r"(?<![a-z])(?:gap|delta|diff(?:erence)?|improvement|gain|degradation|penalty|cost|drop)(?![a-z])"
)
_ASIDE = re.compile(
    r"diagnostic|debug|probe|sanity|dummy|baseline|target|best(?![a-z_]*agree)|fake.?quant|teacher|calib"
    r"|(?<![a-z])(?:running|partial|interim|progress|chunk|batch|so.far|cumulative|mean|train)(?![a-z])"
)
_BEFORE_ADAPTATION = re.compile(r"(?<![a-z])(?:pre|before|no|without)[ _.-]?(?:ttt|test.?time\w*)")
_AVERAGED = re.compile(r"(?<![a-z])(?:ema|swa|lawa|averaged?)(?![a-z])")  # of weights, which may be unrounded
_TRUSTED_STARTS = ("final_", "quantized", "legal_ttt")

# In order: the first pattern match in a label names its stage.
_STAGES: tuple[tuple[re.Pattern[str], Stage], ...] = (
    (_BEFORE, "pre_quantization"),
    (
        re.compile(r"ttt|test.?time|(?<![a-z])slot|n.?gram|(?<![a-z])ppm|(?<![a-z])cache|online"),
        "test_time_training",
    ),
    (re.compile(r"sliding"), "sliding_window"),
    (
        re.compile(r"round.?trip|quantized|post.?quant|^final_(?:temped|int\d|ternary|binary|xnor)"),
        "round_trip",
    ),
)


def stage_of(label: str) -> Stage:
    """Name the stage a label belongs to; "other" when the label names none."""
    folded = _BEFORE_ADAPTATION.sub("", label.lower())
    if claim_of(label) == "none" and _FLOAT.search(folded):
        return "pre_quantization"
    return next((stage for pattern, stage in _STAGES if pattern.search(folded)), "other")


def claim_of(label: str) -> Claim:
    """Say how far a label shows that its numbers are the artifact's.

    artifact: it says so. evaluation: it names a way of evaluating, which may be of the artifact.
    unknown: it names neither. none: it speaks of the weights before quantization or of a difference.
    """
    folded = label.lower()
    if _BEFORE.search(folded) or _DIFFERENCE.search(folded):
        return "none"
    names_artifact = bool(_ARTIFACT.search(folded))
    if _FLOAT.search(folded) and not names_artifact:
        return "none"
    if _ASIDE.search(folded):
        return "unknown" if names_artifact else "none"
    if names_artifact:
        return "artifact"
    trusted = folded.startswith(_TRUSTED_STARTS)
    if _AVERAGED.search(folded):
        return "unknown" if trusted else "none"
    if trusted:
        return "artifact"
    return "evaluation" if _EVALUATION.search(folded) else "unknown"


# Lines --------------------------------------------------------------------------------------------


def read_result(line: bytes, number: int) -> ResultLine | None:
    """Read `LABEL [annotations] val_loss:X [words] val_bpb:Y`, and its like in other words (`LABEL BPB: Y`,
    `val_bpb (LABEL): Y`) or with the bits per byte alone where the label names an evaluation.

    None for progress lines (a fraction or a percentage stands before the numbers) and for bare numbers.
    """
    if decoration := _DECORATION(line):  # `>>> final ..`
        line = line[decoration.end() :]
    loss, bpb = VAL_LOSS(line), VAL_BPB(line)
    bpb_text = bpb[1] if bpb else b""
    in_words = bpb is None
    if bpb is None:
        loss, bpb = _LOSS(line), _BPB(line)
        if bpb is None:
            return None
        bpb_text = bpb[2]
    head = line[: min(loss.start(), bpb.start()) if loss else bpb.start()]
    words = _label_words(_SETTING(b"", head))
    if in_words and bpb[1] and (words or bpb.start() == 0):
        words += _label_words(bpb[1])
    if not words:
        return None
    label = to_text(b" ".join(words)).rstrip("_")
    claim = claim_of(label)
    if in_words and head.endswith(b"_") and label.lower() == "final":
        return None  # `final_val_bpb: 1.2` is what a trainer states at its end, whatever it is of
    if (loss is None or in_words) and claim not in ("artifact", "evaluation"):
        return None
    match = _EVAL_TIME(line)
    return ResultLine(
        number,
        label,
        stage_of(label),
        finite(loss[1]) if loss else None,
        finite(bpb_text),
        loss[1].decode() if loss else "",
        bpb_text.decode(),
        float(match[1]) * TO_MS[match[2]] if match else None,
        claim=claim,
    )


def _label_words(head: bytes) -> list[bytes]:
    """Return the words of the label before the numbers; none where the line is no result."""
    if len(head) > 300 or not head[:1].isalpha():
        return []
    words: list[bytes] = []
    for chunk in head.replace(b" | ", b" ").split():
        if b"(" in chunk and _INNER_PARENTHESES(chunk):
            words.append(chunk.removesuffix(b":"))
            continue
        for word in chunk.replace(b"(", b" ").replace(b")", b" ").replace(b",", b" ").split():
            if _LABEL_WORD(word):
                words.append(word.removesuffix(b":"))
            elif _ANNOTATION(word):
                continue
            elif not words and _OTHER_SIGNS(word):
                words.append(word.removesuffix(b":"))
            else:
                return []
    return words if len(words) <= 6 else []
