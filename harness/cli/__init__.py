"""The command line: `harness.cli.app` has the start, `harness.cli.commands` all commands, one module each."""

from harness.cli.app import main

__all__ = ["main"]
