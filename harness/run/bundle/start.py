"""Plays a launch bundle on the machine it was taken to: `bash run.sh`. Becomes `start.py` in the bundle.

Needs Python 3.11 and what the trainer imports, nothing of the harness. Checks the bundle and the data, then
plays every seed into `result/`: log, curve, artifact, and `finish.json`, which says how it ended and what
everything hashes to. `harness import --pull` takes that back.
"""

import argparse
import ctypes
import datetime as dt
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).resolve().parent
RESULT = HERE / "result"
FINISH = "finish.json"
GRACE_SECONDS = 60.0  # a step and a checkpoint fit in
PIECE_BYTES = 64 * 1024  # of the log that are read at once
READ_SECONDS = 0.25  # of showing the log between two looks at the clock
Bundle = dict[str, Any]  # bundle.json
VERSIONS = ("torch", "mlx", "numpy", "sentencepiece")  # of which the record keeps the version
SECRET = "[secret]"  # stands for a setting that does not travel (harness.privacy)
LEFT_OUT = frozenset({FINISH, "checkpoint.safetensors"})


class Refused(Exception):
    """What is wrong, and what to do about it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def main() -> int:
    words = argparse.ArgumentParser(prog="run.sh", description=(__doc__ or "").splitlines()[0])
    words.add_argument("--check", action="store_true", help="check the bundle and the data, start nothing")
    words.add_argument(
        "--force", action="store_true", help="play with changed files or other data; the record will say so"
    )
    words.add_argument("--seed", type=int, help="only this one of the bundle's seeds")
    options = words.parse_args()
    try:
        bundle = json.loads((HERE / "bundle.json").read_bytes())
        seeds = choose_seeds(bundle, options.seed)
        notes = check_bundle(bundle)
        places, data_notes = check_data(bundle)
        notes += data_notes
        if notes and not options.force:
            raise Refused("\n       ".join(notes), "mend it, or insist with: bash run.sh --force")
        check_modules(bundle)
        print(
            f"bundle {bundle['id'][:12]} of {bundle['hole']}: code and data are as they were launched"
            if not notes
            else "\n".join(f"warning: {note}" for note in notes),
            flush=True,
        )
        if options.check:
            return 0
        codes = [play(bundle, seed, places, notes) for seed in seeds]
        return next((code for code in codes if code), 0)
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or 'the result'}: {error.strerror or error}", file=sys.stderr)
        return 1


# Checks -------------------------------------------------------------------------------------------


def choose_seeds(bundle: Bundle, seed: int | None) -> list[int | None]:
    seeds: list[int | None] = bundle["seeds"]
    if seed is None:
        return seeds
    if seed not in seeds:
        raise Refused(f"--seed {seed} is not in this bundle", f"it has {', '.join(map(str, seeds))}")
    return [seed]


def check_bundle(bundle: Bundle) -> list[str]:
    """Return what differs from the bundle as it was written."""
    if bundle_id(bundle) != bundle["id"]:
        raise Refused("bundle.json was changed after it was written", "emit the bundle again")
    notes = []
    for name, digest in bundle["files"].items():
        path = HERE / name
        if not path.is_file():
            raise Refused(f"{name} is missing", "copy the whole bundle again")
        if sha256(path) != digest:
            notes.append(f"{name} is another file than was launched")
    return notes


def check_data(bundle: Bundle) -> tuple[dict[str, str], list[str]]:
    """Return where the data lies, by variable, and how it differs from what was launched."""
    places = {name: find_place(name, written) for name, written in bundle["places"].items()}
    expected = bundle["data"]
    notes = []
    for kind in ("train", "val"):
        launched = expected[kind]
        if not launched:
            continue
        folder = Path(places["DATA_PATH"])
        here = {path.name: path.stat().st_size for path in folder.glob(f"*_{kind}_*.bin")}
        if not here:
            raise Refused(
                f"DATA_PATH={folder} has no {kind} shards", "name their folder: DATA_PATH=DIR bash run.sh"
            )
        if here != launched:
            missing = [name for name in launched if name not in here]
            other = [name for name in launched if name in here and here[name] != launched[name]]
            first = (
                f", first missing: {missing[0]}"
                if missing
                else f", first of another size: {other[0]}"
                if other
                else ""
            )
            shards = f"{len(here)} {kind} shard" + ("" if len(here) == 1 else "s")
            notes.append(f"{folder} has {shards}, launched with {len(launched)}{first}")
    if expected["tokenizer_sha256"]:
        tokenizer = Path(places["TOKENIZER_PATH"])
        if not tokenizer.is_file():
            raise Refused(
                f"TOKENIZER_PATH={tokenizer} does not exist", "name it: TOKENIZER_PATH=FILE bash run.sh"
            )
        if sha256(tokenizer) != expected["tokenizer_sha256"]:
            notes.append(f"{tokenizer} is another tokenizer than the one it was launched with")
    return places, notes


def handed_over(bundle: Bundle) -> dict[str, str]:
    """Return the settings to hand over; what was left out as a secret must be in the environment."""
    environ = dict(bundle["environ"])
    for name, value in environ.items():
        if SECRET in value:
            if not os.environ.get(name):
                raise Refused(
                    f"{name} was left out of this bundle: it looked like a secret",
                    f"hand it over: {name}=VALUE bash run.sh",
                )
            environ[name] = os.environ[name]
    return environ


def find_place(name: str, written: str) -> str:
    """Return a path of this machine: as the shell says, else in the bundle, else as written.

    A written one is looked up from where run.sh was called.
    """
    if os.environ.get(name):
        return str(Path(os.environ[name]).expanduser().absolute())
    caller = Path(os.environ.get("BUNDLE_CALLER", "."))
    for folder in (HERE, caller):
        if written and (folder / written).exists():
            return str((folder / written).absolute())
    return str((caller / written).absolute()) if written else ""


def check_modules(bundle: Bundle) -> None:
    missing = [name for name in bundle["modules"] if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused(
            f"{sys.executable} has no {', '.join(missing)}",
            f"pip install {' '.join(missing)}, or name another: PYTHON=python3.12 bash run.sh",
        )


# Playing ------------------------------------------------------------------------------------------


def play(bundle: Bundle, seed: int | None, places: dict[str, str], notes: list[str]) -> int:
    """Play one seed and return the exit code of its process; one that has ended well is not played again."""
    out = RESULT / (f"seed_{seed}" if seed is not None else "run")
    out.mkdir(parents=True, exist_ok=True)
    lock = hold(out)
    for path in out.glob(".*.tmp"):  # of a process that was killed: whoever plays here has the lock
        path.unlink(missing_ok=True)
    resumes = bundle["kind"] == "builtin" and (out / "checkpoint.safetensors").is_file()
    if (out / FINISH).is_file() and json.loads((out / FINISH).read_bytes())["exit_code"] == 0:
        print(f"{out.relative_to(HERE)} is done; move it away to play it again", flush=True)
        return 0
    if (out / "train.log").exists() and not resumes:  # nothing that was printed is thrown away
        out.rename(free_name(out))
        out.mkdir()
        lock = hold(out)
    command, env = prepare(bundle, seed, places, out, resumes)
    started, began = dt.datetime.now(dt.UTC), time.monotonic()
    if resumes and (out / FINISH).is_file():
        started = dt.datetime.fromisoformat(json.loads((out / FINISH).read_bytes())["started_at"])
    (out / FINISH).unlink(missing_ok=True)
    code, interrupted = run(
        command, env, out if bundle["kind"] == "builtin" else out / "work", out / "train.log"
    )
    finish = {
        "schema": 1,
        "bundle": bundle["id"],
        "seed": seed,
        "exit_code": code,
        "interrupted": interrupted,
        "wall_seconds": time.monotonic() - began,
        "started_at": started.isoformat(),
        "ended_at": max(started, dt.datetime.now(dt.UTC)).isoformat(),
        "nproc": world_size(bundle),
        "python": platform.python_version(),
        "versions": {name: version_of(name) for name in VERSIONS},
        "platform": f"{platform.system()} {platform.machine()}",
        "source_sha256": fingerprint(bundle, HERE),
        "notes": notes,
        "files": {name: sha256(out / name) for name in sorted(list_files(out))},
    }
    write_whole(out / FINISH, json.dumps(finish, indent=2) + "\n")
    lock.close()
    print(f"{out.relative_to(HERE)}: {'done' if code == 0 else f'ended with exit code {code}'}", flush=True)
    return code


def world_size(bundle: Bundle) -> int:
    text = os.environ.get("NPROC", "") or str(bundle["nproc"])
    if not text.isdecimal() or int(text) < 1:
        raise Refused(f"NPROC={text} is not a number of processes", "NPROC=8 bash run.sh")
    return int(text)


def prepare(
    bundle: Bundle, seed: int | None, places: dict[str, str], out: Path, resumes: bool
) -> tuple[list[str], dict[str, str]]:
    """Return the command line and the environment."""
    hidden = {
        *bundle["hidden"],
        "RANK",
        "LOCAL_RANK",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
    }
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= handed_over(bundle) | {name: place for name, place in places.items() if place}
    if seed is not None:
        env["SEED"] = str(seed)
    env |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    count = world_size(bundle)
    several = count > 1 or bundle["launcher"] == "torchrun" or bool(os.environ.get("NPROC"))
    starter = (
        ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)] if several else []
    )
    if bundle["kind"] == "builtin":
        # Nothing that lies among the results may be imported in place of a module of the same name.
        env |= {"PYTHONPATH": str(HERE / "code"), "PYTHONSAFEPATH": "1"}
        words = ["-m", "trainer", "--out", str(out), *(["--resume"] if resumes else [])]
        if bundle.get("code_bytes"):
            words += ["--code-bytes", str(bundle["code_bytes"])]
    else:
        (out / "work").mkdir(exist_ok=True)
        for name in bundle.get("by_path", ()):  # files that it opens by their path, from where it runs
            (out / "work" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(HERE / "code" / name, out / "work" / name)
        script = HERE / "code" / bundle["main"]
        if script.parent != HERE / "code":
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE / "code"), env.get("PYTHONPATH")]))
        words = ["-m", bundle["module"]] if bundle.get("module") else [str(script)]
        words += [word.replace("{seed}", str(seed)) for word in bundle.get("arguments", ())]
    return [sys.executable, *starter, *words], env


def run(command: list[str], env: dict[str, str], cwd: Path, log: Path) -> tuple[int, bool]:
    """Run to the end; all output goes to the log as it is, and from there to the screen."""
    signals = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: signals.append(time.monotonic()))
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal is gone; the run is not
    stop_signal = signal.SIGTERM if "trainer" in command else signal.SIGINT
    with log.open("ab") as sink:
        start = sink.tell()
        child = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
    sent = 0
    with log.open("rb") as source:
        source.seek(start)
        while True:
            ended = child.poll() is not None
            at_end = show_on(source, READ_SECONDS)
            if ended:
                break
            if len(signals) > sent:
                sent = len(signals)
                signal_group(child.pid, stop_signal if sent == 1 else signal.SIGKILL)
            if signals and time.monotonic() - signals[0] > GRACE_SECONDS:
                signal_group(child.pid, signal.SIGKILL)
            if at_end:
                time.sleep(0.1)
        signal_group(child.pid, signal.SIGKILL)  # whatever it left running
        if not show_on(source, READ_SECONDS):  # far behind: the log has it all, the screen its end
            source.seek(max(source.tell(), source.seek(0, os.SEEK_END) - PIECE_BYTES))
            show_on(source, READ_SECONDS)
    return child.returncode, bool(signals)


def show_on(source: IO[bytes], seconds: float) -> bool:
    """Show what was printed since, for some seconds at most; return whether that was all."""
    until = time.monotonic() + seconds
    while chunk := source.read(PIECE_BYTES):
        try:
            sys.stdout.buffer.write(chunk)
            sys.stdout.flush()
        except OSError:
            pass  # nobody looks any more
        if time.monotonic() > until:
            return False
    return True


def signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def end_with_parent() -> None:
    """Ask Linux to end the child when this process is killed (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def hold(out: Path) -> IO[str]:
    """Refuse to play while another run.sh does; the lock is the system's and ends with us."""
    lock = (out / ".lock").open("w")
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass  # not a system that could tell
    except BlockingIOError:
        raise Refused(f"{out.relative_to(HERE)} is being played by another process", "wait for it") from None
    return lock


def version_of(name: str) -> str | None:
    """Return the version of an installed package; None when it is not there."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


# Files --------------------------------------------------------------------------------------------


def bundle_id(bundle: Bundle) -> str:
    rest = {name: value for name, value in bundle.items() if name != "id"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(bundle: Bundle, here: Path) -> str:
    """The sha256 over names and contents of the code, in name order, as the record has it."""
    prefix = "code/trainer/" if bundle["kind"] == "builtin" else "code/"
    digest = hashlib.sha256()
    for name in sorted(name for name in bundle["files"] if name.startswith(prefix)):
        content = (here / name).read_bytes()
        digest.update(f"{name.removeprefix(prefix)}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def list_files(folder: Path) -> list[str]:
    """Return the plain files below a folder; links are not followed, hidden files left out."""
    files = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("__pycache__", ".git")]
        for name in names:
            path = Path(root, name)
            if not path.is_symlink() and path.is_file() and not name.startswith(".") and name not in LEFT_OUT:
                files.append(path.relative_to(folder).as_posix())
    return files


def free_name(path: Path) -> Path:
    number = 1
    while (free := path.with_name(f"{path.name}.unfinished_{number}")).exists():
        number += 1
    return free


def write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
