"""A small season with every kind of file, and what can be wrong with one."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import tomli_w

from harness.files import data_path
from harness.records.launch import Launch, dump_launch
from harness.records.prediction import Prediction, Seals, make_seal
from harness.records.record import load_record

SEASON = Path(__file__).parents[1] / "data/season"
OTHER, BAD = "round_001_baseline", "round_003_wide_fairway"
ENTRY = "field/2026-03-01_public"
NOON = dt.datetime(2026, 4, 1, 12, tzinfo=dt.UTC)

# Every file that a command reads of a season, by its kind.
FILES = {
    "record": f"{BAD}/attempt_01/record.json",
    "curve": f"{BAD}/attempt_01/curve.jsonl",
    "launch": f"{BAD}/attempt_02/launch.json",
    "intent": f"{BAD}/round.toml",
    "notes": f"{BAD}/notes.md",
    "decision": f"{BAD}/decision.json",
    "prediction": f"{BAD}/prediction.json",
    "additions": "field.toml",
    "leaderboard": "field/leaderboard.json",
    "entry": f"{ENTRY}/entry.json",
    "entry's record": f"{ENTRY}/attempt_01/record.json",
    "course": "courses/mine.toml",
    "policy": "policies/own.toml",
}


def make_season(runs: Path) -> None:
    """Copy two played holes, and add all that the second one and the season may have."""
    for name in (OTHER, BAD):
        shutil.copytree(SEASON / name, runs / name)
    record = load_record(runs / FILES["record"])
    on_own_course = json.dumps(json.loads((runs / FILES["record"]).read_text()) | {"course": "mine"})
    launch = Launch(
        hole=BAD,
        attempt=2,
        course="fineweb",
        cap_bytes=16_000_000,
        overrides={},
        config={"ITERATIONS": "20"},
        planned_seeds=(5, 6),
        started_at=NOON,
        command=("x",),
        code=record.code,
        data=record.data,
        harness="0.1.0",
    )
    decision = {"decision": "keep", "reason": "better", "who": "me", "when": NOON.isoformat()}
    reference = {"course": "fineweb", "name": "a", "val_bpb": 1.3, "date": NOON.date(), "source": "x"}
    sealed = make_seal(NOON, "it is better", Prediction(metric="val_bpb", direction="lower", size=0.01), "1")
    board = json.loads(data_path("field", "leaderboard.json").read_text())
    policy = data_path("policies", "practice.toml").read_text()
    for kind, text in {
        "launch": dump_launch(launch),
        "notes": "## The shot: half a byte\n\nIt *scored* 1.2345 bpb.\n",
        "decision": json.dumps({"schema": 1, "history": [decision]}),
        "prediction": Seals(history=(sealed,)).model_dump_json(by_alias=True, exclude_none=True),
        "additions": tomli_w.dumps({"reference": [reference]}),
        "leaderboard": json.dumps(board | {"rows": board["rows"][:3]}),
        "entry": json.dumps({"schema": 1, "name": "public", "course": "mine", "source": "s", "pr": 7}),
        "record": on_own_course,
        "entry's record": on_own_course,
        "course": data_path("courses", "practice.toml").read_text().replace('"practice"', '"mine"'),
        "policy": policy.replace('name = "practice"', 'name = "own"').replace(
            'course = "practice"', 'course = "mine"'
        ),
    }.items():
        path = runs / FILES[kind]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (runs / BAD / "attempt_02/train.log").write_text("step:1/20 train_loss:5.0 train_time:1ms\n")


def load_file(path: Path) -> Any:
    """Decode a JSON or TOML file, or a curve's lines; dates as text."""
    import tomllib

    text = path.read_text()
    if path.suffix == ".toml":
        return json.loads(json.dumps(tomllib.loads(text), default=str))
    return [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)


def dump_file(path: Path, data: Any) -> None:
    """Write decoded data back, whatever it has become."""
    if path.suffix == ".toml":
        text = tomli_w.dumps(_without_none(data) if isinstance(data, dict) else {"a": _without_none(data)})
    elif path.suffix == ".jsonl" and isinstance(data, list):
        text = "".join(json.dumps(row) + "\n" for row in data)
    else:
        text = json.dumps(data)
    path.write_bytes(text.encode("utf-8", "replace"))


def _without_none(data: Any) -> Any:
    """TOML has no null and no half characters."""
    if isinstance(data, dict):
        return {str(key): _without_none(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_without_none(value) for value in data if value is not None]
    return data.encode("utf-8", "replace").decode() if isinstance(data, str) else data
