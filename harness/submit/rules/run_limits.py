"""Rules on what a run took: seconds of training, seconds of evaluation, the machine.

They bind the record track alone: elsewhere the policy has no such limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.field.evaluation_time import (
    EvaluationTime,
    StatedTime,
    measure_calibration,
    measure_evaluation,
    stated_evaluation,
)
from harness.field.gpu_names import NamedGpu, gpu_in_log, gpu_in_readme, gpu_in_submission
from harness.figures import number
from harness.submit.candidate import Candidate, CandidateRun, Case
from harness.submit.required_files import README, find_like
from harness.submit.result import RuleResult

# A submission's own figure of the evaluation's time may differ from its log by so much: it is one seed's, or
# a mean, and a process takes longer than the evaluation in it.
STATED_TOLERANCE_S, STATED_TOLERANCE = 30.0, 0.2


def check_train_time(case: Case) -> Iterator[RuleResult]:
    cap, steps = case.policy.limits.train_seconds, case.policy.limits.over_by_steps
    if cap is None:
        return
    limit = f"at most {cap:,.0f} s" + (f" and {number(steps, 'step')}" if steps else "")
    times = [(run.record.train_seconds, run) for run in case.candidate.runs]
    known = [(seconds, run) for seconds, run in times if seconds is not None]
    if len(known) < len(times) or not times:
        unknown = f"{len(times) - len(known)} of {len(times)} runs tell no time" if times else _NO_RUN
        yield RuleResult("training_time", "cannot tell", unknown, limit)
        return
    seconds, run = max(known, key=lambda pair: pair[0])
    spare = steps * (run.record.step_ms or 0) / 1000
    measured, calibration = f"{seconds:,.3f} s ({run.name})", _name_calibration(case.candidate)
    if seconds <= cap:
        yield RuleResult("training_time", "pass", measured + calibration, limit)
    elif case.policy.limits.allows_training(seconds, run.record.step_ms):
        over = f"{measured}: over by less than its last steps took, {spare:.3f} s"
        yield RuleResult("training_time", "pass", over + calibration, limit)
    else:
        hint = "lower MAX_WALLCLOCK_SECONDS and play again"
        yield RuleResult("training_time", "fail", measured, limit, hint)


def _name_calibration(candidate: Candidate) -> str:
    """Name the longest calibration after training: the policies do not say in which time it belongs."""
    longest = max(
        (measure_calibration(run.log, run.parsed) for run in candidate.runs if run.log), default=0.0
    )
    return f"; {longest:,.1f} s of calibration after it are in no count" if longest else ""


_NO_RUN = "no log shows a run"


# Evaluation ------------------------------------------------------------------------------------


def check_eval_time(case: Case) -> Iterator[RuleResult]:
    """The official evaluation with the adaptation before it, and what the submission itself states."""
    cap = case.policy.limits.eval_seconds
    if cap is None:
        return
    limit = f"at most {cap:,.0f} s"
    timed = [(run, time) for run in case.candidate.runs if (time := evaluation_of(run)) is not None]
    stated = _stated(case.candidate)
    if stated and stated.seconds > cap:
        what = f"{_say(stated)}{_as_logged(timed)}"
        yield RuleResult("evaluation_time", "fail", what, limit, "evaluate with less")
        return
    if not timed or len(timed) < len(case.candidate.runs):
        missing = len(case.candidate.runs) - len(timed)
        what = f"{missing} of {len(case.candidate.runs)} runs tell no time" if missing else _NO_RUN
        what += f"; {_say(stated)}" if stated else ""
        yield RuleResult("evaluation_time", "cannot tell", what, limit, "print `eval_time:N ms` in the log")
        return
    run, longest = max(timed, key=lambda pair: pair[1].counted)
    measured = f"{longest.counted:,.1f} s ({run.name}{_name_phases(longest)})"
    run_of_all, every = max(timed, key=lambda pair: pair[1].every)
    if longest.counted > cap:
        yield RuleResult("evaluation_time", "fail", measured, limit, "evaluate with less")
    elif every.every > cap:
        what = f"{measured}; {run_of_all.name} prints evaluations of {every.every:,.1f} s in all"
        hint = "say which of them the score needs"
        yield RuleResult("evaluation_time", "cannot tell", what, limit, hint)
    elif stated and not _agree(stated.seconds, timed):
        hint = "say what the log leaves out, or correct submission.json"
        yield RuleResult("evaluation_time", "cannot tell", f"{measured}; {_say(stated)}", limit, hint)
    else:
        measured += f"; {_say(stated)}" if stated else ""
        yield RuleResult("evaluation_time", "pass", measured, limit)


def evaluation_of(run: CandidateRun) -> EvaluationTime | None:
    """Return the time of a run's evaluation: the record's, with what its log prints around it."""
    return measure_evaluation(run.record.evaluation_seconds, run.log, run.parsed)


def _stated(candidate: Candidate) -> StatedTime | None:
    return stated_evaluation(Path(candidate.submission.source)) if candidate.submission else None


def _say(stated: StatedTime) -> str:
    return f"submission.json says {stated.seconds:,.1f} s ({stated.key})"


def _as_logged(timed: list[tuple[CandidateRun, EvaluationTime]]) -> str:
    return f"; the logs print {max(time.every for _, time in timed):,.1f} s" if timed else ""


def _name_phases(time: EvaluationTime) -> str:
    return "".join(f", {seconds:,.1f} s of it {name}" for name, seconds in time.phases.items())


def _agree(seconds: float, timed: list[tuple[CandidateRun, EvaluationTime]]) -> bool:
    least = min(time.counted for _, time in timed)
    most = max(time.every for _, time in timed)
    spare = max(STATED_TOLERANCE_S, STATED_TOLERANCE * most)
    return least - spare <= seconds <= most + spare


# The machine -----------------------------------------------------------------------------------


def check_machine(case: Case) -> Iterator[RuleResult]:
    """The GPUs that a record or its log names; else those that the submission names, and it is said."""
    limits = case.policy.limits
    if limits.gpus is None and limits.hardware is None:
        return
    limit = f"{limits.gpus or ''} x {limits.hardware or 'GPU'}".strip()
    machines = {_machine(run, case.candidate) for run in case.candidate.runs} or {
        _stated_machine(case.candidate)
    }
    measured = "; ".join(
        sorted(
            f"{size or '?'} x {name or device or 'unknown device'}{source}"
            for size, name, device, source in machines
        )
    )
    fits = [limits.allows_machine(*machine[:3]) for machine in machines]
    if False in fits:
        yield RuleResult("machine", "fail", measured, limit, "play it on the machine the rule names")
    elif None in fits:
        yield RuleResult("machine", "cannot tell", measured, limit, "the record or log must name the GPUs")
    else:
        yield RuleResult("machine", "pass", measured, limit)


# World size, name and kind of a run's machine, and who says so where it is not the run itself.
_Machine = tuple[int | None, str | None, str | None, str]


def _machine(run: CandidateRun, candidate: Candidate) -> _Machine:
    environment = run.record.environment
    named = NamedGpu(environment.device_name) if environment.device_name else None
    if named is None and run.log is not None:
        named = gpu_in_log(run.log)
    if named is None and environment.device in (None, "cuda"):
        size, name, _, source = _stated_machine(candidate, environment.world_size)
        return size, name, environment.device, source
    size = environment.world_size or (named.count if named else None)
    return size, named.name if named else None, environment.device, ""


def _stated_machine(candidate: Candidate, size: int | None = None) -> _Machine:
    """The machine that the submission file names, else the README of its folder."""
    stated = gpu_in_submission(Path(candidate.submission.source)) if candidate.submission else None
    source = " as submission.json says"
    if stated is None and candidate.folder and (readme := find_like(candidate.folder, README)):
        stated, source = gpu_in_readme(readme, size), f" as {readme.name} says"
    if stated is None:
        return size, None, None, ""
    return size or stated.count, stated.name, None, source
