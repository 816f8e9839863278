"""Log-densities and draws of families without formulas: by torch.distributions, or by the object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from symdgm.lowering.laws import LawValues
from symdgm.lowering.operands import ATOM, Axis, Operand, with_axes
from symdgm.lowering.torch_laws import constructor, torch_law

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def element_log_density(writer: Writer, law: LawValues, value: Operand, event: torch.Size) -> Operand:
    """The log-density of each element of a value."""
    rank = len(event) - law.family.event_rank
    axes = tuple(a for a in writer.axes if a in value.axes or a in law.axes)
    parameters = _fitted(writer, law, rank, axes)
    at = with_axes(value, axes)
    made = torch_law(law.family.family, parameters)
    if made is not None and made.scores:
        text = f"{constructor(made, parameters)}.log_prob({at})"
    else:
        text = f"{law_object(writer, law)}.log_density({at}, {_dict(parameters)})"
    return Operand(text, ATOM, axes, rank)


def draw_text(writer: Writer, law: LawValues, event: torch.Size, axes: Sequence[Axis], count: int) -> str:
    """A draw ``[count, *axes, *event]``; without the first where one is drawn."""
    elements = event[: len(event) - law.family.event_rank]
    parameters = _fitted(writer, law, len(elements), tuple(axes))
    known = torch_law(law.family.family, parameters)
    if known is None or not known.draws:
        sizes = [*([str(count)] if count > 1 else []), *map(writer.size, axes), *map(str, event)]
        shape = f"torch.Size({_tuple(sizes)})"
        return f"{law_object(writer, law)}.draw({_dict(parameters)}, {shape})"
    made = constructor(known, parameters)
    if not _is_full(law, len(elements), tuple(axes)):
        made += f".expand({_tuple([*map(writer.size, axes), *map(str, elements)])})"
    drawn = f"{made}.{known.method}({f'({count},)' if count > 1 else ''})"
    if not known.one_hot:
        return drawn
    return f"torch.nn.functional.one_hot({drawn}, {event[-1]}).to({writer.argument('dtype')})"


def law_object(writer: Writer, law: LawValues) -> str:
    """The distribution as an argument of the function."""
    return writer.argument(f"factor:{law.index}")


def _is_full(law: LawValues, rank: int, axes: tuple[Axis, ...]) -> bool:
    """Whether a parameter has all axes and elements, so that the law has the shape of a draw."""
    ranks = law.family.parameter_ranks
    tensors = {k: p for k, p in law.parameters.items() if not p.number}
    return any(p.axes == axes and p.rank == rank + ranks[k] for k, p in tensors.items())


def _fitted(writer: Writer, law: LawValues, rank: int, axes: tuple[Axis, ...]) -> dict[str, str]:
    """The parameters as tensors that broadcast over axes and elements.

    Of a number beside a tensor torch's distributions would make a tensor of the host, and copy it.
    """
    texts = {}
    for name, operand in law.parameters.items():
        missing = rank + law.family.parameter_ranks[name] - operand.rank
        fitted = _tensor(writer, operand.text) if operand.number else with_axes(operand, axes, missing)
        texts[name] = fitted
    return texts


def _dict(parameters: dict[str, str]) -> str:
    """The parameters as a dict of tensors."""
    return "{" + ", ".join(f'"{name}": {text}' for name, text in parameters.items()) + "}"


def _tuple(sizes: list[str]) -> str:
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _tensor(writer: Writer, number: str) -> str:
    return f"torch.full((), {number}, dtype={writer.argument('dtype')}, device={writer.argument('device')})"
