"""Give the names of a linked program short ones again, each thing its own, and no built-in's."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from harness.flatten.link import FunctionNode, Program, argument_names, bound_by, local_names, walk

_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def shorten(program: Program) -> dict[str, str]:
    """Rename in place and return the imports still needed: statement -> the name it binds.

    A definition keeps its name unless another has it, or a local of a function that needs it: then its module's
    name goes in front.
    """
    shadows = _shadows(program)
    order = list(dict.fromkeys(name for s in program.statements for name in _names(s)))
    given: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in sorted(order, key=lambda n: ":" in n):  # imports first: their names are given by others
        for short in _candidates(name):
            hidden = short in shadows.get(name, ()) or (":" in name and short in vars(builtins))
            if not hidden and (short not in taken or _same_import(taken[short], name)):
                taken[short] = given[name] = short
                taken[short] = name
                break
    for statement in program.statements:
        _Rename(given).visit(statement)
    return {name: short for name, short in given.items() if ":" not in name}


def import_lines(imports: dict[str, str]) -> list[str]:
    """Return import statements, plain ones first, those from one module as one."""
    plain = []
    grouped: dict[str, list[str]] = {}
    for statement, short in sorted(imports.items()):
        words = statement.split(" as ")[0].split()
        name = words[-1]
        tail = "" if short in (name, name.split(".")[0]) and " as " not in statement else f" as {short}"
        if words[0] == "import":
            plain.append(f"import {name}{tail}")
        else:
            grouped.setdefault(words[1], []).append(f"{name}{tail}")
    return [
        *sorted(plain),
        *(f"from {module} import {', '.join(names)}" for module, names in sorted(grouped.items())),
    ]


def _names(statement: ast.stmt) -> Iterator[str]:
    """All resolved names of a statement, in order."""
    for name in sorted(bound_by(statement)):
        if _resolved(name):
            yield name
    for node in walk(statement):
        if isinstance(node, ast.Name) and _resolved(node.id):
            yield node.id


def _resolved(name: str) -> bool:
    return not name.isidentifier()


def _candidates(name: str) -> Iterator[str]:
    if ":" in name:
        module, own = name.split(":")
        yield own
        module = module.replace(".", "_")
        front = module.upper() if own.isupper() else module
        yield f"{front}_{own.lstrip('_')}"
        number = 2
        while True:
            yield f"{front}_{own.lstrip('_')}_{number}"
            number += 1
    else:
        bound = name.split(" as ")[-1].split()[-1]
        yield bound.split(".")[0] if " as " not in name else bound
        origin = name.split()[1].replace(".", "_")
        yield f"{origin}_{bound}"
        yield f"imported_{origin}_{bound}"


def _same_import(a: str, b: str) -> bool:
    """`import torch` and `import torch.distributed` bind one name to one thing."""
    plain = all(n.startswith("import ") and " as " not in n for n in (a, b))
    return plain and a.split()[1].split(".")[0] == b.split()[1].split(".")[0]


def _shadows(program: Program) -> dict[str, set[str]]:
    """By resolved name: the locals that would hide it where it is used."""
    found: dict[str, set[str]] = {}

    def search(node: ast.AST, hiding: frozenset[str]) -> None:
        if isinstance(node, ast.Name) and _resolved(node.id):
            found.setdefault(node.id, set()).update(hiding)
        inner = hiding
        if isinstance(node, FunctionNode):
            inner |= {n for n in local_names(node) if not _resolved(n)}
        elif isinstance(node, ast.Lambda):
            inner |= set(argument_names(node.args))
        elif isinstance(node, ast.ClassDef):
            own = {n for s in node.body for n in bound_by(s)}
            for part in ast.iter_child_nodes(node):  # methods do not see the class's names
                search(part, hiding if isinstance(part, FunctionNode) else hiding | own)
            return
        elif isinstance(node, _COMPREHENSIONS):
            inner |= {n.id for g in node.generators for n in walk(g.target) if isinstance(n, ast.Name)}
        for part in ast.iter_child_nodes(node):
            search(part, inner)

    for statement in program.statements:
        search(statement, frozenset())
    return found


class _Rename(ast.NodeTransformer):
    def __init__(self, given: dict[str, str]) -> None:
        self._given = given

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._given.get(node.id, node.id)
        return node

    def visit_FunctionDef(self, node: FunctionNode | ast.ClassDef) -> ast.AST:
        node.name = self._given.get(node.name, node.name)
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_alias(self, node: ast.alias) -> ast.AST:
        if node.asname and _resolved(node.asname):
            short = self._given.get(node.asname, node.asname.split(":")[-1])
            node.asname = short if short != node.name else None
        return node
