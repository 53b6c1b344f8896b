"""All commands. A module holds those of one kind; importing it adds them to `app`, in the order of `harness --help`."""

from harness.cli import play, doctor, watch, read, referee, exchange, submit, site, data  # noqa: F401, I001
from harness.cli.app import app

__all__ = ["app"]
