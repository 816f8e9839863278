"""Families of positive numbers and of probabilities, whose statistics are logarithms."""

from __future__ import annotations

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.families.family import (
    ALPHA,
    ALPHA_P,
    BETA,
    BETA_P,
    LOG_VALUE,
    ONE,
    RATE,
    RATE_P,
    VALUE,
    Family,
    gamma_gap,
    one_minus,
    row_sum,
    squared,
)
from symdgm.expressions.node import Node


def _log(value: Node) -> Node:
    return call("log", value)


def _lgamma(value: Node) -> Node:
    return call("lgamma", value)


def _digamma(value: Node) -> Node:
    return call("digamma", value)


EXPONENTIAL = Family(
    name="Exponential",
    symbols={"rate": RATE},
    others={"rate": RATE_P},
    log_density=Plus(_log(RATE), Minus(Times(RATE, VALUE))),
    draw=None,
    entropy=Plus(ONE, Minus(_log(RATE))),
    mean=Quotient(ONE, RATE),
    deviation=Quotient(ONE, RATE),
    linear=True,
    kl=Plus(Quotient(RATE_P, RATE), Minus(ONE), Minus(_log(Quotient(RATE_P, RATE)))),
    moments={LOG_VALUE: Plus(call("digamma", ONE), Minus(_log(RATE)))},
    scores=False,
)

_GAMMA = {"concentration": ALPHA, "rate": BETA}
_GAMMA_P = {"concentration": ALPHA_P, "rate": BETA_P}
_MEANS = Quotient(Times(ALPHA, BETA_P), Times(ALPHA_P, BETA))
"""The ratio of the two means."""
_GAMMA_KL = Plus(gamma_gap(ALPHA, ALPHA_P), Times(ALPHA_P, Plus(_MEANS, Minus(ONE), Minus(_log(_MEANS)))))

GAMMA = Family(
    name="Gamma",
    symbols=_GAMMA,
    others=_GAMMA_P,
    log_density=Plus(
        Times(_log(BETA), ALPHA),
        Times(Plus(ALPHA, Minus(ONE)), LOG_VALUE),
        Minus(Times(BETA, VALUE)),
        Minus(_lgamma(ALPHA)),
    ),
    draw=None,
    entropy=Plus(ALPHA, Minus(_log(BETA)), _lgamma(ALPHA), Times(Plus(ONE, Minus(ALPHA)), _digamma(ALPHA))),
    mean=Quotient(ALPHA, BETA),
    variance=Quotient(ALPHA, squared(BETA)),
    kl=_GAMMA_KL,
    moments={LOG_VALUE: Plus(_digamma(ALPHA), Minus(_log(BETA)))},
    scores=False,
)

INVERSE_GAMMA = Family(
    name="InverseGamma",
    symbols=_GAMMA,
    others=_GAMMA_P,
    log_density=Plus(
        Times(_log(BETA), ALPHA),
        Minus(Times(Plus(ALPHA, ONE), LOG_VALUE)),
        Minus(Quotient(BETA, VALUE)),
        Minus(_lgamma(ALPHA)),
    ),
    draw=None,
    entropy=Plus(ALPHA, _log(BETA), _lgamma(ALPHA), Minus(Times(Plus(ONE, ALPHA), _digamma(ALPHA)))),
    mean=None,
    kl=_GAMMA_KL,
    moments={
        LOG_VALUE: Plus(_log(BETA), Minus(_digamma(ALPHA))),
        Quotient(ONE, VALUE): Quotient(ALPHA, BETA),
    },
    scores=False,
)

_BOTH, _BOTH_P = Plus(ALPHA, BETA), Plus(ALPHA_P, BETA_P)
_LOG_BETA = (_lgamma(ALPHA), _lgamma(BETA), Minus(_lgamma(_BOTH)))

BETA_FAMILY = Family(
    name="Beta",
    symbols={"concentration1": ALPHA, "concentration0": BETA},
    others={"concentration1": ALPHA_P, "concentration0": BETA_P},
    log_density=Plus(
        Times(Plus(ALPHA, Minus(ONE)), LOG_VALUE),
        Times(Plus(BETA, Minus(ONE)), _log(one_minus(VALUE))),
        *(Minus(term) for term in _LOG_BETA),
    ),
    draw=None,
    entropy=Plus(
        *_LOG_BETA,
        Minus(Times(Plus(ALPHA, Minus(ONE)), Plus(_digamma(ALPHA), Minus(_digamma(_BOTH))))),
        Minus(Times(Plus(BETA, Minus(ONE)), Plus(_digamma(BETA), Minus(_digamma(_BOTH))))),
    ),
    mean=Quotient(ALPHA, _BOTH),
    variance=Quotient(Times(ALPHA, BETA), Times(squared(_BOTH), Plus(_BOTH, ONE))),
    kl=Plus(
        gamma_gap(ALPHA, ALPHA_P),
        gamma_gap(BETA, BETA_P),
        Minus(gamma_gap(_BOTH, _BOTH_P)),
        Times(_log(Quotient(Times(ALPHA_P, _BOTH), Times(ALPHA, _BOTH_P))), ALPHA_P),
        Times(_log(Quotient(Times(BETA_P, _BOTH), Times(BETA, _BOTH_P))), BETA_P),
    ),
    moments={
        LOG_VALUE: Plus(_digamma(ALPHA), Minus(_digamma(_BOTH))),
        _log(one_minus(VALUE)): Plus(_digamma(BETA), Minus(_digamma(_BOTH))),
    },
    scores=False,
)

_ROW, _ROW_P = row_sum(ALPHA), row_sum(ALPHA_P)

DIRICHLET = Family(
    name="Dirichlet",
    symbols={"concentration": ALPHA},
    others={"concentration": ALPHA_P},
    log_density=Plus(
        row_sum(Times(Plus(ALPHA, Minus(ONE)), LOG_VALUE)),
        Minus(row_sum(_lgamma(ALPHA))),
        _lgamma(_ROW),
    ),
    draw=None,
    entropy=None,
    mean=None,
    kl=Plus(
        row_sum(Plus(gamma_gap(ALPHA, ALPHA_P), Times(_log(Quotient(ALPHA_P, ALPHA)), ALPHA_P))),
        Minus(gamma_gap(_ROW, _ROW_P)),
        Minus(Times(_log(Quotient(_ROW_P, _ROW)), _ROW_P)),
    ),
    scores=False,
)

POSITIVE = (EXPONENTIAL, GAMMA, INVERSE_GAMMA, BETA_FAMILY, DIRICHLET)
