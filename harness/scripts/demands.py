"""What a training script needs of the machine that runs it, read off its source: CUDA, programs, a Python.

Only what surely runs counts: code in a branch, in a `try`, or in a function that nothing reaches makes no
demand. Pure: text in, facts out; nothing is executed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from harness.scripts.constants import fold
from harness.scripts.grammar import newest_form, parse_source
from harness.scripts.names import Scope, Unknown
from harness.scripts.nodes import below, children
from harness.scripts.program import FUNCTIONS, Program, dotted, last_part
from harness.scripts.unpack import unpack_source


@dataclass(frozen=True)
class Demand:
    """One thing that a script needs. what: the program's name; of CUDA the code that needs it."""

    what: str
    line: int
    file: str = ""

    @property
    def place(self) -> str:
        return f"{self.file} line {self.line}" if self.file else f"line {self.line}"


@dataclass(frozen=True)
class PythonDemand:
    """The oldest Python that reads and runs a script. what: what it has that needs this one."""

    version: tuple[int, int]
    what: str
    line: int
    file: str = ""

    def __str__(self) -> str:
        place = f"{self.file} line {self.line}" if self.file else f"line {self.line}"
        return f"needs Python {self.version[0]}.{self.version[1]}: {place} has {self.what}"


@dataclass(frozen=True)
class Demands:
    """What a script needs. programs: those it starts and cannot do without, each once, by first line.

    launcher: a variable that it reads without a default and that only torchrun sets.
    """

    cuda: Demand | None = None
    launcher: Demand | None = None
    programs: tuple[Demand, ...] = ()
    python: PythonDemand | None = None


def read_demands(files: Mapping[str, str] | str) -> Demands:
    """Read what a script needs: its text, or the texts of all its files by name, the script first.

    Raises UsageError when a file is not Python.
    """
    files = {"": files} if isinstance(files, str) else files
    texts = {name: unpack_source(text).source for name, text in files.items()}
    trees = {name: parse_source(text, name or "the script") for name, text in texts.items()}
    program = Program(trees.values())
    place = {tree: name for name, tree in trees.items()}
    cuda: list[Demand] = []
    started: dict[str, Demand] = {}
    launcher: Demand | None = None
    own = _variables_set(program)
    for node in _running(program, next(iter(trees.values()))):
        module = program.module(node)
        file = place[module] if isinstance(module, ast.Module) else ""
        what = _cuda_check(node) or _cuda_use(node)
        if what:
            cuda.append(Demand(what, _line(node), file))
        variable = _launcher_variable(node)
        if variable and launcher is None and variable not in own:
            launcher = Demand(variable, _line(node), file)
        name = _started(node, program) if isinstance(node, ast.Call) else None
        if name:
            started.setdefault(name, Demand(name, _line(node), file))
    return Demands(
        min(cuda, key=lambda demand: not demand.what.startswith(("assert", "if")), default=None),
        launcher,
        tuple(started.values()),
        _python(texts, trees),
    )


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


# What surely runs ---------------------------------------------------------------------------------


def _running(program: Program, script: ast.Module) -> Iterator[ast.AST]:
    """Yield the nodes that run whenever the script does, those of functions that it calls among them."""
    waiting: list[ast.AST] = [script]
    seen: set[ast.AST] = set()
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            yield node
            waiting += reversed(list(_run_with(node, program)))


def _run_with(node: ast.AST, program: Program) -> Iterator[ast.AST]:
    """Yield what runs when a node does."""
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        yield node.test
        if _always(node.test):
            yield from node.body if isinstance(node.body, list) else [node.body]
    elif isinstance(node, ast.Try):
        yield from [*(() if node.handlers else (*node.body, *node.orelse)), *node.finalbody]
    elif isinstance(node, ast.BoolOp):
        yield node.values[0]
    elif isinstance(node, FUNCTIONS):
        yield from getattr(node, "decorator_list", ())
    else:
        if isinstance(node, ast.Call):
            yield from _called(node, program)
        yield from children(node)


def _called(call: ast.Call, program: Program) -> Iterator[ast.AST]:
    """Yield the bodies that a call runs: of a function, or of what makes an object of a class."""
    name = last_part(call.func) or ""
    function = program.names.functions.get(name)
    is_method = function is not None and program.is_method(function.node)
    if function is not None and is_method == isinstance(call.func, ast.Attribute):
        body = function.node.body
        yield from body if isinstance(body, list) else [body]
    owner = program.names.classes.get(name)
    for item in owner.body if owner is not None else ():
        if isinstance(item, ast.FunctionDef) and item.name in ("__init__", "__post_init__"):
            yield from item.body


def _always(test: ast.expr) -> bool:
    """Whether a test holds in a plain run: that of the main module, or that this is the first process."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    words = {part.id for part in below(test) if isinstance(part, ast.Name)}
    words |= {part.attr for part in below(test) if isinstance(part, ast.Attribute)}
    if "__name__" in words:
        return True
    negated = isinstance(test, ast.UnaryOp) or "!=" in ast.unparse(test)
    return not negated and bool(words) and all("rank" in word or "master" in word for word in words)


# CUDA -----------------------------------------------------------------------------------------------

_CUDA_CALLS = frozenset(
    {"set_device", "synchronize", "get_device_name", "get_device_properties", "get_device_capability"}
    | {"Event", "Stream", "mem_get_info", "current_device"}
)


def _cuda_check(node: ast.AST) -> str:
    """Return the statement that ends the run where there is no CUDA, else ""."""
    if isinstance(node, ast.Assert):
        tests = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
        is_or = isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.Or)
        if not is_or and any(map(_asks_for_cuda, tests)):
            return f"assert {ast.unparse(node.test)}"[:80]
    if isinstance(node, ast.If) and isinstance(node.test, ast.UnaryOp) and _asks_for_cuda(node.test.operand):
        ends = isinstance(node.test.op, ast.Not) and any(map(_ends_run, node.body))
        return f"if {ast.unparse(node.test)}: {ast.unparse(node.body[-1])}"[:80] if ends else ""
    return ""


def _asks_for_cuda(test: ast.expr) -> bool:
    if isinstance(test, ast.Compare):  # torch.cuda.device_count() >= 1
        return isinstance(test.ops[0], ast.Gt | ast.GtE | ast.Eq) and _asks_for_cuda(test.left)
    name = dotted(test.func) if isinstance(test, ast.Call) else ""
    return name.endswith(("cuda.is_available", "cuda.device_count"))


def _ends_run(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise):
        return True
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and last_part(call.func) in ("exit", "_exit", "quit")


def _cuda_use(node: ast.AST) -> str:
    """Return the call that cannot work without CUDA, else ""."""
    if not isinstance(node, ast.Call):
        return ""
    name, last = dotted(node.func), last_part(node.func) or ""
    if "autocast" in name or "amp" in name.split("."):  # only warn without CUDA
        return ""
    uses = isinstance(node.func, ast.Attribute) and (
        (last == "cuda" and name != "torch.cuda")
        or (name.endswith(f"cuda.{last}") and last in _CUDA_CALLS)
        or (last in ("to", "device") and any(map(_is_cuda, node.args)))
    )
    uses = uses or any(word.arg == "device" and _is_cuda(word.value) for word in node.keywords)
    return ast.unparse(node)[:80] if uses else ""


def _is_cuda(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0] if isinstance(node.values[0], ast.Constant) else node
    if isinstance(node, ast.Call) and last_part(node.func) == "device":
        return any(map(_is_cuda, node.args[:1]))
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, str) and re.match(r"cuda(:|$)", value) is not None


_OF_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def _launcher_variable(node: ast.AST) -> str:
    """Return the variable of a launcher that `os.environ["RANK"]` cannot do without, else ""."""
    match node:
        case ast.Subscript(value=owner, slice=ast.Constant(value=str(name)), ctx=ast.Load()) if (
            name in _OF_LAUNCHER and last_part(owner) == "environ"
        ):
            return name
    return ""


def _variables_set(program: Program) -> frozenset[str]:
    """Return the variables that a program itself sets anywhere."""
    found = {
        node.slice.value
        for node in program.nodes_of(ast.Subscript)
        if isinstance(node.slice, ast.Constant) and isinstance(node.ctx, ast.Store)
    }
    for call in (*program.calls.get("setdefault", ()), *program.calls.get("putenv", ())):
        found |= {word.value for word in call.args[:1] if isinstance(word, ast.Constant)}
    return frozenset(name for name in found if isinstance(name, str))


# Programs -------------------------------------------------------------------------------------------

_STARTERS = frozenset({"run", "call", "Popen", "check_call", "check_output"})
_SHELL_WORDS = frozenset(
    {"cd", "export", "set", "echo", "true", "false", "exit", "test", "source", "if", "for"}
)


def _started(call: ast.Call, program: Program) -> str | None:
    """Return the program that a call starts and cannot do without; None where it starts none, or may fail."""
    if last_part(call.func) not in _STARTERS or not call.args:
        return None
    owner = program.names.dotted(call.func)
    if not owner.startswith("subprocess."):
        return None
    words = call.args[0]
    first = words.elts[0] if isinstance(words, ast.List | ast.Tuple) and words.elts else words
    try:
        text = fold(first, program.names, Scope())
    except Unknown:
        return None
    if isinstance(text, list):
        text = text[0] if text else None
    shell = any(word.arg == "shell" and _is_true(word.value) for word in call.keywords)
    checks = last_part(call.func) in ("check_call", "check_output") or any(
        word.arg == "check" and _is_true(word.value) for word in call.keywords
    )
    if not isinstance(text, str) or not text or (shell and not checks):  # a shell says 127, and goes on
        return None
    name = text.split()[0] if shell or first is words else text
    if PurePath(name).name != name or name in _SHELL_WORDS or "=" in name:
        return None
    return name


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


# Python ---------------------------------------------------------------------------------------------

_NEW_MODULES = {
    "tomllib": (3, 11),
    "compression": (3, 14),
    "annotationlib": (3, 14),
    "string.templatelib": (3, 14),
}
_NEW_NAMES = {
    "typing": {
        "Self": (3, 11),
        "Never": (3, 11),
        "assert_never": (3, 11),
        "Unpack": (3, 11),
        "override": (3, 12),
    }
    | {"TypeAliasType": (3, 12), "TypeIs": (3, 13), "ReadOnly": (3, 13), "NoDefault": (3, 13)},
    "enum": {"StrEnum": (3, 11)},
    "datetime": {"UTC": (3, 11)},
    "contextlib": {"chdir": (3, 11)},
    "asyncio": {"TaskGroup": (3, 11), "timeout": (3, 11)},
    "itertools": {"batched": (3, 12)},
    "warnings": {"deprecated": (3, 13)},
    "copy": {"replace": (3, 13)},
}
_INLINE = re.compile(r'^#\s*requires-python\s*=\s*"[^"]*>=\s*3\.(\d+)', re.MULTILINE)  # PEP 723


def _python(texts: Mapping[str, str], trees: Mapping[str, ast.Module]) -> PythonDemand | None:
    found: list[PythonDemand] = []
    for file, text in texts.items():
        form = newest_form(text)
        if form:
            found.append(PythonDemand(form.version, form.what, form.line, file))
        stated = _INLINE.search(text)
        if stated:
            line = text.count("\n", 0, stated.start()) + 1
            found.append(PythonDemand((3, int(stated[1])), "`requires-python`", line, file))
        found += [PythonDemand(version, what, line, file) for version, what, line in _imports(trees[file])]
    return max(found, key=lambda demand: demand.version, default=None)


def _imports(tree: ast.Module) -> Iterator[tuple[tuple[int, int], str, int]]:
    """Yield the new parts of the standard library that a file imports outside of any `try` or `if`."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in _NEW_MODULES:
                    yield _NEW_MODULES[alias.name], f"import {alias.name}", node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            module = node.module
            new = _NEW_MODULES.get(module) or _NEW_MODULES.get(module.split(".")[0])
            if new:
                yield new, f"import {module}", node.lineno
            for alias in node.names:
                if version := _NEW_NAMES.get(module, {}).get(alias.name):
                    yield version, f"{module}.{alias.name}", node.lineno
