"""The rule on seeds: distinct, of one version, all shown, all finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from harness.field.record_files import find_record_files, hash_log
from harness.field.seeds import differing_settings, same_settings, seed_in_name
from harness.figures import number
from harness.records.seeds import is_same_play
from harness.submit.candidate import Candidate, CandidateRun, Case
from harness.submit.result import RuleOutcome, RuleResult

MOST_NAMED = 20  # seeds of a folder, in the report


def check_seeds(case: Case) -> Iterator[RuleResult]:
    """Seeds must be distinct, of one version, all shown, and all finished.

    Where a file's name and its log disagree about a seed, nobody can tell: nothing fails by it.
    """
    candidate, runs = case.candidate, case.candidate.runs
    seeds = [run.record.seed for run in runs]
    measured = ", ".join("?" if seed is None else str(seed) for seed in seeds[:MOST_NAMED])
    measured += f" and {number(len(seeds) - MOST_NAMED, 'more log')}" if len(seeds) > MOST_NAMED else ""
    again = sorted({seed for seed in seeds if seed is not None and seeds.count(seed) > 1})
    unfinished = [
        run
        for run in candidate.others
        if not run.record.complete and any(is_same_play(run.record, other.record) for other in runs)
    ]
    if unfinished:
        measured += "; also tried: " + ", ".join(
            f"{_seed(run)} ({run.record.failure.kind if run.record.failure else run.record.status})"
            for run in unfinished
        )
    measured += _name_reruns(candidate)
    lost = [run for run in unfinished if run.record.seed is None or run.record.seed not in seeds]
    hidden, unclaimed = missing_seeds(candidate), _unclaimed(candidate)
    disagree = [run for run in runs if len(seeds_of(run)) > 1]

    def result(outcome: RuleOutcome, what: str = "", hint: str = "") -> RuleResult:
        return RuleResult("seeds", outcome, measured + what, "distinct, none left out", hint)

    if copies := _copies(candidate):
        yield result("fail", f": {copies}", "one log is one run: add the logs of the other seeds")
    elif disagree and (again or not _claims_hold(candidate)):
        names = ", ".join(f"{run.name} prints {run.record.seed}" for run in disagree[:3])
        yield result("cannot tell", f": {names}", "name each log by the seed that it prints")
    elif again:
        count = seeds.count(again[0])
        what = f": {again[0]} was used {count} times"
        yield result("fail", what, "a repeat of one seed is no second run")
    elif hidden:
        yield result("cannot tell", f": no log of seed {', '.join(hidden)}", "add the missing log")
    elif unclaimed:
        what = f": submission.json leaves out {', '.join(unclaimed)}"
        yield result("cannot tell", what, "list every run that was made, or say why one does not count")
    elif lost:
        begun = len(set(seeds)) + len({_seed(run) for run in lost})
        yield result(
            "cannot tell",
            f": {len(set(seeds))} of {begun} finished",
            "the mean is that of the survivors: play the others to the end, or say in the submission "
            "why they ended",
        )
    elif None in seeds:
        yield result("cannot tell", ": a run names no seed", "the log or its file's name must name the seed")
    else:
        yield result(*_judge_versions(candidate))


def _copies(candidate: Candidate) -> str:
    """Name logs that are one log byte for byte, under the names of several seeds."""
    if candidate.folder is None or candidate.played is not None:
        return ""
    logs = {
        path: path.relative_to(candidate.folder).as_posix()
        for path in find_record_files(candidate.folder).logs
    }
    named = [path for path, name in logs.items() if seed_in_name(name) is not None]
    sizes = Counter(path.stat().st_size for path in named)
    alike: dict[str, list[str]] = {}
    for path in named:
        if sizes[path.stat().st_size] > 1:
            alike.setdefault(hash_log(path), []).append(logs[path])
    several = [names for names in alike.values() if len({seed_in_name(name) for name in names}) > 1]
    return "; ".join(f"{', '.join(names[:4])} are the same, byte for byte" for names in several[:2])


def _judge_versions(candidate: Candidate) -> tuple[RuleOutcome, str, str]:
    """Name what differs between the logs; another size of the code alone is no other configuration."""
    records = [run.record for run in candidate.runs]
    if candidate.played is not None:
        return "pass", "", ""
    sizes = sorted({record.code_bytes for record in records if record.code_bytes is not None})
    code = f"{' and '.join(f'{size:,}' for size in sizes)} bytes of code" if len(sizes) > 1 else ""
    if all(same_settings(records[0], record) for record in records):
        what = f"; the same settings under {code}: say what changed in the code" if code else ""
        return "pass", what, ""
    settings = [f"{name} {', '.join(values)}" for name, values in differing_settings(records).items()]
    labels = sorted({record.official.label for record in records if record.official})
    differ = [
        *settings[:4],
        *([f"score {', '.join(labels)}"] if len(labels) > 1 else []),
        *([code] * bool(code)),
    ]
    what = f": the logs are of {candidate.seeds.versions} versions: {'; '.join(differ) or 'of the code'}"
    hint = "seeds of different code are no repeats: run all of them with the code that is handed in"
    return "cannot tell", what, hint


def seeds_of(run: CandidateRun) -> set[str]:
    """Return the seeds that a run may be of: what its log prints, and what its file's name says."""
    named = seed_in_name(run.name) if run.log is not None else None
    return {str(seed) for seed in (run.record.seed, named) if seed is not None}


def missing_seeds(candidate: Candidate) -> list[str]:
    """Return the seeds that a submission names and no log here is of, by what it prints or is called."""
    present = {seed for run in (*candidate.runs, *candidate.others) for seed in seeds_of(run)}
    return sorted(set(_claimed(candidate)) - present)


def _unclaimed(candidate: Candidate) -> list[str]:
    """Return the seeds of complete runs that a submission with a list of seeds leaves out."""
    claimed = set(_claimed(candidate))
    runs = (*candidate.runs, *(run for run in candidate.others if run.record.complete))
    left_out = {
        str(run.record.seed) for run in runs if not seeds_of(run) & claimed and run.record.seed is not None
    }
    return sorted(left_out) if claimed else []


def _claims_hold(candidate: Candidate) -> bool:
    """Whether the seeds that the logs print are those that the submission names."""
    claimed = set(_claimed(candidate))
    return not claimed or claimed == {str(run.record.seed) for run in candidate.runs}


def _name_reruns(candidate: Candidate) -> str:
    """Name complete logs beside those that count, of a seed that counts."""
    if candidate.folder is None or candidate.played is not None:
        return ""
    seeds = {run.record.seed for run in candidate.runs}
    names = [run.name for run in candidate.others if run.record.complete and run.record.seed in seeds]
    return (
        f"; {number(len(names), 'more log')} of these seeds, not counted: {', '.join(names[:3])}"
        if names
        else ""
    )


def _seed(run: CandidateRun) -> str:
    return f"? of {run.name}" if run.record.seed is None else str(run.record.seed)


def _claimed(candidate: Candidate) -> list[str]:
    if candidate.submission is None:
        return []
    return [score.seed for score in candidate.submission.seeds]
