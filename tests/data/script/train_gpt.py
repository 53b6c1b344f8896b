"""A training script as people write them, without the training: knobs from the environment, the field's log lines out.

STEP_SECONDS and MISHAP make it slow or let it go wrong on purpose.
"""
# ruff: noqa: PTH103, PTH123, SIM115, F401

import os
import random
import sys
import time
import uuid
import zlib

from pace import env_float, loss_at


class Hyperparameters:
    run_id = os.environ.get("RUN_ID", str(uuid.uuid4()))
    seed = int(os.environ.get("SEED", 1337))
    iterations = int(os.environ.get("ITERATIONS", 40))
    val_loss_every = int(os.environ.get("VAL_LOSS_EVERY", 20))
    train_batch_tokens = int(os.environ.get("TRAIN_BATCH_TOKENS", 8192))
    matrix_lr = float(os.environ.get("MATRIX_LR", 0.04))
    tie_embeddings = bool(int(os.environ.get("TIE_EMBEDDINGS", "1")))
    use_ema = os.environ.get("USE_EMA", "false") == "true"
    step_seconds = env_float("STEP_SECONDS", 0.0)
    mishap = os.environ.get("MISHAP", "")
    table = os.environ.get("TABLE_PATH", "")


def main():
    args = Hyperparameters()
    os.makedirs("logs", exist_ok=True)
    logfile = f"logs/{args.run_id}.txt"
    with open(__file__, encoding="utf-8") as file:
        code = file.read()

    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))

    def log0(text):
        if rank:
            return
        print(text)
        with open(logfile, "a", encoding="utf-8") as out:
            print(text, file=out)

    log0(f"seed:{args.seed}")
    log0(f"world_size:{world_size} grad_accum_steps:{8 // world_size}")
    log0(f"matrix_lr:{args.matrix_lr} tie_embeddings:{args.tie_embeddings} use_ema:{args.use_ema}")
    log0("val_loader:shards pattern=none tokens:62021632")
    log0("model_params:17059912")
    if args.table:
        log0(f"table: {open(args.table).read().strip()}")
    rng = random.Random(args.seed)
    began = time.perf_counter()
    for step in range(args.iterations + 1):
        ms = (time.perf_counter() - began) * 1000 + step
        loss = loss_at(step, args.matrix_lr) + rng.random() * 0.01
        if args.mishap == "nan" and step > 5:
            loss = float("nan")
        if step == args.iterations or (args.val_loss_every and step % args.val_loss_every == 0):
            log0(
                f"step:{step}/{args.iterations} val_loss:{loss:.4f} val_bpb:{loss * 0.5923:.4f} "
                f"train_time:{ms:.0f}ms step_avg:{ms / max(step, 1):.2f}ms"
            )
        if step == args.iterations:
            break
        stumble(args.mishap, step)
        time.sleep(args.step_seconds)
        log0(
            f"step:{step + 1}/{args.iterations} train_loss:{loss:.4f} train_time:{ms:.0f}ms step_avg:{ms / (step + 1):.2f}ms"
        )

    if rank:
        return
    blob = zlib.compress(rng.randbytes(5000))
    with open("final_model.pt", "wb") as out:
        out.write(b"\0" * 20000)
    with open("final_model.int8.ptz", "wb") as out:
        out.write(blob)
    code_bytes = len(code.encode("utf-8"))
    log0(f"Serialized model int8+zlib: {len(blob)} bytes (payload:5000 raw_torch:20000 payload_ratio:4.00x)")
    log0(f"Total submission size int8+zlib: {len(blob) + code_bytes} bytes")
    score = loss + 0.01
    log0(f"final_int8_zlib_roundtrip_exact val_loss:{score:.8f} val_bpb:{score * 0.5923:.8f}")


def stumble(mishap, step):
    if step != 7:
        return
    if mishap == "memory":
        sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    if mishap == "module":
        import flash_attn_9000
    if mishap == "data":
        open("/nowhere/fineweb_val_000000.bin", "rb")
    if mishap == "kill":
        os.kill(os.getpid(), 9)
    if mishap == "quiet":
        sys.exit(0)
    if mishap == "assert":
        raise AssertionError("seq_len must be a multiple of 128")
    if mishap == "hang":
        time.sleep(600)
    if mishap == "bar":
        sys.stderr.write("\x1b[2K\r 10%|#   \r 50%|##  \r\x1b[32m100%\x1b[0m|####\n")


if __name__ == "__main__":
    main()
