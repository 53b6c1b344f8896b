"""A record survives export and import: all its fields but those that are named with their reason."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import string
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.field.importing import import_paths
from harness.records.exported import CHANGED_FIELDS, FILE
from harness.records.private import write_record
from harness.records.record import RunRecord, hash_config, load_record
from harness.records.store import Store
from harness.season.shown import shown_hole
from harness.submit.export import export_hole

WORDS = (
    st.text(string.ascii_letters + string.digits + " _-.,äß€", min_size=1, max_size=12)
    .map(str.strip)
    .filter(bool)
)
NAMES = st.text(string.ascii_uppercase + "_", min_size=2, max_size=12).map(lambda name: f"X{name}X")
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
COUNTS = st.integers(1, 10**9)
NUMBERS = st.floats(0.001, 10**6)
MOMENTS = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2025, 1, 1), timezones=st.just(dt.UTC))
SETTINGS = st.dictionaries(NAMES, WORDS, max_size=3)


def words(size: int = 3) -> st.SearchStrategy[list[str]]:
    return st.lists(WORDS, max_size=size)


# Every field that one value does not tie to another one's.
FREE: dict[str, st.SearchStrategy[Any]] = {
    "course": st.sampled_from(["fineweb", "practice", "of_somebody_else"]),
    "split": st.sampled_from(["current", "unknown", "suspect", "py3.11.9-0123456789ab"]),
    "ended_at": MOMENTS.map(lambda moment: moment.replace(year=2026).isoformat()),
    "started_at": MOMENTS.map(dt.datetime.isoformat),
    "code_rule": st.sampled_from(["package", "script", "packed"]),
    "model_file": WORDS,
    "model_sha256": HASHES,
    "weights_file": WORDS,
    "weights_sha256": HASHES,
    "params": COUNTS,
    "planned_steps": COUNTS,
    "step_ms": NUMBERS,
    "train_seconds": NUMBERS,
    "eval_seconds": NUMBERS,
    "wall_seconds": NUMBERS,
    "rate_per_hour": st.floats(0.01, 1e6),
    "not_played": st.lists(
        st.fixed_dictionaries({"seed": st.integers(0, 2**31), "reason": WORDS}), max_size=3
    ),
    "tokens_seen": COUNTS,
    "tokens_per_second": NUMBERS,
    "peak_memory_bytes": COUNTS,
    "last_train_loss": st.floats(-10, 10),
    "stop_reason": st.sampled_from(["wallclock_cap", "asked"]),
    "resumes": COUNTS,
    "planned_seeds": st.lists(st.integers(0, 2**31), max_size=3, unique=True),
    "purpose": st.sampled_from(["confirm"]),
    "preset": WORDS,
    "overrides": SETTINGS,
    "arguments": words(),
    "command": words(),
    "code": st.fixed_dictionaries(
        {},
        optional={
            "trainer": WORDS,
            "module": WORDS,
            "source_sha256": HASHES,
            "git_sha": HASHES,
            "dirty": st.booleans(),
            "diff_sha256": HASHES,
        },
    ),
    "environment": st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(
                [
                    "python",
                    "interpreter",
                    "torch",
                    "mlx",
                    "sentencepiece",
                    "numpy",
                    "harness",
                    "platform",
                    "device",
                    "device_name",
                    "cpu_capability",
                ],
                WORDS,
            ),
            "world_size": COUNTS,
            "threads": COUNTS,
            "backends": st.dictionaries(WORDS, st.booleans() | WORDS, max_size=2),
        },
    ),
    "data": st.fixed_dictionaries(
        {},
        optional={
            "val_sha256": HASHES,
            "val_tokens": COUNTS,
            "val_bytes": COUNTS,
            "train_fingerprint": WORDS,
            "train_tokens": COUNTS,
            "tokenizer_sha256": HASHES,
            "yardsticks": st.dictionaries(WORDS, NUMBERS, max_size=2),
        },
    ),
    "as_of": st.fixed_dictionaries({"par": NUMBERS, "sota": NUMBERS}),
    "provenance": st.fixed_dictionaries({"source": WORDS, "sha256": HASHES, "importer": WORDS}),
    "evaluated_from": st.fixed_dictionaries(
        {
            "hole": st.just("round_007"),
            "attempt": COUNTS,
            "weights": st.sampled_from(["unrounded", "artifact"]),
            "file": st.just("model.zst"),
            "sha256": HASHES,
        }
    ),
    "produced": st.dictionaries(WORDS, COUNTS, max_size=2),
    "warnings": words(),
}


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A complete record in which any part may be given: every field of the model."""
    record: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=FREE))
    record.setdefault("course", "fineweb")
    code, model = draw(st.integers(1, 10**6)), draw(st.integers(1, 10**7))
    bpb, loss = draw(st.floats(0.5, 5)), draw(st.floats(0.5, 9))
    score = {
        "stage": "round_trip",
        "label": "final_int8_zlib_roundtrip_exact",
        "val_bpb": bpb,
        "val_loss": loss,
    }
    earlier = {"stage": "pre_quantization", "label": "pre_quant", "val_bpb": bpb * 0.99, "val_loss": loss}
    optional = draw(st.fixed_dictionaries({}, optional={"seconds": NUMBERS, "line": COUNTS}))
    config = draw(SETTINGS)
    if draw(st.booleans()):
        record |= {"config": config, "config_hash": hash_config(config)}
    return record | {
        "schema": 2,
        "hole": "round_003_this_one",
        "attempt": 2,
        "status": "ok",
        "seed": draw(st.integers(0, 2**31)),
        "steps": draw(COUNTS),
        "val_bpb": bpb,
        "val_loss": loss,
        "scores": [earlier, score | optional],
        "official": {"stage": score["stage"], "label": score["label"], "why": "the only one"},
        "code_bytes": code,
        "model_bytes": model,
        "artifact_bytes": code + model,
        "cap_bytes": 16_000_000,
    }


def fields(record: RunRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in RunRecord.model_fields}


def test_every_field_of_a_record_is_tried():
    given_always = {"schema_", "hole", "attempt", "status", "seed", "steps", "val_bpb", "val_loss", "scores"}
    given_always |= {
        "official",
        "code_bytes",
        "model_bytes",
        "artifact_bytes",
        "cap_bytes",
        "config",
        "config_hash",
    }
    impossible = {"failure"}  # only a complete attempt is exported, and it has none

    assert FREE.keys() | given_always | impossible == RunRecord.model_fields.keys()
    assert FREE.keys() | given_always >= CHANGED_FIELDS.keys()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records(), st.sampled_from(["hole", "field"]))
def test_record_survives_export_and_import(raw: dict[str, Any], kind: Any) -> None:
    with TemporaryDirectory() as place:
        here, there, out = Path(place, "here"), Path(place, "there"), Path(place, "out")
        there.mkdir()
        attempt = here / "round_003_this_one" / "attempt_02"
        attempt.mkdir(parents=True)
        before = write_record(attempt / "record.json", RunRecord.model_validate(raw))

        export_hole(shown_hole(Store(here).get("3")), out)
        report = import_paths([out], there, kind)

        assert [bundle.state for bundle in report.bundles] == ["new"], report
        (path,) = there.rglob("record.json")
        after = load_record(path)
        changed = {name for name, value in fields(before).items() if fields(after)[name] != value}
        assert changed <= CHANGED_FIELDS.keys(), [bundle.warnings for bundle in report.bundles]
        assert after.provenance is not None
        assert (after.model_file, after.weights_file) == (None, None)
        assert import_paths([out], there, kind).added == 0


def test_record_that_contradicts_its_log_is_not_believed(put_record, harness, runs):
    score = {
        "stage": "round_trip",
        "label": "final_int8_zlib_roundtrip_exact",
        "val_bpb": 1.4,
        "val_loss": 2.1,
    }
    official = {"stage": "round_trip", "label": score["label"], "why": "the only one"}
    put_record("round_001", course="practice", split="a", val_bpb=1.4, scores=[score], official=official)
    harness("export", "1", "--out", "out")
    exported = runs.parent / "out" / FILE
    exported.write_text(exported.read_text().replace('"val_bpb": 1.4', '"val_bpb": 1.1'))

    done = harness("import", "out", "--as", "hole", "--runs", "other")

    assert "val_bpb is 1.1 in the record and 1.4 in the log" in done.stdout
    shown = json.loads(harness("show", "1", "--json", "--runs", "other").stdout)
    assert (shown["val_bpb"], shown["course"]) == (1.4, "fineweb")
    exported.unlink()
    shutil.rmtree(runs.parent / "other")
    harness("import", "out", "--as", "hole", "--runs", "other", "--course", "practice")
    assert json.loads(harness("show", "1", "--json", "--runs", "other").stdout)["course"] == "practice"
