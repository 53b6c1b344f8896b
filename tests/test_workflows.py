"""What GitHub is asked to run exists here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # huggingface_hub brings it

from tests.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> dict[str, Any]:
    return yaml.load(path.read_text(), yaml.BaseLoader)  # BaseLoader: `on` is a word, not a truth


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_what_is_here(path: Path) -> None:
    jobs = load(path)["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]

    assert commands
    for command in commands:
        program, *words = command.split()
        if program == "make":
            dry = subprocess.run(
                ["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert dry.returncode == 0, dry.stderr
        else:
            assert os.access(ROOT / program, os.X_OK), f"{program} is no program of this folder"


def test_the_lowest_versions_are_tried_weekly_and_by_hand() -> None:
    workflow = load(ROOT / ".github" / "workflows" / "lowest.yml")

    assert workflow["on"].keys() == {"schedule", "workflow_dispatch"}
    assert re.fullmatch(r"\d+ \d+ \* \* [0-6]", workflow["on"]["schedule"][0]["cron"])
    assert [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step] == ["make lowest"]
    assert shutil.which("make")
