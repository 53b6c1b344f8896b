"""Rules on seconds and on the machine that spent them."""

from __future__ import annotations

from collections.abc import Iterator

from harness.submit.rules.ruling import Case, Ruling, number


def check_train_time(case: Case) -> Iterator[Ruling]:
    cap, steps = case.policy.limits.train_seconds, case.policy.limits.over_by_steps
    if cap is None:
        return
    limit = f"at most {cap:,.0f} s" + (f" and {number(steps, 'step')}" if steps else "")
    times = [(run.record.train_seconds, run) for run in case.exhibit.runs]
    known = [(seconds, run) for seconds, run in times if seconds is not None]
    if len(known) < len(times):
        yield Ruling(
            "training time",
            "cannot tell",
            f"{len(times) - len(known)} of {len(times)} runs tell no time",
            limit,
        )
        return
    seconds, run = max(known, key=lambda pair: pair[0])
    spare = steps * (run.record.step_ms or 0) / 1000
    said = f"{seconds:,.3f} s ({run.name})"
    if seconds <= cap:
        yield Ruling("training time", "pass", said, limit)
    elif seconds <= cap + spare:
        yield Ruling(
            "training time", "pass", f"{said}: over by less than its last steps took, {spare:.3f} s", limit
        )
    else:
        yield Ruling("training time", "fail", said, limit, "lower MAX_WALLCLOCK_SECONDS and play again")


def check_eval_time(case: Case) -> Iterator[Ruling]:
    cap = case.policy.limits.eval_seconds
    if cap is None:
        return
    limit = f"at most {cap:,.0f} s"
    known = [
        (run.record.eval_seconds, run) for run in case.exhibit.runs if run.record.eval_seconds is not None
    ]
    if known and max(known, key=lambda pair: pair[0])[0] > cap:
        seconds, run = max(known, key=lambda pair: pair[0])
        yield Ruling("evaluation time", "fail", f"{seconds:,.1f} s ({run.name})", limit, "evaluate with less")
    elif len(known) < len(case.exhibit.runs):
        missing = len(case.exhibit.runs) - len(known)
        yield Ruling(
            "evaluation time",
            "cannot tell",
            f"{missing} of {len(case.exhibit.runs)} runs tell no time",
            limit,
        )
    else:
        yield Ruling("evaluation time", "pass", f"{max(s for s, _ in known):,.1f} s", limit)


def check_machine(case: Case) -> Iterator[Ruling]:
    gpus, hardware = case.policy.limits.gpus, case.policy.limits.hardware
    if gpus is None and hardware is None:
        return
    limit = f"{gpus or ''} x {hardware or 'GPU'}".strip()
    seen = {
        (run.record.environment.world_size, run.gpu, run.record.environment.device)
        for run in case.exhibit.runs
    }
    said = "; ".join(
        sorted(f"{size or '?'} x {name or device or 'unknown device'}" for size, name, device in seen)
    )
    wrong_size = any(gpus and size is not None and size != gpus for size, _, _ in seen)
    wrong_name = any(
        hardware and name is not None and hardware.lower() not in name.lower() for _, name, _ in seen
    )
    wrong_kind = any(device not in (None, "cuda") for _, _, device in seen)
    if wrong_size or wrong_name or wrong_kind:
        yield Ruling("machine", "fail", said, limit, "play it on the machine the rule names")
    elif any((gpus and size is None) or (hardware and name is None) for size, name, _ in seen):
        yield Ruling("machine", "cannot tell", said, limit, "the record or log must name the GPUs")
    else:
        yield Ruling("machine", "pass", said, limit)
