"""How many bytes an artifact has, and whether they fit: one rule for `harness check` and `harness submit`.

A log's own total is believed. It may count the code packed while the readable script lies in the folder:
where the one fits and the other does not, nobody can tell before the script is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.field.submission_file import SubmissionFile
from harness.figures import number
from harness.files import plain_below
from harness.records.record import excess_bytes, over_cap
from harness.season.artifact import RULE_WORDS, code_rule
from harness.submit.candidate import CandidateRun, Case, CodeOnDisk
from harness.submit.result import SEVERITY, RuleOutcome, RuleResult
from harness.submit.rules.local_code import uncounted_files
from harness.submit.submission import Submission, SubmittedRun


@dataclass(frozen=True)
class Weight:
    """What is known of the bytes of one run's artifact; None or empty where nothing is.

    model: as weighed, else as logged. stated: the total, as logged. counted: the code in that total; words:
    what its log calls it. plain: the largest other count of the code in the log, with its words. here: all
    code on this disk. uncounted: files among it that surely take part and are in no count, with their bytes.
    beside: files here that are in no count and need not take part. vague: a size in megabytes.
    weighed: the model file is here, too. believed: the log's word is enough, since it is all that a public
    record shows. mismatch: what contradicts the record.
    """

    name: str
    model: int | None = None
    stated: int | None = None
    counted: int | None = None
    words: str = ""
    plain: tuple[str, int] | None = None
    here: int | None = None
    uncounted: dict[str, int] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    vague: str = ""
    weighed: bool = False
    believed: bool = False
    mismatch: str = ""

    @property
    def total(self) -> int | None:
        """Model and code as they are counted: weighed here, else as logged."""
        code = self.here if self.weighed or self.counted is None else self.counted
        weighed = None if self.model is None or code is None else self.model + code
        if self.stated is None or weighed is None:
            return weighed if self.stated is None else self.stated
        return max(weighed, self.stated) if self.weighed else self.stated

    def with_code(self, code: int) -> int:
        """The total with so many bytes of code in place of those that are counted.

        Where nothing tells how many are counted, none are.
        """
        if self.model is not None:
            return self.model + code
        return (self.stated or 0) - (self.counted or 0) + code


def weigh(run: CandidateRun, code: CodeOnDisk, believed: bool) -> Weight:
    """Weigh a run's model and code as far as they are here, and take its log's word for the rest."""
    record = run.record
    model = run.model.stat().st_size if run.model else record.model_bytes
    mismatch = ""
    if run.model and record.model_bytes is not None and model != record.model_bytes:
        mismatch = f"{run.model.name} has {model:,} bytes, its record says {record.model_bytes:,}"
    rule = code_rule(record)
    words = {count: name for name, count in run.code_counts.items()}
    plain = max(run.code_counts.items(), key=lambda item: item[1], default=None)
    whole = max([count for count in (record.code_bytes, *words) if count is not None], default=None)
    packed = record.code_bytes is not None and whole is not None and record.code_bytes < whole
    return Weight(
        run.name,
        model,
        record.artifact_bytes,
        record.code_bytes,
        words.get(record.code_bytes or -1) or (RULE_WORDS[rule] if rule else ""),
        plain if plain and plain[1] != record.code_bytes else None,
        code.total,
        {} if packed or whole is None else uncounted_files(code, whole),
        () if packed or whole is None else _beside(code, whole),
        run.logged.sizes.vague[-1] if run.logged and run.logged.sizes.vague else "",
        weighed=run.model is not None and code.total is not None,
        believed=believed,
        mismatch=mismatch,
    )


def size_rule(submission: Submission, run: SubmittedRun) -> RuleResult:
    """Judge the artifact that is handed in for a seed: the kept model and the folder's own code."""
    record = run.record
    model = plain_below(run.attempt.path, record.model_file or "model.zlib")
    candidate = CandidateRun(f"attempt {record.attempt}", record, model=model)
    code = submission.code_bytes
    own = replace(weigh(candidate, CodeOnDisk(total=code), False), counted=code, stated=None, words="")
    result = judge_weight(own, submission.course.caps.artifact_bytes)
    measured = f"{result.measured} (limit: {result.limit})"
    if record.code_bytes not in (None, code):
        measured += f"; the record counted {record.artifact_bytes or 0:,}, with {record.code_bytes:,} of code"
    outcome = "fail" if record.model_bytes is None else result.outcome
    subject = f"seed {record.seed}"
    return replace(result, id="size", subject=subject, outcome=outcome, measured=measured, limit="")


def judge_weight(weight: Weight, cap: int) -> RuleResult:
    """Say whether an artifact fits under a cap."""
    outcome, measured, hint = _judge(weight, cap)
    return RuleResult("artifact_size", outcome, measured, f"under {_both(cap)}", hint)


def _judge(weight: Weight, cap: int) -> tuple[RuleOutcome, str, str]:
    total, here = weight.total, weight.here
    if weight.mismatch:
        return "fail", weight.mismatch, "the record and the file belong to different runs: play it again"
    if over_cap(weight.model, cap):
        return "fail", f"{_parts(weight)}: {_excess(total or weight.model, cap)}", "make the model smaller"
    if total is None:
        what = f'the log says "{weight.vague}"' if weight.vague else "no size is known"
        return "cannot tell", what, "the log must print the bytes of model and code"
    lighter = here is not None and weight.counted is not None and here < weight.counted
    if over_cap(total, cap):
        if here is not None and lighter and not over_cap(light := weight.with_code(here), cap):
            what = f"{_parts(weight)}, {_excess(total, cap)}; with {_here(weight)} it is {light:,}"
            return "cannot tell", what, "a log of a run with this code would tell: keep it"
        return "fail", f"{_parts(weight)}: {_excess(total, cap)}", "make the model or the code smaller"
    headroom = f", headroom {cap - total:,}"
    if weight.weighed:
        return "pass", _parts(weight) + headroom, ""
    complete = total + sum(weight.uncounted.values())
    if weight.uncounted and over_cap(complete, cap):
        names = ", ".join(sorted(weight.uncounted))
        what = f"{_parts(weight)}; with {names}, which is not counted, {complete:,}: {_excess(complete, cap)}"
        return "fail", what, "count all code that runs"
    heaviest = _heaviest(weight)
    whole = None if heaviest is None else weight.with_code(heaviest[1])
    with_all = "" if heaviest is None else f"; with {heaviest[0]} it is {whole:,}"
    if over_cap(whole, cap):
        return "cannot tell", f"{_parts(weight)}{with_all}, {_excess(whole, cap)}", _what_decides(weight, cap)
    if not weight.believed:
        missing = ["the code"] * (here is None) + ["the model file"]
        what = f"{_parts(weight)} as claimed; {' and '.join(missing)} cannot be weighed here"
        return "cannot tell", what, "check where the run was made, or keep its files"
    return "pass", _parts(weight) + headroom + with_all, ""


def _heaviest(weight: Weight) -> tuple[str, int] | None:
    """The largest count of the code beyond the one in the total, in words: what lies here, or the log's."""
    if weight.here is not None and weight.counted is not None and weight.here <= weight.counted:
        return None  # the packed script itself lies here: what it unpacks to is no code that is handed in
    words, count = weight.plain or ("", 0)
    largest = max(weight.here or 0, count)
    if largest <= (weight.counted or 0):
        return None
    if weight.here == largest:
        return _here(weight) + (f', the log\'s "{words}",' if count == largest else ""), largest
    return f'the log\'s "{words}" of {count:,} bytes', largest


def _beside(code: CodeOnDisk, counted: int) -> tuple[str, ...]:
    """The files beside a script that a count of no more than the script leaves out."""
    files = code.script.files if code.script else {}
    main = len(files.get(code.script.main, b"")) if code.script else 0
    return tuple(sorted(files.keys() - {code.script.main})) if code.script and main <= counted else ()


def _what_decides(weight: Weight, cap: int) -> str:
    if weight.beside:
        names = ", ".join(weight.beside[:4])
        return f"whether {names} take part decides: count them, or say that they do not"
    room = cap - 1 - weight.with_code(0)
    where = "" if weight.counted is None and weight.model is None else f", in at most {room:,} bytes"
    return f"the script that is handed in decides: pack it{where}, and keep the packed file in the folder"


def _parts(weight: Weight) -> str:
    """`15,932,000 bytes (15.932 MB, 15.194 MiB) = model 15,900,000 + code 32,000 ("Code size")`."""
    total = weight.total
    if total is None:
        return f"the model alone has {_both(weight.model or 0)}"
    text = _both(total)
    code = weight.here if weight.weighed or weight.counted is None else weight.counted
    if code is not None and (weight.model is not None or weight.counted is not None):
        model = weight.model if weight.model is not None else total - code
        words = f' ("{weight.words}")' if weight.words and not weight.weighed else ""
        text += f" = model {model:,} + code {code:,}{words}" if model + code == total else ""
    return text


def _here(weight: Weight) -> str:
    return f"the {weight.here or 0:,} bytes of code in the folder"


def _excess(total: int | None, cap: int) -> str:
    return f"{number(excess_bytes(total or 0, cap), 'byte')} too many"


def _both(size: int) -> str:
    return f"{size:,} bytes ({size / 1e6:.3f} MB, {size / 2**20:.3f} MiB)"


def check_size(case: Case) -> Iterator[RuleResult]:
    """Judge the run whose artifact is worst: it fails, cannot be told, or is the largest."""
    cap, candidate = case.policy.limits.artifact_bytes, case.candidate
    if cap is None:
        return
    believed = candidate.folder is not None or candidate.published
    weights = [weigh(run, candidate.code, believed) for run in candidate.runs or candidate.others]
    known = [weight for weight in weights if weight.total is not None]
    claimed = _claimed(candidate.submission, candidate.code) if candidate.submission else None
    if not known and claimed is not None and claimed.stated is not None:
        weights = [claimed]
    results = [(judge_weight(weight, cap), weight) for weight in weights]
    if not results:
        yield RuleResult("artifact_size", "cannot tell", "no size is known", f"under {_both(cap)}")
        return
    worst, weight = max(results, key=lambda pair: (SEVERITY[pair[0].outcome], pair[1].total or 0))
    also = "".join(
        f"; {run.name}, {run.record.artifact_bytes:,} bytes, is not counted"
        for run in candidate.others
        if candidate.runs and over_cap(run.record.artifact_bytes, cap)
    )
    yield replace(worst, measured=worst.measured + _of_how_many(weight, weights) + also)


def _of_how_many(weight: Weight, weights: Sequence[Weight]) -> str:
    if len(weights) < 2 or weight.total is None:
        return ""
    largest = all(weight.total >= (other.total or 0) for other in weights)
    return f" ({weight.name}, the largest of {len(weights)})" if largest else f" ({weight.name})"


def _claimed(submission: SubmissionFile, code: CodeOnDisk) -> Weight:
    """What a submission file alone claims: never enough to pass."""
    totals = [seed.artifact_bytes for seed in submission.seeds] + [submission.bytes_total]
    largest = max([total for total in totals if total is not None], default=None)
    return Weight("submission.json", submission.bytes_model, largest, submission.bytes_code, here=code.total)
