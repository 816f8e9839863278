"""Families of finitely many states: the Bernoulli and the categorical ones."""

from __future__ import annotations

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Times
from symdgm.expressions.families.family import (
    LOGITS,
    LOGITS_P,
    PROBS,
    PROBS_P,
    VALUE,
    Family,
    one_minus,
    xlogy,
)

SIGMOID = call("sigmoid", LOGITS)

BERNOULLI = Family(
    name="Bernoulli",
    symbols={"logits": LOGITS},
    others={"logits": LOGITS_P},
    log_density=Plus(Times(VALUE, LOGITS), Minus(call("softplus", LOGITS))),
    draw=None,
    entropy=Plus(call("softplus", LOGITS), Minus(Times(LOGITS, SIGMOID))),
    mean=SIGMOID,
    variance=Times(SIGMOID, call("sigmoid", Minus(LOGITS))),
    discrete=True,
    linear=True,
    kl=Plus(
        Times(SIGMOID, Plus(LOGITS, Minus(LOGITS_P))),
        Minus(call("softplus", LOGITS)),
        call("softplus", LOGITS_P),
    ),
)

BERNOULLI_PROBS = Family(
    name="Bernoulli",
    symbols={"probs": PROBS},
    others={"probs": PROBS_P},
    log_density=Plus(xlogy(VALUE, PROBS), xlogy(one_minus(VALUE), one_minus(PROBS))),
    draw=None,
    entropy=Plus(Minus(xlogy(PROBS, PROBS)), Minus(xlogy(one_minus(PROBS), one_minus(PROBS)))),
    mean=PROBS,
    variance=Times(PROBS, one_minus(PROBS)),
    discrete=True,
    linear=True,
    kl=Plus(
        xlogy(PROBS, PROBS),
        Minus(xlogy(PROBS, PROBS_P)),
        xlogy(one_minus(PROBS), one_minus(PROBS)),
        Minus(xlogy(one_minus(PROBS), one_minus(PROBS_P))),
    ),
)

_SOFTMAX, _SOFTMAX_P = call("softmax", LOGITS), call("softmax", LOGITS_P)


def categorical(name: str) -> tuple[Family, Family]:
    """A family of classes, by logits and by probabilities."""
    by_logits = Family(
        name=name,
        symbols={"logits": LOGITS},
        others={"logits": LOGITS_P},
        log_density=Times(VALUE, call("log", _SOFTMAX)),
        draw=None,
        entropy=Minus(Times(_SOFTMAX, call("log", _SOFTMAX))),
        mean=_SOFTMAX,
        variance=Times(_SOFTMAX, one_minus(_SOFTMAX)),
        discrete=True,
        linear=True,
        kl=Times(_SOFTMAX, Plus(call("log", _SOFTMAX), Minus(call("log", _SOFTMAX_P)))),
    )
    by_probs = Family(
        name=name,
        symbols={"probs": PROBS},
        others={"probs": PROBS_P},
        log_density=xlogy(VALUE, PROBS),
        draw=None,
        entropy=Minus(xlogy(PROBS, PROBS)),
        mean=PROBS,
        variance=Times(PROBS, one_minus(PROBS)),
        discrete=True,
        linear=True,
        kl=Plus(xlogy(PROBS, PROBS), Minus(xlogy(PROBS, PROBS_P))),
    )
    return by_logits, by_probs


FINITE = (BERNOULLI, BERNOULLI_PROBS, *categorical("Categorical"), *categorical("OneHotCategorical"))
