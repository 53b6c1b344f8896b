"""docs/cli.md: the help of every command, as one page.

python -m harness.cli.reference > docs/cli.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from harness.cli.app import GROUPS
from harness.cli.commands import app

WIDTH = 100  # columns of the page, whatever terminal writes it

_HEAD = """# Commands

What `harness COMMAND --help` says; `python -m harness.cli.reference > docs/cli.md` writes this page.
[json.md](json.md) has what `--json` prints, [exit-codes.md](exit-codes.md) what the exit codes mean.
"""


def reference() -> str:
    """Return the page in Markdown."""
    root = typer.main.get_command(app)
    parts = [_HEAD, _block(root, _context(root, "harness"))]
    for heading, commands in _groups(root).items():
        parts.append(f"## {heading}\n")
        for name, command, parent in commands:
            parts.append(f"### {name}\n\n{_block(command, _context(command, name, parent))}")
    return "\n".join(parts)


def _groups(root: Any) -> dict[str, list[tuple[str, Any, Any]]]:
    """Return the commands under the headings of the help: name as typed, command, context of its group."""
    context = _context(root, "harness")
    known = set().union(*GROUPS.values())
    others = tuple(name for name in root.commands if name not in known)
    headings = GROUPS | ({"Other commands": others} if others else {})
    return {
        heading: [one for name in names for one in _leaves(root.commands[name], name, context)]
        for heading, names in headings.items()
    }


def _leaves(command: Any, name: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
    if not hasattr(command, "commands"):
        yield name, command, parent
        return
    context = _context(command, name, parent)
    for inner, one in command.commands.items():
        yield f"{name} {inner}", one, context


def _context(command: Any, name: str, parent: Any = None) -> Any:
    """Make the context in which a command writes its help, as wide as the page."""
    return command.context_class(
        command,
        info_name=name.split()[-1],
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
        help_option_names=["--help"],
    )


def _block(command: Any, context: Any) -> str:
    return f"```\n{command.get_help(context).rstrip()}\n```\n"


if __name__ == "__main__":
    print(reference(), end="")
