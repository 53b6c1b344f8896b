"""What is shown while a run goes: a chart a spike cannot flatten, plain lines where there is no terminal."""

import io

from rich.console import Console

from harness.cli.views.live import LiveView, sparkline


def test_sparkline_follows_the_losses_and_survives_a_spike():
    falling = sparkline([6.0, 5.0, 4.0, 3.0, 2.0], 10)
    spiked = sparkline([6.9, 24.0] + [5.0 - i / 10 for i in range(40)], 60)

    assert falling[0] == "█"
    assert falling[-1] == "▁"
    assert len(set(spiked[2:])) >= 6
    assert sparkline([], 10) == ""
    assert sparkline([float("nan"), float("inf")], 10) == ""
    assert len(sparkline([1.0] * 500, 48)) == 48


def test_panel_shows_step_loss_score_and_time_left():
    console = Console(file=io.StringIO(), force_terminal=True, width=110)
    view = LiveView("round_001 seed 7", 1000, console)
    view.lines(["step:0/100 val_loss:6.9 val_bpb:4.1000 train_time:0ms step_avg:0.01ms"])
    view.lines(["step:25/100 train_loss:3.5000 train_time:5000ms step_avg:200.00ms"])

    console.print(view._picture())

    shown = console.file.getvalue()
    for fact in ("round_001 seed 7", "25/100", "3.5000", "4.1000 at step 0", "5,000 tokens/s", "15 s left"):
        assert fact in shown


def test_other_trainers_lines_are_heard_as_well(capsys):
    view = LiveView("x", 0, Console(file=io.StringIO(), force_terminal=False))

    for line in ("warmup_step: 1/20", "500/20000 train_loss: 3.2 train_time: 0.5m tok/s: 8000000", "noise"):
        view.lines([line])

    assert capsys.readouterr().err == "500/20000 train_loss: 3.2 train_time: 0.5m tok/s: 8000000\n"
