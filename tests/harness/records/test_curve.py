"""Reading `curve.jsonl`: whatever a killed or broken run left in it."""

from __future__ import annotations

import json
import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.records import curve as curve_module
from harness.records.curve import Curve, TrainPoint, ValPoint, load_curve


def write(path: Path, text: str) -> Curve:
    file = path / "curve.jsonl"
    file.write_text(text, encoding="utf-8")
    return load_curve(file)


def test_what_the_trainers_write_is_read_the_quick_way() -> None:
    text = '{"step": 1, "train_loss": 6.9, "train_time_ms": 200.0}\n'

    assert curve_module._read_plain(text.encode()) == curve_module._read_any(text)


def test_points_and_validations_are_told_apart(tmp_path: Path) -> None:
    curve = write(
        tmp_path,
        '{"step": 1, "train_loss": 6.9, "train_time_ms": 200}\n'
        '{"step": 2, "val_loss": 5.0, "val_bpb": 2.9, "train_time_ms": 400}\n',
    )
    assert curve.train == (TrainPoint(1, 6.9, 200.0),)
    assert curve.val == (ValPoint(2, 5.0, 2.9, 400.0),)
    assert curve.problems == ()


def test_a_missing_file_is_an_empty_curve(tmp_path: Path) -> None:
    assert load_curve(tmp_path / "none.jsonl") == Curve()


def test_a_torn_last_line_is_skipped_silently(tmp_path: Path) -> None:
    curve = write(tmp_path, '{"step": 1, "train_loss": 6.9}\n{"step": 2, "train_lo')
    assert [point.step for point in curve.train] == [1]
    assert curve.problems == ()


def test_a_whole_last_line_without_newline_counts(tmp_path: Path) -> None:
    assert len(write(tmp_path, '{"step": 1, "train_loss": 6.9}\n{"step": 2, "train_loss": 6.1}').train) == 2


def test_broken_lines_in_the_middle_are_named(tmp_path: Path) -> None:
    curve = write(tmp_path, '{"step": 1, "train_loss": 6.9}\n<<<<\n[3]\n{"step": 2, "train_loss": 6.1}\n')
    assert [point.step for point in curve.train] == [1, 2]
    assert curve.problems == (
        "curve.jsonl: 1 unreadable line passed over",
        "curve.jsonl: 1 line held no point",
    )


def test_nan_is_kept_and_found(tmp_path: Path) -> None:
    curve = write(tmp_path, '{"step": 1, "train_loss": 6.9}\n{"step": 2, "train_loss": NaN}\n')
    assert math.isnan(curve.train[1].loss)
    assert curve.finite == [(1, 6.9)]
    assert curve.broken_at == 2


def test_a_resumed_run_counts_its_later_word(tmp_path: Path) -> None:
    text = "".join(
        f'{{"step": {step}, "train_loss": {loss}}}\n'
        for step, loss in [(1, 7), (2, 6), (3, 5), (2, 5.5), (3, 4.5)]
    )
    assert [point.loss for point in write(tmp_path, text).train] == [7.0, 5.5, 4.5]


points = st.lists(st.tuples(st.floats(-10, 1e9), st.floats(0, 1e12), st.booleans()), min_size=1, max_size=30)


@given(
    points,
    st.sampled_from(["", "\n", '{"step', "\n\n", '{"step": 1}\n', "[]\n", '{"step": 1, "train_loss": 3}\n']),
)
def test_the_quick_way_reads_what_the_careful_one_reads(
    logged: list[tuple[float, float, bool]], tail: str
) -> None:
    """Curves as the trainers write them are decoded in one go; whatever else is in them, the points are the
    same."""
    lines = []
    for at, (loss, time_ms, checked) in enumerate(logged):
        lines.append(json.dumps({"step": at, "train_loss": loss, "train_time_ms": time_ms}))
        if checked:
            lines.append(
                json.dumps({"step": at, "val_loss": loss, "val_bpb": abs(loss), "train_time_ms": time_ms})
            )
    text = "\n".join(lines) + tail

    quick = curve_module._read_plain(text.encode())

    if quick is not None:
        assert quick == curve_module._read_any(text)
    else:
        assert tail not in ("", "\n")
