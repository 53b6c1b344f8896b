"""`python -m harness.run.doctor.probe_torch`: prints as JSON what torch is, and whether it computes.

Multiplies for real: an installation may import and still not compute.
"""

import json

import torch


def main() -> None:
    x = torch.ones(8, 8)
    gpus, cuda_error = [], ""
    if torch.cuda.is_available():
        gpus = [
            {"name": torch.cuda.get_device_name(i), "bytes": torch.cuda.mem_get_info(i)[0]}
            for i in range(torch.cuda.device_count())
        ]
        assert float((x.cuda() @ x.cuda()).sum()) == 512
    elif torch.version.cuda or torch.version.hip:
        try:
            torch.cuda.init()  # type: ignore[no-untyped-call]  # raises with the reason: no driver, or one that is too old
        except (RuntimeError, AssertionError) as error:
            cuda_error = " ".join(str(error).split())[:300]
    answer = {
        "version": torch.__version__,
        "works": float((x @ x).sum()) == 512,
        "cuda": torch.version.cuda,
        "hip": torch.version.hip,
        "cuda_error": cuda_error,
        "gpus": gpus,
        "mps": torch.backends.mps.is_available(),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
