"""Which logs are of one experiment: told by what ran (parameters, code, settings), never by where they lie.

A file may hold several runs, a run may be printed to several files; both are settled here, before runs are
grouped. Knows nothing of where records are kept.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.field.ledger import LedgerRow
from harness.field.log_parser import ParsedLog, parse_log
from harness.field.logged_run import LoggedRun
from harness.field.record_files import open_log
from harness.field.seeds import SEED_IN_NAME, is_seed, names_a_place
from harness.records.record import RunRecord

PRINTED_CODE = re.compile(r"source code up to line (\d+) was passed over")  # as the parser says it


@dataclass(frozen=True)
class LogFile:
    """One run of one file, parsed. name: the file's path inside the record folder.

    number: which of the file's runs it is, from 1; None: the file's result. row: of a ledger, where it is
    one; its log holds the scores alone.
    """

    path: Path
    name: str
    log: ParsedLog
    number: int | None = None
    row: LedgerRow | None = None

    @property
    def run(self) -> LoggedRun | None:
        return self.log.result if self.number is None else self.log.runs[self.number - 1]


# Which runs of the files count --------------------------------------------------------------------


def split_runs(file: LogFile, one_a_seed: bool = False) -> tuple[list[LogFile], list[str]]:
    """Return the runs of a file that are attempts, and what is said of the others.

    A run with a score is one. So is a run without, unless one of the same settings and seed stands in the
    file with a score: then it was repeated. Where no run has a score, the last one is the attempt.
    one_a_seed: of several runs of one seed, only the last counts, as in a file that was handed in.
    """
    runs = file.log.runs
    if len(runs) < 2:
        return [file], []
    scored = {number for number, run in enumerate(runs, start=1) if run.official is not None}
    chosen = [n for n, run in enumerate(runs, start=1) if n in scored or not _repeated(run, runs, scored)]
    if not scored:
        chosen = [len(runs)]
    if one_a_seed:
        last = {runs[n - 1].seed: n for n in chosen if n in scored or not scored}
        chosen = sorted(last.values())
    notes = [
        f"{file.name} lines {run.first_line}-{run.last_line}: {_fate(run)}; a later run of the file counts"
        for n, run in enumerate(runs, start=1)
        if n not in chosen
    ]
    if file.log.runs_left_out:
        notes.append(f"{file.name} holds {file.log.runs_left_out} more runs before these; split the file")
    if chosen == [len(runs)]:
        return [file], notes
    _complete_settings(file)
    return [LogFile(file.path, file.name, file.log, number) for number in chosen], notes


def _complete_settings(file: LogFile) -> None:
    """Give each later run of a file the settings that stand before it.

    While a run goes on, the parser cannot tell such lines from notes of that run, and passes over most. Only
    names that the first run has are taken, since notes of the run before stand there as well.
    """
    names = file.log.runs[0].hyperparameters.keys()
    read = 0
    with open_log(file.path) as stream:
        for number, run in enumerate(file.log.runs):
            lines = b"".join(itertools.islice(stream, max(0, run.last_line - read)))
            read = max(read, run.last_line)
            alone = parse_log(io.BytesIO(lines)).result if number > 0 else None
            for name, value in alone.hyperparameters.items() if alone is not None else ():
                if name in names:
                    run.hyperparameters.setdefault(name, value)


def _repeated(run: LoggedRun, runs: Sequence[LoggedRun], scored: Iterable[int]) -> bool:
    """Whether a run without a score has one beside it that was the same attempt, as far as both say."""
    ours = settings_of(run.hyperparameters)
    for number in scored:
        other = runs[number - 1]
        same_seed = run.seed is None or other.seed is None or run.seed == other.seed
        if same_seed and (not ours or ours == settings_of(other.hyperparameters)):
            return True
    return False


def _fate(run: LoggedRun) -> str:
    if run.final_val_bpb is not None:
        return f"an earlier run of the same seed, val_bpb {run.final_val_bpb:.8g}"
    return f"a run without a score ({run.steps or 0} steps)"


def drop_copies(files: Sequence[LogFile]) -> tuple[list[LogFile], list[str]]:
    """Keep one file of each run that was printed to several, such as the console's and the script's own.

    The one with the most settings is kept. Returns the others in words.
    """
    seen: dict[tuple[object, ...], list[LogFile]] = {}
    copies: list[str] = []
    kept: set[int] = set()
    for file in sorted(files, key=lambda file: -len(file.run.hyperparameters) if file.run else 0):
        run = file.run
        if run is None or file.row is not None or run.train.count + run.val.count < 2:
            kept.add(id(file))
            continue
        mark = (run.mark, tuple((line.label, line.val_bpb_text) for line in run.results))
        alike = seen.setdefault(mark, [])
        other = next((one for one in alike if one.run and _may_be_one(run, one.run)), None)
        if other is None:
            alike.append(file)
            kept.add(id(file))
        else:
            copies.append(f"{file.name} holds the same run as {other.name}; it counts once")
    return [file for file in files if id(file) in kept], copies


def _may_be_one(run: LoggedRun, other: LoggedRun) -> bool:
    """Whether nothing that both logs say of two runs differs."""

    def fit(ours: object, theirs: object) -> bool:
        return not ours or not theirs or ours == theirs

    return (
        fit(run.seed, other.seed)
        and fit(run.model_params, other.model_params)
        and fit(run.bytes_total, other.bytes_total)
        and fit(settings_of(run.hyperparameters), settings_of(other.hyperparameters))
    )


# What ran -----------------------------------------------------------------------------------------


class Experiment(NamedTuple):
    """What tells experiments apart; None: the log does not say, which fits any value."""

    settings: frozenset[tuple[str, str]]
    params: int | None
    code_bytes: int | None
    code_sha256: str | None
    planned_steps: int | None
    name: str | None = None  # of the file, where the log says nothing of all this

    def fits(self, other: Experiment) -> bool:
        return all(a is None or b is None or a == b for a, b in zip(self, other, strict=True))


def group_runs(files: Iterable[LogFile]) -> list[list[LogFile]]:
    """Group runs by what ran, in the order of their first file; the seed, names and places are left out.

    A run that broke off before it printed all of that joins the one group that it fits, where there is one.
    """
    groups: dict[Experiment, list[LogFile]] = {}
    alike: dict[tuple[object, ...], list[Experiment]] = {}  # a thousand groups must not be compared by pairs
    partial: list[tuple[Experiment, LogFile]] = []

    def put(experiment: Experiment, file: LogFile) -> None:
        if experiment not in groups:
            for params in {experiment.params, None}:
                alike.setdefault((experiment.settings, experiment.name, params), []).append(experiment)
        groups.setdefault(experiment, []).append(file)

    for file in files:
        experiment = experiment_of(file)
        if None in (experiment.params, experiment.code_bytes, experiment.code_sha256):
            partial.append((experiment, file))
        else:
            put(experiment, file)
    partial.sort(key=lambda pair: pair[0].count(None))  # what says more first
    for experiment, file in partial:
        near = alike.get((experiment.settings, experiment.name, experiment.params), [])
        fitting = [other for other in near if experiment.fits(other)]
        put(fitting[0] if experiment not in groups and len(fitting) == 1 else experiment, file)
    return sorted(
        (sorted(group, key=_place) for group in groups.values()), key=lambda group: _place(group[0])
    )


def _place(file: LogFile) -> tuple[str, int]:
    return file.name, file.number or 0


def experiment_of(file: LogFile) -> Experiment:
    run = file.run
    if run is None:
        return Experiment(frozenset(), None, None, None, None, "")
    if file.row is not None:
        return Experiment(frozenset(file.row.config.items()), None, None, None, None, _try_of(file.row))
    settings = settings_of(run.hyperparameters)
    known = settings or run.model_params is not None
    code = _hash_printed_code(file, run)
    known = known or code is not None
    name = None if known else SEED_IN_NAME.sub("", file.name)
    return Experiment(settings, run.model_params, run.bytes_code, code, run.planned_steps, name)


def _try_of(row: LedgerRow) -> str:
    """Return what a row of a ledger says it tried: its commit and its name, or else its description."""
    name = SEED_IN_NAME.sub("", row.text("name"))
    words = [row.text("commit"), name if name and not name.isdigit() else row.text("description")]
    return "\n".join(words) if any(words) else f"row {row.number}"


def _hash_printed_code(file: LogFile, run: LoggedRun) -> str | None:
    """Return the sha256 of the source code that the script printed into the log before this run."""
    blocks = [
        (warn.line, int(match[1]))
        for warn in file.log.warnings
        if warn.line <= run.last_line and (match := PRINTED_CODE.match(warn.text))
    ]
    if not blocks:
        return None
    first, last = blocks[-1]
    digest = hashlib.sha256()
    with open_log(file.path) as stream:
        for line in itertools.islice(stream, first - 1, last):
            digest.update(line)
    return digest.hexdigest()


def experiment_of_record(record: RunRecord) -> Experiment:
    """Return what an imported record says of what ran."""
    return Experiment(
        settings_of(record.config), record.params, record.code_bytes, None, record.planned_steps
    )


def settings_of(config: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Return the settings that can change a result, without the seed."""
    return frozenset(
        [
            (name.lower(), value)
            for name, value in config.items()
            if not names_a_place(name, value) and not is_seed(name)
        ]
    )
