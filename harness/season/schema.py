"""The JSON of a season for machines: `holes.json`, and `--json` of ls, show, compare and brief.

One form for every hole's score and one for every difference, whoever prints it. docs/schema.md explains each
key. `python -m harness.season.schema > docs/schema.json` writes the JSON Schema.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from harness.records.prediction import Prediction
from harness.records.record import Frozen
from harness.season.hole import HoleStatus
from harness.season.prediction import Outcome as PredictionOutcome
from harness.season.prediction import State as PredictionState
from harness.season.ratios import RatioOutcome
from harness.season.standing import ComparisonKind
from harness.stats import Outcome, TestName


class Reference(Frozen):
    """What a hole is compared with. hole: its folder where it is ours; entry: its name under runs/field."""

    kind: ComparisonKind | Literal["hole", "entry"]
    label: str
    hole: str | None = None
    entry: str | None = None
    val_bpb: float | None
    date: dt.date | None = None
    source: str | None = None


class TestData(Frozen):
    """One test of a difference. p is two-sided, before any correction."""

    __test__ = False  # pytest collects classes of this name

    test: TestName
    delta: float
    n: tuple[int, int]
    spread: float
    error: float
    t: float
    degrees_of_freedom: float | None
    p: float


class MoreSeeds(Frozen):
    """How many more seeds each side needs so that a difference of `size` could be told from luck."""

    seeds: int
    size: float


class DifferenceData(Frozen):
    """A hole minus its reference, in bits per byte, and what can be said of it. Where there is none,
    `reason` says why and the figures are null."""

    reference: Reference | None
    delta: float | None = None
    outcome: Outcome | None = None
    exact: bool | None = None
    n: tuple[int, int] | None = None
    spread: float | None = None
    test: TestName | None = None
    looks: int | None = None
    t: float | None = None
    degrees_of_freedom: float | None = None
    p: float | None = None
    p_one_sided: float | None = None
    threshold: float | None = None
    interval: tuple[float, float] | None = None
    no_interest: float | None = None
    equivalent: bool | None = None
    more_seeds: MoreSeeds | None = None
    lowest_of: int | None = None
    shrinkage: float | None = None
    survives: bool | None = None
    basis: str | None = None
    tests: list[TestData] = Field(default_factory=list)
    reason: str | None = None
    caveat: str | None = None


class ScoreData(Frozen):
    """A score and the seeds behind it."""

    val_bpb: float | None
    std: float | None
    n: int
    seeds: list[int]
    failed_seeds: list[int]
    repeats: int
    repeat_std: float | None


class EarlierData(Frozen):
    """A configuration that was played before the one behind the score. differs: to that one, in words."""

    attempts: list[int]
    seeds: int
    val_bpb: float
    differs: str


class PlaceData(ScoreData):
    """A hole by name, with its score. counts: whether it may be our best, see `harness decide`.

    earlier_configurations: those that `run --reopen` left behind; the score is of none of them.
    """

    hole: str
    title: str
    course: str | None
    status: HoleStatus
    verdict: str
    counts: bool
    earlier_configurations: list[EarlierData]


class HoleData(PlaceData):
    """A hole with every comparison. story: the comparison that it is told by."""

    number: int
    round: int
    hole_in_round: int
    split: str | None
    date: dt.date | None
    tags: list[str]
    archived: bool
    former_names: list[str]
    story: ComparisonKind
    comparisons: dict[ComparisonKind, DifferenceData]


class PredictionData(Frozen):
    """What was predicted of a hole and what came of it, in the metric's unit."""

    state: PredictionState
    why: str | None
    hypothesis: str | None
    sealed_at: AwareDatetime | None
    sealed_sha256: str | None
    sealed_hypothesis: str | None
    sealed_parent: str | None
    prediction: Prediction | None
    change: str | None
    reference: str | None
    delta: float | None
    interval: tuple[float, float] | None
    not_measured: str | None
    outcome: PredictionOutcome | None
    direction_outcome: PredictionOutcome | None


class SiteHole(HoleData):
    """A hole of `holes.json`. par, to_par: unrounded, of the comparison with par; null where there is none.

    decision: keep, drop or invalid, the newest word of `harness decide`.
    """

    decision: str | None
    par: float | None
    to_par: float | None
    result: str
    prediction: PredictionData
    page: str
    record: str | None


class AttemptData(Frozen):
    attempt: int
    seed: int | None
    status: str
    val_bpb: float | None
    counts: bool


class ShownHole(HoleData):
    """A hole of `ls --json` and `show --json`. record: the one shown, as docs/record.md has it."""

    attempts: int
    attempt_list: list[AttemptData]
    verdict_why: str
    sets_par: bool
    course_record: bool
    record_obstacles: list[str]
    headroom_bytes: int | None
    decision: dict[str, Any] | None
    record: dict[str, Any] | None
    problems: list[str]


class Counted(Frozen):
    """How many comparisons and claims a course counts, and how many claims survive the correction."""

    comparisons: int
    claims: int
    survivors: int
    exact: int


class BestData(Frozen):
    """What choosing a hole for its score does to that score. lowest_of: how many it is the lowest of.

    expected_bias_sigma, expected_shrinkage: how far the lowest of so many equal holes looks too low, in
    standard errors and bits per byte. lead: its distance below the middle one of them. told_as: in words.
    """

    lowest_of: int
    expected_bias_sigma: float
    expected_shrinkage: float | None
    lead: float
    confirmation: Literal["confirmed", "not confirmed", "cannot tell", "no fresh seeds"]
    told_as: str


class BriefHole(PlaceData):
    """difference: to the reference that the hole is told by, its parent, else par."""

    overrides: dict[str, str]
    decision: str | None
    difference: DifferenceData


class DeadEndData(Frozen):
    hole: str
    title: str
    why: str
    difference: DifferenceData | None


class QuestionData(Frozen):
    hole: str
    hypothesis: str


class NoiseData(Frozen):
    std_bpb: float
    smallest_visible_one_seed: float
    date: dt.date
    source: str


class BudgetData(Frozen):
    """cost: of all attempts whose rate is known, in the user's money."""

    train_seconds: float
    wall_seconds: float
    attempts: int
    unmeasured_attempts: int
    cost: float | None


class CalibrationData(Frozen):
    """How many sealed predictions held. text: the same in words."""

    scored: int
    held: int
    missed: int
    cannot_tell: int
    open: int
    directions_held: int
    directions_missed: int
    text: str | None


class BriefBest(BriefHole):
    selection: BestData | None


class SideData(ScoreData):
    """One side of a pair. values: the score of each seed."""

    name: str
    values: list[float]


class ArtifactData(Frozen):
    """weights_alone: the code is left out, since another rule counted it. The parts: null if unknown.

    within_noise: seeds alone make the weights differ as much.
    """

    delta_bytes: int
    weights_alone: bool
    within_noise: bool
    weights_bytes: int | None
    code_bytes: int | None


class TempoData(Frozen):
    """A step's time as a ratio. reach: the ratio, above 1, that luck alone reaches."""

    ratio: float
    outcome: RatioOutcome
    basis: str
    reach: float | None
    caveat: str


class ConfigChange(Frozen):
    a: str | None
    b: str | None


class MomentData(Frozen):
    axis: str
    measure: str
    at: float
    a: float
    b: float
    delta: float


class WhiffData(Frozen):
    kind: Literal["whiff", "export only"]
    knobs: list[str]
    seed: int | None
    points: int
    attempts: tuple[int, int]
    why: str


class PairData(Frozen):
    """A hole beside another. relative: the difference as a share of b's score."""

    a: SideData
    b: SideData
    label: str | None
    comparable: bool
    difference: DifferenceData
    delta_nats_per_byte: float | None
    delta_nats_per_token: float | None
    relative: float | None
    noise: str | None
    artifact: ArtifactData | None
    tempo: TempoData | None
    caveats: list[str]
    config: dict[str, ConfigChange]
    curve: list[MomentData]
    whiff: WhiffData | None


class BranchData(PlaceData):
    """A hole of `ls --tree --json`. difference: to its parent."""

    parent: str | None
    depth: int
    difference: DifferenceData
    decision: str | None
    note: str | None


# What is printed ------------------------------------------------------------------------------------


class HolesFile(Frozen):
    """`holes.json`, one of every published site. claims: by course."""

    schema_: Literal[2] = Field(alias="schema")
    claims: dict[str, Counted]
    holes: list[SiteHole]


class ListedHole(Frozen):
    """A row of `harness ls`. seeds: how many. vs_...: minus that reference, None where there is none.

    story: the comparison the hole is told by. survives: of its claim, as in a difference.
    """

    hole: str
    title: str
    course: str | None
    date: dt.date | None
    status: HoleStatus
    verdict: str
    decision: str | None
    parent: str | None
    tags: list[str]
    archived: bool
    attempts: int
    configurations: int
    val_bpb: float | None
    std: float | None
    seeds: int
    vs_par: float | None
    par_outcome: Outcome | None
    vs_parent: float | None
    parent_outcome: Outcome | None
    vs_previous: float | None
    previous_outcome: Outcome | None
    story: ComparisonKind
    survives: bool | None
    artifact_bytes: int | None
    headroom_bytes: int | None
    steps: int | None
    step_ms: float | None
    cost: float | None


class LsOutput(Frozen):
    """`harness ls --json`."""

    schema_: Literal[2] = Field(alias="schema")
    command: Literal["ls"]
    holes: list[ListedHole]
    problems: list[str]


class FullLsOutput(Frozen):
    """`harness ls --json --full`."""

    schema_: Literal[2] = Field(alias="schema")
    command: Literal["ls"]
    claims: dict[str, Counted]
    holes: list[ShownHole]
    problems: list[str]


class TreeOutput(Frozen):
    """`harness ls --tree --json`."""

    schema_: Literal[2] = Field(alias="schema")
    command: Literal["tree"]
    holes: list[BranchData]
    problems: list[str]


class ShowOutput(ShownHole):
    """`harness show HOLE --json`. selection: where the hole is the lowest of its course."""

    schema_: Literal[2] = Field(alias="schema")
    command: Literal["show"]
    selection: BestData | None
    prediction: PredictionData
    whiff: str | None
    code_diff: str | None


class CompareOutput(Frozen):
    """`harness compare A B --json`. code: how the code differs, with --diff."""

    schema_: Literal[2] = Field(alias="schema")
    command: Literal["compare"]
    hole: str
    pairs: list[PairData]
    code: dict[str, str] | None


class BriefOutput(Frozen):
    """`harness brief --json`."""

    schema_: Literal[2] = Field(alias="schema")
    command: Literal["brief"]
    course: str | None
    split: str | None
    best: BriefBest | None
    claims: Counted
    last: list[BriefHole]
    dead_ends: list[DeadEndData]
    open_questions: list[QuestionData]
    noise_floor: NoiseData | None
    predictions: CalibrationData
    budget: BudgetData
    problems: list[str]


OUTPUTS = (HolesFile, LsOutput, FullLsOutput, TreeOutput, ShowOutput, CompareOutput, BriefOutput)


def json_schema() -> dict[str, Any]:
    """Return one JSON Schema that any of the outputs fits."""
    schema: dict[str, Any] = TypeAdapter(
        HolesFile | LsOutput | FullLsOutput | TreeOutput | ShowOutput | CompareOutput | BriefOutput
    ).json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=1, ensure_ascii=False))
