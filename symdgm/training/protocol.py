"""What can be trained: the protocol between `fit` and a model. Nothing here knows of formulas."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from symdgm.errors import SymdgmError


@final
@dataclass(frozen=True, eq=False)
class Evaluation:
    """One evaluation of an objective on one batch.

    Args:
        value: ``[]``, the objective as its author wrote it; differentiable.
        terms: each term of the objective by its mathematical name, ``[]``; the same names in every step.
        maximized: whether the objective is maximised.
    """

    value: Tensor
    terms: Mapping[str, Tensor]
    maximized: bool = False

    @property
    def loss(self) -> Tensor:
        """What is minimised, ``[]``: the value, or its negative where it is maximised."""
        return -self.value if self.maximized else self.value

    def backward(self, parameters: Sequence[nn.Parameter] | None = None) -> None:
        """Adds the gradient of the loss to that of some parameters, by default of all that it depends on."""
        # The sign is where the gradient begins: a negative of the value would be an operation both ways.
        sign = torch.full_like(self.value, -1) if self.maximized else None
        torch.autograd.backward(self.value, sign, inputs=parameters)


class Trainable(Protocol):
    """What `fit`, `Stepper`, `save` and `load` need of a model."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the data, in the order in which unnamed data are assigned to them."""

    @property
    def ragged(self) -> Mapping[str, Sequence[str]]:
        """The name of the lengths, which may be left out → the data ``[N, time, *event]`` that have them."""

    @property
    def players(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """Each player's parameters, in the order of the updates; one player ``""`` unless it is a game."""

    @property
    def identity(self) -> Mapping[str, str]:
        """``equation``, the text for people, and ``digest``, its structure, by which files are compared."""

    def evaluate(self, batch: Mapping[str, Tensor], player: str = "", *, apart: bool = False) -> Evaluation:
        """The objective of ``player`` on a batch ``{name: [batch, *event]}``.

        Without data the batch has one tensor ``[n, 0]`` under the empty name, which says how many are drawn.

        Args:
            batch: the data.
            player: whose objective it is.
            apart: whether each term is differentiable by itself, which no step needs, and a compiled one is
                not; with ``False`` the value alone may be.
        """

    def schedule(self, step: int) -> None:
        """Sets the scheduled scalars (``beta``) for the optimisation step ``step``, counted from 0."""

    def check(self, data: Mapping[str, Tensor]) -> None:
        """Raises the `SymdgmError` that says which shape, dtype or support of a data set does not fit."""

    def diagnose(self, batch: Mapping[str, Tensor], rng: Any, player: str = "") -> SymdgmError:
        """The error that names the bad term, its first bad intermediate and its variable.

        Args:
            batch: the batch on which the loss was not finite.
            rng: a `RandomState`; ``with rng.replayed():`` draws the very noise of that evaluation again.
            player: whose loss it was.
        """

    def pinned(self) -> AbstractContextManager[None]:
        """Inside, numbers that change between steps are read from tensors that stay where they are."""

    def refill(self, like: Tensor) -> Hashable:
        """Brings those tensors up to date; returns what else a step that is recorded there depends on."""

    def moved(self, player: str) -> None:
        """Called after each step of a player's optimiser: moving averages, clipped weights."""

    def train_mode(self, on: bool) -> None:
        """Puts all networks into training or into evaluation mode."""

    def state(self) -> dict[str, Tensor]:
        """All weights and buffers by name."""

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Copies weights and buffers back; the names and shapes are those of `state`."""
