"""Settings that do nothing: schedules that never fire, overrides and variables that nobody reads.

The learning rates' factor and the momentum at a step are the trainer's own functions (`trainer.schedule`),
called along the planned run. Rules name knobs: one whose knob this trainer lacks is passed over. Names of the
field's scripts that our trainer does not know are data (`harness/data/field/knobs.tsv`). Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.figures import number
from harness.findings import Finding, Level
from harness.run.request import field_knobs
from harness.scripts.system_names import is_system
from trainer.config import KNOBS, Config, load_config
from trainer.names import ALIASES
from trainer.schedule import lr_scale, muon_momentum

STILL_HIGH = 0.2  # a decay that ends above this has not done its work
NOT_FULL = 0.95  # a first step below this means that the decay began before the run
# How alike two names must be: ITERATION and ITERATIONS are (0.95), SEED and SPEED (0.89) not.
# Short names never are.
ALIKE = 0.9
SHORTEST = 6
# Read by the harness or set by everybody's system; close to a knob's name or the same by chance.
_NOT_MEANT = ("HARNESS_", "PYTEST_", "PYTHON", "PIP_", "GIT_", "SSH_", "LC_", "VSCODE_")


@dataclass(frozen=True)
class PlannedRun:
    """The run that is planned, as far as it can be told before.

    tempo_ms: milliseconds per step of earlier attempts, or None. steps: how far it will get; without a tempo
    and with a wall-clock cap this is only the upper bound.
    """

    config: Config
    steps: int
    tempo_ms: float | None

    @property
    def capped(self) -> bool:
        """Whether the clock ends it, as far as is known."""
        return self.steps < self.config.iterations

    @property
    def by_clock(self) -> bool:
        return self.config.max_wallclock_seconds > 0

    @property
    def rates_known(self) -> bool:
        """Whether learning rates along the run can be told."""
        return self.tempo_ms is not None or not self.by_clock

    def scale(self, step: int) -> float:
        """Return the learning rates' factor before a step."""
        return lr_scale(self.config, step, step * (self.tempo_ms or 0.0))

    def least_scale(self) -> float:
        """The factor of the last step: the decay only goes down."""
        return self.scale(self.steps - 1)


def planned_run(config: Mapping[str, str], tempo_ms: float | None) -> PlannedRun:
    """Work out how many steps a configuration takes at a tempo. Raises ConfigError for a bad value."""
    c = load_config(config)
    steps = c.iterations
    if c.step_seconds > 0 and tempo_ms:
        steps = max(1, min(steps, int(1000 * c.step_seconds / tempo_ms) + 1))
    return PlannedRun(c, steps, tempo_ms)


@dataclass(frozen=True)
class ScheduleRule:
    """A schedule of one knob.

    idle: whether it will not do what it is for; what, todo: filled from the run.
    """

    knob: str
    level: Level
    idle: Callable[[PlannedRun], bool]
    what: Callable[[PlannedRun], str]
    why: str
    todo: Callable[[PlannedRun], str]


def check_schedules(run: PlannedRun) -> list[Finding]:
    """Return a finding for each schedule that will not do what it is for."""
    return [
        Finding(rule.level, rule.what(run), rule.why, rule.todo(run))
        for rule in RULES
        if rule.knob in KNOBS and rule.idle(run)
    ]


def _value(run: PlannedRun, knob: str) -> float:
    return float(getattr(run.config, KNOBS[knob].field))


def _with_value(knob: str, tail: str) -> Callable[[PlannedRun], str]:
    """Return a message: `KNOB=value`, then what is wrong, with the {steps} of the run, as in "20 steps"."""

    def text(run: PlannedRun) -> str:
        setting = f"{knob}={KNOBS[knob].format(getattr(run.config, KNOBS[knob].field))}"
        return f"{setting} {tail.format(steps=number(run.steps, 'step'))}{_end(run)}"

    return text


def _end(run: PlannedRun) -> str:
    return f" (the clock ends it there, at {run.tempo_ms:,.1f} ms per step)" if run.capped else ""


def _type(text: str) -> Callable[[PlannedRun], str]:
    return lambda run: text.format(
        steps=run.steps, half=max(1, run.steps // 2), tenth=max(1, run.steps // 10)
    )


def _beyond(knob: str, what: str, why: str, todo: str, level: Level = "warning") -> ScheduleRule:
    """A number of steps that the run does not have."""
    return ScheduleRule(
        knob, level, lambda run: _value(run, knob) > run.steps, _with_value(knob, what), why, _type(todo)
    )


def _off(knob: str, what: str, why: str, todo: str) -> ScheduleRule:
    return ScheduleRule(
        knob, "note", lambda run: _value(run, knob) == 0, _with_value(knob, what), why, _type(todo)
    )


def _below(switch: str, knob: str, what: str) -> ScheduleRule:
    """A switch that goes on once the learning rates' factor is at or below the value of `knob`."""

    def never(run: PlannedRun) -> bool:
        needed = KNOBS[knob].needs
        on = not needed or bool(getattr(run.config, KNOBS[needed].field))
        if KNOBS[knob].alone is not None and _value(run, knob) == 0:
            return False  # the first step, as where it is not set
        return on and run.rates_known and run.least_scale() > _value(run, knob)

    return ScheduleRule(
        knob,
        "warning",
        never,
        lambda run: (
            _with_value(knob, "is never reached: the factor of the learning rates ends at")(run)
            + f" {run.least_scale():.3g}"
        ),
        f"{what} never happens, so {switch} does nothing",
        lambda run: f"raise {knob} above {run.least_scale():.3g}, or let the learning rates decay further",
    )


def _decays(run: PlannedRun) -> bool:
    c = run.config
    return c.warmdown_iters > 0 or getattr(c, "warmdown_frac", 0.0) > 0


def _ramping(run: PlannedRun) -> bool:
    c = run.config
    return c.muon_momentum_warmup_steps > 0 and abs(muon_momentum(c, run.steps - 1) - c.muon_momentum) > 1e-3


RULES: tuple[ScheduleRule, ...] = (
    ScheduleRule(
        "WARMDOWN_ITERS",
        "warning",
        lambda run: (
            run.rates_known
            and _decays(run)
            and run.steps > 1
            and run.scale(1) < NOT_FULL * (1 - 1 / run.steps)
        ),
        lambda run: (
            _with_value("WARMDOWN_ITERS", "is longer than the run of {steps}")(run)
            + f": it starts at {run.scale(1):.0%} of its learning rates"
        ),
        "the run never has the learning rates that were asked for",
        _type("-o WARMDOWN_ITERS={half}, or a longer run"),
    ),
    ScheduleRule(
        "WARMDOWN_ITERS",
        "warning",
        lambda run: (
            run.rates_known
            and _decays(run)
            and run.steps > 1
            and run.least_scale() > max(STILL_HIGH, getattr(run.config, "min_lr", 0.0))
        ),
        lambda run: (
            f"the learning rates end at {run.least_scale():.0%}: ITERATIONS={run.config.iterations} are done "
            f"before the clock's MAX_WALLCLOCK_SECONDS={run.config.max_wallclock_seconds:g}"
        ),
        "with a wall-clock cap the decay waits for the last seconds, and this run ends before them",
        lambda run: f"-o MAX_WALLCLOCK_SECONDS=0 to decay by steps, or ITERATIONS above {_reach(run):,}",
    ),
    ScheduleRule(
        "WARMDOWN_ITERS",
        "note",
        lambda run: run.by_clock and run.tempo_ms is None and _decays(run),
        lambda run: (
            f"no attempt of this shape was played: whether {run.config.iterations:,} steps or "
            f"{run.config.max_wallclock_seconds:g} s come first is not known"
        ),
        "with a wall-clock cap the learning rates decay in its last seconds; "
        "a run that ends before keeps them high",
        lambda run: "play once, then ask again",
    ),
    ScheduleRule(
        "WARMDOWN_ITERS",
        "note",
        lambda run: not _decays(run),
        _with_value("WARMDOWN_ITERS", "leaves the learning rates as they are to the end"),
        "a final decay is worth more than most ideas",
        _type("-o WARMDOWN_ITERS={half}"),
    ),
    ScheduleRule(
        "MUON_MOMENTUM_WARMUP_STEPS",
        "warning",
        _ramping,
        lambda run: (
            f"{_with_value('MUON_MOMENTUM_WARMUP_STEPS', 'is longer than the run of {steps}')(run)}: "
            f"momentum ends at {muon_momentum(run.config, run.steps - 1):.3f}, "
            f"not {run.config.muon_momentum:g}"
        ),
        "MUON_MOMENTUM is never reached",
        _type("-o MUON_MOMENTUM_WARMUP_STEPS={tenth}"),
    ),
    _beyond(
        "WARMUP_STEPS",
        "is more than the run of {steps}",
        "they prime compilers and are thrown away: time without learning",
        "-o WARMUP_STEPS={tenth}",
    ),
    _beyond(
        "VAL_LOSS_EVERY",
        "is beyond the run of {steps}: no score on the way",
        "a curve of validation losses shows early what a run will come to",
        "-o VAL_LOSS_EVERY={tenth}",
        "note",
    ),
    _off(
        "VAL_LOSS_EVERY",
        "scores only at the end",
        "there is no curve to compare at equal steps",
        "-o VAL_LOSS_EVERY={tenth}",
    ),
    _beyond(
        "TRAIN_LOG_EVERY",
        "is beyond the run of {steps}: only the first losses are logged",
        "the training curve stays empty",
        "-o TRAIN_LOG_EVERY={tenth}",
        "note",
    ),
    _off(
        "TRAIN_LOG_EVERY",
        "logs only the first training losses",
        "the training curve stays empty",
        "-o TRAIN_LOG_EVERY={tenth}",
    ),
    ScheduleRule(
        "CHECKPOINT_SECONDS",
        "note",
        lambda run: run.config.checkpoint_seconds == 0 and run.config.checkpoint_every == 0,
        lambda run: "CHECKPOINT_SECONDS=0 and CHECKPOINT_EVERY=0: no checkpoints",
        "a killed run cannot be resumed",
        _type("-o CHECKPOINT_SECONDS=60"),
    ),
    _beyond(
        "CHECKPOINT_EVERY",
        "is beyond the run of {steps}",
        "it saves nothing",
        "-o CHECKPOINT_EVERY={tenth}",
        "note",
    ),
    _below("SWA_ENABLED", "SWA_START_FRAC", "sampling weights"),
    _below("QAT_ENABLED", "LATE_QAT_THRESHOLD", "training with rounded matrices"),
    ScheduleRule(
        "SWA_EVERY",
        "warning",
        lambda run: bool(getattr(run.config, "swa_enabled", False)) and _value(run, "SWA_EVERY") > run.steps,
        _with_value("SWA_EVERY", "is beyond the run of {steps}"),
        "at most one sample is taken: there is nothing to average",
        _type("-o SWA_EVERY={tenth}"),
    ),
    ScheduleRule(
        "ITERATIONS",
        "note",
        lambda run: run.capped,
        lambda run: (
            f"the clock stops this run at about step {run.steps:,} of ITERATIONS={run.config.iterations:,} "
            f"({run.config.step_seconds:g} s at {run.tempo_ms:,.1f} ms per step)"
        ),
        "what is planned for later steps does not happen; the decay follows the clock",
        lambda run: "nothing, if the clock is meant to decide",
    ),
)


def _reach(run: PlannedRun) -> int:
    """Steps that the clock allows."""
    return int(1000 * run.config.step_seconds / (run.tempo_ms or 1.0))


# Settings that nobody reads ------------------------------------------------------------------------


def shell_variables(environ: Mapping[str, str]) -> list[Finding]:
    """Name the variables of a shell that look like knobs: none of them reaches the trainer."""
    findings = []
    for name, text in sorted(environ.items()):
        if is_system(name) or name.startswith(_NOT_MEANT):
            continue
        setting = f"{name}={text:.60}"
        if name in KNOBS or name in ALIASES:
            findings.append(
                Finding(
                    "warning",
                    f"{setting} stands in the environment and does not reach the trainer",
                    "a run has the preset, round.toml and the command line, nothing else",
                    f"write `-o {name}={text:.60}` where it is meant, or `unset {name}`",
                )
            )
        elif name in field_knobs():
            findings.append(
                Finding(
                    "note",
                    f"{setting} stands in the environment: a knob of other scripts, not of this trainer",
                    f"there it means: {field_knobs()[name]}",
                    f"`unset {name}`, or `harness knobs`",
                )
            )
        elif close := _alike(name):
            findings.append(
                Finding(
                    "warning",
                    f"{setting} stands in the environment and is read by nothing",
                    f"it looks like {close}, which must be given as an override anyway",
                    f"`-o {close}={text:.60}`",
                )
            )
    return findings


def _alike(name: str) -> str | None:
    if len(name) < SHORTEST or name != name.upper():
        return None
    close = difflib.get_close_matches(name, KNOBS, n=1, cutoff=ALIKE)
    return close[0] if close else None


def idle_overrides(
    overrides: Mapping[str, str], config: Mapping[str, str], preset: Mapping[str, str]
) -> list[Finding]:
    """Name the overrides that change nothing: idle by other settings, or equal to the preset."""
    effective = load_config(config)
    findings = [
        Finding(
            "warning",
            f"override {name}={overrides[name]} is read by nothing here",
            knob.unread.why,
            f"leave {name} out, or change what makes it idle",
        )
        for name, knob in KNOBS.items()
        if name in overrides and knob.unread and knob.unread.when(effective)
    ]
    for name, text in overrides.items():
        knob = KNOBS.get(name)
        # With the other overrides: what a knob is that is not set may hang on a switch among them.
        without = load_config({**preset, **{n: t for n, t in overrides.items() if n != name and n in KNOBS}})
        if knob and knob.parse(text) == getattr(without, knob.field):
            findings.append(
                Finding(
                    "note",
                    f"override {name}={text} is what the preset has already",
                    "it changes nothing",
                    f"leave {name} out",
                )
            )
    return findings
