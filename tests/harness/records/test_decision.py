"""`harness decide`: what was decided stays on file and is shown."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_decisions_are_kept_in_order_and_the_newest_is_shown(harness, runs, put_record):
    put_record("round_001", val_bpb=1.2)
    put_record("round_002", val_bpb=1.2)
    assert "decision" not in harness("ls").stdout

    harness("decide", "1", "keep", "--reason", "first look", "--by", "Ann")
    done = harness("decide", "1", "drop", "--reason", "no gain over three seeds", "--by", "Bo", "--json")

    kept = json.loads((runs / "round_001" / "decision.json").read_text())
    assert [(row["decision"], row["who"]) for row in kept["history"]] == [("keep", "Ann"), ("drop", "Bo")]
    assert json.loads(done.stdout)["decision"]["when"].endswith("Z")
    assert "drop" in harness("ls").stdout
    assert "drop: no gain over three seeds (Bo," in harness("show", "1").stdout
    rows = json.loads(harness("ls", "--json").stdout)["holes"]
    assert [row["decision"] for row in rows] == ["drop", None]


def test_two_deciders_at_once_are_both_kept(harness, runs, put_record):
    put_record("round_001", val_bpb=1.2)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: harness("decide", "1", "keep", "--reason", f"reason {n}"), range(3)))

    kept = json.loads((runs / "round_001" / "decision.json").read_text())
    assert {row["reason"] for row in kept["history"]} == {"reason 0", "reason 1", "reason 2"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["9", "keep", "--reason", "r"], "no hole matches"),
        (["1", "perhaps", "--reason", "r"], '"perhaps" is no decision'),
        (["1", "keep", "--reason", "  "], "--reason"),
        (["1", "keep"], "--reason"),
    ],
)
def test_wrong_words_decide_nothing(harness, runs, put_record, words, said):
    put_record("round_001", val_bpb=1.2)

    done = harness("decide", *words)

    assert done.returncode == 2
    assert said in done.stderr
    assert not (runs / "round_001" / "decision.json").exists()


@pytest.mark.parametrize("text", ["{", '{"schema": 1, "history": [{"decision": "maybe"}]}', "[]", "null"])
def test_unreadable_file_is_named_and_never_overwritten(harness, runs, put_record, text):
    put_record("round_001", val_bpb=1.2)
    path = runs / "round_001" / "decision.json"
    path.write_text(text)

    done = harness("decide", "1", "keep", "--reason", "r")
    shown = harness("ls")

    assert done.returncode == 1
    assert "decision.json" in done.stderr
    assert path.read_text() == text
    assert shown.returncode == 0
    assert "decision.json" in shown.stderr
