"""What in a script could reach the network, found by reading it. Pure; nothing is executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from harness.scripts import grammar
from harness.scripts.companions import executes_file
from harness.scripts.unpack import unpack_source

MODULES = frozenset(
    {
        "aiohttp",
        "boto3",
        "datasets",
        "ftplib",
        "gdown",
        "google.cloud",
        "httpx",
        "huggingface_hub",
        "neptune",
        "openai",
        "paramiko",
        "requests",
        "smtplib",
        "socket",
        "telnetlib",
        "urllib.request",
        "urllib3",
        "wandb",
        "websocket",
        "websockets",
        "http.client",
        "xmlrpc.client",
    }
)
CALLS = frozenset(
    {"from_pretrained", "hf_hub_download", "snapshot_download", "load_dataset", "load_state_dict_from_url"}
)
COMMANDS = re.compile(
    r"\b(curl|wget|pip3? install|git clone|git pull|apt(-get)? install|rsync|scp|ssh|gsutil|aws s3)\b"
)
RUNNERS = frozenset({"run", "call", "Popen", "check_call", "check_output", "system", "popen", "getoutput"})


def find_uses(files: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the uses, each with its file and line, and what could not be read."""
    uses: list[str] = []
    problems: list[str] = []
    for name, text in files.items():
        unpacked = unpack_source(text)
        try:
            tree = grammar.parse(unpacked.source)
        except grammar.FAILURES as error:
            problems.append(f"{name} is not Python: {getattr(error, 'msg', error)}")
            continue
        if unpacked.problem and not executes_file(tree, files.keys() - {name}):
            problems.append(f"{name} {unpacked.problem}")
        place = f"{name} (unpacked)" if unpacked.layers else name
        uses += [f"{place} line {line} {what}" for line, what in sorted(_in_tree(tree))]
    return uses, problems


def _in_tree(tree: ast.Module) -> set[tuple[int, str]]:
    uses = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                uses |= {
                    (node.lineno, f"imports {alias.name}") for alias in names if _reaches_out(alias.name)
                }
            case ast.ImportFrom(module=str(module), names=names):
                full = [f"{module}.{alias.name}" for alias in names]
                if _reaches_out(module) or any(name in MODULES for name in full):
                    uses.add((node.lineno, f"imports {module}"))
            case ast.Call(func=ast.Name(id="__import__"), args=[ast.Constant(value=str(name)), *_]):
                if _reaches_out(name):
                    uses.add((node.lineno, f"imports {name}"))
            case ast.Call():
                uses |= _in_call(node)
    return uses


def _reaches_out(module: str) -> bool:
    parts = module.split(".")
    return any(".".join(parts[:count]) in MODULES for count in range(1, len(parts) + 1))


def _in_call(node: ast.Call) -> set[tuple[int, str]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in CALLS or ast.unparse(node.func) == "torch.hub.load":
        return {(node.lineno, f"calls {ast.unparse(node.func)[:60]}")}
    if name in RUNNERS:
        words = [c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)]
        command = COMMANDS.search(" ".join(words))
        if command:
            return {(node.lineno, f"runs {command[0]}")}
    return set()
