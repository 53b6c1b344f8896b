"""A sliding-window score: every token but the first window's has at least length - stride of context.

Side by side, the first tokens of each window are guessed from almost nothing, which says little of the model.
The strided perplexity of the Hugging Face documentation ("Perplexity of fixed-length models") is the same
thing.
"""

from __future__ import annotations

from trainer.config import Config
from trainer.hooks import Hooks
from trainer.scoring import keep_artifact_score, score_validation
from trainer.state import Run


class _SlidingWindow(Hooks):
    def extra_scores(self, run: Run) -> None:
        c = self.c
        how = f"stride:{c.eval_stride} eval_seq_len:{c.eval_length} "
        scored = score_validation(run, stride=c.eval_stride)
        keep_artifact_score(run, "sliding_window", "final_sliding_window", scored, how)


def hooks(c: Config) -> Hooks:
    return _SlidingWindow(c)
