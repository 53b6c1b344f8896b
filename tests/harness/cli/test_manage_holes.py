"""rm, restore, rename, tag and archive, as they are typed; what refers to a hole stays true."""

import json

import pytest

from harness.publish.build import PublishOptions, publish
from harness.records.intent import load_intent
from harness.season.season import load_season


@pytest.fixture
def season(runs, put_record):
    put_record("round_001_base", val_bpb=1.30, val_loss=2.0, started_at="2026-04-01T10:00:00Z")
    put_record("round_002_wide", val_bpb=1.25, val_loss=1.9, started_at="2026-04-02T10:00:00Z")
    put_record("round_003_deep", val_bpb=1.20, val_loss=1.8, started_at="2026-04-03T10:00:00Z")
    (runs / "round_001_base" / "round.toml").write_text(
        '# my first idea\ntitle = "Base"\n\n[overrides]\nMATRIX_LR = 0.03\n'
    )
    (runs / "round_002_wide" / "round.toml").write_text('title = "Wide"\nparent = "round_001_base"\n')
    return runs


def parent_of(runs, number):
    season = load_season(runs)
    hole = next(one for one in season.holes if one.name.number == number)
    return season.standing(hole).comparisons["parent"]


def test_rm_warns_of_children_which_then_say_where_their_parent_went(harness, season):
    done = harness("rm", "1", "--reason", "wrong data")

    assert done.returncode == 0
    assert "round_002_wide names round_001_base as the parent" in done.stderr
    assert "was removed on" in parent_of(season, 2).reason
    assert "(wrong data)" in parent_of(season, 2).reason
    assert "round_001" not in harness("ls").stdout
    assert harness("restore", "1").returncode == 0
    assert parent_of(season, 2).hole.name.folder == "round_001_base"


def test_restore_without_a_hole_lists_what_lies_in_trash_and_archive(harness, season):
    harness("rm", "round_003_deep")
    harness("archive", "2")

    told = json.loads(harness("restore", "--json").stdout)
    assert [one["name"] for one in told["trash"]] == ["round_003_deep"]
    assert told["archived"] == ["round_002_wide"]
    refused = harness("restore", "1")
    assert refused.returncode == 2
    assert "round_001_base is neither removed nor archived" in refused.stderr


def test_a_renamed_hole_is_found_by_its_former_name_and_number(harness, season):
    harness("rename", "1", "The First One")
    harness("rename", "round_001", "17")

    shown = harness("show", "round_001_base")
    assert shown.returncode == 0
    assert "note: round_001_base is round_017_the_first_one now" in shown.stderr
    assert "note: 1 is round_017_the_first_one now" in harness("show", "1").stderr
    assert parent_of(season, 2).hole.name.folder == "round_017_the_first_one"
    text = (season / "round_017_the_first_one" / "round.toml").read_text()
    assert text.startswith('# my first idea\ntitle = "The First One"\n')
    intent = load_intent(season / "round_017_the_first_one" / "round.toml")
    assert intent.former_names == ("round_001_base", "round_001_the_first_one")
    assert intent.overrides == {"MATRIX_LR": "0.03"}


def test_a_hole_is_not_given_a_number_that_is_taken_or_lies_in_the_trash(harness, season):
    taken = harness("rename", "1", "2")
    harness("rm", "3")
    in_trash = harness("rename", "1", "3")

    assert (taken.returncode, in_trash.returncode) == (2, 2)
    assert "number 2 is taken by round_002_wide" in taken.stderr
    assert "round_003_deep, which lies in the trash" in in_trash.stderr
    assert "the next free number is 4" in in_trash.stderr
    assert (season / "round_001_base").is_dir()


def test_tags_are_shown_by_ls_and_json_and_words_that_are_none_are_refused(harness, season):
    harness("tag", "2", "width", "long-run")
    refused = harness("tag", "2", "Two Words")

    assert "long-run width" in harness("ls").stdout
    rows = json.loads(harness("ls", "--json").stdout)["holes"]
    assert [row["tags"] for row in rows] == [[], ["long-run", "width"], []]
    assert refused.returncode == 2
    assert '"Two Words" is no tag' in refused.stderr
    assert "long-run" not in harness("tag", "2", "--remove", "long-run").stdout


def test_an_archived_hole_is_left_out_of_lists_and_still_counts(harness, season):
    harness("archive", "2")

    listed = harness("ls").stdout
    assert "Wide" not in listed
    assert "1 archived hole left out" in listed
    assert "Wide" in harness("ls", "--archived").stdout
    newest = load_season(season)
    assert newest.standing(newest.holes[2]).comparisons["best"].hole.name.folder == "round_002_wide"
    harness("restore", "2")
    assert "Wide" in harness("ls").stdout


def test_former_addresses_lead_on_and_feeds_keep_their_ids(harness, season, tmp_path):
    publish(season, tmp_path / "before", PublishOptions(pictures=False))
    harness("rename", "1", "Fundament")
    harness("tag", "1", "ablation")
    harness("archive", "3")
    publish(season, tmp_path / "after", PublishOptions(pictures=False, base_url="https://x.org"))

    site = tmp_path / "after"
    moved = (site / "holes" / "round_001_base.html").read_text()
    assert 'content="0; url=../holes/round_001_fundament.html"' in moved
    assert (site / "holes" / "round_001_base.json").read_bytes() == (
        site / "holes" / "round_001_fundament.json"
    ).read_bytes()
    assert "round_001_base" not in (site / "sitemap.xml").read_text()
    ids = [
        {item["id"] for item in json.loads((folder / "feed.json").read_text())["items"]}
        for folder in (tmp_path / "before", site)
    ]
    assert ids[0] == ids[1]
    index, page = (site / "index.html").read_text(), (site / "round-1.html").read_text()
    assert ("round_003_deep" in index.partition('class="cards"')[2].partition("</section>")[0]) is False
    assert "round_003_deep" in page
    assert "ablation" in index
    assert "ablation" in (site / "holes" / "round_001_fundament.html").read_text()
    hole = json.loads((site / "holes.json").read_text())["holes"][0]
    assert (hole["former_names"], hole["tags"]) == (["round_001_base"], ["ablation"])


LOG = (
    "step:1000/1000 train_loss:2.0 train_time:100000ms step_avg:100.00ms\n"
    "final_int8_zlib_roundtrip val_loss:2.1 val_bpb:1.24{}\n"
)


def write_logs(tmp_path, *names):
    for at, name in enumerate(names):
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs" / name).write_text(f"SEED={at}\n" + LOG.format(at))


def test_the_last_import_is_taken_back_but_for_what_was_changed_since(harness, tmp_path, season):
    write_logs(tmp_path, "alpha.txt", "beta.txt")
    made = json.loads(harness("import", "logs", "--as", "hole", "--json").stdout)
    places = [bundle["place"] for bundle in made["bundles"]]
    assert len(set(places)) == 2
    harness("decide", places[0], "keep", "--reason", "looks right")

    done = harness("import", "--undo", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["undone"] == places[1:]
    assert told["kept"] == [{"name": places[0], "why": "it was changed since"}]
    assert (season / places[0]).is_dir()
    assert not (season / places[1]).exists()
    assert (season / "round_001_base").is_dir()
    again = harness("import", "--undo")
    assert again.returncode == 2
    assert "no import to undo" in again.stderr
    assert harness("restore", places[1]).returncode == 0
    assert (season / places[1] / "attempt_01" / "record.json").is_file()


def test_an_import_does_not_take_the_number_of_a_removed_hole(harness, tmp_path, season):
    harness("rm", "3")
    write_logs(tmp_path, "alpha.txt")
    made = json.loads(harness("import", "logs", "--as", "hole", "--json").stdout)

    assert made["bundles"][0]["place"].startswith("round_004")


def test_an_entry_of_the_field_is_taken_back_and_restored(harness, tmp_path, season):
    write_logs(tmp_path, "train_seed42.log")
    (tmp_path / "logs" / "submission.json").write_text('{"name": "A record", "val_bpb": 1.24, "author": "x"}')
    made = json.loads(harness("import", "logs", "--json").stdout)
    place = made["bundles"][0]["place"]
    assert place.startswith("field/")

    assert harness("import", "--undo").returncode == 0
    assert not (season / place).exists()
    assert harness("restore", place).returncode == 0
    assert (season / place / "entry.json").is_file()


def test_no_word_that_one_types_keeps_a_token(harness, season):
    """Titles, hypotheses and reasons stand in files that git keeps, and a title in a folder's name."""
    token = "hf_" + "abcdefghij" * 4
    for words in (
        ("new", f"Try {token}", "--hypothesis", f"as {token}"),
        ("rename", "3", f"Deeper {token}"),
        ("decide", "2", "drop", "--reason", f"it has {token} in it"),
        ("rm", "1", "--reason", f"it had {token}"),
    ):
        assert harness(*words).returncode == 0, words

    files = [path for path in season.rglob("*") if path.is_file()]
    assert not [
        path for path in files if token.lower() in (str(path) + path.read_text(errors="replace")).lower()
    ]
