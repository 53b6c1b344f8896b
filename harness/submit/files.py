"""The files of a submission folder: README.md, submission.json, logs, requirements.txt."""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
import sys
from typing import Any

from harness.scripts.unpack import unpack_source
from harness.submit.prepared import SCRIPT, Prepared, SubmittedRun, mean, spread
from harness.submit.readme import blurb, readme

_TOTAL = re.compile(rb"^Total submission size (\S+): ", re.MULTILINE)


def make_files(made: Prepared) -> dict[str, bytes]:
    """Return all files of the folder by name."""
    submission = json.dumps(submission_data(made), indent=2, ensure_ascii=False) + "\n"
    files = {"README.md": readme(made).encode(), "submission.json": submission.encode()}
    for run in made.runs:
        files[run.log_name] = _log(made, run)
    files |= made.code
    if made.builtin:
        files["requirements.txt"] = _requirements(made).encode()
    return files


def _log(made: Prepared, run: SubmittedRun) -> bytes:
    """The log as it was printed. Where it counted other code, the folder's own count is added below, marked."""
    raw = run.attempt.log_path.read_bytes()
    record = run.record
    if record.code_bytes in (None, made.code_bytes) or record.model_bytes is None:
        return raw
    codec = _codec(raw)
    if not raw.endswith(b"\n"):
        raw += b"\n"
    note = (
        f"harness submit: {record.code_bytes} bytes of code were counted when it was played; "
        f"{SCRIPT} of this folder is counted below\n"
        f"Code size: {made.code_bytes} bytes\n"
        f"Total submission size{codec and ' ' + codec}: {made.total_bytes(run)} bytes\n"
    )
    return raw + note.encode()


def _codec(log: bytes) -> str:
    """How a log calls its artifact's form: `int8+zlib`; "" when it does not say."""
    found = _TOTAL.findall(log)
    return found[-1].decode("utf-8", "replace") if found else ""


def _requirements(made: Prepared) -> str:
    """What the code imports beyond Python itself, in the versions that played where they are known."""
    versions = made.runs[-1].record.environment.model_dump()
    imported = set()
    for node in ast.walk(ast.parse(unpack_source(made.code[SCRIPT].decode()).source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])
    lines = []
    for package in sorted(imported - sys.stdlib_module_names - {"trainer"}):  # which is in the script
        version = versions.get(package)
        lines.append(f"{package}=={version.split('+')[0]}" if version else package)
    return "\n".join(lines) + "\n"


def submission_data(made: Prepared) -> dict[str, Any]:
    """Return the content of submission.json, in the field's keys; what was not measured is left out."""
    records = [run.record for run in made.runs]
    last = records[-1]
    per_seed = {
        str(run.record.seed if run.record.seed is not None else f"attempt {run.record.attempt}"): _known(
            val_bpb=run.record.val_bpb,
            val_loss=run.record.val_loss,
            artifact_bytes=made.total_bytes(run),
            bytes_model=run.record.model_bytes,
            steps=run.record.steps,
            step_avg_ms=run.record.step_ms,
            train_time_seconds=run.record.train_seconds,
            eval_time_seconds=run.eval_seconds,
        )
        for run in made.runs
    }
    losses = [r.val_loss for r in records]
    before = [r.stage_bpb("pre_quantization") for r in records]
    return _known(
        author=made.author.name,
        github_id=made.author.github_id,
        name=made.played.title,
        blurb=blurb(made) or None,
        date=(made.played.day or dt.datetime.now(dt.UTC).date()).isoformat(),
        track=made.track,
        val_loss=mean(losses),
        val_bpb=made.val_bpb,
        val_loss_std=spread(losses),
        val_bpb_std=made.val_bpb_std,
        pre_quant_val_bpb=mean(before),
        seeds=[r.seed for r in records if r.seed is not None] or None,
        seed_results=per_seed,
        step_stop=last.steps,
        wallclock_seconds=mean([r.train_seconds for r in records]),
        eval_time_seconds=mean([run.eval_seconds for run in made.runs]),
        bytes_total=made.largest_total,
        **{_model_key(made): max(r.model_bytes or 0 for r in records) or None},
        bytes_code=made.code_bytes,
        hardware=made.runs[-1].hardware,
        pytorch_version=last.environment.torch,
        compliance=_compliance(made),
    )


def _model_key(made: Prepared) -> str:
    """`bytes_model_int8_zlib`, as the field calls it by the artifact's form."""
    codec = (
        _codec(made.runs[-1].attempt.log_path.read_bytes())
        if made.runs[-1].attempt.log_path.is_file()
        else ""
    )
    return "bytes_model_" + (re.sub(r"\W+", "_", codec) or "compressed")


def _compliance(made: Prepared) -> dict[str, Any]:
    """What the rules came to, by name: true, false, or the words of what must be attested."""
    words: dict[str, Any] = {"pass": True, "fail": False}
    found: dict[str, Any] = {}
    for rule in made.rules:
        name = rule.name.split(",")[0].replace(" ", "_")
        value = words.get(rule.outcome, f"{rule.outcome}: {rule.what}")
        found[name] = value if found.get(name, True) is True else found[name]
    found.pop("author", None)
    return found


def _known(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
