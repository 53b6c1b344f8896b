"""What may be wrong with a planned run and its season: size, time, memory, seeds, words, lineage, code.

Each function looks at facts that others gathered and returns findings. The refusals are `harness.run.plan`'s.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from pathlib import Path

from harness.courses.course import Course
from harness.findings import Finding
from harness.records.record import Code, RunRecord
from harness.resources import PACKAGE
from harness.run.doctor.schedules import Outlook
from harness.run.plan import Plan
from harness.run.unfinished import look_at
from harness.season.season import Season
from trainer.config import KNOBS
from trainer.knob import ARTIFACT_SIZE, STEP_TIME

# Forecast against artifact, one attempt of each of the nine holes played at first (int8 + zlib): the model
# came out 6.1 % below to 0.3 % above it. Below: where much is stored as fp16, which zlib packs better than 0.92.
FORECAST_LOW, FORECAST_HIGH = 0.94, 1.005
SEEDS_OF_A_CLAIM = 3  # the challenge asks for p < 0.01, which fewer cannot show
CANONICAL = 1e-3


def forecast(plan: Plan, season: Season, untrained: int | None) -> tuple[str, list[Finding]]:
    """Say how large the artifact will be: from its untrained weights, and from trained ones of the same form.

    untrained: bytes of the model as it is initialised, packed; a lower bound, since training spreads the weights.
    """
    cap, ours = plan.course.caps.artifact_bytes, plan.trainer
    code = ours.code_bytes or code_bytes()
    model = (ours.forecast_bytes or code) - code
    low, high = code + model * FORECAST_LOW, code + model * FORECAST_HIGH
    basis = "estimate after training; it was off by -6 to +1 % of the model on the holes it was fitted to"
    alike = [
        record.model_bytes
        for record in _records(season)
        if record.model_bytes
        and record.params == ours.params
        and _same(record, plan.trainer.config, ARTIFACT_SIZE)
    ]
    if alike:
        low, high = code + min(alike), code + max(alike)
        basis = f"as {len(alike)} earlier attempt{'s' if len(alike) > 1 else ''} of this form"
    start = "" if untrained is None else f"untrained {(code + untrained) / 1e6:,.3f} MB; "
    summary = (
        f"{ours.params or 0:,} parameters; {start}trained {low / 1e6:,.3f} to {high / 1e6:,.3f} MB "
        f"of {cap / 1e6:,.1f} ({basis})"
    )
    if high < cap:
        return summary, []
    what = f"the artifact may come to {high:,.0f} bytes; the cap is {cap:,}"
    return summary, [
        Finding(
            "warning",
            what,
            "over the cap a score does not count",
            "make the model smaller, or store it in fewer bits",
        )
    ]


def code_bytes() -> int:
    """Bytes of the built-in trainer, as it counts them itself."""
    folder = PACKAGE.parent / "trainer"
    return sum(path.stat().st_size for path in folder.rglob("*.py"))


def known_tempo(plan: Plan, season: Season) -> float | None:
    """Return the median ms per step of earlier attempts of this shape and device, or None."""
    known = [r.step_ms for r in _records(season) if r.step_ms and _same(r, plan.trainer.config, STEP_TIME)]
    return statistics.median(known) if known else None


def time_findings(plan: Plan, outlook: Outlook) -> list[Finding]:
    """Say when training will take longer than the course allows."""
    cap = plan.course.caps.train_seconds
    took = outlook.steps * (outlook.tempo_ms or 0.0) / 1000
    if not plan.course.leaderboard or took <= cap * 1.01:
        return []
    return [
        Finding(
            "warning",
            f"training will take about {took:,.0f} s; {plan.course.name} allows {cap:g}",
            "such a score is no entry",
            f"-o MAX_WALLCLOCK_SECONDS={cap:g}",
        )
    ]


def memory_findings(plan: Plan, season: Season, free_bytes: int) -> list[Finding]:
    """Compare the memory a run needs with what is free: as earlier attempts of its shape, else a rough sum."""
    if plan.trainer.config["DEVICE"] == "cuda":
        return []  # the card's memory counts then, and the trainer's own allocator says best what it lacks
    peaks = [
        r.peak_memory_bytes
        for r in _records(season)
        if r.peak_memory_bytes and _same(r, plan.trainer.config, STEP_TIME)
    ]
    need, basis = (
        (max(peaks), "as earlier attempts of this shape") if peaks else (_rough_bytes(plan), "a rough sum")
    )
    if need <= free_bytes:
        return []
    return [
        Finding(
            "warning",
            f"about {need / 1e9:,.1f} GB of memory are needed ({basis}), {free_bytes / 1e9:,.1f} GB are free",
            "a run that swaps does not end, and one that is killed has no score",
            "-o GRAD_ACCUM_STEPS=N for smaller micro-batches, or close other programs",
        )
    ]


def _rough_bytes(plan: Plan) -> int:
    """Estimate the peak of a run on the CPU, in bytes.

    torch itself 0.4 GB; 24 bytes a parameter (weights, gradients, two moments, a checkpoint); for each token of a
    micro-batch 40 floats of the width in each layer, and three rows of logits; two rows for a validation batch.
    Against the practice presets it comes out a quarter too low.
    """
    c = {name: int(text) for name, text in plan.trainer.config.items() if text.isdecimal()}
    parts = c["GRAD_ACCUM_STEPS"] or 8
    train = c["TRAIN_BATCH_TOKENS"] / parts * (c["NUM_LAYERS"] * c["MODEL_DIM"] * 160 + c["VOCAB_SIZE"] * 12)
    val = c["VAL_BATCH_SIZE"] / parts * c["VOCAB_SIZE"] * 8
    return int(4e8 + 24 * (plan.trainer.params or 0) + max(train, val))


def split_findings(course: Course, split: str) -> list[Finding]:
    """Say when a validation text is none of its course's."""
    if not course.splits or not split.startswith("unknown-"):
        return []
    known = ", ".join(f"{one.name} ({one.val_bytes / 1e6:,.2f} M bytes)" for one in course.splits)
    return [
        Finding(
            "warning",
            f"the validation text is no known split of {course.name}; known: {known}",
            "its score can be compared with nobody's",
            "`harness data pull`, or another --course",
        )
    ]


def canonical_findings(course: Course, val_tokens: int, vocab_size: int) -> list[Finding]:
    """Compare a count of validation tokens with the course's splits, for the vocabulary they are known of."""
    known = {s.name: s.val_tokens_sp1024 for s in course.splits if s.val_tokens_sp1024}
    if vocab_size != 1024 or not known or any(abs(val_tokens / n - 1) < CANONICAL for n in known.values()):
        return []
    listed = ", ".join(f"{count:,} ({name})" for name, count in known.items())
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


def intent_findings(plan: Plan, season: Season) -> list[Finding]:
    """Look at what round.toml says beside the settings: seeds, parent, hypothesis."""
    found = []
    name = plan.hole.folder
    played = {r.seed for h in season.holes if h.name.folder == name for r in h.records if r.complete}
    seeds = played | set(plan.seeds)
    if plan.course.leaderboard and len(seeds) < SEEDS_OF_A_CLAIM:
        found.append(
            Finding(
                "note",
                f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} of the {SEEDS_OF_A_CLAIM} that a claim on {plan.course.name} needs",
                "one run cannot be told from luck",
                "--seeds 42,1337,314",
            )
        )
    elif plan.course.noise is None and len(seeds) == 1:
        found.append(
            Finding(
                "note",
                f"one seed, and nobody has measured the noise of {plan.course.name}",
                "the score can be compared with nothing",
                "--seeds 42,1337,314",
            )
        )
    if plan.intent.parent:
        found += _parent_findings(name, plan.intent.parent, season)
    if not plan.intent.hypothesis and not plan.is_new:
        found.append(_no_hypothesis(name))
    return found


def _no_hypothesis(name: str) -> Finding:
    return Finding(
        "note",
        f"{name} has no hypothesis",
        "an expectation written afterwards is none",
        f'write hypothesis = "..." into {name}/round.toml',
    )


def _parent_findings(name: str, parent: str, season: Season) -> list[Finding]:
    if any(hole.name.folder.startswith(parent) for hole in season.holes):
        return []
    return [
        Finding(
            "warning",
            f'{name}: its parent "{parent}" is not here',
            "it cannot be compared with what it varies",
            f"mend parent in {name}/round.toml; `harness ls` shows all holes",
        )
    ]


def season_findings(season: Season, hole: str | None) -> list[Finding]:
    """Look over the season, or over one hole of it: files, lineage, numbers, unfinished attempts, words."""
    found = [
        Finding("error", problem, "it is passed over everywhere", "mend it, or restore it from git")
        for problem in season.problems
    ]
    numbers = Counter(played.name.number for played in season.holes)
    for number in sorted(number for number, count in numbers.items() if count > 1):
        names = ", ".join(h.name.folder for h in season.holes if h.name.number == number)
        found.append(
            Finding(
                "warning",
                f"number {number} is taken twice: {names}",
                "the number names neither",
                "rename one",
            )
        )
    for played in season.holes:
        name = played.name.folder
        if hole not in (None, name):
            continue
        for attempt in (entry.attempt for entry in played.entries if entry.record is None):
            if not look_at(name, attempt).running:
                found.append(
                    Finding(
                        "warning",
                        f"{name} has no record of {attempt.path.name}, and nobody is playing it",
                        "it was killed before it could write one",
                        f"`harness resume {name}`",
                    )
                )
        if hole is None and played.summary.parent:
            found += _parent_findings(name, played.summary.parent, season)
    silent = [h.name.folder for h in season.holes if not h.files.intent.hypothesis]
    if hole is None and silent:
        more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
        found.append(
            _no_hypothesis(silent[0] + more)
            if not more
            else Finding(
                "note",
                f"{silent[0]}{more} have no hypothesis",
                "an expectation written afterwards is none",
                'write hypothesis = "..." into their round.toml',
            )
        )
    return found


def code_findings(code: Code, diff: str) -> list[Finding]:
    """Say how well a record will tell which code ran."""
    if code.git_sha is None:
        return [
            Finding(
                "note",
                "the trainer's code is in no git commit",
                "a record keeps only its hash",
                "`git init`, or play from a checkout",
            )
        ]
    if not code.dirty:
        return []
    files = list(dict.fromkeys(re.findall(r"^\+\+\+ (?:b/)?(\S+)", diff, re.MULTILINE)))
    shown = ", ".join(files[:4]) + (f" and {len(files) - 4} more" if len(files) > 4 else "")
    return [
        Finding(
            "note",
            f"not committed: {shown or 'a change'}",
            "the record keeps the diff; a commit is easier to find again",
            "`git commit`, then play",
        )
    ]


def _records(season: Season) -> list[RunRecord]:
    return [record for hole in season.holes for record in hole.records]


def _same(record: RunRecord, config: dict[str, str], decided: str) -> bool:
    """Whether the settings that decide something agree, such as STEP_TIME.

    A name that an older record lacks had no effect then, and counts as its default.
    """
    knobs = [knob for knob in KNOBS.values() if knob.decides == decided]
    return bool(record.config) and all(
        record.config.get(knob.name, knob.format(knob.default)) == config.get(knob.name) for knob in knobs
    )
