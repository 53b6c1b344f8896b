"""What must be there before a folder can be made: author, logs, bytes under the cap. The rest is the referee's."""

from __future__ import annotations

from harness.submit.prepared import Author, Prepared, Requirement, SubmittedRun
from harness.submit.rules.ruling import RulingOutcome


def author_rule(author: Author) -> Requirement:
    missing = [
        option
        for option, value in (('--author "NAME"', author.name), ("--github-id ID", author.github_id))
        if not value
    ]
    if missing:
        return Requirement(
            "author", "please attest", "who submits is not known; the field stays empty", " ".join(missing)
        )
    return Requirement("author", "pass", f"{author.name} ({author.github_id})")


def course_rule(made: Prepared) -> Requirement:
    if made.course.name != "fineweb":
        what = (
            f"played on the course {made.course.name}, not on the challenge's text: good for a rehearsal only"
        )
        return Requirement(
            "course", "please attest", what, f"`harness run {made.played.name.folder} --course fineweb`"
        )
    first = made.course.splits[0].name if made.course.splits else None
    outcome: RulingOutcome = "pass" if made.played.split == first else "please attest"
    return Requirement("course", outcome, f"validation split: {made.played.split}")


def log_rule(run: SubmittedRun) -> Requirement:
    path = run.attempt.log_path
    if path.is_file() and path.stat().st_size:
        return Requirement("log", "pass", f"{run.log_name}: {path.stat().st_size:,} bytes")
    seed = run.record.seed
    return Requirement(
        "log",
        "fail",
        f"{path} is not here (git ignores logs)",
        f"copy it from where seed {seed} was played, or play it again: "
        f"`harness run {run.record.hole} --seed {seed} --repeat`",
    )


def size_rule(made: Prepared, run: SubmittedRun) -> Requirement:
    record, total = run.record, made.total_bytes(run)
    cap = made.course.caps.artifact_bytes
    name = f"size, seed {record.seed}"
    if record.model_bytes is None or total is None:
        return Requirement(name, "fail", f"attempt {record.attempt} does not say how large its model is")
    weighed = _weigh_model(run)
    if weighed is not None and weighed != record.model_bytes:
        what = f"{record.model_file} has {weighed:,} bytes, its record says {record.model_bytes:,}"
        return Requirement(name, "fail", what, "play the attempt again")
    what = (
        f"{total:,} bytes = model {record.model_bytes:,} + code {made.code_bytes:,}; "
        f"cap {cap:,}, headroom {cap - total:,}"
    )
    if record.code_bytes is not None and record.code_bytes != made.code_bytes:
        what += f" (the record counted {record.artifact_bytes:,}, with {record.code_bytes:,} bytes of code)"
    if total >= cap:
        return Requirement(name, "fail", what, "the artifact must be under the cap: make the model smaller")
    return Requirement(name, "pass", what + ("" if weighed else "; the weights themselves are not here"))


def _weigh_model(run: SubmittedRun) -> int | None:
    path = run.attempt.path / (run.record.model_file or "model.zlib")
    return path.stat().st_size if path.is_file() else None
