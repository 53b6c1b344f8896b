"""The command line: each command parses, calls one function and prints.

A module here holds the commands of one kind; importing it adds them to `app`, in the order of `harness --help`.
"""

from harness.cli import play, doctor, watch, read, referee, exchange, submit, site, data  # noqa: F401, I001
from harness.cli.app import app, main

__all__ = ["app", "main"]
