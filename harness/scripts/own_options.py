"""Options that a script takes off `sys.argv` itself: flags that it looks for, words by their number, and
globals that `--name=value` sets (nanoGPT's configurator, and its like).

Works on syntax trees; nothing is executed.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from harness.scripts.arguments import ScriptOption, ScriptOptions
from harness.scripts.casts import CastKind, Tracer, Use
from harness.scripts.environ_reads import Finder
from harness.scripts.names import NOT_KNOWN, Scope, assignments
from harness.scripts.program import last_part

_FOR_THE_LOG = ("len", "join", "print", "str", "repr", "list", "quote")
_KINDS: dict[type, CastKind] = {bool: "flag", int: "int", float: "float", str: "text"}


def own_options(finders: Sequence[Finder]) -> ScriptOptions:
    """Find the options that the files of a program take off `sys.argv`; the first file is the script."""
    options: dict[str, ScriptOption] = {}
    bare: dict[str, ScriptOption] = {}
    unclear: list[str] = []
    for finder in finders:
        for node in _argv(finder):
            found = _options_at(finder, node)
            if found is None:
                place = f"{finder.file} line {node.lineno}" if finder.file else f"line {node.lineno}"
                unclear.append(f"{place} goes through sys.argv itself")
            for option in found or ():
                known = bare if option.is_bare else options
                if option.name not in known or known[option.name].takes == "0":
                    known[option.name] = option
    setter = next((finder for finder in finders if _sets_globals(finder)), None)
    if setter is None or not finders:
        return ScriptOptions(options, tuple(bare[name] for name in sorted(bare)), unclear=tuple(unclear))
    settings = {option.name: option for option in _settings(finders[0], setter)}
    config = ScriptOption(
        "config", "text", None, 0, setter.file, takes="*", help="files of settings, in Python"
    )
    return ScriptOptions(settings | options, (config,), only_equals=True)


def _argv(finder: Finder) -> list[ast.expr]:
    """Return the places where a file reads `sys.argv`."""
    names = finder.names
    found: list[ast.expr] = [
        node
        for node in finder.nodes.of(ast.Attribute)
        if node.attr == "argv" and names.dotted(node) == "sys.argv" and isinstance(node.ctx, ast.Load)
    ]
    return found + [n for n in finder.nodes.of(ast.Name) if names.modules.get(n.id) == "sys.argv"]


def _options_at(finder: Finder, argv: ast.expr) -> list[ScriptOption] | None:
    """Return the options that a place asks for; None where that is not clear."""
    parent = finder.program.of(argv)
    above = finder.program.of(parent) if parent is not None else None

    def option(name: str, kind: CastKind, takes: str = "1", default: str | None = None) -> ScriptOption:
        return ScriptOption(name, kind, default, argv.lineno, finder.file, takes=takes)

    if isinstance(parent, ast.Compare) and (name := _dashed(parent.left)):
        return [option(name, "flag", "0", "false")]
    if isinstance(parent, ast.Call) and last_part(parent.func) in _FOR_THE_LOG:
        return []
    if isinstance(parent, ast.Attribute) and isinstance(above, ast.Call) and above.args:
        name = _dashed(above.args[0]) if parent.attr in ("index", "count") else ""
        value = finder.program.of(finder.program.of(above) or above)  # sys.argv[sys.argv.index("--x") + 1]
        use = Tracer(finder.program).use_of(value, Scope()) if isinstance(value, ast.Subscript) else Use()
        return [option(name, _kind(use))] if name else None
    if not isinstance(parent, ast.Subscript):
        return None
    if isinstance(parent.slice, ast.Slice):
        return _in_loop(finder, parent, above)
    index = finder.value_unset(parent.slice, Scope())[0]
    if not isinstance(index, int):
        return [] if ".index(" in ast.unparse(parent.slice) else None
    if index <= 0:
        return []
    use = Tracer(finder.program).use_of(parent, Scope())
    guarded = finder.is_guarded(parent)
    found = option(f"argument_{index}", _kind(use), "?" if guarded else "1")
    return [found if guarded else replace(found, required=True)]


def _in_loop(finder: Finder, words: ast.expr, loop: ast.AST | None) -> list[ScriptOption] | None:
    """Return the options that a loop over the words asks for: `a == "--x"`, `a.startswith("--y=")`."""
    if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Name):
        return None
    found = []
    for load in finder.program.loads(loop.target.id, loop.body):
        parent = finder.program.of(load)
        above = finder.program.of(parent) if parent is not None else None
        if isinstance(parent, ast.Compare) and isinstance(parent.ops[0], ast.Eq):
            name, takes = _dashed(parent.comparators[0]), "0"
        elif isinstance(above, ast.Call) and last_part(above.func) == "startswith" and above.args:
            name, takes = _dashed(above.args[0]), "1"
        else:
            continue
        if name.strip("-="):
            kind: CastKind = "flag" if takes == "0" else "text"
            option = ScriptOption(name.rstrip("="), kind, None, load.lineno, finder.file, takes=takes)
            found.append(option)
    return found or None


def _dashed(node: ast.expr) -> str:
    value = node.value if isinstance(node, ast.Constant) else ""
    return value if isinstance(value, str) and value.startswith("-") else ""


def _kind(use: Use) -> CastKind:
    return "text" if use.kind == "word" else use.kind


def _sets_globals(finder: Finder) -> bool:
    """Whether a file sets its globals from the command line."""
    if not _argv(finder):
        return False
    return any(last_part(call.func) == "globals" for call in finder.nodes.of(ast.Call))


def _settings(script: Finder, setter: Finder) -> list[ScriptOption]:
    """Return the plain globals of a script as options, those before the command line is read."""
    end = min((node.lineno for node in _argv(script)), default=None) if script is setter else None
    if end is None:
        executed = [
            call.lineno
            for call in script.nodes.of(ast.Call)
            if last_part(call.func) in ("exec", "run_path") and "configurator" in ast.unparse(call)
        ]
        end = min(executed, default=None)
    found = []
    for statement in script.tree.body:
        if end is not None and statement.lineno >= end:
            break
        for target, value in assignments(statement):
            if not isinstance(target, ast.Name) or target.id.startswith("_"):
                continue
            known = script.value_unset(value, Scope())[0]
            kind = _KINDS.get(type(known)) if known is not NOT_KNOWN else None
            if kind is None:
                continue
            default = str(known).lower() if isinstance(known, bool) else str(known)
            found.append(ScriptOption(f"--{target.id}", kind, default, statement.lineno, script.file))
    return found
