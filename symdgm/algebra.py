r"""The language written in Python: the same nodes, with the distributions that they name carried along.

.. code-block:: python

    elbo = sd.E(q)[sd.log(p)] - beta * sd.KL(q, prior)
    sd.Model(sd.maximize(elbo), beta=4.0)

| Python | text |
| --- | --- |
| ``E(q)[f]``, ``E(data, q)[f]`` | ``E_q(z|x)[f]``, ``E_{data(x), q(z|x)}[f]`` |
| ``KL(q, p)``, ``divergence("JS", q, p)`` | ``KL[q(z|x) || p(z)]``, ``JS[...]`` |
| ``H(q)``, ``H(q, p)`` | entropy, cross-entropy |
| ``log(p)``, ``log(p * prior)`` | ``log p(x|z)``, ``log p(x,z)`` |
| ``density(p) / density(q)`` | ``p(x|z)/q(z|x)`` |
| ``symbols("beta x")`` | names |
| ``network("G", module)(z)`` | ``G(z)`` |
| ``exp``, ``sg``, ``norm``, ``inner``, ``tanh``, … | the functions of the language |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

from sympy import Basic, Integer, Tuple
from sympy.core.symbol import Str

from symdgm.distributions import Distribution
from symdgm.errors import OptionError, refuse_unknown
from symdgm.expression import Expression, Formula, as_expression, joined, parts_of, reference_of
from symdgm.expressions.applications import FUNCTIONS, Apply, Inner, Norm, call
from symdgm.expressions.expectations import (
    DIVERGENCES,
    Binder,
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
)
from symdgm.expressions.notation import unicode
from symdgm.expressions.places import NAMES
from symdgm.expressions.statements import Optimize
from symdgm.parsing import parse


def E(*laws: Distribution) -> _Expectation:
    """An expectation over laws, the outermost first: ``E(q)[f]`` is ``E_q(z|x)[f]``.

    Args:
        laws: distributions.

    Raises:
        OptionError: a law that is no distribution, or none.
    """
    return _Expectation(laws)


@final
class _Expectation:
    """``E(q)``, which waits for its body in brackets."""

    def __init__(self, laws: Sequence[Distribution]) -> None:
        for law in laws or (None,):
            if not isinstance(law, Distribution):
                hint = "write the distribution itself, as in `sd.E(q)[...]`"
                raise OptionError(f"{type(law).__name__} is no law of an expectation", hint=hint)
        self.laws = tuple(laws)

    def __getitem__(self, body: Formula) -> Expression:
        laws = [Binder(Tuple(), reference_of(law)) for law in self.laws]
        found = joined(lambda f: Expect(f, *laws), body)
        return found.with_bindings_of(Expression(Integer(0), [d for law in self.laws for d in parts_of(law)]))

    def __repr__(self) -> str:
        return f"𝔼_{{{', '.join(unicode(reference_of(law)) for law in self.laws)}}}"


def divergence(kind: str, q: Distribution, p: Distribution, order: Formula | None = None) -> Expression:
    """``KL[q || p]`` and its kin.

    Args:
        kind: such as ``KL``, ``JS``, ``W_2``, ``MMD``, ``Renyi``.
        q: the first law.
        p: the second.
        order: the order of a Rényi divergence.

    Raises:
        OptionError: an unknown kind, or what is no distribution.
    """
    refuse_unknown([kind], DIVERGENCES, what="divergence")
    sides = [_law(d) for d in (q, p)]
    more = [] if order is None else [as_expression(order)]
    parts = [Expression(Integer(0), [*parts_of(q), *parts_of(p)]), *more]
    return _all(DivergenceBetween(Str(kind), *sides, *(m.expression for m in more)), parts)


def KL(q: Distribution, p: Distribution) -> Expression:
    """The Kullback-Leibler divergence ``KL[q || p]``.

    Args:
        q: the law that is averaged over.
        p: the law that it is compared with.
    """
    return divergence("KL", q, p)


def H(q: Distribution, p: Distribution | None = None) -> Expression:
    """The entropy ``H[q]``, or the cross-entropy ``H[q, p]``.

    Args:
        q: the law that is averaged over.
        p: the law whose log-density is averaged, if it is another.
    """
    node = Entropy(_law(q)) if p is None else CrossEntropy(_law(q), _law(p))
    return Expression(node, [*parts_of(q), *(parts_of(p) if p is not None else ())])


def _law(value: object) -> Basic:
    if not isinstance(value, Distribution):
        raise OptionError(
            f"{type(value).__name__} is no distribution", hint="write `sd.KL(q, p)` of two laws"
        )
    return reference_of(value)


def _all(node: Basic, parts: Sequence[Expression]) -> Expression:
    result = Expression(node)
    for part in parts:
        result = result.with_bindings_of(part)
    return result


def density(value: Distribution) -> Expression:
    """A distribution as a factor of a formula, so that it can be divided by another.

    Args:
        value: the distribution.
    """
    _law(value)
    return as_expression(value)


def function(name: str, *arguments: Formula) -> Expression:
    """A function of the language.

    Args:
        name: such as ``log``, ``tanh``, ``max``.
        arguments: what it is taken of.

    Raises:
        OptionError: an unknown function.
    """
    refuse_unknown([name], FUNCTIONS, what="function")
    parts = [as_expression(a) for a in arguments]
    return _all(call(name, *(p.expression for p in parts)), parts)


def log(argument: Formula) -> Expression:
    """``log f``; of a distribution, its log-density."""
    return function("log", argument)


def exp(argument: Formula) -> Expression:
    """``exp f``."""
    return function("exp", argument)


def sg(argument: Formula) -> Expression:
    """``sg[f]``: the value without its gradient."""
    return function("sg", argument)


def norm(argument: Formula, order: Formula = 2) -> Expression:
    """``||f||``; ``norm(f) ** 2`` is its square."""
    parts = [as_expression(argument), as_expression(order)]
    return _all(Norm(*(p.expression for p in parts)), parts)


def inner(a: Formula, b: Formula) -> Expression:
    """``<a, b>``."""
    parts = [as_expression(a), as_expression(b)]
    return _all(Inner(*(p.expression for p in parts)), parts)


def symbols(names: str) -> Any:
    """Names: scalars, and variables of distributions.

    Args:
        names: one, or several with blanks or commas between them.

    Returns:
        A formula, or a tuple of them.

    Raises:
        GrammarError: what is no name.
        OptionError: no name, or a formula.
    """
    found = [_named(text) for text in names.replace(",", " ").split()]
    if not found:
        raise OptionError("no name is given", hint='write `sd.symbols("beta")`')
    return found[0] if len(found) == 1 else tuple(found)


def _named(text: str) -> Expression:
    node = parse(text)
    if not isinstance(node, NAMES):
        raise OptionError(f"`{text}` is no name", hint="write names, as in `sd.symbols('beta gamma')`")
    return Expression(node)


def network(name: str, module: Callable[..., object]) -> Callable[..., Expression]:
    """Make a network that can be applied in formulas, as in the table of `symdgm.algebra`.

    Args:
        name: how it is called.
        module: the network.
    """
    head = _named(name).expression

    def applied(*arguments: Formula) -> Expression:
        parts = [as_expression(a) for a in arguments]
        return _all(
            Apply(head, *(p.expression for p in parts)), [*parts, Expression(Integer(0), (), {name: module})]
        )

    return applied


def maximize(formula: Formula) -> Expression:
    """``maximize f``, for `symdgm.Model`."""
    return _optimize("maximize", formula)


def minimize(formula: Formula) -> Expression:
    """``minimize f``, for `symdgm.Model`."""
    return _optimize("minimize", formula)


def _optimize(direction: str, formula: Formula) -> Expression:
    whole = as_expression(formula)
    return Expression(Optimize(Str(direction), whole.expression, Tuple()), whole.distributions, whole.names)
