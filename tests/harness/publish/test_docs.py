"""docs/site.md says what the site holds."""

from __future__ import annotations

import json
import re
from pathlib import Path

from harness.publish.build import PublishOptions, publish
from tests.paths import ROOT


def test_every_key_of_holes_json_is_explained(tmp_path: Path) -> None:
    publish(ROOT / "tests" / "data" / "season", tmp_path / "site", PublishOptions(pictures=False))
    explained = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "site.md").read_text()))
    for hole in json.loads((tmp_path / "site" / "holes.json").read_text())["holes"]:
        assert set(hole) <= explained
        assert hole["status"] in explained


def test_templates_hold_no_words_of_their_own() -> None:
    """What a page says stands in site/copy, so that a theme can change it; file names and figures stay."""
    names = {"holes.json", "val_bpb", "val_bpb = val_loss ÷ ln 2 × tokens ÷ bytes", "0 MB", "of"}
    for path in (ROOT / "templates").glob("*.html"):
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text(), flags=re.S)
        shown = [*re.findall(r">([^<>]*)<", text), *re.findall(r'(?:aria-label|title)="([^"]*)"', text)]
        words = {" ".join(part.split()) for part in shown if re.search(r"[A-Za-z]{2,}", part)}
        assert words <= names, path.name
