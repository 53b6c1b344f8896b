"""Which code runs: a hash of its files, the git commit, and the changes that are not committed.

A repository may come from others, and its own settings name programs: git is asked without any of them.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.records.record import Code

# What a record calls a commit goes into git's command line: only what cannot be an option or a branch.
_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def fingerprint(files: Mapping[str, bytes]) -> str:
    """Return the sha256 over names and contents, in name order."""
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name}\0{len(files[name])}\0".encode())
        digest.update(files[name])
    return digest.hexdigest()


def fingerprint_folder(folder: Path) -> str:
    """Return the sha256 over names and contents of the Python files below a folder, in name order."""
    return fingerprint(_read_folder(folder))


def _read_folder(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.py")}


def run_git(folder: Path, *arguments: str, ok: tuple[int, ...] = (0,)) -> str | None:
    """Return what a git command prints, or None when git cannot tell. Starts nothing but git."""
    if arguments[0] in ("diff", "status"):
        arguments = (arguments[0], "--ignore-submodules=all", *arguments[1:])
    if arguments[0] == "diff":
        arguments = ("diff", "--no-ext-diff", "--no-textconv", *arguments[1:])
    done = _start_git(folder, arguments, _harmless_settings(folder))
    if done is None or done.returncode not in ok:
        return None
    return done.stdout.decode(errors="replace").replace("\r\n", "\n")


def _harmless_settings(folder: Path) -> dict[str, str]:
    """Return the settings that take the place of those by which a repository has programs started."""
    settings = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}
    named = _start_git(folder, ("config", "--name-only", "-z", "--get-regexp", r"^filter\."), {})
    for key in named.stdout.decode("utf-8", "surrogateescape").split("\0") if named else ():
        name = key.rpartition(".")[0]
        settings |= {f"{name}.{what}": "" for what in ("clean", "smudge", "process")} if name else {}
        settings |= {f"{name}.required": "false"} if name else {}
    return settings


def _start_git(
    folder: Path, arguments: Sequence[str], settings: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes] | None:
    """Run a git command with settings above all others; None when there is no git, or no end.

    It fetches nothing: by which program it would fetch what a repository lacks, the repository says.
    """
    env = os.environ | {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_OPTIONAL_LOCKS": "0"}
    env["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    command = ("git", "-C", str(folder), *arguments)
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False, env=env
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def describe_code(folder: Path) -> tuple[Code, str]:
    """Describe the code in a folder; the second value is the uncommitted change as a diff, "" if none.

    Without git, or outside a checkout, only the hash is known.
    """
    source = fingerprint_folder(folder)
    sha = run_git(folder, "rev-parse", "HEAD")
    if sha is None:
        return Code(source_sha256=source), ""
    diff = run_git(folder, "diff", "HEAD", "--", "*.py") or ""  # only what runs counts
    for name in (
        run_git(folder, "ls-files", "--others", "--exclude-standard", "--", "*.py") or ""
    ).splitlines():
        diff += run_git(folder, "diff", "--no-index", "--", "/dev/null", name, ok=(0, 1)) or ""
    digest = hashlib.sha256(diff.encode()).hexdigest() if diff else None
    return Code(source_sha256=source, git_sha=sha.strip(), dirty=bool(diff), diff_sha256=digest), diff


def diff_commits(folder: Path, old: str, new: str) -> str | None:
    """Return how a folder's Python files differ between two commits; None when git does not have both."""
    if not (_COMMIT.fullmatch(old) and _COMMIT.fullmatch(new)):
        return None
    return run_git(folder, "diff", "--relative", old, new, "--", "*.py")


def read_commit(folder: Path, sha: str) -> dict[str, bytes]:
    """Return the Python files below a folder as they were at a commit; empty when git does not have it."""
    if not _COMMIT.fullmatch(sha):
        return {}
    done = _start_git(folder, ("archive", "--format=tar", sha, "."), _harmless_settings(folder))
    if done is None or done.returncode:
        return {}
    try:
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            members = [member for member in archive if member.isfile() and member.name.endswith(".py")]
            return {m.name: file.read() for m in members if (file := archive.extractfile(m)) is not None}
    except (OSError, tarfile.TarError):
        return {}


def read_code(folder: Path, code: Code) -> dict[str, bytes]:
    """Return a package's Python files as they ran: those below `folder`, else of the commit of `code`.

    Empty when neither has the hash of `code`: it was not committed, or git here does not have the commit.
    """
    here = _read_folder(folder)
    if fingerprint(here) == code.source_sha256:
        return here
    files = read_commit(folder, code.git_sha) if code.git_sha and code.dirty is False else {}
    return files if fingerprint(files) == code.source_sha256 else {}
