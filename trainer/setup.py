"""What a run needs, checked before it costs anything: configuration, data, device, torch's settings.

prepare()    check and resolve everything; nothing is trained
describe()   what is known before training, for `--check`
"""

from __future__ import annotations

import contextlib
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
import torch.distributed as dist

from trainer.artifact import encode, forecast_bytes, pack
from trainer.build import count_params, make_model, plan_model
from trainer.bytevocab import FINGERPRINT as BYTE_FINGERPRINT
from trainer.bytevocab import NAME as BYTE_VOCABULARY
from trainer.bytevocab import SIZE as BYTE_VOCABULARY_SIZE
from trainer.bytevocab import ByteTokenizer
from trainer.codec import require_codec
from trainer.config import Config
from trainer.data import (
    byte_table,
    check_byte_table,
    find_shards,
    load_shard,
    load_validation,
    read_shard_header,
    sha256_of,
    train_fingerprint,
)
from trainer.errors import ConfigError, DataError
from trainer.evaluate import Validation


@dataclass(frozen=True)
class Workers:
    """This process among those of a torchrun launch."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @staticmethod
    def of(env: dict[str, str]) -> Workers:
        return Workers(int(env.get("RANK", 0)), int(env.get("WORLD_SIZE", 1)), int(env.get("LOCAL_RANK", 0)))

    @property
    def leads(self) -> bool:
        return self.rank == 0


@dataclass(frozen=True)
class Setup:
    """Everything a run needs, checked. config: with device, types and threads resolved."""

    config: Config
    workers: Workers
    device: torch.device
    train_paths: list[Path]
    train_tokens: int
    validation: Validation
    data: dict[str, Any]
    environment: dict[str, Any]
    code_bytes: int  # counted with the model

    @property
    def autocast(self) -> bool:
        return self.config.dtype == "bfloat16"


def prepare(config: Config, workers: Workers | None = None, counted: int | None = None) -> Setup:
    """Check the configuration and the data, resolve `auto`, set up torch. Raises TrainerError.

    counted: bytes of the code that will be handed in, where that is not this package.
    """
    # A check before a launch may be for more processes than this one.
    workers = workers or Workers()
    # In order of cost: the settings, the device, the data's headers, the data.
    config.check(workers.world_size)
    device = choose_device(config.device, workers)
    config = resolve(config, device, workers.world_size)
    require_codec(config.compressor)
    folder = Path(config.data_path)
    train_paths, val_paths = find_shards(folder, "train"), find_shards(folder, "val")
    sp = load_tokenizer(Path(config.tokenizer_path), config.vocab_size)
    train_tokens = sum(read_shard_header(path) for path in train_paths)
    if train_tokens <= config.train_seq_len:
        raise DataError(
            f"TRAIN_SEQ_LEN={config.train_seq_len} is longer than the training data of {train_tokens} tokens",
            "shorten the sequence",
        )
    tokens = load_validation(val_paths, config.train_seq_len)
    if len(tokens) <= config.eval_length:
        raise DataError(
            f"EVAL_SEQ_LEN={config.eval_length} is longer than the {len(tokens) - 1} validation targets",
            "shorten the evaluation's context",
        )
    # All of the validation and the first training shard; the others are checked batch by batch
    # (trainer.prefetch), since the real set is 20 GB.
    check_ids(tokens, config.vocab_size, "the validation shards")
    check_ids(load_shard(train_paths[0]), config.vocab_size, train_paths[0].name)
    table = byte_table(sp)
    if not isinstance(sp, ByteTokenizer):  # bytes need be no text, and cannot be counted wrongly
        check_byte_table(sp, table, tokens)
    validation = Validation.of(tokens, table)
    # Before any product: torch starts its threads with the first one.
    torch.set_num_threads(config.threads)
    return Setup(
        config=config,
        workers=workers,
        device=device,
        train_paths=train_paths,
        train_tokens=train_tokens,
        validation=validation,
        code_bytes=code_bytes() if counted is None else counted,
        data={
            "val_tokens": validation.targets,
            "val_bytes": validation.bytes,
            "train_tokens": train_tokens,
            **fingerprints(train_paths, val_paths, Path(config.tokenizer_path)),
        },
        environment={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "sentencepiece": sentencepiece.__version__,
            "platform": f"{platform.system()} {platform.machine()}",
            "device": device.type,
            "device_name": device_name(device),
            "threads": config.threads,
            "world_size": workers.world_size,
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "backends": backend_switches(),
        },
    )


def fingerprints(train: list[Path], val: list[Path], tokenizer: Path) -> dict[str, str]:
    """Fingerprint what a run reads."""
    return {
        "val_sha256": sha256_of(val),
        "train_fingerprint": train_fingerprint(train),
        "tokenizer_sha256": tokenizer_sha256(tokenizer),
    }


def start_torch(config: Config, workers: Workers) -> None:
    """Join the other processes of the launch, and let CUDA multiply in TF32 as the challenge does."""
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA first multiplies
        # Operations without a repeatable form raise: an error is better than a promise not kept.
        # docs.pytorch.org, "Reproducibility".
        torch.use_deterministic_algorithms(True)
        # It times kernels and takes the fastest, which need not be the same one in the next run.
        torch.backends.cudnn.benchmark = False
    if workers.world_size > 1:
        # gloo for CPUs: the tests of several processes run without a GPU.
        backend = "nccl" if torch.cuda.is_available() and config.device != "cpu" else "gloo"
        dist.init_process_group(backend)
    if torch.cuda.is_available():
        # TF32 keeps 10 bits of the mantissa in products of fp32 tensors.
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True


def backend_switches() -> dict[str, bool | str]:
    """Return what decides, beside threads and CPU capability, in which order this machine adds up products.

    amx_bfloat16: whether bfloat16 products run on Intel's AMX tiles, whose sums differ with the number of
    threads. onednn_max_cpu_isa: the user's cap on oneDNN's instructions, "" for none; torch has no switch to
    read it from.
    """
    backends = torch.backends
    return {
        "mkl": bool(torch._C.has_mkl),
        "mkldnn": bool(torch._C._has_mkldnn and backends.mkldnn.enabled),
        "avx512_bfloat16": bool(torch.cpu._is_avx512_bf16_supported()),
        "amx_bfloat16": bool(torch.cpu._is_amx_tile_supported()),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA", ""),
        "cuda_matmul_tf32": bool(backends.cuda.matmul.allow_tf32),
        "cudnn_tf32": bool(backends.cudnn.allow_tf32),
        "cudnn_benchmark": bool(backends.cudnn.benchmark),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }


def check_ids(tokens: Any, vocab_size: int, where: str) -> None:
    """Refuse tokens that the embedding has no row for: on a GPU they end in an assertion nobody can read."""
    highest = int(tokens.max()) if len(tokens) else 0
    if highest >= vocab_size:
        raise DataError(
            f"{where}: token {highest} does not fit VOCAB_SIZE={vocab_size}",
            "do these shards belong to this tokenizer?",
        )


def load_tokenizer(path: Path, vocab_size: int) -> Any:
    """Load a SentencePiece model. Raises DataError when it is missing, broken, or of another vocabulary."""
    if path.name == BYTE_VOCABULARY:
        if vocab_size != BYTE_VOCABULARY_SIZE:
            raise ConfigError(
                f"VOCAB_SIZE={vocab_size} does not match TOKENIZER_PATH={BYTE_VOCABULARY}",
                f"set VOCAB_SIZE={BYTE_VOCABULARY_SIZE}",
            )
        return ByteTokenizer()
    if not path.is_file():
        raise DataError(
            f"TOKENIZER_PATH={path} does not exist", "set TOKENIZER_PATH to the .model file of the shards"
        )
    try:
        sp = sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"TOKENIZER_PATH={path} is no SentencePiece model: {error}", "fetch it again"
        ) from error
    if sp.vocab_size() != vocab_size:
        raise ConfigError(
            f"VOCAB_SIZE={vocab_size} does not match the tokenizer's {sp.vocab_size()} pieces ({path.name})",
            f"set VOCAB_SIZE={sp.vocab_size()}, or name the tokenizer of these shards",
        )
    return sp


def tokenizer_sha256(path: Path) -> str:
    return BYTE_FINGERPRINT if path.name == BYTE_VOCABULARY else sha256_of([path])


def choose_device(wanted: str, workers: Workers) -> torch.device:
    """Return the device to train on. Raises ConfigError when the one asked for is not there."""
    # In order of speed.
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    name = next(name for name in ("cuda", "mps", "cpu") if available[name]) if wanted == "auto" else wanted
    if not available[name]:
        names = ", ".join(name for name, here in available.items() if here)
        raise ConfigError(
            f"DEVICE={wanted} is not there", f"this machine has {names}; DEVICE=auto takes the best"
        )
    return torch.device(name, workers.local_rank) if name == "cuda" else torch.device(name)


def resolve(config: Config, device: torch.device, world_size: int = 1) -> Config:
    """Replace `auto` by what it comes to on this machine, so that the record holds no guesses.

    world_size: processes that share its cores.
    """
    # Where bfloat16 is not in hardware it is emulated, several times slower than fp32.
    dtype = config.dtype
    if dtype == "auto":
        dtype = (
            "bfloat16" if device.type == "cuda" or (device.type == "cpu" and _fast_bfloat16()) else "float32"
        )
    # Compilation takes most of a minute, which a GPU earns back; a CPU's steps hardly get faster.
    compile_ = config.compile if config.compile != "auto" else "on" if device.type == "cuda" else "off"
    # The cores this process may use, not those of the machine: a container or a scheduler may lend fewer.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # DETERMINISTIC must not depend on how many cores a machine lends today: one thread adds up in one order.
    ours = 1 if config.deterministic and device.type == "cpu" else max(1, cores // world_size)
    threads = config.threads or ours
    return replace(config, device=device.type, dtype=dtype, compile=compile_, threads=threads)


def _fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; where it does not, fp32 is several times as fast."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    # Linux names the processor there; platform.processor() is empty on most distributions.
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def code_bytes() -> int:
    """Bytes of the trainer's own source files: all of the package, since all of it is needed to run."""
    return sum(path.stat().st_size for path in Path(__file__).parent.rglob("*.py"))


def weigh_untrained(c: Config) -> int:
    """Pack the model as it is initialised and return its compressed bytes: what training starts from."""
    torch.manual_seed(c.seed)
    return len(encode(pack(make_model(c).state_dict(), c), c.compressor))


def describe(setup: Setup) -> dict[str, Any]:
    """Return what is known before training, for `--check`: parameters, effective settings, sizes."""
    model = plan_model(setup.config)
    params = count_params(model)
    cuda = setup.device.type == "cuda"
    model_bytes = forecast_bytes(model.state_dict(), setup.config)
    return {
        "params": params,
        "config": setup.config.to_env(),
        "data": setup.data,
        "gpu_bytes": list(torch.cuda.mem_get_info(setup.device)) if cuda else None,  # free, all
        "model_bytes": model_bytes,
        "forecast_bytes": model_bytes + setup.code_bytes,
    }
