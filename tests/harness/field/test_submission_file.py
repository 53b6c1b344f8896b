"""Submission files as people write them, held against the logs beside them."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import HarnessError
from harness.field.log_parser import ParsedLog, parse_log
from harness.field.record_files import find_record_files
from harness.field.seeds import seed_in_name
from harness.field.submission_check import compare_with_logs, distinct_logs
from harness.field.submission_file import SubmissionFile, parse_submission, read_submission
from tests.paths import DATA

FIELD = DATA / "field"
EXPECTED: dict[str, Any] = json.loads((FIELD / "expected.json").read_text(encoding="utf-8"))["records"]


def read(raw: object) -> SubmissionFile:
    data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return parse_submission(data, "submission.json")


def warnings_of(record: str) -> str:
    files = find_record_files(FIELD / "records" / record)
    assert files.submission is not None
    return "\n".join(
        compare_with_logs(read_submission(files.submission), [(p.name, parse_log(p)) for p in files.logs])
    )


# The public records -------------------------------------------------------------------------------


@pytest.mark.parametrize("record", EXPECTED)
def test_public_submission_gives_every_expected_field(record: str) -> None:
    entry = EXPECTED[record]

    files = find_record_files(FIELD / "records" / record)

    assert files.submission is not None
    assert files.submission.name == entry["submission_file"]
    assert [path.relative_to(files.folder).as_posix() for path in files.logs] == sorted(entry["logs"])
    submission = read_submission(files.submission)
    match = {key: getattr(submission, key) for key in entry["submission"]}
    assert match | {"date": submission.date and submission.date.isoformat()} == entry["submission"]


@pytest.mark.parametrize(
    "record", [r for r, e in EXPECTED.items() if any(x["submission_match"] for x in e["logs"].values())]
)
def test_scores_that_match_a_log_are_not_called_contradictions(record: str) -> None:
    contradicted = {
        "2026-04-30_Random_Linear_Adapter"
    }  # its headline is another stage's; the match is an extra key

    assert ("val_bpb: the submission says" in warnings_of(record)) == (record in contradicted)


def test_known_contradictions_are_shown_with_both_values() -> None:
    overtone = warnings_of("2026-03-19_SlidingWindow_FP16Emb_10L_MuonWD_OvertoneInit")
    assert "seed 42, steps: the submission says 10,710, the log 10,695" in overtone
    assert "bytes_code: the submission says 50,651, the log(s) 55,483" in overtone
    qat = warnings_of("2026-03-19_MLP3x_QAT_Int6_SlidingWindow")
    assert "model_params: the submission says 26,501,720, the log(s) 21,778,504" in qat
    assert "val_bpb: the submission says 1.1501536, the log(s) 1.1666088" in qat
    clip = warnings_of("2026-04-06_SP8192_HessianSDClip_ProgressiveRecurrence")
    assert "train_seed1337.log is byte for byte train.log; it counts once" in clip
    assert "seed 1337, artifact_bytes: the submission says 15,976,275, the log 16,054,963" in clip
    linear = warnings_of("2026-04-30_Random_Linear_Adapter")
    assert "train_seed_42.txt: the name says seed 42, the log 1337" in linear
    assert "it is their final_int8_zlib_roundtrip" in linear


def test_a_consistent_record_gives_no_warning() -> None:
    assert warnings_of("2026-03-17_NaiveBaseline") == ""


# Variants -----------------------------------------------------------------------------------------


def test_other_key_names_and_unknown_keys() -> None:
    submission = read(
        {
            "run_name": "x",
            "mean_val_bpb": 1.1,
            "mean_val_loss": 1.9,
            "artifact_bytes_max": 15_000_000,
            "code_bytes": 5,
            "bytes_model_int6_zstd": 7,
            "base_pr": 1394,
            "date": "2026-03-19T10:00:00Z",
            "author": "",
        }
    )

    assert (submission.name, submission.val_bpb, submission.val_loss) == ("x", 1.1, 1.9)
    assert (submission.bytes_total, submission.bytes_code, submission.bytes_model) == (15_000_000, 5, 7)
    assert (str(submission.date), submission.author, submission.extra) == (
        "2026-03-19",
        None,
        {"base_pr": 1394},
    )


@pytest.mark.parametrize(
    ("keys", "scores"),
    [
        ({"seeds": [1, 2], "seed_scores": [1.1, 1.2]}, {"1": 1.1, "2": 1.2}),
        ({"seeds": {"1": {"val_bpb": 1.1}, "2": {"val_bpb": 1.2}}}, {"1": 1.1, "2": 1.2}),
        ({"seeds": [1, 2], "seed_results": {"1": {"val_bpb": 1.1}, "2": {}}}, {"1": 1.1}),
        ({"seed_results": {"1": 1.1}}, {"1": 1.1}),
        ({"seeds": [1, 2, 3], "seed_scores": [1.1]}, None),
        ({"seed": 42}, None),
    ],
)
def test_scores_by_seed(keys: dict[str, Any], scores: dict[str, float] | None) -> None:
    assert read({"val_bpb": 1.1} | keys).per_seed_val_bpb == scores


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"val_loss": 1.1228}, "too low for nats"),
        ({"val_bpb": 1.12, "val_loss": 1.13}, "looks like a score in bits per byte"),
        ({"val_bpb": "1.12"}, "a number in quotes"),
        ({"val_bpb": [1.1]}, "val_bpb is a list, not a number"),
        ({"val_bpb": True}, "not a number"),
        ({"val_bpb": -5}, "which no run scores"),
        ({"date": "March"}, "is not YYYY-MM-DD"),
        ({"date": "2026-02-31"}, "is not YYYY-MM-DD"),
        ({"author": {"a": 1}}, "author is an object, not a text"),
        ({"seeds": [1, 2], "n_seeds": 3}, "n_seeds is 3, but 2 seeds"),
        (b'{"val_bpb": 1.1, "val_bpb": 1.2}', 'key "val_bpb" stands twice'),
        (b'{"val_bpb": NaN}', "not a number"),
        (b'{"val_bpb": 1e999}', "not a number"),
        (b'{"bytes_total": ' + b"9" * 5000 + b"}", "not a number"),
        (b'{"name": "caf\xe9"}', "not UTF-8"),
    ],
)
def test_odd_values_are_reported(raw: object, expected: str) -> None:
    assert any(expected in warning for warning in read(raw).warnings)


@pytest.mark.parametrize(
    "raw",
    [
        {"results": {"mean_val_bpb": 1.21}},
        {"val_bpb": None, "metrics": {"summary": {"val_bpb": 1.21}}},
        {"val_bpb_mean": 1.21, "val_bpb_std": 0.001},
        {"valBpb": 1.21},
        {"Val BPB": "1.21 bpb"},
        {"bpb": 1.21, "baseline_val_bpb": 1.22},
        {"val_bpb_3seed_mean": 1.21, "best_single_seed_val_bpb": 1.2, "pre_quant_val_bpb": 1.19},
        {"final_sliding_window_bpb": 1.21, "delta_bpb_vs_baseline": -0.01},
    ],
)
def test_the_score_is_found_under_other_keys(raw: dict[str, Any]) -> None:
    assert read(raw).val_bpb == 1.21


@pytest.mark.parametrize(
    "raw",
    [
        {"baseline_val_bpb": 1.22, "val_bpb": None},
        {"live_leaderboard_best_bpb": 1.14},
        {"pre_quant_val_bpb": 1.2},
        {"comparison": {"val_bpb": 1.2}},
        {"val_bpb": "TBD"},
        {"val_bpb": 9.99},
        {"val_bpb": 0.0},
    ],
)
def test_what_is_no_score_of_the_submission_is_not_taken(raw: dict[str, Any]) -> None:
    assert read(raw).val_bpb is None


@pytest.mark.parametrize(
    "raw",
    [
        {"seeds": [{"seed": 7, "val_bpb": 1.2}, {"seed": 8, "val_bpb": 1.3}]},
        {"results": [{"x": 1}], "runs": [{"seed": 7, "bpb": "1.2"}, {"seed": 8, "bpb": 1.3}]},
        {"val_bpb_per_seed": {"7": 1.2, "8": 1.3}},
        {"results": {"seed_7": {"val_bpb": 1.2}, "seed_8": {"val_bpb": 1.3}}},
        {"results": {"val_bpb": 1.25, "per_seed": {"seed7": {"val_bpb": 1.2}, "seed8": {"val_bpb": 1.3}}}},
        {"seeds": [7, 8], "val_bpb_seeds": [1.2, 1.3]},
        {"seeds": [7, 8], "seed_results": [{"seed": 7, "val_bpb": 1.2}, {"seed": 8, "val_bpb": 1.3}]},
    ],
)
def test_scores_by_seed_are_found_in_other_shapes(raw: dict[str, Any]) -> None:
    assert read(raw).per_seed_val_bpb == {"7": 1.2, "8": 1.3}


def test_numbers_names_and_sizes_are_read_as_people_write_them() -> None:
    submission = read(
        {
            "title": "X",
            "author": [{"name": "A B", "github": "ab"}, "C D"],
            "github": "ab",
            "artifact_bytes": "15,992,001 bytes",
            "parameter_count": "17_059_912",
            "training_time_seconds": "600 s",
            "improvement": "1.2%",
        }
    )

    assert (submission.name, submission.author, submission.github_id) == ("X", "A B, C D", "ab")
    assert (submission.bytes_total, submission.model_params) == (15_992_001, 17_059_912)
    assert submission.wall_seconds == 600


@pytest.mark.parametrize("size", [0, 15.8, "15.9 MB"])
def test_a_size_that_is_not_in_bytes_is_not_taken(size: object) -> None:
    submission = read({"artifact_size": size})

    assert submission.bytes_total is None
    assert submission.warnings


def test_zero_is_kept_and_null_is_missing() -> None:
    submission = read({"bytes_code": 0, "val_loss": None})

    assert (submission.bytes_code, submission.val_loss, submission.warnings) == (0, None, ())


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "line 1"),
        (b'{"a": 1,\n "b" 2}', "line 2, column 6"),
        (b"[1]", "holds a list"),
        (b'"x"', "holds a text"),
        (b"null", "holds null"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b" " * (5 * 2**20), "larger than"),
        (b"\xff\xfe{", "not JSON"),
    ],
)
def test_files_that_are_no_submission(raw: bytes, expected: str) -> None:
    with pytest.raises(HarnessError, match=expected) as caught:
        read(raw)

    assert caught.value.message.startswith("submission.json")
    assert caught.value.hint


def test_missing_submission_says_so(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="cannot read"):
        read_submission(tmp_path / "submission.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "val_bpb",
        "val_loss",
        "seeds",
        "seed_results",
        "seed_scores",
        "seed",
        "n_seeds",
        "date",
        "name",
        "bytes_total",
        "eval_time_seconds",
        "bytes_model_x",
        "vocab_size",
        "author",
    ]
)


@settings(max_examples=200, deadline=timedelta(seconds=20))
@given(st.dictionaries(KEYS, JSON, max_size=8))
def test_any_values_can_be_read(raw: dict[str, Any]) -> None:
    submission = read(raw)

    assert submission.val_bpb is None or abs(submission.val_bpb) < float("inf")
    assert submission.per_seed_val_bpb is None or submission.per_seed_val_bpb


@settings(max_examples=200, deadline=timedelta(seconds=20))
@given(st.binary(max_size=200))
def test_any_bytes_give_a_submission_or_an_error(raw: bytes) -> None:
    try:
        outcome = read(raw).source
    except HarnessError as error:
        outcome = error.message

    assert outcome.startswith("submission.json")


# Folders ------------------------------------------------------------------------------------------


def test_logs_are_told_from_other_texts(tmp_path: Path) -> None:
    for name in [
        "train.log",
        "README.md",
        "README.txt",
        "requirements.txt",
        "LICENSE.txt",
        "b_log.TXT",
        "x.json",
        ".hidden.log",
        "logs/train0.txt",
        "logs/deep/train1.txt",
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")

    files = find_record_files(tmp_path)

    assert [path.relative_to(tmp_path).as_posix() for path in files.logs] == [
        "b_log.TXT",
        "logs/train0.txt",
        "train.log",
    ]
    assert files.submission is None


def test_plain_submission_is_taken_before_a_named_one(tmp_path: Path) -> None:
    for name in ["submission_a.json", "submission.json"]:
        (tmp_path / name).write_text("{}")

    assert find_record_files(tmp_path).submission == tmp_path / "submission.json"


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "train9.log").write_text("x")
    record = tmp_path / "record"
    record.mkdir()
    (record / "real.log").write_text("x")
    (record / "inside.log").symlink_to(record / "real.log")
    (record / "train.log").symlink_to(tmp_path / "secret.txt")
    (record / "logs").symlink_to(tmp_path / "away")
    (record / "loop.log").symlink_to(record / "loop.log")

    files = find_record_files(record)

    assert [path.name for path in files.logs] == ["inside.log", "real.log"]
    assert [path.name for path in files.links_out] == ["logs", "loop.log", "train.log"]
    assert files.warnings[2] == "train.log is a link out of the folder; it was not read"


def test_missing_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="cannot list"):
        find_record_files(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("train_seed42.log", 42),
        ("logs/train_seed_2026.txt", 2026),
        ("seed-7.log", 7),
        ("train.log", None),
        ("train_v2.txt", None),
    ],
)
def test_seed_in_a_file_name(name: str, seed: int | None) -> None:
    assert seed_in_name(name) == seed


# Comparing ----------------------------------------------------------------------------------------


def log(bpb: str, seed: int = 1, name: str = "train.log") -> tuple[str, ParsedLog]:
    text = (
        f"model_params:5\nseed:{seed}\nstep:1/1 train_loss:2.0000 train_time:5ms step_avg:5.00ms\n"
        f"final_int8_zlib_roundtrip_exact val_loss:2.00000000 val_bpb:{bpb}\n"
    )
    return name, parse_log(io.BytesIO(text.encode()))


def test_identical_logs_are_counted_once() -> None:
    logs = [log("1.10000000", name="a.log"), log("1.10000000", name="b.log"), log("1.20000000", name="c.log")]

    assert distinct_logs(log for _, log in logs) == [logs[0][1], logs[2][1]]
    # the mean of the two distinct logs; of all three it would be 1.1333
    assert compare_with_logs(read({"val_bpb": 1.15}), logs) == [
        "b.log is byte for byte a.log; it counts once"
    ]


@pytest.mark.parametrize(("claim", "agrees"), [(1.1, True), (1.2, True), (1.15, True), (1.13, False)])
def test_headline_may_be_a_run_or_the_mean(claim: float, agrees: bool) -> None:
    expected = compare_with_logs(
        read({"val_bpb": claim}), [log("1.10000000", 1, "a.log"), log("1.20000000", 2, "b.log")]
    )

    assert (expected == []) == agrees
    assert agrees or "(mean 1.150000)" in expected[0]


def test_logs_without_a_submission_are_still_compared_with_their_names() -> None:
    assert compare_with_logs(None, [log("1.1", 5, "train_seed6.log")]) == [
        "train_seed6.log: the name says seed 6, the log 5"
    ]
