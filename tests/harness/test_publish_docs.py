"""docs/site.md says what the site holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

from harness.publish.build import PublishOptions, publish

ROOT = Path(__file__).parents[2]


def test_every_key_of_holes_json_is_explained(tmp_path: Path) -> None:
    publish(ROOT / "tests" / "data" / "season", tmp_path / "site", PublishOptions(pictures=False))
    explained = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "site.md").read_text()))
    for hole in json.loads((tmp_path / "site" / "holes.json").read_text())["holes"]:
        assert set(hole) <= explained
        assert hole["status"] in explained
