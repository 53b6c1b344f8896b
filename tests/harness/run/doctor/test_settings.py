"""Schedules are judged along the run that will really happen."""

import pytest

from harness.run.doctor.settings import check_schedules, idle_overrides, planned_run
from trainer.config import PRESETS, load_config


def what(tempo_ms=None, **settings):
    """All findings for the practice preset with other settings, as (level, text)."""
    config = load_config(PRESETS["practice"] | settings).to_env()
    return [(found.level, found.what) for found in check_schedules(planned_run(config, tempo_ms))]


def test_practice_preset_has_nothing_to_say():
    assert what() == []
    assert what(tempo_ms=100.0) == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"WARMDOWN_ITERS": "2000"}, "starts at 35% of its learning rates"),
        ({"ITERATIONS": "1", "WARMUP_STEPS": "800"}, "is more than the run of 1 step"),
        ({"MUON_MOMENTUM_WARMUP_STEPS": "900"}, "momentum ends at 0.928, not 0.95"),
        ({"WARMUP_STEPS": "800"}, "WARMUP_STEPS=800 is more than the run of 700 steps"),
        ({"SWA_ENABLED": "1", "SWA_START_FRAC": "0.0"}, "SWA_START_FRAC=0.0 is never reached"),
        (
            {"QAT_ENABLED": "1", "LATE_QAT_THRESHOLD": "0.15", "MIN_LR": "0.3"},
            "LATE_QAT_THRESHOLD=0.15 is never reached",
        ),
        ({"SWA_ENABLED": "1", "SWA_EVERY": "5000"}, "SWA_EVERY=5000 is beyond the run"),
    ],
)
def test_schedule_that_never_fires_is_a_warning(settings, said):
    found = what(**settings)

    assert [level for level, text in found if said in text] == ["warning"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"VAL_LOSS_EVERY": "0"}, "VAL_LOSS_EVERY=0"),
        ({"VAL_LOSS_EVERY": "701"}, "VAL_LOSS_EVERY=701"),
        ({"TRAIN_LOG_EVERY": "701"}, "TRAIN_LOG_EVERY=701"),
        ({"WARMDOWN_ITERS": "0"}, "WARMDOWN_ITERS=0"),
        ({"CHECKPOINT_SECONDS": "0"}, "no checkpoints"),
    ],
)
def test_what_may_be_meant_is_a_note(settings, said):
    assert [level for level, text in what(**settings) if said in text] == ["note"]


def test_a_late_threshold_of_zero_is_the_first_step_and_is_reached():
    assert what(QAT_ENABLED="1", LATE_QAT_THRESHOLD="0", MIN_LR="0.3") == []
    assert what(QAT_ENABLED="1", MIN_LR="0.3") == []


def test_an_override_is_idle_only_beside_the_other_overrides():
    """0.15 is what LATE_QAT_THRESHOLD holds without QAT_ENABLED; with it, it is another beginning."""
    overrides = {"QAT_ENABLED": "true", "LATE_QAT_THRESHOLD": "0.15", "MATRIX_LR": "0.02"}
    config = load_config(PRESETS["practice"] | overrides).to_env()
    found = idle_overrides(overrides, config, PRESETS["practice"])

    assert [one.what for one in found] == ["override MATRIX_LR=0.02 is what the preset has already"]


def test_steps_done_long_before_the_clock_never_decay():
    """700 steps of 100 ms are over after 70 s; the decay waits for the last 70 of 600 s."""
    (found,) = what(tempo_ms=100.0, MAX_WALLCLOCK_SECONDS="600")

    assert found[0] == "warning"
    assert "end at 100%" in found[1]


def test_clock_that_ends_the_run_early_shortens_what_is_planned():
    texts = dict(map(reversed, what(tempo_ms=100.0, MAX_WALLCLOCK_SECONDS="20", WARMDOWN_ITERS="50")))

    assert any("about step 201 of ITERATIONS=700" in text for text in texts)


def test_under_a_cap_without_a_tempo_nothing_is_guessed():
    ((level, text),) = what(MAX_WALLCLOCK_SECONDS="600")

    assert level == "note"
    assert "not known" in text
