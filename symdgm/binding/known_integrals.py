"""Which integrals the distributions know, or torch knows of them, where there is no formula."""

from __future__ import annotations

from symdgm.distributions import Distribution, Family
from symdgm.distributions.supports import Counts, Interval, Support
from symdgm.errors import SupportError

WITHOUT: dict[str, tuple[str, ...]] = {
    "mean": ("Categorical", "VonMises", "Cauchy", "RelaxedBernoulli", "RelaxedOneHotCategorical"),
    "variance": ("Categorical", "VonMises", "Cauchy", "RelaxedBernoulli", "RelaxedOneHotCategorical"),
    "entropy": ("NegativeBinomial", "Delta", "RelaxedBernoulli", "RelaxedOneHotCategorical"),
}
"""The families without an integral; that of a class, or of an angle, is no mean of the number."""

KL_BY_TORCH = frozenset(
    {
        ("MultivariateNormal", "MultivariateNormal"), ("Uniform", "Uniform"), ("Cauchy", "Cauchy"),
        ("Uniform", "Normal"), ("Uniform", "Beta"), ("Uniform", "Gamma"), ("Uniform", "Exponential"),
        ("Beta", "Uniform"), ("Beta", "Normal"), ("Beta", "Gamma"), ("Beta", "Exponential"),
        ("Gamma", "Normal"), ("Gamma", "Exponential"), ("Exponential", "Normal"), ("Exponential", "Gamma"),
        ("Normal", "Laplace"), ("Laplace", "Normal"),
    }
)  # fmt: skip
"""The pairs of families of which `torch.distributions.kl_divergence` is used."""

INFINITE = ("KL", "Renyi", "chi2")
"""The divergences that are infinite where the second law cannot be what the first one is."""


def knows(what: str, *laws: Distribution) -> bool:
    """Whether an integral is known by a method; ``what`` is an entry of `WITHOUT`, or ``KL``.

    Example:
        >>> from symdgm.distributions import Cauchy, Gamma
        >>> law = Gamma("q(z)", concentration=2.0, rate=1.0)
        >>> knows("mean", law), knows("KL", law, law), knows("mean", Cauchy("q(z)", loc=0.0, scale=1.0))
        (True, False, False)
    """
    families = [law.family for law in laws if isinstance(law, Family)]
    if len(families) < len(laws):
        return False
    if what == "KL":
        return tuple(families) in KL_BY_TORCH
    return families[0] not in WITHOUT[what]


def is_linear(law: Distribution) -> bool:
    """Whether a log-density is linear in the value, by a family without formulas."""
    return isinstance(law, Family) and law.family == "ContinuousBernoulli"


def refuse_infinite(kind: str, q: Distribution, p: Distribution) -> None:
    """Refuse a divergence that is infinite, or of a density and a probability.

    Raises:
        SupportError: both laws are named, with their supports.
    """
    if not (isinstance(q, Family) and isinstance(p, Family)):
        return
    supports = f"{q.described} lies on {q.support.text}, {p.described} on {p.support.text}"
    if q.discrete != p.discrete:
        raise SupportError(
            f"one of two laws has a density, the other probabilities of single values: {supports}",
            hint="compare two continuous laws, or two discrete ones",
        )
    if kind in INFINITE and _exceeds(q.support, p.support):
        raise SupportError(
            f"the divergence is infinite, since its first law takes values that the second one cannot: "
            f"{supports}",
            hint="swap the two laws, or choose a second one whose support holds that of the first",
        )


def _exceeds(q: Support, p: Support) -> bool:
    """Whether a support surely is no part of another one."""
    if isinstance(q, Interval) and isinstance(p, Interval):
        return _beyond(q.low, p.low, -1) or _beyond(q.high, p.high, 1)
    return isinstance(q, Counts) and isinstance(p, Counts) and q.most is None and p.most is not None


def _beyond(ours: float | str, theirs: float | str, side: int) -> bool:
    """Whether an end of an interval lies outside of another one; an end by a parameter is finite."""
    if isinstance(ours, str):
        return False
    if isinstance(theirs, str):
        return ours in (float("inf"), float("-inf"))
    return side * ours > side * theirs
