"""Each way to fail has a name of its own, told from the last lines of a log."""

import json
import re
import sys
from typing import get_args

import pytest

from harness.records.failures import FailureKind
from harness.records.record import RunRecord
from harness.run.result import HINTS, SCRIPT_HINTS, hint_for, name_failure

HEAD = "Traceback (most recent call last):"
FRAME = '  File "/runs/round_001/attempt_01/source/train_gpt.py", line 7, in <module>'
PROGRAM = (
    '  File "/usr/lib/python3.11/subprocess.py", line 548, in run',
    '  File "/usr/lib/python3.11/subprocess.py", line 1955, in _execute_child',
    "    raise child_exception_type(errno_num, err_msg, err_filename)",
)
NO_FILE = "FileNotFoundError: [Errno 2] No such file or directory: "


def last(*lines):
    return (HEAD, FRAME, *lines)


@pytest.mark.parametrize(
    ("tail", "kind", "message"),
    [
        (last("RuntimeError: CUDA is required"), "no_gpu", None),
        (last("RuntimeError: No CUDA GPUs are available"), "no_gpu", None),
        (last("RuntimeError: Found no NVIDIA driver on your system. Please check"), "no_gpu", None),
        (last("AssertionError: Torch not compiled with CUDA enabled"), "no_gpu", None),
        (last("ValueError: ProcessGroupNCCL is only supported with GPUs, no GPUs found!"), "no_gpu", None),
        (last("RuntimeError: CUDA error: invalid device ordinal"), "no_gpu", None),
        (last("    assert torch.cuda.is_available()", "AssertionError"), "no_gpu", None),
        (last("RuntimeError: Distributed package doesn't have NCCL built in"), "no_gpu", None),
        (last("RuntimeError: [metal::load_device] No Metal device available."), "no_gpu", None),
        (("loading", "CUDA is required"), "no_gpu", "CUDA is required"),  # sys.exit("CUDA is required")
        (last("RuntimeError: the run cannot start", "This script requires a CUDA GPU."), "no_gpu", None),
        (last("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory", None),
        (last("RuntimeError: CUDA error: device-side assert triggered"), "error", None),
        (last(*PROGRAM, f"{NO_FILE}'no-such-smi'"), "missing_program", None),
        (last(f"{NO_FILE}'shards/fineweb_train_000000.bin'"), "missing_data", None),
        (("cannot do", f"{NO_FILE}'nvidia-smi'"), "missing_program", None),
        (
            last("subprocess.CalledProcessError: Command 'nvidia-smi' returned non-zero exit status 127."),
            "missing_program",
            None,
        ),
        (
            (
                "sh: 1: nvidia-smi: not found",
                *last("RuntimeError: mat1 and mat2 shapes differ"),
            ),
            "error",
            "RuntimeError: mat1 and mat2 shapes differ",
        ),
        (("step:1/2 train_loss:3.1", "sh: 1: nvidia-smi: not found"), "missing_program", None),
        (last("    x = f'{d['a']}'", "SyntaxError: f-string: unmatched '['"), "wrong_python", None),
        ((HEAD, '  File "<string>", line 1', "SyntaxError: invalid syntax"), "error", None),
        (last("ImportError: cannot import name 'override' from 'typing' (typing.py)"), "wrong_python", None),
        (last("RuntimeError: Python 3.12 or newer is required"), "wrong_python", None),
        (last("ModuleNotFoundError: No module named 'flash_attn'"), "missing_module", None),
        (
            last(
                "ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
            ),
            "missing_module",
            None,
        ),
        (
            last(f"{NO_FILE}'a.bin'", "During handling of the above exception", *last("KeyError: 'a'")),
            "error",
            "KeyError: 'a'",
        ),
        (("[rank0]: " + HEAD, "[rank0]: RuntimeError: CUDA is required"), "no_gpu", None),
    ],
)
def test_kind_is_told_by_the_line_that_ended_the_program(tail, kind, message):
    failure = name_failure(tail)

    assert (failure.kind, failure.last_lines) == (kind, tail)
    assert failure.message in " ".join(tail)
    if message is not None:
        assert failure.message == message


@pytest.mark.parametrize(
    ("script", "kind", "hint"),
    [
        ('raise RuntimeError("CUDA is required")', "no_gpu", "`harness run round_001 --emit DIR`"),
        ('import subprocess; subprocess.run(["no-such-smi"])', "missing_program", "install the program"),
        ('import subprocess; subprocess.run(["true"], cwd="not_here")', "error", "'not_here'"),
        (
            'open("shards/train_000000.bin", "rb")',
            "missing_data",
            "check where the script looks for its data",
        ),
        (
            "import sys\nfor rank in (0, 1):\n"
            '    print(f"[rank{rank}]: Traceback (most recent call last):", file=sys.stderr)\n'
            '    print(f"[rank{rank}]: RuntimeError: shapes differ", file=sys.stderr)\n'
            "sys.exit(1)",
            "error",
            "error: RuntimeError: shapes differ",
        ),
    ],
)
def test_a_script_that_fails_has_its_kind_and_a_hint(script, kind, hint, harness, tmp_path):
    (tmp_path / "train_gpt.py").write_text(script + "\n")

    done = harness("run", "round_001", "--script", "train_gpt.py")

    record = json.loads((tmp_path / "runs/round_001/attempt_01/record.json").read_text())
    assert (done.returncode, record["failure"]["kind"]) == (10, kind)
    assert hint in " ".join(done.stdout.replace("│", " ").split())


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "import torch\nif not torch.cuda.is_available():\n    raise RuntimeError('CUDA is required')\n",
            "train_gpt.py line 2 needs CUDA",
        ),
        (
            'import subprocess\nsubprocess.run(["no-such-smi"])\n',
            "train_gpt.py line 2 starts no-such-smi, which is not on PATH",
        ),
        ("import no_such_module\n", "has no no_such_module"),
    ],
)
def test_what_this_machine_lacks_is_said_before_the_run(script, message, harness, tmp_path):
    (tmp_path / "train_gpt.py").write_text(script)

    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    planned = harness("run", "1", "--script", "train_gpt.py", "--dry-run", "--json", env=hidden)
    emitted = harness("run", "1", "--script", "train_gpt.py", "--emit", "bundle", env=hidden)
    examined = harness("doctor", "2", "--script", "train_gpt.py", env=hidden)

    assert planned.returncode == 0
    assert any(message in text for text in json.loads(planned.stdout)["warnings"])
    assert message in planned.stderr
    assert message in examined.stdout
    assert message not in emitted.stderr  # another machine may have it


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python reads the script")
def test_script_for_a_newer_python_is_refused_and_can_be_forced(harness, tmp_path):
    (tmp_path / "train_gpt.py").write_text('x = {"a": 1}\nprint(f"{x["a"]}")\n')

    refused = harness("run", "1", "--script", "train_gpt.py")
    assert (refused.returncode, (tmp_path / "runs").exists()) == (1, False)
    assert "the script needs Python 3.12: train_gpt.py line 2 has" in refused.stderr
    assert "--python PATH" in refused.stderr

    forced = harness("run", "1", "--script", "train_gpt.py", "--allow-missing")
    record = json.loads((tmp_path / "runs/round_001/attempt_01/record.json").read_text())
    assert (forced.returncode, record["failure"]["kind"]) == (10, "wrong_python")
    assert "--python PATH" in forced.stdout


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_a_hint_names_no_knob_that_the_script_lacks(kind):
    record = {
        "schema": 2,
        "hole": "round_001",
        "attempt": 1,
        "course": "fineweb",
        "status": "failed",
        "seed": 1,
    }
    record |= {"failure": {"kind": kind, "message": "it ended"}, "code": {"trainer": "train.py"}}
    named = re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b", SCRIPT_HINTS.get(kind, HINTS[kind]))

    plain = hint_for(RunRecord.model_validate(record))
    full = hint_for(RunRecord.model_validate(record | {"config": dict.fromkeys(named, "1")}))

    assert re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b", plain) == []
    assert re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)+\b", full) == named
    assert plain
