"""A curve of any length in bounded memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

MAX_POINTS = 50_000  # per curve; beyond it every second point is dropped, over and over


class ThinnedCurve:
    """Points in compact arrays: step, then values. Thinned evenly when full; the last point is always there.

    count: how many points were added, kept or not. A value that was not printed is NaN.
    """

    def __init__(self, columns: int) -> None:
        self.count = 0
        self.first: tuple[int, tuple[float, ...]] | None = None
        self.last: tuple[int, tuple[float, ...]] | None = None
        self.stride = 1  # every how many points one is kept
        self._steps = array("q")
        self._values = tuple(array("d") for _ in range(columns))

    def add(self, step: int, values: tuple[float, ...]) -> None:
        """Append a point."""
        self.last = (step, values)
        if self.first is None:
            self.first = self.last
        if self.count % self.stride == 0:
            self._keep(step, values)
            if len(self._steps) > MAX_POINTS:
                self._halve()
        self.count += 1

    def due(self) -> slice:
        """Return which of the points to come will be kept."""
        return slice(-self.count % self.stride, None, self.stride)

    def add_many(self, count: int, columns: Sequence[Sequence[bytes]]) -> None:
        """Append `count` points by columns of digits (steps, then values): those due, then the last."""
        steps, *values = columns
        self._steps.extend(map(int, steps[:-1]))
        for column, texts in zip(self._values, values, strict=True):
            column.extend(map(float, texts[:-1]))
        self.last = (int(steps[-1]), tuple(float(texts[-1]) for texts in values))
        if self.first is None:
            self.first = (int(steps[0]), tuple(float(texts[0]) for texts in values))
        self.count += count
        self.thin(MAX_POINTS)

    def thin(self, limit: int) -> None:
        """Keep at most about `limit` points."""
        while len(self._steps) > limit:
            self._halve()

    def __len__(self) -> int:
        return len(self._steps) + self._last_is_extra

    def __iter__(self) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Yield (step, values) in the order printed, the last point included."""
        for index, step in enumerate(self._steps):
            yield step, tuple(column[index] for column in self._values)
        if self.last is not None and self._last_is_extra:
            yield self.last

    def contains(self, other: ThinnedCurve) -> bool:
        """Whether every point that another curve kept stands in this one; NaN is equal to itself here."""
        if other.last is None:
            return True
        if not self._has(*other.last):  # nearly always enough
            return False
        return other._points() <= self._points()

    def _has(self, step: int, values: tuple[float, ...]) -> bool:
        if self.last is not None and _comparable(*self.last) == _comparable(step, values):
            return True
        at = -1
        for _ in range(self._steps.count(step)):
            at = self._steps.index(step, at + 1)
            if all(
                repr(column[at]) == repr(value) for column, value in zip(self._values, values, strict=True)
            ):
                return True
        return False

    def _points(self) -> frozenset[tuple[object, ...]]:
        return frozenset(_comparable(step, values) for step, values in self)

    @property
    def _last_is_extra(self) -> bool:
        return self.count > 0 and (self.count - 1) % self.stride != 0

    def _keep(self, step: int, values: tuple[float, ...]) -> None:
        self._steps.append(step)
        for column, value in zip(self._values, values, strict=True):
            column.append(value)

    def _halve(self) -> None:
        self._steps = self._steps[::2]
        self._values = tuple(column[::2] for column in self._values)
        self.stride *= 2


def _comparable(step: int, values: tuple[float, ...]) -> tuple[object, ...]:
    return step, *map(repr, values)
