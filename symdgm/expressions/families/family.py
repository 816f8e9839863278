"""What a family states about itself as formulas, and the names and small formulas that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sympy import Basic, Integer, Rational

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Times
from symdgm.expressions.names import Name
from symdgm.expressions.node import Node

ONE, TWO, HALF = Integer(1), Integer(2), Rational(1, 2)
VALUE = Name("x")
NOISE = Name("eps")
MU, SIGMA, LOGITS, PROBS = Name("mu"), Name("sigma"), Name("ell"), Name("pi")
MU_P, SIGMA_P, LOGITS_P, PROBS_P = Name("mu_0"), Name("sigma_0"), Name("ell_0"), Name("pi_0")
ALPHA, BETA, RATE, COUNT = Name("alpha"), Name("beta"), Name("lambda"), Name("n")
ALPHA_P, BETA_P, RATE_P, COUNT_P = Name("alpha_0"), Name("beta_0"), Name("lambda_0"), Name("n_0")
PI = Name("pi")
"""The number; `PROBS` prints alike, but stands in no formula with it."""
LOG_2PI = call("log", Times(TWO, PI))
LOG_VALUE = call("log", VALUE)


@dataclass(frozen=True, eq=False)
class Family:
    """A family with one set of parameters, as formulas of an element.

    Args:
        name: the family's name.
        symbols: parameter → the name that stands for it, in the canonical order.
        log_density: of `VALUE`, which is the indicator of a class for the categorical families.
        draw: a pathwise sample as a formula of `NOISE`, standard normal; None where another way is taken.
        entropy: the entropy of an element (or a class); None where it is no formula.
        mean: the mean of an element; None where it is no formula.
        discrete: whether the support is finite.
        others: names for the parameters of a second law of the family, in `kl`.
        kl: the divergence of the law from the second one, of an element (or a class).
        linear: whether the log-density is linear in the value, so that its expectation is its value at
            the mean.
        deviation: the standard deviation of an element, where it is a parameter.
        variance: the variance of an element, where it is another formula than the squared deviation.
        moments: statistic of `VALUE` → its mean.
        equal: parameters that two laws must have in common, as numbers, for `kl` to hold.
        scores: whether the formula computes log-densities; else torch or the distribution does.
    """

    name: str
    symbols: Mapping[str, Name]
    log_density: Node
    draw: Node | None
    entropy: Node | None
    mean: Basic | None
    discrete: bool = False
    others: Mapping[str, Name] = field(default_factory=dict)
    kl: Node | None = None
    linear: bool = False
    deviation: Basic | None = None
    variance: Basic | None = None
    moments: Mapping[Basic, Basic] = field(default_factory=dict)
    equal: tuple[str, ...] = ()
    scores: bool = True


def one_minus(value: Basic) -> Node:
    """``1 - a``."""
    return Plus(ONE, Minus(value))


def xlogy(x: Basic, y: Basic) -> Node:
    """``x log y``; where both are 0 it is 0, which the lowering takes care of."""
    return Times(x, call("log", y))


def squared(value: Basic) -> Node:
    """``a^2``."""
    return Power(value, TWO)


def gamma_gap(a: Basic, b: Basic) -> Node:
    """``f(b) - f(a) - (b - a) f'(a)`` of ``f(x) = log Gamma(x) - x log x + x``, which is small for large x.

    That of ``log Gamma`` itself is larger by ``b log(b/a) - (b - a)``.
    """
    return call("gamma_gap", a, b)


def row_sum(value: Basic) -> Node:
    """The sum over the classes, once for each row."""
    return call("row_sum", value)
