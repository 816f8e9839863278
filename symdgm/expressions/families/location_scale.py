"""Families by a location and a scale: the normal, its exponential, and Laplace's."""

from __future__ import annotations

from sympy import Integer

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.families.family import (
    HALF,
    LOG_2PI,
    LOG_VALUE,
    MU,
    MU_P,
    NOISE,
    ONE,
    SIGMA,
    SIGMA_P,
    TWO,
    VALUE,
    Family,
    squared,
)
from symdgm.expressions.node import Node

SYMBOLS = {"loc": MU, "scale": SIGMA}
OTHERS = {"loc": MU_P, "scale": SIGMA_P}


def _normal_log_density(value: Node) -> Node:
    standard = Quotient(Plus(value, Minus(MU)), SIGMA)
    return Plus(Minus(Times(HALF, squared(standard))), Minus(call("log", SIGMA)), Minus(Times(HALF, LOG_2PI)))


NORMAL_KL = Plus(
    Times(
        HALF,
        Plus(
            squared(Quotient(Plus(MU, Minus(MU_P)), SIGMA_P)),
            squared(Quotient(SIGMA, SIGMA_P)),
            Minus(Integer(1)),
        ),
    ),
    Minus(call("log", Quotient(SIGMA, SIGMA_P))),
)
NORMAL_ENTROPY = Plus(call("log", SIGMA), Times(HALF, LOG_2PI), HALF)

NORMAL = Family(
    name="Normal",
    symbols=SYMBOLS,
    others=OTHERS,
    log_density=_normal_log_density(VALUE),
    draw=Plus(MU, Times(SIGMA, NOISE)),
    entropy=NORMAL_ENTROPY,
    mean=MU,
    deviation=SIGMA,
    kl=NORMAL_KL,
    moments={call("exp", VALUE): call("exp", Plus(MU, Times(HALF, squared(SIGMA))))},
)

LOG_NORMAL = Family(
    name="LogNormal",
    symbols=SYMBOLS,
    others=OTHERS,
    log_density=Plus(_normal_log_density(LOG_VALUE), Minus(LOG_VALUE)),
    draw=None,
    entropy=Plus(MU, *NORMAL_ENTROPY.args),
    mean=call("exp", Plus(MU, Times(HALF, squared(SIGMA)))),
    kl=NORMAL_KL,
    moments={LOG_VALUE: MU, Quotient(ONE, VALUE): call("exp", Plus(Minus(MU), Times(HALF, squared(SIGMA))))},
    scores=False,
)

_APART = call("abs", Plus(MU, Minus(MU_P)))

LAPLACE = Family(
    name="Laplace",
    symbols=SYMBOLS,
    others=OTHERS,
    log_density=Plus(
        Minus(Quotient(call("abs", Plus(VALUE, Minus(MU))), SIGMA)),
        Minus(call("log", SIGMA)),
        Minus(call("log", TWO)),
    ),
    draw=None,
    entropy=Plus(ONE, call("log", SIGMA), call("log", TWO)),
    mean=MU,
    variance=Times(TWO, squared(SIGMA)),
    kl=Plus(
        Quotient(_APART, SIGMA_P),
        Times(Quotient(SIGMA, SIGMA_P), call("exp", Minus(Quotient(_APART, SIGMA)))),
        Minus(ONE),
        Minus(call("log", Quotient(SIGMA, SIGMA_P))),
    ),
    scores=False,
)
