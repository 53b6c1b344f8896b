"""Knobs as people type them, and combinations that cannot train."""

from __future__ import annotations

import contextlib
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import (
    KNOBS,
    NEUTRAL,
    PRESETS,
    ConfigError,
    load_config,
)
from trainer.knob import Knob, Value
from trainer.names import ALIASES, SWITCHES, resolve_aliases

BASELINE_DEFAULTS = {
    "SEED": 1337,
    "VOCAB_SIZE": 1024,
    "ITERATIONS": 20000,
    "TRAIN_SEQ_LEN": 1024,
    "VAL_LOSS_EVERY": 1000,
    "TRAIN_LOG_EVERY": 200,
    "TRAIN_BATCH_TOKENS": 524288,
    "WARMUP_STEPS": 20,
    "GRAD_CLIP_NORM": 0.0,
    "MATRIX_LR": 0.04,
    "MUON_MOMENTUM": 0.95,
    "LOGIT_SOFTCAP": 30.0,
    "BETA1": 0.9,
    "BETA2": 0.95,
    "SCALAR_LR": 0.04,
    "MUON_MOMENTUM_WARMUP_START": 0.85,
    "MUON_MOMENTUM_WARMUP_STEPS": 500,
    "MODEL_DIM": 512,
    "MUON_BACKEND_STEPS": 5,
    "NUM_HEADS": 8,
    "TIED_EMBED_LR": 0.05,
    "ADAM_EPS": 1e-8,
    "ROPE_BASE": 10000.0,
    "MLP_MULT": 2,
    "QK_GAIN_INIT": 1.5,
    "NUM_KV_HEADS": 4,
    "TIED_EMBED_INIT_STD": 0.005,
    "TIE_EMBEDDINGS": True,
    "NUM_LAYERS": 9,
    "EMBED_LR": 0.6,
    "HEAD_LR": 0.008,
    "VAL_BATCH_SIZE": 524288,
    "WARMDOWN_ITERS": 1200,
    "MAX_WALLCLOCK_SECONDS": 600.0,
}


def refusal(env: dict[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(env).check()
    return caught.value


@pytest.mark.parametrize(("name", "default"), BASELINE_DEFAULTS.items())
def test_defaults_are_the_challenges(name, default):
    assert getattr(load_config({}), name.lower()) == default


@pytest.mark.parametrize("name", ["RUN_ID", "DATA_PATH", "TOKENIZER_PATH"])
def test_text_knobs_keep_their_usual_names(name):
    assert load_config({name: "somewhere"}).to_env()[name] == "somewhere"


@pytest.mark.parametrize("name", ["CONTROL_TENSOR_NAME_PATTERNS", "INT8_KEEP_FLOAT_FP32_NAME_PATTERNS"])
def test_name_patterns_are_knobs(name):
    assert name in KNOBS


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "1", "yes", "on", " on "])
def test_yes_is_one_value_however_it_is_written(text):
    knob = KNOBS["FP16_EMBED"]

    assert knob.format(knob.parse(text)) == "true"


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "off"])
def test_no_is_one_value_however_it_is_written(text):
    knob = KNOBS["FP16_EMBED"]

    assert knob.format(knob.parse(text)) == "false"


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("3.0", 3), ("1e3", 1000), ("65_536", 65536), (" 7 ", 7)]
)
def test_whole_numbers_are_read_as_people_write_them(text, value):
    found = KNOBS["ITERATIONS"].parse(text)

    assert found == value
    assert type(found) is int


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), (".5", 0.5), ("3.0", 3.0), ("2", 2.0)])
def test_numbers_are_read_as_people_write_them(text, value):
    found = KNOBS["MATRIX_LR"].parse(text)

    assert found == value
    assert type(found) is float


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("MODEL_DIM", "abc", "MODEL_DIM=abc is not a whole number"),
        ("MODEL_DIM", "512.5", "MODEL_DIM=512.5 is not a whole number"),
        ("MODEL_DIM", "-4", "MODEL_DIM=-4 is out of range"),
        ("MODEL_DIM", "", "MODEL_DIM= is not a whole number"),
        ("MATRIX_LR", "fast", "MATRIX_LR=fast is not a number"),
        ("MATRIX_LR", "-0.1", "MATRIX_LR=-0.1 is out of range"),
        ("BETA1", "1", "BETA1=1 is out of range"),
        ("TIE_EMBEDDINGS", "maybe", "TIE_EMBEDDINGS=maybe is not a yes/no value"),
        ("DTYPE", "fp8", "DTYPE=fp8 is not known"),
    ],
)
def test_a_bad_value_is_refused_with_name_and_hint(name, text, said):
    error = refusal({name: text})

    assert said in error.message
    assert error.hint


@pytest.mark.parametrize("name", ["MATRIX_LR", "ITERATIONS", "MAX_WALLCLOCK_SECONDS"])
@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999"])
def test_numbers_without_end_are_refused(name, text):
    assert name in refusal({name: text}).message


def test_out_of_range_tells_the_range():
    assert "65536" in refusal({"MODEL_DIM": "100000"}).hint


@pytest.mark.parametrize(
    ("env", "both"),
    [
        ({"MODEL_DIM": "512", "NUM_HEADS": "7", "NUM_KV_HEADS": "1"}, ("MODEL_DIM=512", "NUM_HEADS=7")),
        ({"NUM_HEADS": "8", "NUM_KV_HEADS": "3"}, ("NUM_HEADS=8", "NUM_KV_HEADS=3")),
        ({"MODEL_DIM": "24", "NUM_HEADS": "8"}, ("MODEL_DIM=24", "NUM_HEADS=8")),
        (
            {"TRAIN_BATCH_TOKENS": "512", "TRAIN_SEQ_LEN": "1024"},
            ("TRAIN_BATCH_TOKENS=512", "TRAIN_SEQ_LEN=1024"),
        ),
        pytest.param(
            {"TRAIN_BATCH_TOKENS": "8200"},
            ("TRAIN_BATCH_TOKENS=8200", "TRAIN_SEQ_LEN=1024"),
        ),
        ({"TRAIN_BATCH_TOKENS": "4096"}, ("TRAIN_BATCH_TOKENS=4096", "TRAIN_SEQ_LEN=1024")),
        ({"VAL_BATCH_SIZE": "1024"}, ("VAL_BATCH_SIZE=1024", "TRAIN_SEQ_LEN=1024")),
        ({"VAL_BATCH_SIZE": "8192", "EVAL_SEQ_LEN": "2048"}, ("VAL_BATCH_SIZE=8192", "EVAL_SEQ_LEN=2048")),
        ({"FUSED_CE_ENABLED": "1", "LOGIT_SOFTCAP": "90"}, ("FUSED_CE_ENABLED", "LOGIT_SOFTCAP=90")),
        ({"EVAL_STRIDE": "2000"}, ("EVAL_STRIDE=2000", "1024")),
    ],
)
def test_impossible_combinations_name_both_values(env, both):
    error = refusal(env)

    assert all(part in error.message for part in both), error.message
    assert error.hint


def test_three_ranks_cannot_share_eight_micro_batches():
    with pytest.raises(ConfigError, match="3"):
        load_config({}).check(world_size=3)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_train_and_name_only_knobs(name):
    load_config(PRESETS[name]).check()

    assert set(PRESETS[name]) <= set(KNOBS)


@pytest.mark.parametrize("name", ["practice", "practice_long"])
def test_practice_presets_have_fixed_iterations(name):
    """A wall-clock cap would make their results differ from machine to machine."""
    assert load_config(PRESETS[name]).max_wallclock_seconds == 0


def values_of(knob: Knob) -> st.SearchStrategy[Value]:
    if knob.choices:
        return st.sampled_from(knob.choices)
    if isinstance(knob.default, bool):
        return st.booleans()
    if isinstance(knob.default, int):
        return st.integers(math.ceil(knob.low or 0), int(knob.high or 10**9))
    if isinstance(knob.default, float):
        return st.floats(knob.low, knob.high, allow_nan=False, allow_infinity=False)
    return st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


@given(st.data())
def test_what_is_formatted_parses_back(data):
    knob = data.draw(st.sampled_from(list(KNOBS.values())))
    value = data.draw(values_of(knob))

    assert knob.parse(knob.format(value)) == value


@given(st.data())
def test_the_canonical_spelling_is_a_fixed_point(data):
    knob = data.draw(st.sampled_from(list(KNOBS.values())))
    text = knob.format(data.draw(values_of(knob)))

    assert knob.format(knob.parse(text)) == text


@given(st.sampled_from(list(KNOBS.values())), st.text())
def test_any_text_is_either_read_or_refused(knob, text):
    """No other exception, whatever stands in the environment."""
    with contextlib.suppress(ConfigError):
        assert knob.parse(knob.format(knob.parse(text))) == knob.parse(text)


def test_the_effective_configuration_reads_back_equal():
    config = load_config({"MATRIX_LR": "1e-3", "TIE_EMBEDDINGS": "no", "ITERATIONS": "1e3"})

    assert load_config(config.to_env()) == config


def test_every_knob_says_what_it_means():
    assert all(knob.meaning for knob in KNOBS.values())


def test_config_loads_without_torch_or_numpy(parity):
    script = "import sys, trainer.config; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], cwd=parity.parents[2], check=False)

    assert done.returncode == 0


def test_every_other_name_leads_to_a_knob():
    assert set(ALIASES.values()) <= set(KNOBS)
    assert not set(ALIASES) & set(KNOBS)
    for switch in SWITCHES.values():
        assert load_config({"INT8_KEEP_FLOAT_MAX_NUMEL": "1", **switch.yes}) != load_config({})


def test_another_name_is_read_as_ours_and_said_so():
    env, notices = resolve_aliases({"VAL_BATCH_TOKENS": "16384", "HOME": "/root"})

    assert load_config(env).val_batch_size == 16384
    assert notices == ["VAL_BATCH_TOKENS=16384 is read as VAL_BATCH_SIZE=16384"]


def test_two_names_that_disagree_are_refused_with_both():
    with pytest.raises(ConfigError, match=r"VAL_BATCH_TOKENS=1.*VAL_BATCH_SIZE=2"):
        resolve_aliases({"VAL_BATCH_TOKENS": "1", "VAL_BATCH_SIZE": "2"})


def test_two_names_that_agree_are_one_setting():
    env, _ = resolve_aliases({"FP16_EMBED_EXPORT": "1", "FP16_EMBED": "true"})

    assert load_config(env).fp16_embed


@pytest.mark.parametrize(
    ("given", "base", "decay"),
    [
        ({"EMA_ENABLED": "1"}, {}, 0.997),
        ({"EMA_ENABLED": "yes", "EMA_DECAY": "0.99"}, {}, 0.99),
        ({"EMA_ENABLED": "0", "EMA_DECAY": "0.997"}, {}, 0.0),
        ({"EMA_ENABLED": "1"}, {"EMA_DECAY": "0.9"}, 0.9),
        ({"EMA_ENABLED": "1"}, {"EMA_DECAY": "0"}, 0.997),
        ({"EMA_ENABLED": "0"}, {"EMA_DECAY": "0.9"}, 0.0),
    ],
)
def test_a_switch_of_public_scripts_turns_on_the_number_beside_it(given, base, decay):
    """EMA_ENABLED=1 EMA_DECAY=0.99 is one setting in two words, not two that disagree."""
    settings, notices = resolve_aliases(given, base)

    assert load_config(base | settings).ema_decay == decay
    assert len(notices) == 1
    assert f"is read as EMA_DECAY={settings['EMA_DECAY']}" in notices[0]


def test_late_rounding_by_its_own_name_begins_late():
    settings, notices = resolve_aliases({"LATE_QAT": "1"})
    at_its_own = resolve_aliases({"LATE_QAT": "1", "QAT_THRESHOLD": "0.1"})[0]

    c = load_config(settings)
    assert (c.qat_enabled, c.late_qat_threshold) == (True, 0.15)
    assert notices[0].startswith("LATE_QAT=1 is read as QAT_ENABLED=1 and LATE_QAT_THRESHOLD=0.15: ")
    assert load_config(at_its_own).late_qat_threshold == 0.1
    assert not load_config(resolve_aliases({"LATE_QAT": "0"})[0]).qat_enabled
    with pytest.raises(ConfigError, match=r"LATE_QAT=1 and QAT_ENABLED=0 .* disagree"):
        resolve_aliases({"LATE_QAT": "1", "QAT_ENABLED": "0"})


def test_rounding_without_a_threshold_begins_at_once_and_old_records_keep_theirs():
    """Records made while QAT_ENABLED alone meant 0.15 hold that number beside it."""
    assert load_config({"QAT_ENABLED": "1"}).late_qat_threshold == 1.0
    assert load_config({"QAT_ENABLED": "1", "LATE_QAT_THRESHOLD": "0.5"}).late_qat_threshold == 0.5
    recorded = load_config({}).to_env() | {"QAT_ENABLED": "true"}
    assert recorded["LATE_QAT_THRESHOLD"] == "0.15"
    assert load_config(recorded).late_qat_threshold == 0.15


def test_decay_of_embeddings_is_adams_until_it_has_its_own():
    assert load_config({"ADAM_WD": "0.02"}).embedding_wd == 0.02
    assert load_config({"ADAM_WD": "0.02", "EMBED_WD": "0.085"}).embedding_wd == 0.085
    assert load_config({"ADAM_WD": "0.02", "EMBED_WD": "0"}).embedding_wd == 0.0
    assert "EMBED_WD=-0.5" in refusal({"EMBED_WD": "-0.5"}).message


@pytest.mark.parametrize("knob", [knob for knob in KNOBS.values() if knob.needs], ids=lambda knob: knob.name)
def test_a_setting_in_vain_is_refused(knob):
    """Another value than the default, and the switch that it needs is off."""
    high = knob.high if knob.high is not None else 10**6
    other = next(
        choice
        for choice in (*knob.choices, knob.default * 2 + 1, high, knob.low)
        if choice != knob.default and (knob.choices or choice <= high)
    )
    error = refusal({knob.name: str(other)})

    assert knob.name in error.message
    assert knob.needs in error.message


def test_added_knobs_are_neutral_at_their_defaults_and_the_challenges_never():
    for name, text in load_config({}).to_env().items():
        assert ((name, text) in NEUTRAL) == KNOBS[name].added
