"""Random models of finite variables, in which a formula is a number that is summed exactly.

Two formulas that differ in one of them are not equal whatever their names are bound to.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sympy import Basic, Rational

from symdgm.expressions.applications import Apply, Call, Density, Inner, Norm
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.laws import Law
from symdgm.expressions.names import Name, spelled
from symdgm.expressions.places import NAMES
from symdgm.expressions.scope import free_names
from symdgm.rewriting.facts import Facts

STATES = 2
"""States of a variable."""
DIGITS = 9
"""Digits by which two numbers are one condition."""

States = Mapping[Basic, int]
"""Variable → its state."""


class NotFiniteError(Exception):
    """A formula has a construct that no finite model gives a value."""


class Rules(Protocol):
    """What densities are that follow from others of their name."""

    def __call__(self, node: Basic) -> Basic | None:
        """The ratio that it is equal to."""

    def hidden(self, node: Basic) -> tuple[Basic, tuple[Basic, ...]] | None:
        """The joint that it is the marginal of, and what is summed out."""

    def is_derived(self, node: Basic) -> bool:
        """Whether it follows from others."""


@dataclass
class FiniteModel:
    """Random tables for the factors, functions and scalars of formulas.

    Args:
        facts: what is bound.
        rules: what densities are that follow from others.
        seed: of the tables.
    """

    facts: Facts
    rules: Rules
    seed: int
    _tables: dict[tuple[object, ...], dict[tuple[int, ...], float]] = field(default_factory=dict)
    _numbers: dict[tuple[object, ...], float] = field(default_factory=dict)

    def value(self, expression: Basic, observed: States) -> float:
        """The value of a formula where the observed variables are in given states.

        Raises:
            NotFiniteError: it has no value here.
        """
        try:
            return self._value(expression, observed)
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise NotFiniteError from error

    def assignments(self, expressions: list[Basic]) -> Iterator[States]:
        """All states of the variables that are free in formulas."""
        free = sorted({n for e in expressions for n in free_names(e) if not self.facts.is_scalar(n)}, key=str)
        for states in itertools.product(range(STATES), repeat=len(free)):
            yield dict(zip(free, states, strict=True))

    def number(self, *key: object) -> float:
        """A random number that belongs to something."""
        if key not in self._numbers:
            self._numbers[key] = random.Random(f"{self.seed} {key}").uniform(0.4, 1.9)
        return self._numbers[key]

    def _value(self, node: Basic, states: States) -> float:
        if isinstance(node, Rational):
            return float(node)
        reader = _READERS.get(type(node))
        if reader is None:
            raise NotFiniteError
        return reader(self, node, states)

    def _name(self, node: Basic, states: States) -> float:
        if node in states:
            return self.number("value", self._formal(node), states[node])
        return math.pi if node == Name("pi") else self.number("scalar", spelled(node))

    def _formal(self, node: Basic) -> str:
        """Samples of one variable have the same values."""
        return spelled(node).replace("'", "").split("_")[0]

    def _reference(self, node: Basic, states: States) -> float:
        law = self.facts.law(node)
        if law is None:
            return self._whole(node, states)
        if self.rules.is_derived(node):
            return self._derived(node, law, states)
        values = tuple(self._state(v, states) for v in law.values)
        return self._density(law, values, states)

    def _derived(self, node: Basic, law: Law, states: States) -> float:
        """A posterior by Bayes' rule, or a marginal as a sum."""
        other = self.rules(node)
        if other is not None:
            return self._value(other, states)
        found = self.rules.hidden(node)
        if found is None or any(v not in states for v in law.values):
            raise NotFiniteError
        joint, hidden = found
        every = itertools.product(range(STATES), repeat=len(hidden))
        return math.fsum(
            self._value(joint, {**states, **dict(zip(hidden, values, strict=True))}) for values in every
        )

    def _whole(self, node: Basic, states: States) -> float:
        """A joint density, or a function."""
        factors = self.facts.factorise(node)
        if factors:
            return math.prod(self._value(f, states) for f in factors)
        if isinstance(node, Apply):
            arguments = tuple(round(self._value(a, states), DIGITS) for a in node.args[1:])
            return self.number("function", spelled(node.args[0]), arguments)
        raise NotFiniteError

    def _state(self, node: Basic, states: States) -> int:
        if node not in states:
            raise NotFiniteError
        return states[node]

    def _density(self, law: Law, values: tuple[int, ...], states: States) -> float:
        if law.kind == "deterministic":
            raise NotFiniteError
        givens = tuple(round(self._value(g, states), DIGITS) for g in law.givens)
        name = spelled(law.node.args[0]) if law.identity < 0 else law.identity
        key = (name, len(values), givens)
        if key not in self._tables:
            every = list(itertools.product(range(STATES), repeat=len(values)))
            weights = [random.Random(f"{self.seed} {key} {v}").uniform(0.2, 1.0) for v in every]
            self._tables[key] = {v: w / sum(weights) for v, w in zip(every, weights, strict=True)}
        return self._tables[key][values]

    def _expectation(self, node: Basic, states: States) -> float:
        return self._averaged(list(node.binders), node.body, states)

    def _averaged(self, binders: list[Basic], body: Basic, states: States) -> float:
        if not binders:
            return self._value(body, states)
        first, *rest = binders
        return math.fsum(
            weight * self._averaged(rest, body, drawn)
            for weight, drawn in self._draws(first.law, first.variables, states)
        )

    def _draws(
        self, node: Basic, variables: tuple[Basic, ...], states: States
    ) -> Iterator[tuple[float, States]]:
        """All states of the variables of a law, with their probabilities."""
        law = self.facts.law(node)
        if law is None:
            yield from self._joint_draws(node, variables, states)
            return
        drawn = variables or law.values
        if len(drawn) != len(law.values):
            raise NotFiniteError
        for values in itertools.product(range(STATES), repeat=len(drawn)):
            inside = {**states, **dict(zip(drawn, values, strict=True))}
            if self.rules.is_derived(node):
                yield self._reference(node, {**states, **dict(zip(law.values, values, strict=True))}), inside
            else:
                yield self._density(law, values, states), inside

    def _joint_draws(
        self, node: Basic, variables: tuple[Basic, ...], states: States
    ) -> Iterator[tuple[float, States]]:
        factors = self.facts.factorise(node)
        if not factors or variables:
            raise NotFiniteError
        partial: list[tuple[float, States]] = [(1.0, states)]
        for factor in reversed(factors):
            partial = [(w * v, s) for w, before in partial for v, s in self._draws(factor, (), before)]
        yield from partial

    def _divergence(self, node: Basic, states: States) -> float:
        if node.kind != "KL":
            raise NotFiniteError
        _, left, right = node.args
        return math.fsum(
            w * (math.log(w) - math.log(self._reference(right, inside)))
            for w, inside in self._draws(left, (), states)
        )

    def _entropy(self, node: Basic, states: States) -> float:
        return -math.fsum(
            w * math.log(self._reference(node.args[-1], inside))
            for w, inside in self._draws(node.args[0], (), states)
        )

    def _call(self, node: Basic, states: States) -> float:
        function = _FUNCTIONS.get(node.function)
        if function is None:
            raise NotFiniteError
        return function(*(self._value(a, states) for a in node.args[1:]))

    def _power(self, node: Basic, states: States) -> float:
        base, exponent = (self._value(a, states) for a in node.args)
        result = base**exponent
        if isinstance(result, complex):
            raise NotFiniteError
        return float(result)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "abs": abs,
    "tanh": math.tanh,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "lgamma": math.lgamma,
    "erf": math.erf,
    "sigmoid": _sigmoid,
    "softplus": lambda x: math.log1p(math.exp(x)),
    "relu": lambda x: max(x, 0.0),
    "max": max,
    "min": min,
    "sg": lambda x: x,
    "sign": lambda x: math.copysign(1.0, x),
    "sum": lambda x: x,
}

_READERS: dict[type, Callable[[FiniteModel, Basic, States], float]] = {
    **dict.fromkeys(NAMES, FiniteModel._name),
    Plus: lambda m, node, s: math.fsum(m._value(a, s) for a in node.args),
    Minus: lambda m, node, s: -m._value(node.args[0], s),
    Times: lambda m, node, s: math.prod(m._value(a, s) for a in node.args),
    Quotient: lambda m, node, s: m._value(node.args[0], s) / m._value(node.args[1], s),
    Power: FiniteModel._power,
    Call: FiniteModel._call,
    Norm: lambda m, node, s: abs(m._value(node.args[0], s)),
    Inner: lambda m, node, s: m._value(node.args[0], s) * m._value(node.args[1], s),
    Apply: FiniteModel._reference,
    Density: FiniteModel._reference,
    Expect: FiniteModel._expectation,
    DivergenceBetween: FiniteModel._divergence,
    Entropy: FiniteModel._entropy,
    CrossEntropy: FiniteModel._entropy,
}
