"""A package of modules as one script that does the same, with only what one configuration needs.

    link    every module the entry needs, names resolved     -> flatten/link.py
    fold    branches and parameters that are settled          -> flatten/fold.py
    prune   what can still be reached                         -> flatten/prune.py
    names   short names again                                 -> flatten/names.py

Knows nothing of training; works on source text alone and executes nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.flatten.fold import Settled, fold
from harness.flatten.link import FunctionNode, Program, link, walk
from harness.flatten.names import import_lines, shorten
from harness.flatten.prune import loosen_annotations, prune

__all__ = ["Recipe", "Settled", "flatten"]


@dataclass(frozen=True)
class Recipe:
    """What to make a script of.

    entry: `module:function` that the script calls. stand_ins, additions: see `link`. header: comment lines.
    """

    folder: Path
    entry: str
    settled: Settled
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    additions: Mapping[str, str] = field(default_factory=dict)
    header: str = ""


def flatten(recipe: Recipe) -> str:
    """Return the script's source. Raises HarnessError for what cannot be flattened."""
    program = _linked(recipe)
    _specialise(program, recipe)
    loosen_annotations(program)
    _shorten_docstrings(program)
    imports = import_lines(shorten(program))
    entry = recipe.entry.split(":")[1]
    parts = [
        "\n".join(["from __future__ import annotations", *imports]),
        *_paragraphs(program),
        f'if __name__ == "__main__":\n    {entry}()',
    ]
    header = "".join(f"# {line}".rstrip() + "\n" for line in recipe.header.splitlines())
    return header + "\n\n".join(parts) + "\n"


def _linked(recipe: Recipe) -> Program:
    return link(recipe.folder, recipe.entry.split(":")[0], recipe.stand_ins, recipe.additions)


def _specialise(program: Program, recipe: Recipe) -> None:
    """Prune and fold in turn until nothing more goes."""
    prune(program, recipe.entry, recipe.settled.config_class)
    while fold(program, recipe.settled):
        prune(program, recipe.entry, recipe.settled.config_class)


def _shorten_docstrings(program: Program) -> None:
    """Keep the first line of each docstring: it says what a thing is; the rest is bytes."""
    for statement in program.statements:
        for node in walk(statement):
            if not isinstance(node, FunctionNode | ast.ClassDef):
                continue
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                text = str(first.value.value).strip().splitlines()
                first.value = ast.Constant(text[0] if text else "")
            if isinstance(node, ast.ClassDef):
                node.body = [s for s in node.body if s is first or not _is_text(s)]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _paragraphs(program: Program) -> list[str]:
    """Return the statements as text: definitions apart, constants in a row together."""
    out: list[str] = []
    previous_plain = False
    for statement in program.statements:
        text = ast.unparse(ast.fix_missing_locations(statement))
        plain = not isinstance(statement, FunctionNode | ast.ClassDef)
        if plain and previous_plain:
            out[-1] += "\n" + text
        else:
            out.append(text)
        previous_plain = plain
    return out
