"""A run with secrets and places of this machine: the child gets them, nothing that is shown has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.privacy import SECRET

SCRIPT = """
import os
steps = int(os.environ.get("ITERATIONS", 3))
print("token of", len(os.environ.get("MY_API_TOKEN", "")), "letters")
print("using", os.environ.get("MY_API_TOKEN"), "and", os.environ.get("INIT_FROM", "none"))
for step in range(1, steps + 1):
    print(f"step:{step}/{steps} train_loss:5.0 train_time:{step}ms step_avg:1.00ms")
print("Serialized model int8+zlib: 5000 bytes")
print("Total submission size int8+zlib: 6000 bytes")
if os.environ.get("BREAK"):
    raise RuntimeError(f"cannot open /{'home'}/al{'ice'}/model.bin with {os.environ['MY_API_TOKEN']}")
print("final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570")
"""
SECRETS = ("sekret123", "hunter2", "home/alice", "alice")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script below a folder that is called as a home folder is, outside of where commands are typed."""
    folder = tmp_path / "home" / "alice" / "golf"
    folder.mkdir(parents=True)
    (folder / "t.py").write_text(SCRIPT)
    (folder / "model.pt").write_bytes(b"weights")
    (tmp_path / "here").mkdir()
    return folder / "t.py"


@pytest.fixture
def here(tmp_path: Path, script: Path) -> Path:
    return tmp_path / "here"


TOKEN = ("-o", "MY_API_TOKEN=sekret123")


def play(harness, here: Path, script: Path, *words: str, **options):
    """Play with a token and, but into a bundle, which refuses them, with weights of this machine."""
    weights = () if "--emit" in words else ("-o", f"INIT_FROM={script.parent / 'model.pt'}")
    hole = "round_002" if "--emit" in words else "round_001"
    played = harness("run", hole, "--script", str(script), *TOKEN, *weights, *words, cwd=here, **options)
    assert "Traceback" not in played.stderr, played.stderr
    return played


def held(folder: Path, *but: str) -> list[str]:
    """The files below a folder that hold one of the secrets."""
    return [
        f"{path.relative_to(folder)}: {secret}"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in but
        for secret in SECRETS
        if secret.encode() in path.read_bytes()
    ]


def test_the_run_gets_a_secret_and_its_record_does_not(harness, here: Path, script: Path) -> None:
    played = play(harness, here, script)

    attempt = here / "runs" / "round_001" / "attempt_01"
    assert "override MY_API_TOKEN looks like a secret" in played.stderr
    assert "token of 9 letters" in (attempt / "train.log").read_text()
    record = json.loads((attempt / "record.json").read_text())
    assert record["overrides"]["MY_API_TOKEN"] == SECRET
    assert record["overrides"]["INIT_FROM"].endswith("]/model.pt")
    assert f"MY_API_TOKEN={SECRET}" in record["command"]
    assert "t.py" in record["command"]
    assert held(attempt, "train.log", "launch.json") == []
    assert "sekret123" not in (attempt / "launch.json").read_text()
    assert "sekret123" not in (here / "runs" / "round_001" / "round.toml").read_text()


def test_a_failed_runs_last_lines_are_kept_without_it(harness, here: Path, script: Path) -> None:
    play(harness, here, script, "-o", "BREAK=1")

    record = json.loads((here / "runs" / "round_001" / "attempt_01" / "record.json").read_text())
    assert record["failure"]["message"] == f"RuntimeError: cannot open …/model.bin with {SECRET}"
    assert f"using {SECRET} and …/model.pt" in record["failure"]["last_lines"]


def test_nothing_that_is_shared_holds_any_of_it(harness, here: Path, script: Path) -> None:
    """Pages, feeds, bundles, submissions and what programs read."""
    played = play(harness, here, script, "--json")
    harness(
        "publish",
        "--runs",
        "runs",
        "--out",
        "site",
        "--no-pictures",
        "--base-url",
        "https://a.example",
        cwd=here,
    )
    play(harness, here, script, "--repeat", "--emit", "bundle")
    harness("submit", "1", "--write", "submission", "--author", "A", "--github-id", "a", cwd=here)
    harness("export", "1", "--out", "exported", cwd=here)
    printed = [played.stdout]
    for words in (("ls",), ("show", "1"), ("brief",)):
        env = {"MY_API_TOKEN": "sekret123"}
        printed.append(harness(*words, "--json", cwd=here, env=env).stdout)
        json.loads(printed[-1])

    assert (here / "site" / "feed.xml").is_file()
    assert (here / "bundle" / "bundle.json").is_file()
    assert (here / "exported" / "submission.json").is_file()
    plan = harness("run", "1", "--dry-run", "--repeat", "--json", cwd=here, env={"MY_API_TOKEN": "sekret123"})
    assert json.loads(plan.stdout)["handed"]["MY_API_TOKEN"] == SECRET
    assert "sekret123" not in plan.stdout + plan.stderr
    assert [name for name in ("site", "bundle", "submission", "exported") if held(here / name)] == []
    assert [secret for text in printed for secret in SECRETS if secret in text] == []
    page = (here / "site" / "holes" / "round_001.html").read_text()
    assert "-o MY_API_TOKEN=&#34;$MY_API_TOKEN&#34;" in page  # each visitor has their own
    assert "--script t.py" in page


def test_an_old_record_is_shown_without_it(harness, here: Path, script: Path) -> None:
    """Written before there was this law, or by somebody else."""
    play(harness, here, script)
    path = here / "runs" / "round_001" / "attempt_01" / "record.json"
    record = json.loads(path.read_text())
    record["overrides"] |= {"MY_API_TOKEN": "sekret123", "DB": "postgres://u:hunter2@db/x"}
    record["warnings"] = ["cannot read /home/alice/x/y.bin with sekret123"]
    del record["config_hash"]
    path.write_text(json.dumps(record))
    (here / "runs" / "round_001" / "notes.md").write_text(
        "## The Shot\n\nfrom `/home/alice/golf` with care\n"
    )

    harness("publish", "--runs", "runs", "--out", "site", "--no-pictures", cwd=here)

    assert held(here / "site") == []
    looked = harness("doctor", "--publish", cwd=here)
    assert "attempt_01/record.json: password in an address" in looked.stdout
    assert "round_001/notes.md: absolute path: /home/alice/golf" in looked.stdout
    assert looked.returncode == 0  # nothing of it is on the site


def test_an_old_record_is_printed_and_exported_without_it(harness, here: Path, script: Path) -> None:
    play(harness, here, script)
    path = here / "runs" / "round_001" / "attempt_01" / "record.json"
    record = json.loads(path.read_text())
    record["overrides"] |= {"MY_API_TOKEN": "sekret123", "DB": "postgres://u:hunter2@db/x"}
    record["warnings"] = ["cannot read /home/alice/x/y.bin with sekret123"]
    del record["config_hash"]
    path.write_text(json.dumps(record))

    printed = [
        harness(*words, cwd=here).stdout
        for words in (("show", "1", "--json"), ("ls", "--json", "--full"), ("brief", "--json"))
    ]
    harness("export", "1", "--out", "exported", cwd=here)

    assert json.loads(printed[0])["record"]["overrides"]["MY_API_TOKEN"] == SECRET
    assert [secret for text in printed for secret in SECRETS if secret in text] == []
    assert (here / "exported" / "submission.json").is_file()
    assert held(here / "exported") == []


def test_the_log_of_a_written_submission_is_without_it(harness, here: Path, script: Path) -> None:
    size = "{5000 + os.path.getsize(__file__)}"
    lines = "print('MY_API_TOKEN=' + os.environ['MY_API_TOKEN'], 'postgres:/' + '/u:hun' + 'ter2@db/x')"
    code = SCRIPT.replace('print("using", os.environ.get("MY_API_TOKEN"), "and", ', f"{lines}\nprint(")
    code = code.replace(
        '"Total submission size int8+zlib: 6000 bytes"', f'f"Total submission size int8+zlib: {size} bytes"'
    )
    script.write_text(code)
    play(harness, here, script)
    who = ("--author", "A", "--github-id", "a", "--track", "non-record")

    done = harness("submit", "1", "--write", "submission", *who, cwd=here)

    assert done.returncode == 0, done.stdout
    log = (here / "submission" / "train_attempt1.log").read_text()
    assert f"MY_API_TOKEN={SECRET} postgres://{SECRET}@db/x\n" in log
    assert "…/model.pt" in log
    assert held(here / "submission") == []


def test_the_doctor_names_what_a_site_would_show(harness, here: Path, script: Path) -> None:
    play(harness, here, script)
    (here / "runs" / "round_001" / "notes.md").write_text(
        "## The Shot\n\nthe data lay in /mnt/nas/golf/data\n"
    )

    looked = harness("doctor", "--publish", "--json", cwd=here)

    groups = {group["group"]: group["findings"] for group in json.loads(looked.stdout)["groups"]}
    assert [finding["what"] for finding in groups["site"]] == [
        "holes/round_001.html: absolute path: /mnt/nas/golf/data"
    ]
    assert looked.returncode == 1


def test_what_was_left_out_is_asked_for_by_name(harness, here: Path, script: Path) -> None:
    play(harness, here, script)

    again = harness("run", "round_001", "--repeat", cwd=here)
    assert again.returncode == 2
    assert "MY_API_TOKEN was left out of the round.toml of round_001: it looked like a secret" in again.stderr
    assert "MY_API_TOKEN=VALUE" in again.stderr

    given = {"MY_API_TOKEN": "sekret123"}
    again = harness("run", "round_001", "--repeat", cwd=here, env=given)
    assert again.returncode == 0, again.stderr
    log = (here / "runs" / "round_001" / "attempt_02" / "train.log").read_text()
    assert "token of 9 letters" in log
    assert str(script.parent / "model.pt") in log
    assert held(here / "runs" / "round_001" / "attempt_02", "train.log", "launch.json") == []


def test_a_hole_is_played_again_as_it_was(harness, here: Path, script: Path) -> None:
    """`noise` plays from the record: paths are put back from round.toml, secrets are asked for."""
    script.write_text(SCRIPT.replace("steps =", 'seed = int(os.environ.get("SEED", 1))\nsteps ='))
    play(harness, here, script)

    refused = harness("noise", "1", "--seeds", "2", cwd=here)
    assert "MY_API_TOKEN was left out of the record of round_001" in refused.stderr

    played = harness("noise", "1", "--seeds", "2", cwd=here, env={"MY_API_TOKEN": "sekret123"})
    assert played.returncode == 0, played.stderr
    assert str(script.parent / "model.pt") in (here / "runs/round_001/attempt_02/train.log").read_text()


def test_a_run_that_was_played_is_known_though_its_places_are_left_out(
    harness, here: Path, script: Path
) -> None:
    play(harness, here, script)

    assert play(harness, here, script).returncode == 15
    other = script.parent.parent / "model.pt"
    other.write_bytes(b"other weights")
    words = (
        "run",
        "round_001",
        "--script",
        str(script),
        "-o",
        "MY_API_TOKEN=sekret123",
        "-o",
        f"INIT_FROM={other}",
    )
    refused = harness(*words, cwd=here)  # other weights are another configuration
    assert (refused.returncode, "INIT_FROM" in refused.stderr) == (2, True)


def test_a_bundle_asks_for_its_secret_over_there(harness, here: Path, script: Path) -> None:
    play(harness, here, script, "--emit", "bundle")
    start = ["bash", "bundle/run.sh"]
    env = {name: value for name, value in os.environ.items() if name != "MY_API_TOKEN"}
    env["PYTHON"] = sys.executable

    refused = subprocess.run(start, cwd=here, env=env, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "MY_API_TOKEN was left out of this bundle" in refused.stderr

    env["MY_API_TOKEN"] = "sekret123"
    subprocess.run(start, cwd=here, env=env, capture_output=True, text=True, check=True)
    assert "token of 9 letters" in (here / "bundle" / "result" / "run" / "train.log").read_text()
    harness("import", "--pull", "bundle", cwd=here)
    attempt = here / "runs" / "round_002" / "attempt_01"
    assert json.loads((attempt / "record.json").read_text())["val_bpb"] == 1.2243657
    assert held(attempt, "train.log") == []


def test_a_token_in_the_code_goes_into_no_bundle_and_no_submission(harness, here: Path, script: Path) -> None:
    token = "hf_" + "aB3dE5gH1jK7mN9pQ2sT4vW6yZ8bC0aB3d"
    script.write_text(f"{SCRIPT}\nlogin = '{token}'\n")
    played = play(harness, here, script)
    assert played.returncode == 0

    refused = play(harness, here, script, "--repeat", "--emit", "bundle")
    line = script.read_text().count("\n")
    assert f"t.py line {line} holds what looks like a Hugging Face token" in refused.stderr
    assert not (here / "bundle").exists()
    checked = harness("submit", "1", "--write", "out", "--author", "A", "--github-id", "a", cwd=here)
    assert "holds what looks like a Hugging Face token" in checked.stdout
    assert not (here / "out").exists()


def test_a_script_is_shown_by_its_name_wherever_it_lies(harness, tmp_path: Path, script: Path) -> None:
    """Typed whole, from a folder above it: the page must not say through which folders the way goes."""
    played = harness("run", "round_001", "--script", str(script), "--course", "fineweb", cwd=tmp_path)
    assert played.returncode == 0, played.stderr

    harness("publish", "--runs", "runs", "--out", "site", "--no-pictures", cwd=tmp_path)

    assert held(tmp_path / "site") == []
    assert "--script t.py" in (tmp_path / "site" / "holes" / "round_001.html").read_text()
    assert harness("run", "round_001", "--repeat", cwd=tmp_path).returncode == 0


def test_a_secret_in_the_words_about_a_hole_is_warned_of_and_kept_nowhere(harness, here, script) -> None:
    token = "hf_" + "aB3dE5gH7j" * 4
    played = play(harness, here, script, "--title", f"try {token}", "--hypothesis", f"{token} helps")

    for what in ("the title", "the hypothesis"):
        assert f"{what} holds what looks like a secret" in played.stderr
    texts = [path.read_bytes() for path in (here / "runs").rglob("*") if path.is_file()]
    assert texts
    assert not any(token.encode() in text for text in texts)
