"""Where a Python program reads its environment: names, how they are read, and what is unclear.

Works on syntax trees; nothing is executed. A read inside a helper function counts once per call of the
helper, one inside a loop over a table once per row.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from harness.scripts.casts import Tracer, Use
from harness.scripts.companions import names_file
from harness.scripts.constants import fold
from harness.scripts.flow import names_in, unknown_is
from harness.scripts.names import NOT_KNOWN, FieldOf, Func, Scope, Unknown, WhenUnset, assignments
from harness.scripts.nodes import nodes_of
from harness.scripts.presets import Preset, holds_at, is_certain, settings_in, tables_in
from harness.scripts.program import FUNCTIONS, MAX_CALLS, Function, Program, Site, dotted, last_part
from harness.scripts.reach import DEFAULT_NAMES, MAX_ROWS, Reach, defaults_of, parameters_of
from harness.scripts.system_names import is_never_own

WRAPPER = " (wrapper)"  # ends the name of a file's outer part, where the script itself is packed
_MAX_USES = 16  # calls that are looked at to learn how a name that is written out is used


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
    default_from: frozenset[str] = frozenset()  # variables that the default is worked out from


@dataclass
class Reads:
    named: list[Read] = field(default_factory=list)
    unclear: list[tuple[str, int, str]] = field(default_factory=list)  # file, line, what is not known


def find_reads(trees: Mapping[str, ast.Module], settings: Mapping[str, str] | None = None) -> Reads:
    """Find all reads of the environment in the files of one program (name -> tree).

    settings: variables that are set; defaults that hang on them are worked out from these values.
    """
    reads, finders = Reads(), finders_of(trees, settings)
    presets: dict[str, str] = {}  # of wrappers around packed code, which run first
    for finder in finders:
        finder.outer_presets = dict(presets)
        finder.add_reads(reads)
        if finder.file.endswith(WRAPPER):
            presets |= {preset.name: preset.value for preset in finder.presets}
    return reads


def finders_of(trees: Mapping[str, ast.Module], settings: Mapping[str, str] | None = None) -> list[Finder]:
    """Return what looks at each file of one program."""
    program = Program(trees.values())
    return [Finder(file, tree, program, settings or {}, frozenset(trees)) for file, tree in trees.items()]


@dataclass(frozen=True)
class _Access:
    """A place where the environment is read."""

    node: ast.expr
    name: ast.expr
    default: ast.expr | None
    required: bool
    is_setting: bool = False  # setdefault, which reads and sets


class Finder:
    """Finds the reads of one file."""

    def __init__(
        self,
        file: str,
        tree: ast.Module,
        program: Program,
        settings: Mapping[str, str],
        files: frozenset[str],
    ) -> None:
        self.settings, self.outer_presets, self.files = settings, dict[str, str](), files
        self.file, self.tree, self.program, self.names = file, tree, program, program.names
        self.modules, self.environs, self.getters = {"os"}, {"os.environ"}, {"os.getenv", "os.environ.get"}
        self._copied: set[str] = set()  # those of `environs` that are tables of their own
        self._helpers_entered: list[Func] = []
        self.unset = replace(program.names, values={}, used=set(), environment=self._when_unset)
        self.nodes, self.reach = nodes_of(tree), Reach(program, self._value)
        self._find_aliases()
        kinds = (ast.Call, ast.Subscript, ast.Compare)
        self.accesses = {node: found for node in self.nodes.of(*kinds) if (found := self._access(node))}
        program.readers |= self.accesses.keys()
        self.presets: list[Preset] = []

    def add_reads(self, reads: Reads) -> None:
        self.find_presets()
        for node in self.nodes.of(ast.For, ast.comprehension, ast.Call, ast.ClassDef):
            if why := self._unclear(node):
                reads.unclear.append((self.file, _line(node), why))
        for access in sorted(self.accesses.values(), key=lambda access: _place(access.node)):
            is_named = isinstance(access.name, ast.Constant)
            needed = names_in([access.name, *([access.default] if access.default else [])])
            most = _MAX_USES if is_named else MAX_ROWS
            scopes = islice(self.reach.scopes(access.node, needed, most=most), most)
            found = [self._read(access, scope) for scope in scopes]
            reads.named += [read for read in found if read]
            if not any(found) and (found or not is_named):
                text = ast.unparse(access.name)[:60]
                reads.unclear.append(
                    (self.file, access.node.lineno, f"reads a name that is computed: {text}")
                )

        if self.reach.is_cut:
            reads.unclear.append((self.file, 1, "has more calls within calls than are followed"))

    # What reads the environment -----------------------------------------------------------------

    def _find_aliases(self) -> None:
        """Learn other names of `os.environ` and `os.getenv` in this file."""
        for plain in self.nodes.of(ast.Import):
            self.modules |= {alias.asname for alias in plain.names if alias.name == "os" and alias.asname}
        for node in self.nodes.of(ast.ImportFrom):
            for alias in node.names if node.module == "os" else ():
                for name, kind in (("environ", self.environs), ("getenv", self.getters)):
                    if alias.name in (name, "*"):
                        kind.add(alias.asname or name)
        places = self.nodes.of(ast.Assign, ast.AnnAssign, ast.NamedExpr, *FUNCTIONS)
        pairs = [pair for place in places for pair in (*assignments(place), *_parameter_defaults(place))]
        pairs = [(target, value) for target, value in pairs if not isinstance(value, ast.Constant)]
        for _ in range(3):  # an alias of an alias
            for module in self.modules:
                self.environs.add(f"{module}.environ")
                self.getters.add(f"{module}.getenv")
            self.getters |= {f"{environ}.get" for environ in self.environs}
            known = len(self.environs) + len(self.getters) + len(self.modules)
            for target, value in pairs:
                self._learn(target, value)
            if known == len(self.environs) + len(self.getters) + len(self.modules):
                break

    def _learn(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name | ast.Attribute):
            return
        written = dotted(value)
        if written == "os":  # o = __import__("os")
            self.modules.add(ast.unparse(target))
        elif written in self.environs or self._copies(value):
            self.environs.add(ast.unparse(target))
            if written not in self.environs and ast.unparse(target) != "os.environ":
                self._copied.add(ast.unparse(target))
        elif written in self.getters:
            self.getters.add(ast.unparse(target))

    def _copies(self, value: ast.expr) -> bool:
        """Whether an expression copies the environment: dict(os.environ), .copy(), {**os.environ}, a | b."""
        if isinstance(value, ast.Dict):
            return any(
                k is None and self._is_environ(v) for k, v in zip(value.keys, value.values, strict=True)
            )
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
            return any(self._is_environ(side) or self._copies(side) for side in (value.left, value.right))
        if not isinstance(value, ast.Call):
            return False
        if isinstance(value.func, ast.Attribute) and value.func.attr == "copy":
            return self._is_environ(value.func.value)
        given = [*value.args, *(word.value for word in value.keywords if word.arg is None)]
        return last_part(value.func) in ("dict", "copy", "deepcopy") and any(map(self._is_environ, given))

    def _is_environ(self, node: ast.expr) -> bool:
        return dotted(node) in self.environs

    def find_presets(self) -> None:
        """Learn what the file puts into the environment itself, before its reads are looked at."""
        self.presets = list(self._find_presets())

    def _find_presets(self) -> Iterator[Preset]:
        """Yield what the file puts into the environment itself."""
        for node in self.nodes.of(ast.Assign, ast.AugAssign, ast.Call):
            for owner, table in tables_in(node, self._is_environ, self._copies):
                yield from self._settings_of(node, owner, table)
            for name, value in settings_in(node, self._is_environ):
                for scope in self.reach.scopes(node, names_in([name, value])):
                    known = unknown_is(fold, name, self.names, scope)
                    text = _as_text(self.value_unset(value, scope)[0])
                    if isinstance(known, str) and text is not None and self._is_certain(node, known, scope):
                        yield Preset(known, text, _outermost_call(node, scope))

    def _settings_of(self, node: ast.AST, owner: ast.expr, table: ast.expr) -> Iterator[Preset]:
        """Yield what the table of `os.environ.update(TABLE)`, `cfg = {**TABLE, **os.environ}` gives."""
        written = dotted(owner) if dotted(owner) in self._copied else ""
        for scope in islice(self.reach.scopes(node, names_in([table])), _MAX_USES):
            values = self.value_unset(table, scope)[0]
            for name, value in values.items() if isinstance(values, dict) else ():
                text = _as_text(value)
                if isinstance(name, str) and text is not None and self._is_certain(node, name, scope):
                    yield Preset(name, text, _outermost_call(node, scope), written)

    def _is_certain(self, node: ast.AST, name: str, scope: Scope) -> bool:
        return is_certain(node, lambda part: unknown_is(fold, part, self.names, scope) == name, self.program)

    def _preset(self, name: str, node: ast.AST) -> str | None:
        """Return what the script itself has set a variable to before a read; None where it has not."""
        owners = {"", _environ_of(node)}
        before = [
            p
            for p in self.presets
            if p.name == name and p.owner in owners and holds_at(p, node, self.program)
        ]
        return before[-1].value if before else self.outer_presets.get(name)

    def _access(self, node: ast.AST) -> _Access | None:
        if isinstance(node, ast.Call):
            func = node.func
            reads = dotted(func) in self.getters
            if not reads and isinstance(func, ast.Attribute) and func.attr in ("setdefault", "pop"):
                reads = self._is_environ(func.value)
            sets = isinstance(func, ast.Attribute) and func.attr == "setdefault"
            given = _given(node) if reads else []
            if given:
                return _Access(node, given[0], (*given[1:], None)[0], False, sets)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            if self._is_environ(node.value):
                return _Access(node, node.slice, None, not self.is_guarded(node))
        elif isinstance(node, ast.Compare) and self._is_environ(node.comparators[0]):
            return _Access(node, node.left, None, False)
        return None

    def is_guarded(self, node: ast.AST) -> bool:
        """Whether a read stands where it need not happen: inside an `if`, a `try` or a function."""
        kinds = (ast.If, ast.IfExp, ast.Try, ast.FunctionDef, ast.Lambda)
        return any(isinstance(parent, kinds) for _, parent in self.program.above(node))

    def _unclear(self, node: ast.AST) -> str | None:
        """Say what of the environment is used in a way that names no variable."""
        if isinstance(node, ast.For | ast.comprehension) and self._is_environ(_iterated(node.iter)):
            return "goes through the whole environment"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "exec":
            known = node.args and isinstance(node.args[0], ast.Constant)
            return None if known or names_file(node, self.files) else "executes computed code"
        if isinstance(node, ast.ClassDef) and any("BaseSettings" in ast.unparse(base) for base in node.bases):
            return f"class {node.name} reads its settings itself"
        return None

    # What expressions come to ------------------------------------------------------------------

    def _value(self, node: ast.expr, scope: Scope) -> Any:
        """Return what an expression comes to: always, or while variables are not set, or NOT_KNOWN."""
        value = unknown_is(fold, node, self.names, scope)
        if value is NOT_KNOWN:
            value, variables = self.value_unset(node, scope)
            if value is not NOT_KNOWN and variables:
                return WhenUnset(value, variables)
        return value

    def value_unset(self, node: ast.expr, scope: Scope) -> tuple[Any, frozenset[str]]:
        """Return what an expression comes to while nothing is set, and the variables that this hangs on."""
        before = set(self.unset.used)
        self.unset.used.clear()
        self.unset.values.clear()  # of constants: each would remember its value, not the variables behind it
        value = unknown_is(fold, node, self.unset, scope)
        variables = frozenset(self.unset.used)
        self.unset.used |= before
        return value, variables

    def _when_unset(self, node: ast.AST, scope: Scope) -> tuple[Any] | None:
        """Return the value of a read while nothing is set; None for what is no read, nor a helper that reads.

        Raises Unknown for a read without a default, and for what a launcher sets.
        """
        access = self._access(node)
        if access is None:
            return self._helper_unset(node, scope) if isinstance(node, ast.Call) else None
        name = fold(access.name, self.names, scope)
        if not isinstance(name, str) or is_never_own(name):
            raise Unknown(node)
        if isinstance(node, ast.Compare):
            self.unset.used.add(name)
            present = name in self.settings or self._preset(name, node) is not None
            return (present == isinstance(node.ops[0], ast.In),)
        if access.default is None and access.required:
            raise Unknown(node)
        self.unset.used.add(name)
        given = self.settings.get(name, self._preset(name, node))
        if given is not None:
            return (given,)
        return (None if access.default is None else fold(access.default, self.unset, scope),)

    def _helper_unset(self, call: ast.Call, scope: Scope) -> tuple[Any] | None:
        """Return what a helper that reads one variable gives while it is not set."""
        called = unknown_is(fold, call.func, self.names, scope)
        if not isinstance(called, Func) or len(self._helpers_entered) >= MAX_CALLS:
            return None
        access = next(filter(None, map(self._access, ast.walk(called.node))), None)
        if access is None:
            return None
        self._helpers_entered.append(called)
        try:
            inner = Scope(self._arguments(called.node, call, scope), call, scope)
            name = unknown_is(fold, access.name, self.names, inner)
            value, variables = self._default(access, inner)
        finally:
            self._helpers_entered.pop()
        if value is None or not isinstance(name, str) or is_never_own(name):
            raise Unknown(call)
        self.unset.used |= variables | {name}
        return (value,)

    def _arguments(self, function: Function, call: ast.Call, caller: Scope) -> dict[str, Any]:
        """Return the values of a function's parameters in a call, those that can be told."""
        given = Site(call, tuple(call.args), tuple(call.keywords)).arguments(
            function, self.program.is_method(function)
        )
        values = {name: self._value(node, Scope()) for name, node in defaults_of(function).items()}
        values |= {name: self._value(node, caller) for name, node in given.items()}
        return {name: value for name, value in values.items() if value is not NOT_KNOWN}

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
        (default, variables), outer = self._default(access, scope), here.outermost(access.node)
        preset = None if access.is_setting else self._preset(name, access.node)
        if preset is not None:
            default, variables = preset, frozenset()
        row = next((value for value in scope.values.values() if isinstance(value, FieldOf)), None)
        if row is not None:
            default = default if default is not None else row.default
            if use.kind == "text":
                use = _use_by_type(row.type)
        return Read(
            name,
            use,
            _as_text(default),
            access.required and preset is None,
            access.node.lineno,
            self.file,
            ast.unparse(outer)[:120],
            variables,
        )

    def _default(self, access: _Access, scope: Scope) -> tuple[Any, frozenset[str]]:
        """Find what holds when the variable is not set: after the name, in an `or`, or the helper's.

        The second value: variables that it is worked out from.
        """
        for node in (access.default, *self._alternatives(access.node)):
            if node is None:
                continue
            value, variables = self.value_unset(node, scope)
            if value is NOT_KNOWN:
                if node is access.default and not (isinstance(node, ast.Name) and scope.call):
                    return None, frozenset()  # computed
            elif value is not None and not (value == "" and self._has_other(access.node)):
                return value, variables
        given = self._given_names(access.node) & scope.values.keys()
        for name in DEFAULT_NAMES:
            if name in given:
                value, variables = self.value_unset(ast.Name(name), Scope(scope.values))
                if value is not NOT_KNOWN and value is not None:
                    return value, variables
        if scope.call is not None and self._is_returned(access.node):
            for node in self._alternatives(scope.call):
                value, variables = self.value_unset(node, scope.caller or Scope())
                if value is not NOT_KNOWN and value is not None:
                    return value, variables
        return None, frozenset()

    def _alternatives(self, node: ast.AST) -> Iterator[ast.expr]:
        """Yield what an expression gives in place of a value: the `b` of `a or b` and of `a if c else b`."""
        for child, parent in self.program.above(node):
            if isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.Or):
                if parent.values[-1] is not child:
                    yield parent.values[-1]
            elif isinstance(parent, ast.IfExp) and child is not parent.test:
                yield parent.body if child is parent.orelse else parent.orelse
            elif isinstance(parent, ast.IfExp):
                yield parent.orelse
            elif isinstance(parent, ast.stmt):
                return

    def _has_other(self, node: ast.AST) -> bool:
        """Whether `get("X", "") or 5` goes on to something else where the text is empty."""
        for child, parent in self.program.above(node):
            if isinstance(parent, ast.BoolOp):
                return isinstance(parent.op, ast.Or) and parent.values[-1] is not child
            if not (isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and not parent.args)):
                return False
        return False

    def _given_names(self, node: ast.AST) -> set[str]:
        """Return the names that a call or a loop gives values to, where a node stands."""
        names: set[str] = set()
        for _, parent in self.program.above(node):
            if isinstance(parent, ast.For):
                names |= names_in([parent.target])
            elif isinstance(parent, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
                names |= names_in(part.target for part in parent.generators)
            elif isinstance(parent, FUNCTIONS):
                return names | parameters_of(parent)
        return names

    def _is_returned(self, node: ast.AST) -> bool:
        return any(
            isinstance(parent, ast.Return | ast.Lambda)
            for _, parent in islice(self.program.above(node), _MAX_USES)
        )


def _environ_of(node: ast.AST) -> str:
    """Return what a read goes to, as it is written: `cfg` of `cfg["X"]`, `cfg.get("X")`, `"X" in cfg`."""
    if isinstance(node, ast.Compare):
        return dotted(node.comparators[0])
    if isinstance(node, ast.Subscript):
        return dotted(node.value)
    is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return dotted(node.func.value) if is_method else ""  # type: ignore[attr-defined]


def _outermost_call(node: ast.AST, scope: Scope) -> ast.AST:
    """Return the call by which a place in a helper is reached, seen from outside of all helpers."""
    inner: Scope | None = scope
    while inner is not None:
        node, inner = inner.call or node, inner.caller
    return node


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


def _given(call: ast.Call) -> list[ast.expr]:
    """Return the name and the default that `get` is given: `get(*pair)` and `get(key=..)` among it."""
    words = {word.arg: word.value for word in call.keywords}
    given = [word for word in (words.get("key"), words.get("default")) if word is not None]
    if len(call.args) == 1 and isinstance(call.args[0], ast.Starred):
        pair = call.args[0].value
        parts = [ast.Subscript(pair, ast.Constant(number), ast.Load()) for number in range(2)]
        return [ast.copy_location(part, call) for part in parts]
    return [*call.args, *given]


def _place(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _use_by_type(kind: type) -> Use:
    return {bool: Use("flag", ("1", "0")), int: Use("int"), float: Use("float")}.get(kind, Use())


def _as_text(default: Any) -> str | None:
    if default is None or default is NOT_KNOWN or isinstance(default, Func | FieldOf | type | dict | list):
        return None
    return str(default)
