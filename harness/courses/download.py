"""Published data from the Hugging Face hub: shards and tokenizers, resumable and checked by hash.

huggingface_hub downloads and resumes; what it understands works here as well: HF_ENDPOINT names a mirror,
HF_TOKEN signs in. Ours is which files are needed, their hashes, and where they lie: as the challenge's
scripts expect, in `datasets/fineweb10B_sp1024/` and `tokenizers/`, with `manifest.json`.

Source of the repository's layout: data/cached_challenge_fineweb.py and data/README.md of
openai/parameter-golf.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from harness import figures
from harness.courses.shards import MAX_BYTES, SEALS, fingerprint_file
from harness.documents import FileProblem, naming, parse_json, read_json
from harness.errors import HarnessError, UsageError, nearest
from harness.files import write_whole
from trainer.data import HEADER_BYTES, TOKEN_BYTES, read_shard_header
from trainer.errors import DataError

REPOSITORY = "willdepueoai/parameter-golf"  # where the challenge publishes its exports
ROOT = "datasets"  # the folder of the export within it
DATASET = "fineweb10B_"  # a dataset is called this and its variant
TRAIN_SHARDS = 80  # the challenge's own default: 8 billion tokens, 16 GB
SHARD_BYTES = HEADER_BYTES + TOKEN_BYTES * 100_000_000
AGAIN = "what was fetched is kept; the same command goes on from there"

PrintLine = Callable[[str], None]


@dataclass(frozen=True)
class Remote:
    """A file of the repository. fingerprint: the hub's sha256 (64 digits) or git's blob sha1 (40)."""

    path: str
    bytes: int
    fingerprint: str


@dataclass
class Download:
    """What lies in the folder after a pull. tokens: of all shards there, training and validation."""

    repository: str
    commit: str
    data_path: Path
    tokenizer_path: Path
    fetched: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)


def pull(
    variant: str,
    target: Path,
    train_shards: int | None = None,
    repository: str = REPOSITORY,
    report: PrintLine = lambda line: None,
) -> Download:
    """Fetch a variant (sp1024, byte260 ...): tokenizer, all validation shards, the first training shards.

    Files that are there with the published hash stay as they are; an interrupted download goes on.
    train_shards: how many; None for the challenge's 80, or all where there are fewer.
    Raises UsageError for an unpublished variant or number, HarnessError for network, disk and damage.
    """
    if train_shards is not None and train_shards < 0:
        raise UsageError(f"--train-shards {train_shards} is less than none", "0 fetches the validation alone")
    hub = _Hub(repository, target)
    published = hub.list_files()
    place = f"{repository}: {ROOT}/manifest.json"
    manifest = parse_json(hub.read(published, f"{ROOT}/manifest.json"), place)
    with naming(place):
        paths, model = _needed_paths(manifest, variant, train_shards, repository)
    remotes = [_find(published, path, repository) for path in paths]
    result = Download(
        repository, hub.commit, target / "datasets" / f"{DATASET}{variant}", target / _local(model)
    )
    seals = _read_seals(target)
    missing = [remote for remote in remotes if not _is_sealed(target, remote, seals)]
    result.kept = [_local(remote.path).as_posix() for remote in remotes if remote not in missing]
    _check_room(target, missing)
    if missing:
        size = sum(remote.bytes for remote in missing)
        report(f"fetching {figures.number(len(missing), 'file')}, {size / 1e6:,.1f} MB")
        hub.fetch(missing)
    for remote in missing:
        hub.put_in_place(remote)
        name = _local(remote.path).as_posix()
        seals[name] = {"bytes": remote.bytes, "fingerprint": remote.fingerprint}
        _write_seals(target, repository, hub.commit, seals)
        result.fetched.append(name)
    for split in ("train", "val"):
        shards = sorted(result.data_path.glob(f"fineweb_{split}_*.bin"))
        result.tokens[split] = sum(read_shard_header(path) for path in shards)
    _check_validation(manifest, variant, result.tokens["val"])
    shutil.rmtree(target / _STAGING, ignore_errors=True)
    return result


def _needed_paths(
    manifest: dict[str, Any], variant: str, train_shards: int | None, repository: str
) -> tuple[list[str], str]:
    """Return the paths to fetch, and that of the tokenizer a trainer wants."""
    datasets = {entry["name"]: entry for entry in manifest.get("datasets", [])}
    entry = datasets.get(DATASET + variant)
    if entry is None:
        known = [name.removeprefix(DATASET) for name in datasets if name.startswith(DATASET)]
        close = nearest(variant, known)
        raise UsageError(
            f'{repository} publishes no variant "{variant}"',
            (f"did you mean {close}? " if close else "") + f"published: {', '.join(sorted(known)) or 'none'}",
        )
    tokenizers = {one["name"]: one for one in manifest.get("tokenizers", [])}
    tokenizer = tokenizers.get(entry.get("tokenizer_name"), {})
    files = [str(tokenizer[key]) for key in ("model_path", "vocab_path", "path") if tokenizer.get(key)]
    available = int(entry["stats"]["files_train"])
    count = min(TRAIN_SHARDS, available) if train_shards is None else train_shards
    if count > available:
        raise UsageError(
            f"--train-shards {count}: {variant} has {available}", f"ask for {available} or fewer"
        )
    if not files:
        raise HarnessError(f"{repository} names no tokenizer for {variant}", "pull another variant")
    folder = f"{ROOT}/datasets/{DATASET}{variant}"
    shards = [f"{folder}/fineweb_val_{n:06d}.bin" for n in range(int(entry["stats"]["files_val"]))]
    shards += [f"{folder}/fineweb_train_{n:06d}.bin" for n in range(count)]
    return [f"{ROOT}/{path}" for path in files] + shards, f"{ROOT}/{files[0]}"


def _find(published: dict[str, Remote], path: str, repository: str) -> Remote:
    if path not in published:
        raise HarnessError(
            f"{repository} has no {path}", "the publisher moved it; --repository names another"
        )
    return published[path]


def _local(remote: str) -> Path:
    """Where a file of the repository lies below the target. Raises HarnessError if that is outside of it."""
    path = PurePosixPath(remote).relative_to(ROOT)
    if path.is_absolute() or ".." in path.parts:
        raise HarnessError(f'the manifest names "{remote}", which leads out of the folder', "do not trust it")
    return Path(*path.parts)


# Seals --------------------------------------------------------------------------------------------


def _read_seals(target: Path) -> dict[str, dict[str, Any]]:
    try:
        known = read_json(target / SEALS, MAX_BYTES)
        with naming(SEALS):
            return {str(name): dict(seal) for name, seal in known["files"].items()}
    except FileProblem:
        return {}  # then every file is hashed again, which is slow and safe


def _write_seals(target: Path, repository: str, commit: str, seals: dict[str, dict[str, Any]]) -> None:
    content = {"schema": 1, "repository": repository, "commit": commit, "files": dict(sorted(seals.items()))}
    write_whole(target / SEALS, (json.dumps(content, indent=2) + "\n").encode())


def _is_sealed(target: Path, remote: Remote, seals: dict[str, dict[str, Any]]) -> bool:
    """Whether the file is there with the published hash. A file that came from elsewhere is hashed once."""
    path = target / _local(remote.path)
    if not path.is_file() or path.stat().st_size != remote.bytes:
        return False
    seal = seals.setdefault(_local(remote.path).as_posix(), {})
    if seal.get("fingerprint") != remote.fingerprint:
        if fingerprint_file(path, len(remote.fingerprint)) != remote.fingerprint:
            return False
        seal |= {"bytes": remote.bytes, "fingerprint": remote.fingerprint}
    return True


def _check_room(target: Path, missing: list[Remote]) -> None:
    needed = sum(remote.bytes for remote in missing)
    target.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(target).free
    if needed > free:
        raise HarnessError(
            f"{needed / 1e9:.1f} GB are to be fetched, {free / 1e9:.1f} GB are free in {target}",
            f"make room, or ask for fewer with --train-shards N (each takes {SHARD_BYTES / 1e6:.0f} MB)",
        )


def _check_validation(manifest: dict[str, Any], variant: str, tokens: int) -> None:
    """The scores are only comparable on the whole validation text."""
    entry = next(one for one in manifest["datasets"] if one["name"] == DATASET + variant)
    expected = entry["stats"].get("tokens_val")
    if expected is not None and int(expected) != tokens:
        raise HarnessError(
            f"the validation shards hold {tokens:,} tokens, the manifest promises {int(expected):,}",
            "remove the folder and pull again; if it stays so, the publisher's manifest is wrong",
        )


# The hub ------------------------------------------------------------------------------------------

_STAGING = ".pull"  # where files are downloaded: a rename then makes them appear whole


class _Hub:
    """One repository at one commit, through huggingface_hub."""

    def __init__(self, repository: str, target: Path) -> None:
        try:
            import huggingface_hub
            import huggingface_hub.errors
            from huggingface_hub.utils.tqdm import disable_progress_bars
        except ImportError as error:
            raise HarnessError(
                "pulling data needs huggingface_hub", "pip install 'parameter-golf-harness[hub]'"
            ) from error
        if not sys.stderr.isatty():
            disable_progress_bars()
        self._hub = huggingface_hub
        self._staging = target / _STAGING
        self.repository, self.target, self.commit = repository, target, ""

    def list_files(self) -> dict[str, Remote]:
        """Return all files of the repository by path; its commit of now is that of all downloads."""
        api = self._hub.HfApi(endpoint=os.environ.get("HF_ENDPOINT"))
        with self._explain("the list of files"):
            self.commit = api.repo_info(self.repository, repo_type="dataset").sha or ""
            tree = api.list_repo_tree(
                self.repository, recursive=True, revision=self.commit, repo_type="dataset"
            )
            files = [entry for entry in tree if isinstance(entry, self._hub.hf_api.RepoFile)]
        return {
            file.path: Remote(file.path, file.size, file.lfs.sha256 if file.lfs else file.blob_id)
            for file in files
        }

    def read(self, published: dict[str, Remote], path: str) -> bytes:
        """Fetch a small file and keep it."""
        remote = _find(published, path, self.repository)
        if not _is_sealed(self.target, remote, {}):
            self.fetch([remote])
            self.put_in_place(remote)
        return (self.target / _local(path)).read_bytes()

    def fetch(self, remotes: list[Remote]) -> None:
        """Download files into the staging folder; what lies there already, even in part, is used."""
        what = remotes[0].path if len(remotes) == 1 else f"{len(remotes)} files of {self.repository}"
        with self._explain(what):
            self._hub.snapshot_download(
                self.repository,
                repo_type="dataset",
                revision=self.commit,
                allow_patterns=[glob.escape(remote.path) for remote in remotes],
                local_dir=self._staging,
            )

    def put_in_place(self, remote: Remote) -> None:
        """Check a downloaded file and move it to its place. Raises HarnessError if damaged or missing."""
        file, place = self._staging / remote.path, self.target / _local(remote.path)
        with self._explain(remote.path):
            actual = fingerprint_file(file, len(remote.fingerprint))
        if actual != remote.fingerprint:
            file.unlink()
            raise HarnessError(
                f"{remote.path} arrived damaged: {actual[:12]}… instead of {remote.fingerprint[:12]}…", AGAIN
            )
        if file.suffix == ".bin":
            try:
                read_shard_header(file)
            except DataError as error:
                raise HarnessError(error.message, error.hint) from error
        with self._explain(remote.path):
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)

    @contextmanager
    def _explain(self, path: str) -> Iterator[None]:
        """Turn the library's errors into ours."""
        errors = self._hub.errors
        try:
            yield
        except errors.RepositoryNotFoundError as error:
            raise HarnessError(
                f"the hub knows no dataset {self.repository}, or not for you",
                "check --repository; a private one needs HF_TOKEN",
            ) from error
        except Exception as error:  # its http client's errors pass through, and differ by release
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise HarnessError(
                f"cannot fetch {path}: {line[:200]}",
                f"check network and disk (HF_ENDPOINT names a mirror); {AGAIN}",
            ) from error
