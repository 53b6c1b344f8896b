"""One evaluator for knobs and for packed code: what it can tell, and that nothing makes it run for long."""

from __future__ import annotations

import ast
import base64
import time
import zlib

import pytest

from harness.scripts.constants import MAX_TEXT, fold
from harness.scripts.knobs import read_script
from harness.scripts.names import Names, Scope, Unknown


def value_of(expression: str, program: str = "") -> object:
    names = Names()
    names.collect(ast.parse(program))
    return fold(ast.parse(expression, mode="eval").body, names, Scope())


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 * WIDTH // 3", 8),
        ("f'{WIDTH}_x'.upper()", "12_X"),
        ("','.join(['attn', 'mlp'])", "attn,mlp"),
        ("{'a': 1, **TABLE}['b']", 2),
        ("WIDTH if TABLE.get('c') is None else 0", 12),
        ("B.b64decode('YQ==').decode() + 'b'", "ab"),
        ("bytes.fromhex('6162')", b"ab"),
        ("L.FORMAT_RAW", 3),
    ],
)
def test_what_the_text_tells_is_told(expression, value):
    program = "import base64 as B\nimport lzma as L\nWIDTH = 12\nTABLE = {'b': 2}\n"

    assert value_of(expression, program) == value


@pytest.mark.parametrize(
    "expression",
    [
        "open('x').read()",
        "'x' * 1000000000",
        "'%999999999d' % 1",
        "10 ** 1000",
        f"({'x' * 5000!r}).replace('x', {'y' * 9000!r})",
        f"','.join([{'x' * MAX_TEXT!r}, 'x'])",
        "CIRCLE",
    ],
)
def test_what_cannot_be_told_or_would_be_huge_is_unknown(expression):
    with pytest.raises(Unknown):
        value_of(expression, "CIRCLE = OTHER\nOTHER = CIRCLE\n")


def test_a_text_that_doubles_with_each_name_takes_no_time():
    doubling = "T0 = 'x'\n" + "".join(f"T{n + 1} = T{n} + T{n}\n" for n in range(200))
    began = time.process_time()

    script = read_script(f"import os\n{doubling}a = os.environ.get(T200, '1')\n")

    assert script.dynamic
    assert time.process_time() - began < 2


def test_a_constant_is_worked_out_once():
    """Each name uses the one before twice: worked out anew each time, the last takes 2**60 steps."""
    doubling = "N0 = 1 - 1\n" + "".join(f"N{n + 1} = N{n} + N{n}\n" for n in range(60))

    assert value_of("N60", doubling) == 0


def test_a_default_may_be_packed():
    packed = base64.b64encode(zlib.compress(b"0.04")).decode()
    default = f"zlib.decompress(base64.b64decode({packed!r})).decode()"
    text = f"import os, zlib, base64\nlr = float(os.environ.get('LR', {default}))"

    assert read_script(text).knobs["LR"].default == "0.04"
