"""Expectations of what is linear in statistics whose means are known."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Basic, Integer

from symdgm.expressions.applications import Apply, Call, Density, Inner, Norm, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.expectations import Entropy, Expect
from symdgm.expressions.families import VALUE
from symdgm.expressions.folding import fold
from symdgm.expressions.known import known
from symdgm.expressions.laws import Law
from symdgm.expressions.scope import replace
from symdgm.rewriting.binders import movable, outside, reads, unnested
from symdgm.rewriting.divergences import at_mean, closed_entropy, closed_kl, kl
from symdgm.rewriting.facts import Facts

ONE, TWO = Integer(1), Integer(2)


def known_moments(node: Basic, facts: Facts) -> Basic | None:
    """``E_q[f(z)]`` where f is linear in ``z``, ``z^2``, ``log p(z)`` and such, whose means are known.

    Any binder may be taken inmost whose variable no later binder depends on.
    """
    if not isinstance(node, Expect):
        return None
    binders, body = unnested(node)
    for i in reversed(range(len(binders))):
        law = movable(binders, i, facts)
        drawn = binders[i].variables or (law.values if law else ())
        if law is not None and law.kind == "density" and len(drawn) == 1 and not facts.is_drawn(drawn):
            value = _Moments(law, drawn[0], facts).of(body)
            if value is not None:
                return outside(value, (*binders[:i], *binders[i + 1 :]), facts)
    return None


@dataclass(frozen=True)
class _Moments:
    """The means of functions of one variable under its law."""

    law: Law
    variable: Basic
    facts: Facts

    def of(self, node: Basic) -> Basic | None:
        """The mean of an expression, or None where it is not known."""
        if not self._depends(node):
            return node
        if node == self.variable:
            return self._mean()
        statistic = self._statistic(node)
        if statistic is not None:
            return statistic
        rules = {
            Plus: self._of_each, Minus: self._of_each, Times: self._of_product, Quotient: self._of_quotient,
            Power: self._of_power, Inner: self._of_inner, Call: self._of_call,
        }  # fmt: skip
        rule = rules.get(type(node))
        return rule(node) if rule else None

    def _depends(self, node: Basic) -> bool:
        return self.variable in reads(node, self.facts)

    def _statistic(self, node: Basic) -> Basic | None:
        """The mean of a statistic of the family, such as ``log z``."""
        family = self.law.family
        if family is None or not family.moments:
            return None
        formula = family.moments.get(replace(node, {self.variable: VALUE}))
        return None if formula is None else self._formula(formula)

    def _formula(self, formula: Basic) -> Basic:
        """A formula of the family at the names of its parameters, so that it has the shape of the event."""
        assert self.law.family is not None
        named = self.facts.parameters(self.law, specialise=False)
        return replace(formula, {self.law.family.symbols[k]: v for k, v in named.items()})

    def _mean(self) -> Basic | None:
        family = self.law.family
        if family is not None and family.mean is not None and family.name != "Categorical":
            return self._formula(family.mean)
        return known("mean", self.law.node) if self.facts.knows("mean", self.law) else None

    def _of_each(self, node: Basic) -> Basic | None:
        parts = [self.of(a) for a in node.args]
        return None if None in parts else node.func(*parts)

    def _of_product(self, node: Basic) -> Basic | None:
        moving = [f for f in node.args if self._depends(f)]
        if len(moving) == 1:
            mean = self.of(moving[0])
            return None if mean is None else Times(*(mean if f is moving[0] else f for f in node.args))
        if len(moving) == 2:
            second = self._second(*moving)
            rest = [f for f in node.args if not self._depends(f)]
            return Times(*rest, second) if second is not None and rest else second
        return None

    def _of_quotient(self, node: Basic) -> Basic | None:
        above, below = node.args
        if not self._depends(below):
            mean = self.of(above)
            return None if mean is None else Quotient(mean, below)
        inverse = None if self._depends(above) else self._statistic(Quotient(ONE, below))
        return None if inverse is None else Times(above, inverse)

    def _of_power(self, node: Basic) -> Basic | None:
        base, exponent = node.args
        if exponent != TWO:
            return None
        if isinstance(base, Norm) and base.args[1] == TWO:
            second = self._second(base.args[0], base.args[0])
            return None if second is None else call("sum", second)
        return self._second(base, base)

    def _of_inner(self, node: Basic) -> Basic | None:
        left, right = node.args
        if self._depends(left) and self._depends(right):
            second = self._second(left, right)
            return None if second is None else call("sum", second)
        parts = [self.of(a) for a in node.args]
        return None if None in parts else Inner(*parts)

    def _second(self, a: Basic, b: Basic) -> Basic | None:
        """``E[a b]`` of two elementwise functions that are affine in the variable: means, and covariance."""
        means, family = (self.of(a), self.of(b)), self.law.family
        slopes = (self._slope(a, ONE), self._slope(b, ONE))
        if None in means or None in slopes:
            return None
        if family is not None and family.deviation is not None:
            deviation = self._formula(family.deviation)
            spread = [self._slope(f, deviation) for f in (a, b)]
            return Plus(_product(*means), _product(*spread))
        variance = self._variance()
        if variance is None:
            return None
        return Plus(_product(*means), fold(Times(_product(*slopes), variance)))

    def _variance(self) -> Basic | None:
        family = self.law.family
        if family is not None and family.variance is not None and family.name != "Categorical":
            return self._formula(family.variance)
        return known("variance", self.law.node) if self.facts.knows("variance", self.law) else None

    def _slope(self, node: Basic, unit: Basic) -> Basic | None:
        """What an affine elementwise function grows by if the variable grows by a unit."""
        if node == self.variable:
            return unit
        if isinstance(node, Minus):
            inner = self._slope(node.args[0], unit)
            return None if inner is None else fold(Minus(inner))
        if isinstance(node, Plus):
            parts = [self._slope(a, unit) for a in node.args if self._depends(a)]
            return None if None in parts else (Plus(*parts) if len(parts) > 1 else parts[0])
        moving = [f for f in node.args if self._depends(f)] if isinstance(node, Times | Quotient) else []
        if len(moving) != 1 or (isinstance(node, Quotient) and moving[0] is not node.args[0]):
            return None
        inner = self._slope(moving[0], unit)
        if inner is None:
            return None
        return fold(node.func(*(inner if f is moving[0] else f for f in node.args)))

    def _of_call(self, node: Basic) -> Basic | None:
        if node.function == "sum":
            inner = self.of(node.args[1])
            return None if inner is None else call("sum", inner)
        return self._of_log_density(node.args[1]) if node.function == "log" else None

    def _of_log_density(self, node: Basic) -> Basic | None:
        """``E_q[log p(z)]`` of a density over just the variable, given nothing that depends on it."""
        p = self.facts.law(node) if isinstance(node, Apply | Density) else None
        if p is None or p.kind != "density" or p.values != (self.variable,):
            return None
        if self.facts.formals(p) != self.facts.formals(self.law):
            return None
        if any(self._depends(g) for g in p.givens):
            return None
        by_formula = self._of_formula(p)
        return self._of_linear(p) if by_formula is None else by_formula

    def _of_formula(self, p: Law) -> Basic | None:
        """The mean of a log-density by its formula; that of a class is linear in its indicator."""
        q = self.law
        if p.family is None:
            return None
        values = self.facts.parameters(p, specialise=True)
        formula = fold(replace(p.family.log_density, {p.family.symbols[k]: v for k, v in values.items()}))
        if p.family.name == "Categorical":
            same = q.family is not None and q.family.name == "Categorical"
            mean = self._formula(q.family.mean) if same and q.family is not None and q.family.mean else None
        else:
            mean = self.of(replace(formula, {VALUE: self.variable}))
            return None if mean is None else call("sum", mean)
        return None if mean is None else call("sum", replace(formula, {VALUE: mean}))

    def _of_linear(self, p: Law) -> Basic | None:
        """``log p`` at the mean, where it is linear; else by the entropy and the divergence."""
        if self.facts.is_linear(p) and self.facts.knows("mean", self.law):
            return call("log", at_mean(self.law, p))
        q = self.law
        if q.values != (self.variable,) or closed_entropy(q, self.facts) is None:
            return None
        if closed_kl(q, p, self.facts) is None:
            return None
        return Minus(Plus(Entropy(q.node), kl(q.node, p.node)))


def _product(a: Basic, b: Basic) -> Basic:
    return Power(a, TWO) if a == b else Times(a, b)
