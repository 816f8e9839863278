"""Reading derivatives by the value of a variable, or of whatever an expression stands for."""

from __future__ import annotations

from sympy import Basic

from symdgm.binding.factors import ATOMS
from symdgm.binding.reader import Reader
from symdgm.errors import NotSupportedError
from symdgm.expressions.calculus import DerivativeBy


def read_derivative(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """``grad_x f``, ``laplacian_x f``, ``div_x f``.

    Raises:
        NotSupportedError: a component of a gradient, which has an index of its own.
    """
    kind, body, variable = node.args
    if kind.name == "partial":
        raise NotSupportedError(
            f"`{node}` is read as a component of a derivative, which this version cannot compute yet",
            hint=f"write the whole gradient, `grad_{{{variable}}}`, and an inner product with it",
        )
    at = reader.argument(variable, scope) if isinstance(variable, ATOMS) else reader.read(variable, scope)
    return DerivativeBy(kind, reader.read(body, scope), at)
