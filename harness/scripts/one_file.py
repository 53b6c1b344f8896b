"""The built-in trainer as one `train_gpt.py`, with a record's configuration as its defaults.

The script holds the modules that the configuration needs as text, each below a line with its name, and a
loader of a few lines that imports them from there. `readable` writes that text as it stands in the trainer's
folder; what counts is the packed form: annotations of plain functions, docstrings and comments taken out,
lzma, base85.

The same trainer and configuration give the same bytes under every version of Python. Another liblzma may
compress the same text to a few bytes more or less.
"""

from __future__ import annotations

import ast
import base64
import importlib.util
import lzma
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import trainer
from harness.errors import HarnessError
from harness.privacy import is_private
from harness.records.record import Code, hash_config
from trainer.config import KNOBS, load_config
from trainer.features import needed

TRAINER = Path(trainer.__file__).resolve().parent
ENTRY = "script"  # the module whose `main` runs
MARK = "# module "  # a line with this and a name begins a module's text

ALWAYS_READ = ("DATA_PATH", "TOKENIZER_PATH", "RUN_ID")  # a record need not have them
# It trains once: nothing resumes it, and its weights are nobody's to pack again.
ONE_RUN = {"CHECKPOINT_EVERY": "0", "CHECKPOINT_SECONDS": "0.0", "KEEP_WEIGHTS": "false"}

# LZMA alone has the shortest header that `lzma.decompress` knows by itself. pb=0 suits text; 1 MB holds all.
LZMA = {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 20, "pb": 0}

PACKED = """\
import base64, lzma
SOURCE = lzma.decompress(base64.b85decode("{data}")).decode()
exec(SOURCE)
"""

LOADER = """\
import importlib.abc
import importlib.util
import os
import sys
from pathlib import Path

SETTINGS = {settings}
for name, value in SETTINGS.items():
    os.environ[name] = os.environ.get(name, value)

TEXT = globals().get("SOURCE") or Path(__file__).read_text(encoding="utf-8")
MODULES = dict(part.split("\\n", 1) for part in TEXT.split("\\n{mark}")[1:])


class Package(importlib.abc.MetaPathFinder, importlib.abc.ExecutionLoader):
    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name in MODULES else None

    def is_package(self, name):
        return any(other.startswith(name + ".") for other in MODULES)

    def get_filename(self, name):
        return __file__ + "/" + name.replace(".", "/") + ".py"

    def get_source(self, name):
        return "from __future__ import annotations\\n" + MODULES[name]


sys.meta_path.insert(0, Package())
{start}
"""

# Refuses a setting whose feature is not in the script, before anything starts; one at a time, to name it.
CHECK = """\
from {package}.config import load_config
from {package}.features import needed

settings = dict(SETTINGS)
for name in SETTINGS:
    settings[name] = os.environ[name]
    try:
        absent = [other for other in needed(load_config(settings)) if other not in MODULES]
    except ValueError as error:
        sys.exit(str(error))
    if absent:
        sys.exit(f"{{name}}={{settings[name]}} needs {{', '.join(absent)}}, which is not in this script")
"""

START = """\
from {package}.{entry} import main

sys.exit(main())
"""


def submission_script(
    config: Mapping[str, str], code: Code, folder: Path = TRAINER, readable: bool = False
) -> bytes:
    """Return the script that a configuration, as a record keeps it, is handed in as.

    code: the trainer it is made of.
    folder: the trainer's modules; their list is read off their imports, and nothing there is executed.
    readable: as text, comments kept, instead of packed.
    Raises HarnessError as `write_script` does.
    """
    # A folder of this machine is no default for another: the trainer's own stands there.
    config = {name: value for name, value in config.items() if not is_private(name, value)}
    dirty = " with uncommitted changes" if code.dirty else ""
    header = (
        f"Made by `harness submit` of the trainer at commit {(code.git_sha or 'none')[:12]}{dirty},\n"
        f"source {(code.source_sha256 or '')[:12]}, for configuration {hash_config(config)}.\n"
        "The defaults are the record's; an environment variable of a setting's name (SEED, DATA_PATH,\n"
        "TOKENIZER_PATH, ...) sets another value."
    )
    return write_script(config, header, folder, readable).encode()


def write_script(
    config: Mapping[str, str], header: str = "", folder: Path = TRAINER, readable: bool = False
) -> str:
    """Return the source of a script that trains as `config` (by environment name) says when nothing is set.

    Raises HarnessError when the configuration has a knob that the trainer here does not know, or a module of
    the folder cannot be read.
    """
    unknown = sorted(set(config) - set(KNOBS))
    if unknown:
        raise HarnessError(
            f"the trainer here has no knob {unknown[0]}, which the record was made with",
            "check out the version that made the record",
        )
    sources = read_modules(folder, needed(load_config(config)))
    defaults = {name: KNOBS[name].format(KNOBS[name].default) for name in (*ALWAYS_READ, "SEED")}
    # The default seed: attempts that differ in the seed alone have one script.
    settings = {**defaults, **config, **ONE_RUN, "SEED": defaults["SEED"]}
    listed = "".join(f"    {name!r}: {value!r},\n" for name, value in sorted(settings.items()))
    start = START.format(package=folder.name, entry=ENTRY)
    if "def needed(" in sources.get(
        f"{folder.name}.features", ""
    ):  # an older trainer has all of its code here
        start = CHECK.format(package=folder.name) + start
    loader = LOADER.format(settings=f"{{\n{listed}}}", mark=MARK, start=start)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    if readable:
        parts = {name: _without_future(text) for name, text in sources.items()}
        return comment + loader + _joined(parts)
    text = loader + _joined({name: minify(_without_future(text)) for name, text in sources.items()})
    compressed = lzma.compress(text.encode(), lzma.FORMAT_ALONE, filters=[LZMA])
    return comment + PACKED.format(data=base64.b85encode(compressed).decode())


def _joined(sources: Mapping[str, str]) -> str:
    return "".join(f"\n{MARK}{name}\n{text}" for name, text in sources.items())


# Modules ------------------------------------------------------------------------------------------


def read_modules(folder: Path, features: Iterable[str] = ()) -> dict[str, str]:
    """Return the text of every module of the package that its entry imports, at any level, by dotted name.

    features: modules that are imported by name, when a configuration uses them. An older trainer has fewer.
    """
    package = folder.name
    found: dict[str, str] = {}
    todo = [f"{package}.{ENTRY}", *features]
    while todo:
        name = todo.pop()
        path = _module_file(folder, name)
        if name in found or path is None:
            continue
        found[name] = path.read_text(encoding="utf-8")
        todo += [name.rpartition(".")[0], *_imports(_parse(found[name], name), name, path)]
    return dict(sorted(found.items()))


def _module_file(folder: Path, name: str) -> Path | None:
    """The file of a dotted name; None for what is no module: a function that is imported, another package."""
    path = folder.joinpath(*name.split(".")[1:])
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if name.split(".")[0] == folder.name and file.is_file():
            return file
    return None


def _imports(tree: ast.Module, name: str, path: Path) -> Iterator[str]:
    """Yield what a module may import, functions and classes among it; not what only types need."""
    parent = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in _walk_without_types(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), parent)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _walk_without_types(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if not for_types_alone(child):
            yield from _walk_without_types(child)


def _parse(text: str, name: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise HarnessError(f"cannot read {name}, line {error.lineno}: {error.msg}", "put it right") from error


def _without_future(text: str) -> str:
    """A module without its `from __future__` line, which may only begin a file."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("from __future__ "))


INDENT = 4  # spaces of a level, as our formatter writes them

# A string, or what can go: the end of a line with its comment, lines of nothing else, and the indentation of
# the next one.
_PIECES = re.compile(
    r"""(?P<string>\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?:[ ]*(?:\#[^\n]*)?\n)+(?P<indent>[ ]*)""",
    re.DOTALL,
)


def minify(text: str) -> str:
    """Return the module's source, shorter. Raises SyntaxError for what is no Python."""
    source = text.encode()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    kept, at = [], 0
    for begin, end, instead in sorted(_Cuts(source, starts).of(ast.parse(text))):
        kept += [source[at:begin], instead]
        at = end
    kept.append(source[at:])
    return _PIECES.sub(_shorten, b"".join(kept).decode()).strip("\n") + "\n"


def _shorten(piece: re.Match[str]) -> str:
    return piece["string"] or "\n" + " " * (len(piece["indent"]) // INDENT)


def for_types_alone(node: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which never runs."""
    if not isinstance(node, ast.If) or node.orelse:
        return False
    return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


Cut = tuple[int, int, bytes]  # from, to, what stands there instead

Placed = ast.expr | ast.stmt | ast.arg


class _Cuts:
    """What can go from a text, found by its syntax tree. starts: the offset of each line."""

    def __init__(self, source: bytes, starts: list[int]) -> None:
        self.source, self.starts = source, starts

    def of(self, node: ast.AST, in_class: bool = False) -> Iterator[Cut]:
        """Yield the cuts in a node; none overlaps another.

        in_class: annotations may be a dataclass's fields.
        """
        if isinstance(node, ast.If) and for_types_alone(node):
            yield self._begin(node), self._end(node), b"pass"
            return
        if isinstance(node, ast.AnnAssign) and not in_class:
            if node.value is None:
                yield self._begin(node), self._end(node), b"pass"
            else:
                yield self._end(node.target), self._end(node.annotation), b""
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:  # a decorator may read them
            yield from self._signature(node)
        docstring = _docstring(node)
        if docstring is not None:
            alone = len(node.body) == 1  # type: ignore[attr-defined]
            yield self._begin(docstring), self._end(docstring), b"pass" if alone else b""
        for child in ast.iter_child_nodes(node):
            if child is not docstring:
                yield from self.of(child, isinstance(node, ast.ClassDef))

    def _signature(self, node: ast.FunctionDef) -> Iterator[Cut]:
        every = node.args
        for argument in (*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg):
            if argument is not None and argument.annotation is not None:
                begin = self._begin(argument) + len(argument.arg.encode())
                yield begin, self._end(argument.annotation), b""
        if node.returns is not None:
            bracket = self.source.rindex(b")", 0, self._begin(node.returns))
            yield bracket + 1, self._end(node.returns), b""

    def _begin(self, node: Placed) -> int:
        return self.starts[node.lineno - 1] + node.col_offset

    def _end(self, node: Placed) -> int:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.end_lineno - 1] + node.end_col_offset


def _docstring(node: ast.AST) -> ast.Expr | None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) or not node.body:
        return None
    match node.body[0]:
        case ast.Expr(value=ast.Constant(value=str())) as first:
            return first
    return None
