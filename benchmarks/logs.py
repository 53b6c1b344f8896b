"""How fast logs are read, against a plain line-by-line read of the same file.

    python -m benchmarks.logs [--size 256MB] [--mix baseline|real|steps|noise|prefixed|runs]
    python -m benchmarks.logs --folder 620

Writes a synthetic log from the lines of the real ones in tests/data/field, reads it both ways in turn,
three times, and prints MB/s, the ratio (the aim: at most 12) and the peak memory of a process that parses it.
With --folder: imports a flat folder of so many logs of as many experiments, and again when nothing is new,
and prints the processor time of both and their ratios to a plain read of the same files.
"""

from __future__ import annotations

import argparse
import itertools
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness.field.importing import import_paths
from harness.field.log_parser import parse_log

ROOT = Path(__file__).resolve().parent.parent

RECORDS = ROOT / "tests" / "data" / "field" / "records"
AIM = 12.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="256MB", help="of the synthetic log, e.g. 50MB or 1GB")
    parser.add_argument(
        "--mix", default="baseline", choices=["baseline", "real", "steps", "noise", "prefixed", "runs"]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=int, metavar="N", help="import a folder of N logs instead")
    parser.add_argument("--peak", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        parse_log(args.peak)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return 0

    with tempfile.TemporaryDirectory() as folder:
        if args.folder:
            write_folder(Path(folder) / "logs", args.folder)
            return measure_folder(Path(folder), args.rounds)
        path = Path(folder) / "train.log"
        write_log(path, read_size(args.size), args.mix)
        return measure(path, args.rounds)


def measure(path: Path, rounds: int) -> int:
    """Time both readers alternately and print the best of each."""
    plain, parsed = [], []
    for _ in range(rounds):
        plain.append(_time(lambda: sum(1 for _ in path.open("rb"))))
        parsed.append(_time(lambda: parse_log(path)))
    size = path.stat().st_size / 1e6
    lines = sum(1 for _ in path.open("rb"))
    ratio = min(parsed) / min(plain)
    ratios = ", ".join(f"{slow / fast:.1f}" for slow, fast in zip(parsed, plain, strict=True))
    nothing = path.with_name("empty.log")
    nothing.touch()
    peak, empty = _peak_mib(path), _peak_mib(nothing)
    print(f"{size:.0f} MB, {lines:,} lines")
    print(f"plain read   {size / min(plain):8.0f} MB/s  {min(plain) / lines * 1e9:6.0f} ns/line")
    print(f"parse_log    {size / min(parsed):8.0f} MB/s  {min(parsed) / lines * 1e9:6.0f} ns/line")
    print(f"ratio        {ratio:8.1f}  (aim: {AIM:.0f}; rounds: {ratios})")
    print(f"peak memory  {peak:8d} MiB  ({empty} MiB for an empty log)")
    return 0 if ratio <= AIM else 1


def write_folder(folder: Path, count: int) -> None:
    """Write the real logs over and over, each time with other parameters and losses."""
    folder.mkdir()
    logs = [p.read_bytes() for p in sorted(RECORDS.rglob("*")) if p.suffix in (".log", ".txt")]
    for number in range(count):
        text = re.sub(
            rb"(?m)^((?:  )?model_params:\s?)\d+", b"\\g<1>%d" % (10**7 + number), logs[number % len(logs)]
        )
        text = re.sub(rb"(train_loss: ?\d\.\d\d)\d\d", b"\\g<1>%02d" % (number % 100), text)
        (folder / f"{number:04}.txt").write_bytes(text)


def measure_folder(folder: Path, rounds: int) -> int:
    """Import a folder of logs into an empty season, then again; print the best processor times."""
    files = sorted((folder / "logs").iterdir())
    plain, first, again = [], [], []
    for round_number in range(rounds):
        runs = folder / f"runs_{round_number}"
        plain.append(_processor_time(lambda: [sum(1 for _ in path.open("rb")) for path in files]))
        first.append(_processor_time(lambda runs=runs: import_paths([folder / "logs"], runs)))
        again.append(_processor_time(lambda runs=runs: import_paths([folder / "logs"], runs)))
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{len(files)} logs, {size:.0f} MB; processor time, best of {rounds}")
    print(f"plain read       {min(plain):7.3f} s")
    print(f"import           {min(first):7.3f} s  ratio {min(first) / min(plain):6.0f}")
    print(f"nothing is new   {min(again):7.3f} s  ratio {min(again) / min(plain):6.0f}")
    return 0


def write_log(path: Path, size: int, mix: str) -> None:
    """Write a log of about `size` bytes.

    baseline: one run of the commonest family, steps going on: the NaiveBaseline record, continued;
    real: one run with the step, progress and noise lines of all families, mixed as no single log mixes them;
    steps, noise: the same, of one kind only; prefixed: with a time before every line; runs: the real logs,
    whole, one after the other.
    """
    logs = [p.read_bytes() for p in sorted(RECORDS.rglob("*")) if p.suffix in (".log", ".txt")]
    lines = [line for log in logs for line in log.splitlines(keepends=True) if line.endswith(b"\n")]
    head = tail = b""
    if mix != "runs":
        whole = (RECORDS / "2026-03-17_NaiveBaseline" / "train.log").read_bytes()
        head, tail = whole[: whole.index(b"step:0/")], whole[whole.index(b"stopping_early") :]
        lines = [CLOCK.sub(b"", line) for line in lines]
        lines = [line for line in lines if STEP(line) or not SETUP(line)]
    if mix == "baseline":
        body = whole[len(head) : len(whole) - len(tail)]
        lines = body.splitlines(keepends=True)
    elif mix == "steps":
        lines = [line for line in lines if STEP(line)]
    elif mix == "noise":
        lines = [line for line in lines if not STEP(line)]
    block = b"".join(lines)
    with path.open("wb") as file:
        written, step = file.write(head), 0
        while written < size:
            text = block if mix == "runs" else _renumber(block, step)
            step += len(lines)
            written += file.write(re.sub(rb"(?m)^", b"1776142360.710 ", text) if mix == "prefixed" else text)
        file.write(tail)


CLOCK = re.compile(rb"^\d{10}\.\d{3} ")
STEP = re.compile(rb"(?:step:)?\d+/\d+ ").match
# What only the head or the end of a run prints.
SETUP = re.compile(
    rb"(?:  \w+: |Hyper|Running P|\w+:\S+( \w+:\S+)*$|val_|train_|final|quantized|legal|stopping|"
    rb"Total|Serial)"
).match


def _renumber(block: bytes, step: int) -> bytes:
    """Let steps go on, so that many logs become one long run."""
    steps = itertools.count(step)
    return re.sub(
        rb"(?m)^(step:)?\d+/\d+(?= )",
        lambda found: b"%s%d/99999999999" % (found[1] or b"", next(steps)),
        block,
    )


def read_size(text: str) -> int:
    units = {"GB": 10**9, "MB": 10**6, "KB": 10**3}
    return next(
        (int(float(text[:-2]) * n) for unit, n in units.items() if text.upper().endswith(unit)), 0
    ) or int(text)


def _processor_time(work: object) -> float:
    start = time.process_time()
    work()  # type: ignore[operator]
    return time.process_time() - start


def _time(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def _peak_mib(path: Path) -> int:
    """Peak memory of a fresh process that only parses."""
    command = [sys.executable, "-m", "benchmarks.logs", "--peak", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return int(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
