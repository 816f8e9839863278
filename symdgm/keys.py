"""A key of an objective for what outlives a process: a cache on disk, a record of what was run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from symdgm.distributions import Distribution, Family

if TYPE_CHECKING:
    from symdgm.objective import Objective

FORMAT = 1
"""Of the key; another number where what it is made of changes."""


def key_of(objective: Objective, data: Mapping[str, Tensor]) -> str:
    """The digest of all that the generated function for some data depends on.

    That is the formula as it is written, its derivation with the estimators, the families with their
    constants, the structure of the networks, the options, and the shapes, dtypes and devices of the data; not
    the weights, the values of scalars, the size of the batch, or what a process makes up (`hash`, `id`).

    Args:
        objective: the objective.
        data: checked tensors.
    """
    parts = {
        "format": FORMAT,
        "derivation": str(objective.derivation),
        "signature": objective.signature,
        "factors": [_factor(str(f.node), f.distribution) for f in objective.bound.environment.factors],
        "networks": [(name, _network(s.call)) for name, s in objective.runner.frozen.sources.items()],
        "scalars": list(objective.bound.scalars),
        "options": [objective.runner.sharing, objective.runner.backend, str(objective.runner.precision)],
        "data": [_kind(name, tensor) for name, tensor in sorted(data.items())],
    }
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _factor(node: str, distribution: Distribution) -> list[Any]:
    kind = [node, type(distribution).__qualname__]
    if not isinstance(distribution, Family):
        return kind
    constants = sorted(distribution.constants.items())
    numbers = [(name, v if isinstance(v, float) else list(v.shape)) for name, v in constants]
    return [*kind, numbers, distribution.event_shape]


def _network(call: object) -> list[Any]:
    """What a network is made of: the classes of its modules, and the shapes of its weights."""
    if not isinstance(call, nn.Module):
        return [getattr(call, "__qualname__", type(call).__qualname__)]
    return [*_modules(call), *((n, list(t.shape), str(t.dtype)) for n, t in call.state_dict().items())]


def _modules(network: nn.Module) -> Iterator[tuple[str, str, str]]:
    for name, module in network.named_modules():
        yield name, type(module).__qualname__, module.extra_repr()


def _kind(name: str, tensor: Tensor) -> tuple[Any, ...]:
    return name, list(tensor.shape[1:]), str(tensor.dtype), tensor.device.type
