"""The fake trainer of the fast suite keeps to what the real one does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.field.log_parser import parse_log
from tests.paths import ROOT
from tests.trainer.conftest import process_env

pytestmark = pytest.mark.slow

REAL = ("-m", "trainer")
FAKE = (str(ROOT / "tests" / "fake" / "fake_trainer.py"),)


def shape(value: Any) -> Any:
    """The names in nested data, without what they hold. Settings are the same function in both."""
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items() if name != "config"}
    return [shape(part) for part in value] if isinstance(value, list) else None


def start(program: tuple[str, ...], knobs: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, *program, *words]
    return subprocess.run(argv, env=process_env(knobs), capture_output=True, text=True, check=False)


def test_the_fake_answers_a_check_as_the_real_one_does(tiny: dict[str, str]) -> None:
    real, fake = (json.loads(start(program, tiny, "--check").stdout) for program in (REAL, FAKE))

    assert shape(fake) == shape(real)
    assert set(fake["config"]) == set(real["config"])


def test_the_fake_leaves_what_the_real_one_leaves(tiny: dict[str, str], tmp_path: Path) -> None:
    results, logs, folders = [], [], []
    for number, program in enumerate((REAL, FAKE)):
        out = tmp_path / str(number)
        out.mkdir()
        done = start(program, tiny, "--out", str(out), "--code-bytes", "1000")
        assert done.returncode == 0, done.stderr
        (tmp_path / f"{number}.log").write_text(done.stdout)
        results.append(json.loads((out / "result.json").read_text()))
        logs.append(parse_log(tmp_path / f"{number}.log").result)
        folders.append(sorted(path.name for path in out.iterdir()))

    real, fake = results
    assert set(shape(fake["environment"])) <= set(shape(real["environment"]))
    assert shape(fake | {"environment": 0}) == shape(real | {"environment": 0})
    assert [score["label"] for score in fake["scores"]] == [score["label"] for score in real["scores"]]
    assert [(log.steps, log.planned_steps, log.model_params is None) for log in logs if log] == [
        (20, 20, False)
    ] * 2
    assert logs[0].official.label == logs[1].official.label
    assert folders[0] == folders[1]


def test_the_fake_refuses_what_the_real_one_refuses(tiny: dict[str, str]) -> None:
    real, fake = (start(program, tiny | {"NUM_LAYERS": "-1"}, "--check") for program in (REAL, FAKE))

    assert (fake.returncode, fake.stderr) == (real.returncode, real.stderr)
    assert "NUM_LAYERS" in fake.stderr
