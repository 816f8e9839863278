"""Checks of observed sequences ``[batch, time, *event]`` and of their lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from sympy import Basic
from torch import Tensor

from symdgm.binding.environment import Environment
from symdgm.binding.timeline import Timeline
from symdgm.errors import ShapeError
from symdgm.expressions.names import base, spelled


def is_over(environment: Environment, variables: Sequence[Basic], name: str) -> bool:
    """Whether a factor is over an observed variable, or over the steps of an observed sequence."""
    if len(variables) != 1:
        return False
    (variable,) = variables
    time = environment.time
    stepped = time is not None and time.offset(variable) == 0 and spelled(base(variable)) == name
    return stepped or spelled(variable) == name


def check_sequences(environment: Environment, data: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The steps of observed sequences that count, ``[steps, *event]``, as data of their own.

    Args:
        environment: what is bound.
        data: the observed values; the lengths of the sequences may be among them.

    Raises:
        ShapeError: sequences of different lengths, or lengths that are not those of the sequences.
    """
    time = environment.time
    if time is None:
        return {}
    names = {spelled(s) for s in time.sequences}
    found = {n: v for n, v in data.items() if n in names}
    shapes = ", ".join(f"{n} {list(v.shape)}" for n, v in found.items())
    if any(v.dim() < 2 for v in found.values()) or len({v.shape[:2] for v in found.values()}) > 1:
        raise ShapeError(
            f"the sequences have no common number of steps: {shapes}",
            hint="every sequence is [batch, time, *event]",
        )
    name = spelled(time.length)
    if not found:
        return {}
    batch, longest = next(iter(found.values())).shape[:2]
    if longest == 0:
        raise ShapeError("the sequences have no steps", hint="pass at least one")
    lengths = data.get(name)
    if lengths is None:
        check_jumps(time, data, torch.full((batch,), longest))
        return {n: v.flatten(0, 1) for n, v in found.items()}
    whole = not (lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool)
    if lengths.shape != (batch,) or not whole:
        raise ShapeError(
            f"the lengths `{name}` have shape {list(lengths.shape)} and dtype {lengths.dtype}",
            hint=f"pass one whole number for each sequence, [{batch}]",
        )
    if int(lengths.min()) < 1 or int(lengths.max()) > longest:
        raise ShapeError(
            f"the lengths `{name}` are from {int(lengths.min())} to {int(lengths.max())}, but the sequences "
            f"have {longest} steps",
            hint=f"a length is a whole number from 1 to {longest}",
        )
    check_jumps(time, data, lengths)
    valid = torch.arange(longest, device=lengths.device) < lengths[:, None]
    return {n: v[valid.to(v.device)] for n, v in found.items()}


def check_jumps(time: Timeline, data: Mapping[str, Tensor], lengths: Tensor) -> None:
    """Refuse data that say which step is meant, where there is no such step.

    Raises:
        ShapeError: no whole number for each sequence, or one that is no step of it.
    """
    for name in map(spelled, time.jumps):
        if name not in data:
            continue
        steps = data[name]
        if steps.shape != lengths.shape or steps.dtype not in (torch.int64, torch.int32):
            raise ShapeError(
                f"the steps `{name}` have shape {list(steps.shape)} and dtype {steps.dtype}",
                hint=f"pass one whole number for each sequence, [{len(lengths)}]",
            )
        outside = (steps < 1) | (steps > lengths.to(steps.device))
        if outside.any():
            raise ShapeError(
                f"`{name}` is {int(steps[outside][0])} for a sequence of "
                f"{int(lengths.to(steps.device)[outside][0])} steps",
                hint="steps are counted from 1",
            )
