"""How often verdicts are wrong, and how much they see, on seasons whose true effects are known.

    python -m benchmarks.verdicts [WORD ...] [--pairs N] [--seasons N]

Every figure comes from the functions that the product itself uses (`harness.stats`, `harness.multiplicity`).
The unit is sigma, the standard deviation of one seed. "false" is how often two configurations of
equal means are told apart, "power" how often a difference of so many sigma is, both in percent with their
Monte-Carlo standard errors. WORD: only tables whose title holds it. `docs/verdicts.md` explains the rules and
has the tables.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import numpy as np
from scipy.stats import false_discovery_control

from harness.multiplicity import adjust, against_lowest
from harness.stats import (
    LEVEL,
    Difference,
    Sample,
    Spread,
    lower_by,
    pool_spread,
    subtract,
)

FIGURE = Spread(1.0, 26, "the course's figure", known=True)
SEEDS = ((1, 1), (1, 2), (1, 3), (2, 2), (3, 3), (4, 4), (5, 5), (5, 2))
HOLES = 50
CLAIMS = ("better", "worse")


@dataclass(frozen=True)
class Kind:
    """A kind of season: how many holes of how many seeds, every second one with `wide` sigma."""

    holes: int
    seeds: int
    wide: float = 1.0

    @property
    def spreads(self) -> np.ndarray:
        """Of each hole, in sigma."""
        return np.where(np.arange(self.holes) % 2, 1.0, self.wide)

    def __str__(self) -> str:
        text = f"{self.holes} holes of {self.seeds}"
        return text if self.wide == 1 else f"{text}, half of them {self.wide:g} sigma"


@dataclass(frozen=True)
class Played:
    """Scores of a simulated season without any effect: one row a hole. spread: as the product pools it."""

    scores: np.ndarray
    spread: Spread | None


class Laboratory:
    """Simulated seasons and pairs, the same ones at every start."""

    def __init__(self, pairs: int, seasons: int):
        self.pairs, self.seasons = pairs, seasons
        self.rng = np.random.default_rng(2004)
        self._played: dict[Kind, list[Played]] = {}

    def play(self, kind: Kind) -> list[Played]:
        """Return the seasons of a kind."""
        if kind not in self._played:
            self._played[kind] = [self._season(kind) for _ in range(self.seasons)]
        return self._played[kind]

    def _season(self, kind: Kind) -> Played:
        scores = self.rng.normal(0, 1, (kind.holes, kind.seeds)) * kind.spreads[:, None]
        groups = []
        if kind.seeds > 1:
            groups = [(float(std), kind.seeds - 1.0) for std in scores.std(axis=1, ddof=1)]
        return Played(scores, pool_spread(groups, "the season") or FIGURE)

    def sample(self, n: int, std: float = 1.0, mean: float = 0.0) -> Sample:
        return sample(self.rng.normal(mean, std, n))


def sample(values: Iterable[float], seeds: Sequence[int] = (), shift: float = 0.0) -> Sample:
    return Sample(tuple(float(value) + shift for value in values), tuple(seeds))


def claims(difference: Difference) -> bool:
    return difference.outcome in CLAIMS


def percent(shares: Sequence[float]) -> str:
    error = float(np.std(shares, ddof=1)) / math.sqrt(len(shares)) if len(shares) > 1 else math.nan
    return f"{100 * float(np.mean(shares)):5.1f} ±{100 * error:.1f}"


Row = tuple[str, ...]
Table = tuple[str, Row, Callable[[Laboratory], Iterator[Row]]]


# Two configurations ---------------------------------------------------------------------------------


def figures(lab: Laboratory) -> Iterator[Row]:
    """Both sides spread alike, by what is known of the spread besides the two."""
    pooled = [played.spread for played in lab.play(Kind(13, 3))]
    ways: dict[str, Sequence[Spread | None]] = {
        "season": pooled,
        "course's figure": [FIGURE],
        "Welch (second figure)": [None],
    }
    for n in SEEDS:
        for way, spreads in ways.items():
            if None in spreads and 1 in n:
                continue
            rates = (_verdicts(lab, n, (1.0, 1.0), delta, spreads) for delta in (0.0, 2.0, 3.0))
            yield f"{n[0]} v {n[1]}", way, *rates


def _verdicts(
    lab: Laboratory,
    n: tuple[int, int],
    spreads: tuple[float, float],
    delta: float,
    known: Sequence[Spread | None],
) -> str:
    """How often two configurations that differ by `delta` are told apart."""
    return percent(
        [
            float(claims(subtract(lab.sample(n[0], spreads[0], delta), lab.sample(n[1], spreads[1]), spread)))
            for spread in islice(cycle(known), lab.pairs)
        ]
    )


def floors(lab: Laboratory) -> Iterator[Row]:
    """One seed a side whose lineage has a floor of five seeds, in a season that spreads otherwise."""
    for wide in (1.0, 2.0, 3.0):

        def pair(delta: float, wide: float = wide) -> bool:
            std = float(np.std(lab.rng.normal(0, wide, 5), ddof=1))
            floor = Spread(std, 4, "a floor")
            a, b = (replace(lab.sample(1, wide, mean), floor=floor) for mean in (delta * wide, 0.0))
            return claims(subtract(a, b, FIGURE))

        shares = [[float(pair(delta)) for _ in range(lab.pairs)] for delta in (0.0, 3.0)]
        yield f"1 v 1, both {wide:g} sigma", *map(percent, shares)


def unequal_seasons(lab: Laboratory) -> Iterator[Row]:
    """Half of the holes spread further, and the season shows it. Single seeds are judged by its figure."""
    for wide in (1.0, 2.0, 3.0):
        for holes, seeds in ((50, 2), (50, 3), (12, 2), (12, 3), (6, 3), (6, 5)):
            kind = Kind(holes, seeds, wide)
            rates: dict[str, list[float]] = {"one": [], "both": [], "any": [], "single": [], "power": []}
            for played in lab.play(kind):
                samples = [sample(row) for row in played.scores]
                one, both, other = [], [], []
                for at in range(0, holes - 3, 4):
                    a, b, c, d = samples[at : at + 4]  # a and c are the wide ones
                    one += [claims(subtract(a, b, played.spread)), claims(subtract(c, d, played.spread))]
                    both.append(claims(subtract(a, c, played.spread)))
                    other.append(claims(subtract(b, d, played.spread)))
                    lower = sample(played.scores[at + 1], shift=3.0)
                    rates["power"].append(float(claims(subtract(lower, d, played.spread))))
                rates["one"].append(float(np.mean(one)))
                rates["both"].append(float(np.mean(both)))
                rates["any"].append(float(np.mean(one) / 2 + np.mean(both) / 4 + np.mean(other) / 4))
                singles = [
                    claims(subtract(lab.sample(1, x), lab.sample(1, y), played.spread))
                    for x in (1, wide)
                    for y in (1, wide)
                ]
                rates["single"].append(float(np.mean(singles)))
            order = ("one", "both", "any", "single", "power")
            yield str(kind), f"{seeds} v {seeds}", *(percent(rates[name]) for name in order)


def one_wide(lab: Laboratory) -> Iterator[Row]:
    """All others spread by sigma; one side alone spreads further, and nothing says so but its own seeds."""
    pooled = [played.spread for played in lab.play(Kind(13, 3))]
    for n in ((1, 1), (1, 3), (3, 1), (2, 2), (2, 5), (5, 2), (3, 3), (4, 4), (5, 5)):
        cells: list[str] = []
        for wide in (2.0, 3.0):
            cells.append(_verdicts(lab, n, (wide, 1.0), 0.0, pooled))
            cells.append("-" if 1 in n else _verdicts(lab, n, (wide, 1.0), 0.0, [None]))
        yield f"{n[0]} v {n[1]}, the first wide", *cells


def best_rule(lab: Laboratory) -> Iterator[Row]:
    """The power of the best rule there is, by the lemma of Neyman and Pearson, for two seeds a side and a
    known sigma: it may make so many false verdicts when either side alone spreads 3 times as far."""
    count = 20 * lab.pairs

    def draw(wide: tuple[float, float], delta: float) -> tuple[np.ndarray, ...]:
        """The difference of means, and what each side shows of its own spread."""
        error = math.hypot(*wide) / math.sqrt(2)
        return tuple(
            lab.rng.normal(mean, std, count) for mean, std in ((delta, error), (0, wide[0]), (0, wide[1]))
        )

    def log_density(data: tuple[np.ndarray, ...], wide: tuple[float, float], delta: float) -> np.ndarray:
        stds = (math.hypot(*wide) / math.sqrt(2), *wide)
        signs = [-(((data[0] - sign * delta) / stds[0]) ** 2) / 2 for sign in (1, -1)]
        density: np.ndarray = np.logaddexp(*signs) - math.log(2 * stds[0])
        for x, std in zip(data[1:], wide, strict=True):
            density = density - (x / std) ** 2 / 2 - math.log(std)
        return density

    def ratio(data: tuple[np.ndarray, ...]) -> np.ndarray:
        null = np.logaddexp(log_density(data, (3, 1), 0), log_density(data, (1, 3), 0)) - math.log(2)
        logs: np.ndarray = log_density(data, (1, 1), 3) - null
        return logs

    null, real = ratio(draw((3, 1), 0)), ratio(draw((1, 1), 3))  # both wide sides are mirror images
    for level in (0.05, 0.10, 0.15, 0.20):
        seen = real > np.quantile(null, 1 - level)
        yield "2 v 2, one side 3 sigma", f"{100 * level:.0f}", percent(seen.astype(float).tolist())


def paired(lab: Laboratory) -> Iterator[Row]:
    """Shared seeds, whose scores are correlated: paired and unpaired are looked at, the smaller p doubled."""
    pool = lab.play(Kind(13, 3))
    for n in (3, 4, 5):
        for correlation in (0.0, 0.41, 0.9):
            cells = []
            for delta in (0.0, 1.0, 3.0):
                shares = []
                for at in range(lab.pairs):
                    seed = lab.rng.normal(0, math.sqrt(correlation), n)
                    own = lab.rng.normal(0, math.sqrt(1 - correlation), (2, n))
                    a, b = (sample(seed + own[side], range(n), shift=delta * (1 - side)) for side in (0, 1))
                    shares.append(float(claims(subtract(a, b, pool[at % len(pool)].spread))))
                cells.append(percent(shares))
            yield f"{n} v {n}, correlation {correlation:g}", *cells


# A chosen reference, policies, seasons --------------------------------------------------------------


def lowest(lab: Laboratory) -> Iterator[Row]:
    """A new configuration, as good as all others, against the lowest of N."""
    for seeds in (1, 2):
        for count in (5, 20, 49):
            cells = []
            for corrected in (False, True):
                for delta in (0.0, 5.0):
                    if not corrected and delta:
                        continue
                    shares = []
                    for _ in range(lab.pairs):
                        scores = lab.rng.normal(0, 1, (count, seeds))
                        best = sample(scores[scores.mean(axis=1).argmin()])
                        difference = subtract(lab.sample(seeds, mean=delta), best, FIGURE)
                        if corrected:
                            difference = against_lowest(difference, count)
                        shares.append(float(difference.outcome == "worse"))
                    cells.append(percent(shares))
            yield f"{seeds} v {seeds}, lowest of {count}", *cells


def policies(lab: Laboratory) -> Iterator[Row]:
    """The one-sided test that submission policies name, at their p < 0.01 and at 0.05. The margin is met
    exactly in the columns of false verdicts, and passed by 3 sigma in the last."""
    margin = 2.0
    for n, wide in (((3, 3), 1.0), ((5, 5), 1.0), ((3, 1), 1.0), ((3, 3), 3.0), ((3, 1), 3.0)):

        def p(beyond: float, n: tuple[int, int] = n, wide: float = wide) -> float:
            a, b = lab.sample(n[0], wide, -margin - beyond), lab.sample(n[1])
            test = lower_by(a, b, margin, 1.0)
            return 1.0 if isinstance(test, str) else test.p

        null = [p(0.0) for _ in range(lab.pairs)]
        real = [p(3.0) for _ in range(lab.pairs)]
        cells = (percent([float(one < level) for one in null]) for level in (0.01, LEVEL))
        yield f"{n[0]} v {n[1]}, ours {wide:g} sigma", *cells, percent([float(one < 0.01) for one in real])


def seasons(lab: Laboratory) -> Iterator[Row]:
    """Stories of 50 holes, told against par, the hole before, or the best before. Claims in twenty seasons
    without a correction, after the plain one of Benjamini and Hochberg, and after ours; then how many
    seasons have one, and, where a fifth of the holes gain 5 sigma, how many claims are false and how many
    gains are found."""
    for against in ("par", "hole before", "best before"):
        for seeds in (1, 2, 3):
            raw, plain, kept, shares, found = [], [], [], [], []
            for played in lab.play(Kind(HOLES, seeds)):
                stories = _stories(played, against, np.zeros(HOLES))
                raw.append(sum(p <= LEVEL for p in stories))
                plain.append(sum(p <= LEVEL for p in false_discovery_control(stories)))
                kept.append(sum(p <= LEVEL for p in adjust(stories)))
                effects = np.zeros(HOLES)
                effects[1::5] = -5.0  # a fifth of the ideas gain
                survive = [p <= LEVEL for p in adjust(_stories(played, "par", effects))]
                true = [bool(effects[at]) for at in range(1, HOLES)]
                false = sum(one and not real for one, real in zip(survive, true, strict=True))
                shares.append(false / max(1, sum(survive)))
                found.append(sum(one and real for one, real in zip(survive, true, strict=True)) / sum(true))
            cells = (*map(_per_twenty, (raw, plain, kept)), percent([float(n > 0) for n in kept]))
            effects_cells = (percent(shares), percent(found)) if against == "par" else ("-", "-")
            yield f"{HOLES} holes of {seeds}, against {against}", *cells, *effects_cells


def _stories(played: Played, against: str, effects: np.ndarray) -> list[float]:
    """The p-value of each hole after the first, which sets par."""
    samples = [sample(row, shift=float(effect)) for row, effect in zip(played.scores, effects, strict=True)]
    p_values, best = [], samples[0]
    for at in range(1, len(samples)):
        reference = {"par": samples[0], "hole before": samples[at - 1], "best before": best}[against]
        difference = subtract(samples[at], reference, played.spread)
        if against == "best before":  # as the season does with a parent that is the lowest so far
            difference = against_lowest(difference, at)
        p_values.append(1.0 if difference.p_value is None else difference.p_value)
        best = min(best, samples[at], key=lambda one: one.mean)
    return p_values


def _per_twenty(counts: Sequence[int]) -> str:
    error = 20 * float(np.std(counts, ddof=1)) / math.sqrt(len(counts)) if len(counts) > 1 else math.nan
    return f"{20 * float(np.mean(counts)):.2f} ±{error:.2f}"


def sequential(lab: Laboratory) -> Iterator[Row]:
    """Five seeds are planned. A verdict after each, stopping at the first "better", or one at the end."""
    for delta in (0.0, -2.0):
        early, end = [], []
        for _ in range(lab.pairs):
            a, b = lab.rng.normal(delta, 1, 5), lab.sample(5)
            looks = [subtract(sample(a[: n + 1]), b, FIGURE).outcome for n in range(5)]
            early.append(float("better" in looks))
            end.append(float(looks[-1] == "better"))
        yield f"a difference of {delta:+g} sigma", percent(early), percent(end)


def equivalence(lab: Laboratory) -> Iterator[Row]:
    """The whole interval must lie inside the bound, 1.3 sigma as FineWeb's: false when the difference is as
    large as the bound, true when there is none."""
    bound = 1.3
    for n in (1, 2, 3, 5, 10, 20):
        cells = []
        for delta in (bound, 0.0):
            shares = [
                float(subtract(lab.sample(n, mean=delta), lab.sample(n), FIGURE, bound).equivalent)
                for _ in range(lab.pairs)
            ]
            cells.append(percent(shares))
        yield f"{n} v {n}", *cells


TABLES: tuple[Table, ...] = (
    ("equal spread", ("seeds", "spread by", "false", "power at 2", "power at 3"), figures),
    ("a floor of five seeds", ("seeds", "false", "power at 3"), floors),
    (
        "half of the holes spread further",
        ("season", "seeds", "one wide", "both wide", "any two", "1 v 1, any", "power at 3"),
        unequal_seasons,
    ),
    (
        "one configuration alone spreads further",
        ("seeds", "2 sigma", "Welch", "3 sigma", "Welch"),
        one_wide,
    ),
    ("the best of all rules", ("seeds", "false", "power at 3"), best_rule),
    ("shared seeds", ("seeds", "false", "power at 1", "power at 3"), paired),
    ("against the lowest", ("reference", "uncorrected", "worse", "power at 5"), lowest),
    ("submission policies", ("seeds", "false at 0.01", "false at 0.05", "power at 3"), policies),
    (
        "many holes",
        ("season", "raw in 20", "plain in 20", "ours in 20", "seasons", "false share", "power at 5"),
        seasons,
    ),
    ("stopping early", ("true", "stop at the first better", "after five"), sequential),
    ("does nothing", ("seeds", "false", "true"), equivalence),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="WORD", help="only tables whose title holds it")
    parser.add_argument("--pairs", type=int, default=10_000, help="simulated pairs a cell")
    parser.add_argument("--seasons", type=int, default=400, help="simulated seasons of a kind")
    args = parser.parse_args()
    lab = Laboratory(args.pairs, args.seasons)
    for title, head, rows in TABLES:
        if args.words and not any(word in title for word in args.words):
            continue
        print(f"\n{title} (percent unless it says otherwise)")
        widths = [34] + [max(12, len(name)) for name in head[1:]]
        print("  ".join(f"{name:{width}}" for name, width in zip(head, widths, strict=True)).rstrip())
        for row in rows(lab):
            cells = zip(row, widths, strict=True)
            print("  ".join(f"{cell:{width}}" for cell, width in cells).rstrip(), flush=True)


if __name__ == "__main__":
    main()
