"""A training script's command-line options, read off its source: names, types, defaults, choices.

Known are argparse, click, typer, tyro and the like of it, absl, and scripts that go through `sys.argv`
themselves (`harness.scripts.own_options`). Pure: text in, facts out; nothing is executed. How a command line
is checked against them is `harness.scripts.arguments`' work.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from harness.scripts import grammar
from harness.scripts.arguments import ScriptOption, ScriptOptions, canonical_option, merged
from harness.scripts.casts import CastKind, Tracer
from harness.scripts.environ_reads import Finder, finders_of
from harness.scripts.flow import names_in
from harness.scripts.names import NOT_KNOWN, Func, Scope
from harness.scripts.own_options import own_options
from harness.scripts.program import last_part
from harness.scripts.typed_fields import Typed, class_fields, kind_of_annotation, parameters
from harness.scripts.unpack import unpack_source

_MAX_ROWS = 500  # of a table that options are made from
_CLI_CALLS = {  # that turn the fields of a class, or the parameters of a function, into options
    "tyro": ("cli",),
    "simple_parsing": ("parse",),
    "jsonargparse": ("CLI", "auto_cli"),
    "fire": ("Fire",),
    "draccus": ("parse", "wrap"),
    "transformers": ("HfArgumentParser",),
    "cyclopts": ("run",),
}
_OTHER_CLIS = (  # whose options stand elsewhere than in the script's calls
    *("hydra.main", "omegaconf.OmegaConf.from_cli", "docopt.docopt", "plac.call", "defopt.run"),
    *("lightning.pytorch.cli.LightningCLI", "pytorch_lightning.cli.LightningCLI"),
)
ENVIRONMENT_WORDS = ("envvar", "env_var")  # what an option calls the variable that stands for it
_ABSL: dict[str, CastKind] = {
    "DEFINE_integer": "int",
    "DEFINE_float": "float",
    "DEFINE_string": "text",
    "DEFINE_bool": "flag",
    "DEFINE_boolean": "flag",
    "DEFINE_enum": "text",
}


def read_options(files: Mapping[str, str] | str, settings: Mapping[str, str] | None = None) -> ScriptOptions:
    """Read the options off a script: its text, or the texts of all its files by name, the script first.

    settings: variables that are set; defaults that hang on them are those of this run.
    Raises UsageError when a file is not Python.
    """
    files = {"": files} if isinstance(files, str) else files
    trees = {
        name: grammar.parse_source(unpack_source(text).source, name or "the script")
        for name, text in files.items()
    }
    with grammar.without_collector():
        found = [_Forms(finder) for finder in finders_of(trees, settings)]
        for forms in found:
            forms.look()
    prefix = next((forms.prefix for forms in found if forms.prefix), "")
    every = [
        _with_settings(_prefixed(option, prefix), settings or {})
        for forms in found
        for option in forms.options
    ]
    own = own_options([forms.finder for forms in found])
    named = {
        option.name: option
        for option in merged([*(o for o in every if not o.is_bare), *own.options.values()])
    }
    unclear = [why for forms in found for why in forms.unclear]
    if not every:  # a script that has a parser looks at `sys.argv` for other reasons
        unclear += own.unclear
    return ScriptOptions(
        named,
        tuple(merged([*(o for o in every if o.is_bare), *own.bare])),
        tuple(dict.fromkeys(name for forms in found for name in forms.commands)),
        abbreviates=any(forms.abbreviates for forms in found),
        only_equals=own.only_equals and not every,
        unclear=tuple(dict.fromkeys(unclear)),
    )


class _Forms:
    """Finds the options of one file."""

    def __init__(self, finder: Finder) -> None:
        self.finder, self.nodes, self.names = finder, finder.nodes, finder.program.names
        self.options: list[ScriptOption] = []
        self.unclear: list[str] = []
        self.commands: list[str] = []
        self.abbreviates = False
        self.prefix = ""  # of variables that stand for options

    def look(self) -> None:
        for call in self.nodes.of(ast.Call):
            name = last_part(call.func)
            if name == "add_argument" and isinstance(call.func, ast.Attribute):
                self._argparse(call)
            elif name in _ABSL and len(call.args) >= 2:
                self._absl(call, _ABSL[name])
            elif name == "add_parser" and call.args:
                command = self._value(call.args[0])
                self.commands += [command] if isinstance(command, str) else []
            elif name == "parse_known_args":
                self._say(call, "takes other words, too (parse_known_args)")
            elif name == "set_defaults":
                self._set_defaults(call)
            elif self._is_cli_call(call):
                self._cli_call(call)
            elif self.names.dotted(call.func) in _OTHER_CLIS:
                self._say(call, f"takes options through {ast.unparse(call.func)[:60]}")
        for function in self.nodes.of(ast.FunctionDef):
            self._decorated(function)
        self.commands += self._decorated_commands()
        for word in self.nodes.of(ast.keyword):
            if word.arg == "auto_envvar_prefix":
                self.prefix = self._text(word.value, Scope())

    # argparse -----------------------------------------------------------------------------------

    def _argparse(self, call: ast.Call) -> None:
        self.abbreviates = True
        needed = names_in([*call.args, *(word.value for word in call.keywords)])
        words = {word.arg: word.value for word in call.keywords if word.arg}
        spelt = call.args or [word.value for word in call.keywords if word.arg == "dest"]
        for scope in islice(self.finder.reach.scopes(call, needed), _MAX_ROWS):
            names = [self._value(word, scope) for word in spelt if not isinstance(word, ast.Starred)]
            if not names or not all(isinstance(name, str) and name for name in names):
                self._say(call, f"makes an option with a computed name: {ast.unparse(call)[:60]}")
                continue
            self.options.append(self._argparse_option(call, sorted(names, key=_shortness), words, scope))

    def _argparse_option(
        self, call: ast.Call, names: list[str], words: Mapping[str, ast.expr], scope: Scope
    ) -> ScriptOption:
        action = words.get("action")
        kind_of_action = self._value(action, scope) if action is not None else ""
        action_name = (
            kind_of_action if isinstance(kind_of_action, str) else last_part(action) if action else ""
        )
        option = ScriptOption(
            names[0],
            "text",
            self._default(words.get("default"), scope),
            call.lineno,
            self.finder.file,
            tuple(names[1:]),
            choices=self._choices(words.get("choices"), scope),
            required=self._value(words.get("required"), scope) is True,
            takes=self._takes(words.get("nargs"), scope),
            help=self._text(words.get("help"), scope),
            variables=self._variables(words),
        )
        if action_name in ("store_true", "store_false"):
            default = option.default or ("true" if action_name == "store_false" else "false")
            return replace(option, kind="flag", takes="0", default=default)
        if action_name == "BooleanOptionalAction":
            return replace(option, kind="flag", takes="0", off=_negation(names[0]))
        if action_name == "count":
            return replace(option, kind="int", takes="0")
        if action_name in ("store_const", "append_const", "help", "version"):
            return replace(option, kind="flag", takes="0", default=option.default or "false")
        kind = self._kind_of_type(words.get("type"), scope)
        if option.is_bare:
            option = replace(option, required=option.takes not in ("?", "*"))
        return replace(option, kind=kind)

    def _kind_of_type(self, node: ast.expr | None, scope: Scope) -> CastKind:
        """Return what `type=` makes of a text: also a function of the script, followed to its cast."""
        if node is None:
            return "text"
        value = self._value(node, scope)
        if isinstance(value, type):
            return {bool: "flag", int: "int", float: "float"}.get(value, "text")  # type: ignore[return-value]
        function = node if isinstance(node, ast.Lambda) else value.node if isinstance(value, Func) else None
        if function is None:
            name = (last_part(node) or "").lower()
            return "flag" if "bool" in name else "text"
        words = function.args.args
        if not words:
            return "text"
        use = Tracer(self.finder.program).use_of_parameter(function, words[-1].arg)
        return "text" if use.kind == "word" else use.kind

    def _takes(self, node: ast.expr | None, scope: Scope) -> str:
        value = self._value(node, scope) if node is not None else 1
        if isinstance(value, int | str) and str(value) in ("?", "*", "+"):
            return str(value)
        return str(value) if isinstance(value, int) else "*"

    def _set_defaults(self, call: ast.Call) -> None:
        for word in call.keywords:
            if word.arg:
                name = f"--{word.arg.replace('_', '-')}"
                default = self._default(word.value, Scope())
                self.options = [
                    replace(o, default=default) if o.name.replace("_", "-") == name else o
                    for o in self.options
                ]

    # absl ---------------------------------------------------------------------------------------

    def _absl(self, call: ast.Call, kind: CastKind) -> None:
        name = self._value(call.args[0])
        if not isinstance(name, str):
            self._say(call, f"makes an option with a computed name: {ast.unparse(call.args[0])[:60]}")
            return
        words = {word.arg: word.value for word in call.keywords}
        choices = call.args[2] if last_part(call.func) == "DEFINE_enum" and len(call.args) > 2 else None
        self.options.append(
            ScriptOption(
                f"--{name}",
                kind,
                self._default(call.args[1], Scope()),
                call.lineno,
                self.finder.file,
                off=f"--no{name}" if kind == "flag" else "",
                choices=self._choices(choices, Scope()),
                required=self._value(words.get("required"), Scope()) is True,
                takes="0" if kind == "flag" else "1",
                help=self._text(call.args[-1], Scope()) if len(call.args) > 2 else "",
            )
        )

    # click and typer ----------------------------------------------------------------------------

    def _decorated(self, function: ast.FunctionDef) -> None:
        calls = [d for d in function.decorator_list if isinstance(d, ast.Call)]
        for call in reversed(calls):
            name = last_part(call.func)
            owner = self.names.dotted(call.func)
            if name in ("option", "argument") and not owner.startswith("self."):
                self._click(call, name == "argument")
        if any(last_part(call.func) in ("command", "callback", "default") for call in calls) and not any(
            last_part(call.func) in ("option", "argument") for call in calls
        ):
            self._typer(function)

    def _decorated_commands(self) -> list[str]:
        """Return the commands of click or typer, where one of them is typed before its options."""
        functions = self.nodes.of(ast.FunctionDef)
        pairs = [(function, mark) for function in functions for mark in function.decorator_list]
        kinds = {mark: last_part(mark.func if isinstance(mark, ast.Call) else mark) for _, mark in pairs}
        commands = []
        for function, mark in pairs:
            if kinds[mark] == "command":
                words = {word.arg: word.value for word in mark.keywords} if isinstance(mark, ast.Call) else {}
                given = (*(mark.args if isinstance(mark, ast.Call) else ()), words.get("name"))[0]
                commands.append(self._text(given, Scope()) or function.name.replace("_", "-"))
        is_group = not {"group", "callback"}.isdisjoint(kinds.values())
        return commands if len(commands) > 1 or is_group else []

    def _variables(self, words: Mapping[str, ast.expr]) -> tuple[str, ...]:
        """Return the variables that stand for an option."""
        value = next((self._value(words[word]) for word in ENVIRONMENT_WORDS if word in words), None)
        listed = value if isinstance(value, list) else [value]
        return tuple(name for name in listed if isinstance(name, str))

    def _click(self, call: ast.Call, is_bare: bool) -> None:
        texts = [self._value(word) for word in call.args]
        names = [name for name in texts if isinstance(name, str)]
        words = {word.arg: word.value for word in call.keywords if word.arg}
        if not names:
            return
        dashed = [name for name in names if name.startswith("-")]
        if not is_bare and not dashed:
            return
        pairs = [part.strip() for name in dashed for part in name.split("/")] if dashed else names[:1]
        main, *others = sorted(pairs, key=_shortness) if not any("/" in name for name in dashed) else pairs
        off = next(
            (part for part in others if any(f"/{part}" in name.replace("/ ", "/") for name in dashed)), ""
        )
        kind, choices = self._click_type(words.get("type"))
        default = words.get("default")
        if kind == "text" and "type" not in words:
            kind = _kind_of_value(self._value(default)) if default is not None else "text"
        is_flag = bool(off) or self._value(words.get("is_flag")) is True
        many, required = self._value(words.get("nargs")), self._value(words.get("required"))
        self.options.append(
            ScriptOption(
                main,
                "flag" if is_flag else "int" if self._value(words.get("count")) is True else kind,
                self._default(default, Scope()) or ("false" if is_flag else None),
                call.lineno,
                self.finder.file,
                tuple(part for part in others if part != off),
                off,
                choices,
                required=(is_bare and default is None) if required is NOT_KNOWN else required is True,
                takes="0" if is_flag or self._value(words.get("count")) is True else _click_count(many),
                help=self._text(words.get("help"), Scope()),
                variables=self._variables(words),
            )
        )

    def _click_type(self, node: ast.expr | None) -> tuple[CastKind, tuple[str, ...]]:
        if node is None:
            return "text", ()
        name = last_part(node.func if isinstance(node, ast.Call) else node) or ""
        if name == "Choice" and isinstance(node, ast.Call) and node.args:
            return "text", self._choices(node.args[0], Scope())
        kinds: dict[str, CastKind] = {
            "INT": "int",
            "IntRange": "int",
            "FLOAT": "float",
            "FloatRange": "float",
        }
        if name in (*kinds, "BOOL"):
            return kinds.get(name, "flag"), ()
        return self._kind_of_type(node, Scope()), ()

    def _typer(self, function: ast.FunctionDef) -> None:
        for typed in parameters(function):
            if last_part(typed.annotation or ast.Name("")) != "Context":
                self._typed(typed, "", bare_without_default=True)

    # Fields of a class, parameters of a function ---------------------------------------------------

    def _is_cli_call(self, call: ast.Call) -> bool:
        module, _, name = self.names.dotted(call.func).rpartition(".")
        return name in _CLI_CALLS.get(module.split(".")[0], ()) or (module, name) == ("typer", "run")

    def _cli_call(self, call: ast.Call) -> None:
        is_typer = self.names.dotted(call.func) == "typer.run"
        for word in call.args[:1]:
            parts = word.elts if isinstance(word, ast.Tuple | ast.List) else [word]
            for part in parts:
                name = last_part(part) or ""
                known = self.names.functions.get(name)
                function = known.node if known else None
                if name in self.names.classes:
                    for typed in class_fields(self.names.classes[name], self.names):
                        self._typed(typed, "")
                elif isinstance(function, ast.FunctionDef):
                    for typed in parameters(function):
                        self._typed(typed, "", bare_without_default=is_typer)
                else:
                    self._say(call, f"takes its options from {ast.unparse(part)[:60]}")
        if not call.args:
            self._say(call, f"takes options through {ast.unparse(call.func)[:60]}")

    def _typed(self, typed: Typed, prefix: str, bare_without_default: bool = False) -> None:
        """Add the option of an annotated field or parameter; of a class in it, those of its fields."""
        annotation, marks = _without_annotated(typed.annotation)
        inner = self.names.classes.get(last_part(annotation) or "") if annotation is not None else None
        if inner is not None and class_fields(inner, self.names) and not _is_enum(inner):
            for field in class_fields(inner, self.names):
                self._typed(field, f"{prefix}{typed.name}.")
            return
        default, mark, has_default = typed.default, next(iter(marks), None), typed.has_default
        if _is_mark(default):
            mark = default
            inside = default.args[0] if isinstance(default, ast.Call) and default.args else None
            has_default = inside is not None and ast.unparse(inside) != "..."
            default = inside if has_default else None
        kind, choices, takes = kind_of_annotation(annotation, self.names)
        value = self._value(default) if default is not None else None
        if annotation is None and default is not None:
            kind = _kind_of_value(value)
        spelt = f"--{prefix}{typed.name}".replace("_", "-")
        names = [spelt] if "_" not in typed.name else [spelt, f"--{prefix}{typed.name}"]
        keywords = mark.keywords if isinstance(mark, ast.Call) else []
        words = {word.arg: word.value for word in keywords if word.arg}
        is_bare = (bare_without_default and not has_default and mark is None) or (
            mark is not None and last_part(mark.func if isinstance(mark, ast.Call) else mark) == "Argument"
        )
        given = [self._value(word) for word in (mark.args if isinstance(mark, ast.Call) else ())]
        dashed = [name for name in given if isinstance(name, str) and name.startswith("-")]
        off = ""
        if dashed:
            pairs = [part for name in dashed for part in name.split("/")]
            off = next((name.split("/")[1] for name in dashed if "/" in name), "")
            names = sorted([part for part in pairs if part != off], key=_shortness)
        elif kind == "flag":
            off = _negation(spelt)
        self.options.append(
            ScriptOption(
                typed.name if is_bare else names[0],
                kind,
                self._default(default, Scope()),
                typed.line,
                self.finder.file,
                () if is_bare else tuple(names[1:]),
                "" if is_bare else off,
                choices,
                required=not has_default,
                takes="0" if kind == "flag" and not is_bare else takes,
                help=self._text(words.get("help"), Scope()),
                variables=self._variables(words),
            )
        )

    # Values ---------------------------------------------------------------------------------------

    def _value(self, node: ast.expr | None, scope: Scope | None = None) -> Any:
        return NOT_KNOWN if node is None else self.finder.value_unset(node, scope or Scope())[0]

    def _default(self, node: ast.expr | None, scope: Scope) -> str | None:
        value = self._value(node, scope)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
            return " ".join(map(str, value))
        return str(value) if isinstance(value, str | int | float) else None

    def _text(self, node: ast.expr | None, scope: Scope) -> str:
        value = self._value(node, scope)
        return " ".join(value.split()) if isinstance(value, str) else ""

    def _choices(self, node: ast.expr | None, scope: Scope) -> tuple[str, ...]:
        value = self._value(node, scope)
        listed = list(value) if isinstance(value, list | dict) else []
        return tuple(str(item) for item in listed if isinstance(item, str | int | float))

    def _say(self, node: ast.expr, why: str) -> None:
        place = f"{self.finder.file} line {node.lineno}" if self.finder.file else f"line {node.lineno}"
        self.unclear.append(f"{place} {why}")


def _prefixed(option: ScriptOption, prefix: str) -> ScriptOption:
    """Return an option with the variable that click's `auto_envvar_prefix` makes of its name."""
    if not prefix or option.variables:
        return option
    name = option.name.lstrip("-").upper().replace("-", "_")
    return replace(option, variables=(f"{prefix.upper()}_{name}",))


def _with_settings(option: ScriptOption, settings: Mapping[str, str]) -> ScriptOption:
    """Return an option with the value that a variable gives it where it is not typed."""
    given = next((settings[name] for name in option.variables if name in settings), None)
    if given is None:
        return option
    return replace(option, default=canonical_option(option, given), required=False)


def _shortness(name: str) -> int:
    """Sort key: the long spelling of an option is its name."""
    return 0 if name.startswith("--") else 1


def _negation(name: str) -> str:
    """Return `--no-x` of `--x`, `--a.no-x` of `--a.x`."""
    head, dot, last = name.rpartition(".")
    return f"{head}.no-{last}" if dot else f"--no-{last.removeprefix('--')}"


def _click_count(value: Any) -> str:
    return "*" if value == -1 else str(value) if isinstance(value, int) else "1"


def _kind_of_value(value: Any) -> CastKind:
    kinds: dict[type, CastKind] = {bool: "flag", int: "int", float: "float"}
    return kinds.get(type(value), "text")


def _without_annotated(node: ast.expr | None) -> tuple[ast.expr | None, list[ast.expr]]:
    """Return the type inside `Annotated[type, mark, ...]`, and the marks."""
    if (
        isinstance(node, ast.Subscript)
        and last_part(node.value) == "Annotated"
        and isinstance(node.slice, ast.Tuple)
    ):
        inner, *marks = node.slice.elts
        return inner, [mark for mark in marks if _is_mark(mark)]
    return node, []


def _is_mark(node: ast.expr | None) -> bool:
    """Whether an expression is `typer.Option(...)` or `typer.Argument(...)`."""
    return isinstance(node, ast.Call) and last_part(node.func) in ("Option", "Argument", "Parameter")


def _is_enum(owner: ast.ClassDef) -> bool:
    return any((last_part(base) or "").endswith("Enum") for base in owner.bases)
