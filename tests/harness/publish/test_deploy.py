"""A site goes onto a branch of a real repository, and nothing else in that repository moves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.commands import app
from harness.errors import HarnessError
from harness.publish.deploy import pages_url
from tests.compare_bytes import file_hashes
from tests.paths import DATA

SEASON = DATA / "season"


def git(place: Path, *words: str) -> str:
    done = subprocess.run(("git", *words), cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git as on a new machine: no configuration of a user's or the system's."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    place = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(place))
    return place


@pytest.fixture
def project(tmp_path: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two holes, a commit, and something staged and something not."""
    place = tmp_path / "project"
    place.mkdir()
    git(place, "init", "--quiet", "--initial-branch=main")
    git(place, "config", "user.name", "Player")
    git(place, "config", "user.email", "player@example.org")
    git(place, "remote", "add", "origin", str(remote))
    for name in ("round_001_baseline", "round_006_fp16embed"):
        shutil.copytree(SEASON / name, place / "runs" / name)
    git(place, "add", ".")
    git(place, "commit", "--quiet", "-m", "First holes")
    git(place, "push", "--quiet", "origin", "main")
    (place / "staged.txt").write_text("staged\n")
    git(place, "add", "staged.txt")
    (place / "loose.txt").write_text("loose\n")
    monkeypatch.chdir(place)
    return place


def publish(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["publish", "--no-pictures", "--deploy", "gh-pages", *words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def heads(remote: Path) -> list[str]:
    return git(remote, "for-each-ref", "--format=%(refname:short)").split()


def test_a_dry_run_shows_all_and_pushes_nothing(project: Path, remote: Path) -> None:
    before = git(project, "status", "--porcelain"), git(project, "show-ref")
    said = publish()
    assert "branch gh-pages of origin" in said
    assert "a new branch" in said
    assert " added, 0 changed, 0 removed" in said
    assert "nothing was pushed; to do it: harness publish --no-pictures --deploy gh-pages --push" in said
    assert heads(remote) == ["main"]
    assert "_site" in git(project, "status", "--porcelain")
    shutil.rmtree(project / "_site")
    assert (git(project, "status", "--porcelain"), git(project, "show-ref")) == before


def test_a_push_puts_the_site_there_byte_for_byte(project: Path, remote: Path, tmp_path: Path) -> None:
    git(project, "config", "core.autocrlf", "true")  # would change the bytes of anything checked in
    before = git(project, "rev-parse", "HEAD"), git(project, "diff", "--cached", "--name-only")
    assert "pushed as" in publish("--push")
    git(tmp_path, "clone", "--quiet", "--branch", "gh-pages", str(remote), "there")
    shutil.rmtree(tmp_path / "there" / ".git")
    there = file_hashes(tmp_path / "there")
    assert there == file_hashes(Path("_site"))
    assert ".nojekyll" in there
    assert (git(project, "rev-parse", "HEAD"), git(project, "diff", "--cached", "--name-only")) == before
    assert git(project, "branch", "--list").split() == ["*", "main"]
    assert "holds this site already" in publish("--push")
    assert git(remote, "rev-list", "--count", "gh-pages").strip() == "1"


def test_each_push_is_one_commit_on_top_and_keeps_a_custom_domain(
    project: Path, remote: Path, tmp_path: Path
) -> None:
    publish("--push")
    git(tmp_path, "clone", "--quiet", "--branch", "gh-pages", str(remote), "host")
    (tmp_path / "host" / "CNAME").write_text("golf.example.org\n")
    git(tmp_path / "host", "add", "CNAME")
    git(tmp_path / "host", "-c", "user.name=H", "-c", "user.email=h@example.org", "commit", "-qm", "Domain")
    git(tmp_path / "host", "push", "--quiet")
    shutil.rmtree(project / "runs" / "round_006_fp16embed")
    told = json.loads(publish("--push", "--json"))["deploy"]
    assert told["removed"] >= 3
    assert told["added"] == 0
    names = git(remote, "ls-tree", "-r", "--name-only", "gh-pages").splitlines()
    assert "CNAME" in names
    assert "holes/round_006_fp16embed.html" not in names
    assert git(remote, "rev-parse", "gh-pages").strip() == told["pushed"]
    subjects = git(remote, "log", "--format=%s", "gh-pages").splitlines()
    assert subjects == ["Publish the club", "Domain", "Publish the club"]


def test_a_branch_of_something_else_is_replaced_only_on_demand(project: Path, remote: Path) -> None:
    old = git(project, "rev-parse", "HEAD").strip()
    git(project, "push", "--quiet", "origin", "HEAD:refs/heads/gh-pages")
    assert "--replace" in publish()
    with pytest.raises(HarnessError, match="did not write") as error:
        publish("--push")
    assert "--replace" in error.value.hint
    publish("--push", "--replace")
    assert git(remote, "rev-parse", "gh-pages^").strip() == old  # what was there is its history


def test_a_deploy_works_from_a_detached_head(project: Path, remote: Path) -> None:
    git(project, "checkout", "--quiet", "--detach")
    publish("--push")
    assert "gh-pages" in heads(remote)


def test_what_is_in_the_way_is_said_before_anything_is_built(
    project: Path, remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HarnessError, match="not a name for a branch"):
        CliRunner().invoke(app, ["publish", "--deploy", "my branch"], catch_exceptions=False)
    with pytest.raises(HarnessError, match='no remote "upstream"') as error:
        publish("--remote", "upstream")
    assert "origin" in error.value.hint
    git(project, "remote", "remove", "origin")
    with pytest.raises(HarnessError, match="has no remote"):
        publish()
    with pytest.raises(HarnessError, match="say how to deploy"):
        CliRunner().invoke(app, ["publish", "--push"], catch_exceptions=False)
    shutil.copytree(project / "runs", tmp_path / "elsewhere" / "runs")
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    with pytest.raises(HarnessError, match=r"(?s)no git repository here.*git: fatal: not a git repository"):
        publish()
    assert not (project / "_site").exists()
    assert not Path("_site").exists()


def test_gits_own_words_are_kept_when_it_refuses(project: Path, remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'greens are closed' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(HarnessError, match=r"(?s)cannot push to gh-pages of origin.*greens are closed"):
        publish("--push")
    git(project, "config", "user.useConfigOnly", "true")
    git(project, "config", "--unset", "user.email")
    with pytest.raises(HarnessError, match=r"(?s)cannot commit the site.*git: ") as error:
        publish("--push")
    assert "user.name" in error.value.hint
    git(project, "remote", "set-url", "origin", "https://me:secret@127.0.0.1:9/golf.git")
    with pytest.raises(HarnessError, match="cannot read origin") as error:
        publish()
    assert "secret" not in error.value.message


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://github.com/Birdie/golf.git", "https://birdie.github.io/golf/"),
        ("git@github.com:birdie/golf.git", "https://birdie.github.io/golf/"),
        ("ssh://git@github.com/birdie/birdie.github.io", "https://birdie.github.io/"),
        ("https://x-access-token:abc@github.com/birdie/golf", "https://birdie.github.io/golf/"),
        ("https://codeberg.org/birdie/golf.git", ""),
        ("/srv/git/golf.git", ""),
        ("https://notgithub.com/birdie/golf", ""),
    ],
)
def test_the_address_of_a_pages_site(address: str, url: str) -> None:
    assert pages_url(address) == url
