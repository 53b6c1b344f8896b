"""One schema for machines: real output of every command fits it, and docs/schema.md explains its keys."""

import json
import re
from typing import get_args

import pytest
from pydantic import BaseModel

from harness.records.frozen import MAX_TEXT
from harness.season import schema
from tests.paths import DATA, ROOT

SEASON = str(DATA / "season")
TRUTH = ("n", "threshold", "interval", "outcome", "exact", "basis", "reference", "no_interest")


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    """A season with several seeds, a repeat, a failed seed, a parent and the same weights twice."""
    runs = tmp_path_factory.mktemp("seasons") / "runs"

    def put(hole, attempt=1, **fields):
        folder = runs / hole / f"attempt_{attempt:02d}"
        folder.mkdir(parents=True)
        record = {"schema": 2, "hole": hole, "attempt": attempt, "course": "fineweb", "status": "ok"} | fields
        (folder / "record.json").write_text(json.dumps(record | {"started_at": "2026-04-01T12:00:00Z"}))
        losses = [{"step": step, "train_loss": 6.0 - step, "train_time_ms": step * 9} for step in range(3)]
        (folder / "curve.jsonl").write_text("".join(json.dumps(line) + "\n" for line in losses))

    trained = [{"stage": "pre_quantization", "label": "final", "val_bpb": 1.2}]
    for attempt, seed in enumerate((1, 2, 3, 3), start=1):
        put("round_001_base", attempt, val_bpb=1.2 + seed / 1000, seed=seed, overrides={"MODEL_DIM": "512"})
    put("round_001_base", 5, status="failed", failure={"kind": "nan", "message": "loss is nan"}, seed=4)
    put(
        "round_002_one",
        val_bpb=1.3,
        seed=1,
        scores=trained,
        steps=3,
        artifact_bytes=9,
        code_bytes=4,
        model_bytes=5,
    )
    put("round_003_packed", val_bpb=1.31, seed=1, scores=trained, steps=3, overrides={"COMPRESSOR": "lzma"})
    put("round_004_none", status="failed", failure={"kind": "oom", "message": "memory"})
    (runs / "round_003_packed" / "round.toml").write_text('parent = "round_002"\n')
    (runs / "round_005_open").mkdir()
    (runs / "round_005_open" / "round.toml").write_text('hypothesis = "it helps"\n')
    return str(runs)


def differences(value):
    """Every difference in a JSON value, wherever it stands."""
    if isinstance(value, dict):
        if {"delta", "outcome", "reference", "spread"} <= value.keys():
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from differences(one)


COMMANDS = {
    schema.FullLsOutput: ["ls", "--full"],
    schema.TreeOutput: ["ls", "--tree"],
    schema.ShowOutput: ["show", "3"],
    schema.CompareOutput: ["compare", "3", "1", "--to", "par,sota,best,parent", "--diff"],
    schema.BriefOutput: ["brief"],
}


@pytest.mark.parametrize("model", COMMANDS, ids=lambda model: model.__name__)
def test_output_fits_the_schema_and_every_difference_carries_its_evidence(harness, season, model):
    done = harness(*COMMANDS[model], "--runs", season, "--json")

    model.model_validate_json(done.stdout)
    found = list(differences(json.loads(done.stdout)))
    told = [one for one in found if one["delta"] is not None]
    assert told
    assert all(one["reason"] for one in found if one["delta"] is None)
    for one in told:
        assert all(one[key] is not None for key in TRUTH)
        assert one["reference"]["val_bpb"] is not None
        assert (one["test"] is None) == one["exact"] == (one["p"] is None)
        assert (one["survives"] is None) == (one["outcome"] not in ("better", "worse"))


def test_holes_json_fits_the_schema_and_says_what_luck_reaches(harness, season, tmp_path):
    done = harness("publish", "--runs", season, "--out", str(tmp_path / "site"), "--no-pictures")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "site" / "holes.json").read_text()

    schema.HolesFile.model_validate_json(text)
    base, one, packed, failed, unplayed = json.loads(text)["holes"]
    assert (base["n"], base["seeds"], base["failed_seeds"], base["repeats"]) == (3, [1, 2, 3], [4], 1)
    assert base["std"] == pytest.approx(0.001)
    par = one["comparisons"]["par"]
    assert (par["outcome"], par["n"], par["test"]) == ("worse", [1, 1], "known spread")
    assert par["delta"] == pytest.approx(one["to_par"]) == pytest.approx(one["val_bpb"] - one["par"])
    assert par["threshold"] == pytest.approx(1.96 * par["spread"] * 2**0.5, rel=1e-3)
    assert packed["story"] == "parent"
    parent = packed["comparisons"]["parent"]
    assert (parent["exact"], parent["outcome"], parent["survives"]) == (True, "worse", True)
    assert parent["delta"] == pytest.approx(0.01)
    assert [hole["comparisons"]["par"]["delta"] for hole in (failed, unplayed)] == [None, None]


@pytest.mark.parametrize(
    "words", [["ls"], ["ls", "--full"], ["brief"], ["show", "6"], ["compare", "6"], ["ls", "--tree"]]
)
def test_the_small_season_fits_the_schema_too(harness, words):
    done = harness(*words, "--runs", SEASON, "--json")

    command = "fullls" if "--full" in words else json.loads(done.stdout)["command"]
    model = next(one for one in schema.OUTPUTS if one.__name__.lower().startswith(command))
    model.model_validate_json(done.stdout)


def in_any_version(node):
    """Take out what only newer versions of pydantic write: the length that any text may have, and that a
    table of anything may have further keys."""
    newer = {"maxLength": MAX_TEXT, "additionalProperties": True}
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if key not in newer or newer[key] != value}
        return {key: in_any_version(value) for key, value in kept.items() if value != {"maxLength": MAX_TEXT}}
    return [in_any_version(one) for one in node] if isinstance(node, list) else node


def test_schema_file_is_that_of_the_models():
    written = json.loads((ROOT / "docs" / "schema.json").read_text())

    ours = in_any_version(schema.json_schema())
    assert in_any_version(written) == ours, "run `python -m harness.season.schema > docs/schema.json`"


def models_of(model, known):
    """A model with all models in its fields."""
    if model in known:
        return
    known.add(model)
    for field in model.model_fields.values():
        waiting = [field.annotation]
        while waiting:
            kind = waiting.pop()
            waiting += get_args(kind)
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                models_of(kind, known)


def test_docs_explain_every_key_and_every_outcome():
    explained = set(re.findall(r"`\.?([\w ']+)`", (ROOT / "docs" / "schema.md").read_text()))
    known = set()
    for output in schema.OUTPUTS:
        models_of(output, known)
    keys = {field.alias or name for model in known for name, field in model.model_fields.items()}

    assert keys <= explained, sorted(keys - explained)
    words = {*get_args(schema.Outcome), *get_args(schema.HoleStatus), *get_args(schema.TestName)}
    assert words <= explained, sorted(words - explained)
