"""Serves a site to this machine only, as a Pages host would. Reads files; changes nothing.

A page of somebody else may let its own name point here (DNS rebinding) and read what is answered; so a
request must name this machine, or a host that was named when the server was started.
With `News`, open pages learn when they were built again; the script for that is added to what is sent, not to
files.
"""

from __future__ import annotations

import html
import json
import mimetypes
import re
import secrets
import time
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition
from urllib.parse import parse_qs, unquote, urlsplit

from harness.errors import HarnessError, UsageError
from harness.files import read_plain, shared_dir

LOOPBACK = "127.0.0.1"
_OWN_NAMES = frozenset({LOOPBACK, "localhost", "[::1]"})
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:/@\s]+)(?::\d+)?", re.I)
_HEARTBEAT_SECONDS = 10.0  # after which a closed page is noticed
_SCRIPT = "/.preview.js"
_NEWS = "/.preview/news"


class News:
    """Which pages were built when, and what is wrong right now. Announced by one thread, awaited by many."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._boot = secrets.token_hex(4)  # pages of an earlier server are stale, whatever their number
        self._count = 0
        self._built: dict[str, int] = {}
        self.problems: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        return f"{self._boot}-{self._count}"

    def announce(self, changed: Sequence[str], problems: Sequence[str]) -> None:
        """Announce a build. changed: files that are new or different; problems: sentences."""
        with self._changed:
            self._count += 1
            self._built.update(dict.fromkeys(changed, self._count))
            self.problems = tuple(problems)
            self._changed.notify_all()

    def wait(self, known: str) -> str:
        """Return the version as soon as it is not `known`, or after a while as it is."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != known, _HEARTBEAT_SECONDS)
            return self.version

    def stale(self, page: str, version: str) -> bool:
        """Whether a page that was sent at `version` looks different by now."""
        boot, _, count = version.partition("-")
        if boot != self._boot or not count.isdecimal():
            return True
        newest = max(
            (at for name, at in self._built.items() if name == page or name.startswith("assets/")), default=0
        )
        return newest > int(count)


class _Handler(BaseHTTPRequestHandler):
    """Serves files without caching; logs no requests."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, out: Path, news: News | None, hosts: frozenset[str]) -> None:
        self.out, self.news, self.hosts = out, news, hosts
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        try:
            url = urlsplit(self.path)
        except ValueError:
            self._refuse(HTTPStatus.BAD_REQUEST, "that is no address")
            return
        if not self._names_us(url.netloc):
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, "not a name of this machine; add it with --host")
            return
        if self.news is not None and url.path == _NEWS:
            self._send_news(self.news, parse_qs(url.query))
        elif self.news is not None and url.path == _SCRIPT:
            self._send(HTTPStatus.OK, (shared_dir("site") / "preview.js").read_bytes(), "text/javascript")
        else:
            self._send_file(unquote(url.path))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "pages can be read and nothing else")

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = do_POST

    def _names_us(self, within: str) -> bool:
        """Whether the request is for this machine by name, at whatever port: a tunnel may have another.

        within: the host in the address itself, as a proxy asks; it wins over the header.
        """
        hosts = self.headers.get_all("Host", [])
        return len(hosts) == 1 and all(
            _host_name(text) in self.hosts for text in (*hosts, within or hosts[0])
        )

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Answer with a sentence and end the connection: what the request still holds is not read."""
        self.close_connection = True
        self.send_response(status)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        content = f"{why}\n".encode()
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_file(self, path: str) -> None:
        name = self._name(path)
        content = self._read(name) if name is not None else None
        if content is not None:
            self._send(
                HTTPStatus.OK, content, mimetypes.guess_type(str(name))[0] or "application/octet-stream"
            )
        elif (missing := self._read("404.html")) is not None:
            self._send(HTTPStatus.NOT_FOUND, missing, "text/html")
        else:
            text = "\n".join(self.news.problems) if self.news else ""
            body = f"<body><pre>{html.escape(text or 'no such file')}</pre></body>"
            page = f"<!doctype html><title>harness preview</title>{body}"
            self._send(HTTPStatus.NOT_FOUND, page.encode(), "text/html")

    def _name(self, path: str) -> str | None:
        """The file that a path means, from the site's top; None for what cannot be one of its files."""
        name = path.lstrip("/")
        name += "index.html" if name.endswith("/") or not name else ""
        parts = name.split("/")
        return (
            None if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts) else name
        )

    def _read(self, name: str) -> bytes | None:
        for _ in range(5):
            try:
                return read_plain(self.out / name, root=self.out)
            except FileNotFoundError:
                if self.out.is_dir() or self.news is None:
                    return None
                time.sleep(0.02)  # between the two renames by which a new site takes its place
            except OSError:
                return None
        return None

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        if self.news is not None and kind == "text/html":
            script = f'<script src="{_SCRIPT}" data-version="{self.news.version}" defer></script></body>'
            content = content.replace(b"</body>", script.encode(), 1)
        self.send_response(status)
        text = kind.startswith("text/") or kind.endswith(("json", "xml", "javascript"))
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if text else kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send_news(self, news: News, query: dict[str, list[str]]) -> None:
        """Send the news to one open page, as server-sent events, until it is closed."""
        page = self._name(unquote(query.get("page", ["/"])[0])) or ""
        sent = query.get("version", [""])[0]
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        known = ""
        while self.command != "HEAD":
            now = news.wait(known)
            message = json.dumps({"stale": news.stale(page, sent), "problems": news.problems})
            self.wfile.write(f"data: {message}\n\n".encode() if now != known else b": still here\n\n")
            self.wfile.flush()
            known = now

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class SiteServer(ThreadingHTTPServer):
    """Ends at once, although pages wait for news and readers closed theirs."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader who closes the page in the middle of a transfer is no error."""

    @property
    def address(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}/"


def _host_name(text: str) -> str:
    """Return the name in a Host header, in small letters and without its port; empty where it is none."""
    match = _HOST.fullmatch(text.strip())
    return match[1].lower() if match else ""


def make_server(out: Path, port: int, news: News | None = None, hosts: Sequence[str] = ()) -> SiteServer:
    """Return a server of `out` on loopback, not yet serving. port 0 takes any free one.

    hosts: names beside this machine's own that pages may be asked under, such as a proxy's.
    Raises HarnessError when the port is taken, or when there is no site and no news of one; UsageError for
    what is no host's name.
    """
    if news is None and not (out / "index.html").is_file():
        raise HarnessError(f"there is no site in {out}", "`harness publish` builds one")
    names = _OWN_NAMES.union(map(_host_name, hosts))
    if "" in names:
        raise UsageError(
            f"--host {' '.join(hosts)} is not the name of a host", "write it like --host proxy.lan"
        )
    try:
        return SiteServer((LOOPBACK, port), partial(_Handler, out=out, news=news, hosts=names))
    except OSError as error:
        raise HarnessError(
            f"cannot listen on {LOOPBACK}:{port}: {error.strerror}", "name another port with --port"
        ) from error
    except OverflowError as error:
        raise UsageError(f"{port} is not a port", "a port lies between 0 and 65535") from error
