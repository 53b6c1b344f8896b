"""The trash: what is removed comes back as it was, and is never in two places."""

import json

import pytest
from filelock import FileLock

from harness.errors import HarnessError
from harness.records.store import Store, last_number
from harness.season import trash, undo_import


@pytest.fixture
def store(put_record, runs):
    put_record("round_001_base", val_bpb=1.3)
    put_record("round_001_base", attempt=2, val_bpb=1.4)
    put_record("round_002_wide", val_bpb=1.2)
    return Store(runs)


def names(store):
    return [hole.name.folder for hole in store.holes()]


def test_a_removed_hole_lies_in_the_trash_and_comes_back_as_it_was(store):
    hole = store.get("1")
    before = hole.attempts[0].record_path.read_bytes()

    removed = trash.remove_hole(store, hole, "a typing error")

    assert names(store) == ["round_002_wide"]
    assert trash.find_removed(store.root, "1").item.reason == "a typing error"
    place = trash.restore(store, removed)
    assert (place / "attempt_01" / "record.json").read_bytes() == before
    assert names(store) == ["round_001_base", "round_002_wide"]
    assert trash.list_trash(store.root) == []


def test_a_removed_attempt_leaves_the_others_and_comes_back(store):
    hole = store.get("1")

    trash.remove_attempt(store, hole, hole.attempts[1])

    assert [attempt.number for attempt in hole.attempts] == [1]
    assert trash.find_removed(store.root, "round_001") is None
    trash.restore(store, trash.find_removed(store.root, "round_001_base/attempt_02"))
    assert [attempt.number for attempt in hole.attempts] == [1, 2]


def test_an_attempt_that_is_being_played_is_not_removed(store):
    hole = store.get("2")
    with FileLock(hole.attempts[0].path / ".lock"), pytest.raises(HarnessError, match="is being played"):
        trash.remove_hole(store, hole)

    assert "round_002_wide" in names(store)


def test_a_hole_stays_in_the_trash_while_its_number_is_taken(store, put_record):
    removed = trash.remove_hole(store, store.get("2"))
    put_record("round_002_other", val_bpb=1.1)

    with pytest.raises(HarnessError, match="taken by round_002_other"):
        trash.restore(store, removed)
    assert last_number(store.root) == 2
    assert [one.name for one in trash.list_trash(store.root)] == ["round_002_wide"]


def test_the_same_name_can_be_removed_twice_and_the_newest_is_meant(store, put_record):
    trash.remove_hole(store, store.get("2"), "first")
    put_record("round_002_wide", val_bpb=1.1)
    trash.remove_hole(store, store.get("2"), "second")

    assert len(trash.list_trash(store.root)) == 2
    assert {one.item.reason for one in trash.list_trash(store.root)} == {"first", "second"}


def test_an_item_that_was_never_filled_is_not_listed(store):
    removed = trash.remove_hole(store, store.get("2"))
    removed.content.rename(store.root / "round_002_wide")

    assert trash.list_trash(store.root) == []


def test_nothing_is_moved_through_a_link_in_the_trash(store, tmp_path):
    outside = tmp_path / "outside" / "content"
    outside.mkdir(parents=True)
    removed = trash.remove_hole(store, store.get("2"))
    item = (removed.path / "item.json").read_text()
    for name, link, target in (
        ("round_002_wide.2", "content", outside),
        ("round_002_wide.3", "", outside.parent),
    ):
        place = store.root / ".trash" / name
        if link:
            place.mkdir()
            (place / "item.json").write_text(item)
        else:
            (outside.parent / "item.json").write_text(item)
        (place / link if link else place).symlink_to(target)

    assert [one.path.name for one in trash.list_trash(store.root)] == ["round_002_wide"]


def test_nothing_is_restored_into_a_linked_folder(store, tmp_path):
    hole = store.get("1")
    removed = trash.remove_attempt(store, hole, hole.attempts[1])
    hole.path.rename(tmp_path / "elsewhere")
    hole.path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(HarnessError, match="is a link"):
        trash.restore(store, removed)

    assert not (tmp_path / "elsewhere" / "attempt_02").exists()


def test_nothing_is_removed_into_a_linked_trash(store, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (store.root / ".trash").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(HarnessError, match="is a link"):
        trash.remove_hole(store, store.get("2"))

    assert "round_002_wide" in names(store)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("place", ["../outside", "{outside}", "field/../../outside", ""])
def test_no_import_is_undone_that_was_none(store, tmp_path, place):
    """A season of others may bring the note of an import."""
    outside = tmp_path / "outside"
    outside.mkdir()
    state = undo_import._state_of(outside)
    made = [{"place": place.format(outside=outside), "state": state}]
    note = {"schema": 1, "imported_at": "2026-01-01T00:00:00Z", "made": made}
    (store.root / ".last_import.json").write_text(json.dumps(note))

    with pytest.raises(HarnessError, match="neither a hole nor an entry"):
        undo_import.undo_import(store.root)

    assert outside.is_dir()


def test_a_reason_keeps_no_secret(store):
    removed = trash.remove_hole(store, store.get("2"), "see https://me:pass1234@a.example")

    assert "pass1234" not in (removed.path / "item.json").read_text()
