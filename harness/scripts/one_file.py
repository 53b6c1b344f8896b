"""The built-in trainer as one `train_gpt.py`, with a record's configuration as its defaults."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import trainer
from harness import __version__
from harness.errors import HarnessError
from harness.flatten import Recipe, Settled, flatten
from harness.records.record import Code, hash_config
from trainer.config import KNOBS, Knob, Value

TRAINER = Path(trainer.__file__).resolve().parent
ENTRY = "script:main"
CONFIG = "config:Config"

_OF_THE_MACHINE = frozenset({"DEVICE", "DTYPE", "MUON_DTYPE", "COMPILE", "THREADS"})  # anybody's own

# What `trainer.script` has in place of the package's definitions.
STAND_INS = {"events.say": "say", "setup.code_bytes": "code_bytes", "setup.fingerprints": "no_fingerprints"}

# Functions, methods, and classes with all their methods, whose calls change no number of a run.
SILENT = frozenset(
    {"progress.Observer", "train.Run._log", "train.Run._save", "setup.check_ids", "data.check_byte_table",
     "config.Config.check"}
)  # fmt: skip

# Knobs whose other values only keep more or fewer files.
SETTLED = {"CHECKPOINT_EVERY": 0, "CHECKPOINT_SECONDS": 0.0}

_FLAG = """
def flag(text: str) -> bool:
    return text.strip().lower() in ("1", "true", "yes", "on", "y", "t")
"""
_LOAD = '''
def load_config(env):
    """Read the environment. Another value of a fixed setting is refused: its code is not in this script."""
    for name, value in FIXED.items():
        given = env.get(name, str(value))
        if (flag(given) if isinstance(value, bool) else type(value)(given)) != value:
            raise SystemExit(f"{name}={given}: this script has only the code for {name}={value}")
    return Config()
'''
_LOAD_ANY = """
def load_config(env):
    return Config()
"""


def submission_script(config: Mapping[str, str], code: Code, folder: Path = TRAINER) -> bytes:
    """Return the script that a configuration, as a record keeps it, is handed in as. code: the trainer it is made of.

    Its bytes are the code that counts. Raises HarnessError as `write_script` does.
    """
    dirty = " with uncommitted changes" if code.dirty else ""
    header = (
        f"Made by `harness submit` (parameter-golf-harness {__version__}) of the trainer at commit "
        f"{(code.git_sha or 'none')[:12]}{dirty},\nsource {(code.source_sha256 or '')[:12]}, for configuration "
        f"{hash_config(config)}: only the code that it runs.\n"
        "The defaults are the record's; an environment variable of the same name in capitals (SEED, DATA_PATH,\n"
        "TOKENIZER_PATH, ...) sets another value."
    )
    return write_script(config, header, folder).encode()


def write_script(config: Mapping[str, str], header: str = "", folder: Path = TRAINER) -> str:
    """Return the source of a script that trains as `config` (by environment name) says when nothing is set.

    Every knob it reads is an environment variable of the knob's name, but for those whose other values need code
    that was left out; those refuse another value.
    Raises HarnessError when the configuration has a knob that the trainer here does not know.
    """
    unknown = sorted(set(config) - set(KNOBS))
    if unknown:
        raise HarnessError(
            f"the trainer here has no knob {unknown[0]}, which the record was made with",
            "check out the version that made the record",
        )
    values = {
        knob: knob.parse(config[name]) if name in config else knob.default for name, knob in KNOBS.items()
    }
    kept_off: dict[str, Value] = {name.lower(): value for name, value in SETTLED.items()}
    fixed = {knob.field: value for knob, value in values.items() if _is_switch(knob, value)}
    recipe = Recipe(
        folder=folder,
        entry=ENTRY,
        settled=Settled(CONFIG, kept_off | fixed, frozenset(map(_qualified, SILENT))),
        stand_ins={_qualified(name): f"script:{own}" for name, own in STAND_INS.items()},
        additions={"config": _config_source(values, fixed)},
        header=header,
    )
    return flatten(recipe)


def _is_switch(knob: Knob, value: Value) -> bool:
    """Whether a knob chooses code: yes or no, one of a list, or something of ours that is off."""
    if knob.name in _OF_THE_MACHINE:
        return False
    off = knob.added and value == knob.default and value in (0, -1, "")
    return off or isinstance(value, bool) or bool(knob.choices)


def _qualified(name: str) -> str:
    """`train.Run._log` -> `train:Run._log`."""
    return name.replace(".", ":", 1)


def _config_source(values: Mapping[Knob, Value], fixed: Mapping[str, object]) -> str:
    """Return `Config` with a default for each field, read from the environment when the script starts."""
    lines = ["import os", _FLAG]
    if fixed:
        lines.append(f"FIXED = { {knob.name: values[knob] for knob in values if knob.field in fixed}!r}")
    lines += ["@dataclass(frozen=True)", "class Config:"]
    for knob, value in values.items():
        if knob.field not in fixed:
            lines.append(f"    {knob.field}: {type(value).__name__} = {_read(knob, value)}")
    return "\n".join([*lines, _LOAD if fixed else _LOAD_ANY])


def _read(knob: Knob, value: Value) -> str:
    if isinstance(value, bool):
        return f"flag(os.environ.get({knob.name!r}, {str(int(value))!r}))"
    if isinstance(value, str):
        return f"os.environ.get({knob.name!r}, {value!r})"
    return f"{type(value).__name__}(os.environ.get({knob.name!r}, {value!r}))"
