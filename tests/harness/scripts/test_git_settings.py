"""git is asked about a folder, and nothing that the folder's repository names is started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.scripts.git import describe_code, read_commit, run_git


def git(folder: Path, *words: str) -> str:
    names = ("-c", "user.name=Bobby", "-c", "user.email=bobby@example.org")
    done = subprocess.run(("git", *names, *words), cwd=folder, check=False, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path) -> Path:
    """A folder of code with one commit and one change after it."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "train.py").write_text("x = 1\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    (folder / "train.py").write_text("x = 2\n")
    return folder


# How a repository has a program started, and a plain git command that does.
TRAPS = {
    "fsmonitor": ({"core.fsmonitor": "{trap}"}, "", ("status",)),
    "clean filter": ({"filter.a.b.clean": "{trap}"}, "*.py filter=a.b\n", ("status",)),
    "filter process": ({"filter.a=b.process": "{trap}"}, "*.py filter=a=b\n", ("diff", "HEAD")),
    "required filter": (
        {"filter.c.clean": "{trap}", "filter.c.required": "true"},
        "*.py filter=c\n",
        ("diff", "HEAD"),
    ),
    "smudge filter": ({"filter.d.smudge": "{trap}"}, "*.py filter=d\n", ("archive", "--format=tar", "HEAD")),
    "diff program": ({"diff.external": "{trap}"}, "", ("diff", "HEAD")),
    "driver": ({"diff.e.command": "{trap}"}, "*.py diff=e\n", ("diff", "HEAD")),
    "text of a driver": ({"diff.f.textconv": "{trap}"}, "*.py diff=f\n", ("diff", "HEAD")),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_repositorys_settings_start_nothing(repository, tmp_path, name):
    settings, attributes, command = TRAPS[name]
    started = tmp_path / "STARTED"
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {started}\ncat 2>/dev/null\n")
    trap.chmod(0o755)
    for key, value in settings.items():
        git(repository, "config", key, value.format(trap=trap))
    if attributes:
        (repository / ".git" / "info").mkdir(exist_ok=True)
        (repository / ".git" / "info" / "attributes").write_text(attributes)
    git(repository, *command)
    assert started.exists()  # the trap works
    started.unlink()
    sha = git(repository, "rev-parse", "HEAD")
    (repository / "train.py").write_text("x = 3\n")

    code, diff = describe_code(repository)
    status = run_git(repository, "status", "--porcelain", "--", "train.py")
    committed = read_commit(repository, sha)

    assert not started.exists()
    assert (code.git_sha, code.dirty) == (sha, True)
    assert "+x = 3" in diff
    assert status is not None
    assert "train.py" in status
    assert committed == {"train.py": b"x = 1\n"}


def test_nothing_is_fetched_by_a_program_that_the_repository_names(repository, tmp_path):
    """Of a partial clone git fetches what it lacks, by the command that the clone's settings name."""
    started = tmp_path / "STARTED"
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {started}\n")
    trap.chmod(0o755)
    blob = git(repository, "rev-parse", "HEAD:train.py")
    (repository / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for key, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialclone": "origin",
        "remote.origin.url": str(repository),
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": str(trap),
    }.items():
        git(repository, "config", key, value)
    git(repository, "diff", "HEAD")
    assert started.exists()  # the trap works
    started.unlink()

    describe_code(repository)

    assert not started.exists()
