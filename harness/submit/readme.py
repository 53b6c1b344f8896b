"""The README.md of a submission folder: the hole's own words, its numbers, and how to run it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import figures
from harness.records.code_rule import RULE_WORDS, code_rule
from harness.submit.prepared import SCRIPT, Prepared

_SECTIONS = (
    ("The idea", "pick"),
    ("What was done", "read"),
    ("The shot", "shot"),
    ("What was learnt", "lesson"),
)


def readme(made: Prepared) -> str:
    """Return the text, as Markdown."""
    return "\n\n".join(part for part in _parts(made) if part) + "\n"


def _parts(made: Prepared) -> Iterator[str]:
    yield f"# {_plain(made.played.title)}"
    yield _plain(blurb(made))
    yield _headline(made)
    yield "## Results\n\n" + _results(made)
    for heading, key in _SECTIONS:
        if text := made.notes.get(key).strip():
            yield f"## {heading}\n\n{text}"
    yield "## Configuration\n\n" + _configuration(made)
    yield "## Size\n\n" + _size(made)
    yield "## Running it again\n\n" + _running(made)
    yield "## Rules\n\n" + _table(
        ("rule", "outcome", "measured"),
        [(r.name, r.outcome, r.what) for r in made.rules if r.name != "author"],
    )


def _headline(made: Prepared) -> str:
    std, n = made.val_bpb_std, len(made.runs)
    spread = f", standard deviation {std:.5f} over {n} seeds" if std is not None else ""
    record = made.runs[-1].record
    why = f" Scored by: {record.official.why}." if record.official else ""
    return f"**val_bpb {figures.bpb(made.val_bpb)}**{spread} (track `{made.track}`, {made.played.day}).{why}"


def _results(made: Prepared) -> str:
    rows = []
    for run in made.runs:
        record = run.record
        rows.append(
            (
                str(record.seed),
                f"{record.val_bpb:.8f}",
                "" if record.val_loss is None else f"{record.val_loss:.8f}",
                figures.count(record.steps),
                figures.tempo(record.step_ms),
                figures.seconds(record.train_seconds),
                figures.count(made.total_bytes(run)),
                f"[{run.log_name}]({run.log_name})",
            )
        )
    head = ("seed", "val_bpb", "val_loss", "steps", "per step", "training", "total bytes", "log")
    return _table(head, rows)


def _configuration(made: Prepared) -> str:
    record = made.runs[-1].record
    start = f"Preset `{record.preset}`" if record.preset else "As logged"
    if not record.overrides:
        return f"{start}, nothing overridden."
    rows = [(f"`{name}`", f"`{value}`") for name, value in sorted(record.overrides.items())]
    return f"{start}, with:\n\n" + _table(("setting", "value"), rows)


def _size(made: Prepared) -> str:
    record = made.runs[-1].record
    cap = made.course.caps.artifact_bytes
    total = made.largest_total
    text = (
        f"Code {made.code_bytes:,} bytes (all of `{SCRIPT}` and what lies beside it), the largest artifact "
        f"{figures.count(total)} of {cap:,} bytes."
    )
    if record.code_bytes is not None and record.code_bytes != made.code_bytes:
        counted = code_rule(record)
        rule = RULE_WORDS[counted] if counted else ""
        text += (
            f" When it was played, {record.code_bytes:,} bytes of code were counted{rule and f' ({rule})'}; the last "
            "lines of the logs give the count for this folder."
        )
    return text


def _running(made: Prepared) -> str:
    record = made.runs[-1].record
    world = record.environment.world_size or 1
    start = f"torchrun --standalone --nproc_per_node={world} {SCRIPT}" if world > 1 else f"python {SCRIPT}"
    lines = ["```", "pip install -r requirements.txt"] if made.builtin else ["```"]
    lines += [
        "export DATA_PATH=./data/datasets/fineweb10B_sp1024 TOKENIZER_PATH=./data/tokenizers/fineweb_1024_bpe.model"
    ]
    lines += [f"SEED={run.record.seed} {start}" for run in made.runs if run.record.seed is not None]
    lines.append("```")
    on = made.runs[-1].hardware
    return "\n".join(lines) + (f"\n\nPlayed on {on}, torch {record.environment.torch}." if on else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """A line of text, safe as Markdown: a title may hold anything."""
    return " ".join(text.split()).replace("<", "&lt;")


def blurb(made: Prepared) -> str:
    """One paragraph of what was done: the hypothesis, else the technical read."""
    return " ".join((made.played.intent.hypothesis or made.notes.get("read")).split())
