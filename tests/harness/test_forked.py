"""Work shared among processes gives what it gives in one, errors included."""

import os

import pytest

from harness import forked
from harness.errors import HarnessError
from harness.forked import share


@pytest.fixture(autouse=True)
def _three_cores(monkeypatch):
    monkeypatch.setattr(forked, "cores", lambda: 3)


def test_answers_come_in_order_from_several_processes():
    answers = share(lambda part: (os.getpid(), list(part)), range(100))

    assert [number for _, part in answers for number in part] == list(range(100))
    assert len({pid for pid, _ in answers}) == 3


def test_few_tasks_are_done_here():
    assert share(lambda part: (os.getpid(), list(part)), range(5), fewest=3) == [
        (os.getpid(), [0, 1, 2, 3, 4])
    ]
    assert share(list, []) == [[]]


@pytest.mark.parametrize("place", [0, 2])
def test_error_of_a_process_is_raised_here(place):
    def work(part):
        if place in part:
            raise HarnessError("no such page", "write it")
        return 0

    with pytest.raises(HarnessError, match="no such page") as caught:
        share(work, range(3))

    assert caught.value.hint == "write it"


def test_killed_process_is_an_error():
    with pytest.raises(RuntimeError, match="killed"):
        share(lambda part: os.kill(os.getpid(), 9) if 0 not in part else None, range(3))
