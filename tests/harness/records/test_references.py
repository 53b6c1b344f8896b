"""A hole is named in many ways, and each means the same everywhere."""

import pytest

from harness.errors import UsageError
from harness.records.references import clean_reference
from harness.records.store import Store
from harness.season.season import load_season


@pytest.fixture
def season(runs, put_record, monkeypatch):
    put_record("round_001_base", val_bpb=1.3)
    put_record("round_010_ten", val_bpb=1.3)
    put_record("round_150_hundred", val_bpb=1.3)
    monkeypatch.chdir(runs.parent)
    return runs


@pytest.mark.parametrize(
    "reference",
    [
        *("10", "010", " 10 ", "round_010", "round_10", "ROUND_010_Ten", "round_010_t"),
        *("runs/round_010_ten", "runs/round_010_ten/", "./runs/round_010", "runs/round_010_ten/attempt_01/"),
        *("round_010_ten/", "round_010_ten/attempt_01", "{runs}/round_010_ten", "runs/../runs/round_010_ten"),
    ],
)
def test_every_spelling_of_a_hole_means_its_folder(season, reference):
    reference = reference.format(runs=season)

    assert Store(season).get(reference).name.folder == "round_010_ten"
    assert load_season(season).find(reference).name.folder == "round_010_ten"


def test_a_path_through_a_link_and_from_within_the_season_leads_to_the_hole(season, monkeypatch):
    (season.parent / "linked").symlink_to(season)
    assert clean_reference("linked/round_010_ten/", season) == "round_010_ten"

    monkeypatch.chdir(season)
    assert Store(season).get("round_010_ten/").name.folder == "round_010_ten"
    assert Store(season).get("./round_010_ten/attempt_01").name.folder == "round_010_ten"


@pytest.mark.parametrize("reference", ["2", "", "round_002", "round_01x", "٣", "9" * 5000, "nosuch"])
def test_what_fits_no_hole_means_none(season, reference):
    assert Store(season).find(reference) is None
    assert load_season(season).find(reference) is None


@pytest.mark.parametrize("reference", ["../runs", ".", "/", "elsewhere/round_010_ten", "runs", "runs/field"])
def test_a_path_that_leads_to_no_hole_is_refused(season, reference):
    with pytest.raises(UsageError):
        Store(season).get(reference)


@pytest.mark.parametrize(
    ("reference", "holes"),
    [
        ("round_", "3 holes: round_001_base, round_010_ten, round_150_hundred"),
        ("round_01", "2 holes: round_001_base, round_010_ten"),  # hole 1, or the beginning of round_010
        ("round_1", "2 holes: round_001_base, round_150_hundred"),
    ],
)
def test_what_fits_several_holes_is_refused_with_their_names(season, reference, holes):
    with pytest.raises(UsageError, match=f'"{reference}" fits {holes}'):
        Store(season).find(reference)


@pytest.mark.parametrize(
    ("typed", "close"),
    [
        ("round_010_tne", "did you mean round_010_ten?"),
        ("hundrd", "did you mean round_150_hundred?"),
        ("hole 150", "did you mean round_150_hundred?"),
        ("runs/round_010_nosuch/", "did you mean round_010_ten?"),
    ],
)
def test_a_hole_that_is_not_there_is_answered_with_close_ones(season, typed, close):
    with pytest.raises(UsageError) as refused:
        Store(season).get(typed)

    assert close in refused.value.hint


@pytest.mark.parametrize(
    ("typed", "clean"),
    [
        ("runs/field/2026-04-09_SP8192/", "field:2026-04-09_SP8192"),
        ("field/2026-04-09_SP8192", "field:2026-04-09_SP8192"),
        ("Field: 2026-04-09_SP", "field:2026-04-09_SP"),
        ("PR:1493", "pr:1493"),
    ],
)
def test_entries_of_the_field_are_named_by_path_and_in_any_case(season, typed, clean):
    (season / "field" / "2026-04-09_SP8192").mkdir(parents=True)

    assert clean_reference(typed, season) == clean
