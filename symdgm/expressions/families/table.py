"""The families that have formulas, by name and parameters."""

from __future__ import annotations

from collections.abc import Collection

from sympy import Integer

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Quotient
from symdgm.expressions.families.counts import COUNTS
from symdgm.expressions.families.family import VALUE, Family
from symdgm.expressions.families.finite import FINITE
from symdgm.expressions.families.location_scale import LAPLACE, LOG_NORMAL, NORMAL
from symdgm.expressions.families.positive import POSITIVE
from symdgm.expressions.node import Node
from symdgm.expressions.scope import replace

FAMILIES: tuple[Family, ...] = (NORMAL, *FINITE, LOG_NORMAL, LAPLACE, *POSITIVE, *COUNTS)
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

    Under two parametrisations of a family whose log-density is linear in the value it is
    ``-E_q[log p] - H[q]``, in which ``E_q[log p]`` is p's log-density at q's mean.
    """
    if q.name != p.name:
        return None
    if tuple(q.symbols) == tuple(p.symbols):
        return q.kl
    if not q.linear or q.mean is None or q.entropy is None:
        return None
    renamed = {symbol: p.others[name] for name, symbol in p.symbols.items()}
    return Plus(Minus(replace(p.log_density, {VALUE: q.mean, **renamed})), Minus(q.entropy))
