"""Let every write of a command fail, one after the other: what is half written, lost or false afterwards.

    python -m benchmarks.faults [COMMAND ...] [--error ENOSPC] [--most N]

A layer over libc (failing_files.c; needs a C compiler, on Linux) counts what a command changes in its folder:
open to write, write, fsync, rename, mkdir, link, unlink, ftruncate and their like. Then the command is played
once for each of them, which fails: once, or with everything after it ("on"). `half` is a full disk that takes
half of a write. Afterwards the folder must hold the old state or the new one, the exit code must say
which, the error must name a file and the reason, and the next command must come to the new state and leave
nothing behind.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import importlib
import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness.errors import HarnessError
from harness.records.intent import load_decisions
from harness.records.leftovers import sweep
from harness.records.record import load_record
from harness.records.store import find_attempts
from harness.run.bundle.emit import load_bundle
from trainer.events import CurveLog, cut_curve
from trainer.files import write_whole

LAYER = Path(__file__).with_name("failing_files.c")
SEASON = Path(__file__).resolve().parent.parent / "tests" / "data" / "season"
SECONDS = 120  # after which a command counts as hanging
_MODULES = (  # imported once, before the forks
    "filelock",
    "harness.cli.commands",
    "harness.field.importing",
    "harness.publish.pages",
    "harness.records.leftovers",
    "harness.run.bundle.pull",
    "harness.run.play",
    "harness.run.resume",
    "harness.season.season",
    "harness.submit.export",
)
_ARMED = "BENCHMARK_FAILING_FILES"  # the layer, for the process that is started with it

STEPS = "".join(f"step:{i}/3 train_loss:2.{i}000 train_time:{i}ms step_avg:1.00ms\n" for i in (1, 2, 3))
LOG = (
    "model_params:1000\nseed:7\n"
    f"{STEPS}Serialized model int8+zlib: 5000 bytes\nCode size: 5000 bytes\n"
    "final_int8_zlib_roundtrip_exact val_loss:2.07269931 val_bpb:1.22436570\n"
)
SCRIPT = f"import os\nos.environ.get('ITERATIONS', '3')\nprint('''{LOG}''', end='')\n"
SUBMISSION = '{"name": "Second try", "author": "a", "val_bpb": 1.2243657, "date": "2026-03-20"}'
BPB = 1.2243657


class Fault(NamedTuple):
    """error: a name of `errno`. forever: all later changes fail, too. half: of the write, half is written."""

    error: str
    forever: bool = False
    half: bool = False

    @property
    def title(self) -> str:
        return f"{self.error}{' half' if self.half else ' on' if self.forever else ''}"


FAULTS = (
    Fault("ENOSPC"),
    Fault("ENOSPC", forever=True),
    Fault("ENOSPC", forever=True, half=True),
    Fault("EIO"),
    Fault("EIO", forever=True),
    Fault("EROFS", forever=True),
    Fault("EINTR"),
)


class _Plan(ctypes.Structure):
    """`struct plan` of failing_files.c."""

    _fields_ = (
        ("nth", ctypes.c_int),
        ("error", ctypes.c_int),
        ("forever", ctypes.c_int),
        ("partial", ctypes.c_int),
        ("count", ctypes.c_int),
        ("fired", ctypes.c_int),
        ("call", ctypes.c_char * 32),
        ("path", ctypes.c_char * 1024),
        ("at", ctypes.c_char * 128),
    )


@dataclass(frozen=True)
class Played:
    """How a command ended. count: changes of its folder. place: the call that failed, and its file."""

    exit_code: int
    stdout: str
    stderr: str
    count: int = 0
    place: str = ""


class Player:
    """Plays commands of the harness in forks of this process, which has imported it and the layer."""

    def __init__(self, at: str = "") -> None:
        self._at = at.encode()
        for name in _MODULES:
            importlib.import_module(name)
        self._shared = mmap.mmap(-1, ctypes.sizeof(_Plan))
        self._plan = _Plan.from_buffer(self._shared)
        layer = os.environ.pop(_ARMED, "")
        os.environ.pop("LD_PRELOAD", None)  # what a command starts is not to fail
        self._arm = ctypes.CDLL(layer).fault_arm if layer else None

    def play(
        self,
        folder: Path,
        words: Sequence[str] | Callable[[], None],
        nth: int = 0,
        fault: Fault | None = None,
    ) -> Played:
        """Play a command or a call in a folder; its change `nth` fails."""
        return self.call(folder, words if callable(words) else lambda: _run_command(words), nth, fault)

    def call(
        self, folder: Path, work: Callable[[], None], nth: int = 0, fault: Fault | None = None
    ) -> Played:
        plan = self._plan
        ctypes.memset(ctypes.addressof(plan), 0, ctypes.sizeof(plan))
        plan.at = self._at
        if fault is not None:
            plan.nth, plan.error = nth, getattr(errno, fault.error)
            plan.forever, plan.partial = fault.forever, fault.half
        child, outputs = self.start(folder, work)
        code = _wait(child)
        stdout, stderr = (path.read_text(errors="replace") for path in outputs)
        place = f"{plan.call.decode()} {plan.path.decode(errors='replace')}" if plan.fired else ""
        return Played(code, stdout, stderr, plan.count, place)

    def start(self, folder: Path, work: Sequence[str] | Callable[[], None]) -> tuple[int, list[Path]]:
        """Start a command or a call; return its process, and where its output and its errors go."""
        call = work if callable(work) else lambda: _run_command(work)
        outputs = [folder.with_name(f"{folder.name}.{stream}") for stream in ("stdout", "stderr")]
        child = os.fork()
        if child == 0:
            self._become_child(folder, outputs, call)
        return child, outputs

    def _become_child(self, folder: Path, outputs: Sequence[Path], work: Callable[[], None]) -> None:
        code = 70
        try:
            os.chdir(folder)
            for number, path in enumerate(outputs, start=1):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
            os.environ["HARNESS_CACHE"] = str(folder / "cache")
            if self._arm is not None:
                self._arm(ctypes.byref(self._plan), str(folder.resolve()).encode())
            work()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
        except BaseException:
            sys.excepthook(*sys.exc_info())  # as Python does when nobody catches it
        finally:
            with contextlib.suppress(OSError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _run_command(words: Sequence[str]) -> None:
    sys.argv = ["harness", *words]
    importlib.import_module("harness.cli.app").main()


def _wait(child: int) -> int:
    until = time.monotonic() + SECONDS
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGALRM
        time.sleep(0.002)


# What is seen afterwards ---------------------------------------------------------------------------


def visible(folder: Path) -> dict[str, bytes]:
    """Return what readers see of a season and a site, by the names of the files."""
    files = {}
    for top in ("runs", "site", "bundle", "handed_in"):
        for path in sorted((folder / top).rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and not re.search(r"(?:^|/)\.", name.removesuffix("/.harness-site")):
                files[name] = path.read_bytes()
    return files


def leftovers(folder: Path) -> list[str]:
    """Return what lies there that is no reader's, but for locks and the note on the last import."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob(".*"))]
    kept = re.compile(
        r"(?:.*/)?(?:\.session\.\d+\.json|\.last_import\.json|\.[a-z0-9.]*lock|site/\.harness-site|.*/\.nojekyll|cache/.*)"
    )
    return [name for name in names if not kept.fullmatch(name)]


def _is_error(played: Played, fault: Fault, folder: Path) -> list[str]:
    """What is wrong with the words that a failed command ends with: they name a file and the reason."""
    line = next((line for line in played.stderr.splitlines() if line.startswith("error: ")), "")
    reason = os.strerror(getattr(errno, fault.error))
    problems = [] if line else ["no error line"]
    if line and reason not in line:
        problems.append(f"no reason: {line}")
    if line and not re.search(r"(?:runs|site|cache|bundle|handed_in|attempt_|round_)", line):
        problems.append(f"no file: {line}")
    return problems


# Commands ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """A command or a call, the folder that it starts from, and what must hold afterwards.

    check: gets the folder, how the command ended, the visible files before and of an undisturbed command;
    returns what is wrong. again: the next command, after which the new state must be there.
    """

    words: tuple[str, ...] | Callable[[], None]
    prepare: Callable[[Player, Path], None]
    check: Callable[[Path, Played, dict[str, bytes], dict[str, bytes]], list[str]]
    again: Callable[[Player, Path], Played] | None = None
    is_new: Callable[[Path, dict[str, bytes]], list[str]] | None = None


def _old_or_new(folder: Path, played: Played, old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    found = visible(folder)
    if found not in (old, new):
        changed = sorted(name for name in {*found, *new} if found.get(name) != new.get(name))
        return [f"half a state: {changed[:4]}"]
    if played.exit_code == 0 and found != new:
        return ["exit code 0, and nothing was done"]
    if played.exit_code != 0 and found != old:
        return [f"exit code {played.exit_code}, and it was done"]
    return []


def _write_logs(player: Player, folder: Path) -> None:
    for name, seed in (("first", 7), ("logs/second", 8), ("logs/third", 9)):
        path = folder / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(LOG.replace("seed:7", f"seed:{seed}").replace("2.07269931", f"2.0726993{seed}"))


def _write_field_record(player: Player, folder: Path) -> None:
    (folder / "rec").mkdir()
    (folder / "rec" / "train_seed7.log").write_text(LOG)
    (folder / "rec" / "submission.json").write_text(SUBMISSION)


def _write_season(player: Player, folder: Path) -> None:
    for name in ("round_001_baseline", "round_006_fp16embed"):
        shutil.copytree(SEASON / name, folder / "runs" / name)


def _write_site(player: Player, folder: Path) -> None:
    _write_season(player, folder)
    _must(player.play(folder, ("publish", "--no-pictures", "--out", "site")))
    notes = folder / "runs" / "round_001_baseline" / "notes.md"
    notes.write_text("## The Shot\n\nAnother state.\n")


def _import_first(player: Player, folder: Path) -> None:
    _write_logs(player, folder)
    _must(player.play(folder, ("import", "first.log")))


def _write_script(player: Player, folder: Path) -> None:
    (folder / "short.py").write_text(SCRIPT)


def _play_without_record(player: Player, folder: Path) -> None:
    _write_script(player, folder)
    _must(player.play(folder, RUN))
    for name in ("record.json", "curve.jsonl"):
        (folder / "runs" / "round_001" / "attempt_01" / name).unlink()


def _play_bundle(player: Player, folder: Path) -> None:
    _write_script(player, folder)
    _must(player.play(folder, (*RUN, "--emit", "bundle")))
    command = ("bash", "bundle/run.sh")
    subprocess.run(
        command, cwd=folder, env=os.environ | {"PYTHON": sys.executable}, check=True, capture_output=True
    )
    shutil.rmtree(folder / "cache", ignore_errors=True)


def _check_decision(folder: Path, played: Played, old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    count = len(load_decisions(folder / "runs" / "round_001_first" / "decision.json").history)
    return [] if count == (played.exit_code == 0) else [f"{count} decisions, exit code {played.exit_code}"]


def _has_decision(folder: Path) -> list[str]:
    decided = load_decisions(folder / "runs" / "round_001_first" / "decision.json").newest
    return [] if decided else ["no decision"]


def _check_run(folder: Path, played: Played, old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    problems = _check_attempts(folder)
    kept = list((folder / "runs").glob("*/*/record.json"))
    if (played.exit_code == 0) != (len(kept) == 1):
        problems.append(f"exit code {played.exit_code}, {len(kept)} records")
    return problems


def _check_attempts(folder: Path) -> list[str]:
    """What is wrong with the attempts of a hole that the script was played in, with or without a record."""
    problems = []
    for attempt in find_attempts(folder / "runs" / "round_001"):
        if not attempt.launch_path.exists():
            problems.append("an attempt without launch.json")
        if not attempt.record_path.exists():
            continue
        try:
            record = load_record(attempt.record_path)
        except HarnessError as error:
            problems.append(f"unreadable record: {error.message}")
            continue
        if not attempt.log_path.exists() and record.status == "failed":
            continue  # it was never started
        if record.status != "ok" or record.val_bpb != BPB:
            why = record.failure.message if record.failure else ""
            problems.append(f"false record: {record.status} {record.val_bpb} {why}")
        points = attempt.curve_path.read_text().splitlines() if attempt.curve_path.exists() else []
        if len([json.loads(line) for line in points]) < 3:
            problems.append("points of the curve are lost")
    return problems


def _check_points(folder: Path, played: Played, old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    found = visible(folder)
    problems = []
    if (found == new) != (played.exit_code == 0):
        problems.append(f"exit code {played.exit_code}, and the files are {'old' if found == old else 'new'}")
    for name, content in found.items():
        is_part = name.endswith("curve.jsonl") and content[-1:] in (b"", b"\n")
        if content not in (old.get(name), new[name]) and not (is_part and new[name].startswith(content)):
            problems.append(f"{name} is half a file")
    return problems


def _write_points() -> None:
    """Write what the built-in trainer does: it begins a curve anew, logs, and keeps a checkpoint."""
    out = Path("runs", "round_001", "attempt_01")
    try:
        cut_curve(out / "curve.jsonl", 0)
        curve = CurveLog(out / "curve.jsonl")
        for step in range(1, 6):
            curve.log({"step": step, "train_loss": 2 + 1 / step})
        write_whole(out / "checkpoint.safetensors", b"weights" * 1000)
    except OSError as error:
        sys.exit(f"error: cannot write {out}: {error.strerror}")


def _write_old_points(player: Player, folder: Path) -> None:
    attempt = folder / "runs" / "round_001" / "attempt_01"
    attempt.mkdir(parents=True)
    (attempt / "curve.jsonl").write_text('{"step": 1, "train_loss": 9.0}\n')
    (attempt / "checkpoint.safetensors").write_bytes(b"older" * 100)


def _write_points_again(player: Player, folder: Path) -> Played:
    def work() -> None:
        sweep(Path("runs"))
        _write_points()

    return player.call(folder, work)


def _export_again(player: Player, folder: Path) -> Played:
    if (folder / "handed_in").exists():
        return Played(0, "", "")
    return player.play(folder, EXPORT)


def _emit_again(player: Player, folder: Path) -> Played:
    if (folder / "bundle").exists():
        return Played(0, "", "")
    return player.play(folder, EMIT)


def _check_bundle(folder: Path, played: Played, old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    is_there = (folder / "bundle").exists()
    return (
        [] if is_there == (played.exit_code == 0) else [f"exit code {played.exit_code}, bundle: {is_there}"]
    )


def _is_whole_bundle(folder: Path, new: dict[str, bytes]) -> list[str]:
    found = set(visible(folder))
    load_bundle(folder / "bundle")
    return [] if found == set(new) else [f"not whole: {sorted(found ^ set(new))[:4]}"]


def _resume_or_run(player: Player, folder: Path) -> Played:
    attempts = find_attempts(folder / "runs" / "round_001")
    if attempts and not attempts[-1].record_path.exists():
        return player.play(folder, RESUME)
    return player.play(folder, (*RUN, "--repeat"))


def _has_records(folder: Path, new: dict[str, bytes]) -> list[str]:
    attempts = find_attempts(folder / "runs" / "round_001")
    missing = [attempt.path.name for attempt in attempts if not attempt.record_path.exists()]
    return _check_attempts(folder) + [f"{name} has no record" for name in missing]


RUN = ("run", "round_001", "--script", "short.py")
RESUME = ("resume", "round_001")
EXPORT = ("export", "1", "--out", "handed_in")
EMIT = (*RUN, "--emit", "bundle")
SCENARIOS: dict[str, Scenario] = {
    "import": Scenario(("import", "first.log"), _write_logs, _old_or_new),
    "import-folder": Scenario(("import", "logs"), _write_logs, _old_or_new),
    "import-record": Scenario(("import", "rec"), _write_field_record, _old_or_new),
    "run": Scenario(RUN, _write_script, _check_run, _resume_or_run, _has_records),
    "resume": Scenario(RESUME, _play_without_record, _check_run, _resume_or_run, _has_records),
    "decide": Scenario(
        ("decide", "1", "keep", "--reason", "it holds"),
        _import_first,
        _check_decision,
        is_new=lambda folder, new: _has_decision(folder),
    ),
    "points": Scenario(_write_points, _write_old_points, _check_points, _write_points_again),
    "emit": Scenario(EMIT, _write_script, _check_bundle, _emit_again, _is_whole_bundle),
    "export": Scenario(EXPORT, _write_season, _old_or_new, _export_again),
    "pull": Scenario(("import", "--pull", "bundle"), _play_bundle, _old_or_new),
    "publish": Scenario(("publish", "--no-pictures", "--out", "site"), _write_site, _old_or_new),
    "publish-new": Scenario(("publish", "--no-pictures", "--out", "site"), _write_season, _old_or_new),
}  # fmt: skip


def _must(played: Played) -> None:
    if played.exit_code:
        raise RuntimeError(f"exit code {played.exit_code}: {played.stderr}")


# The walk ------------------------------------------------------------------------------------------


@dataclass
class Row:
    """What became of one command with one fault."""

    command: str
    fault: Fault
    count: int = 0
    failed: int = 0
    problems: tuple[str, ...] = ()


def walk(player: Player, name: str, folder: Path, faults: Sequence[Fault], most: int) -> list[Row]:
    """Play a command with every fault at each of its changes, at `most` of them, evenly spread."""
    scenario = SCENARIOS[name]
    start = folder / "start"
    start.mkdir(parents=True)
    scenario.prepare(player, start)
    old = visible(start)
    whole = _copy(start, folder / "whole")
    undisturbed = player.play(whole, scenario.words)
    _must(undisturbed)
    new = visible(whole)
    step = max(1, undisturbed.count // most)
    rows = []
    for fault in faults:
        row = Row(name, fault)
        for nth in range(1, undisturbed.count + 1, step):
            case = _copy(start, folder / "case")
            played = player.play(case, scenario.words, nth, fault)
            found = _check_case(player, scenario, case, played, fault, old, new)
            row.count += 1
            row.failed += played.exit_code != 0
            for problem in found:
                print(f"{name} {fault.title} change {nth}, {played.place}: {problem}", file=sys.stderr)
            row.problems += tuple(found)
        rows.append(row)
    return rows


def _check_case(
    player: Player,
    scenario: Scenario,
    case: Path,
    played: Played,
    fault: Fault,
    old: dict[str, bytes],
    new: dict[str, bytes],
) -> list[str]:
    problems = scenario.check(case, played, old, new)
    if "Traceback" in played.stderr or played.exit_code not in (0, 1, 10):
        problems.append(f"exit code {played.exit_code}: {played.stderr[-1500:]}")
    elif played.exit_code != 0:
        problems += _is_error(played, fault, case)
    again = scenario.again(player, case) if scenario.again else player.play(case, scenario.words)
    if again.exit_code not in (0, 10):  # 10: the record of an attempt that was never started
        problems.append(f"the next command: exit code {again.exit_code}: {again.stderr[-1500:]}")
    if scenario.is_new is not None:
        problems += scenario.is_new(case, new)
    elif visible(case) != new:
        problems.append("the next command does not come to the new state")
    problems += [f"left over: {name}" for name in leftovers(case)]
    return problems


def _copy(start: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(start, target, symlinks=True)
    return target


def build_layer(folder: Path) -> Path | None:
    """Compile the layer; None without a C compiler or on another system than Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        return None
    target = folder / "failing_files.so"
    words = (compiler, "-shared", "-fPIC", "-O1", "-o", str(target), str(LAYER), "-ldl")
    subprocess.run(words, check=True)
    return target


def _walk_all(names: Sequence[str], faults: Sequence[Fault], most: int, at: str) -> int:
    player = Player(at)
    bad = 0
    print(f"{'command':14} {'fault':12} {'writes':>6} {'failed':>6} {'went on':>7} {'wrong':>5}", flush=True)
    for name in names:
        with tempfile.TemporaryDirectory(prefix="faults-") as place:
            for row in walk(player, name, Path(place), faults, most):
                counts = f"{row.count:6} {row.failed:6} {row.count - row.failed:7} {len(row.problems):5}"
                print(f"{row.command:14} {row.fault.title:12} {counts}", flush=True)
                bad += len(row.problems)
    print(f"{bad} half-written files, false records or unclear errors")
    return 1 if bad else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help=", ".join(SCENARIOS))
    parser.add_argument("--error", help="ENOSPC, EIO, EROFS or EINTR alone")
    parser.add_argument("--most", type=int, default=10**6, help="writes of each command that are tried")
    parser.add_argument("--at", default="", metavar="TEXT", help="only writes of paths that hold this")
    words = parser.parse_args()
    if unknown := sorted(set(words.commands) - set(SCENARIOS)):
        parser.error(f"no command {unknown[0]}; there are {', '.join(SCENARIOS)}")
    faults = [fault for fault in FAULTS if words.error in (None, fault.error)]
    if not faults:
        parser.error(f"--error {words.error} is none of {', '.join(sorted({f.error for f in FAULTS}))}")
    if _ARMED in os.environ:
        sys.exit(_walk_all(words.commands or list(SCENARIOS), faults, words.most, words.at))
    with tempfile.TemporaryDirectory(prefix="faults-") as place:
        layer = build_layer(Path(place))
        if layer is None:
            sys.exit("this needs Linux and a C compiler: apt-get install gcc")
        env = os.environ | {"LD_PRELOAD": str(layer), _ARMED: str(layer)}
        command = (sys.executable, "-m", "benchmarks.faults", *sys.argv[1:])
        sys.exit(subprocess.run(command, env=env, check=False).returncode)


if __name__ == "__main__":
    main()
