"""Names of GPUs as logs, submission files and READMEs print them: `8xH100 SXM`, a row of nvidia-smi."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.field.submission_file import MAX_BYTES, leaves, read_values
from harness.files import open_file

LOG_HEAD = 1_000_000  # machines are named before the first step
_MODEL = (
    r"(?:NVIDIA[ -])?(?:GeForce[ -]|Tesla[ -]|Quadro[ -])?"
    r"(?:(?:G?[HB]200|GB300|GH200|GB10|[AH]100|[AH]800|B[123]00|[HL]20|A(?:10G?|16|30|40)|L40S?|L4|V100|P100|T4|MI[23]\d\dX?)"
    r"(?![a-z0-9/])|RTX[ _-]?(?:PRO[ -]?|A)?\d{4}(?:[ -]?(?:Ti|SUPER|Ada))?\b)"
    r"(?:[ _-]?(?:\d{2,3} ?GB(?![a-z])|SXM\d?(?![a-z])|PCIe|NVL|HBM\d\w?))*"
)
_COUNTED = re.compile(r"(?<![\w.])(\d{1,3}) ?[x×*] ?(?:GPUs? )?(" + _MODEL + ")", re.IGNORECASE)
_CARDS = re.compile(r"(?<![\w.])(\d{1,3}) (" + _MODEL + r")(?:s\b| (?:GPU|card)s?\b)", re.IGNORECASE)
_ROW = re.compile(r"^\|\s+\d+\s+(NVIDIA [^|]+?)\s{2,}", re.MULTILINE)  # of nvidia-smi's table
_NAMED = re.compile(
    r"(?:NVIDIA[ -]|\b(?:gpus?|device(?:_name)?|hardware|machine|accelerator)\b[\w ]{0,20}[:=(]\s{0,3})"
    r"(" + _MODEL + ")",
    re.IGNORECASE,
)
_ANY = re.compile(r"(?<![\w.])(" + _MODEL + ")", re.IGNORECASE)
_KEYS = re.compile(r"hardware|gpu|machine|platform|device|accelerator|compute", re.IGNORECASE)


@dataclass(frozen=True)
class NamedGpu:
    """A GPU's name, and how many of it where that is said next to it."""

    name: str
    count: int | None = None


def gpu_in_log(log: Path) -> NamedGpu | None:
    """Return the GPU that a log names: in nvidia-smi's table, as `8xH100`, or after a word as `device`."""
    try:
        with open_file(log) as file:
            head = file.read(LOG_HEAD).decode("utf-8", "replace")
    except OSError:
        return None
    if row := _ROW.search(head):
        return NamedGpu(row[1].strip())
    return _counted(head) or (NamedGpu(named[1].strip()) if (named := _NAMED.search(head)) else None)


def gpu_in_submission(submission: Path) -> NamedGpu | None:
    """Return the GPU that a submission file names: under a key as `hardware`, else in any of its texts."""
    values = leaves(read_values(submission))
    texts = [(" ".join(keys), value) for keys, value in values if isinstance(value, str)]
    named = [text for key, text in texts if _KEYS.search(key)]
    for text in named:
        if gpu := _counted(text):
            return gpu
        if plain := _ANY.search(text):
            return NamedGpu(plain[1].strip())
    return next((gpu for _, text in texts if (gpu := _counted(text))), None)


def gpu_in_readme(readme: Path, count: int | None) -> NamedGpu | None:
    """Return the GPU that a README names, as `8×H100 SXM`, of the number that ran; None where it names two.

    count: of processes in the log. Machines of another number, of tests and ablations, are passed over.
    """
    try:
        with open_file(readme) as file:
            text = file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    matches = [match for pattern in (_COUNTED, _CARDS) for match in pattern.finditer(text)]
    named = [(int(match[1]), match[2].strip()) for match in matches]
    fitting = [(number, name) for number, name in named if count in (None, number)]
    kinds = {(number, name.upper().removeprefix("NVIDIA").split()[0]) for number, name in fitting}
    return NamedGpu(fitting[0][1], fitting[0][0]) if len(kinds) == 1 else None


def _counted(text: str) -> NamedGpu | None:
    match = _COUNTED.search(text)
    return NamedGpu(match[2].strip(), int(match[1])) if match else None
