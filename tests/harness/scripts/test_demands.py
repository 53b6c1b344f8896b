"""What a script needs of its machine is read off its text; what it can do without is no demand."""

from __future__ import annotations

import pytest

from harness.scripts.demands import Demand, read_demands

UPSTREAM = """
import os, subprocess, torch
def log(text): print(text)
def main():
    distributed = "RANK" in os.environ
    if not torch.cuda.is_available():
        raise RuntimeError("CUDA is required")
    device = torch.device("cuda", 0)
    log(subprocess.run(["nvidia-smi"], stdout=subprocess.PIPE, check=False).stdout)
if __name__ == "__main__":
    main()
"""


def test_the_line_that_ends_a_run_without_cuda_is_named() -> None:
    demands = read_demands({"train_gpt.py": UPSTREAM})

    assert demands.cuda == Demand(
        "if not torch.cuda.is_available(): raise RuntimeError('CUDA is required')", 6, "train_gpt.py"
    )
    assert demands.programs == (Demand("nvidia-smi", 9, "train_gpt.py"),)
    assert demands.python is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("assert torch.cuda.is_available(), 'no'", "assert torch.cuda.is_available()"),
        ("assert a and torch.cuda.device_count() >= 1", "assert a and torch.cuda.device_count() >= 1"),
        ("model = make().cuda()", "make().cuda()"),
        ("torch.cuda.set_device(0)", "torch.cuda.set_device(0)"),
        ("x = torch.zeros(3, device='cuda')", "torch.zeros(3, device='cuda')"),
        ("x = y.to(f'cuda:{rank}')", "y.to(f'cuda:{rank}')"),
        ("if rank == 0:\n    x = y.to('cuda')", "y.to('cuda')"),
        (
            "class M:\n    def __init__(self):\n        self.x = torch.ones(1).cuda()\nm = M()",
            "torch.ones(1).cuda()",
        ),
    ],
)
def test_code_that_cannot_do_without_cuda_is_a_demand(text: str, what: str) -> None:
    cuda = read_demands(f"import torch\n{text}\n").cuda

    assert cuda is not None
    assert cuda.what == what


@pytest.mark.parametrize(
    "text",
    [
        "device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "if torch.cuda.is_available():\n    torch.cuda.synchronize()\n    x = y.cuda()",
        "assert ddp or not torch.cuda.is_available()",
        "def unused(x):\n    return x.cuda()",
        "if ddp:\n    torch.cuda.set_device(1)",
        "with torch.autocast(device_type='cuda'):\n    pass\nscaler = torch.amp.GradScaler(device='cuda')",
        "torch.cuda.manual_seed(1)\nx = torch.cuda.is_available() and y.cuda()",
        "try:\n    x = y.cuda()\nexcept RuntimeError:\n    x = y",
    ],
)
def test_code_with_a_way_around_cuda_is_no_demand(text: str) -> None:
    assert read_demands(f"import torch\n{text}\n").cuda is None


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("rank = int(os.environ['RANK'])", "RANK"),
        ("device = f\"cuda:{os.environ['LOCAL_RANK']}\"", "LOCAL_RANK"),
        ("rank = int(os.environ['RANK']) if 'RANK' in os.environ else 0", None),
        ("if 'RANK' in os.environ:\n    rank = int(os.environ['RANK'])", None),
        ("os.environ['RANK'] = '0'", None),
        ("os.environ.setdefault('RANK', '0')\nrank = int(os.environ['RANK'])", None),
    ],
)
def test_a_variable_that_only_a_launcher_sets_is_named(text: str, variable: str | None) -> None:
    launcher = read_demands(f"import os\n{text}\n").launcher

    assert (launcher and launcher.what) == variable


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("subprocess.check_output(['git', 'rev-parse', 'HEAD'])", ["git"]),
        ("subprocess.run('zstd -9 model.bin', shell=True, check=True)", ["zstd"]),
        ("TOOL = 'zstd'\nsubprocess.run([TOOL, '-9'])", ["zstd"]),
        ("if master_process:\n    subprocess.run(['nvidia-smi'])", ["nvidia-smi"]),
        ("subprocess.run('zstd -9 model.bin', shell=True)", []),
        ("subprocess.run([sys.executable, 'other.py'])", []),
        ("try:\n    subprocess.run(['nvidia-smi'])\nexcept FileNotFoundError:\n    pass", []),
        ("if shutil.which('nvidia-smi'):\n    subprocess.run(['nvidia-smi'])", []),
        ("subprocess.run(['./beside.sh'])", []),
    ],
)
def test_programs_that_a_script_cannot_do_without_are_named(text: str, names: list[str]) -> None:
    programs = read_demands(f"import shutil, subprocess, sys\n{text}\n").programs

    assert [demand.what for demand in programs] == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('import os\nprint(f"{x["a"]}")', "needs Python 3.12: a.py line 2 has an f-string in the newer form"),
        ("from itertools import batched", "needs Python 3.12: a.py line 1 has itertools.batched"),
        ('# requires-python = ">=3.13"\nimport os', "needs Python 3.13: a.py line 1 has `requires-python`"),
        ("try:\n    import tomllib\nexcept ImportError:\n    tomllib = None", "None"),
    ],
)
def test_the_python_that_a_script_needs_is_named_with_the_line(text: str, said: str) -> None:
    assert str(read_demands({"a.py": text}).python) == said
