"""Formulas that carry what they name: operators between them, numbers and objectives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

from sympy import Basic

from symdgm.binding import Bound, Environment
from symdgm.binding.classify import declared_node
from symdgm.distributions import Distribution, Joint
from symdgm.errors import NameResolutionError, OptionError, suggest
from symdgm.expressions.arithmetic import Minus, Power, Times
from symdgm.expressions.names import spelled
from symdgm.expressions.node import Node, Operand, to_node
from symdgm.expressions.notation import latex, unicode
from symdgm.expressions.places import NAMES
from symdgm.expressions.scope import free_names, replace
from symdgm.expressions.signature import signature
from symdgm.expressions.slopes import slope
from symdgm.parsing import parse
from symdgm.statement import statement_of


class Arithmetic(Operand, ABC):
    """What can be added, multiplied and so on: formulas and objectives, with each other and with numbers."""

    @abstractmethod
    def carried(self) -> Expression:
        """The formula, with what its names are bound to."""

    def __add__(self, other: object) -> Expression:
        return joined(Node.__add__, self, other)

    def __radd__(self, other: object) -> Expression:
        return joined(Node.__add__, other, self)

    def __sub__(self, other: object) -> Expression:
        return joined(Node.__sub__, self, other)

    def __rsub__(self, other: object) -> Expression:
        return joined(Node.__sub__, other, self)

    def __mul__(self, other: object) -> Expression:
        return joined(Node.__mul__, self, other)

    def __rmul__(self, other: object) -> Expression:
        return joined(Node.__mul__, other, self)

    def __truediv__(self, other: object) -> Expression:
        return joined(Node.__truediv__, self, other)

    def __rtruediv__(self, other: object) -> Expression:
        return joined(Node.__truediv__, other, self)

    def __pow__(self, other: object) -> Expression:
        return joined(Power, self, other)

    def __rpow__(self, other: object) -> Expression:
        return joined(Power, other, self)

    def __neg__(self) -> Expression:
        return joined(Minus, self)

    def __pos__(self) -> Expression:
        return self.carried()

    def subs(self, names: Mapping[str, object] | None = None, /, **more: object) -> Expression:
        """The formula with numbers or formulas in the place of names.

        Args:
            names: name → what stands in its place, for names that are no Python words.
            more: the same by keyword.

        Raises:
            OptionError: a name that the formula does not have.

        Example:
            >>> from symdgm.algebra import symbols
            >>> (symbols("beta") * symbols("x")).subs(beta=2)
            2 x
        """
        whole, given = self.carried(), {**(names or {}), **more}
        values = {parse(k): as_expression(v) for k, v in given.items()}
        known = {spelled(n): n for n in free_names(whole.expression)}
        for name in values:
            if spelled(name) not in known:
                raise OptionError(f"the formula has no name `{name}`", hint=suggest(spelled(name), known))
        node = replace(whole.expression, {k: v.expression for k, v in values.items()})
        left = {k: v for k, v in whole.names.items() if parse(k) not in values}
        result = Expression(node, whole.distributions, left)
        for value in values.values():
            result = result.with_bindings_of(value)
        return result

    def diff(self, name: str) -> Expression:
        """The derivative by a scalar that stands in the formula itself, not in a network or a law.

        Args:
            name: the scalar.

        Raises:
            OptionError: the formula has no such name.
            NotSupportedError: the name stands in what has no derivative by it.

        Example:
            >>> from symdgm.algebra import symbols
            >>> (symbols("beta") ** 2 * symbols("x")).diff("beta")
            2 β x
        """
        whole, variable = self.carried(), parse(name)
        known = {spelled(n) for n in free_names(whole.expression)}
        if spelled(variable) not in known:
            raise OptionError(f"the formula has no name `{name}`", hint=suggest(name, known))
        return Expression(slope(whole.expression, variable), whole.distributions, whole.names).pruned()


@final
class Expression(Arithmetic):
    """A formula with the distributions and networks that it names.

    Args:
        expression: its node.
        distributions: the distributions that it names.
        names: what else its names are bound to, by keyword.

    Example:
        >>> import symdgm as sd
        >>> p = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=1)
        >>> q = sd.Normal("q(z)", loc=1.0, scale=1.0, event_shape=1)
        >>> formula = 2 * sd.KL(q, p)
        >>> formula, float(sd.Objective(formula)())
        (2 KL[q(z) ‖ p(z)], 1.0)
    """

    def __init__(
        self,
        expression: Basic,
        distributions: Sequence[Distribution] = (),
        names: Mapping[str, Any] | None = None,
    ) -> None:
        self.expression = expression
        self.distributions = tuple(dict.fromkeys(distributions))
        self.names: dict[str, Any] = dict(names or {})
        _refuse_two_of_a_name(self.distributions)

    @property
    def signature(self) -> str:
        """The digest of the structure: that of the same formula as text."""
        return signature(self.expression)

    def carried(self) -> Expression:
        """Itself."""
        return self

    def with_bindings_of(self, other: Expression) -> Expression:
        """The same formula, with what another one's names are bound to as well.

        Raises:
            NameResolutionError: one name is bound to two things.
        """
        names = dict(self.names)
        for keyword, value in other.names.items():
            same = next((k for k in names if parse(k) == parse(keyword)), None)
            if same is not None and not (names[same] is value or _equal_numbers(names[same], value)):
                raise NameResolutionError(
                    f"`{keyword}` is bound to {_shown(names[same])} in one formula and to {_shown(value)} in "
                    "another",
                    hint=f"put a value in first, `formula.subs({keyword}=...)`, or give one another name",
                )
            names.setdefault(same or keyword, value)
        return Expression(self.expression, (*self.distributions, *other.distributions), names)

    def pruned(self) -> Expression:
        """Without bindings that the formula does not name any more."""
        names = {str(n) for n in self.expression.atoms(*NAMES)}
        return Expression(
            self.expression,
            self.distributions,
            {k: v for k, v in self.names.items() if str(parse(k)) in names},
        )

    def latex(self) -> str:
        """The formula in LaTeX."""
        return latex(self.expression)

    def __repr__(self) -> str:
        return unicode(self.expression)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {latex(self.expression)}$"


Formula = Arithmetic | Distribution | Node | int | float
"""What functions of formulas take; a distribution stands for its density."""


def carried(value: Arithmetic) -> Expression:
    """A formula with its bindings."""
    return value.carried()


def unpacked(
    equation: object, distributions: Sequence[Distribution], names: Mapping[str, Any]
) -> tuple[Any, tuple[Distribution, ...], dict[str, Any]]:
    """What an objective or a model is built from, with what a Python formula carries.

    Args:
        equation: a text, a node, or a Python formula.
        distributions: those that the caller named.
        names: the keywords of the caller, which go before what is carried.
    """
    if not isinstance(equation, Arithmetic):
        return equation, tuple(distributions), dict(names)
    whole = equation.carried()
    said = {parse(k) for k in names}
    kept = {k: v for k, v in whole.names.items() if parse(k) not in said}
    every = (*whole.distributions, *(d for d in distributions if d not in whole.distributions))
    return whole.expression, every, {**kept, **names}


def bindings(bound: Bound, expression: Basic) -> Expression:
    """A bound formula with what it is bound to, so that it can be part of another."""
    environment, found = bound.environment, factor_bindings(bound.environment, expression)
    names = dict(found.names)
    names |= {name: environment.networks[name] for name in bound.networks}
    names |= {name: environment.scalars.binding(name) for name in bound.scalars}
    names |= environment.tables
    return Expression(expression, found.distributions, names)


def factor_bindings(environment: Environment, expression: Basic) -> Expression:
    """A formula of factors with these, under the names by which it knows them, and what they begin with."""
    distributions: list[Distribution] = []
    names: dict[str, Any] = {}
    for factor in environment.factors:
        if factor.derived:
            continue
        if factor.node == declared_node(factor.distribution, parse):
            distributions.append(factor.distribution)
        else:
            name = spelled(factor.head)
            before = names.get(name)
            parts = before.factors if isinstance(before, Joint) else [before] if before is not None else []
            names[name] = Joint([*parts, factor.distribution]) if parts else factor.distribution
    beginnings = {} if environment.time is None else environment.time.initial
    names |= {f"{spelled(s)}_0": value for s, value in beginnings.items()}
    names |= {name: tuple(shape) for name, shape in environment.shapes.items()}
    return Expression(expression, distributions, names)


def as_expression(value: object) -> Expression:
    """A formula for an operand.

    Raises:
        OptionError: for anything else than a formula, an objective, a distribution, a node or a number.
    """
    if isinstance(value, Arithmetic):
        whole = value.carried()
        body = statement_of(whole.expression).body
        return whole if body == whole.expression else Expression(body, whole.distributions, whole.names)
    if isinstance(value, Distribution):
        return Expression(reference_of(value), parts_of(value))
    try:
        return Expression(to_node(value))
    except TypeError as error:
        hint = "write a formula, a distribution, a number, or `sd.symbols(...)`; text is read by `sd.parse`"
        raise OptionError(f"{type(value).__name__} is no part of a formula", hint=hint) from error


def parts_of(value: Distribution) -> tuple[Distribution, ...]:
    """The factors of a distribution."""
    return value.factors if isinstance(value, Joint) else (value,)


def reference_of(value: Distribution) -> Basic:
    """A distribution as it is written; a product of several names as a product."""
    if isinstance(value, Joint) and len({f.declaration.name for f in value.factors}) > 1:
        return Times(*(declared_node(f, parse) for f in value.factors))
    return declared_node(value, parse)


def joined(make: Callable[..., Basic], *values: object) -> Expression:
    """A node of several formulas, with the bindings of all."""
    parts = [as_expression(v) for v in values]
    first, *others = parts
    node = make(*(p.expression for p in parts))
    result = Expression(node, first.distributions, first.names)
    for part in others:
        result = result.with_bindings_of(part)
    return result


def _refuse_two_of_a_name(distributions: Sequence[Distribution]) -> None:
    seen: dict[str, Distribution] = {}
    for distribution in distributions:
        text = distribution.declaration.text
        if seen.setdefault(text, distribution) is not distribution:
            name = distribution.declaration.name
            raise NameResolutionError(
                f"two different distributions of one formula are called `{text}`",
                hint=f'give one of them another name, as in `.named("{name}_2")`',
            )


def _equal_numbers(a: object, b: object) -> bool:
    return isinstance(a, int | float) and isinstance(b, int | float) and a == b


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, int | float) else type(value).__name__
