"""The number of a formula by its plainest reading: a reference for rewriting and lowering."""

from __future__ import annotations

import torch
from sympy import Basic
from torch import Tensor

from symdgm.expressions.applications import Call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.families import PI

FUNCTIONS = {
    "log": torch.log,
    "sigmoid": torch.sigmoid,
    "softplus": lambda a: torch.nn.functional.softplus(a, threshold=50),
    "softmax": lambda a: a.softmax(-1),
    "exp": torch.exp,
    "abs": torch.abs,
    "log1p": torch.log1p,
    "lgamma": torch.lgamma,
    "digamma": torch.digamma,
    "row_sum": lambda a: a.sum(-1),
    "gamma_gap": lambda a, b: _gap(a, b, torch.lgamma, torch.digamma) - _gap(a, b, _entropy, torch.log),
    "sqrt": torch.sqrt,
    "cosh": torch.cosh,
    "erf": torch.erf,
}


def _gap(a, b, function, derivative):
    """How far a function of b is above its tangent at a."""
    return function(b) - function(a) - (b - a) * derivative(a)


def _entropy(a):
    return a * a.log() - a


def evaluated(node: Basic, values: dict[Basic, Tensor]) -> Tensor:
    """The number of a formula by its plainest reading, which no rewriting or lowering takes part in."""
    if node in values:
        return values[node]
    if node == PI:
        return torch.tensor(torch.pi, dtype=torch.float64)
    if node.is_Number:
        return torch.tensor(float(node), dtype=torch.float64)
    parts = [evaluated(a, values) for a in (node.args[1:] if isinstance(node, Call) else node.args)]
    if isinstance(node, Call):
        return FUNCTIONS[node.function](*parts)
    if isinstance(node, Plus):
        return sum(parts)
    if isinstance(node, Times):
        return torch.stack(torch.broadcast_tensors(*parts)).prod(0)
    return {Minus: lambda a: -a, Quotient: lambda a, b: a / b, Power: lambda a, b: a**b}[type(node)](*parts)
