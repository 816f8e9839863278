r"""The families' mathematics: log-densities, pathwise draws, entropies and divergences as formulas.

Every formula is elementwise and written in its stable form; the event (and, for the categorical families, the
classes) is summed outside. The parameters stand as names (`Family.symbols`), which the rewriting replaces by
those of the law at hand.

| family | parameters | log-density of an element |
| --- | --- | --- |
| Normal | ``loc`` μ, ``scale`` σ | −½((x−μ)/σ)² − log σ − ½ log 2π |
| Bernoulli | ``logits`` ℓ | x ℓ − softplus ℓ |
| Bernoulli | ``probs`` π | x log π + (1−x) log(1−π) |
| Categorical, OneHotCategorical | ``logits`` ℓ | Σ_k x_k log softmax(ℓ)_k |
| Categorical, OneHotCategorical | ``probs`` π | Σ_k x_k log(π_k/Σπ) |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sympy import Basic, Integer, Rational

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.names import Name
from symdgm.expressions.node import Node
from symdgm.expressions.scope import replace

HALF = Rational(1, 2)
VALUE = Name("x")
NOISE = Name("eps")
MU, SIGMA, LOGITS, PROBS = Name("mu"), Name("sigma"), Name("ell"), Name("pi")
MU_P, SIGMA_P, LOGITS_P, PROBS_P = Name("mu_0"), Name("sigma_0"), Name("ell_0"), Name("pi_0")
PI = Name("pi")
"""The number; `PROBS` prints alike, but stands in no formula with it."""
LOG_2PI = call("log", Times(Integer(2), PI))


@dataclass(frozen=True)
class Family:
    """A family with one set of parameters, as formulas of an element.

    Args:
        name: the family's name.
        symbols: parameter → the name that stands for it, in the canonical order.
        log_density: of `VALUE`, which is the indicator of a class for the categorical families;
            linear in it for finite ones.
        draw: a pathwise sample as a formula of `NOISE`, standard normal; None for a discrete family.
        entropy: the entropy of an element (or a class).
        discrete: whether the support is finite.
        mean: the mean of an element.
        others: names for the parameters of a second law of the family, in `kl`.
        kl: the divergence of the law from the second one, of an element (or a class).
    """

    name: str
    symbols: Mapping[str, Name]
    log_density: Node
    draw: Node | None
    entropy: Node
    mean: Basic
    discrete: bool = False
    others: Mapping[str, Name] = field(default_factory=dict)
    kl: Node | None = None


def _one_minus(value: Basic) -> Node:
    return Plus(Integer(1), Minus(value))


def _xlogy(x: Basic, y: Basic) -> Node:
    """``x log y``; where both are 0 it is 0, which the lowering takes care of."""
    return Times(x, call("log", y))


def _squared(value: Basic) -> Node:
    return Power(value, Integer(2))


_STANDARD = Quotient(Plus(VALUE, Minus(MU)), SIGMA)

NORMAL = Family(
    name="Normal",
    symbols={"loc": MU, "scale": SIGMA},
    others={"loc": MU_P, "scale": SIGMA_P},
    log_density=Plus(
        Minus(Times(HALF, _squared(_STANDARD))), Minus(call("log", SIGMA)), Minus(Times(HALF, LOG_2PI))
    ),
    draw=Plus(MU, Times(SIGMA, NOISE)),
    entropy=Plus(call("log", SIGMA), Times(HALF, LOG_2PI), HALF),
    mean=MU,
    kl=Plus(
        Times(
            HALF,
            Plus(
                _squared(Quotient(Plus(MU, Minus(MU_P)), SIGMA_P)),
                _squared(Quotient(SIGMA, SIGMA_P)),
                Minus(Integer(1)),
            ),
        ),
        Minus(call("log", Quotient(SIGMA, SIGMA_P))),
    ),
)

BERNOULLI = Family(
    name="Bernoulli",
    symbols={"logits": LOGITS},
    others={"logits": LOGITS_P},
    log_density=Plus(Times(VALUE, LOGITS), Minus(call("softplus", LOGITS))),
    draw=None,
    entropy=Plus(call("softplus", LOGITS), Minus(Times(LOGITS, call("sigmoid", LOGITS)))),
    mean=call("sigmoid", LOGITS),
    discrete=True,
    kl=Plus(
        Times(call("sigmoid", LOGITS), Plus(LOGITS, Minus(LOGITS_P))),
        Minus(call("softplus", LOGITS)),
        call("softplus", LOGITS_P),
    ),
)

BERNOULLI_PROBS = Family(
    name="Bernoulli",
    symbols={"probs": PROBS},
    others={"probs": PROBS_P},
    log_density=Plus(_xlogy(VALUE, PROBS), _xlogy(_one_minus(VALUE), _one_minus(PROBS))),
    draw=None,
    entropy=Plus(Minus(_xlogy(PROBS, PROBS)), Minus(_xlogy(_one_minus(PROBS), _one_minus(PROBS)))),
    mean=PROBS,
    discrete=True,
    kl=Plus(
        _xlogy(PROBS, PROBS),
        Minus(_xlogy(PROBS, PROBS_P)),
        _xlogy(_one_minus(PROBS), _one_minus(PROBS)),
        Minus(_xlogy(_one_minus(PROBS), _one_minus(PROBS_P))),
    ),
)

_SOFTMAX, _SOFTMAX_P = call("softmax", LOGITS), call("softmax", LOGITS_P)


def _categorical(name: str) -> tuple[Family, Family]:
    by_logits = Family(
        name=name,
        symbols={"logits": LOGITS},
        others={"logits": LOGITS_P},
        log_density=Times(VALUE, call("log", _SOFTMAX)),
        draw=None,
        entropy=Minus(Times(_SOFTMAX, call("log", _SOFTMAX))),
        mean=_SOFTMAX,
        discrete=True,
        kl=Times(_SOFTMAX, Plus(call("log", _SOFTMAX), Minus(call("log", _SOFTMAX_P)))),
    )
    by_probs = Family(
        name=name,
        symbols={"probs": PROBS},
        others={"probs": PROBS_P},
        log_density=_xlogy(VALUE, PROBS),
        draw=None,
        entropy=Minus(_xlogy(PROBS, PROBS)),
        mean=PROBS,
        discrete=True,
        kl=Plus(_xlogy(PROBS, PROBS), Minus(_xlogy(PROBS, PROBS_P))),
    )
    return by_logits, by_probs


FAMILIES: tuple[Family, ...] = (
    NORMAL,
    BERNOULLI,
    BERNOULLI_PROBS,
    *_categorical("Categorical"),
    *_categorical("OneHotCategorical"),
)
"""All families that have formulas."""


def family(name: str, parameters: tuple[str, ...]) -> Family | None:
    """The formulas of a family under one set of parameters, or None where there are none.

    Example:
        >>> family("Normal", ("loc", "scale")).mean
        mu
    """
    for entry in FAMILIES:
        if entry.name == name and tuple(entry.symbols) == parameters:
            return entry
    return None


CONVERSIONS: tuple[tuple[str, str, Node], ...] = (
    ("log_scale", "scale", call("exp", VALUE)),
    ("variance", "scale", call("sqrt", VALUE)),
    ("scale", "rate", Quotient(Integer(1), VALUE)),
)
"""A parameter, the canonical one that it stands in place of, and that one as a formula of `VALUE`."""


def conversion(parameters: Collection[str], canonical: Collection[str]) -> tuple[str, str, Node] | None:
    """The entry of `CONVERSIONS` that brings parameters to the canonical ones; None where none is needed.

    Example:
        >>> conversion(("loc", "variance"), ("loc", "scale"))
        ('variance', 'scale', sqrt(x))
    """
    for name, wanted, formula in CONVERSIONS:
        if name in parameters and name not in canonical and wanted in canonical:
            return name, wanted, formula
    return None


def kl_formula(q: Family, p: Family) -> Node | None:
    """The divergence of two laws of one family, of an element; p's parameters stand as `Family.others`.

    Under two parametrisations of a finite family it is ``-E_q[log p] - H[q]``, in which
    ``E_q[log p]`` is p's log-density at q's mean, since that is linear in the value.
    """
    if q.name != p.name:
        return None
    if tuple(q.symbols) == tuple(p.symbols):
        return q.kl
    if not q.discrete:
        return None
    renamed = {symbol: p.others[name] for name, symbol in p.symbols.items()}
    return Plus(Minus(replace(p.log_density, {VALUE: q.mean, **renamed})), Minus(q.entropy))
