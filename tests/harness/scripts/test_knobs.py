"""Knobs are read off scripts of every shape that people write; nothing of them is executed."""

import base64
import lzma

import pytest

from harness.errors import UsageError
from harness.scripts.knobs import find_knobs, read_script, render_value

# name of the shape: source, {knob: (kind, default, what it takes for yes and no)}
SHAPES = {
    "class attributes": (
        """
import os, uuid
class Hyperparameters:
    run_id = os.environ.get("RUN_ID", str(uuid.uuid4()))
    layers = int(os.environ.get("NUM_LAYERS", 9))
    lr = float(os.environ.get("MATRIX_LR", "0.04"))
    tie = bool(int(os.environ.get("TIE_EMBEDDINGS", "1")))
    batch = int(os.environ.get("TRAIN_BATCH_TOKENS", 524_288 // 2))
    data = os.environ.get("DATA_PATH", "./data/shards")
    train_files = os.path.join(data, "train_*.bin")
""",
        {
            "RUN_ID": ("text", None, None),
            "NUM_LAYERS": ("int", "9", None),
            "MATRIX_LR": ("float", "0.04", None),
            "TIE_EMBEDDINGS": ("flag", "1", ("1", "0")),
            "TRAIN_BATCH_TOKENS": ("int", "262144", None),
            "DATA_PATH": ("text", "./data/shards", None),
        },
    ),
    "yes and no by word": (
        """
import os
A = os.environ.get("USE_A", "1") == "1"
B = os.getenv("USE_B", "false") == "true"
C = os.environ.get("USE_C", "False").lower() in ("true", "1", "yes")
D = os.environ.get("USE_D", "1") != "0"
E = os.environ.get("USE_E", "no").lower() not in {"no", "off", ""}
F = os.environ.get("USE_F", "True") == "True"
G = bool(os.environ.get("USE_G", ""))
H = int(os.environ.get("USE_H", "0")) != 0
I = not int(os.environ.get("USE_I", "0"))
OPT = os.environ.get("OPT", "muon") == "muon"
if os.environ.get("DEBUG"):
    pass
""",
        {
            "USE_A": ("flag", "1", ("1", "0")),
            "USE_B": ("flag", "false", ("true", "false")),
            "USE_C": ("flag", "False", ("1", "0")),
            "USE_D": ("flag", "1", ("1", "0")),
            "USE_E": ("flag", "no", ("yes", "no")),
            "USE_F": ("flag", "True", ("True", "False")),
            "USE_G": ("flag", "", ("1", "")),
            "USE_H": ("int", "0", None),
            "USE_I": ("int", "0", None),
            "OPT": ("word", "muon", None),
            "DEBUG": ("flag", None, ("1", "")),
        },
    ),
    "other names of the environment": (
        """
import os as _os
from os import environ as E, getenv
env = _os.environ
get = _os.environ.get
a = int(E.get("A", 1)); b = float(getenv("B", "2.5")); c = env.get("C", "x"); d = int(get("D", 4))
e = int(E["E"]); f = env.setdefault("F", "6"); g = "G" in env
h = int(_os.getenv("H") or 8); i = int(v) if (v := get("I")) else 9
mine = dict(_os.environ)
j = float(mine.get("J", 1e-8))
""",
        {
            "A": ("int", "1", None),
            "B": ("float", "2.5", None),
            "C": ("text", "x", None),
            "D": ("int", "4", None),
            "E": ("int", None, None),
            "F": ("text", "6", None),
            "G": ("text", None, None),
            "H": ("int", "8", None),
            "I": ("int", "9", None),
            "J": ("float", "1e-08", None),
        },
    ),
    "modules imported by a call, and several names at once": (
        """
import importlib
a = int(__import__("os").environ.get("A", 1)); b = __import__("os").getenv("B", "0") == "1"
o = importlib.import_module("os")
E, get = o.environ, o.getenv
c = float(E["C"]); d = get("D", "x")
K, L = "E", "F"
e = int(E.get(K, 5)); f = int(E.get(L, 6))
def read(name, default, get=o.environ.get): return int(get(name, default))
g = read("G", 7)
""",
        {
            "A": ("int", "1", None),
            "B": ("flag", "0", ("1", "0")),
            "C": ("float", None, None),
            "D": ("text", "x", None),
            "E": ("int", "5", None),
            "F": ("int", "6", None),
            "G": ("int", "7", None),
        },
    ),
    "helper functions": (
        """
import os
def env_int(name, default): return int(os.environ.get(name, default))
def env_flag(name: str, default: bool = False) -> bool:
    raw = os.environ.get(name)
    if raw is None:
        return default
    return raw.strip().lower() in {"1", "true", "yes"}
def raw(name, default=None): return os.environ.get(name, default)
_f = lambda k, d: float(os.getenv(k, str(d)))
def env(name, default, cast=str):
    value = os.environ.get("PG_" + name)
    if value is None: return default
    if cast is bool: return value == "true"
    return cast(value)
def typed(key, default):
    v = os.environ.get(key)
    if v is None: return default
    if isinstance(default, bool): return v.lower() in ("1", "true", "yes")
    if isinstance(default, int): return int(v)
    return type(default)(v)
layers = env_int("NUM_LAYERS", 9)
qat = env_flag("QAT", default=True)
lr = _f("LR", 0.02)
dim = int(raw("DIM", "512"))
steps = env("STEPS", 100, int); soft = env("SOFT", False, cast=bool); name = env("NAME", "x")
a = typed("TA", True); b = typed("TB", 3); c = typed("TC", 0.5); d = typed("TD", "s")
def str2bool(s): return s.lower() in ("true", "t")
z = str2bool(os.environ.get("Z", "false"))
""",
        {
            "NUM_LAYERS": ("int", "9", None),
            "QAT": ("flag", "True", ("1", "0")),
            "LR": ("float", "0.02", None),
            "DIM": ("int", "512", None),
            "PG_STEPS": ("int", "100", None),
            "PG_NAME": ("text", "x", None),
            "PG_SOFT": ("flag", "False", ("true", "false")),
            "TA": ("flag", "True", ("1", "0")),
            "TB": ("int", "3", None),
            "TC": ("float", "0.5", None),
            "TD": ("text", "s", None),
            "Z": ("flag", "false", ("true", "false")),
        },
    ),
    "names in constants of a function": (
        """
import os
def main():
    C = "LR"; D, E = "DEPTH", "WIDTH"
    prefix = "MY"
    prefix += "_"
    lr = float(os.environ.get(C, "0.1")); d = int(os.environ.get(D, 8)); e = E in os.environ
    with open("x") as f:
        name = f"{prefix}SEED"
        s = int(os.environ[name])
main()
""",
        {
            "LR": ("float", "0.1", None),
            "DEPTH": ("int", "8", None),
            "WIDTH": ("text", None, None),
            "MY_SEED": ("int", None, None),
        },
    ),
    "helpers of one name or several": (
        """
import os
def first(names, default):
    if isinstance(names, str):
        names = [names]
    for name in names:
        if name in os.environ:
            return os.environ[name]
    return default
def other(names, default=None):
    for key in (names,) if isinstance(names, str) else names:
        value = os.environ.get(key)
        if value is not None:
            return value
    return default
def upper(key, default):
    key = "PG_" + key.upper()
    return os.environ.get(key, default)
a = int(first("AA", 1)); b = int(first(["BB", "OLD_BB"], 2))
c = float(other(("CC1", "CC2"), 3)); d = float(other("DD", 4))
e = int(upper("ee", 5))
""",
        {
            "AA": ("int", "1", None),
            "BB": ("int", "2", None),
            "OLD_BB": ("int", "2", None),
            "CC1": ("float", "3", None),
            "CC2": ("float", "3", None),
            "DD": ("float", "4", None),
            "PG_EE": ("int", "5", None),
        },
    ),
    "defaults from other names": (
        """
import os
def env_int(name, default): return int(os.environ.get(name, default))
a = int(os.environ.get("A", os.environ.get("OLD_A", os.environ.get("OLDEST_A", 3))))
b = os.environ.get("B", os.getenv("OLD_B", "0")) == "1"
WIDTH = env_int("WIDTH", 64)
c = int(os.environ.get("HIDDEN", WIDTH * 2))
d = env_int("D", env_int("OLD_D", 5))
class H:
    dim = int(os.environ.get("DIM", "512"))
    rope = int(os.environ.get("ROPE", dim // 4))
e = int(os.environ.get("ACCUM", 8 // int(os.environ.get("WORLD_SIZE", 1))))
f = os.environ.get("TAGS", ",".join(("x", "y")))
""",
        {
            "A": ("int", "3", None),
            "OLD_A": ("int", "3", None),
            "OLDEST_A": ("int", "3", None),
            "B": ("flag", "0", ("1", "0")),
            "OLD_B": ("flag", "0", ("1", "0")),
            "WIDTH": ("int", "64", None),
            "HIDDEN": ("int", "128", None),
            "D": ("int", "5", None),
            "OLD_D": ("int", "5", None),
            "DIM": ("int", "512", None),
            "ROPE": ("int", "128", None),
            "ACCUM": ("int", None, None),
            "TAGS": ("text", "x,y", None),
        },
    ),
    "set by the script before it reads": (
        """
import os
os.environ.setdefault("A", "500")
os.environ["B"] = "3"
if "C" not in os.environ:
    os.environ["C"] = "4"
for name, value in {"D": "5", "E": "6"}.items():
    os.environ.setdefault(name, value)
if os.environ.get("SMOKE", "0") == "1":
    os.environ["F"] = "1"
a = int(os.environ.get("A", 9)); b = int(os.environ.get("B", 9)); c = int(os.environ["C"])
def main():
    return int(os.environ.get("D", 9)), int(os.environ.get("E", 9)), int(os.environ.get("F", 9))
g = int(os.environ.get("G", 9))
os.environ.setdefault("G", "1")
""",
        {
            "A": ("int", "500", None),
            "B": ("int", "3", None),
            "C": ("int", "4", None),
            "D": ("int", "5", None),
            "E": ("int", "6", None),
            "SMOKE": ("flag", "0", ("1", "0")),
            "F": ("int", "9", None),
            "G": ("int", "9", None),
        },
    ),
    "tables": (
        """
import os
DEFAULTS = {"layers": 9, "lr": 0.04, "tie": True}
cfg = {k: type(v)(os.environ.get(k.upper(), v)) for k, v in DEFAULTS.items()}
SPEC = [("WARMDOWN_ITERS", int, 1200), ("MUON_WD", float, 0.04)]
for name, cast, default in SPEC:
    globals()[name] = cast(os.environ.get(name, default))
for key in ["alpha", "beta"]:
    x = float(os.environ.get(f"{key.upper()}_SCALE", "1.0"))
""",
        {
            "LAYERS": ("int", "9", None),
            "LR": ("float", "0.04", None),
            "TIE": ("flag", "True", ("1", "")),
            "WARMDOWN_ITERS": ("int", "1200", None),
            "MUON_WD": ("float", "0.04", None),
            "ALPHA_SCALE": ("float", "1.0", None),
            "BETA_SCALE": ("float", "1.0", None),
        },
    ),
    "dataclass from the environment": (
        """
import os
from dataclasses import dataclass, field, fields
@dataclass
class Args:
    num_layers: int = 9
    matrix_lr: float = 0.04
    tie: bool = True
    name: str = field(default="run")
    dim: int = field(default_factory=lambda: int(os.environ.get("MODEL_DIM", 512)))
    @classmethod
    def load(cls):
        given = {}
        for f in fields(cls):
            raw = os.environ.get(f.name.upper())
            if raw is not None:
                given[f.name] = parse(f.type, raw)
        return cls(**given)
""",
        {
            "NUM_LAYERS": ("int", "9", None),
            "MATRIX_LR": ("float", "0.04", None),
            "TIE": ("flag", "True", ("1", "0")),
            "NAME": ("text", "run", None),
            "MODEL_DIM": ("int", "512", None),
            "DIM": ("int", None, None),
        },
    ),
    "named first, turned later": (
        """
import os
def main():
    raw = os.environ.get("SEED", "1337")
    print(raw)
    seed = int(raw)
    flag = os.environ.get("FLAG", "0")
    use = flag == "1"
    words = [int(w) for w in os.environ.get("LIST", "1,2").split(",")]
    decay = os.environ.get("DECAY"); decay = float(decay) if decay is not None else 0.9
""",
        {
            "SEED": ("int", "1337", None),
            "FLAG": ("flag", "0", ("1", "0")),
            "LIST": ("text", "1,2", None),
            "DECAY": ("float", None, None),
        },
    ),
    "config object with a method": (
        """
import os
class Env:
    def __init__(self): self.e = os.environ
    def num(self, name, default): return float(self.e.get(name, default))
    @staticmethod
    def on(name, default="0"): return bool(int(os.environ.get(name, default)))
env = Env()
clip = env.num("GRAD_CLIP_NORM", 0.3)
ema = Env.on("EMA", "1"); swa = Env.on("SWA")
""",
        {
            "GRAD_CLIP_NORM": ("float", "0.3", None),
            "EMA": ("flag", "1", ("1", "0")),
            "SWA": ("flag", "0", ("1", "0")),
        },
    ),
    "launcher's and system's variables are no knobs": (
        """
import os
rank = int(os.environ.get("RANK", 0)); local = int(os.environ["LOCAL_RANK"])
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "x")
home = os.environ["HOME"]; n = int(os.environ.get("N", 2))
""",
        {"N": ("int", "2", None)},
    ),
    "wrapped twice": (
        """
import os
k = int(float(os.environ.get("K", "1e3")))
m = min(8, max(1, int(os.environ.get("M", "4"))))
o = os.environ.get("O", os.environ.get("OLD_O", "7"))
p = bool(int(os.environ.get("P", str(int(False)))))
q = float(os.environ.get("Q", 2 ** 10)) * 0.5
""",
        {
            "K": ("float", "1e3", None),
            "M": ("int", "4", None),
            "O": ("text", "7", None),
            "OLD_O": ("text", "7", None),
            "P": ("flag", "0", ("1", "0")),
            "Q": ("float", "1024", None),
        },
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_gives_its_knobs(shape):
    source, expected = SHAPES[shape]

    script = read_script(source)

    found = {name: (knob.kind, knob.default, knob.spelling) for name, knob in script.knobs.items()}
    assert found == expected
    assert not script.dynamic, script.unclear


def test_helper_in_another_file_of_the_script_is_followed():
    script = read_script(
        {
            "train_gpt.py": "from envtools import env_int\nn = env_int('NUM_LAYERS', 9)\n",
            "envtools.py": "import os\ndef env_int(name, d): return int(os.environ.get(name, d))\n",
        }
    )

    knob = script.knobs["NUM_LAYERS"]
    assert (knob.kind, knob.default, knob.place) == ("int", "9", "envtools.py line 2")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os\nfor k, v in os.environ.items():\n    print(k)", "line 2 goes through the whole"),
        (
            "import os\nx = {k: v for k, v in os.environ.items() if k.startswith('PG_')}",
            "line 2 goes through",
        ),
        (
            "import os, sys\nn = os.environ.get(sys.argv[1])",
            "line 2 reads a name that is computed: sys.argv[1]",
        ),
        ("import zlib\nexec(open('x').read())", "line 2 executes computed code"),
    ],
)
def test_what_cannot_be_told_is_said(source, said):
    script = read_script(source)

    assert script.dynamic
    assert said in script.unclear[0]
    assert find_knobs(script, {"ANYTHING": "1"}) == {"ANYTHING": None}


def test_knob_nobody_reads_is_refused_with_the_nearest_name():
    script = read_script("import os\nlr = float(os.environ.get('MATRIX_LR', 0.04))")

    with pytest.raises(UsageError) as refused:
        find_knobs(script, {"MATRIX_RL": "0.03"})

    assert "MATRIX_LR" in refused.value.hint
    assert find_knobs(script, {"MATRIX_RL": "0.03"}, allow_unread=True) == {"MATRIX_RL": None}


def test_all_knobs_nobody_reads_are_named_at_once():
    script = read_script("import os\nlr = float(os.environ.get('MATRIX_LR', 0.04))")

    with pytest.raises(UsageError) as refused:
        find_knobs(script, {"MATRIX_LR": "1", "EMA": "1", "MATRIX_RL": "0.03", "LATE_QAT": "1"})

    assert refused.value.message.startswith("overrides EMA=1, MATRIX_RL=0.03, LATE_QAT=1 are read by nothing")
    assert "did you mean MATRIX_LR for MATRIX_RL?" in refused.value.hint


@pytest.mark.parametrize("name", ["TORCH_COMPILE", "WANDB_TAGS", "CUDA_GRAPHS", "HF_DATASET_NAME"])
def test_own_knob_that_begins_like_a_librarys_is_a_knob(name):
    script = read_script(f"import os\non = bool(int(os.environ.get('{name}', '1')))")

    assert render_value(script.knobs[name], "false") == "0"


@pytest.mark.parametrize("name", ["CC", "TORCHDYNAMO_VERBOSE", "NCCL_DEBUG", "HF_TOKEN", "WANDB_API_KEY"])
def test_variable_of_the_system_is_no_knob_and_passes(name):
    """A key must reach the script and must not stand in a record; a compiler is nobody's experiment."""
    script = read_script(f"import os\nk = os.environ.get('{name}')\nn = int(os.environ.get('DEPTH', 8))")

    assert set(script.knobs) == {"DEPTH"}
    assert find_knobs(script, {name: "1"}) == {name: None}


def test_byte_order_mark_is_no_mistake():
    script = read_script("\ufeffimport os\nn = int(os.environ.get('DEPTH', 8))")

    assert script.knobs["DEPTH"].default == "8"


@pytest.mark.parametrize(
    ("read", "typed", "handed"),
    [
        ("bool(int(os.environ.get('K', '0')))", "True", "1"),
        ("bool(int(os.environ.get('K', '0')))", "no", "0"),
        ("os.environ.get('K', 'false') == 'true'", "1", "true"),
        ("os.environ.get('K', 'True') == 'True'", "off", "False"),
        ("bool(os.environ.get('K', ''))", "false", ""),
        ("int(os.environ.get('K', 512))", "512.0", "512"),
        ("int(os.environ.get('K', 512))", "1e3", "1000"),
        ("int(os.environ.get('K', '0'))", "true", "1"),
        ("float(os.environ.get('K', 1))", " .03 ", "0.03"),
        ("os.environ.get('K', 'x')", "0.030", "0.030"),
    ],
)
def test_values_are_handed_over_as_the_script_takes_them(read, typed, handed):
    knob = read_script(f"import os\nx = {read}").knobs["K"]

    assert render_value(knob, typed) == handed


@pytest.mark.parametrize(
    ("read", "typed", "said"),
    [
        ("int(os.environ.get('K', 512))", "2.5", "whole number"),
        ("int(os.environ.get('K', 512))", "true", "whole number"),
        ("float(os.environ.get('K', 1))", "fast", "float(os.environ.get('K', 1))"),
        ("float(os.environ.get('K', 1))", "nan", "a number"),
        ("bool(int(os.environ.get('K', '0')))", "maybe", "yes/no"),
    ],
)
def test_value_of_the_wrong_type_is_refused_with_the_line_that_reads_it(read, typed, said):
    knob = read_script(f"import os\nx = {read}").knobs["K"]

    with pytest.raises(UsageError, match="K=") as refused:
        render_value(knob, typed)

    assert said in refused.value.message
    assert "line 2" in refused.value.message


def test_file_that_is_not_python_is_refused_with_its_line():
    with pytest.raises(UsageError, match=r"train\.py line 2 is not Python"):
        read_script({"train.py": "import os\nx = = 1\n"})


def test_nothing_is_executed(tmp_path):
    trap = tmp_path / "ran"
    read_script(f"import os\nopen({str(trap)!r}, 'w')\nos.environ.get('X' * 10**12, '%999999999d' % 1)\n")

    assert not trap.exists()


def test_packed_script_shows_its_knobs_without_being_run():
    inner = "import os\nraise SystemExit\nlr = float(os.environ.get('MATRIX_LR', 0.04))\n"
    blob = base64.b85encode(lzma.compress(inner.encode())).decode()

    script = read_script(f"import lzma,base64\nexec(lzma.decompress(base64.b85decode({blob!r})))")

    assert script.knobs["MATRIX_LR"].default == "0.04"
    assert not script.dynamic


def test_default_that_hangs_on_a_knob_follows_it():
    source = "import os\na = int(os.environ.get('NEW', os.environ.get('OLD', 1)))"

    assert read_script(source).defaults() == {"NEW": "1", "OLD": "1"}
    assert read_script(source).derives_from(["OLD"])
    assert read_script(source, {"OLD": "5"}).defaults()["NEW"] == "5"


def test_wrapper_around_packed_code_sets_its_defaults():
    blob = base64.b85encode(
        lzma.compress(b"import os\nn = int(os.environ.get('ITERATIONS', 20000))")
    ).decode()

    script = read_script(
        "import os,lzma,base64\nos.environ.setdefault('ITERATIONS', '500')\n"
        f"exec(lzma.decompress(base64.b85decode({blob!r})))"
    )

    assert (script.knobs["ITERATIONS"].kind, script.knobs["ITERATIONS"].default) == ("int", "500")
    assert not script.dynamic


def test_read_inside_init_is_looked_up_once():
    """Every class calls an `__init__`: followed by that name alone, the calls of all of them multiply."""
    classes = "".join(
        f"class B{n}(M):\n    def __init__(self, size, depth=1):\n        super().__init__()\n"
        f"        self.inner = B{n - 1}(size, depth)\n"
        for n in range(1, 150)
    )
    source = (
        "import os\nclass M:\n    def __init__(self, *a): pass\n"
        "class B0(M):\n    def __init__(self, size):\n        super().__init__()\n"
        f"        self.extra = int(os.environ.get('EXTRA', '3'))\n{classes}B149(8)\n"
    )

    script = read_script(source)

    assert (script.knobs["EXTRA"].kind, script.knobs["EXTRA"].default) == ("int", "3")


def test_knob_of_a_class_that_reads_in_its_init_is_found():
    source = (
        "import os\nclass Env:\n    def __init__(self, name, default):\n"
        "        self.value = int(os.environ.get(name, default))\na = Env('A', 1)\nb = Env('B', default=2)\n"
        "class Old(Env):\n    def __init__(self):\n        super().__init__('C', 3)\n"
    )

    assert read_script(source).defaults() == {"A": "1", "B": "2", "C": "3"}


def test_setting_that_is_evaluated_makes_no_packed_script():
    script = read_script("import os\nbatch = eval(os.environ.get('BATCH', '1 << 19'))\n")

    assert script.knobs["BATCH"].default == "1 << 19"
    assert not script.dynamic


def test_packed_script_that_cannot_be_read_is_said_to_be_unchecked():
    script = read_script("import lzma\nexec(lzma.decompress(open('blob', 'rb').read()))")

    assert script.dynamic
    assert "line 2" in script.unclear[0]


@pytest.mark.parametrize(
    ("source", "typed", "handed"),
    [
        ("on = int(os.environ.get('K', '50')) > 0\nevery = int(os.environ.get('K', '50'))", "3", "3"),
        ("a = bool(int(os.environ.get('K', '0')))\nn = int(os.environ.get('K', '0'))", "2", "2"),
        ("a = os.environ.get('K', '0') == '1'\nb = os.environ.get('K', '0') == '2'", "2", "2"),
        ("a = os.environ.get('K', 'x') == 'muon' or os.environ.get('K') == '1'", "adam", "adam"),
        ("n = int(os.environ.get('K', '1'))\nx = float(os.environ.get('K', '1'))", "2.0", "2"),
    ],
)
def test_name_that_is_read_in_two_ways_keeps_its_value(source, typed, handed):
    knob = read_script(f"import os\n{source}").knobs["K"]

    assert render_value(knob, typed) == handed


@pytest.mark.parametrize(
    ("source", "typed", "handed"),
    [
        ("p = os.environ.get('K')\nif p:\n    load(p)", "a/b.pt", "a/b.pt"),
        ("p = os.environ.get('K', '') != ''", "a/b.pt", "a/b.pt"),
        ("p = bool(os.environ.get('K', ''))", "off", ""),
        ("p = bool(os.environ.get('K', ''))", "yes", "1"),
    ],
)
def test_text_that_is_only_asked_whether_it_is_empty_is_handed_over(source, typed, handed):
    knob = read_script(f"import os\n{source}").knobs["K"]

    assert render_value(knob, typed) == handed


def test_number_is_no_yes():
    knob = read_script("import os\na = os.environ.get('K', '0') == '1'").knobs["K"]

    with pytest.raises(UsageError, match="yes/no"):
        render_value(knob, "2")
