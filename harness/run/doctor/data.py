"""The data of a run or of a course, checked before it costs time: shards, tokenizer, split, overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.courses import shards
from harness.courses.course import Course, load_course
from harness.courses.overlap import Overlap, find_overlap, overlap_findings
from harness.errors import HarnessError
from harness.findings import Finding, Group
from harness.run.plan import Plan
from trainer.config import KNOBS

TOKENS_OFF = 1e-3  # share by which a count of validation tokens may differ from a known split's


def data_of_plan(plan: Plan, overlap_of: Callable[[shards.Shards], Overlap | None]) -> Group:
    """The data of a planned run. The trainer has checked every header, the tokenizer and the ids already."""
    place = plan.trainer.config.get("DATA_PATH") or plan.trainer.environ.get("DATA_PATH")
    if place is None:
        return Group("data", f"{plan.course.name}: the script does not say where its data lies")
    folder = Path(place)
    here, findings = shards.read_folder(folder)
    findings += split_findings(plan.course, plan.trainer.split or "")
    summary = f"{plan.course.name}: {shards.describe(here)}"
    if overlap_of is find_overlap:
        sealed, wrong = shards.check_seals(here)
        summary, findings = "; ".join(filter(None, (summary, sealed))), [*findings, *wrong]
    return _with_overlap(summary, here, findings, overlap_of)


def examine_data(name: str, runs: Path) -> Group:
    """The data of a course that no run asks for yet."""
    try:
        course = load_course(name, runs)
        place = _place(course)
    except HarnessError as error:
        return Group(
            "data", name, (Finding("error", error.message, "the course cannot be played", error.hint),)
        )
    if place is None:
        return Group("data", f"{name}: not prepared yet; the first run does that")
    folder, tokenizer, vocab_size = place
    if name == "fineweb" and not folder.exists():
        return Group("data", f"{name}: none here; `harness data pull --train-shards 1` fetches it")
    here, findings = shards.read_folder(folder)
    findings += tokenizer_findings(tokenizer, vocab_size)
    findings += canonical_findings(course, here.val_tokens, vocab_size) if here.val else []
    sealed, wrong = shards.check_seals(here)
    summary = "; ".join(filter(None, (f"{name}: {shards.describe(here)}", sealed)))
    return _with_overlap(summary, here, [*findings, *wrong], find_overlap)


def _with_overlap(
    summary: str,
    here: shards.Shards,
    findings: list[Finding],
    overlap_of: Callable[[shards.Shards], Overlap | None],
) -> Group:
    overlap = overlap_of(here) if here.whole else None
    if overlap:
        findings += overlap_findings(overlap)
        summary += f"; {overlap.share:.1%} of the validation is in training ({overlap.bound})"
    return Group("data", summary, tuple(findings))


def _place(course: Course) -> tuple[Path, Path, int] | None:
    """Return where a course keeps shards and tokenizer, and its vocabulary.

    None before the practice course is made.
    """
    if course.data:
        return Path(course.data.path), Path(course.data.tokenizer), course.data.vocab_size
    if course.name == "practice":
        from harness.courses.practice import course_dir
        from harness.courses.practice import load_course as load_practice

        folder = course_dir()
        if not folder.exists():
            return None
        practice = load_practice(folder)  # checked against its own fingerprints
        return practice.data_path, practice.tokenizer_path, practice.vocab_size
    data, tokenizer, size = (KNOBS[name].default for name in ("DATA_PATH", "TOKENIZER_PATH", "VOCAB_SIZE"))
    return Path(str(data)), Path(str(tokenizer)), int(str(size))


def split_findings(course: Course, split: str) -> list[Finding]:
    """Say when a validation text is none of its course's."""
    if not course.splits or not split.startswith("unknown-"):
        return []
    splits = ", ".join(f"{one.name} ({one.val_bytes / 1e6:,.2f} M bytes)" for one in course.splits)
    return [
        Finding(
            "warning",
            f"the validation text is no known split of {course.name}; known: {splits}",
            "its score cannot be compared",
            "`harness data pull`, or another --course",
        )
    ]


def canonical_findings(course: Course, val_tokens: int, vocab_size: int) -> list[Finding]:
    """Compare a count of validation tokens with the course's splits, for the vocabulary they are known of."""
    splits = {s.name: s.val_tokens_sp1024 for s in course.splits if s.val_tokens_sp1024}
    if vocab_size != 1024 or not splits or any(abs(val_tokens / n - 1) < TOKENS_OFF for n in splits.values()):
        return []
    listed = ", ".join(f"{count:,} ({name})" for name, count in splits.items())
    return [
        Finding(
            "error",
            f"the validation shards hold {val_tokens:,} tokens; {course.name} has {listed}",
            "a score on part of the text is not a score on it",
            "`harness data pull` fetches what is missing",
        )
    ]


def tokenizer_findings(path: Path, vocab_size: int) -> list[Finding]:
    """See that a SentencePiece model is there and has as many pieces as the course says."""
    why = "scores are per byte, and the tokenizer says how many bytes a token has"
    if not path.is_file():
        return [
            Finding(
                "error", f"there is no tokenizer {path}", why, "`harness data pull`, or set TOKENIZER_PATH"
            )
        ]
    import sentencepiece

    try:
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(path)).vocab_size()
    except (RuntimeError, OSError) as error:
        return [
            Finding("error", f"{path} is no SentencePiece model: {error}", why, "fetch or prepare it again")
        ]
    if pieces == vocab_size:
        return []
    what = f"{path.name} has {pieces} pieces, the vocabulary is {vocab_size}"
    return [Finding("error", what, why, f"-o VOCAB_SIZE={pieces}, or the tokenizer of these shards")]
