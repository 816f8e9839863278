"""Reading a law that is written in place: ``eps ~ N(0, I)``, ``t ~ Uniform{1..T}``, ``z ~ N(mu(x), 1)``."""

from __future__ import annotations

from sympy import Basic

from symdgm.binding.factors import Match
from symdgm.binding.papers import IDENTITY
from symdgm.binding.reader import Reader
from symdgm.binding.resolve import is_inline_law
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.expectations import Binder
from symdgm.expressions.names import IndexRange
from symdgm.expressions.statements import Definition


def is_inline(reader: Reader, binder: Binder) -> bool:
    """Whether the law of a binder is a family with its parameters, and no factor of that name is bound."""
    law, environment = binder.law, reader.environment
    if not isinstance(law, Apply | Density) or not is_inline_law(law.args[0]) or environment.inline is None:
        return False
    written = binder.variables or (isinstance(law, Density) and law.parameters)
    return bool(written) and not environment.named(law.args[0])


def read_inline(reader: Reader, binder: Binder, scope: frozenset[Basic]) -> Basic:
    """The factor of a law that is written in place, with what its parameters depend on."""
    assert reader.environment.inline is not None
    factor = reader.environment.inline(reader.environment, binder)
    node = factor.node
    for parameter in node.parameters if isinstance(node, Density) else ():
        _note(reader, parameter, scope)
    givens = tuple(reader.argument(given, scope) for given in factor.givens)
    return Match(factor, factor.variables, givens).node


def _note(reader: Reader, parameter: Basic, scope: frozenset[Basic]) -> None:
    """Read a parameter, so that its numbers and networks are known to be used."""
    formula = parameter.args[1] if isinstance(parameter, Definition) else parameter
    if isinstance(formula, IndexRange):
        for bound in formula.args:
            reader.read(bound, scope)
    else:
        reader.read(formula, scope | {IDENTITY})
