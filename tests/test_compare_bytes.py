"""Big values are compared in moments, and a failure is one short line."""

import time

import pytest

from tests.compare_bytes import assert_same, file_hashes, first_difference


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (b"abc", b"abc", ""),
        (b"abc", b"abd", "differ from position 2 (lengths 3 and 3): b'c' against b'd'"),
        ("abc", "ab", "differ from position 2 (lengths 3 and 2): 'c' against ''"),
        ([1, 2], [1, 3], "differ from position 1 (lengths 2 and 2): [2] against [3]"),
        (b"a", "a", "bytes against str"),
    ],
)
def test_first_difference_names_the_place(left, right, message):
    assert first_difference(left, right) == message


def test_big_byte_strings_fail_at_once_and_shortly():
    left, right = bytes(3_000_000), bytes(2_999_999) + b"\1"
    began = time.process_time()

    with pytest.raises(AssertionError) as failure:
        assert_same(left, right)

    assert time.process_time() - began < 10
    assert len(str(failure.value)) < 400


def test_file_hashes_tell_a_changed_and_a_missing_file(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "page.html").write_text("one")
    before = file_hashes(tmp_path)

    (tmp_path / "deep" / "page.html").write_text("two")
    changed = file_hashes(tmp_path)
    (tmp_path / "deep" / "page.html").unlink()

    assert list(before) == ["deep/page.html"]
    assert changed != before
    assert file_hashes(tmp_path) == {}
