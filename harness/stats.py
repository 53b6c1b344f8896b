"""Means, spreads and what a difference is worth. Knows nothing of golf, records or files.

scipy is imported only when it is needed. How often these rules are wrong and how much they see is measured by
`python -m benchmarks.verdicts`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from harness.figures import share

LEVEL = 0.05  # of false verdicts
Z_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
FEWEST_PAIRS = 3  # two paired differences have one degree of freedom, which shows nothing
NO_SPREAD = 1e-9  # bpb: below, differences are equal but for rounding, and their spread shows nothing
FEWEST_GROUPS = 5  # of several values, and
FEWEST_FREEDOM = 10  # degrees of freedom in all, before a spread is pooled from them

Outcome = Literal["better", "worse", "equal", "within noise", "cannot tell"]
TestName = Literal["known spread", "moderated t", "paired t", "Welch's t"]


@dataclass(frozen=True)
class Spread:
    """What is known of one seed's standard deviation beside the samples themselves.

    freedom: the degrees of freedom that the figure is worth (d0 of Smyth 2004). source: whose it is, for
    sentences. known: one value against one takes the figure as exact, as a published noise figure.
    """

    std: float
    freedom: float
    source: str
    known: bool = False


@dataclass(frozen=True)
class Sample:
    """Scores of one configuration (lower is better), at full precision: one a seed.

    seeds: of the values, in their order; empty where they are not known. floor: the spread that was measured
    for this configuration; it stands in while there is one value. failed: seeds that have no score.
    """

    values: tuple[float, ...]
    seeds: tuple[int, ...] = ()
    floor: Spread | None = field(default=None, compare=False)
    failed: int = field(default=0, compare=False)

    @property
    def n(self) -> int:
        return len(self.values)

    @cached_property
    def mean(self) -> float:
        # The mean of equal values may round to a neighbour, and that would look like a spread.
        return self.values[0] if len(set(self.values)) == 1 else math.fsum(self.values) / self.n

    @cached_property
    def std(self) -> float | None:
        """Sample standard deviation (n - 1), or None for a single value."""
        if self.n < 2:
            return None
        return math.sqrt(math.fsum((value - self.mean) ** 2 for value in self.values) / (self.n - 1))


@dataclass(frozen=True)
class TestResult:
    """One test of a difference. error: its standard error; freedom: None for the normal distribution.

    std: of one seed, or of one paired difference, as the test took it. n: values on both sides, or pairs.
    prior: the spread of others that the two sides' own were shrunk toward.
    """

    __test__ = False  # pytest collects classes of this name

    name: TestName
    delta: float
    error: float
    freedom: float | None
    std: float
    n: tuple[int, int]
    prior: Spread | None = None

    @property
    def t(self) -> float:
        if self.error == 0:
            return math.copysign(math.inf, self.delta) if self.delta else 0.0
        return self.delta / self.error

    @cached_property
    def p(self) -> float:
        """Two-sided."""
        if self.freedom is None:
            return math.erfc(abs(self.t) / math.sqrt(2))
        return _tail(self.freedom, self.t)


@dataclass(frozen=True)
class Difference:
    """`mean(a) - mean(b)` with what can be said of it.

    n: distinct seeds of each side. basis: one sentence on the test that counts. test: that test, or None
    where nothing can be tested. looks: how many tests were looked at; the p-value of the one that counts is
    multiplied by it (Bonferroni). others: further tests, to be shown. bound: differences up to it are of no
    interest. exact: both sides are the same training, seed by seed, so that no luck is in the difference.
    lowest_of: b was chosen as the lowest of so many; by `shrinkage` it is then expected to look too low.
    """

    delta: float
    n: tuple[int, int]
    basis: str
    test: TestResult | None = None
    looks: int = 1
    others: tuple[TestResult, ...] = ()
    bound: float | None = None
    exact: bool = False
    lowest_of: int = 0
    shrinkage: float = 0.0

    @property
    def p_value(self) -> float | None:
        """Two-sided, after the corrections for `looks` and for a `b` that was chosen; None without a test.

        To be worse than the lowest of many, `a` must be worse than what that one is expected to be.
        """
        if self.test is None:
            return None
        test = self.test
        if self.lowest_of and test.delta > 0:
            test = replace(test, delta=max(0.0, test.delta - self.shrinkage))
        return min(1.0, self.looks * test.p)

    @property
    def outcome(self) -> Outcome:
        if self.exact:
            return "equal" if self.delta == 0 else _direction(self.delta)
        if self.p_value is None:
            return "cannot tell"
        return "within noise" if self.p_value >= LEVEL else _direction(self.delta)

    @property
    def error(self) -> float | None:
        """Standard error of `delta`, or None when no spread is known."""
        return None if self.test is None else self.test.error

    @property
    def freedom(self) -> float | None:
        return None if self.test is None else self.test.freedom

    @property
    def t(self) -> float | None:
        return None if self.test is None else self.test.t

    @property
    def std(self) -> float | None:
        """The spread of one seed that the test took, or that of one paired difference."""
        return None if self.test is None else self.test.std

    @cached_property
    def threshold(self) -> float | None:
        """The smallest difference of this sign that these seeds could have told from luck, that of a `b` that
        was chosen with it; absolute; 0 if exact, None without a test."""
        if self._reach is None:
            return None
        return self._reach + self.shrinkage if self.delta > 0 else self._reach

    @cached_property
    def _reach(self) -> float | None:
        """How far luck alone reaches, beside that of the choice of `b`."""
        if self.exact:
            return 0.0
        if self.test is None:
            return None
        return _reach(self.test.freedom, LEVEL / self.looks) * self.test.error

    @property
    def p_better(self) -> float | None:
        """The one-sided p-value against "a is no lower than b"; None where p_value is."""
        if self.p_value is None or self.t is None:
            return None
        return self.p_value / 2 if self.t < 0 else 1 - self.p_value / 2

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of `delta`, or None when no spread is known.

        Below it allows for a `b` that was chosen and looks too low, so that it holds 0 if and only if the
        difference is within noise.
        """
        if self._reach is None:
            return None
        return self.delta - self._reach - self.shrinkage, self.delta + self._reach

    @property
    def equivalent(self) -> bool:
        """Whether the whole interval lies inside the bound of no interest: only then "it does nothing"."""
        if self.exact and self.delta == 0:
            return True
        if self.interval is None or self.bound is None:
            return False
        return -self.bound <= self.interval[0] and self.interval[1] <= self.bound

    def more_seeds(self, size: float) -> int | None:
        """How many more seeds each side needs until their threshold is no more than `size`.

        So a difference that comes out as large can then be told from luck. Assumes that the spread stays as
        it is, and that the test that counts now gains the degrees of freedom of the new seeds. None where no
        spread is known; 0 where it can be told now.
        """
        if self.threshold is None or self.test is None or size <= 0:
            return None
        if self.threshold <= size:
            return 0
        least = 2 * (Z_95 * self.test.std / size) ** 2 if self.test.name != "paired t" else 0
        more = max(1, math.floor(least) - max(self.n))  # no fewer by far, if luck were normal
        while self._threshold_with(more) > size:
            more += 1
        return more

    def _threshold_with(self, more: int) -> float:
        """The threshold with `more` seeds on each side, or more pairs."""
        test = self.test
        assert test is not None
        a, b = (n + more for n in test.n)
        share = 1 / a if test.name == "paired t" else 1 / a + 1 / b
        if test.prior is not None:
            freedom = min(_shrink((test.std**2, n - 1.0), test.prior)[1] for n in (a, b))
        else:
            freedom = a - 1 if test.name == "paired t" else a + b - 2
        luck_of_choice = self.shrinkage * math.sqrt(self.n[1] / b) if self.delta > 0 else 0.0
        return _reach(freedom, LEVEL / self.looks) * test.std * math.sqrt(share) + luck_of_choice


def subtract(a: Sample, b: Sample, spread: Spread | None, bound: float | None = None) -> Difference:
    """Compare two samples of a lower-is-better score; never calls noise a change.

    spread: what other configurations or the course show of one seed's spread, or None when nobody measured
    it. Each side's variance is shrunk toward it (the moderated t of Smyth 2004, doi:10.2202/1544-6115.1027);
    without it Welch's t is left. The degrees of freedom are Hsu's, those of the side with fewer, which keeps
    the level when the spreads are unequal.

    Where both sides played the same seeds, three or more, the paired t is looked at as well; the smaller
    p-value counts, doubled.
    """
    delta, counts = a.mean - b.mean, (a.n, b.n)
    moderated, welch, paired = _moderate(a, b, spread), _welch_test(a, b), _pair(a, b)
    unpaired = moderated or welch
    if unpaired is None:
        return Difference(delta, counts, "one seed, and no noise figure is known", bound=bound)
    tests = [unpaired]
    if paired is not None and set(a.seeds) == set(b.seeds) and paired.n[0] >= FEWEST_PAIRS:
        tests.append(paired)
    test = min(tests, key=lambda one: one.p)
    others = tuple(one for one in (moderated, welch, paired) if one is not None and one is not test)
    basis = _basis(test, a, b, spread)
    if len(tests) > 1:
        basis += "; paired and unpaired were both looked at, the smaller p counts, doubled"
    return Difference(delta, counts, basis, test, len(tests), others, bound)


def exact_difference(a: Sample, b: Sample, bound: float | None = None) -> Difference:
    """Compare two samples whose trainings are the same seed by seed: what differs came after training."""
    basis = f"the same weights, {share(a.n, a.n + a.failed, 'seed')}: no luck is in the difference"
    return Difference(a.mean - b.mean, (a.n, b.n), basis, bound=bound, exact=True)


def pool_std(groups: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return the pooled standard deviation of groups and all their degrees of freedom; None without any.

    groups: standard deviation and degrees of freedom of each.
    """
    total = math.fsum(freedom for _, freedom in groups)
    if not total:
        return None
    return math.sqrt(math.fsum(freedom * std**2 for std, freedom in groups) / total), total


def pool_spread(groups: Sequence[tuple[float, float]], source: str) -> Spread | None:
    """Pool spreads of several configurations; None while there are too few to pool.

    groups: standard deviation and degrees of freedom of each. The freedom of the result is the prior's d0
    (Smyth 2004): the more the configurations differ in their spreads, the less the pooled figure is worth
    to one of them. It is never more than all degrees of freedom together. The figure itself is the pooled
    variance, which is never below the location that Smyth takes: with unequal spreads that keeps the level.
    """
    groups = [(std, freedom) for std, freedom in groups if std > 0 and freedom > 0]
    pooled = pool_std(groups)
    if pooled is None or len(groups) < FEWEST_GROUPS or pooled[1] < FEWEST_FREEDOM:
        return None
    std, total = pooled
    return Spread(std, _prior_freedom(groups, std**2, total), source)


def _prior_freedom(groups: Sequence[tuple[float, float]], variance: float, most: float) -> float:
    """Return the most likely d0 from 1 to `most` where variances follow s0^2 F(f, d0).

    Smyth (2004) takes it from the variance of the log variances, which hardly tells anything with two seeds a
    configuration: there the lowest variances, near 0, decide. Maximum likelihood follows the highest.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import gammaln

    freedoms = np.array([freedom for _, freedom in groups])
    sums = freedoms * np.array([std**2 for std, _ in groups]) / variance

    def misfit(log_freedom: float) -> float:
        d0 = math.exp(log_freedom)
        location, last = 1.0, 0.0  # s0^2 at its own most likely value, by expectation and maximisation
        while abs(location - last) > 1e-4 * location:
            last, location = location, float(1 / np.mean((freedoms + d0) / (d0 * location + sums)))
        scaled = sums / (d0 * location)
        terms = gammaln((freedoms + d0) / 2) - gammaln(d0 / 2) - freedoms / 2 * math.log(d0 * location)
        return float(np.sum((freedoms + d0) / 2 * np.log1p(scaled) - terms))

    inner = minimize_scalar(misfit, bounds=(0.0, math.log(most)), method="bounded", options={"xatol": 0.02})
    return most if misfit(math.log(most)) <= inner.fun else math.exp(inner.x)


@dataclass(frozen=True)
class OneSided:
    """A test of "a is lower than b by more than a margin". p: of the data if that were not so."""

    p: float
    t: float
    freedom: float
    basis: str


def lower_by(a: Sample, b: Sample, margin: float, noise_std: float | None) -> OneSided | str:
    """Test one-sidedly whether mean(a) < mean(b) - margin; a sentence says why it cannot be tested.

    Welch's t (Welch 1947), which submission policies name. A single value of b takes the course's noise as
    its spread, as if that were known exactly; a itself must be several runs with a spread of their own.
    """
    if a.n < 2:
        return "one seed shows no spread"
    if a.std == 0 and b.n > 1 and b.std == 0:
        return "identical scores on both sides: were these different seeds?"
    if a.std == 0:
        return f"{a.n} identical scores show no spread: were these different seeds?"
    if b.n > 1:
        error, freedom = _welch(a, b)
        basis = f"Welch's t over {a.n} and {b.n} seeds"
    elif noise_std is None:
        return "its reference is one value, and the course has no noise figure"
    else:
        var_a, var_b = (a.std or 0.0) ** 2 / a.n, noise_std**2
        error, freedom = math.sqrt(var_a + var_b), (var_a + var_b) ** 2 / (var_a**2 / (a.n - 1))
        basis = f"Welch's t over {a.n} seeds and one published value with the course's noise {noise_std:.2g}"
    t = (a.mean - b.mean + margin) / error
    both = _tail(freedom, t)
    return OneSided(both / 2 if t < 0 else 1 - both / 2, t, freedom, basis)


# The tests ------------------------------------------------------------------------------------------


def _moderate(a: Sample, b: Sample, spread: Spread | None) -> TestResult | None:
    """Test with variances shrunk toward `spread`; None where a side has no spread at all."""
    if spread is None and None in (_own(a), _own(b)):
        return None
    if spread is None and a.n > 1 and b.n > 1:
        return None  # that is Welch's t
    # A floor was measured for its configuration, so that others have no say.
    (var_a, freedom_a), (var_b, freedom_b) = (
        _shrink(_own(side), None if side.n == 1 and side.floor else spread) for side in (a, b)
    )
    share_a, share_b = var_a / a.n, var_b / b.n
    error = math.sqrt(share_a + share_b)
    if error == 0:
        return None
    std = error / math.sqrt(1 / a.n + 1 / b.n)
    counts = (a.n, b.n)
    if spread is not None and spread.known and _own(a) is None and _own(b) is None:
        return TestResult("known spread", a.mean - b.mean, error, None, std, counts, spread)
    satterthwaite = (share_a + share_b) ** 2 / (share_a**2 / freedom_a + share_b**2 / freedom_b)
    freedom = min(freedom_a, freedom_b, satterthwaite)
    return TestResult("moderated t", a.mean - b.mean, error, freedom, std, counts, spread)


def _own(sample: Sample) -> tuple[float, float] | None:
    """The variance of one seed that a sample shows itself, or its floor, with its degrees of freedom."""
    if sample.std is not None:
        return sample.std**2, float(sample.n - 1)
    return (sample.floor.std**2, sample.floor.freedom) if sample.floor else None


def _shrink(own: tuple[float, float] | None, spread: Spread | None) -> tuple[float, float]:
    """Return a seed's variance and its degrees of freedom, shrunk toward `spread` (Smyth 2004).

    own: the variance that a side shows itself, with its degrees of freedom. One that the spread hardly allows
    is shrunk less, so that a configuration may be wilder than the others (the robust form of Phipson et al.
    2016, doi:10.1214/16-AOAS920): the spread's freedom is scaled by the probability of a variance as large,
    over `_doubt`.
    """
    if spread is None:
        return own or (0.0, 0.0)
    if own is None:
        return spread.std**2, spread.freedom
    from scipy.special import fdtrc

    variance, own_freedom = own
    excess = float(fdtrc(own_freedom, spread.freedom, variance / spread.std**2))
    prior = spread.freedom * min(1.0, excess / _doubt(own_freedom))
    freedom = prior + own_freedom
    return (prior * spread.std**2 + own_freedom * variance) / freedom, freedom


def _doubt(freedom: float) -> float:
    """Return the probability of a variance as large, below which the spread of others counts for less.

    Two seeds know too little of their own spread to give up that of others easily: any rule that keeps 5 %
    for them when one side alone spreads 3 times as far sees fewer than half of all differences of 3 sigma.
    From five seeds on their own spread is good enough to be believed at any excess.
    """
    return min(1.0, (freedom / 4) ** 2)


def _welch_test(a: Sample, b: Sample) -> TestResult | None:
    if a.n < 2 or b.n < 2 or not (a.std or b.std):
        return None
    error, freedom = _welch(a, b)
    std = error / math.sqrt(1 / a.n + 1 / b.n)
    return TestResult("Welch's t", a.mean - b.mean, error, freedom, std, (a.n, b.n))


def _pair(a: Sample, b: Sample) -> TestResult | None:
    """Test the differences of shared seeds; None with fewer than two, or when they have no spread."""
    theirs = dict(zip(b.seeds, b.values, strict=False))
    differences = Sample(
        tuple(x - theirs[seed] for seed, x in zip(a.seeds, a.values, strict=False) if seed in theirs)
    )
    if differences.std is None or differences.std < NO_SPREAD:
        return None
    error = differences.std / math.sqrt(differences.n)
    pairs = (differences.n, differences.n)
    return TestResult("paired t", differences.mean, error, differences.n - 1, differences.std, pairs)


def _basis(test: TestResult, a: Sample, b: Sample, spread: Spread | None) -> str:
    """Say in one sentence what the test rests on: for one seed, whose noise it assumes."""
    sides = " against ".join(share(one.n, one.n + one.failed, "seed") for one in (a, b))
    some = f" ({sides})" if a.failed or b.failed else ""
    if test.name == "paired t":
        return f"paired t over {test.n[0]} shared seeds{some}, whose differences spread by {test.std:.2g} bpb"
    if test.name == "Welch's t":
        return f"Welch's t over {a.n} and {b.n} seeds{some}"
    floors = dict.fromkeys(side.floor.source for side in (a, b) if side.n == 1 and side.floor)
    if test.name == "known spread" and spread:
        return f"{sides}, seed noise {test.std:.2g} bpb by {spread.source}"
    whose = [f"a single seed's by {floor}" for floor in floors]
    if spread and not all(side.n == 1 and side.floor for side in (a, b)):
        whose.append(f"shrunk toward {spread.source}")
    return ", ".join([f"moderated t, {sides}, spread {test.std:.2g} bpb", *whose])


def _direction(delta: float) -> Outcome:
    return "better" if delta < 0 else "worse"


def _welch(a: Sample, b: Sample) -> tuple[float, float]:
    """Return the standard error of the difference and its degrees of freedom (Welch 1947)."""
    var_a, var_b = (a.std or 0.0) ** 2 / a.n, (b.std or 0.0) ** 2 / b.n
    error = math.sqrt(var_a + var_b)
    return error, (var_a + var_b) ** 2 / (var_a**2 / (a.n - 1) + var_b**2 / (b.n - 1))


def _tail(freedom: float, t: float) -> float:
    """Return P(|T| > |t|) of Student's t."""
    from scipy.special import stdtr  # 0.2 s; scipy.stats would take several times that

    return float(2 * stdtr(freedom, -abs(t)))


def _reach(freedom: float | None, level: float) -> float:
    """Return the t that |T| passes with probability `level`; the normal distribution's without freedom."""
    if freedom is None and level == LEVEL:
        return Z_95
    from scipy.special import ndtri, stdtrit

    return float(ndtri(1 - level / 2) if freedom is None else stdtrit(freedom, 1 - level / 2))
