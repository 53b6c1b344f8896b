"""`holes.json`: every hole of a published season with its score and every comparison, for machines.

docs/schema.md explains its keys.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from harness import JSON_SCHEMA
from harness.plain_text import escape_json
from harness.publish.views.index import Line
from harness.season.differences import claims_data, hole_data
from harness.season.schema import PredictionData, SiteHole
from harness.season.season import Season
from harness.season.standing import Standing


def holes_json(season: Season, standings: Sequence[Standing], lines: Sequence[Line]) -> str:
    """Return the file's text. lines: of the same holes, in the same order."""
    holes = [_site_hole(season, *pair) for pair in zip(standings, lines, strict=True)]
    content = {"schema": JSON_SCHEMA, "claims": claims_data(season), "holes": holes}
    return escape_json(json.dumps(content, indent=1, ensure_ascii=False)) + "\n"


def _site_hole(season: Season, standing: Standing, line: Line) -> dict[str, object]:
    par, score = standing.comparisons["par"].val_bpb, line.val_bpb
    decision = standing.played.summary.decision
    hole = SiteHole(
        **dict(hole_data(season, standing)),
        decision=decision,
        par=par,
        to_par=None if score is None or par is None else round(score - par, 9),
        result=line.result,
        prediction=PredictionData(**line.prediction),
        page=line.href,
        record=line.href.removesuffix(".html") + ".json"
        if line.status not in ("unplayed", "unfinished", "unreadable")
        else None,
    )
    return hole.model_dump(mode="json")
