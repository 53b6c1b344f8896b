"""The files of a submission folder: submission.json, README.md, logs, requirements.txt."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import json
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from harness import figures
from harness.documents import read_file
from harness.files import plain_below
from harness.privacy import mask_page, mask_text
from harness.records.exported import FILE, dump_exported
from harness.records.record import mean_stage_bpb
from harness.scripts.grammar import parse
from harness.scripts.unpack import unpack_source
from harness.season.artifact import RULE_WORDS, code_rule
from harness.season.hole import PlayedHole
from harness.submit.code import SCRIPT
from harness.submit.result import RuleResult
from harness.submit.submission import Author, Submission, SubmittedRun, largest, mean, spread

MAX_LOG_BYTES = 1_000_000_000
_TOTAL = re.compile(rb"^Total submission size (\S+): ", re.MULTILINE)


def make_files(submission: Submission) -> dict[str, bytes]:
    """Return all files of the folder by name."""
    files = {
        "README.md": mask_page(readme(submission)).encode(),
        "submission.json": mask_page(as_json(folder_data(submission)).decode()).encode(),
    }
    exported = []
    for run in submission.runs:
        log = files[run.log_name] = _log(submission, run)
        exported.append((run.log_name, hashlib.sha256(log).hexdigest(), run.record))
    files[FILE] = dump_exported(exported)
    files |= submission.code
    if submission.builtin:
        files["requirements.txt"] = _requirements(submission).encode()
    return files


def _log(submission: Submission, run: SubmittedRun) -> bytes:
    """The log as printed, without secrets and the folders of this machine.

    Where it counted other code, the folder's own count is added below, marked.
    """
    content = read_file(run.attempt.log_path, MAX_LOG_BYTES, root=run.attempt.path)
    text = content.decode("utf-8", "surrogateescape")
    raw = mask_text(text).encode("utf-8", "surrogateescape")
    record = run.record
    if record.code_bytes in (None, submission.code_bytes) or record.model_bytes is None:
        return raw
    codec = _codec(raw)
    if not raw.endswith(b"\n"):
        raw += b"\n"
    note = (
        f"harness submit: {record.code_bytes} bytes of code were counted when it was played; "
        f"{SCRIPT} of this folder is counted below\n"
        f"Code size: {submission.code_bytes} bytes\n"
        f"Total submission size{codec and ' ' + codec}: {submission.total_bytes(run)} bytes\n"
    )
    return raw + note.encode()


def _codec(log: bytes) -> str:
    """The form of the artifact in a log's words, `int8+zlib`; "" when it does not say."""
    codecs = _TOTAL.findall(log)
    return codecs[-1].decode("utf-8", "replace") if codecs else ""


def _requirements(submission: Submission) -> str:
    """What the code imports beyond Python itself, in the versions that the run had, where they are known."""
    versions = submission.runs[-1].record.environment.model_dump()
    imported = set()
    for node in ast.walk(parse(unpack_source(submission.code[SCRIPT].decode()).source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    lines = []
    for package in sorted(imported - sys.stdlib_module_names - {"trainer"}):  # which is in the script
        version = versions.get(package)
        lines.append(f"{package}=={version.split('+')[0]}" if version else package)
    return "\n".join(lines) + "\n"


def folder_data(submission: Submission) -> dict[str, Any]:
    """Return the content of a submission's submission.json: its bytes are those of the folder's own code."""
    return submission_data(
        submission.played,
        submission.author,
        submission.runs,
        code_bytes=submission.code_bytes,
        track=submission.track,
        blurb=blurb(submission),
        rules=submission.rules,
    )


def submission_data(
    played: PlayedHole,
    author: Author,
    runs: Sequence[SubmittedRun],
    code_bytes: int | None = None,
    track: str | None = None,
    blurb: str = "",
    rules: Sequence[RuleResult] = (),
) -> dict[str, Any]:
    """Return the content of submission.json, in the field's keys; what was not measured is left out.

    code_bytes: of the script that is handed in; None for the bytes as they were recorded.
    """
    records = [run.record for run in runs]
    last = records[-1]
    per_seed = {
        str(run.record.seed): _known(
            val_bpb=run.record.val_bpb,
            val_loss=run.record.val_loss,
            artifact_bytes=run.total_bytes(code_bytes),
            bytes_model=run.record.model_bytes,
            steps=run.record.steps,
            step_avg_ms=run.record.step_ms,
            train_time_seconds=run.record.train_seconds,
            eval_time_seconds=run.eval_seconds,
        )
        for run in runs
        if run.record.seed is not None
    }
    losses = [r.val_loss for r in records]
    scores = [r.val_bpb for r in records]
    return _known(
        author=author.name,
        github_id=author.github_id,
        name=played.title,
        blurb=blurb or None,
        date=(played.day or dt.datetime.now(dt.UTC).date()).isoformat(),
        track=track,
        val_loss=mean(losses),
        val_bpb=mean(scores),
        val_loss_std=spread(losses),
        val_bpb_std=spread(scores),
        pre_quant_val_bpb=mean_stage_bpb(records, "pre_quantization"),
        seeds=[r.seed for r in records if r.seed is not None] or None,
        seed_results=per_seed or None,
        step_stop=last.steps,
        wallclock_seconds=mean([r.train_seconds for r in records]),
        eval_time_seconds=mean([run.eval_seconds for run in runs]),
        bytes_total=largest([run.total_bytes(code_bytes) for run in runs]),
        **{_model_key(runs[-1]): max(r.model_bytes or 0 for r in records) or None},
        bytes_code=last.code_bytes if code_bytes is None else code_bytes,
        hardware=runs[-1].hardware,
        pytorch_version=last.environment.torch,
        compliance=_compliance(rules) or None,
    )


def as_json(data: dict[str, Any]) -> bytes:
    """Return a submission file's bytes."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def _model_key(run: SubmittedRun) -> str:
    """`bytes_model_int8_zlib`, as the field calls it by the artifact's form."""
    path = plain_below(run.attempt.path, run.attempt.log_path.name)
    codec = _codec(read_file(path, MAX_LOG_BYTES, root=run.attempt.path)) if path else ""
    return "bytes_model_" + (re.sub(r"\W+", "_", codec) or "compressed")


def _compliance(rules: Sequence[RuleResult]) -> dict[str, Any]:
    """The rules' results by name: true, false, or the words of what must be attested."""
    words: dict[str, Any] = {"pass": True, "fail": False}
    by_id: dict[str, Any] = {}
    for result in rules:
        value = words.get(result.outcome, f"{result.outcome}: {result.measured}")
        by_id[result.id] = value if by_id.get(result.id, True) is True else by_id[result.id]
    by_id.pop("author", None)
    return by_id


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


# README.md ------------------------------------------------------------------------------------------------

_SECTIONS = (
    ("The idea", "pick"),
    ("What was done", "read"),
    ("The shot", "shot"),
    ("What was learnt", "lesson"),
)


def readme(submission: Submission) -> str:
    """Return the text, as Markdown."""
    return "\n\n".join(part for part in _parts(submission) if part) + "\n"


def _parts(submission: Submission) -> Iterator[str]:
    yield f"# {_plain(submission.played.title)}"
    yield _plain(blurb(submission))
    yield _headline(submission)
    yield "## Results\n\n" + _results(submission)
    for heading, key in _SECTIONS:
        if text := submission.notes.get(key).strip():
            yield f"## {heading}\n\n{text}"
    yield "## Configuration\n\n" + _configuration(submission)
    yield "## Size\n\n" + _size(submission)
    yield "## Running it again\n\n" + _running(submission)
    yield "## Rules\n\n" + _table(
        ("rule", "outcome", "measured"),
        [(r.title, r.outcome, r.measured) for r in submission.rules if r.id != "author"],
    )


def _headline(submission: Submission) -> str:
    std, n = submission.val_bpb_std, len(submission.runs)
    spread = f", standard deviation {std:.5f} over {n} seeds" if std is not None else ""
    record = submission.runs[-1].record
    why = f" Scored by: {record.official.why}." if record.official else ""
    score = f"**val_bpb {figures.bpb(submission.val_bpb)}**{spread}"
    return f"{score} (track `{submission.track}`, {submission.played.day}).{why}"


def _results(submission: Submission) -> str:
    rows = []
    for run in submission.runs:
        record = run.record
        rows.append(
            (
                str(record.seed),
                f"{record.val_bpb:.8f}",
                "" if record.val_loss is None else f"{record.val_loss:.8f}",
                figures.count(record.steps),
                figures.tempo(record.step_ms),
                figures.seconds(record.train_seconds),
                figures.count(submission.total_bytes(run)),
                f"[{run.log_name}]({run.log_name})",
            )
        )
    head = ("seed", "val_bpb", "val_loss", "steps", "per step", "training", "total bytes", "log")
    return _table(head, rows)


def _configuration(submission: Submission) -> str:
    record = submission.runs[-1].record
    start = f"Preset `{record.preset}`" if record.preset else "As logged"
    if not record.overrides:
        return f"{start}, nothing overridden."
    rows = [(f"`{name}`", f"`{value}`") for name, value in sorted(record.overrides.items())]
    return f"{start}, with:\n\n" + _table(("setting", "value"), rows)


def _size(submission: Submission) -> str:
    record = submission.runs[-1].record
    cap = submission.course.caps.artifact_bytes
    total = submission.largest_total
    text = (
        f"Code {submission.code_bytes:,} bytes (all of `{SCRIPT}` and what lies beside it), "
        f"the largest artifact {figures.count(total)} of {cap:,} bytes."
    )
    if record.code_bytes is not None and record.code_bytes != submission.code_bytes:
        counted = code_rule(record)
        rule = RULE_WORDS[counted] if counted else ""
        text += (
            f" When it was played, {record.code_bytes:,} bytes of code were counted{rule and f' ({rule})'}; "
            "the last lines of the logs give the count for this folder."
        )
    return text


def _running(submission: Submission) -> str:
    record = submission.runs[-1].record
    world = record.environment.world_size or 1
    start = f"torchrun --standalone --nproc_per_node={world} {SCRIPT}" if world > 1 else f"python {SCRIPT}"
    lines = ["```", "pip install -r requirements.txt"] if submission.builtin else ["```"]
    lines += _data_places(submission)
    for run in submission.runs:
        if run.record.seed is not None:
            lines.append(
                " ".join([f"SEED={run.record.seed} {start}", *map(shlex.quote, run.record.arguments)])
            )
    lines.append("```")
    on = submission.runs[-1].hardware
    return "\n".join(lines) + (f"\n\nPlayed on {on}, torch {record.environment.torch}." if on else "")


def _data_places(submission: Submission) -> list[str]:
    """Say where the script finds its data: the challenge's places, or what the reader must fill in."""
    if submission.course.name == "fineweb":
        return [
            "export DATA_PATH=./data/datasets/fineweb10B_sp1024 "
            "TOKENIZER_PATH=./data/tokenizers/fineweb_1024_bpe.model"
        ]
    what = f"the {submission.course.title} course, split {submission.runs[-1].record.split or 'unknown'}"
    return [
        f"# Shards and tokenizer of {_plain(what)}.",
        "export DATA_PATH=PATH_OF_THE_SHARDS TOKENIZER_PATH=PATH_OF_THE_TOKENIZER",
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """A line of text, safe as Markdown: a title may hold anything."""
    return " ".join(text.split()).replace("<", "&lt;")


def blurb(submission: Submission) -> str:
    """One paragraph of what was done: the hypothesis, else the technical read."""
    return " ".join((submission.played.intent.hypothesis or submission.notes.get("read")).split())
