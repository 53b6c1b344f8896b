"""The command line with the fake trainer (`fake_trainer.py`) in place of the real one.

    python -m tests.fake.command_line run round_001 ...

`call` runs it in this process, which is the fastest; a process of its own can be interrupted and killed.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from subprocess import CompletedProcess
from unittest import mock

from harness import cli
from harness.run import builtin, command
from tests.paths import DATA, ROOT

CODE_BYTES = 40_000  # of the script that would be handed in; writing the real one takes a while
PARITY = DATA / "parity"
# The smallest settings, on data that lies in the repository: nothing has to be prepared.
SMALL = (
    *("--course", "fineweb", "--preset", "tiny", "-o", "THREADS=1", "-o", "ITERATIONS=5"),
    *("-o", f"DATA_PATH={PARITY}", "-o", f"TOKENIZER_PATH={PARITY / 'stdlib_1024_bpe.model'}"),
)


@contextlib.contextmanager
def fake_trainer() -> Iterator[None]:
    """Let the harness start the fake trainer for a while."""
    with (
        mock.patch.object(command, "TRAINER", str(ROOT / "tests" / "fake" / "fake_trainer.py")),
        mock.patch.object(builtin, "submission_script", return_value=bytes(CODE_BYTES)),
    ):
        yield


def call(*words: str) -> CompletedProcess[str]:
    """Run the command line in this process and return what it printed and how it ended."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        fake_trainer(),
        mock.patch.object(sys, "argv", ["harness", *words]),
        mock.patch.object(sys, "orig_argv", [sys.executable, "-m", "harness", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
    return CompletedProcess(list(words), code, out.getvalue(), err.getvalue())


if __name__ == "__main__":
    with fake_trainer():
        cli.main()
