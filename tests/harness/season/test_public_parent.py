"""A parent outside: `field:SLUG` or `pr:NUMBER` in round.toml names somebody else's imported run."""

from __future__ import annotations

import json
import re

import pytest

from harness.field.importing import import_paths
from harness.season.season import load_season
from tests.paths import DATA

RECORDS = DATA / "field" / "records"
SLUG = "2026-04-09_SP8192_3LayerRecur_ParResid_QK525_LegalTTT"  # PR 1493, 1.0810
OTHER = "2026-04-08_SP8192_ParallelResid_ScoreFirstTTT"  # PR 1477, 1.0822, three seeds of one version


@pytest.fixture
def hole(runs, put_record):
    """Put a played hole with a parent; its score is 1.0900 on each of three seeds, or nearly."""

    def put(parent: str, **fields: object) -> None:
        for attempt, bpb in enumerate((1.0896, 1.0900, 1.0904), start=1):
            put_record(
                "round_001_on_others",
                attempt,
                val_bpb=bpb,
                seed=attempt,
                split="current",
                started_at="2026-05-02T12:00:00Z",
                **fields,
            )
        (runs / "round_001_on_others" / "round.toml").write_text(
            f'parent = "{parent}"\ncourse = "fineweb"\ncreated = 2026-05-02\n'
        )

    return put


def parent_of(runs):
    season = load_season(runs)
    return season.standing(season.holes[0]).comparisons["parent"]


@pytest.mark.parametrize("reference", [f"field:{OTHER}", "field:2026-04-08", "pr:1477"])
def test_public_parent_is_compared_with_its_seeds(reference, runs, hole):
    import_paths([RECORDS / SLUG, RECORDS / OTHER], runs, kind="field")
    hole(reference)

    parent = parent_of(runs)

    assert parent.reference == f"field:{OTHER}"
    assert parent.val_bpb == pytest.approx(1.08218, abs=1e-5)
    assert parent.difference.n == (3, 3)
    assert parent.difference.delta == pytest.approx(0.0078, abs=1e-4)
    assert parent.difference.outcome == "worse"


def test_parent_whose_logs_mix_versions_is_one_value(runs, hole):
    import_paths([RECORDS / SLUG], runs, kind="field")
    hole("pr:1493")

    assert parent_of(runs).difference.n == (3, 1)
    assert "3 seeds in 3 logs of 2 versions" in parent_of(runs).source


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("pr:1514", '"pr:1514" is no imported public run; `harness import PATH/2026-04-09_A2_Muon097_3Seed'),
        ("pr:x", '"pr:x" names no pull request; write its number, such as pr:1493'),
        ("field:2026-04-0", '"field:2026-04-0" fits 2 entries of the field; write one of field:2026-04-08'),
        (
            "field:2026-04-09_SP8192_3LayerRecur_ParResid_QK525_LegalTTX",
            f"did you mean field:{SLUG}?",
        ),
        ("field:", '"field:" names no entry of the field'),
    ],
)
def test_unknown_public_parent_says_what_to_type(reference, message, runs, hole, harness):
    import_paths([RECORDS / SLUG, RECORDS / OTHER], runs, kind="field")
    hole(reference)

    refused = harness("run", "round_002", "--parent", reference, "--dry-run")

    assert message in parent_of(runs).reason
    assert refused.returncode == 2
    error, hint = message.split("; ") if "; " in message else ("", message)
    assert error in refused.stderr
    assert hint in refused.stderr
    assert not (runs / "round_002").exists()


@pytest.mark.parametrize("reference", ["pr:1477", f"field:{OTHER}", f"field:{OTHER[:20]}", OTHER])
def test_compare_takes_a_public_run_by_the_words_for_a_parent(reference, runs, hole, harness):
    import_paths([RECORDS / OTHER], runs, kind="field")
    hole("pr:1477")

    done = harness("compare", "1", reference)
    unknown = harness("compare", "1", "pr:9999")

    assert f"round_001_on_others against {OTHER}" in done.stdout, done.stderr
    assert (unknown.returncode, '"pr:9999" is no imported public run' in unknown.stderr) == (2, True)


def test_public_parent_of_another_course_or_text_is_not_compared(runs, hole, harness):
    import_paths([RECORDS / "2026-03-17_NaiveBaseline"], runs, kind="field")  # on the first export
    hole("field:2026-03-17")

    refused = harness("run", "round_002", "--parent", "field:2026-03-17", "--dry-run")

    assert parent_of(runs).difference is None
    assert "different validation splits" in parent_of(runs).reason
    assert "was played on the fineweb course, this hole is on practice" in refused.stderr


def test_public_parent_stands_in_tree_brief_compare_and_card(runs, hole, harness, tmp_path):
    import_paths([RECORDS / OTHER], runs, kind="field")
    hole("pr:1477")
    (runs / "round_002_child").mkdir()
    (runs / "round_002_child" / "round.toml").write_text('parent = "round_001"\n')

    tree = harness("ls", "--tree")
    data = json.loads(harness("ls", "--tree", "--json").stdout)["holes"]
    brief = json.loads(harness("brief", "--course", "fineweb", "--json").stdout)
    compared = harness("compare", "1", "--to", "parent")
    published = harness("publish", "--out", "site", "--no-pictures")

    assert f"round_001_on_others  1.0900, built on field:{OTHER}, +0.0078 to its parent: worse" in tree.stdout
    assert "\n  round_002_child" in tree.stdout
    assert [row["parent"] for row in data] == [f"field:{OTHER}", "round_001_on_others"]
    assert brief["last"][0]["difference"]["reference"]["entry"] == OTHER
    assert f"round_001_on_others against {OTHER} (parent)" in compared.stdout
    assert published.returncode == 0, published.stderr
    page = (tmp_path / "site" / "holes" / "round_001_on_others.html").read_text()
    link = re.search(r'href="\.\./(field-fineweb\.html)#(entry-[^"]+)"', page)
    assert link
    assert f'id="{link[2]}"' in (tmp_path / "site" / link[1]).read_text()


def test_run_keeps_a_public_parent_by_its_full_name(runs, harness):
    import_paths([RECORDS / OTHER], runs, kind="field", course_name="practice")

    plan = harness("run", "round_001", "--parent", "field:2026-04-08", "--dry-run", "--json")

    assert json.loads(plan.stdout)["parent"] == f"field:{OTHER}", plan.stderr


def test_public_parent_cannot_be_paired_with(runs, hole, harness):
    import_paths([RECORDS / OTHER], runs, kind="field")
    hole("pr:1477")

    paired = harness("run", "1", "--paired", "parent", "--dry-run")

    assert paired.returncode == 2
    assert "pr:1477 is a public run" in paired.stderr
