"""The worked sum of the handbook, and what is said of a hole without overrides."""

import json
import math
import re
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from harness.publish.build import PublishOptions, publish
from harness.publish.views.handbook import print_sum

PLAIN = PublishOptions(pictures=False)


@given(val_loss=st.floats(0.02, 20), tokens_a_byte=st.floats(0.05, 1.2))
def test_printed_digits_give_the_printed_result(val_loss, tokens_a_byte):
    val_bpb = val_loss / math.log(2) * tokens_a_byte
    loss, ln2, tokens, result = map(Decimal, print_sum(val_loss, val_bpb))

    assert (loss / ln2 * tokens).quantize(result, ROUND_HALF_EVEN) == result
    assert abs(float(result) - val_bpb) <= 0.5001e-4
    assert abs(float(ln2) - math.log(2)) < 1e-6


def test_handbook_works_the_sum_for_the_attempt_it_shows(put_record, runs, tmp_path):
    """A mean over seeds is not one sum: the handbook names the attempt whose figures it prints."""
    for attempt, (seed, loss) in enumerate([(1337, 3.502345), (42, 3.519876)], start=1):
        path = put_record(
            "round_002_two",
            attempt,
            seed=seed,
            val_loss=loss,
            val_bpb=loss / math.log(2) * 0.410177,
            started_at="2026-04-01T10:00:00Z",
        )
    put_record("round_001_one", val_loss=3.6, val_bpb=3.6 / math.log(2) * 0.410177)
    shown = json.loads(path.read_text())

    publish(runs, tmp_path / "site", PLAIN)

    page = (tmp_path / "site" / "handbook.html").read_text()
    line = next(line for line in page.splitlines() if " ÷ 0.69" in line)
    loss, ln2, tokens, result = (float(number) for number in re.findall(r"\d+\.\d+", line))
    assert "attempt 2, seed 42" in line
    assert f"{loss / ln2 * tokens:.4f}" == f"{result:.4f}" == f"{shown['val_bpb']:.4f}"


def _overrides_text(site: Path, hole: str) -> str:
    page = (site / "holes" / f"{hole}.html").read_text()
    return page.split('data-el="model-overrides"')[1].split("</div>")[0]


def test_hole_without_overrides_names_the_preset_it_was_played_with(put_record, runs, tmp_path):
    put_record("round_001_preset", val_bpb=2.1, preset="practice_long")
    put_record("round_002_script", val_bpb=2.0, code={"trainer": "train_gpt.py"})
    put_record("round_003_unknown", val_bpb=1.9)

    publish(runs, tmp_path / "site", PLAIN)

    assert "the preset practice_long as it comes" in _overrides_text(tmp_path / "site", "round_001_preset")
    assert "train_gpt.py as it comes" in _overrides_text(tmp_path / "site", "round_002_script")
    assert "None on record" in _overrides_text(tmp_path / "site", "round_003_unknown")


def test_footer_does_not_vouch_for_what_people_type(put_record, runs, tmp_path):
    put_record("round_001_base", val_bpb=2.1)

    publish(runs, tmp_path / "site", PLAIN)

    page = (tmp_path / "site" / "index.html").read_text()
    assert "typed by hand" not in page
    assert "Notes and hypotheses are typed by people" in page
