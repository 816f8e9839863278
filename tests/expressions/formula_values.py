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
    "sqrt": torch.sqrt,
    "cosh": torch.cosh,
    "erf": torch.erf,
    "lgamma": torch.lgamma,
}


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
