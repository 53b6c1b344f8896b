"""docs/json.md holds the keys of every object that a command prints, and no others."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from unittest import mock

import pytest

from harness.courses import download
from harness.records.record import RunRecord
from harness.run.watch.projection import Projection
from harness.season import schema
from tests.fake import command_line
from tests.fake.command_line import SMALL
from tests.harness.cli.test_json import COMMANDS
from tests.paths import ROOT
from tests.waiting import wait_for

PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
SCHEMA_PAGE = {
    "ls",
    "tree",
    "show",
    "compare",
    "brief",
}  # explained there: tests/harness/season/test_schema.py
LINKED = {
    "[the record](record.md)": RunRecord,
    "(schema.md#a-difference)": schema.DifferenceData,
    "(schema.md#a-prediction)": schema.PredictionData,
}
AS_SHOWN = "all keys of [a hole as `show` has it](schema.md#ls---full-show)"

# Keys that no call below shows, since they take a long run or a broken-off series.
RARE = {
    "watch": {"last_val.step", "last_val.val_bpb"}
    | {f"projection.{field.name}" for field in dataclasses.fields(Projection)},
    "confirm": {"outcome_why"},
    "emit": {"bundle.fingerprints.yardsticks.NAME"},
}

SCRIPT = """\
import argparse, os, time
p = argparse.ArgumentParser()
p.add_argument("--depth", type=int, default=6, choices=[6, 12], help="layers")
p.add_argument("--wait", action="store_true")
words = p.parse_args()
print("seed:" + os.environ.get("SEED", "1"))
print("step:2/2 train_loss:3.0000 train_time:200ms step_avg:100.00ms", flush=True)
for _ in range(12_000 if words.wait else 0):  # ten minutes, should nobody stop it
    time.sleep(0.05)
print("final_int8_zlib_roundtrip_exact val_loss:1.70000000 val_bpb:1.30000000")
"""
TABLE = """\
| Run | Score | Author | Summary | Date |
| --- | --- | --- | --- | --- |
| Base | 1.2244 | B | b | 2026-03-18 |
"""
SUBMISSION = {"name": "Theirs", "val_bpb": 1.3, "author": "A", "date": "2026-03-20"}
# What is typed, behind the name of the object that it prints.
CALLS = [
    ("run", ["run", "1", "--title", "Base", *SMALL, "--seeds", "42,7"]),
    ("plan", ["run", "1", *SMALL, "--dry-run", "--repeat"]),
    ("plan", ["run", "2", "--script", "s.py", "--dry-run", "--parent", "1", "--", "--depth", "12"]),
    ("evaluation plan", ["evaluate", "1", "-o", "EVAL_STRIDE=64", "--dry-run"]),
    ("evaluate", ["evaluate", "1", "-o", "EVAL_STRIDE=64"]),
    (
        "run",
        ["run", "3", *SMALL, "-o", "MATRIX_LR=0.03", "--parent", "1", "--predict", "val_bpb lower 0.001"],
    ),
    ("emit", ["run", "4", *SMALL, "-o", "MATRIX_LR=0.02", "--emit", "bundle"]),
    ("import", ["import", "--pull", "bundle"]),
    ("noise", ["noise", "1", "--seeds", "3"]),
    ("noise", ["noise", "1", "--seeds", "4", "--dry-run"]),
    ("confirm", ["confirm", "3", "--dry-run"]),
    ("confirm", ["confirm", "3", "--seeds", "1"]),
    ("doctor", ["doctor", "1"]),
    ("watch", ["watch", "1"]),
    ("decide", ["decide", "1", "keep", "--reason", "fast"]),
    ("knobs", ["knobs"]),
    ("knobs", ["knobs", "--script", "s.py"]),
    ("check", ["check", "1"]),
    ("import", ["import", "one.log", "theirs"]),
    ("import", ["import", "--leaderboard", "README.md"]),
    ("import", ["import", "--undo"]),
    ("export", ["export", "1", "--out", "exported"]),
    ("submit", ["submit", "1", "--track", "10min"]),
    ("publish", ["publish", "--out", "site", "--no-pictures", "--deploy", "gh-pages"]),
    ("notes check", ["notes", "check"]),
    ("notes values", ["notes", "values", "1"]),
    ("data prepare", ["data", "prepare", "mine", "--text", "text", "--val-bytes", "10000", "--vocab", "400"]),
    ("data check", ["data", "check"]),
    ("data pull", ["data", "pull"]),
    ("presets", ["presets", "tiny"]),
    ("courses", ["courses"]),
    ("new", ["new", "Third", "-o", "MATRIX_LR=0.02"]),
    ("rename", ["rename", "3", "Twice"]),
    ("tag", ["tag", "3", "good"]),
    ("archive", ["archive", "3"]),
    ("restore", ["restore", "3"]),
    ("rm", ["rm", "3"]),
    ("restore", ["restore"]),
    ("season init", ["season", "init", "own"]),
    ("error", ["show", "nosuch"]),
    ("end", ["show", "--help"]),
]


def paths_of_cell(cell):
    """Yield the keys of a table's first cell; behind `rows[]`: come those of its members."""
    prefix = ""
    for name, colon in re.findall(r"`([^`]+)`(:?)", cell):
        if colon:
            prefix = f"{name}."
            yield name.removesuffix("[]")
        else:
            yield prefix + name


def read_page():
    """Return for each object the keys that the page has, and of these the models of those with a link."""
    documented, linked, shown = {}, {}, set()
    for heading, text in re.findall(r"^### (.+)\n((?:(?!##).*\n)*)", PAGE, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", heading):
            keys, models = documented.setdefault(name, set()), linked.setdefault(name, {})
            shown |= {name} if AS_SHOWN in text else set()
            for cell, words in re.findall(r"^\| (`.+?`) \| (.+) \|$", text, re.MULTILINE):
                paths = list(paths_of_cell(cell))
                keys |= {*paths, *(path.rpartition(".NAME")[0] for path in paths)} - {""}
                for model in (model for link, model in LINKED.items() if link in words):
                    models |= dict.fromkeys(paths, model)
    return documented, linked, shown


DOCUMENTED, MODELS, WITH_SHOW = read_page()


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Every object that the calls printed, by what it calls itself."""
    place = tmp_path_factory.mktemp("season")
    objects = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("HARNESS_CACHE", str(place / "cache"))
        prepare(place)
        pulled = download.Download("o/r", "c", place, place, ["a"], ["b"], {"train": 1, "val": 1})
        with mock.patch.object(download, "pull", return_value=pulled):
            for name, words in CALLS:
                keep(objects, name, words, call(words))
                AFTER.get(name, lambda place: None)(place)
        for name, words, done in [*unfinished_attempts(place, patch), *background(place)]:
            keep(objects, name, words, done)
    return objects


def prepare(place):
    (place / "one.log").write_text("step:10/20 val_loss:2.1 val_bpb:1.25 train_time:100ms\n")
    (place / "s.py").write_text(SCRIPT)
    (place / "README.md").write_text(TABLE)
    (place / "theirs").mkdir()
    (place / "theirs" / "submission.json").write_text(json.dumps(SUBMISSION))
    (place / "text").mkdir()
    for number in range(40):
        (place / "text" / f"{number}.txt").write_text(f"{number} {PAGE[number * 200 : number * 200 + 6000]}")
    (place / "text" / "picture.bin").write_bytes(b"\xff\xfe\x00")
    subprocess.run(["git", "init", "-q", "--bare", "remote"], check=True)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["git", "remote", "add", "origin", str(place / "remote")], check=True)


def write_notes(place):
    (place / "runs" / "round_001_base" / "notes.md").write_text("# Booth\nIt had 9.8765 and {{ nosuch }}.\n")


def change_imported(place):
    for folder in (place / "runs").glob("round_*_one"):
        (folder / "notes.md").write_text("# Booth\nMine now.\n")


def spoil_data(place):
    next((place / "data" / "mine").rglob("*_train_*.bin")).unlink()


AFTER = {"import": change_imported, "submit": write_notes, "data prepare": spoil_data}


def with_json(words):
    at = words.index("--") if "--" in words else len(words)
    return [*words[:at], "--json", *words[at:]]


def call(words):
    return command_line.call(*with_json(words))


def keep(objects, name, words, done):
    answer = json.loads(done.stdout)
    assert answer["command"] == name, (words, done.stdout[:500], done.stderr[-500:])
    objects.setdefault(name, []).append(answer)


def unfinished_attempts(place, patch):
    """Attempts that have no record: one is resumed, one salvaged, one dropped."""
    for name, words in (
        ("resume", ["resume", "8"]),
        ("salvage", ["salvage", "8"]),
        ("drop-attempt", ["drop-attempt", "8", "3"]),
    ):
        patch.setenv("FAKE_TRAINER", "kill")
        call(["run", "8", "--title", "Ended", *SMALL, "--repeat"])
        patch.delenv("FAKE_TRAINER")
        last = max((place / "runs" / "round_008_ended").glob("attempt_*"))
        for file in ("record.json", "result.json"):
            (last / file).unlink(missing_ok=True)
        yield name, words, call(words)


def background(place):
    """Holes that other processes play, and a server."""

    def start(*words):
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [sys.executable, "-m", "harness", *words], stdout=subprocess.PIPE, text=True, env=env
        )

    def run(words):
        process = start(*with_json(words))
        out, _ = process.communicate()
        return subprocess.CompletedProcess(words, process.returncode, out, "")

    for name, words in (
        ("run", ["run", "11", "--title", "Far", "--script", "s.py", "--detach"]),
        ("wait", ["wait", "11"]),
        ("run", ["run", "12", "--title", "On", "--script", "s.py", "--detach", "--", "--wait"]),
    ):
        yield name, words, run(words)
    log = place / "runs" / "round_012_on" / "attempt_01" / "train.log"
    wait_for(lambda: log.is_file() and b"step:2" in log.read_bytes(), "the first step")
    yield "stop", ["stop", "12"], run(["stop", "12"])

    server = start("preview", "--port", "0", "--json")
    lines = iter(server.stdout.readline, "")
    text = ""
    for line in lines:
        text += line
        if line == "}\n":
            break
    server.send_signal(signal.SIGINT)
    server.communicate()
    yield "preview", ["preview"], subprocess.CompletedProcess(["preview"], 0, text, "")


def keys_of(value, name, path=""):
    """Yield the keys of an object as the page writes them; what has a link is held against its model."""
    if isinstance(value, list):
        for one in value:
            yield from keys_of(one, name, f"{path}[]")
        return
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        at = f"{path}.{key}" if path else key
        if f"{path}.NAME" in DOCUMENTED[name] and path:
            yield f"{path}.NAME"
            continue
        yield at
        model = MODELS[name].get(at)
        if model is None:
            yield from keys_of(inner, name, at)
        else:
            for one in inner if isinstance(inner, list) else [inner]:
                assert one is None or model.model_validate(one)


def shown_keys(name, answer):
    """Take what `show` has of a hole out of an object, and hold it against its model."""
    fields = schema.ShownHole.model_fields
    if name in WITH_SHOW and "detached" not in answer:
        schema.ShownHole.model_validate({key: answer[key] for key in fields})
        return {key: value for key, value in answer.items() if key not in fields}
    return answer


def compare_keys(name, answers):
    """Return the keys that the page lacks, and those that it has and nothing printed."""
    found = {key for answer in answers for key in keys_of(shown_keys(name, answer), name)}
    found -= {"schema", "command"}
    maps = {key.rpartition(".NAME")[0] for key in found}
    return sorted(found - DOCUMENTED[name]), sorted(DOCUMENTED[name] - found - maps - RARE.get(name, set()))


def test_page_has_the_keys_that_are_printed_and_no_others(printed):
    assert set(printed) == set(DOCUMENTED) - SCHEMA_PAGE

    compared = {name: compare_keys(name, answers) for name, answers in printed.items()}
    assert {name: keys for name, keys in compared.items() if keys != ([], [])} == {}


def test_page_has_every_command_that_takes_json():
    assert sorted(set(COMMANDS) - set(DOCUMENTED)) == []
    assert sorted(SCHEMA_PAGE - set(DOCUMENTED)) == []
