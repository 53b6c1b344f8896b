"""Training batches ready before they are asked for: made on a thread and sent to the GPU from pinned memory.

On a CPU they are made when they are asked for: there the thread would take from the cores that train.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from trainer.config import Config
from trainer.data import TokenStream, next_batch
from trainer.setup import Workers, check_ids

# One being sent and one being made; more would only hold memory.
AHEAD = 2  # micro-batches waiting while one is trained on


class Batches:
    """One rank's micro-batches of a stream in order, as inputs and targets (rows, TRAIN_SEQ_LEN) on a device.

    position: tokens of the stream that were handed out, whatever lies ready; a checkpoint keeps it. ahead:
    how many micro-batches to make in advance; 0 makes each when it is asked for.
    """

    def __init__(
        self, stream: TokenStream, c: Config, workers: Workers, device: torch.device, ahead: int | None = None
    ) -> None:
        self.position = stream.position
        self._stream, self._config, self._workers, self._device = stream, c, workers, device
        # Only from pinned memory can a copy to the GPU run beside its work.
        self._pinned = device.type == "cuda"
        self._ahead = (AHEAD if self._pinned else 0) if ahead is None else ahead
        self._ready: deque[Future[tuple[Tensor, Tensor, int]]] = deque()
        self._thread = ThreadPoolExecutor(1, "batches") if self._ahead else None

    def next(self) -> tuple[Tensor, Tensor]:
        """Return the next micro-batch. Raises DataError for a token that has no row in the embedding."""
        if self._thread is None:
            x, y, self.position = self._make()
        else:
            # One thread, so micro-batches come in the order of the stream.
            while len(self._ready) <= self._ahead:
                self._ready.append(self._thread.submit(self._make))
            x, y, self.position = self._ready.popleft().result()
        # Not waited for: the GPU's own queue puts the copy before the step that needs it.
        return x.to(self._device, non_blocking=self._pinned), y.to(self._device, non_blocking=self._pinned)

    def close(self) -> None:
        """End the thread. What lies ready is dropped."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _make(self) -> tuple[Tensor, Tensor, int]:
        c, workers = self._config, self._workers
        tokens = c.micro_batch_tokens(workers.world_size)
        ids = next_batch(self._stream, tokens, c.train_seq_len, workers.rank, workers.world_size)
        # Here, batch by batch: reading 20 GB before a run of ten minutes would take longer than the run.
        check_ids(ids[0], c.vocab_size, "a training shard")
        x, y = (torch.from_numpy(part) for part in ids)
        if self._pinned:
            x, y = x.pin_memory(), y.pin_memory()
        return x, y, self._stream.position
