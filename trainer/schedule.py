"""How learning rates and momentum go along a run.

Knows nothing of torch: the harness asks it about runs to come.
"""

from __future__ import annotations

from trainer.config import Config


def lr_scale(c: Config, step: int, elapsed_ms: float) -> float:
    """Return the warmdown factor before a step, never below MIN_LR.

    WARMDOWN_FRAC: the decay takes that share of the run, of its steps or of its time, whichever is further
    on. Otherwise, with a wall-clock cap, it starts when the time left is what WARMDOWN_ITERS steps take at
    the pace so far; without one, WARMDOWN_ITERS steps before the end.
    """
    if c.warmdown_frac > 0:
        # By steps or by time: whichever ends the run, the decay is over when it does.
        left = max(1.0 - share_done(c, step, elapsed_ms), 0.0)
        return max(min(left / c.warmdown_frac, 1.0), c.min_lr)
    return max(_warmdown(c, step, elapsed_ms), c.min_lr)


def share_done(c: Config, step: int, elapsed_ms: float) -> float:
    """Return how much of the training is done, of its steps or of its time, whichever is further on."""
    # The cap on the wall clock ends most runs; ITERATIONS is then only an upper bound.
    by_steps = step / c.iterations
    return max(by_steps, elapsed_ms / (1000.0 * c.step_seconds)) if c.step_seconds > 0 else by_steps


def _warmdown(c: Config, step: int, elapsed_ms: float) -> float:
    """The challenge's own decay."""
    if c.warmdown_iters <= 0:
        return 1.0
    if c.step_seconds <= 0:
        left = c.iterations - step
        return max(left / c.warmdown_iters, 0.0) if left <= c.warmdown_iters else 1.0
    # From the challenge's lr_mul: how long the warmdown will take is read off the pace so far, so it begins
    # later on a faster machine.
    step_ms = elapsed_ms / max(step, 1)
    warmdown_ms = c.warmdown_iters * step_ms
    left_ms = max(1000.0 * c.step_seconds - elapsed_ms, 0.0)
    return left_ms / max(warmdown_ms, 1e-9) if left_ms <= warmdown_ms else 1.0


def muon_momentum(c: Config, step: int) -> float:
    """Return Muon's momentum at a step: a linear ramp, then constant."""
    # modded-nanogpt's ramp from 0.85 to 0.95.
    share = min(step / c.muon_momentum_warmup_steps, 1.0) if c.muon_momentum_warmup_steps > 0 else 1.0
    return (1 - share) * c.muon_momentum_warmup_start + share * c.muon_momentum
