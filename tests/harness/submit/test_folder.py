"""`harness check FOLDER`: bytes, local code and files of a submission folder, of other people's above all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

PLAIN, PACKED = 90_000, 30_000  # bytes of one script as it is written, and packed
HEAD = "val_loader:shards tokens:62021632\nworld_size:8\nseed:1\n"
STEP = "step:100/100 val_loss:2.0700 val_bpb:1.2260 train_time:599000ms step_avg:5990.00ms\n"
SCORE = "final_int8_zlib_roundtrip_exact val_loss:2.07000000 val_bpb:1.22598797 eval_time:20000ms\n"
SUBMISSION = {"name": "N", "author": "A", "github_id": "a", "date": "2026-03-18", "val_bpb": 1.22598797}
Check = Callable[..., dict[str, dict[str, str]]]


def sizes(model: int, **counts: int) -> str:
    """The size lines of a log; the last count of the code is the one in the total."""
    lines = [f"Code size{words and f' ({words})'}: {count} bytes" for words, count in _words(counts)]
    lines += [f"Serialized model int8+zlib: {model} bytes"]
    return "\n".join([*lines, f"Total submission size int8+zlib: {model + [*counts.values()][-1]} bytes\n"])


def _words(counts: dict[str, int]) -> list[tuple[str, int]]:
    return [("" if name == "plain" else name, count) for name, count in counts.items()]


def padded(source: str, size: int) -> str:
    return source + "#" * (size - len(source) - 1) + "\n"


@pytest.fixture
def check(harness: Callable, tmp_path: Path) -> Check:
    """Check a folder with these files; None leaves out one that is otherwise there."""

    def call(files: dict[str, str | None], log: str | None = None) -> dict[str, dict[str, str]]:
        folder = tmp_path / "folder"
        there = {
            "README.md": "words",
            "submission.json": json.dumps(SUBMISSION),
            "train_gpt.py": "import os\n",
            "train_seed1.log": None if log is None else HEAD + STEP + log + SCORE,
        } | files
        for name, text in there.items():
            if text is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
        done = harness("check", str(folder), "--json")
        assert done.stdout, done.stderr
        report = json.loads(done.stdout)
        assert done.returncode == (13 if report["compliant"] is False else 0)
        return {finding["rule"]: finding for finding in report["findings"]}

    return call


ROOM = 16_000_000 - 1
SIZES = {
    "fits as it lies here": (PLAIN, sizes(ROOM - PLAIN, plain=PLAIN), "pass", "headroom 1"),
    "packed in the log and here": (PACKED, sizes(ROOM - PACKED, plain=PACKED), "pass", f"code {PACKED:,}"),
    "packed here, both counts in the log": (
        PACKED,
        sizes(ROOM - PACKED, uncompressed=PLAIN, compressed=PACKED),
        "pass",
        'code 30,000 ("Code size (compressed)"), headroom 1',
    ),
    "fits even unpacked": (
        PLAIN,
        sizes(ROOM - PLAIN, uncompressed=PLAIN, compressed=PACKED),
        "pass",
        f'the 90,000 bytes of code in the folder, the log\'s "Code size (uncompressed)", it is {ROOM:,}',
    ),
    "log counts both": (
        PLAIN,
        sizes(ROOM - PACKED, uncompressed=PLAIN, compressed=PACKED),
        "cannot tell",
        'code 30,000 ("Code size (compressed)"); with the 90,000 bytes of code in the folder',
    ),
    "log counts the packed code alone": (
        PLAIN,
        sizes(ROOM - PACKED, plain=PACKED),
        "cannot tell",
        "it is 16,059,999, 60,000 bytes too many",
    ),
    "no total, but parts": (
        PLAIN,
        f"Code size: {PACKED} bytes\nSerialized model int8+zlib: {ROOM - PACKED} bytes\n",
        "cannot tell",
        f"model {ROOM - PACKED:,} + code {PACKED:,}",
    ),
    "a total without parts": (PLAIN, f"Total submission size: {ROOM - PLAIN} bytes\n", "pass", ""),
    "a total without parts and without room": (
        PLAIN,
        f"Total submission size: {ROOM - PACKED} bytes\n",
        "cannot tell",
        "it is 16,059,999",
    ),
    "packed here, plain in the log": (
        PACKED,
        sizes(ROOM - PACKED, plain=PLAIN),
        "cannot tell",
        f"60,000 bytes too many; with the 30,000 bytes of code in the folder it is {ROOM:,}",
    ),
    "too many by the log": (PLAIN, sizes(ROOM - PACKED, plain=PLAIN), "fail", "60,000 bytes too many"),
    "model alone": (100, sizes(ROOM + 1, plain=100), "fail", "101 bytes too many"),
    "model alone, no code": (
        100,
        f"Serialized model int8+zlib: {ROOM + 1} bytes\n",
        "fail",
        "+ code 100: 101 bytes",
    ),
    "no size": (100, "", "cannot tell", "no size is known"),
    "megabytes": (100, "Total submission size: 15.86 MB\n", "cannot tell", "size: 15.86 MB"),
}


@pytest.mark.parametrize("case", SIZES)
def test_size_is_what_the_log_counts_and_both_counts_are_shown(case: str, check: Check) -> None:
    script, log, outcome, words = SIZES[case]

    size = check({"train_gpt.py": padded("import os\n", script)}, log)["artifact size"]

    assert size["outcome"] == outcome, size["measured"]
    assert words in size["measured"]


def test_what_would_decide_an_open_size_is_said(check: Check) -> None:
    size = check({"train_gpt.py": padded("import os\n", PLAIN)}, sizes(ROOM - PACKED, plain=PACKED))

    assert "in at most 30,000 bytes" in size["artifact size"]["hint"]
    assert size["local code"]["outcome"] == "cannot tell"


BESIDE = {
    "executed": ("exec(open('real.py').read())\n", "fail"),
    "executed in a function": ("def main():\n    runpy.run_path('real.py')\n", "fail"),
    "imported": ("from real import train\n", "fail"),
    "imported in a function": ("def main():\n    import real\n", "cannot tell"),
    "only named": ("print('made by', 'real.py')\n", "cannot tell"),
}


@pytest.mark.parametrize("case", BESIDE)
def test_file_beside_that_is_not_counted_fails_where_it_surely_runs(case: str, check: Check) -> None:
    source, outcome = BESIDE[case]
    log = sizes(ROOM - PACKED, plain=len(source))

    results = check({"train_gpt.py": source, "real.py": padded("x = 1\n", PLAIN)}, log)

    assert results["local code"]["outcome"] == results["artifact size"]["outcome"] == outcome
    assert "real.py" in results["local code"]["measured"]
    if outcome == "cannot tell":
        assert "whether real.py take part decides" in results["artifact size"]["hint"]
    assert results["network"]["outcome"] == "pass", results["network"]["measured"]


def test_executed_file_that_changed_a_little_since_is_another_version(check: Check) -> None:
    source = "exec(open('real.py').read())\n"
    log = sizes(15_000_000, plain=len(source) + PLAIN - 50)

    code = check({"train_gpt.py": source, "real.py": padded("x = 1\n", PLAIN)}, log)["local code"]

    assert (code["outcome"], "another version" in code["hint"]) == ("cannot tell", True)


def test_count_of_all_code_in_another_form_counts_it(check: Check) -> None:
    """The log counts the script and its module plain, and takes the packed count for the total."""
    source = "import real\n"
    log = sizes(15_000_000, uncompressed=len(source) + PLAIN, compressed=PACKED)

    code = check({"train_gpt.py": source, "real.py": padded("x = 1\n", PLAIN)}, log)["local code"]

    assert (code["outcome"], '"Code size (uncompressed)" 90,012' in code["measured"]) == ("pass", True)


def test_script_here_is_held_against_the_log_of_its_own_version(check: Check) -> None:
    older = HEAD.replace("seed:1", "seed:2") + STEP + sizes(15_000_000, plain=PACKED) + SCORE

    script = padded("import os\n", PLAIN)
    results = check({"train_gpt.py": script, "train_seed2.log": older}, sizes(15_000_000, plain=PLAIN))

    assert results["local code"]["outcome"] == results["artifact size"]["outcome"] == "pass"


def test_log_over_the_cap_that_is_not_behind_the_claim_is_named(check: Check) -> None:
    first = HEAD + STEP + sizes(ROOM, plain=10) + SCORE.replace("1.22598797", "1.31").replace("2.07", "2.21")

    size = check({"train_seed1_first.log": first}, sizes(15_000_000, plain=10))["artifact size"]

    assert size["outcome"] == "pass"
    assert size["measured"].endswith("train_seed1_first.log, 16,000,009 bytes, is not counted")


def test_code_for_a_newer_python_is_read(check: Check) -> None:
    source = 'import os, urllib.request\nprint(f"{os.environ.get("SEED", "1")} {", ".join([])}")\n'

    results = check({"train_gpt.py": source}, sizes(15_000_000, plain=len(source)))

    assert results["local code"]["outcome"] == "pass"
    assert results["network"]["measured"] == "train_gpt.py line 1 imports urllib.request"


WITHOUT_LOG = {
    "no log": ({}, "no log shows a run"),
    "no submission file": ({"submission.json": None}, "submission.json is missing; no log shows a run"),
    "nothing": (
        {"submission.json": None, "train_gpt.py": None},
        "submission.json is missing; train_gpt.py is missing; no log shows a run",
    ),
    "a log of a crash": ({"train.log": HEAD + STEP + sizes(ROOM + 1, plain=10)}, "1 log, none with a score"),
    "a note": ({"notes.txt": "we tried a lot"}, "no log shows a run"),
}


@pytest.mark.parametrize("case", WITHOUT_LOG)
def test_folder_without_a_score_gets_every_rule(case: str, check: Check) -> None:
    files, said = WITHOUT_LOG[case]

    results = check(files)

    assert results["submission files"]["outcome"] == "fail"
    assert results["submission files"]["measured"] == said
    others = {rule: found["outcome"] for rule, found in results.items() if rule != "submission files"}
    assert len(others) == 12
    assert set(others.values()) <= {"cannot tell", "pass", "please attest"} or case == "a log of a crash"
    assert others["log proves the claim"] == others["seeds"] == others["significance"] == "cannot tell"
    assert (others["artifact size"] == "fail") is (case == "a log of a crash")


@pytest.mark.parametrize(("total", "outcome"), [(16_000_000, "fail"), (15_000_000, "cannot tell")])
def test_size_that_only_the_submission_file_claims_never_passes(
    total: int, outcome: str, check: Check
) -> None:
    claim = json.dumps(SUBMISSION | {"bytes_total": total, "seed_results": {"1": {"artifact_bytes": 5}}})

    size = check({"submission.json": claim})["artifact size"]

    assert (size["outcome"], size["measured"].startswith(f"{total:,} bytes")) == (outcome, True)


FILES = {
    "as asked": ({}, "pass", "all there, 1 log"),
    "other letters": (
        {"README.md": None, "README.MD": "words"},
        "pass",
        "all there, 1 log; README.MD for README.md",
    ),
    "another script": (
        {"train_gpt.py": None, "train_gpt_sota.py": "import os\n", "prepare.py": "x = 1\n"},
        "pass",
        "all there, 1 log; train_gpt_sota.py for train_gpt.py",
    ),
    "two scripts": (
        {"train_gpt.py": None, "train_gpt_a.py": "import os\n", "train_gpt_b.py": "x = 1\n"},
        "fail",
        "train_gpt.py is missing",
    ),
    "another submission file": (
        {"submission.json": None, "submission_fast.json": json.dumps(SUBMISSION)},
        "pass",
        "all there, 1 log; submission_fast.json for submission.json",
    ),
    "one folder down": (
        {"submission.json": None, "results/submission.json": json.dumps(SUBMISSION)},
        "cannot tell",
        "submission.json lies in results/",
    ),
    "empty": ({"README.md": ""}, "fail", "README.md is empty"),
    "not JSON": ({"submission.json": "{"}, "fail", "submission.json is not JSON"),
    "left out": ({"README.md": None}, "fail", "README.md is missing"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_are_found_by_their_names_or_like_ones(case: str, check: Check) -> None:
    files, outcome, said = FILES[case]

    found = check(files, sizes(15_000_000, plain=10))

    assert found["submission files"]["outcome"] == outcome, found["submission files"]["measured"]
    assert found["submission files"]["measured"].startswith(said)
    if case in ("another script", "one folder down"):
        assert found["local code"]["outcome"] == found["log proves the claim"]["outcome"] == "pass"


def test_folder_is_found_without_a_slash(harness: Callable, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    done = harness("check", "mine", "--json")

    assert (done.returncode, json.loads(done.stdout)["subject"]) == (13, "mine")


@pytest.mark.parametrize(
    ("submission", "outcome"),
    [
        ({"seeds": [1]}, "pass"),
        ({"seeds": [1, 2]}, "fail"),
        ({"seeds": [1, 2], "track": "non-record-16mb"}, "cannot tell"),
        ({"seeds": [1, 2], "pr": 42}, "cannot tell"),  # a row of the table: accepted as it is
    ],
)
def test_a_log_per_seed_is_a_required_file(submission: dict, outcome: str, check: Check) -> None:
    files = {"submission.json": json.dumps(SUBMISSION | submission)}

    result = check(files, sizes(15_000_000, plain=60))["submission files"]

    assert result["outcome"] == outcome, result["measured"]
    assert ("no log of seed 2" in result["measured"]) is (outcome != "pass")


def test_a_record_of_the_table_needs_no_log_to_stay_in_it(check: Check) -> None:
    result = check({"submission.json": json.dumps(SUBMISSION | {"pr": 42})})["submission files"]

    assert result["outcome"] == "cannot tell"
    assert result["measured"] == "no log shows a run; the table lists it all the same"


def test_a_file_or_no_folder_is_said_to_be_one(harness: Callable, tmp_path: Path) -> None:
    (tmp_path / "train.log").write_text(STEP)

    file, nothing = harness("check", "train.log"), harness("check", "records/nothing")

    assert (file.returncode, nothing.returncode) == (2, 2)
    assert "train.log is a file\nhint: name the folder" in file.stderr
    assert "there is no folder records/nothing" in nothing.stderr
