"""Many modules of a package as one list of definitions, every name resolved.

In a linked program a name of the package is written `module:name`, and an imported one is the text of its import
(`import numpy as np`), so that no two things share a name until `harness.flatten.names` gives them short ones.
Nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import HarnessError

Meaning = str | tuple[str]  # `module:name`, the text of an import, or (module,)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass
class Program:
    """Top-level statements in the order in which they must run; each defines one or more names."""

    statements: list[ast.stmt] = field(default_factory=list)
    facts: frozenset[tuple[str, ...]] = frozenset()  # what the last folding went by

    def units(self) -> Iterator[ast.AST]:
        """The parts that are read and changed as one: functions, methods, and what stands around them."""
        for statement in self.statements:
            if isinstance(statement, ast.ClassDef):
                yield from (*statement.bases, *statement.keywords, *statement.decorator_list, *statement.body)
            else:
                yield statement

    def functions(self) -> dict[str, FunctionNode]:
        return {s.name: s for s in self.statements if isinstance(s, FunctionNode)}

    def classes(self) -> dict[str, ast.ClassDef]:
        return {s.name: s for s in self.statements if isinstance(s, ast.ClassDef)}


def link(
    folder: Path, entry: str, stand_ins: Mapping[str, str], additions: Mapping[str, str] = {}
) -> Program:
    """Read the modules of a package that an entry module needs and resolve their names.

    stand_ins: `module:name` of a definition -> `module:name` of what takes its place.
    additions: by module, source whose definitions take the place of those of the same name; a class gives its
        fields only, and keeps the methods it had.
    Raises HarnessError naming the file and line of what cannot be flattened.
    """
    package = folder.name
    trees: dict[str, ast.Module] = {}

    def read(module: str, asked_by: tuple[str, ...]) -> None:
        if module in asked_by:
            raise HarnessError(f"{package}: the modules {' -> '.join((*asked_by, module))} import each other")
        if module in trees:
            return
        tree = _parse(folder, module)
        _add(tree, additions.get(module, ""))
        for node in walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for meaning in own.bindings(node, module).values():
                    name = meaning[0] if isinstance(meaning, tuple) else meaning.split(":")[0]
                    if isinstance(meaning, tuple) or ":" in meaning:
                        read(name, (*asked_by, module))
        trees[module] = tree  # after what it imports: the order in which they must run

    own = _Package(folder)
    read(entry, ())
    modules = {name: _Module.of(name, tree, own) for name, tree in trees.items()}
    linker = _Linker(modules, stand_ins, own)
    return Program([statement for module in modules.values() for statement in linker.statements(module)])


def _file_of(folder: Path, module: str) -> Path | None:
    """Return the file of a module by its name below the package: `model`, `features.gpt`, `features`."""
    place = folder.joinpath(*module.split("."))
    found = (place.with_name(f"{place.name}.py"), place / "__init__.py")
    return next((path for path in found if path.is_file()), None)


def _parse(folder: Path, module: str) -> ast.Module:
    path = _file_of(folder, module) or folder / f"{module}.py"
    try:
        return ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise HarnessError(f"cannot read {path}: {error}") from error


def _add(tree: ast.Module, source: str) -> None:
    """Put definitions of `source` in the place of the tree's own."""
    for new in ast.parse(source).body:
        if isinstance(new, ast.Import | ast.ImportFrom):
            tree.body.insert(0, new)
            continue
        name = next(iter(bound_by(new)))
        at = next((i for i, old in enumerate(tree.body) if name in bound_by(old)), None)
        if at is None:
            first = next(i for i, s in enumerate(tree.body) if isinstance(s, ast.ClassDef | ast.FunctionDef))
            tree.body.insert(first, new)
            continue
        old = tree.body[at]
        if isinstance(old, ast.ClassDef) and isinstance(new, ast.ClassDef):
            old.body = [*new.body, *(s for s in old.body if isinstance(s, FunctionNode))]
        else:
            tree.body[at] = new


@dataclass
class _Module:
    """One file: what its names mean. A value is `module:name`, the text of an import, or (module,)."""

    name: str
    body: list[ast.stmt]
    bindings: dict[str, Meaning]

    @staticmethod
    def of(name: str, tree: ast.Module, package: _Package) -> _Module:
        bindings: dict[str, Meaning] = {}
        body = []
        for statement in _unwrapped(tree.body):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                bindings |= package.bindings(statement, name)
            else:
                body.append(statement)
                bindings |= {bound: f"{name}:{bound}" for bound in bound_by(statement)}
        return _Module(name, body, bindings)


def _unwrapped(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Leave out what only documents, checks or starts a module; open `if TYPE_CHECKING`."""
    for statement in body:
        if isinstance(statement, ast.If):
            test = ast.unparse(statement.test)
            if test.endswith("TYPE_CHECKING"):
                yield from statement.body
                continue
            if test.startswith("__name__"):
                continue
        if isinstance(statement, ast.Assert):
            continue
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        if "__all__" not in bound_by(statement):
            yield statement


@dataclass(frozen=True)
class _Package:
    """The package that is flattened: knows which imports are its own."""

    folder: Path

    def bindings(self, node: ast.Import | ast.ImportFrom, where: str) -> dict[str, Meaning]:
        """Return what each name of an import statement means."""
        found: dict[str, Meaning] = {}
        package = self.folder.name
        for alias in node.names:
            bound = alias.asname or alias.name
            tail = f" as {alias.asname}" if alias.asname else ""
            if isinstance(node, ast.Import):
                if alias.name.split(".")[0] == package:
                    raise HarnessError(
                        f"{where}.py line {node.lineno}: `import {alias.name}` cannot be flattened",
                        f"write `from {package} import ...`",
                    )
                found[bound.split(".")[0]] = f"import {alias.name}{tail}"
            elif node.level or alias.name == "*":
                raise HarnessError(
                    f"{where}.py line {node.lineno}: a relative or starred import cannot be flattened",
                    f"write `from {package}.module import name`",
                )
            elif node.module == package:
                found[bound] = (alias.name,)
            elif str(node.module).startswith(f"{package}."):
                module = str(node.module).removeprefix(f"{package}.")
                inner = f"{module}.{alias.name}"
                found[bound] = (inner,) if _file_of(self.folder, inner) else f"{module}:{alias.name}"
            elif node.module != "__future__":
                found[bound] = f"from {node.module} import {alias.name}{tail}"
        return found


class _Linker(ast.NodeTransformer):
    """Rewrites names of one module after the other."""

    def __init__(
        self, modules: Mapping[str, _Module], stand_ins: Mapping[str, str], package: _Package
    ) -> None:
        self._modules, self._stand_ins, self._package = modules, stand_ins, package
        self._frames: list[tuple[ast.AST, dict[str, Meaning | None]]] = []
        self._module = next(iter(modules.values()))

    def statements(self, module: _Module) -> Iterator[ast.stmt]:
        self._module = module
        for statement in module.body:
            yield self.visit(statement)

    def _lookup(self, name: str) -> Meaning | None:
        """What a name means here; None for a local or a built-in."""
        for depth, (node, names) in enumerate(reversed(self._frames)):
            if isinstance(node, ast.ClassDef) and depth > 0:
                continue  # names of a class body are not seen from its methods
            if name in names:
                return names[name]
        return self._settle(self._module.bindings.get(name))

    def _settle(self, meaning: Meaning | None) -> Meaning | None:
        """Follow a name through modules that only pass it on, and to what stands in for it."""
        while isinstance(meaning, str) and ":" in meaning:
            meaning = self._stand_ins.get(meaning, meaning)
            module, name = meaning.split(":", 1)
            onward = self._modules[module].bindings.get(name) if module in self._modules else meaning
            if onward == meaning:
                return meaning
            meaning = onward
        return meaning

    def visit_Name(self, node: ast.Name) -> ast.AST:
        meaning = self._lookup(node.id)
        if isinstance(meaning, tuple):
            raise HarnessError(
                f"{self._module.name}.py line {node.lineno}: the module {node.id} is used as a value"
            )
        return ast.copy_location(ast.Name(meaning, node.ctx), node) if meaning else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name):
            meaning = self._lookup(node.value.id)
            if isinstance(meaning, tuple):
                settled = self._settle(f"{meaning[0]}:{node.attr}")
                if isinstance(settled, str):
                    return ast.copy_location(ast.Name(settled, node.ctx), node)
        return self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> ast.AST:
        """An import inside a function stays there; one of the package is known by now."""
        meanings = self._package.bindings(node, self._module.name)
        own = [m for m in meanings.values() if isinstance(m, tuple) or ":" in m]
        if own:
            return ast.copy_location(ast.Pass(), node)
        if not any(isinstance(frame, FunctionNode) for frame, _ in self._frames):
            for alias in node.names:
                alias.asname = f"{self._module.name}:{alias.asname or alias.name}"
        return node

    visit_ImportFrom = visit_Import

    def visit_Global(self, node: ast.Global) -> ast.AST:
        raise HarnessError(f"{self._module.name}.py line {node.lineno}: `global` cannot be flattened")

    def visit_FunctionDef(self, node: FunctionNode) -> ast.AST:
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        node.args = self._visit_signature(node.args)
        if node.returns:
            node.returns = self.visit(node.returns)
        node.name = self._own_name(node.name)
        names: dict[str, Meaning | None] = dict.fromkeys(local_names(node))
        for inner in walk(node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                for bound, meaning in self._package.bindings(inner, self._module.name).items():
                    if isinstance(meaning, tuple) or ":" in meaning:
                        names[bound] = self._settle(meaning) if isinstance(meaning, str) else meaning
        self._frames.append((node, names))
        node.body = [self.visit(statement) for statement in node.body]
        self._frames.pop()
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        node.args = self._visit_signature(node.args)
        return self._within(node, dict.fromkeys(argument_names(node.args)), "body")

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        for name in ("bases", "keywords", "decorator_list"):
            setattr(node, name, [self.visit(part) for part in getattr(node, name)])
        node.name = self._own_name(node.name)
        self._frames.append((node, dict.fromkeys(name for s in node.body for name in bound_by(s))))
        node.body = [self.visit(statement) for statement in node.body]
        self._frames.pop()
        return node

    def _visit_comprehension(self, node: ast.AST) -> ast.AST:
        targets = [g.target for g in node.generators]  # type: ignore[attr-defined]
        names = {n.id for target in targets for n in walk(target) if isinstance(n, ast.Name)}
        self._frames.append((node, dict.fromkeys(names)))
        node = self.generic_visit(node)
        self._frames.pop()
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def _within(self, node: ast.Lambda, names: dict[str, None], part: str) -> ast.AST:
        self._frames.append((node, dict(names)))
        setattr(node, part, self.visit(getattr(node, part)))
        self._frames.pop()
        return node

    def _visit_signature(self, arguments: ast.arguments) -> ast.arguments:
        visited = self.generic_visit(arguments)
        assert isinstance(visited, ast.arguments)
        return visited

    def _own_name(self, name: str) -> str:
        return name if self._frames else f"{self._module.name}:{name}"


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a node and all below it in the order of the source; several times as fast as `ast.walk`."""
    pending = [node]
    while pending:
        inner = pending.pop()
        yield inner
        below: list[ast.AST] = []
        for value in vars(inner).values():
            if isinstance(value, ast.AST):
                below.append(value)
            elif type(value) is list:
                below.extend(v for v in value if isinstance(v, ast.AST))
        below.reverse()
        pending.extend(below)


def nodes(unit: ast.AST) -> tuple[ast.AST, ...]:
    """Return all nodes of a unit, remembered until it is touched."""
    known: tuple[ast.AST, ...] | None = vars(unit).get("_nodes")
    if known is None:
        known = tuple(walk(unit))
        vars(unit)["_nodes"] = known
    return known


def mentions(unit: ast.AST) -> frozenset[str]:
    """Return the names and attributes in a unit, remembered until it is touched."""
    known: frozenset[str] | None = vars(unit).get("_mentions")
    if known is None:
        named = (n.id if isinstance(n, ast.Name) else getattr(n, "attr", None) for n in nodes(unit))
        known = frozenset(name for name in named if name)
        vars(unit)["_mentions"] = known
    return known


def touch(unit: ast.AST) -> None:
    """Forget what was remembered of a unit that has changed."""
    for name in ("_nodes", "_mentions", "_uses", "_settled"):
        vars(unit).pop(name, None)


# What a piece of code binds --------------------------------------------------------------------------


def argument_names(arguments: ast.arguments) -> list[str]:
    every = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    return [argument.arg for argument in every if argument]


def local_names(function: FunctionNode) -> set[str]:
    """Return the names that belong to a function: parameters and whatever its own body binds."""
    bound = {name for statement in function.body for name in bound_by(statement)}
    return bound | set(argument_names(function.args))


def bound_by(statement: ast.AST) -> set[str]:
    """Names that a statement binds in the scope where it stands."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    found: set[str] = set()
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, _SCOPES) and not isinstance(node, ast.Lambda):
            found.add(node.name)
            continue
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            found.add(node.id)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        pending.extend(ast.iter_child_nodes(node))
    return found
