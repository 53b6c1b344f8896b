"""What commands print of a hostile season reaches the terminal without control characters."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.table import Table

from harness.cli import terminal
from harness.cli.terminal import console
from tests.paths import DATA

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mRED\x9b31m\u202egnorw\rover [bold]markup[/bold] :smile:"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two holes, one of which says in every text what would steer a terminal."""
    for name in ("round_001_baseline", "round_006_fp16embed"):
        shutil.copytree(DATA / "season" / name, tmp_path / "runs" / name)
    hole = tmp_path / "runs" / "round_006_fp16embed"
    text = json.dumps(EVIL)
    (hole / "round.toml").write_text(f'title = {text}\nhypothesis = {text}\nparent = "round_001"\n')
    decision = {"decision": "keep", "reason": EVIL, "who": EVIL, "when": "2026-01-01T00:00:00Z"}
    (hole / "decision.json").write_text(json.dumps({"schema": 1, "history": [decision]}))
    record = json.loads((hole / "attempt_01" / "record.json").read_text())
    failure = {"kind": "error", "message": EVIL, "last_lines": [EVIL, "a\rb"]}
    record |= {"attempt": 2, "status": "failed", "failure": failure, "split": EVIL, "warnings": [EVIL]}
    (hole / "attempt_02").mkdir()
    (hole / "attempt_02" / "record.json").write_text(json.dumps(record))
    (hole / "attempt_02" / "train.log").write_text(f"step:1/2 train_loss:5.0 {EVIL}\n{EVIL}\n")
    return tmp_path / "runs"


COMMANDS = [
    ("ls",),
    ("ls", "--tree"),
    ("show", "6"),
    ("show", "6", "--why"),
    ("brief",),
    ("compare", "6", "1"),
    ("watch", "6", "--once"),
    ("doctor",),
    ("check", "6"),
    ("notes", "values", "6"),
    ("show", EVIL),
]


def controls(text: str) -> list[str]:
    return [c for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_nothing_that_is_printed_steers_a_terminal(harness, runs: Path, words: tuple[str, ...]) -> None:
    result = harness(*words, "--runs", str(runs))

    assert "Traceback" not in result.stderr
    assert controls(result.stdout + result.stderr) == []


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_json_has_every_value_and_no_control_character(harness, runs: Path, words: tuple[str, ...]) -> None:
    result = harness(*words, "--runs", str(runs), "--json")

    assert controls(result.stdout + result.stderr) == []
    if words == ("show", "6"):
        assert json.loads(result.stdout)["title"] == EVIL


def test_on_a_terminal_colours_are_the_harness_own(runs: Path) -> None:
    """On a real terminal rich colours what it prints; the record's own sequences are not among them."""
    main, other = pty.openpty()
    words = [sys.executable, "-m", "harness", "show", "6", "--why", "--runs", str(runs)]
    env = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    env.pop("NO_COLOR", None)
    process = subprocess.Popen(words, stdout=other, stderr=other, stdin=other, env=env)
    os.close(other)
    printed = b""
    while chunk := read(main):
        printed += chunk
    process.wait()
    os.close(main)

    text = printed.decode().replace("\r\n", "\n")
    assert "\x1b[1m" in text  # bold, of the card itself
    assert set(re.findall("\x1b.{3}", text)) <= {
        "\x1b[0m",
        "\x1b[1m",
        "\x1b[2m",
        "\x1b[1;",
        "\x1b[2;",
        "\x1b[32",
        "\x1b[33",
    }
    assert controls(re.sub("\x1b\\[[0-9;]*m", "", text)) == []


def test_a_tables_words_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table.grid()
    table.add_row(EVIL)

    console(width=120).print(table)

    assert "[bold]markup[/bold] :smile:" in capsys.readouterr().out


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # as Linux says that the other end is closed
        return b""


@pytest.mark.parametrize("columns", [60, 100])
def test_a_table_cuts_no_sentence_however_narrow_the_terminal(monkeypatch, capsys, columns):
    monkeypatch.setattr(terminal, "WIDTH_OF_A_FILE", columns)
    sentence = "the width of every token's vector"
    terminal.print_table(
        ("knob", "default", "range", "meaning"), {"model": [("MODEL_DIM", "512", "1 to 65536", sentence)]}
    )

    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns
    assert sentence in " ".join(shown.split())
    assert "model" in shown
