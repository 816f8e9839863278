"""What a generated function may take, what each input is called there, and of what kind data are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from symdgm.lowering import Frozen
from symdgm.lowering.naming import Names, identifier

Kinds = list[tuple[str, torch.Size, torch.dtype, torch.device]]
"""Name, shape, dtype and device of all data."""


def kinds(data: Mapping[str, object]) -> Kinds:
    """Of what kind data are; what is no dense tensor is left out: no such data were checked."""
    return [
        (k, v.shape, v.dtype, v.device)
        for k, v in data.items()
        if isinstance(v, Tensor) and v.layout is torch.strided and not v.is_nested
    ]


def identifiers(frozen: Frozen) -> dict[str, str]:
    """What an objective may take → its identifier in generated code."""
    names = Names()
    return {what: _reserved(what) or names.fresh(hint) for what, hint in _wanted(frozen)}


def _reserved(what: str) -> str | None:
    return what if what in ("n", "dtype", "device") else None


def _wanted(frozen: Frozen) -> Iterator[tuple[str, str]]:
    bound = frozen.bound
    for name in bound.data:
        yield f"data:{name}", name
    if bound.lengths is not None:
        yield f"data:{bound.lengths}", bound.lengths
    for sequence in bound.beginnings:
        yield f"initial:{sequence}", f"{sequence}_0"
    for name in bound.scalars:
        yield f"{'size' if name in bound.environment.sizes else 'scalar'}:{name}", name
    for name in bound.environment.tables:
        yield f"table:{name}", name
    for name in frozen.choices.scalars.values():
        yield f"scalar:{name}", name
    for name in frozen.choices.states:
        yield f"state:{name}", name
    for name in frozen.sources:
        yield f"network:{name}", name
    for factor in bound.environment.factors:
        for parameter in factor.constants:
            yield f"tensor:{factor.index}:{parameter}", f"{identifier(str(factor.node))}_{parameter}"
        for name in factor.matrices:
            hint = f"by_{name}" if name else "bias"
            yield f"matrix:{factor.index}:{name}", f"{identifier(str(factor.node))}_{hint}"
    for factor in bound.environment.factors:
        yield f"factor:{factor.index}", identifier(str(factor.node))
    yield from (("n", "n"), ("dtype", "dtype"), ("device", "device"))
