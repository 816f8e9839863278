"""Families of counts: of successes, of failures before one, of events at a rate."""

from __future__ import annotations

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.families.family import (
    COUNT,
    COUNT_P,
    LOGITS,
    LOGITS_P,
    ONE,
    PROBS,
    PROBS_P,
    RATE,
    RATE_P,
    VALUE,
    Family,
    one_minus,
    xlogy,
)
from symdgm.expressions.families.finite import BERNOULLI, BERNOULLI_PROBS


def _binomial(single: Family, parameter: str) -> Family:
    """The number of successes, from the formulas of one trial."""
    assert single.kl is not None and single.mean is not None and single.variance is not None
    ways = Plus(
        call("lgamma", Plus(COUNT, ONE)),
        Minus(call("lgamma", Plus(VALUE, ONE))),
        Minus(call("lgamma", Plus(COUNT, Minus(VALUE), ONE))),
    )
    score = {
        "logits": Plus(Times(VALUE, LOGITS), Minus(Times(COUNT, call("softplus", LOGITS)))),
        "probs": Plus(xlogy(VALUE, PROBS), xlogy(Plus(COUNT, Minus(VALUE)), one_minus(PROBS))),
    }
    return Family(
        name="Binomial",
        symbols={"total_count": COUNT, **single.symbols},
        others={"total_count": COUNT_P, **single.others},
        log_density=Plus(*score[parameter].args, *ways.args),
        draw=None,
        entropy=None,
        mean=Times(COUNT, single.mean),
        variance=Times(COUNT, *single.variance.args),
        kl=Times(COUNT, single.kl),
        equal=("total_count",),
        scores=False,
    )


_LOG_SUCCESS, _LOG_FAILURE = Minus(call("softplus", Minus(LOGITS))), Minus(call("softplus", LOGITS))
_FAILURES = call("exp", Minus(LOGITS))
_FAILURES_PROBS = Quotient(one_minus(PROBS), PROBS)

GEOMETRIC = Family(
    name="Geometric",
    symbols={"logits": LOGITS},
    others={"logits": LOGITS_P},
    log_density=Plus(Times(VALUE, _LOG_FAILURE), _LOG_SUCCESS),
    draw=None,
    entropy=Plus(Times(_FAILURES, call("softplus", LOGITS)), call("softplus", Minus(LOGITS))),
    mean=_FAILURES,
    linear=True,
    kl=Plus(
        Times(_FAILURES, Plus(call("softplus", LOGITS_P), _LOG_FAILURE)),
        call("softplus", Minus(LOGITS_P)),
        _LOG_SUCCESS,
    ),
    scores=False,
)

GEOMETRIC_PROBS = Family(
    name="Geometric",
    symbols={"probs": PROBS},
    others={"probs": PROBS_P},
    log_density=Plus(xlogy(VALUE, one_minus(PROBS)), call("log", PROBS)),
    draw=None,
    entropy=Plus(Minus(xlogy(_FAILURES_PROBS, one_minus(PROBS))), Minus(call("log", PROBS))),
    mean=_FAILURES_PROBS,
    linear=True,
    kl=Plus(
        xlogy(_FAILURES_PROBS, one_minus(PROBS)),
        Minus(xlogy(_FAILURES_PROBS, one_minus(PROBS_P))),
        call("log", Quotient(PROBS, PROBS_P)),
    ),
    scores=False,
)

POISSON = Family(
    name="Poisson",
    symbols={"rate": RATE},
    others={"rate": RATE_P},
    log_density=Plus(xlogy(VALUE, RATE), Minus(RATE), Minus(call("lgamma", Plus(VALUE, ONE)))),
    draw=None,
    entropy=None,
    mean=RATE,
    variance=RATE,
    kl=Plus(xlogy(RATE, Quotient(RATE, RATE_P)), Minus(RATE), RATE_P),
    scores=False,
)

POISSON_LOG = Family(
    name="Poisson",
    symbols={"log_rate": LOGITS},
    others={"log_rate": LOGITS_P},
    log_density=Plus(
        Times(VALUE, LOGITS), Minus(call("exp", LOGITS)), Minus(call("lgamma", Plus(VALUE, ONE)))
    ),
    draw=None,
    entropy=None,
    mean=call("exp", LOGITS),
    variance=call("exp", LOGITS),
    kl=Plus(
        Times(call("exp", LOGITS), Plus(LOGITS, Minus(LOGITS_P))),
        Minus(call("exp", LOGITS)),
        call("exp", LOGITS_P),
    ),
    scores=False,
)

COUNTS = (
    _binomial(BERNOULLI, "logits"),
    _binomial(BERNOULLI_PROBS, "probs"),
    GEOMETRIC,
    GEOMETRIC_PROBS,
    POISSON,
    POISSON_LOG,
)
