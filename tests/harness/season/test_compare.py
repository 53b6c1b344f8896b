"""`harness compare`: what a difference is worth, what is not comparable, curves at equal points, whiffs."""

import json
import math
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

import trainer
from harness.records.curve import Curve, TrainPoint
from harness.records.record import RunRecord
from harness.season.compare import common_moments, value_at
from harness.season.score_kind import alike, kind_of, mismatch
from tests.paths import DATA

DAY = "2026-03-25T12:00:00Z"
BASE = {"MATRIX_LR": "0.04", "FP16_EMBED": "false", "TRAIN_BATCH_TOKENS": "524288", "DATA_PATH": "/a"}


@pytest.fixture
def put_group(put_record):
    """Write several seeds of one configuration."""

    def put(hole, values, **fields):
        for number, value in enumerate(values, start=1):
            put_record(hole, number, val_bpb=value, seed=number, started_at=DAY, **fields)

    return put


def put_curve(path, points, ms=100.0, **extra):
    lines = [{"step": step, "train_loss": loss, "train_time_ms": step * ms} | extra for step, loss in points]
    path.with_name("curve.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def pairs_of(done):
    return json.loads(done.stdout)["pairs"]


def test_welch_is_shown_as_the_second_figure(harness, put_group):
    a, b = (1.1147, 1.1151, 1.1144), (1.1194, 1.1190, 1.1202)
    put_group("round_001", b)
    put_group("round_002", a)

    (pair,) = pairs_of(harness("compare", "2", "1", "--json"))

    reference = scipy_stats.ttest_ind(a, b, equal_var=False)
    assert pair["difference"]["outcome"] == "better"
    welch = next(test for test in pair["difference"]["tests"] if test["test"] == "Welch's t")
    assert welch["t"] == pytest.approx(reference.statistic)
    assert welch["p"] == pytest.approx(reference.pvalue)
    assert pair["delta_nats_per_byte"] == pytest.approx(pair["difference"]["delta"] * math.log(2))
    assert pair["b"]["values"] == list(b)


def test_repeats_of_one_seed_are_a_caveat(harness, put_record, put_group):
    put_group("round_001", [1.2, 1.21])
    put_record("round_002", 1, val_bpb=1.2, seed=7, started_at=DAY)
    put_record("round_002", 2, val_bpb=1.2001, seed=7, started_at=DAY)

    done = harness("compare", "2", "1")

    assert "caveat: round_002 has 1 seed in 2 runs: a repeat is no further seed" in done.stdout
    assert "n 1 and 2," in done.stdout
    assert "round_001 has" not in done.stdout


def test_one_seed_names_the_noise_figure_it_leans_on(harness, put_group):
    put_group("round_001", (1.2,))
    put_group("round_002", (1.2003,))

    done = harness("compare", "2", "1")

    assert done.returncode == 0
    assert "within noise" in done.stdout
    assert "0.00079 bpb of 2026-05-02, pooled over 22 public records" in done.stdout


def test_identical_scores_are_no_certainty(harness, put_group):
    put_group("round_001", (1.2, 1.2))
    put_group("round_002", (1.2001, 1.2001))

    (pair,) = pairs_of(harness("compare", "2", "1", "--json"))

    assert pair["difference"]["outcome"] == "within noise"
    assert pair["difference"]["p"] > 0.5


def test_references_of_the_day_are_compared_when_nobody_is_named(harness, put_group, runs):
    put_group("round_001", (1.3,))
    put_group("round_002", (1.2,))

    pairs = pairs_of(harness("compare", "2", "--json"))

    assert [pair["label"] for pair in pairs] == ["par", "sota", "best, previous"]


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        ({"course": "practice"}, "different courses"),
        ({"split": "another"}, "different validation splits"),
        ({"data": {"val_bytes": 1_000}}, "not the same validation text"),
        (
            {
                "official": {"stage": "sliding_window", "label": "s", "why": "w"},
                "scores": [{"stage": "sliding_window", "label": "s", "val_bpb": 1.2}],
            },
            "different stages",
        ),
    ],
)
def test_what_is_not_comparable_is_said_with_exit_13(harness, put_record, theirs, said):
    ours = {
        "split": "one",
        "data": {"val_bytes": 2_000},
        "official": {"stage": "round_trip", "label": "r", "why": "w"},
        "scores": [{"stage": "round_trip", "label": "r", "val_bpb": 1.2}],
    }
    put_record("round_001", val_bpb=1.2, **ours)
    put_record("round_002", val_bpb=1.2, **(ours | theirs))

    done = harness("compare", "2", "1")

    assert done.returncode == 13
    assert f"not comparable: {said}" in done.stdout


def test_other_stages_are_subtracted_when_asked(harness, put_record):
    for hole, stage, bpb in (("round_001", "round_trip", 1.23), ("round_002", "sliding_window", 1.2)):
        scores = [
            {"stage": "round_trip", "label": "r", "val_bpb": 1.23},
            {"stage": stage, "label": "s", "val_bpb": bpb},
        ]
        put_record(hole, val_bpb=bpb, scores=scores, official={"stage": stage, "label": "s", "why": "w"})

    refused = harness("compare", "2", "1")
    asked = harness("compare", "2", "1", "--across-stages")

    assert "at the round trip stage they stand at 1.2300 and 1.2300" in refused.stdout
    assert "--across-stages" in refused.stdout
    assert asked.returncode == 0
    assert "-0.0300 bpb" in asked.stdout
    assert "caveat: different stages count" in asked.stdout


def test_tokens_of_different_lengths_have_no_common_loss(harness, put_record):
    put_record("round_001", val_bpb=1.2, val_loss=2.0)
    put_record("round_002", val_bpb=1.2, val_loss=3.0)
    put_record("round_003", val_bpb=1.26, val_loss=2.1)

    (other_length,) = pairs_of(harness("compare", "2", "1", "--json"))
    (same_length,) = pairs_of(harness("compare", "3", "1", "--json"))

    assert other_length["delta_nats_per_token"] is None
    assert same_length["delta_nats_per_token"] == pytest.approx(0.1)


def test_failed_missing_and_unreadable_holes_get_no_verdict(harness, put_record, runs):
    put_record("round_001", val_bpb=1.2)
    put_record("round_002", status="failed", failure={"kind": "nan", "message": "m"})
    (runs / "round_003").mkdir()
    path = put_record("round_004", val_bpb=1.2)
    path.write_text(path.read_text().replace("1.2", "NaN"))

    for hole, said in (("2", "no complete attempt"), ("3", "no attempt"), ("4", "val_bpb")):
        done = harness("compare", "1", hole)
        assert (done.returncode, said in done.stdout) == (13, True), done.stdout + done.stderr
        assert harness("compare", hole).returncode == 13


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["9"], "no hole matches"),
        (["round_001_"], "fits 2 holes"),
        (["round_001_a", "round_001_a"], "compared with itself"),
        (["round_001_a", "--to", "eagle"], '"eagle" is not known'),
        (["round_001_a", "--plot", "x.gif"], ".svg"),
    ],
)
def test_wrong_words_are_usage_errors(harness, put_record, words, said):
    put_record("round_001_a", val_bpb=1.2)
    put_record("round_001_b", val_bpb=1.2)

    done = harness("compare", *words)

    assert done.returncode == 2
    assert said in done.stderr


def test_settings_and_caveats_stand_beside_the_number(harness, put_group):
    put_group("round_001", (1.2,), config=BASE, environment={"device": "cuda", "world_size": 8})
    changed = BASE | {"MATRIX_LR": "0.02", "DATA_PATH": "/b", "TRAIN_BATCH_TOKENS": "65536"}
    put_group("round_002", (1.2,), config=changed, environment={"device": "cuda", "world_size": 1})

    (pair,) = pairs_of(harness("compare", "2", "1", "--json"))

    assert pair["config"] == {
        "MATRIX_LR": {"a": "0.02", "b": "0.04"},
        "TRAIN_BATCH_TOKENS": {"a": "65536", "b": "524288"},
    }
    assert pair["caveats"][:2] == [
        "different world size: 1 against 8",
        "different batch tokens: 65536 against 524288",
    ]


def test_knob_that_an_older_record_did_not_know_is_no_change_where_it_does_nothing(harness, put_record):
    put_record("round_001", val_bpb=1.2, config=BASE)
    put_record("round_002", val_bpb=1.2, config=BASE | {"EMA_DECAY": "0.0", "MUON_WD": "0.1"})

    (pair,) = pairs_of(harness("compare", "2", "1", "--json"))

    assert pair["config"] == {"MUON_WD": {"a": "0.1", "b": None}}


def test_other_training_time_and_batch_are_caveats_wherever_they_were_noted(harness, put_record):
    put_record("round_001", val_bpb=1.2, train_seconds=599.6, config={"TRAIN_BATCH_TOKENS": "524288"})
    put_record("round_002", val_bpb=1.4, train_seconds=300, overrides={"TRAIN_BATCH_TOKENS": "131072"})

    said = harness("compare", "2", "1").stdout

    assert "caveat: different training time: 300 s against 600 s" in said
    assert "caveat: different batch tokens: 131072 against 524288" in said


def test_short_run_is_judged_at_the_same_step_and_time(harness, put_record):
    put_curve(put_record("round_001", val_bpb=1.2), [(0, 6.0), (1000, 4.0), (2000, 3.0)], ms=50)
    put_curve(put_record("round_002", val_bpb=1.4), [(0, 6.0), (1300, 3.5)], ms=100)

    done = harness("compare", "2", "1")

    assert "at step 1,300 round_002 stood at 3.5000 train_loss, round_001 at 3.7000 (-0.2000)" in done.stdout
    # 2,000 steps of 50 ms are 100 s, where the other stood at step 1,000
    assert "after 100 s of training round_002 stood at 4.0769 train_loss, round_001 at 3.0000" in done.stdout


def test_nothing_is_extrapolated():
    early = Curve.of([TrainPoint(1, 6.0), TrainPoint(10, 5.0)])
    late = Curve.of([TrainPoint(100, 4.0), TrainPoint(200, 3.0)])

    assert common_moments(early, late) == []
    assert value_at([(1, 2.0), (2, 3.0)], 2.5) is None


@given(st.dictionaries(st.integers(0, 1000), st.floats(0, 10), min_size=2), st.integers(0, 1000))
def test_interpolation_stays_between_its_neighbours(points, at):
    value = value_at(sorted((float(x), y) for x, y in points.items()), at)

    if min(points) <= at <= max(points):
        assert value is not None
        assert min(points.values()) - 1e-9 <= value <= max(points.values()) + 1e-9
    else:
        assert value is None


@pytest.mark.parametrize(
    ("knob", "theirs", "kind"),
    [
        ({"MATRIX_LR": "0.02"}, {"model_bytes": 9, "artifact_bytes": 9, "code_bytes": 0}, "whiff"),
        ({"FP16_EMBED": "true"}, {"model_bytes": 10, "artifact_bytes": 10, "code_bytes": 0}, "export only"),
        ({"FP16_EMBED": "true"}, {}, None),
        ({"DATA_PATH": "/elsewhere"}, {}, None),
        ({"VAL_LOSS_EVERY": "7"}, {}, None),
    ],
)
def test_override_that_did_nothing_is_called_a_whiff(harness, put_record, knob, theirs, kind):
    sizes = {"model_bytes": 9, "artifact_bytes": 9, "code_bytes": 0} if theirs else {}
    points = [(1, 6.123456789), (2, 5.5), (3, 5.0)]
    put_curve(put_record("round_001", val_bpb=1.2, seed=7, config=BASE, **sizes), points, ms=50)
    put_curve(put_record("round_002", val_bpb=1.2, seed=7, config=BASE | knob, **theirs), points, ms=60)

    (pair,) = pairs_of(harness("compare", "2", "1", "--json"))

    assert (pair["whiff"] or {}).get("kind") == kind
    assert ("WHIFF" in harness("show", "2").stdout) == (kind == "whiff")


@pytest.mark.parametrize(
    "theirs",
    [
        {"seed": 8},
        {"status": "stopped"},
        {"curve": [(1, 6.0), (2, 5.000000000000001)]},
        {"curve": [(1, 6.0)]},
    ],
)
def test_other_seed_broken_run_or_other_last_bit_is_no_whiff(harness, put_record, theirs):
    points = [(1, 6.0), (2, 5.0)]
    other = theirs.pop("curve", points) if "curve" in theirs else points
    put_curve(put_record("round_001", val_bpb=1.2, seed=7, config=BASE), points)
    fields = {"seed": 7, "config": BASE | {"MATRIX_LR": "1"}} | theirs
    put_curve(put_record("round_002", val_bpb=1.2, **fields), other)

    (pair,) = pairs_of(harness("compare", "2", "1", "--json"))

    assert pair["whiff"] is None


@pytest.mark.parametrize("name", ["figure.svg", "figure.png", "figure.pdf"])
def test_plot_is_drawn(harness, put_record, tmp_path, name):
    for hole in ("round_001", "round_002"):
        put_curve(put_record(hole, val_bpb=1.2), [(1, 6.0), (2, 5.0)])

    done = harness("compare", "1", "2", "--plot", name)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).stat().st_size > 1000


def test_code_diff_shows_kept_sources_and_says_when_there_are_none(harness, put_record):
    for hole, line in (("round_001", "lr = 1"), ("round_002", "lr = 2")):
        path = put_record(hole, val_bpb=1.2, code={"source_sha256": hole})
        (path.parent / "source").mkdir()
        (path.parent / "source" / "train.py").write_text(f"{line}\n")
    put_record("round_003", val_bpb=1.2, code={"source_sha256": "round_001"})

    changed = harness("compare", "2", "1", "--diff")
    same = json.loads(harness("compare", "3", "1", "--diff", "--json").stdout)

    assert "-lr = 1\n+lr = 2" in changed.stdout
    assert "caveat: the code differs" in changed.stdout
    assert same["code"] == {"round_001": "code: the same (round_001)"}


def test_code_diff_across_commits_is_read_from_git(harness, put_record):
    """Between the first commit of the trainer and the newest one a great deal changed."""
    folder = Path(trainer.__file__).parent
    log = subprocess.run(
        ("git", "-C", folder, "log", "--format=%H", "--", "*.py"), capture_output=True, text=True, check=False
    ).stdout.split()
    if len(log) < 2:
        pytest.skip("no history here")
    for hole, sha in (("round_001", log[-1]), ("round_002", log[0]), ("round_003", "0" * 40)):
        put_record(hole, val_bpb=1.2, code={"source_sha256": hole, "git_sha": sha})

    known = harness("compare", "2", "1", "--diff").stdout
    unknown = harness("compare", "3", "1", "--diff").stdout

    assert "+++ b/" in known
    assert f"git diff {log[-1][:12]} {'0' * 12} -- trainer" in unknown


def test_logs_of_the_sota_are_those_of_its_own_folder(harness, put_record, runs):
    """An entry of another author has the SOTA's score to the digit; the SOTA's logs score 0.0164 more."""
    put_curve(
        put_record("round_001", val_bpb=1.4, started_at="2026-03-20T12:00:00Z", as_of={"sota": 1.1502}),
        [(0, 6.0), (100, 4.0)],
    )
    own, other = "2026-03-19_MLP3x_QAT_Int6_SlidingWindow", "2026-03-21_copy"
    for folder, bpb, last in ((own, 1.1666, 3.0), (other, 1.1502, 2.0)):
        path = runs / "field" / folder / "attempt_01" / "record.json"
        path.parent.mkdir(parents=True)
        entry = {"schema": 1, "name": folder, "course": "fineweb", "source": folder}
        (path.parents[1] / "entry.json").write_text(json.dumps(entry))
        path.write_text(
            json.dumps({"schema": 2, "hole": "h", "course": "fineweb", "status": "ok", "val_bpb": bpb})
        )
        put_curve(path, [(0, 6.0), (200, last)])

    done = harness("compare", "1", "--to", "sota")

    assert "against 11L MLP3x + Int6 QAT" in done.stdout
    assert "11L MLP3x + Int6 QAT at 4.5000" in done.stdout


def test_published_curve_of_the_baseline_is_the_yardstick_of_a_short_run(harness, put_record, runs):
    """A score of the leaderboard that was imported brings its curve along."""
    folder = runs / "field" / "baseline" / "attempt_01"
    put_curve(put_record("round_001", val_bpb=1.4, started_at=DAY), [(0, 6.0), (100, 4.0)])
    folder.mkdir(parents=True)
    entry = {"schema": 1, "name": "Baseline", "course": "fineweb", "source": "2026-03-17_NaiveBaseline"}
    (folder.parent / "entry.json").write_text(json.dumps(entry))
    record = {"schema": 2, "hole": "baseline", "course": "fineweb", "status": "ok", "val_bpb": 1.22436570}
    (folder / "record.json").write_text(json.dumps(record))
    put_curve(folder / "record.json", [(0, 6.0), (200, 3.0)])

    done = harness("compare", "1", "--to", "baseline")
    by_name = harness("compare", "1", "basel")

    assert done.returncode == 0, done.stderr
    assert "round_001 against baseline (Baseline)" in by_name.stdout
    assert "at step 100 round_001 stood at 4.0000 train_loss, baseline at 4.5000" in by_name.stdout
    assert (
        "at step 100 round_001 stood at 4.0000 train_loss, Naive Baseline at 4.5000 (-0.5000)" in done.stdout
    )


def test_every_attempt_of_a_hole_is_listed_with_what_became_of_it(harness, put_record):
    put_record("round_001", 1, val_bpb=1.3, seed=1, config_hash="old")
    put_record("round_001", 2, status="failed", seed=2, failure={"kind": "nan", "message": "m"})
    put_record("round_001", 3, val_bpb=1.2, seed=3, config_hash="new")

    done = harness("show", "1")
    listed = json.loads(harness("show", "1", "--json").stdout)["attempt_list"]

    assert [line.split()[-1] for line in done.stdout.splitlines() if "attempt_0" in line] == [
        "configuration",
        "failed",
        "counts",
    ]
    assert [(one["seed"], one["counts"]) for one in listed] == [(1, False), (2, False), (3, True)]


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"course": "practice"},
        {"split": "b"},
        {"split": None},
        {"official": None},
        {"official": {"stage": "pre_quantization", "label": "x", "why": "w"}},
        {"scores": ()},
        {"data": {"val_bytes": 151_080_100}},
        {"data": {"val_bytes": 155_000_000}},
    ],
)
def test_kinds_of_scores_are_alike_exactly_where_no_mismatch_is_told(other):
    """The quick check that a season uses and the sentence that a person reads never disagree."""
    scores = [{"stage": stage, "label": "x", "val_bpb": 1.2} for stage in ("pre_quantization", "round_trip")]
    plain = {
        "hole": "h",
        "course": "fineweb",
        "split": "a",
        "status": "ok",
        "val_bpb": 1.2,
        "scores": scores,
        "official": {"stage": "round_trip", "label": "x", "why": "w"},
        "data": {"val_bytes": 151_080_000},
    }
    fields = plain | other
    if "scores" in other:
        fields["official"] = None
    a, b = RunRecord(**plain), RunRecord(**fields)

    assert alike(kind_of(a), kind_of(b)) == (mismatch((a,), (b,)) == "")


def test_published_t_statistic_is_found_again_from_the_logs(harness, tmp_path):
    """The record of 2026-03-25 states t = -11.8339, -0.00464458 bpb and -0.00784215 nats against that of
    2026-03-23."""
    records = DATA / "field" / "records"
    for name in ("2026-03-23_LeakyReLU_LegalTTT_ParallelMuon", "2026-03-25_ValCalib_GPTQ_XSA_BigramHash3072"):
        assert harness("import", str(records / name), "--as", "hole").returncode == 0

    (pair,) = pairs_of(harness("compare", "2", "1", "--across-stages", "--json"))

    welch = next(test for test in pair["difference"]["tests"] if test["test"] == "Welch's t")
    assert welch["t"] == pytest.approx(-11.8339, abs=5e-5)
    assert pair["difference"]["delta"] == pytest.approx(-0.00464458, abs=5e-9)
    assert pair["delta_nats_per_token"] == pytest.approx(-0.00784215, abs=5e-9)


def sizes(code, model, rule):
    return {
        "code_bytes": code,
        "model_bytes": model,
        "artifact_bytes": code + model,
        "seed": 1,
        "code": {"trainer": "builtin"},
    } | ({"code_rule": rule} if rule else {})


@pytest.mark.parametrize(
    ("rule", "day", "delta", "of", "caveat"),
    [
        ("script", DAY, "+500 bytes of weights", True, "one packed script, 39,000 bytes, against one plain"),
        (None, DAY, "+500 bytes of weights", True, "39,000 bytes, against the whole package, 69,000"),
        (None, "2026-11-24T12:00:00Z", "+500 bytes of weights", True, "against one plain script, 69,000"),
        ("packed", DAY, "-29,500 bytes (weights +500, code -30,000)", False, None),
    ],
)
def test_code_that_is_counted_by_another_rule_is_no_saving(rule, day, delta, of, caveat, harness, put_record):
    put_record("round_001", val_bpb=1.2, started_at=day, **sizes(69_000, 1_000_000, rule))
    put_record("round_002", val_bpb=1.2, started_at=day, **sizes(39_000, 1_000_500, "packed"))

    told = harness("compare", "2", "1").stdout
    (pair,) = pairs_of(harness("compare", "2", "1", "--json"))

    assert f"  artifact: {delta}\n" in told
    assert pair["artifact"] == {
        "delta_bytes": 500 if of else -29_500,
        "weights_alone": of,
        "within_noise": False,
        "weights_bytes": 500,
        "code_bytes": -30_000,
    }
    found = [one for one in pair["caveats"] if "counted by different rules" in one]
    assert len(found) == (caveat is not None)
    assert caveat is None or caveat in found[0]
