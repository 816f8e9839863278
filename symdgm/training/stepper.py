"""One optimisation step, for `fit` and for loops of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from symdgm.errors import ParameterError
from symdgm.given import positive
from symdgm.training.capture import Recorder, obstacle, wanted
from symdgm.training.finiteness import Finiteness
from symdgm.training.graphs import Graphs
from symdgm.training.guard import Attempt, make_guard
from symdgm.training.optimizers import OptimizerSpec, Player, make_players
from symdgm.training.protocol import Evaluation, Trainable
from symdgm.training.randomness import RandomState
from symdgm.training.update import Update


@final
class Stepper:
    """The training step of a model: every player in turn evaluates, differentiates and updates.

    For each player: ``evaluate``, a look at the value, ``backward`` into that player's parameters only,
    clipping, a look at the gradient, and the optimiser's step. What is not finite stops the run before the
    weights move.

    Args:
        trainable: the model.
        optimizer: see `make_players`.
        lr: the step size, default 1e-3, or a mapping from players to theirs.
        steps: player → its steps in a round, default 1. A round has as many batches as the player with the
            most steps; one with fewer moves on the last of them: with ``{"D": 5}`` D moves on every batch, G
            on every fifth (Goodfellow et al. 2014, Algorithm 1).
        clip_norm: the largest Euclidean norm of a player's whole gradient (Pascanu et al. 2013, Algorithm 1).
        clip_value: the largest absolute entry of a gradient; before the norm is taken.
        capture: whether steps are recorded as CUDA graphs and replayed; ``"auto"``: on a GPU, wherever it can
            be. The first steps are made one kernel at a time, and the first replay is compared with one. What
            a network keeps as an attribute, such as a temperature, is part of the recording: with another
            number the step is recorded anew.

    Raises:
        OptionError: for a limit that is not positive, and as `make_players` does.
    """

    def __init__(
        self,
        trainable: Trainable,
        *,
        optimizer: OptimizerSpec | Mapping[str, OptimizerSpec] = None,
        lr: float | Mapping[str, float] | None = None,
        steps: Mapping[str, int] | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        capture: bool | str = "auto",
    ) -> None:
        rates = [("lr", rate) for rate in (lr.values() if isinstance(lr, Mapping) else [lr])]
        _check_positive(*rates, ("clip_norm", clip_norm), ("clip_value", clip_value))
        self.trainable = trainable
        self.players: list[Player] = make_players(trainable.players, optimizer, lr, steps)
        # Then autograd need not search for what leads to these parameters; it is everything.
        self._owns_all = len(self.players) == 1 and _holds(self.players[0], trainable)
        self._updates = {player.name: Update(player.optimizer) for player in self.players}
        self._round = max(player.steps for player in self.players)
        self.step = 0
        self._clip_norm = clip_norm
        self._clip_value = clip_value
        self._device = self.players[0].parameters[0].device
        self._guard = make_guard(trainable, self.players, self._device)
        self._bad_entries = Finiteness(self._device)
        self._recorder = self._made_recorder(capture)

    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Evaluation]:
        """Makes one step of every player whose turn it is on a batch that is already on the device.

        Args:
            batch: ``{name: [batch, *event]}``.

        Returns:
            The evaluation of each player that moved, from before its own update.

        Raises:
            SymdgmError: what `Trainable.diagnose` found, if a value is not finite.
            NonFiniteError: if a gradient is not finite.
        """
        self.trainable.schedule(self.step)
        left = self._round - self.step % self._round
        evaluations = {p.name: self._move(p, batch) for p in self.players if p.steps >= left}
        self.step += 1
        return evaluations

    def settle(self) -> None:
        """Raises the error of a bad step that an accelerator has not reported yet; waits for the device."""
        self._guard.settle()

    def release(self) -> None:
        """Leaves the optimisers as they were found; the last call to a stepper."""
        self._guard.release()

    def _made_recorder(self, capture: bool | str) -> Recorder | None:
        why = obstacle(self.players, self._device)
        if not wanted(capture, why):
            return None
        return Recorder(self.trainable, Graphs(self._device), self._made, self._guard.flags)

    def _move(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        attempt = Attempt(player, batch, RandomState.capture(self._device))
        recorder = self._recorder
        evaluation = self._attempted(attempt) if recorder is None else recorder(player, batch)
        self._guard.done(attempt)
        return evaluation

    def _made(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """A move that may be recorded: nothing in it asks for the state of the generators."""
        return self._attempted(Attempt(player, batch, None))

    def _attempted(self, attempt: Attempt) -> Evaluation:
        player, batch = attempt.player, attempt.batch
        evaluation = self.trainable.evaluate(batch, player.name)
        self._guard.value(attempt, evaluation.value)
        if not evaluation.value.requires_grad:
            whose = f" of player `{player.name}`" if player.name else ""
            raise ParameterError(
                f"the objective{whose} depends on no parameter",
                hint="a network that is bound here does not take part, or its result was detached",
            )
        for parameter in player.parameters:
            parameter.grad = None
        if self._owns_all and not any(value.requires_grad for value in batch.values()):
            evaluation.backward()
        else:
            # Only this player's own gradients are formed: nobody else's weights, and no more work than that.
            evaluation.backward(player.parameters)
        self._guard.gradient(attempt, evaluation.value, self._clip(player.parameters))
        self._updates[player.name]()
        self.trainable.moved(player.name)
        return evaluation

    def _clip(self, parameters: Sequence[nn.Parameter]) -> Tensor:
        """Clips in place; a flag which is not 0 if some gradient was not finite."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients:
            raise ParameterError(
                "the objective depends on none of the weights that the optimiser moves",
                hint="weights that were replaced, as by `load_state_dict(..., assign=True)`, need another "
                "optimiser: call `model.configure(...)` once more",
            )
        if self._clip_value is not None:
            bad = self._bad_entries(gradients)  # clipping an infinite entry would hide it
            nn.utils.clip_grad_value_(parameters, self._clip_value)
            return bad if self._clip_norm is None else bad.logical_or_(self._scale(gradients, parameters))
        if self._clip_norm is None:
            return self._bad_entries(gradients)
        return self._scale(gradients, parameters)

    def _scale(self, gradients: Sequence[Tensor], parameters: Sequence[nn.Parameter]) -> Tensor:
        """Scales gradients to the largest norm of all of them; whether that norm is not finite.

        Finite entries can have an infinite norm, by which all would become 0.
        """
        size, most = nn.utils.get_total_norm(gradients), self._clip_norm
        assert most is not None
        # What is small enough would be multiplied by 1. Nobody waits for an accelerator to know.
        if self._recorder is not None or not size.is_cpu or size.item() + 1e-6 > most:
            nn.utils.clip_grads_with_norm_(parameters, most, size)
        return ~torch.isfinite(size)


STEP_OPTIONS = tuple(
    name
    for name, parameter in inspect.signature(Stepper).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
)
"""The names of all options of a step."""


def _holds(player: Player, trainable: Trainable) -> bool:
    """Whether the optimiser of a player has all that is trained."""
    own = {id(parameter) for parameter in player.parameters}
    return all(id(p) in own for parameters in trainable.players.values() for p in parameters)


def _check_positive(*options: tuple[str, object]) -> None:
    for name, value in options:
        if value is not None:
            positive(name, value)
