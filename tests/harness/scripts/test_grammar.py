"""Scripts for a newer Python than ours are read as they are meant, on their own lines."""

from __future__ import annotations

import ast

import pytest

from harness.scripts.grammar import newest_form, parse
from harness.scripts.knobs import read_script
from harness.scripts.network import find_uses

# A text that a newer Python reads, what it comes to in older forms, and the version that it needs.
NEWER = {
    "quotes of the same kind": ('p(f"a{x["k"]}b")', "p(f\"a{x['k']}b\")", (3, 12)),
    "quotes that stand in the text": (
        """p(f'{{"q"}} {x['k']}')""",
        """p('{"q"} ' f"{x['k']}")""",
        (3, 12),
    ),
    "a backslash": ("p(f\"{'\\n'.join(a)}\")", "p(f'''{\"\"\"\n\"\"\".join(a)}''')", (3, 12)),
    "a comment and lines": ('p(f"{\n  a  # first\n}")', 'p(f"{a}")', (3, 12)),
    "f-strings in f-strings": ('p(f"{f"{f"{1}"}"}")', 'p(f"""{f"{f\'{1}\'}"}""")', (3, 12)),
    "a computed format": (
        'p(f"{a!r:>{w}} {b:{w}.{d["k"]}f}{c:%d}")',
        "p(f\"{a!r:>{w}} {b:{w}.{d['k']}f}{c:%d}\")",
        (3, 12),
    ),
    "a label": ('p(f"{a = } {d["k"]=:.2f}")', 'p(f\'a = {a!r} d["k"]={d["k"]:.2f}\')', (3, 12)),
    "raw text": ('p(rf"\\d{x["k"]}")', "p(f\"\\\\d{x['k']}\")", (3, 12)),
    "strings side by side": ("p('é' f\"{x[\"k\"]}\"\n  'b')", "p(f\"é{x['k']}b\")", (3, 12)),
    "after a keyword": ('y = a if b else"c"f"{x["k"]}"', "y = a if b else f\"c{x['k']}\"", (3, 12)),
    "type parameters": ("def f[\n  T: int, *Ts\n](x: T): return x", "def f(x: T): return x", (3, 12)),
    "a generic class": ("class A[T](B): pass\nclass C[T]: pass", "class A(B): pass\nclass C: pass", (3, 12)),
    "a default of a type": ("class A[T = int]: pass", "class A: pass", (3, 13)),
    "type": ("type X[T] = list[T]\ntype Y = \\\n int", "X = list[T]\nY = int", (3, 12)),
    "except": (
        "try: a()\nexcept A, b.B: c()\nexcept (C, D): e()",
        "try: a()\nexcept (A, b.B): c()\nexcept (C, D): e()",
        (3, 14),
    ),
}


@pytest.mark.parametrize("name", NEWER)
def test_newer_grammar_is_read_as_its_older_form(name: str) -> None:
    newer, older, version = NEWER[name]
    tree = parse(newer + "\nafter = 1")

    assert ast.unparse(ast.Module(tree.body[:-1], [])) == ast.unparse(ast.parse(older))
    assert tree.body[-1].lineno == newer.count("\n") + 2
    form = newest_form(newer)
    assert form is not None
    assert form.version == version


def test_template_string_gives_its_values_and_no_text() -> None:
    tree = parse('import os\nt"a{os.environ["SEED"]}"')

    assert [
        knob.line for knob in read_script('import os\np(t"a{int(os.environ["SEED"])}")').knobs.values()
    ] == [2]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    assert str(newest_form('x = 1\nt"a"')) == "needs Python 3.14: line 2 has a template string"


@pytest.mark.parametrize(
    "text",
    [
        "p(f'a{x[\"k\"]}{y:>{w}}{{}}')\ntype = 3\ntype(a).b = c\nx: list[int] = []",
        'p(f"""{x["k"]}\n{y}""")\ntry: a()\nexcept (A, B): c()',
        "def f(x): return x[T]\nclass A(B[T]): pass\nmatch = 1\nmatch(x)",
    ],
)
def test_older_grammar_needs_no_newer_python(text: str) -> None:
    assert newest_form(text) is None


@pytest.mark.parametrize("text", ["print 'a'", "def f(:\n  pass", 'p(f"{x["k"]}")\nprint "a"', 'p(f"{a b}")'])
def test_what_no_python_reads_is_refused(text: str) -> None:
    with pytest.raises(SyntaxError):
        parse(text)


def test_knobs_and_network_read_a_script_for_a_newer_python() -> None:
    text = (
        "import os, wandb\ntype Row = dict[str, int]\n"
        'print(f"{float(os.environ.get("LR", "0.1"))} {", ".join([])}")\n'
        "def get[T](name: str, kind: T) -> T:\n    return kind(os.environ[name])\n"
        'DEPTH = get("DEPTH", int)\n'
    )

    knobs = read_script(text).knobs
    assert [(k.name, k.kind, k.default, k.line) for k in sorted(knobs.values(), key=lambda k: k.line)] == [
        ("LR", "float", "0.1", 3),
        ("DEPTH", "int", None, 5),
    ]
    assert find_uses({"a.py": text}) == (["a.py line 1 imports wandb"], [])
