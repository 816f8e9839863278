"""All that a step changes, so that it can be made again from the same place and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from symdgm.training.optimizers import Player
from symdgm.training.protocol import Trainable


@final
@dataclass(frozen=True, eq=False)
class Snapshot:
    """Copies of the weights and buffers of a model and of an optimiser's state, in the host's memory.

    Args:
        places: name → the tensor.
        values: name → its copy.
    """

    places: dict[str, Tensor]
    values: dict[str, Tensor]

    @classmethod
    def take(cls, trainable: Trainable, player: Player, others: Sequence[Tensor] = ()) -> Snapshot:
        """Copies of what there is now.

        Args:
            trainable: the model.
            player: whose optimiser it is.
            others: more tensors that a step changes.
        """
        places = dict(trainable.state()) | {f"flag {i}": t for i, t in enumerate(others)}
        for number, parameter in enumerate(player.parameters):
            known = {f"parameter {number}": parameter.detach()}
            state = player.optimizer.state.get(parameter, {})
            known |= {f"{name} {number}": v for name, v in state.items() if isinstance(v, Tensor)}
            places |= known
        return cls(places, {name: value.detach().to("cpu", copy=True) for name, value in places.items()})

    def replaced(self, trainable: Trainable) -> list[str]:
        """The names whose tensors are others now than those that were copied."""
        state = trainable.state()
        return [n for n, value in state.items() if value.data_ptr() != self.places[n].data_ptr()]

    @torch.no_grad()
    def restore(self) -> None:
        """Writes the copies back to where they came from."""
        for name, place in self.places.items():
            place.copy_(self.values[name])


def differences(before: Snapshot, one: Snapshot, other: Snapshot) -> dict[str, float]:
    """How far two steps from one place are apart, as a share of the first of them.

    A step that is not finite was left out, and then both must have left it out.

    Example:
        >>> zero, one, two = (Snapshot({}, {"w": torch.full((2,), v)}) for v in (0.0, 1.0, 1.5))
        >>> differences(zero, one, two)
        {'w': 0.5}
    """
    found = {}
    for name, start in before.values.items():
        this, that = one.values[name], other.values[name]
        if start.is_floating_point():
            step, apart = (this - start).norm(), (that - this).norm()
            found[name] = float(apart / step) if step > 0 else float(apart)
        else:
            found[name] = float(not torch.equal(this, that))
    return found
