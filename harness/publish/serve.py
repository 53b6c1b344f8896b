"""Shows a published site on this machine only. Reads files; changes nothing."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from harness.errors import HarnessError

LOOPBACK = "127.0.0.1"


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files without caching; says nothing of requests that went well."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def make_server(out: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of `out` on loopback, not yet serving. port 0 takes any free one.

    Raises HarnessError when there is no site, or the port is taken.
    """
    if not (out / "index.html").is_file():
        raise HarnessError(f"there is no site in {out}", "`harness publish` builds one")
    try:
        return ThreadingHTTPServer((LOOPBACK, port), partial(_Quiet, directory=str(out)))
    except OSError as error:
        raise HarnessError(
            f"cannot listen on {LOOPBACK}:{port}: {error.strerror}", "name another port with --port"
        ) from error
    except OverflowError as error:
        raise HarnessError(f"{port} is not a port", "a port lies between 0 and 65535") from error


def preview(out: Path, port: int) -> None:
    """Serve a site until interrupted; print its address first."""
    with make_server(out, port) as server:
        print(f"http://{LOOPBACK}:{server.server_address[1]}/", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
