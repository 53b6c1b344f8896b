"""`harness preview` as a real process, followed in a real browser while its sources change."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from harness.cli.commands import app
from harness.errors import HarnessError, UsageError
from harness.publish.serve import make_server
from tests.paths import DATA, ROOT

SEASON = DATA / "season"

LAUNCH = {
    "schema": 1,
    "hole": "round_008_still_walking",
    "attempt": 1,
    "course": "fineweb",
    "split": None,
    "cap_bytes": 16_000_000,
    "preset": "baseline",
    "overrides": {},
    "seed": 7,
    "config": {"ITERATIONS": "2000", "MAX_WALLCLOCK_SECONDS": "0"},
    "started_at": "2026-03-20T09:00:00Z",
    "command": ["harness", "run"],
    "code": {"trainer": "builtin"},
    "data": {},
    "harness": "0.1.0",
}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three holes, one of them with an attempt that has no record."""
    for name in ("round_001_baseline", "round_006_fp16embed", "round_008_still_walking"):
        shutil.copytree(SEASON / name, tmp_path / "runs" / name)
    attempt = tmp_path / "runs" / "round_008_still_walking" / "attempt_01"
    (attempt / "launch.json").write_text(json.dumps(LAUNCH))
    curve = [{"step": n, "train_loss": 5 - n / 500, "train_time_ms": 100.0 * n} for n in range(10, 501, 10)]
    (attempt / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in curve))
    return tmp_path / "runs"


@pytest.fixture
def theme(tmp_path: Path) -> Path:
    folder = tmp_path / "theme"
    (folder / "copy").mkdir(parents=True)
    return folder


@pytest.fixture
def served(runs: Path, theme: Path, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A running preview: its address and its process."""
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        (
            sys.executable,
            "-m",
            "harness",
            "preview",
            "--runs",
            str(runs),
            "--theme",
            str(theme),
            "--port",
            "0",
            "--json",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    said = ""
    while not said.endswith("}\n"):
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        said += line
    yield json.loads(said)["url"], process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_pages_follow_their_sources(
    served: Any, runs: Path, theme: Path, tmp_path: Path, browser: Any
) -> None:
    address, process = served
    page = browser.new_page()
    noise: list[str] = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))

    page.goto(address + "holes/round_006_fp16embed.html")
    toml = runs / "round_006_fp16embed" / "round.toml"
    toml.write_text(toml.read_text().replace("Full Ink for the Names", "Fresh Paint"))
    page.get_by_role("heading", name="Fresh Paint").wait_for()

    (theme / "copy" / "club.toml").write_text('[club]\nname = "Muni Links"\n')
    page.get_by_role("link", name="Muni Links").wait_for()

    (theme / "templates").mkdir()
    broken = theme / "templates" / "hole.html"
    broken.write_text("{{ card.no_such_thing }}")
    page.get_by_text("template hole.html failed").wait_for()
    assert page.locator("h1").inner_text() == "Fresh Paint"  # the page before it still stands
    broken.unlink()
    page.get_by_text("template hole.html failed").wait_for(state="detached")

    record = runs / "round_001_baseline" / "attempt_01" / "record.json"
    whole = record.read_text()
    record.write_text(whole[:100])
    page.get_by_text("is not JSON").wait_for()
    record.write_text(whole)
    page.get_by_text("is not JSON").wait_for(state="detached")

    assert noise == []
    assert not list(tmp_path.glob("_site*"))
    assert not [path for path in (tmp_path / "tmp").rglob("*.html") if b".preview" in path.read_bytes()]
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 0
    assert list((tmp_path / "tmp").iterdir()) == []
    told = process.stderr.read()
    assert "error: template hole.html failed" in told
    assert "warning: " in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_a_running_attempts_page_moves(served: Any, runs: Path, browser: Any) -> None:
    address, process = served
    attempt = runs / "round_008_still_walking" / "attempt_01"
    page = browser.new_page()
    page.goto(address + "holes/round_008_still_walking.html")
    card = page.locator("section", has=page.get_by_role("heading", name="On the Course"))
    assert "step 500 of 2,000" in card.inner_text()
    assert "about 2 min 30 s" in card.inner_text()  # 1,500 steps of 100 ms
    assert "no process here is playing it" in card.inner_text()
    with FileLock(attempt / ".lock"), (attempt / "curve.jsonl").open("a") as curve:
        curve.write('{"step": 510, "train_loss": 3.9, "train_time_ms": 51000}\n')
        curve.flush()
        page.get_by_text("step 510 of 2,000").wait_for()
        assert "is being played at this moment" in card.inner_text()
        assert "3.9000" in page.locator(".curve-section").inner_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0


def test_a_published_folder_is_served_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<body>club</body>")
    (tmp_path / "secret.txt").write_text("secret")
    with make_server(tmp_path / "site", 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with urlopen(server.address) as answer:
            assert answer.read() == b"<body>club</body>"
        for outside in ("../secret.txt", "%2e%2e/secret.txt", "nowhere.html", "..%2fsecret.txt", "%00"):
            with pytest.raises(HTTPError, match="404"):
                urlopen(server.address + outside)
        server.shutdown()


def test_a_link_or_a_pipe_in_the_folder_is_not_served(tmp_path: Path, club: int) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "site" / "folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "site" / "pipe.txt")

    for name in ("link.txt", "folder/secret.txt", "pipe.txt"):
        answer = ask(club, f"GET /{name} HTTP/1.1\nHost: localhost\nConnection: close\n\n")
        assert answer.startswith("HTTP/1.1 404"), name


def test_an_address_that_is_none_gets_an_answer(club: int) -> None:
    assert ask(club, "GET http://[ HTTP/1.1\nHost: localhost\n\n").startswith("HTTP/1.1 400")


def ask(port: int, request: str) -> str:
    """Send a request word by word and return all of the answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@pytest.fixture
def club(tmp_path: Path) -> Iterator[int]:
    """The port of a server of one page, which may be asked as the proxy club.lan, too."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<body>club</body>")
    with make_server(tmp_path / "site", 0, hosts=["club.lan"]) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST:8000", "club.lan:443"])
def test_a_request_that_names_this_machine_is_answered(club: int, host: str) -> None:
    answer = ask(club, f"GET / HTTP/1.1\nHost: {host}\nConnection: close\n\n")

    assert answer.startswith("HTTP/1.1 200")
    assert "club" in answer


@pytest.mark.parametrize(
    "request_head",
    [
        "GET / HTTP/1.1\nHost: evil.example",
        "GET / HTTP/1.1\nHost: evil.example:8000",
        "GET / HTTP/1.1\nHost: localhost.evil.example",
        "GET / HTTP/1.1\nHost: localhost@evil.example",
        "GET / HTTP/1.1\nHost: localhost\nHost: evil.example",
        "GET http://evil.example/ HTTP/1.1\nHost: localhost",
        "GET / HTTP/1.1\nHost:",
        "GET / HTTP/1.0",
        "HEAD / HTTP/1.1\nHost: evil.example",
    ],
)
def test_a_page_of_somebody_else_cannot_read_the_season(club: int, request_head: str) -> None:
    """DNS rebinding: the page's own name points to this machine, and only the Host header tells."""
    answer = ask(club, f"{request_head}\nConnection: close\n\n")

    assert answer.startswith("HTTP/1.1 421")
    assert "club" not in answer


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_pages_are_read_and_nothing_else(club: int, method: str) -> None:
    answer = ask(club, f"{method} / HTTP/1.1\nHost: localhost\nContent-Length: 4\n\nbody")

    assert answer.startswith("HTTP/1.1 405")
    assert "Allow: GET, HEAD" in answer
    assert "<body>" not in answer


def test_the_head_of_a_page_has_no_body(club: int) -> None:
    answer = ask(club, "HEAD / HTTP/1.1\nHost: localhost\nConnection: close\n\n")

    assert answer.startswith("HTTP/1.1 200")
    assert "Content-Length: 17" in answer
    assert "club" not in answer


def test_what_cannot_be_previewed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def preview(*words: str) -> None:
        CliRunner().invoke(app, ["preview", *words], catch_exceptions=False)

    with pytest.raises(UsageError, match="no folder runs"):
        preview()
    (tmp_path / "runs").mkdir()
    with pytest.raises(UsageError, match="no theme"):
        preview("--theme", "nowhere")
    with pytest.raises(HarnessError, match="there is no site in nowhere"):
        preview("nowhere")
    with pytest.raises(UsageError, match="not the name of a host"):
        preview("--host", "http://proxy.lan/")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HarnessError, match=f"cannot listen on 127.0.0.1:{port}") as error:
            preview("--port", str(port))
        assert "--port" in error.value.hint
