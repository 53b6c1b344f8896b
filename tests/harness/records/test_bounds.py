"""Every number and every day that a stored file can bring into the program is bounded."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

import harness.courses.policy
import harness.field.entries
import harness.records.launch
import harness.run.bundle.pull  # noqa: F401 (all models that are read from files are loaded by now)
from harness.documents import FIRST_DAY, LAST_DAY, MAX_REAL, MAX_WHOLE, MIN_WHOLE
from harness.records.frozen import Frozen

MODELS = [model for model in Frozen.__subclasses__() if not model.__module__.startswith("harness.season")]
LIMITS = {
    "int": (MIN_WHOLE, MAX_WHOLE),
    "float": (-MAX_REAL, MAX_REAL),
    "date": (FIRST_DAY, LAST_DAY),
    "datetime": tuple(dt.datetime.combine(day, dt.time(tzinfo=dt.UTC)) for day in (FIRST_DAY, LAST_DAY)),
}


def leaves(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the parts of a model's schema that stand for a number or a day, with their place."""
    if isinstance(schema, dict):
        if schema.get("type") in LIMITS:
            yield place, schema
        for name, inner in schema.items():
            if name not in ("metadata", "serialization"):
                yield from leaves(inner, f"{place}.{name}")
    elif isinstance(schema, list | tuple):
        for number, inner in enumerate(schema):
            yield from leaves(inner, f"{place}[{number}]")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_number_or_day_of_a_file_is_unbounded(model: type[Frozen]) -> None:
    for place, leaf in leaves(model.__pydantic_core_schema__):
        low, high = LIMITS[leaf["type"]]

        assert low <= leaf.get("ge", leaf.get("gt", low and None)), (place, leaf)
        assert leaf.get("le", leaf.get("lt")) <= high, (place, leaf)


def test_the_models_of_all_readers_are_looked_at() -> None:
    names = {model.__name__ for model in MODELS}

    assert names >= {"RunRecord", "Launch", "Intent", "Seals", "Decisions", "Course", "Policy", "FieldEntry"}
    assert sum(len(list(leaves(model.__pydantic_core_schema__))) for model in MODELS) > 100
