"""A score of another text than the course's has no verdict and beats nobody, wherever it is shown."""

import json

import pytest

from harness.courses.course import load_course
from harness.season.season import load_season

TOKENS, CURRENT = 62_021_632, 151_080_000
LOSS, BPB = 1.7, 1.001  # far below every published score


def scored(tokens, val_loss=LOSS, val_bpb=BPB, **fields):
    """A record's score, and the tokens that its log names."""
    score = {"stage": "round_trip", "label": "final", "val_bpb": val_bpb}
    if val_loss is not None:
        score["val_loss"] = val_loss
    official = {"stage": "round_trip", "label": "final", "why": "the only one"}
    known = {"data": {"val_tokens": tokens}} if tokens else {}
    when = {"started_at": "2026-05-02T00:00:00Z"}
    return {"val_bpb": val_bpb, "scores": [score], "official": official, **when, **known, **fields}


FOREIGN = {
    "bytes of a small text": scored(30_000, split="suspect"),
    "few tokens and no loss": scored(30_000, None),
    "a split that the course does not list": scored(None, split="unknown-0123456789ab"),
    "bytes two in a thousand off": scored(TOKENS, 2.07, 1.224, split="current"),
    "more tokens than bytes": scored(400_000_000, None),
}


@pytest.mark.parametrize("fields", FOREIGN.values(), ids=FOREIGN)
def test_score_of_another_text_has_no_verdict_and_says_why(put_record, runs, fields):
    put_record("round_001", **fields)

    season = load_season(runs)
    standing = season.standing(season.holes[0])

    assert (standing.verdict.name, standing.course_record) == ("No Verdict", False)
    for kind in ("par", "sota"):
        comparison = standing.comparisons[kind]
        assert comparison.difference is None
        assert comparison.reason == standing.verdict.why
        assert comparison.reason.startswith("not the validation text of fineweb: ")


@pytest.mark.parametrize(
    "fields",
    [
        scored(TOKENS, 2.0, 2.0 * TOKENS / (0.693147180 * CURRENT), split="current"),
        scored(None, split="first export"),
        scored(None),
        scored(CURRENT, None),  # a token a byte
        scored(30_000, course="practice", split="py3.11.9-0123456789ab"),
    ],
    ids=["current", "older export", "nothing known", "byte tokens", "practice"],
)
def test_text_of_the_course_keeps_its_verdict(put_record, runs, fields):
    put_record("round_001", **fields)

    season = load_season(runs)
    standing = season.standing(season.holes[0])

    assert standing.verdict.name in ("Condor", "Eagle", "Sets Par")
    assert standing.foreign_text == ""


def test_no_place_shows_another_text_as_a_gain(put_record, runs, harness, tmp_path):
    """The command line, the leaderboard, the feed and the JSON of the site."""
    put_record("round_001", **scored(TOKENS, None, 1.24, split="current"))
    put_record("round_002", **scored(30_000, split="suspect"))

    shown = json.loads(harness("show", "2", "--json").stdout)
    assert (shown["verdict"], shown["course_record"]) == ("No Verdict", False)
    assert {shown["comparisons"][kind]["outcome"] for kind in ("par", "sota", "best", "previous")} == {None}
    assert "No Verdict" in harness("ls").stdout
    compared = harness("compare", "2", "1")
    assert compared.returncode == 13
    assert "different validation splits: round_002 suspect, round_001 current" in compared.stdout
    assert "not the validation text" in harness("compare", "2", "--to", "sota").stdout
    assert json.loads(harness("brief", "--json").stdout)["best"]["hole"] == "round_001"
    (runs / "round_003").mkdir()
    (runs / "round_003/round.toml").write_text('parent = "round_002"\n')
    put_record_again = runs / "round_003/attempt_01"
    put_record_again.mkdir()
    record = json.loads((runs / "round_002/attempt_01/record.json").read_text()) | {"hole": "round_003"}
    (put_record_again / "record.json").write_text(json.dumps(record))
    parent = json.loads(harness("show", "3", "--json").stdout)["comparisons"]["parent"]
    assert parent["outcome"] == "within noise"  # of the same unknown text, the two are comparable

    assert harness("publish", "--out", "site", "--no-pictures").returncode == 0
    site = tmp_path / "site"
    board = (site / "field-fineweb.html").read_text()
    ranked, cut = board.split("not the validation text of fineweb", 1)[0], board
    assert "holes/round_001.html" in ranked
    assert cut.count("not the validation text of fineweb: tokens, loss and bpb imply 0.07 M bytes") == 2
    for page in ("holes/round_002.html", "feed.json", "feed.xml", "holes.json", "round-1.html"):
        assert not {"Condor", "Course Record"} & {
            word for word in ("Condor", "Course Record") if word in (site / page).read_text()
        }
    holes = {hole["hole"]: hole for hole in json.loads((site / "holes.json").read_text())["holes"]}
    assert (holes["round_002"]["verdict"], holes["round_002"]["to_par"]) == ("No Verdict", None)


def test_another_text_sets_no_par(put_record, runs):
    """On a course with splits and without a published par, the first hole on its text sets par."""
    course = load_course("fineweb")
    (runs / "courses").mkdir()
    (runs / "courses/own.toml").write_text(
        f"""
name = "own"
title = "Own"
what = "a text"
[caps]
artifact_bytes = 16000000
train_seconds = 600
eval_seconds = 600
[verdicts]
par_within = 0.005
over = [[0.05, "Bogey"]]
beyond_over = "Picked Up"
under = [[0.03, "Birdie"]]
beyond_under = "Condor"
[[splits]]
name = "current"
val_bytes = {course.splits[0].val_bytes}
"""
    )
    put_record("round_001", course="own", **scored(30_000, split="suspect"))
    put_record("round_002", course="own", **scored(None, split="current"))

    season = load_season(runs)

    assert [season.standing(hole).verdict.name for hole in season.holes] == ["No Verdict", "Sets Par"]


TOY = """
import os
for step in range(1, 4):
    print(f"step:{step}/3 train_loss:{4 - step * 0.1:.4f} train_time:{step * 10}ms step_avg:10.00ms")
TOKENS
print("Serialized model int8+zlib: 1000000 bytes")
print("final_int8_zlib_roundtrip_exact val_loss:1.98120000 val_bpb:1.17590000")
"""


def test_script_that_does_not_say_what_it_scored_gets_no_verdict(harness, runs, tmp_path):
    """Nothing tells that a toy without data scored FineWeb's text, so it is compared with nothing."""
    toy = tmp_path / "toy.py"
    toy.write_text(TOY.replace("TOKENS", ""))
    done = harness("run", "1", "--script", str(toy))
    assert done.returncode == 0, done.stderr
    harness("run", "2", "--script", str(toy), "--course", "fineweb")

    untold, told = (json.loads(harness("show", number, "--json").stdout) for number in "12")

    assert untold["verdict"] == "No Verdict"
    assert untold["split"] == "unknown"
    assert "--course fineweb" in untold["comparisons"]["par"]["reason"]
    assert "course" not in (runs / "round_001" / "round.toml").read_text()
    assert "versus par       not compared: its validation text is not known" in done.stderr + done.stdout
    assert told["verdict"] == "Eagle"
    assert harness("run", "1", "--repeat").returncode == 0  # the same configuration, still without a name
    compared = harness("compare", "2", "1")
    assert compared.returncode == 13
    assert "nothing shows that round_002 and round_001 scored the same text" in compared.stdout


@pytest.mark.parametrize(
    ("tokens", "split"),
    [("tokens:62021632", "current"), ("tokens:63779840", "first export"), ("tokens:30000", "suspect")],
)
def test_tokens_that_a_log_prints_tell_the_split(harness, tmp_path, tokens, split):
    toy = tmp_path / "toy.py"
    line = f'print("val_loader:shards pattern=val_*.bin {tokens}")'
    toy.write_text(TOY.replace("TOKENS", line).replace("val_loss:1.98120000 ", ""))
    done = harness("run", "1", "--script", str(toy))
    assert done.returncode == 0, done.stderr

    assert json.loads(harness("show", "1", "--json").stdout)["split"] == split


def test_imported_log_obeys_the_same_rule(harness, tmp_path):
    log = tmp_path / "mine.log"
    log.write_text(
        "step:1/1 train_loss:3.0 train_time:10ms step_avg:10.00ms\n"
        "final_int8_zlib_roundtrip_exact val_loss:1.98120000 val_bpb:1.17590000\n"
    )
    first = harness("import", str(log))
    assert "split unknown" in first.stdout, first.stderr
    shown = json.loads(harness("show", "1", "--json").stdout)
    assert (shown["verdict"], shown["split"]) == ("No Verdict", "unknown")

    named = harness("import", str(log), "--course", "fineweb")

    assert named.returncode == 0, named.stderr
    shown = json.loads(harness("show", "1", "--json").stdout)
    assert (shown["verdict"], shown["split"]) == ("Eagle", None)
