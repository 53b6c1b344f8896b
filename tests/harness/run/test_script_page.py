"""docs/script.md: its script, its lines and its refusals, as `harness run` sees them."""

import json
import math
import re
import shlex

import pytest

from tests.paths import ROOT

PAGE = (ROOT / "docs" / "script.md").read_text(encoding="utf-8")
(SCRIPT,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(LOG,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
LINES = re.findall(r"^\| `(.+?)` \| ", PAGE.partition("## Settings")[0], re.MULTILINE)
REFUSED = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", PAGE.partition("## What is refused")[2], re.MULTILINE)


@pytest.fixture
def here(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "printed.py").write_text(f"print({LOG!r})\n")
    return tmp_path


def load(here, attempt="attempt_01"):
    (folder,) = here.glob(f"runs/round_001*/{attempt}")
    points = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    return json.loads((folder / "record.json").read_text()), points


def test_script_of_the_page_gets_score_bytes_curve_seeds_and_settings(here, harness):
    command = next(line for line in PAGE.splitlines() if line.startswith("harness run 1 "))

    done = harness(*shlex.split(command)[1:])

    assert done.returncode == 0, done.stderr
    for attempt, seed in (("attempt_01", 1), ("attempt_02", 2)):
        record, points = load(here, attempt)
        assert (record["seed"], record["config"]["SEED"], record["overrides"]) == (
            seed,
            str(seed),
            {"LR": "0.3"},
        )
        assert record["val_bpb"] == pytest.approx(record["val_loss"] / math.log(2), abs=1e-7)
        assert record["official"]["stage"] == "round_trip"
        assert record["code_bytes"] == len(SCRIPT.encode())
        assert record["artifact_bytes"] == record["code_bytes"] + record["produced"]["final_model.int8.ptz"]
        assert record["data"]["val_tokens"] == len(SCRIPT.encode())
        assert (record["steps"], record["planned_steps"]) == (200, 200)
        assert record["step_ms"] >= 0
        assert [point["step"] for point in points] == list(range(1, 201))
        assert record["last_train_loss"] == points[-1]["train_loss"]


def test_lines_of_the_page_fill_the_fields_that_it_names(here, harness):
    assert all(any(line in printed for printed in LOG.splitlines()) for line in LINES)

    done = harness("run", "1", "--title", "Lines", "--script", "printed.py")

    assert done.returncode == 0, done.stderr
    record, points = load(here)
    known = {name: record[name] for name in ("params", "seed", "steps", "planned_steps", "last_train_loss")}
    assert known == {
        "params": 17059912,
        "seed": 42,
        "steps": 500,
        "planned_steps": 500,
        "last_train_loss": 2.431,
    }
    assert (record["train_seconds"], record["step_ms"], record["eval_seconds"]) == (115.5, 231.0, 1.4)
    assert record["peak_memory_bytes"] == 10239 * 2**20
    assert record["model_bytes"] == 13_630_000
    assert record["data"]["val_tokens"] == 62021846
    assert (record["val_bpb"], record["val_loss"]) == (1.4168, 2.3921)
    assert (record["split"], record["status"]) == ("current", "ok")  # known by its number of bytes
    assert {score["stage"]: score["val_bpb"] for score in record["scores"]}["pre_quantization"] == 1.4141
    assert sorted((point["step"], "val_bpb" in point) for point in points) == [
        (1, False),
        (500, False),
        (500, True),
    ]


@pytest.mark.parametrize(("words", "answer"), REFUSED)
def test_what_the_page_says_is_refused_is_refused_before_anything_is_written(words, answer, here, harness):
    script = () if "--script" in words else ("--script", "train.py")

    done = harness("run", "1", "--title", "Own Script", *script, *shlex.split(words))

    assert done.returncode == 2
    assert answer in done.stderr
    assert "hint: " in done.stderr
    assert not (here / "runs").exists()


def test_page_has_refusals_and_lines():
    assert (len(REFUSED), len(LINES)) == (10, 8)
