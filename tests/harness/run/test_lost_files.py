"""Whatever a script does to its own files or to the disk, a record says what happened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STEP = "step:1/20 train_loss:5.0000 train_time:1ms step_avg:1.00ms"
SCORE = "final_int8_zlib_roundtrip_exact val_loss:2.07270000 val_bpb:1.22760000"
HARNESS = Path(sys.executable).with_name("harness")
DEEDS = {
    "log_removed": "os.remove('../train.log')",
    "log_made_a_link": "os.remove('../train.log'); os.symlink('/etc/passwd', '../train.log')",
    "log_made_a_folder": "os.remove('../train.log'); os.mkdir('../train.log')",
    "log_written_anew": "os.remove('../train.log'); open('../train.log', 'w').write('mine')",
    "launch_removed": "os.remove('../launch.json')",
    "source_removed": "shutil.rmtree('../source')",
    "folder_removed": "shutil.rmtree(os.path.dirname(os.getcwd()))",
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_script_that_removes_its_files_gets_a_record(play, tmp_path, record_of, deed):
    script = tmp_path / "train.py"
    script.write_text(
        f"import os, shutil\nprint({STEP!r}, flush=True)\n{DEEDS[deed]}\nprint({SCORE!r}, flush=True)\n"
    )

    done = play("run", "1", "--script", str(script), "--course", "fineweb")

    record = record_of()
    attempt = tmp_path / "runs" / "round_001" / "attempt_01"
    assert (attempt / "launch.json").is_file()
    assert not [path.name for path in attempt.iterdir() if path.name.endswith(".tmp")]
    if "source" not in deed and "folder_removed" not in deed:
        assert done.returncode == 0, done.stderr
        assert record["val_bpb"] == 1.2276
    assert not (attempt / "train.log").is_symlink()
    assert (attempt / "train.log").read_text() == f"{STEP}\n{SCORE}\n"


def in_small_disk(tmp_path: Path, script: str, *commands: str) -> subprocess.CompletedProcess[str]:
    """Run shell commands in a folder with a disk of 24 MB at `small`, where a season lies."""
    if not shutil.which("unshare") or subprocess.run(("unshare", "-m", "true"), check=False).returncode:
        pytest.skip("a disk of its own needs Linux and its administrator")
    (tmp_path / "small").mkdir()
    (tmp_path / "t.py").write_text(script)
    whole = "; ".join(("mount -t tmpfs -o size=24m tmpfs small", *commands))
    env = os.environ | {"HARNESS_CACHE": str(tmp_path / "cache"), "NO_COLOR": "1", "H": str(HARNESS)}
    return subprocess.run(
        ("unshare", "-m", "bash", "-c", whole),
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


FILL = (
    "import os\nprint('seed:1', flush=True)\nwith open('filler', 'wb', 0) as f:\n"
    "    while (v := os.statvfs('.')).f_bavail * v.f_bsize > ROOM:\n"
    "        f.write(b'x' * min(65536, v.f_bavail * v.f_bsize - ROOM))\n"
)
RUN = '"$H" run round_001 --runs small/runs --script t.py --course fineweb; echo "rc $?"'
LOOK = "ls -A small/runs/round_001/attempt_01; cat small/runs/round_001/attempt_01/record.json"


@pytest.mark.parametrize("lines", [400, 0])
def test_a_full_disk_is_called_so_once_there_is_room(tmp_path, lines):
    """The script fails, or ends well with its score in the log: only the record has no room."""
    script = FILL.replace("ROOM", "4096" if lines else "0")
    script += f"for i in range({lines}): print({STEP!r}, flush=True)\n"
    script = script if lines else f"print({STEP!r})\nprint({SCORE!r}, flush=True)\n{script}"

    done = in_small_disk(
        tmp_path,
        script.replace("print('seed:1', flush=True)\n", ""),
        RUN,
        "ls -A small/runs/round_001/attempt_01",
        "rm small/runs/round_001/attempt_01/work/filler",
        '"$H" resume round_001 --runs small/runs >/dev/null',
        LOOK,
    )

    before, after = done.stdout.split("rc 1\n")[1].split("record.json\n", 1)
    assert ".tmp" not in before
    assert "the disk is full" in done.stderr
    assert "`harness resume round_001 --attempt 1` writes it" in " ".join(done.stderr.split())
    record = json.loads(after[after.index("{") :])
    if lines:
        assert record["failure"]["kind"] == "disk_full"
        assert "TRAIN_BATCH_TOKENS" not in done.stderr
    else:
        assert (record["status"], record["val_bpb"]) == ("ok", 1.2276)
