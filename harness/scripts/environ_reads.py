"""Where a Python program reads its environment: names, how they are read, and what is unclear.

Works on syntax trees; nothing is executed. A read inside a helper function counts once per call of the
helper, one inside a loop over a table once per row.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.scripts.casts import FUNCTIONS, MAX_CALLS, Function, Program, Tracer, Use, dotted, last_part
from harness.scripts.constants import FieldOf, Func, Scope, Unknown, assignments, fold

_MAX_ROWS = 2_000  # of a table that is looped over
_DEFAULT_NAMES = ("default", "fallback", "dflt", "d", "val", "value", "v")
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


@dataclass(frozen=True)
class Read:
    """One name that is read. default: as text, None when there is none or it is computed."""

    name: str
    use: Use
    default: str | None
    required: bool
    line: int
    file: str
    how: str


@dataclass
class Reads:
    named: list[Read] = field(default_factory=list)
    unclear: list[tuple[str, int, str]] = field(default_factory=list)  # file, line, what is not known


def find_reads(trees: Mapping[str, ast.Module]) -> Reads:
    """Find all reads of the environment in the files of one program (name -> tree)."""
    program = Program(trees.values())
    reads = Reads()
    for file, tree in trees.items():
        _Finder(file, tree, program).add_reads(reads)
    return reads


@dataclass(frozen=True)
class _Access:
    """A place where the environment is read."""

    node: ast.expr
    name: ast.expr
    default: ast.expr | None
    required: bool


class _Finder:
    """Finds the reads of one file."""

    def __init__(self, file: str, tree: ast.Module, program: Program) -> None:
        self.file, self.tree, self.program, self.names = file, tree, program, program.names
        self.modules, self.environs, self.getters = {"os"}, {"os.environ"}, {"os.getenv", "os.environ.get"}
        self._find_aliases()

    def add_reads(self, reads: Reads) -> None:
        for node in ast.walk(self.tree):
            access = self._access(node)
            if access is None:
                if why := self._unclear(node):
                    reads.unclear.append((self.file, _line(node), why))
                continue
            has_name = False
            for scope in self._scopes(access.node, 0):
                if read := self._read(access, scope):
                    reads.named.append(read)
                    has_name = True
            if not has_name:
                text = ast.unparse(access.name)[:60]
                reads.unclear.append(
                    (self.file, access.node.lineno, f"reads a name that is computed: {text}")
                )

    # What reads the environment -----------------------------------------------------------------

    def _find_aliases(self) -> None:
        """Learn other names of `os.environ` and `os.getenv` in this file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                self.modules |= {alias.asname for alias in node.names if alias.name == "os" and alias.asname}
            elif isinstance(node, ast.ImportFrom) and node.module == "os":
                for alias in node.names:
                    kind = {"environ": self.environs, "getenv": self.getters}.get(alias.name)
                    if kind is not None:
                        kind.add(alias.asname or alias.name)
        for _ in range(3):  # an alias of an alias
            for module in self.modules:
                self.environs.add(f"{module}.environ")
                self.getters.add(f"{module}.getenv")
            self.getters |= {f"{environ}.get" for environ in self.environs}
            for node in ast.walk(self.tree):
                for target, value in (*assignments(node), *_parameter_defaults(node)):
                    self._learn(target, value)

    def _learn(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name | ast.Attribute):
            return
        written = dotted(value)
        if written == "os":  # o = __import__("os")
            self.modules.add(ast.unparse(target))
        elif written in self.environs or self._copies(value):
            self.environs.add(ast.unparse(target))
        elif written in self.getters:
            self.getters.add(ast.unparse(target))

    def _copies(self, value: ast.expr) -> bool:
        """Whether an expression copies the environment: dict(os.environ), .copy(), {**os.environ}."""
        if isinstance(value, ast.Dict):
            return any(
                k is None and self._is_environ(v) for k, v in zip(value.keys, value.values, strict=True)
            )
        if not isinstance(value, ast.Call):
            return False
        if isinstance(value.func, ast.Attribute) and value.func.attr == "copy":
            return self._is_environ(value.func.value)
        return last_part(value.func) in ("dict", "copy", "deepcopy") and any(
            map(self._is_environ, value.args)
        )

    def _is_environ(self, node: ast.expr) -> bool:
        return dotted(node) in self.environs

    def _access(self, node: ast.AST) -> _Access | None:
        if isinstance(node, ast.Call) and node.args:
            func = node.func
            reads = dotted(func) in self.getters
            if not reads and isinstance(func, ast.Attribute) and func.attr in ("setdefault", "pop"):
                reads = self._is_environ(func.value)
            if reads:
                keyword = [word.value for word in node.keywords if word.arg == "default"]
                return _Access(node, node.args[0], (*node.args[1:], *keyword, None)[0], False)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            if self._is_environ(node.value):
                return _Access(node, node.slice, None, not self._guarded(node))
        elif isinstance(node, ast.Compare) and self._is_environ(node.comparators[0]):
            return _Access(node, node.left, None, False)
        return None

    def _guarded(self, node: ast.AST) -> bool:
        """Whether a read stands where it need not happen: inside an `if`, a `try` or a function."""
        kinds = (ast.If, ast.IfExp, ast.Try, ast.FunctionDef, ast.Lambda)
        return any(isinstance(parent, kinds) for _, parent in self.program.above(node))

    def _unclear(self, node: ast.AST) -> str | None:
        """Say what of the environment is used in a way that names no variable."""
        if isinstance(node, ast.For | ast.comprehension) and self._is_environ(_iterated(node.iter)):
            return "goes through the whole environment"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "exec":
            return None if node.args and isinstance(node.args[0], ast.Constant) else "executes computed code"
        if isinstance(node, ast.ClassDef) and any("BaseSettings" in ast.unparse(base) for base in node.bases):
            return f"class {node.name} reads its settings itself"
        return None

    # With which values a place is reached -------------------------------------------------------

    def _scopes(self, node: ast.AST, depth: int) -> Iterator[Scope]:
        """Yield the scopes in which a node is evaluated: one per row of a table, one per call of a helper."""
        for child, parent in self.program.above(node):
            if isinstance(parent, ast.For) and child is not parent.iter:
                yield from self._rows(parent.target, parent.iter, parent, depth)
                return
            if isinstance(parent, _COMPREHENSIONS) and child is not parent.generators[0]:
                first = parent.generators[0]
                yield from self._rows(first.target, first.iter, parent, depth)
                return
            if isinstance(parent, FUNCTIONS) and (parent.args.args or parent.args.kwonlyargs):
                yield from self._called(parent, depth)
                return
        yield Scope()

    def _rows(self, target: ast.expr, walked: ast.expr, loop: ast.AST, depth: int) -> Iterator[Scope]:
        """Yield the scopes of a loop's body. A loop over what is not known is one scope without its names."""
        for outer in self._scopes(loop, depth):
            try:
                rows = fold(walked, self.names, outer)
            except Unknown:
                yield outer
                continue
            for row in list(rows)[:_MAX_ROWS] if isinstance(rows, list | dict | str) else ():
                yield outer.with_values(_bind(target, row))

    def _called(self, function: Function, depth: int) -> Iterator[Scope]:
        """Yield a scope for each call of a function; one without values when nobody calls it."""
        name = _name_of(function, self.program) if isinstance(function, ast.Lambda) else function.name
        calls = self.program.calls.get(name or "", ()) if depth < MAX_CALLS else ()
        outside = [
            call for call in calls if not any(parent is function for _, parent in self.program.above(call))
        ]
        if not outside:
            yield Scope()
        for call in outside:
            for caller in self._scopes(call, depth + 1):
                yield Scope(self._arguments(function, call, caller), call, caller)

    def _arguments(self, function: Function, call: ast.Call, caller: Scope) -> dict[str, Any]:
        """Return the values of a function's parameters in a call, those that can be told."""
        words = function.args
        plain = [word.arg for word in (*words.posonlyargs, *words.args)]
        arguments: dict[str, ast.expr] = {}
        defaults = dict(zip(plain[len(plain) - len(words.defaults) :], words.defaults, strict=True))
        for word, value in zip(words.kwonlyargs, words.kw_defaults, strict=True):
            if value is not None:
                defaults[word.arg] = value
        if isinstance(call.func, ast.Attribute) and plain[:1] in (["self"], ["cls"]):
            plain = plain[1:]
        arguments |= dict(zip(plain, call.args, strict=False))
        arguments |= {word.arg: word.value for word in call.keywords if word.arg}
        values = {}
        for name, node in (defaults | arguments).items():
            try:
                values[name] = fold(node, self.names, caller if name in arguments else Scope())
            except Unknown:
                continue
        return values

    # How a value is read ------------------------------------------------------------------------

    def _read(self, access: _Access, scope: Scope) -> Read | None:
        try:
            name = fold(access.name, self.names, scope)
        except Unknown:
            return None
        if not isinstance(name, str) or not name or len(name) > 200:
            return None
        here = Tracer(self.program)
        presence = isinstance(access.node, ast.Compare)
        use = Use() if presence else here.use_of(access.node, scope)
        default, outer = self._default(access, scope), here.outermost(access.node)
        row = next((value for value in scope.values.values() if isinstance(value, FieldOf)), None)
        if row is not None:
            default = default if default is not None else row.default
            if use.kind == "text":
                use = _use_by_type(row.type)
        return Read(
            name,
            use,
            _as_text(default),
            access.required,
            access.node.lineno,
            self.file,
            ast.unparse(outer)[:120],
        )

    def _default(self, access: _Access, scope: Scope) -> Any:
        """Find what holds when the variable is not set: after the name, in an `or`, or the helper's."""
        nodes = [access.default]
        for child, parent in self.program.above(access.node):
            if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.Or):
                nodes.append(parent.values[-1] if parent.values[-1] is not child else None)
            elif isinstance(parent, ast.IfExp):
                nodes.append(parent.body if child is parent.orelse else parent.orelse)
            elif isinstance(parent, ast.stmt):
                break
        for node in nodes:
            if node is None:
                continue
            try:
                value = fold(node, self.names, scope)
            except Unknown:
                if node is access.default and not (isinstance(node, ast.Name) and scope.call):
                    return None  # computed
                continue
            if value is not None:
                return value
        if scope.call is not None:
            names = [name for name in _DEFAULT_NAMES if scope.values.get(name) is not None]
            return scope.values[names[0]] if names else None
        return None


def _parameter_defaults(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield the parameters of a function with their defaults: `def env(name, get=os.getenv)`."""
    if isinstance(node, FUNCTIONS) and node.args.defaults:
        for word, value in zip(reversed(node.args.args), reversed(node.args.defaults), strict=False):
            yield ast.Name(word.arg), value


def _iterated(node: ast.expr) -> ast.expr:
    """Return what a loop goes through: `x` of `x.items()`."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("items", "keys")
    ):
        return node.func.value
    return node


def _line(node: ast.AST) -> int:
    """Return a node's line; a comprehension has none of its own."""
    return int(getattr(node, "lineno", 0) or getattr(getattr(node, "iter", None), "lineno", 0))


def _bind(target: ast.expr, row: Any) -> dict[str, Any]:
    if isinstance(target, ast.Name):
        return {target.id: row}
    if isinstance(target, ast.Tuple | ast.List) and isinstance(row, list | tuple):
        bound: dict[str, Any] = {}
        for part, value in zip(target.elts, row, strict=False):
            bound |= _bind(part, value)
        return bound
    return {}


def _name_of(function: ast.Lambda, program: Program) -> str | None:
    """Return the name that a lambda is assigned to."""
    parent = program.of(function)
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
        return parent.targets[0].id
    return None


def _use_by_type(kind: type) -> Use:
    return {bool: Use("flag", ("1", "0")), int: Use("int"), float: Use("float")}.get(kind, Use())


def _as_text(default: Any) -> str | None:
    if default is None or isinstance(default, Func | FieldOf | type | dict | list):
        return None
    return str(default)
