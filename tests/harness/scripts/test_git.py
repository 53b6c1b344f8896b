"""What a record says of the code that ran."""

import subprocess

import pytest

from harness.scripts.git import describe_code, diff_commits, read_commit


def git(folder, *words):
    subprocess.run(
        ("git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words),
        check=True,
        capture_output=True,
    )


def test_uncommitted_code_is_told_and_kept_as_a_diff(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    clean, nothing = describe_code(tmp_path)
    (tmp_path / "notes.txt").write_text("not code")
    still_clean, _ = describe_code(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    (tmp_path / "new.py").write_text("y = 3\n")
    changed, diff = describe_code(tmp_path)

    assert (clean.dirty, nothing) == (False, "")
    assert still_clean == clean
    assert changed.dirty
    assert changed.git_sha == clean.git_sha
    assert changed.source_sha256 != clean.source_sha256
    assert "+x = 2" in diff
    assert "+y = 3" in diff


def test_code_outside_git_still_has_a_fingerprint(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")

    code, diff = describe_code(tmp_path)

    assert code.git_sha is None
    assert len(code.source_sha256) == 64
    assert diff == ""


@pytest.mark.parametrize("option", ["--output=", "--output "])
def test_a_commit_that_is_an_option_writes_no_file(tmp_path, option):
    """A record may be a stranger's: what it calls a commit is never an option of git."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("x = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    sha, _ = describe_code(tmp_path)
    target = tmp_path / "written"

    assert read_commit(tmp_path / "code", sha.git_sha) == {"a.py": b"x = 1\n"}
    assert read_commit(tmp_path / "code", f"{option}{target}") == {}
    assert diff_commits(tmp_path / "code", f"{option}{target}", sha.git_sha) is None
    assert not target.exists()
