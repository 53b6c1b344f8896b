"""The base of all data that crosses a file, and the kinds of values in it.

They are bounded, so that arithmetic with them works. The names are pydantic's; a test of the records sees
that no model takes an unbounded one.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import pydantic
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from harness.documents import FIRST_DAY, LAST_DAY, MAX_REAL, MAX_WHOLE, MIN_WHOLE

_MOST, _LARGEST = Field(le=MAX_WHOLE), Field(le=MAX_REAL)
_MIDNIGHT = dt.time(tzinfo=dt.UTC)

Int = Annotated[int, Field(ge=MIN_WHOLE, le=MAX_WHOLE)]
PositiveInt = Annotated[int, Field(gt=0), _MOST]
NonNegativeInt = Annotated[int, Field(ge=0), _MOST]
FiniteFloat = Annotated[float, Field(ge=-MAX_REAL), _LARGEST]
PositiveFloat = Annotated[float, Field(gt=0), _LARGEST]
NonNegativeFloat = Annotated[float, Field(ge=0), _LARGEST]
Date = Annotated[dt.date, Field(ge=FIRST_DAY, lt=LAST_DAY)]
AwareDatetime = Annotated[
    pydantic.AwareDatetime,
    Field(ge=dt.datetime.combine(FIRST_DAY, _MIDNIGHT), lt=dt.datetime.combine(LAST_DAY, _MIDNIGHT)),
]
# The name of a course is that of its file and of its page.
MAX_TEXT = 200_000  # characters: a variable of the environment has no more
MAX_NAME = 64
NAME = rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}"
CourseName = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]


class Frozen(BaseModel):
    """Data that crosses a file: immutable, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, str_max_length=MAX_TEXT)
