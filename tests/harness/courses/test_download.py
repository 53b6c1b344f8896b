"""`harness data pull` against a server that speaks the hub's protocol: hashes, ranges, broken connections."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from trainer.data import write_shard

pytestmark = pytest.mark.slow

COMMIT = "a" * 40
REPOSITORY = "club/green"


class Hub:
    """A dataset repository held in memory. cuts: bytes after which the first answer for a path breaks off."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}
        self.cuts: dict[str, int] = {}
        self.requests: list[tuple[str, str, str]] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.answer(self)

            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if request.path.startswith(f"/api/datasets/{REPOSITORY}"):
            self.list_files(request)
            return
        _, _, rest = request.path.partition(f"/datasets/{REPOSITORY}/resolve/")
        path = rest.partition("/")[2].partition("?")[0]
        byte_range = request.headers.get("Range", "")
        self.requests.append((request.command, path, byte_range))
        content = self.files.get(path)
        if content is None:
            request.send_response(404)
            request.send_header("X-Error-Code", "EntryNotFound" if rest else "RepoNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        start = int(byte_range.removeprefix("bytes=").partition("-")[0]) if byte_range else 0
        request.send_response(206 if byte_range else 200)
        etag = self.etags.get(path, hashlib.sha256(content).hexdigest())
        for name, value in {
            "X-Repo-Commit": COMMIT,
            "ETag": f'"{etag}"',
            "X-Linked-Etag": f'"{etag}"',
            "X-Linked-Size": str(len(content)),
            "Accept-Ranges": "bytes",
            "Content-Length": str(len(content) - start),
        }.items():
            request.send_header(name, value)
        if byte_range:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        request.end_headers()
        if request.command == "GET":
            cut = self.cuts.pop(path, None)
            request.wfile.write(content[start:] if cut is None else content[start:cut])
            request.close_connection = cut is not None

    def list_files(self, request: BaseHTTPRequestHandler) -> None:
        """The repository's description, or the list of its files."""
        files = []
        for path, content in self.files.items():
            sha256 = self.etags.get(path, hashlib.sha256(content).hexdigest())
            lfs = {"oid": sha256, "sha256": sha256, "size": len(content), "pointerSize": 130}
            files.append({"type": "file", "path": path, "oid": "b" * 40, "size": len(content), "lfs": lfs})
        siblings = [file | {"rfilename": file["path"], "blobId": file["oid"]} for file in files]
        answer: object = {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}
        body = json.dumps(files if "/tree/" in request.path else answer).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)

    def fetched(self) -> list[str]:
        return [path for command, path, _ in self.requests if command == "GET" and path]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub()
    folder = tmp_path / "published"
    folder.mkdir()
    shards = {"val_000000": 300, "train_000000": 5_000, "train_000001": 5_000, "train_000002": 700}
    for name, count in shards.items():
        write_shard(folder / "shard.bin", np.arange(count) % 64)
        path = f"datasets/datasets/fineweb10B_sp64/fineweb_{name}.bin"
        hub.files[path] = (folder / "shard.bin").read_bytes()
    hub.files["datasets/tokenizers/fineweb_64_bpe.model"] = b"pieces"
    hub.files["datasets/tokenizers/fineweb_64_bpe.vocab"] = b"words"
    stats = {"files_train": 3, "files_val": 1, "tokens_val": 300}
    manifest = {
        "datasets": [{"name": "fineweb10B_sp64", "tokenizer_name": "sp_bpe_64", "stats": stats}],
        "tokenizers": [
            {
                "name": "sp_bpe_64",
                "model_path": "tokenizers/fineweb_64_bpe.model",
                "vocab_path": "tokenizers/fineweb_64_bpe.vocab",
            }
        ],
    }
    hub.files["datasets/manifest.json"] = json.dumps(manifest).encode()
    yield hub
    hub.server.shutdown()


@pytest.fixture
def pull(harness: Callable, hub: Hub, tmp_path: Path) -> Callable:
    pytest.importorskip("huggingface_hub")

    def call(*words: str):
        env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*"}
        hub.requests.clear()
        return harness("data", "pull", "--variant", "sp64", "--repository", REPOSITORY, *words, env=env)

    return call


def test_shards_and_tokenizer_lie_where_the_challenge_wants_them(pull, hub, tmp_path):
    done = pull("--train-shards", "2", "--json")

    assert done.returncode == 0, done.stderr
    expected = json.loads(done.stdout)
    assert expected["tokens"] == {"train": 10_000, "val": 300}
    assert expected["commit"] == COMMIT
    data = tmp_path / "data" / "datasets" / "fineweb10B_sp64"
    assert sorted(path.name for path in data.iterdir()) == [
        "fineweb_train_000000.bin",
        "fineweb_train_000001.bin",
        "fineweb_val_000000.bin",
    ]
    assert (tmp_path / expected["tokenizer_path"]).read_bytes() == b"pieces"
    assert not (tmp_path / "data" / ".pull").exists()


def test_second_pull_fetches_only_what_is_new_or_was_changed(pull, hub, tmp_path):
    pull("--train-shards", "1")
    path = tmp_path / "data" / "datasets" / "fineweb10B_sp64" / "fineweb_val_000000.bin"
    path.write_bytes(path.read_bytes()[:-2])

    done = pull("--train-shards", "2")

    assert done.returncode == 0, done.stderr
    assert {Path(name).name for name in hub.fetched()} == {
        "fineweb_val_000000.bin",
        "fineweb_train_000001.bin",
    }
    assert "2 files fetched, 3 were there" in done.stdout


def test_broken_download_goes_on_where_it_stopped(pull, hub, tmp_path):
    """huggingface_hub writes blocks of 10 MB; of a shard that breaks off later, the first block is kept."""
    shard = "datasets/datasets/fineweb10B_sp64/fineweb_train_000000.bin"
    write_shard(tmp_path / "long.bin", np.arange(6_500_000) % 64)
    hub.files[shard] = (tmp_path / "long.bin").read_bytes()
    hub.cuts[shard] = 12_000_000

    done = pull("--train-shards", "1")

    assert done.returncode == 0, done.stderr
    first, second = [
        byte_range for command, path, byte_range in hub.requests if path == shard and command == "GET"
    ]
    assert (first, second.startswith("bytes=1")) == ("", True)


def test_damaged_file_is_refused_and_never_put_in_its_place(pull, hub, tmp_path):
    shard = "datasets/datasets/fineweb10B_sp64/fineweb_train_000000.bin"
    hub.etags[shard] = "0" * 64

    done = pull("--train-shards", "1")

    assert done.returncode == 1
    assert "arrived damaged" in done.stderr
    assert not (tmp_path / "data" / "datasets" / "fineweb10B_sp64" / "fineweb_train_000000.bin").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--variant", "sp65"], "did you mean sp64?"),
        (["--train-shards", "9"], "sp64 has 3"),
        (["--repository", "club/nowhere"], "the hub knows no dataset club/nowhere"),
    ],
)
def test_what_is_not_published_is_named(pull, words, expected):
    done = pull(*words)

    assert done.returncode != 0
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_no_network_is_one_line_and_what_was_fetched_stays(pull, hub, tmp_path):
    pull("--train-shards", "1")
    hub.server.shutdown()
    hub.server.server_close()

    done = pull("--train-shards", "2")

    assert done.returncode == 1
    assert done.stderr.splitlines()[-2].startswith("error: cannot fetch the list of files")
    assert "HF_ENDPOINT" in done.stderr.splitlines()[-1]
    assert (tmp_path / "data" / "datasets" / "fineweb10B_sp64" / "fineweb_train_000000.bin").exists()
