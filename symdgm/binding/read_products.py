"""Products that look like applications: in ``1/K (a + b)`` and ``K (a + b)^2`` a number ``K`` is a factor."""

from __future__ import annotations

from sympy import Basic

from symdgm.binding.reader import Reader
from symdgm.expressions.applications import Apply
from symdgm.expressions.arithmetic import Power, Quotient, Times


def read_quotient(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """``a/K (b)`` is ``(a/K) b``, as ``a/2 (b)`` is: division and juxtaposition go from left to right."""
    above, below = node.args
    power = below.args[1:] if isinstance(below, Power) else ()
    factor = below.args[0] if power else below
    if not (isinstance(factor, Apply) and reader.is_product(factor)):
        return Quotient(reader.read(above, scope), reader.read(below, scope))
    head, argument = factor.args
    quotient = Quotient(reader.read(above, scope), reader.read(head, scope))
    return Times(quotient, reader.read(Power(argument, *power) if power else argument, scope))


def read_power(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """``K (b)^2`` is ``K b^2``: a power is tighter than a product."""
    factor, exponent = node.args
    if not (isinstance(factor, Apply) and reader.is_product(factor)):
        return Power(reader.read(factor, scope), reader.read(exponent, scope))
    head, argument = factor.args
    return Times(reader.read(head, scope), Power(reader.read(argument, scope), reader.read(exponent, scope)))
