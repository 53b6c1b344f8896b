"""A season of one's own: `harness season init`, and how a command finds the season it means."""

import json
import subprocess

import pytest
import yaml

from harness.season.own_season import find_season
from tests.paths import ROOT


def test_a_new_season_is_found_from_any_folder_below_and_is_published(harness, tmp_path):
    made = harness("season", "init", "our_links", "--json")

    assert made.returncode == 0, made.stderr
    home = tmp_path / "our_links"
    assert {path.removeprefix("our_links/") for path in json.loads(made.stdout)["files"]} == {
        "README.md",
        ".gitignore",
        "runs/field.toml",
        "theme/copy/club.toml",
        ".github/workflows/publish.yml",
    }
    deep = home / "notes" / "deep"
    deep.mkdir(parents=True)
    assert harness("new", "First", cwd=deep).returncode == 0
    assert "First" in harness("ls", cwd=home / "runs" / "round_001_first").stdout
    published = harness("publish", "--theme", "theme", "--no-pictures", cwd=home)
    assert published.returncode == 0, published.stderr
    assert "Our Links" in (home / "_site" / "index.html").read_text()


def test_the_workflow_is_yaml_and_its_commands_are_known(harness, tmp_path):
    harness("season", "init", "mine")
    workflow = yaml.safe_load((tmp_path / "mine" / ".github" / "workflows" / "publish.yml").read_text())

    steps = workflow["jobs"]["publish"]["steps"]
    assert {step["uses"].partition("@")[0] for step in steps if "uses" in step} == {
        "actions/checkout",
        "actions/setup-python",
        "actions/configure-pages",
        "actions/upload-pages-artifact",
        "actions/deploy-pages",
    }
    command = next(step["run"] for step in steps if step.get("run", "").startswith("harness"))
    words = command.replace('"${{ steps.pages.outputs.base_url }}"', "https://x.org/p").split()
    done = harness(*words[1:], "--no-pictures", cwd=tmp_path / "mine")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / words[words.index("--out") + 1] / "index.html").is_file()


def test_git_leaves_out_weights_logs_and_the_trash_of_a_season(harness, tmp_path):
    harness("season", "init", "mine")
    home = tmp_path / "mine"
    subprocess.run(("git", "init", "-q", str(home)), check=True)
    kept, ignored = ["round.toml", "attempt_01/record.json"], ["attempt_01/model.zlib", ".session.7.json"]

    ignored.append("attempt_01/train.log")
    for name in (*kept, *ignored):
        path = home / "runs" / "round_001_x" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    words = ("git", "-C", str(home), "ls-files", "--others", "--exclude-standard", "runs")
    shown = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    assert shown == ["runs/field.toml", *(f"runs/round_001_x/{name}" for name in reversed(kept))]


def test_init_writes_nothing_over_what_is_there(harness, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("my words")
    done = harness("season", "init", "mine")

    assert done.returncode == 1
    assert "README.md already" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["README.md"]


def test_a_folder_named_runs_that_is_no_season_is_not_taken_from_above(tmp_path, monkeypatch):
    (tmp_path / "runs" / "tensorboard").mkdir(parents=True)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")

    assert str(find_season(tmp_path / "below")) == "runs"
    (tmp_path / "runs" / "round_001").mkdir()
    assert str(find_season(tmp_path / "below")) == "../runs"


@pytest.mark.parametrize("named", [False, True])
def test_a_hole_added_to_the_example_season_is_noted_unless_it_was_named(harness, tmp_path, named):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "EXAMPLE.md").write_text((ROOT / "runs" / "EXAMPLE.md").read_text())

    done = harness("new", "Mine", *(("--runs", "runs") if named else ()))
    assert done.returncode == 0
    assert ("example season" in done.stderr) is not named


def test_a_season_is_not_begun_in_a_file_and_one_begun_here_needs_no_cd(harness, tmp_path):
    (tmp_path / "notes").write_text("text")
    (tmp_path / "my club").mkdir()

    refused = harness("season", "init", "notes")
    assert refused.returncode == 1
    assert "notes is a file, not a folder" in refused.stderr
    assert "cd 'my other club' &&" in harness("season", "init", "my other club").stdout
    here = harness("season", "init", ".", cwd=tmp_path / "my club")
    assert 'Next: harness run 1 --title "First Tee"' in here.stdout
