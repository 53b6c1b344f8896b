"""Packed scripts are read, never run."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scripts.decoders import MAX_BYTES
from harness.scripts.knobs import read_script
from harness.scripts.unpack import unpack_source

SOURCE = 'import os\nLR = float(os.environ.get("MATRIX_LR", "0.04"))\nprint("é")\n'
RAW = [{"id": lzma.FILTER_LZMA2}]
ZLIB = zlib.compress(SOURCE.encode())


def b85(data: bytes) -> str:
    return repr(base64.b85encode(data).decode())


SHAPES = {
    "lzma, base85": (
        f"import lzma, base64\nexec(lzma.decompress(base64.b85decode({b85(lzma.compress(SOURCE.encode()))})))"
    ),
    "raw lzma2 under short names": (
        "import lzma as L,base64 as B\nexec(L.decompress(B.b85decode("
        f"{b85(lzma.compress(SOURCE.encode(), format=lzma.FORMAT_RAW, filters=RAW))}"
        '),format=L.FORMAT_RAW,filters=[{"id":L.FILTER_LZMA2}]))'
    ),
    "zlib in a variable": (
        f"from zlib import decompress as d\nfrom base64 import b64decode\n"
        f"p = {base64.b64encode(zlib.compress(SOURCE.encode()))!r}\nexec(d(b64decode(p)).decode('utf-8'))"
    ),
    "bytes in the file": f"import bz2\nexec(bz2.decompress({bz2.compress(SOURCE.encode())!r}))",
    "imported on the spot": (
        f"exec(__import__('gzip').decompress(__import__('base64').b85decode({b85(gzip.compress(SOURCE.encode()))})))"
    ),
    "compiled first": (
        "import lzma, base64\nexec(compile(lzma.decompress(base64.b85decode("
        f"{b85(lzma.compress(SOURCE.encode()))})).decode(), 'train_gpt.py', 'exec'))"
    ),
    "two strings joined": f"import zlib\nexec(zlib.decompress({ZLIB[:9]!r} + {ZLIB[9:]!r}))",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_way_of_packing_gives_the_source_back(shape):
    found = unpack_source(SHAPES[shape])

    assert (found.source, found.problem) == (SOURCE, "")
    assert found.layers
    assert read_script(SHAPES[shape]).knobs["MATRIX_LR"].default == "0.04"


def test_layer_within_a_layer_is_undone():
    twice = f"import zlib\nexec(zlib.decompress({zlib.compress(SHAPES['lzma, base85'].encode())!r}))"

    found = unpack_source(twice)

    assert found.source == SOURCE
    assert found.layers == ("zlib.decompress", "lzma.decompress", "b85decode")


def test_what_needs_running_is_said_and_not_run(tmp_path):
    """A decoder of the script's own could do anything."""
    marker = tmp_path / "ran"
    text = f"def mine(x):\n    open({str(marker)!r}, 'w')\n    return x\nexec(mine('print(1)'))"

    found = unpack_source(text)

    assert found.source == text
    assert found.problem == "line 4: mine is not known without running it"
    assert not marker.exists()
    assert read_script(text).dynamic


def test_bomb_and_torn_data_are_refused():
    bomb = f"import zlib\nexec(zlib.decompress({zlib.compress(bytes(MAX_BYTES + 5), 9)!r}))"
    torn = f"import lzma\nexec(lzma.decompress({lzma.compress(SOURCE.encode())[:-9]!r}))"

    assert "more than 20,000,000 bytes" in unpack_source(bomb).problem
    assert "ends too early" in unpack_source(torn).problem


@pytest.mark.parametrize("text", [SOURCE, "def f():\n    exec('x = 1')\n", "not python at all (", ""])
def test_plain_script_comes_back_as_it_is(text):
    assert unpack_source(text) == type(unpack_source(""))(text)


@given(st.text(max_size=300))
def test_any_text_survives_packing(text):
    packed = f"import lzma\nexec(lzma.decompress({lzma.compress(text.encode(errors='ignore'))!r}))"

    if "exec" not in text and "eval" not in text:
        assert unpack_source(packed).source == text.encode(errors="ignore").decode()
