"""What a page says can be changed without its template."""

from __future__ import annotations

import re

from tests.paths import ROOT


def test_templates_hold_no_words_of_their_own() -> None:
    """What a page says stands in site/copy, so that a theme can change it; file names and figures stay."""
    names = {"holes.json", "val_bpb", "val_bpb = val_loss ÷ ln 2 × tokens ÷ bytes", "0 MB", "of"}
    for path in (ROOT / "templates").glob("*.html"):
        text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text(), flags=re.S)
        shown = [*re.findall(r">([^<>]*)<", text), *re.findall(r'(?:aria-label|title)="([^"]*)"', text)]
        words = {" ".join(part.split()) for part in shown if re.search(r"[A-Za-z]{2,}", part)}
        assert words <= names, path.name
