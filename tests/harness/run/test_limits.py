"""What ends a run before its time, by the lines of its log and a clock of our own."""

import pytest

from harness.errors import HarnessError, UsageError
from harness.run.limits import LimitWatcher
from harness.run.request import RunLimits, parse_abort


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def train(step, loss="3.0000", ms=0):
    return f"step:{step}/20000 train_loss:{loss} train_time:{ms}ms step_avg:1.00ms"


def val(step, bpb):
    return f"step:{step}/20000 val_loss:2.0000 val_bpb:{bpb} train_time:1ms step_avg:1.00ms"


def hear(limits, *lines):
    watcher = LimitWatcher(limits, Clock())
    for line in lines:
        watcher.lines([line])
    return watcher.stop_reason()


@pytest.mark.parametrize(
    ("rule", "lines", "said"),
    [
        ("val_bpb@1000>1.45", [val(500, "1.9000"), val(1000, "1.4500")], None),
        ("val_bpb@1000>1.45", [val(1500, "1.4501")], "val_bpb is 1.4501 at step 1500"),
        (" train_loss > 8 ", [train(1, "6.9"), train(2, "8.5")], "train_loss is 8.5 at step 2"),
        ("val_loss@10>=2", [val(10, "1.2000")], "val_loss is 2 at step 10"),
        ("val_bpb@10<0.5", [val(10, "0.4000")], "val_bpb is 0.4"),
        ("val_bpb>3", [val(0, "4.0000")], "val_bpb is 4 at step 0 (--abort 'val_bpb>3')"),
    ],
)
def test_abort_rule_looks_from_its_step_on(rule, lines, said):
    stop = hear(RunLimits(aborts=(parse_abort(rule),)), *lines)

    assert (stop is None) == (said is None)
    assert said is None or (stop.kind == "aborted" and said in stop.message)


@pytest.mark.parametrize(
    "rule", ["", "val_bpb", "val_bpb>", "val_bpb@x>1", "bpb>1", "val_bpb=1", "val_bpb>1e"]
)
def test_rule_that_is_none_is_refused_with_the_form(rule):
    with pytest.raises(UsageError, match="--abort"):
        parse_abort(rule)


def test_one_bad_step_is_forgiven_two_in_a_row_are_not():
    assert hear(RunLimits(), train(1), train(2, "nan"), train(3), train(4, "nan")) is None
    assert hear(RunLimits(), train(1), train(2, "nan"), train(3, "inf")).kind == "nan"
    assert hear(RunLimits(), val(10, "nan")).kind == "nan"
    assert hear(RunLimits(), train(1, "nan"), train(2)) is None
    broken_by_val = hear(RunLimits(), train(1, "nan"), val(1, "1.4000"), train(2, "nan"))
    assert broken_by_val.message == "train_loss became nan at step 2"


def test_steps_must_be_slow_for_a_while_and_not_at_the_start():
    slow = [train(step, ms=step * 500) for step in (1, 5, 10, 15, 20)]
    assert hear(RunLimits(slow=300), *slow) is None
    settled = [train(step, ms=step * 500) for step in range(21, 25)]
    assert hear(RunLimits(slow=300), *slow, *settled).kind == "slow"
    assert hear(RunLimits(slow=300), *slow, *settled[:2]) is None  # a third interval is missing
    assert hear(RunLimits(slow=300), *slow, *settled[:3]).message == "500 ms a step at step 23 (--slow 300)"
    assert hear(RunLimits(slow=500), *slow, *settled) is None  # slower is what passes the limit
    assert hear(RunLimits(), *slow, *settled) is None
    hiccup = [train(30, ms=3_000), train(40, ms=9_000), train(50, ms=10_000), train(60, ms=11_000)]
    assert hear(RunLimits(slow=300), *hiccup) is None


def test_silence_and_time_and_money_run_out():
    clock = Clock()
    watcher = LimitWatcher(RunLimits(timeout=100, stall=30, max_cost=1.0, rate=60.0), clock)
    clock.now = 29
    assert watcher.stop_reason() is None
    watcher.lines(["anything"])
    clock.now = 58
    assert watcher.stop_reason() is None
    clock.now = 59.4
    stalled = watcher.stop_reason()
    assert (stalled.kind, stalled.message) == ("stalled", "nothing was printed for 30 s (--stall 30)")
    watcher.lines(["anything"])
    clock.now = 60.5
    budget = watcher.stop_reason()
    assert budget.kind == "budget"
    assert budget.message == "--max-cost 1.00 at 60 an hour is used up after 60 s"
    clock.now = 101
    timeout = watcher.stop_reason()
    assert (timeout.kind, timeout.message) == ("timeout", "stopped after 101 s (--timeout 100)")


def test_times_count_from_the_start_of_the_attempt():
    clock = Clock()
    clock.now = 5000.0  # a machine that has been up for a while
    watcher = LimitWatcher(RunLimits(timeout=100, stall=30), clock)
    clock.now = 5020.0

    assert watcher.stop_reason() is None


def test_budget_is_checked_before_and_shared_by_the_attempts():
    limits = RunLimits(max_cost=1.0, rate=6.0)  # ten minutes

    limits.check_budget([600])
    with pytest.raises(HarnessError, match=r"2 x 600 s of training cost 2.00") as refused:
        limits.check_budget([600, 600])
    assert refused.value.exit_code == 14
    assert limits.after(300).cost_seconds == pytest.approx(300)
    assert limits.after(900).cost_seconds == 0
    with pytest.raises(HarnessError, match=r"at 6 an hour; --max-cost is 0.1"):
        RunLimits(max_cost=0.1, rate=6.0).check_budget([120])


def test_without_money_nothing_is_checked_and_the_other_limits_stay():
    limits = RunLimits(timeout=100, stall=30)

    limits.check_budget([1e9])

    assert limits.cost_seconds is None
    assert limits.after(900) == limits


@pytest.mark.parametrize("rate", [None, 0.0])
def test_money_without_a_rate_is_refused(rate):
    with pytest.raises(UsageError, match="--max-cost 2 needs to know what an hour costs") as refused:
        RunLimits(max_cost=2.0, rate=rate).check_budget([None])

    assert "--rate" in refused.value.hint
    assert RunLimits(max_cost=2.0, rate=rate).after(10).max_cost == 2.0


def test_a_small_amount_of_money_is_written_with_its_digits():
    clock = Clock()
    watcher = LimitWatcher(RunLimits(max_cost=0.001, rate=3.6), clock)
    clock.now = 2.0

    assert "--max-cost 0.001 at 3.6 an hour is used up after 2 s" in watcher.stop_reason().message
    with pytest.raises(
        HarnessError, match=r"100 s of training cost 0\.0028 at 0\.1 an hour; --max-cost is 0\.001"
    ):
        RunLimits(max_cost=0.001, rate=0.1).check_budget([100.0])
