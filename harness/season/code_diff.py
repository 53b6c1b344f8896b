"""What differs between the code of two records."""

from __future__ import annotations

import difflib
from pathlib import Path

import trainer
from harness.documents import FileProblem, read_file
from harness.records.record import RunRecord
from harness.scripts.git import diff_commits
from harness.season.hole import PlayedHole

# Of a file; difflib takes time with the square of the lines at worst.
MAX_BYTES, MAX_LINES, MAX_FILES = 1_000_000, 20_000, 1_000


def code_diff(a: PlayedHole, b: PlayedHole) -> str:
    """Return how the kept sources of two holes differ, or say why that cannot be shown."""
    one, other = a.record, b.record
    if one is None or other is None:
        return "code: not known on both sides"
    if one.code.source_sha256 and one.code.source_sha256 == other.code.source_sha256:
        return f"code: the same ({one.code.source_sha256[:12]})"
    parts = [_committed_diff(one, other), _kept_diff(a, b)]
    text = "\n".join(part for part in parts if part)
    return text or "code: no source was kept that differs"


def _committed_diff(one: RunRecord, other: RunRecord) -> str:
    """Return the diff of our trainer between two records' commits; "" for other scripts, or one commit."""
    shas = (other.code.git_sha, one.code.git_sha)
    if {one.code.trainer, other.code.trainer} != {"builtin"} or None in shas or shas[0] == shas[1]:
        return ""
    old, new = (str(sha) for sha in shas)
    diff = diff_commits(Path(trainer.__file__).parent, old, new)
    if diff is None:
        command = f"git diff {old[:12]} {new[:12]} -- trainer"
        return f"code: this checkout does not have both commits; where it does, `{command}` shows it"
    return diff.rstrip()


def _kept_diff(a: PlayedHole, b: PlayedHole) -> str:
    """How the sources, or the uncommitted changes, that two attempts kept differ."""
    ours, theirs = _sources(a), _sources(b)
    lines: list[str] = []
    for name in sorted({*ours, *theirs}):
        before, after = theirs.get(name, "").splitlines(), ours.get(name, "").splitlines()
        lines += difflib.unified_diff(
            before, after, f"{b.name.folder}/{name}", f"{a.name.folder}/{name}", lineterm=""
        )
    return "\n".join(lines)


def _sources(played: PlayedHole) -> dict[str, str]:
    folder = played.attempt.source_dir if played.attempt else None
    if folder is None or folder.is_symlink() or not folder.is_dir():
        return {}
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {str(path.relative_to(folder)): _read_code(path) for path in files[:MAX_FILES]}


def _read_code(path: Path) -> str:
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8", errors="replace")
        if text.count("\n") > MAX_LINES:
            raise FileProblem(f"{path}: it has more than {MAX_LINES:,} lines")
    except FileProblem as error:
        return f"(not compared: {error.message})"
    return text
