"""What a critic maximises, and what stands for the divergence, as formulas of the critic's output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sympy import Basic, Integer, Rational

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.rewriting import Kind

Of = Callable[[Basic], Basic]
"""A formula of the critic's output T."""
HALF, ONE, TWO, FOUR = Rational(1, 2), Integer(1), Integer(2), Integer(4)


@dataclass(frozen=True)
class Part:
    """``E[of(T)]`` over the draws of one side, or its negative."""

    of: Of
    negative: bool = False


@dataclass(frozen=True)
class Sum:
    """``c (first + second) + constant``.

    Args:
        first: the part of the first law.
        second: that of the second law, if there is one.
        factor: c.
        constant: what is added.
    """

    first: Part
    second: Part | None
    factor: Basic = ONE
    constant: Basic | None = None


@dataclass(frozen=True)
class Form:
    """A divergence by a critic.

    Args:
        critic: what the critic maximises.
        main: what stands for the divergence.
        kind: what that is to the divergence, at any critic.
        why: the reason.
        reference: where to read about it.
    """

    critic: Sum
    main: Sum
    kind: Kind
    why: str
    reference: str


def _minus(of: Of) -> Part:
    return Part(of, negative=True)


def _same(t: Basic) -> Basic:
    return t


def _log_sigmoid(t: Basic) -> Basic:
    return call("log", call("sigmoid", t))


def _log_other(t: Basic) -> Basic:
    return call("log", call("sigmoid", Minus(t)))


def _square(t: Basic) -> Basic:
    return Power(t, TWO)


def _square_to_one(t: Basic) -> Basic:
    return Power(Plus(t, Minus(ONE)), TWO)


def _below(t: Basic) -> Basic:
    return call("max", Integer(0), Plus(ONE, Minus(t)))


def _above(t: Basic) -> Basic:
    return call("max", Integer(0), Plus(ONE, t))


def _exp(t: Basic) -> Basic:
    return call("exp", t)


def _exp_less(t: Basic) -> Basic:
    return call("exp", Plus(t, Minus(ONE)))


def _pearson(t: Basic) -> Basic:
    return Plus(Quotient(Power(t, TWO), FOUR), t)


def _tanh(t: Basic) -> Basic:
    return call("tanh", t)


LOGISTIC = Sum(Part(_log_sigmoid), Part(_log_other), HALF, call("log", TWO))
SURROGATE = "a surrogate whose gradient points where the divergence falls; its value is not the divergence"
BOUND = "no critic exceeds the divergence, and the best one reaches it"


def _dual(first: Of, second: Part, reference: str, factor: Basic = ONE) -> Form:
    both = Sum(Part(first), second, factor)
    return Form(both, both, Kind.LOWER_BOUND, BOUND, reference)


FORMS: dict[tuple[str, str], Form] = {
    ("JS", "saturating"): Form(
        LOGISTIC, LOGISTIC, Kind.LOWER_BOUND, BOUND, "Goodfellow et al. (2014), theorem 1"
    ),
    ("JS", "non-saturating"): Form(
        LOGISTIC,
        Sum(_minus(_log_other), _minus(_log_sigmoid), HALF),
        Kind.BIASED,
        SURROGATE,
        "Goodfellow et al. (2014), section 3",
    ),
    ("JS", "least-squares"): Form(
        Sum(_minus(_square_to_one), _minus(_square), HALF),
        Sum(Part(_square), Part(_square_to_one), HALF),
        Kind.BIASED,
        SURROGATE,
        "Mao et al. (2017), eq. 2",
    ),
    ("JS", "hinge"): Form(
        Sum(_minus(_below), _minus(_above)),
        Sum(Part(_same), _minus(_same)),
        Kind.BIASED,
        SURROGATE,
        "Miyato et al. (2018), eq. 16",
    ),
    ("KL", "ratio"): Form(
        LOGISTIC,
        Sum(Part(_same), None),
        Kind.BIASED,
        "the best critic is T = log p/q, whose mean under p is the divergence",
        "Kim and Mnih (2018), eq. 3",
    ),
    ("KL", "ratio of what is trained"): Form(
        LOGISTIC,
        Sum(Part(_same), _minus(_exp), ONE, ONE),
        Kind.LOWER_BOUND,
        "the best critic is T = log p/q; at any critic the value is a bound, whose gradient reaches p and q",
        "Nguyen et al. (2010), eq. 12",
    ),
    ("KL", "dual"): _dual(_same, _minus(_exp_less), "Nowozin et al. (2016), table 2"),
    ("W_1", "dual"): _dual(_same, _minus(_same), "Arjovsky et al. (2017), eq. 2"),
    ("chi2", "dual"): _dual(_same, _minus(_pearson), "Nowozin et al. (2016), table 2"),
    ("TV", "dual"): _dual(_tanh, _minus(_tanh), "Nowozin et al. (2016), table 2", HALF),
}
"""(divergence, loss) → its form; a bound on W holds for critics of slope 1."""


def scaled(factor: Basic, formula: Basic) -> Basic:
    """A formula with a factor before it."""
    return formula if factor == ONE else Times(factor, formula)
