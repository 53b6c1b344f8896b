"""Puts a built site onto a branch with git, as GitHub Pages and its like serve it.

Works on git's objects alone: the working tree, the index, HEAD and every local branch stay as they are. Each
deploy is one commit on top of what the remote's branch holds, so nothing is ever forced and nothing is lost.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UsageError
from harness.publish.folder import MARKER

CNAME = "CNAME"  # a custom domain; GitHub keeps it on the branch, so a deploy must not lose it
SITE_LIMIT_BYTES = 10**9  # GitHub Pages' stated limit for a published site
_CREDENTIALS = re.compile(r"(://)[^@/\s]+@")
_GITHUB = re.compile(r"(?:https?|ssh|git)://(?:[^@/\s]+@)?github\.com(?::\d+)?/|(?:[^@/\s]+@)?github\.com:")


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a site goes.

    url: its address there, empty when only the host knows it. head: HEAD's commit, or empty.
    """

    repository: Path
    remote: str
    address: str
    branch: str
    url: str
    head: str


@dataclass(frozen=True, kw_only=True)
class DeployPlan:
    """What a deploy would do. base: the branch's commit now, empty when the remote has no such branch.

    files: path -> git's id of its content, with what stays from the branch.
    foreign: what lies on the branch was not written by `harness publish`.
    """

    target: Target
    site: Path
    base: str
    files: Mapping[str, str]
    added: int
    changed: int
    removed: int
    size_bytes: int
    foreign: bool

    @property
    def nothing_to_do(self) -> bool:
        return not (self.added or self.changed or self.removed)


def find_target(place: Path, branch: str, remote: str | None) -> Target:
    """Find the repository that `place` lies in and its remote; asks nothing of the network.

    Raises HarnessError when there is no git, no repository or no remote, UsageError for names that are none.
    """
    inside = place.resolve()
    repository = Path(
        _git(
            inside,
            "rev-parse",
            "--show-toplevel",
            failure="there is no git repository here",
            hint="`git init`, then `git remote add origin ADDRESS`",
        ).strip()
    )
    if _run(repository, ("check-ref-format", "--branch", branch)).returncode or branch.startswith("-"):
        raise UsageError(f'"{branch}" is not a name for a branch', "GitHub Pages calls it gh-pages")
    name = _choose_remote(repository, remote)
    address = _git(repository, "remote", "get-url", "--push", name).strip()
    head = _run(repository, ("rev-parse", "--short", "--verify", "--quiet", "HEAD")).stdout.decode().strip()
    return Target(
        repository=repository,
        remote=name,
        address=_CREDENTIALS.sub(r"\1", address),
        branch=branch,
        url=pages_url(address),
        head=head,
    )


def _choose_remote(repository: Path, name: str | None) -> str:
    remotes = _git(repository, "remote").split()
    if not remotes:
        raise HarnessError(
            f"the repository {repository} has no remote to push to", "`git remote add origin ADDRESS`"
        )
    if name is None:
        name = remotes[0] if len(remotes) == 1 else "origin"
    if name not in remotes:
        raise UsageError(f'there is no remote "{name}"', f"name one with --remote: {', '.join(remotes)}")
    return name


def pages_url(address: str) -> str:
    """Return where GitHub Pages serves a repository's branch, or an empty string for another host."""
    match = _GITHUB.match(address)
    if not match:
        return ""
    owner, _, name = address[match.end() :].strip("/").removesuffix(".git").partition("/")
    if not owner or not name or "/" in name:
        return ""
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def plan_deploy(site: Path, target: Target) -> DeployPlan:
    """Compare a built site with the branch. Fetches the branch's objects; changes no reference or file."""
    if not (site / MARKER).is_file():
        raise HarnessError(f"there is no site in {site}", "`harness publish` builds one")
    base = _remote_head(target)
    branch = _listing(target.repository, base) if base else {}
    paths = sorted(path for path in site.rglob("*") if path.is_file())
    names = [path.relative_to(site).as_posix() for path in paths]
    files = dict(zip(names, _hash(target.repository, paths, write=False), strict=True))
    if CNAME in branch:
        files.setdefault(CNAME, branch[CNAME])
    return DeployPlan(
        target=target,
        site=site,
        base=base,
        files=files,
        added=len(files.keys() - branch.keys()),
        changed=sum(branch[name] != key for name, key in files.items() if name in branch),
        removed=len(branch.keys() - files.keys()),
        size_bytes=sum(path.stat().st_size for path in paths),
        foreign=bool(branch) and MARKER not in branch,
    )


def deploy(plan: DeployPlan, replace: bool = False) -> str:
    """Commit the site on top of the branch and push it; return the new commit's id.

    replace: go on although the branch holds something else (which stays in its history). Raises HarnessError
    with git's own words when the branch moved meanwhile, the host refuses, or nobody is known as the author.
    """
    target, repository = plan.target, plan.target.repository
    if plan.foreign and not replace:
        raise HarnessError(
            f"the branch {target.branch} of {target.remote} holds something that "
            "`harness publish` did not write",
            "name another branch, or add --replace: what is there now stays in the branch's history",
        )
    paths = [plan.site / name for name in plan.files if (plan.site / name).is_file()]
    _hash(repository, paths, write=True)
    message = "Publish the club" + (f"\n\nBuilt at {target.head}." if target.head else "")
    parent = ["-p", plan.base] if plan.base else []
    commit = _git(
        repository,
        "commit-tree",
        _write_tree(repository, plan.files),
        *parent,
        "-m",
        message,
        failure="cannot commit the site",
        hint="tell git who you are: git config user.name NAME, and user.email",
    ).strip()
    _git(
        repository,
        "push",
        "--quiet",
        target.remote,
        f"{commit}:refs/heads/{target.branch}",
        failure=f"cannot push to {target.branch} of {target.remote}",
        hint="if somebody else pushed meanwhile, run it again; "
        "if it asks who you are, see `git push` by hand",
    )
    return commit


def _remote_head(target: Target) -> str:
    """The branch's commit on the remote, its objects at hand; empty when there is no such branch."""
    reference = f"refs/heads/{target.branch}"
    failure = f"cannot read {target.remote} ({target.address})"
    hint = "check the address and that you may read it"
    line = _git(target.repository, "ls-remote", target.remote, reference, failure=failure, hint=hint)
    if not line.strip():
        return ""
    commit = line.split()[0]
    if _run(target.repository, ("cat-file", "-e", f"{commit}^{{tree}}")).returncode:
        _git(
            target.repository,
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--refmap=",
            target.remote,
            reference,
            failure=failure,
            hint=hint,
        )
    return commit


def _listing(repository: Path, commit: str) -> dict[str, str]:
    """Path -> content id of every file of a commit."""
    lines = _git(repository, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0")
    return {line.partition("\t")[2]: line.partition("\t")[0].split()[2] for line in lines if line}


def _hash(repository: Path, paths: list[Path], write: bool) -> list[str]:
    """Return the ids of files as they are, without the filters that git applies to a checkout."""
    listed = "".join(f"{path.resolve()}\n" for path in paths).encode()
    options = ["--no-filters", "--stdin-paths", *(["-w"] if write else [])]
    return _git(repository, "hash-object", *options, stdin=listed).split()


def _write_tree(repository: Path, files: Mapping[str, str]) -> str:
    """Return the id of a tree with these files, written through a temporary index."""
    listed = "".join(f"100644 {key}\t{name}\0" for name, key in files.items()).encode()
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        _git(repository, "update-index", "-z", "--index-info", stdin=listed, environment=index)
        return _git(repository, "write-tree", environment=index).strip()


def _git(
    place: Path,
    *words: str,
    failure: str = "git failed",
    hint: str = "",
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run git and return what it printed. Raises HarnessError with `failure` and git's own last words."""
    done = _run(place, words, stdin, environment)
    if done.returncode:
        own = _CREDENTIALS.sub(r"\1", done.stderr.decode(errors="replace")).strip()
        raise HarnessError(f"{failure}\n{_indented(own)}" if own else failure, hint)
    return done.stdout.decode()


def _run(
    place: Path, words: tuple[str, ...], stdin: bytes = b"", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    # Without a terminal, a question for a password would wait for ever.
    quiet = {} if sys.stdin is not None and sys.stdin.isatty() else {"GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(
            ("git", *words),
            cwd=place,
            input=stdin,
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C", **quiet, **(environment or {})},
        )
    except FileNotFoundError as error:
        raise HarnessError(
            "git is not installed", "install git, or publish with --out and copy it"
        ) from error


def _indented(text: str) -> str:
    return "\n".join(f"  git: {line}" for line in text.splitlines())
