"""Lines that begin like Python, and the source code that scripts print of themselves."""

from __future__ import annotations

import pytest

from harness.field.log_parser import LogParser, ParsedLog, parse_lines
from tests.paths import ROOT

STEPS = [f"step:{i}/3 train_loss:5.0000 train_time:{i}ms step_avg:1.00ms" for i in (1, 2, 3)]
SCORE = "final_int8_zlib_roundtrip_exact val_loss:2.07270000 val_bpb:1.22760000"
END = ["Serialized model int8+zlib: 15000 bytes", SCORE]
OTHER = "final_int8_zlib_roundtrip_exact val_loss:1.00000000 val_bpb:0.50000000"
LISTING = f'''\
"""A trainer, which prints at its end:
{OTHER}
Serialized model int8+zlib: 77 bytes
"""
import os
from typing import (
    Any,
)

seed = int(os.environ.get("SEED", 1))


@staticmethod
def show(bpb: float) -> None:
    """Print a line such as

    {OTHER}
    """
    print(f"final_int8_zlib_roundtrip_exact val_loss:1.0 val_bpb:{{bpb}}")


if seed:
    show(1.0)
else:
    pass
'''.splitlines()


def scores(log: ParsedLog) -> list[float]:
    return [line.val_bpb for run in log.runs for line in run.results]


def read(*lines: str) -> ParsedLog:
    log = parse_lines(lines)
    assert log.result is not None
    return log


@pytest.mark.parametrize(
    "line",
    [
        "import of flash_attn failed, using sdpa",
        "from cache import of 12 weights",
        "class weights(",
        "class weights: 3 loaded",
        "@rank0",
        '"""',
        "'''",
        '"""a remark that nobody closes',
        "def main(",
        "import torch",
        "#!/bin/bash",
        "async def loader",
        "if __name__ == main",
    ],
)
def test_a_line_like_python_hides_nothing(line: str) -> None:
    log = read(*STEPS, line, *END)
    assert (scores(log), log.runs[-1].bytes_model) == ([1.2276], 15000)

    assert scores(read(line, *STEPS, *END)) == [1.2276]
    assert scores(read(*STEPS, line, "loading the weights", line, *END)) == [1.2276]


@pytest.mark.parametrize("line", ["@rank0", '"""', "class weights("])
def test_the_last_line_without_a_newline_is_read(line: str) -> None:
    parser = LogParser()
    parser.feed("\n".join([*STEPS, line, *END, "total_eval_time:1.5s"]))

    assert scores(parser.close()) == [1.2276]


@pytest.mark.parametrize("line", ["@rank0", "class weights("])
def test_a_score_is_told_at_once(line: str) -> None:
    parser = LogParser()
    for text in (*STEPS, line):
        parser.feed_line(text)

    assert parser.feed_line(SCORE)


@pytest.mark.parametrize("rule", [["=" * 100, "Running Python 3.12.3"], ["=" * 100], []])
def test_a_listing_is_not_read(rule: list[str]) -> None:
    log = read(*LISTING, *rule, "model_params:1000", *STEPS, *END)

    assert scores(log) == [1.2276]
    assert log.runs[-1].bytes_model == 15000


@pytest.mark.parametrize("folder", ["harness", "trainer"])
def test_no_line_of_a_real_source_file_is_read(folder: str) -> None:
    for path in sorted((ROOT / folder).glob("**/*.py")):
        log = read(*path.read_text().splitlines(), "=" * 100, *STEPS, *END)
        assert (scores(log), log.runs[-1].bytes_model) == ([1.2276], 15000), path


def test_a_score_right_behind_a_listing_is_read() -> None:
    assert scores(read(*LISTING, *END)) == [1.2276]


def test_a_listing_without_its_beginning_is_not_read() -> None:
    log = read(*LISTING[LISTING.index('seed = int(os.environ.get("SEED", 1))') :], "=" * 100, *STEPS, *END)

    assert scores(log) == [1.2276]


@pytest.mark.parametrize("lines", range(5, len(LISTING), 3))
def test_the_run_behind_a_listing_that_breaks_off_is_read(lines: int) -> None:
    assert scores(read(*LISTING[:lines], "=" * 100, "Running Python 3.12.3", *STEPS, *END))[-1] == 1.2276
    assert scores(read(*LISTING[:lines], *STEPS, *END))[-1] == 1.2276


def test_a_long_run_behind_quotes_that_stay_open() -> None:
    steps = [f"step:{i}/900 train_loss:5.0000 train_time:{i}ms step_avg:1.00ms" for i in range(1, 901)]
    log = read('"""', *steps, *END)

    assert (log.runs[-1].train.count, scores(log)) == (900, [1.2276])


@pytest.mark.parametrize(
    "line", ["import torch", "x = 1", "loading 12 weights", '"""', "class a(!", "(" * 99, "(", "["]
)
@pytest.mark.timeout(60)
def test_a_megabyte_behind_a_listing(line: str) -> None:
    log = read(*STEPS, *LISTING, *[line] * (1_000_000 // (len(line) + 1)), *STEPS, *END)

    assert log.runs[-1].bytes_model == 15000
