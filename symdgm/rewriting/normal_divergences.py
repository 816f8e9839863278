"""Closed forms of other divergences than KL between normal laws."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from sympy import Basic, Integer

from symdgm.expressions.applications import call
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.expectations import DivergenceBetween
from symdgm.expressions.families import HALF, MU, MU_P, SIGMA, SIGMA_P
from symdgm.expressions.families.family import squared
from symdgm.expressions.known import known
from symdgm.expressions.laws import Law
from symdgm.expressions.node import Node
from symdgm.rewriting.divergences import kl, own, summed
from symdgm.rewriting.facts import Facts

ONE, TWO = Integer(1), Integer(2)
APART, WIDER = Plus(MU, Minus(MU_P)), Plus(SIGMA, Minus(SIGMA_P))
TRANSPORT = Plus(squared(APART), squared(WIDER))
"""The squared Wasserstein distance of an element."""
OVERLAP = Plus(
    Quotient(squared(APART), Times(Integer(4), Plus(squared(SIGMA), squared(SIGMA_P)))),
    Times(HALF, call("log1p", Quotient(squared(WIDER), Times(TWO, SIGMA, SIGMA_P)))),
)
"""The Bhattacharyya distance of an element, ``-log int sqrt(q p)``."""


def closed_normal(node: Basic, facts: Facts) -> Basic | None:
    """The closed form of a divergence between normal laws, of independent elements or with covariances."""
    if not isinstance(node, DivergenceBetween) or node.kind not in FORMS:
        return None
    q, p = facts.law(node.args[1]), facts.law(node.args[2])
    if q is None or p is None or q.values != p.values or q.kind != "density" or p.kind != "density":
        return None
    order = node.args[3] if node.kind == "Renyi" else ONE
    if node.kind == "Renyi" and order == ONE:
        return kl(q.node, p.node)
    if all(law.family is not None and law.family.name == "Normal" for law in (q, p)):
        return FORMS[node.kind](_Elements(q, p, facts), order)
    if q.family_name == p.family_name == "MultivariateNormal" and facts.knows("KL", q, p):
        return FORMS[node.kind](_Covariances(q, p), order)
    return None


class _Normals(ABC):
    """What the divergences between two normal laws are made of."""

    @abstractmethod
    def transport(self) -> Basic:
        """The squared Wasserstein distance."""

    @abstractmethod
    def overlap(self) -> Basic:
        """The Bhattacharyya distance."""

    @abstractmethod
    def renyi(self, order: Basic) -> Basic:
        """The Rényi divergence of an order that is not the number 1."""


@final
@dataclass(frozen=True)
class _Elements(_Normals):
    """Normals that are independent in each element."""

    q: Law
    p: Law
    facts: Facts

    def transport(self) -> Basic:
        return self._summed(TRANSPORT)

    def overlap(self) -> Basic:
        return self._summed(OVERLAP)

    def renyi(self, order: Basic) -> Basic:
        named = [self.facts.parameters(law, specialise=False) for law in (self.q, self.p)]
        return call("sum", call("normal_renyi", *(n[k] for n in named for k in ("loc", "scale")), order))

    def _summed(self, formula: Node) -> Basic:
        assert self.q.family is not None and self.p.family is not None
        others = self.facts.parameters(self.p, specialise=True)
        theirs = {self.p.family.others[k]: v for k, v in others.items()}
        return summed(formula, *own(self.q, self.q.family, self.facts), theirs)


@final
@dataclass(frozen=True)
class _Covariances(_Normals):
    """Normals with covariance matrices."""

    q: Law
    p: Law

    def transport(self) -> Basic:
        return call("sum", known("W_2", self.q.node, self.p.node))

    def overlap(self) -> Basic:
        return Times(HALF, self.renyi(HALF))

    def renyi(self, order: Basic) -> Basic:
        return call("sum", known("Renyi", self.q.node, self.p.node, order))


FORMS: dict[str, Callable[[_Normals, Basic], Basic]] = {
    "W_2": lambda laws, _: call("root", laws.transport()),
    "Bhattacharyya": lambda laws, _: laws.overlap(),
    "Hellinger": lambda laws, _: call("root", Minus(call("expm1", Minus(laws.overlap())))),
    "Renyi": lambda laws, order: laws.renyi(order),
    "chi2": lambda laws, _: call("expm1", laws.renyi(TWO)),
}
"""Divergence → its closed form: W_2 is the distance itself, Hellinger ``sqrt(1 - int sqrt(q p))``."""
