"""`harness doctor`: everything worth knowing before a run costs time, as findings. Writes nothing under `runs/`.

    examine()      machine, data, season, code; with a request also the run it asks for
    before_run()   the quick part, which `harness run` goes through by itself

What makes a run impossible is refused by the plan (`harness.run.plan.plan`); here that refusal is a finding, too.
The single checks: `harness.run.doctor.machine`, `harness.courses.shards`, `harness.run.doctor.unread`, `harness.run.doctor.schedules`, `harness.run.doctor.plan_checks`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.courses import shards
from harness.courses.course import Course, course_names, load_course
from harness.courses.overlap import Overlap, find_overlap, overlap_findings, quick_overlap
from harness.errors import Exit, HarnessError
from harness.findings import Finding, Group
from harness.run.builtin import TRAINER_FOLDER, weigh_untrained
from harness.run.doctor import machine, plan_checks, schedules, unread
from harness.run.plan import Plan, drop_duplicates, make_plan
from harness.run.processes import in_own_process
from harness.run.request import RunRequest
from harness.scripts.git import describe_code
from harness.season.season import Season, load_season
from trainer.config import KNOBS, PRESETS

Progress = Callable[[str, float], None]


def examine(request: RunRequest | None, runs: Path, progress: Progress) -> list[Group]:
    """Check everything; with a request also the run that it asks for."""
    season = load_season(runs)
    said, broken = machine.probe_torch()
    plan: Plan | None = None
    refused: list[Finding] = []
    if request and said:
        try:
            plan = make_plan(replace(request, repeat=True), runs, progress)
        except HarnessError as error:
            refused = [_refusal(error)]
    groups = [_machine(runs, season, machine.describe_torch(said), broken, plan), _shell()]
    if plan:
        groups += [_data(plan, find_overlap), *_run(plan, season, thorough=True)]
        if request and not request.repeat:
            groups[-1] = _with_duplicates(groups[-1], plan, season)
    elif refused:
        groups.append(Group("run", "refused", tuple(refused)))
    else:
        groups += [examine_data(name, runs) for name in course_names(runs)]
    hole = plan.hole.folder if plan else None
    return [*groups, _season(season, hole), _code(plan)]


def before_run(plan: Plan, runs: Path) -> list[Group]:
    """Check what takes no time; what is slow is taken from earlier answers or left to `harness doctor`."""
    season = load_season(runs)
    data = in_own_process(_data, plan, quick_overlap)  # imports numpy
    return [_shell(), data, *_run(plan, season, thorough=False), _code(plan)]


def _refusal(error: HarnessError) -> Finding:
    return Finding("error", error.message, "`harness run` refuses it", error.hint)


def _machine(runs: Path, season: Season, torch: str, broken: list[Finding], plan: Plan | None) -> Group:
    have = machine.resources()
    days = [record.started_at for hole in season.holes for record in hole.records if record.started_at]
    found = [*broken, *machine.check_packages(), *machine.check_folders(runs), *machine.check_clock(days)]
    if plan and plan.trainer.snapshot is None:
        found += machine.check_threads(int(plan.trainer.config["THREADS"]), have.cores)
        found += plan_checks.memory_findings(plan, season, have.free_bytes)
    cores = f"{have.cores} core{'s' if have.cores > 1 else ''}"
    return Group("machine", f"{torch}, {cores}, {have.free_bytes / 1e9:,.1f} GB of memory free", tuple(found))


def _shell() -> Group:
    found = unread.stray_variables(os.environ)
    return Group("shell", "no variable looks like a knob" if not found else "", tuple(found))


def _data(plan: Plan, overlap_of: Callable[[shards.Shards], Overlap | None]) -> Group:
    """The data of a planned run. The trainer has checked every header, the tokenizer and the ids already."""
    place = plan.trainer.config.get("DATA_PATH") or plan.trainer.environ.get("DATA_PATH")
    if place is None:
        return Group("data", f"{plan.course.name}: the script does not say where its data lies")
    folder = Path(place)
    there, found = shards.read_folder(folder)
    found += plan_checks.split_findings(plan.course, plan.trainer.split or "")
    summary = f"{plan.course.name}: {shards.describe(there)}"
    if overlap_of is find_overlap:
        said, wrong = shards.check_seals(there)
        summary, found = "; ".join(filter(None, (summary, said))), [*found, *wrong]
    return _with_overlap(summary, there, found, overlap_of)


def _with_overlap(
    summary: str,
    there: shards.Shards,
    found: list[Finding],
    overlap_of: Callable[[shards.Shards], Overlap | None],
) -> Group:
    overlap = overlap_of(there) if there.whole else None
    if overlap:
        found += overlap_findings(overlap)
        summary += f"; {overlap.share:.1%} of the validation is in training ({overlap.bound})"
    return Group("data", summary, tuple(found))


def examine_data(name: str, runs: Path) -> Group:
    """The data of a course that no run asks for yet."""
    try:
        course = load_course(name, runs)
        place = _place(course)
    except HarnessError as error:
        return Group(
            "data", name, (Finding("error", error.message, "the course cannot be played", error.hint),)
        )
    if place is None:
        return Group("data", f"{name}: not prepared yet; the first run does that")
    folder, tokenizer, vocab_size = place
    if name == "fineweb" and not folder.exists():
        return Group("data", f"{name}: none here; `harness data pull --train-shards 1` fetches it")
    there, found = shards.read_folder(folder)
    found += plan_checks.tokenizer_findings(tokenizer, vocab_size)
    found += plan_checks.canonical_findings(course, there.val_tokens, vocab_size) if there.val else []
    said, wrong = shards.check_seals(there)
    summary = "; ".join(filter(None, (f"{name}: {shards.describe(there)}", said)))
    return _with_overlap(summary, there, [*found, *wrong], find_overlap)


def _place(course: Course) -> tuple[Path, Path, int] | None:
    """Where a course keeps shards and tokenizer, and its vocabulary; None for a practice course still to be made."""
    if course.data:
        return Path(course.data.path), Path(course.data.tokenizer), course.data.vocab_size
    if course.name == "practice":
        from harness.courses.practice import course_dir
        from harness.courses.practice import load_course as load_practice

        folder = course_dir()
        if not folder.exists():
            return None
        practice = load_practice(folder)  # checked against its own fingerprints
        return practice.data_path, practice.tokenizer_path, practice.vocab_size
    data, tokenizer, size = (KNOBS[name].default for name in ("DATA_PATH", "TOKENIZER_PATH", "VOCAB_SIZE"))
    return Path(str(data)), Path(str(tokenizer)), int(str(size))


def _run(plan: Plan, season: Season, thorough: bool) -> list[Group]:
    """What is planned: settings, schedules, size, seeds, the words. thorough: pack the untrained model, too."""
    ours = plan.trainer
    words = plan_checks.intent_findings(plan, season)
    if ours.snapshot is not None:  # only our own trainer's settings have a known meaning
        return [Group("run", f"{plan.hole.folder}: {ours.snapshot.main}", tuple(words))]
    preset = PRESETS[ours.preset or "baseline"]
    tempo = plan_checks.known_tempo(plan, season)
    outlook = schedules.foresee(ours.config, tempo)
    found = unread.idle_overrides(ours.overrides, ours.config, preset)
    found += schedules.check_schedules(outlook)
    found += plan_checks.time_findings(plan, outlook)
    untrained = weigh_untrained(ours.config) if thorough else None
    size, heavy = plan_checks.forecast(plan, season, untrained)
    long = f"{outlook.steps:,} steps" + (f", about {outlook.steps * tempo / 1000:,.0f} s" if tempo else "")
    return [
        Group("size", size, tuple(heavy)),
        Group(
            "run",
            f"{plan.hole.folder}: preset {ours.preset}, {long}",
            (*found, *words),
        ),
    ]


def _with_duplicates(group: Group, plan: Plan, season: Season) -> Group:
    try:
        skipped = drop_duplicates(plan, season).skipped
    except HarnessError as error:
        if error.exit_code != Exit.DUPLICATE:
            raise
        skipped = (error.message,)
    said = tuple(
        Finding("note", text, "`harness run` does not play it twice", "--seed for another, or --repeat")
        for text in skipped
    )
    return replace(group, findings=(*group.findings, *said))


def _season(season: Season, hole: str | None) -> Group:
    found = plan_checks.season_findings(season, hole)
    return Group("season", f"{len(season.holes)} holes in {season.runs}/", tuple(found))


def _code(plan: Plan | None) -> Group:
    code, diff = (plan.trainer.code, plan.trainer.code_diff) if plan else describe_code(TRAINER_FOLDER)
    commit = f"commit {code.git_sha[:10]}" if code.git_sha else "no git"
    return Group(
        "code",
        f"{code.trainer} {(code.source_sha256 or '')[:10]}, {commit}",
        tuple(plan_checks.code_findings(code, diff)),
    )
