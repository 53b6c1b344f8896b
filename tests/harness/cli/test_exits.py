"""How a command ends: its exit code, and what it leaves on both streams."""

import json
import signal
import subprocess
import sys

import pytest

# The real command line with one more command, which waits until it is stopped.
WAITING = """
import signal, sys
from harness.cli.app import Json, app, main

@app.command()
def sit_still(as_json: Json = False) -> None:
    print("waiting", file=sys.stderr, flush=True)
    signal.pause()

main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_ends_with_130_and_one_object(number, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", WAITING, "sit-still", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline() == "waiting\n"

    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (130, "error: interrupted\n")
    assert json.loads(out)["exit_code"] == 130


BROKEN = """
from harness.cli.app import Json, app, main

@app.command()
def broken(as_json: Json = False) -> None:
    print("text that a library prints")
    raise KeyError("nothing")

main()
"""


def test_an_error_of_the_harness_itself_is_one_object_and_a_traceback(tmp_path):
    words = [sys.executable, "-c", BROKEN, "broken", "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    answer = json.loads(done.stdout)
    assert (done.returncode, answer["command"], answer["exit_code"]) == (70, "error", 70)
    assert answer["error"] == "internal error: KeyError: 'nothing'"
    assert "Traceback" in done.stderr
    assert "text that a library prints" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("publish", "--out", "runs"),
        ("publish", "--out", "used"),
        ("publish", "--out", "used/file"),
        ("export", "1", "--out", "used"),
        ("preview", "--port", "99999"),
    ],
)
def test_a_place_that_cannot_be_meant_is_usage(words, harness, put_record, tmp_path):
    put_record("round_001_base", val_bpb=1.3)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()

    done = harness(*words, "--json")

    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2), done.stderr


# A terminal that knows ASCII alone, in a locale that Python is kept from mending.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}, ASCII])
def test_a_terminal_without_unicode_gets_the_nearest_letters(env, harness, put_record, tmp_path):
    put_record("round_001_base", val_bpb=1.3)
    intent = tmp_path / "runs" / "round_001_base" / "round.toml"
    intent.write_text('title = "Été, Привет, 中文 ≥ 3"\n', encoding="utf-8")

    for words in (["ls"], ["show", "1"], ["brief"], ["run", "--help"]):
        done = harness(*words, env=env, encoding="cp1252")
        assert (done.returncode, done.stderr) == (0, ""), words
    shown = harness("show", "1", env=env, encoding="cp1252").stdout
    assert "Privet, Zhong Wen  >= 3" in shown
    for words in (["show", "1", "--json"], ["show", "Été", "--json"]):
        done = harness(*words, env=env, encoding="cp1252")
        assert "Été" in json.dumps(json.loads(done.stdout), ensure_ascii=False)


@pytest.mark.parametrize("env", [{}, ASCII])
@pytest.mark.parametrize(
    "words", [["run", "1", "--title"], ["run", "1", "--hypothesis"], ["run", "1", "--script"], ["import"]]
)
def test_words_that_are_no_text_are_refused_before_anything_is_made(words, env, harness, tmp_path):
    done = harness(*words, b"caf\xe9", "--json", env=env)

    assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (2, 2)
    assert "caf\\xe9 is not UTF-8 text" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_title_in_a_locale_without_unicode_is_the_title_that_was_typed(harness):
    done = harness("new", "Un été", env=ASCII)

    assert done.returncode == 0, done.stderr
    assert "round_001_un_ete" in done.stdout
