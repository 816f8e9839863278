"""A training step as a CUDA graph: recorded once for each kind of batch, then replayed.

A small model spends its time on launching kernels one by one; a graph launches them all at once. What is
recorded is the move of one player: evaluation, backward pass, guard, optimiser, averages. Its noise is the
device's own generator, which a graph advances as an eager step does; scheduled scalars are read from tensors
that are filled before each replay.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim import optimizer as hooks

from symdgm.errors import OptionError, SymdgmWarning
from symdgm.training.graphs import Graphs
from symdgm.training.optimizers import Player
from symdgm.training.protocol import Evaluation, Trainable
from symdgm.training.randomness import RandomState
from symdgm.training.rates import Rates, reads_rates
from symdgm.training.snapshot import Snapshot, differences

WARM_UP = 3
"""Eager steps before one is recorded: libraries choose their kernels, optimisers make their state."""

MAX_GRAPHS = 8
"""Graphs that are kept; each holds the memory of a step. What would need more runs as it is."""

IDLE = 1000
"""Moves after which a graph that was not needed makes room for another."""

TOLERANCE = 1e-2
"""How far, of its own size, a replayed step may be from an eager one; kernels may sum in another order."""

Move = Callable[[Player, Mapping[str, Tensor]], Evaluation]


def obstacle(players: Sequence[Player], device: torch.device) -> str:
    """Why steps cannot be recorded, or nothing."""
    if device.type != "cuda":
        return f"the parameters are on `{device.type}`, and only a CUDA device has graphs"
    for player in players:
        if any(p.device != device for p in player.parameters):
            return "the parameters are on several devices"
        kind = type(player.optimizer).__name__
        if not all(group.get("fused") for group in player.optimizer.param_groups):
            return f"{kind} does not run as one kernel, which could leave a bad step out: write `fused=True`"
        if _has_hooks(player.optimizer):
            return f"{kind} has hooks, which a replay would not call"
    return ""


def wanted(capture: bool | str, why: str) -> bool:
    """Whether steps are to be recorded.

    Args:
        capture: True, False, or ``"auto"``: wherever it can be.
        why: what stands in the way, or nothing; who asked for it outright is told.

    Raises:
        OptionError: another value of ``capture``.
    """
    if not isinstance(capture, bool) and capture != "auto":
        raise OptionError(f"`capture` is {capture!r}", hint='write True, False or "auto"')
    if why and capture is True:
        _tell(why)
    return bool(capture) and not why


@dataclass(eq=False)
class _Recorded:
    """A graph with the tensors that it reads and writes.

    Args:
        launch: makes the move.
        inputs: where it reads the batch.
        rates: where it reads the step sizes.
        packed: where it leaves value and terms.
        names: of the terms.
        maximized: whether the value is maximised.
        gradients: where it leaves them.
        state: of the optimiser; what is kept cannot give its place to another.
        used: when it was launched last.
    """

    launch: Callable[[], None]
    inputs: Mapping[str, Tensor]
    rates: Rates
    packed: Tensor
    names: tuple[str, ...]
    maximized: bool
    gradients: tuple[Tensor | None, ...]
    state: object
    used: int = 0

    def replay(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """Makes the move on another batch of the same shapes."""
        for name, tensor in self.inputs.items():
            tensor.copy_(batch[name], non_blocking=True)
        self.rates.refill()
        self.launch()
        for parameter, gradient in zip(player.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        # The next replay writes over what this one left.
        value, *terms = self.packed.clone().unbind()
        return Evaluation(value, dict(zip(self.names, terms, strict=True)), self.maximized)


@final
class Recorder:
    """Makes moves: a few as they are, then by a graph; for good as they are where that cannot be.

    Args:
        trainable: the model.
        graphs: records on the device where it is.
        move: makes the move of one player.
        flags: what a move changes besides weights and the optimiser's state.
    """

    def __init__(self, trainable: Trainable, graphs: Graphs, move: Move, flags: Sequence[Tensor]) -> None:
        self.why = ""
        self._trainable = trainable
        self._graphs = graphs
        self._move = move
        self._flags = flags
        self._moves = 0
        self._seen: dict[Hashable, int] = {}
        self._recorded: dict[Hashable, _Recorded] = {}

    def __call__(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """The move of a player."""
        if self.why:
            return self._move(player, batch)
        self._moves += 1
        key = move_key(player, batch, self._trainable.refill(player.parameters[0]))
        recorded = self._recorded.get(key)
        if recorded is not None:
            recorded.used = self._moves
            return recorded.replay(player, batch)
        seen = self._count(key)
        # Scalars are pinned from the first move on: a tensor that a recording makes is filled by it, too.
        if seen < WARM_UP or not self._has_room():
            with self._graphs.beside(), self._trainable.pinned():
                return self._move(player, batch)
        if seen == WARM_UP:
            return self._looked_at(player, batch)
        return self._first(key, player, batch)

    def _count(self, key: Hashable) -> int:
        """How often a move of this kind was made; kinds that never come back are forgotten."""
        if len(self._seen) >= IDLE:
            self._seen.clear()
            if not self._recorded:
                self._give_up("the steps are of too many kinds: shapes, or numbers of networks, differ")
        self._seen[key] = self._seen.get(key, 0) + 1
        return self._seen[key]

    def _has_room(self) -> bool:
        """Whether one more graph can be kept, if need be instead of one that is idle."""
        if len(self._recorded) < MAX_GRAPHS:
            return True
        oldest = min(self._recorded, key=lambda key: self._recorded[key].used)
        if self._moves - self._recorded[oldest].used < IDLE:
            return False
        del self._recorded[oldest]
        self._seen.pop(oldest, None)
        return True

    def _looked_at(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """The last move before the recording, which shows whether it ever waits for the device."""
        with self._graphs.beside(), self._trainable.pinned():
            evaluation, why = self._graphs.watched(lambda: self._move(player, batch))
        if why:
            self._give_up(why)
        return evaluation

    def _first(self, key: Hashable, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """Records the move, and makes it by the first replay, which is compared with an eager one."""
        noise, before = RandomState.capture(self._graphs.device), self._snapshot(player)
        with self._graphs.beside():
            eager = _detached(self._move(player, batch))
        replaced = before.replaced(self._trainable)
        if replaced:
            self._give_up(f"each step puts a new tensor in the place of `{replaced[0]}`")
            return eager
        later, after = RandomState.capture(self._graphs.device), self._snapshot(player)
        gradients = [p.grad for p in player.parameters]
        before.restore()
        noise.restore()
        try:
            recorded = self._record(player, batch)
        except Exception as error:  # whatever it is, the step itself went well
            why = f"PyTorch could not record it: {(str(error).splitlines() or [repr(error)])[0]}"
        else:
            evaluation = recorded.replay(player, batch)
            why = self._apart(before, after, player, eager.value, evaluation.value)
        if not why:
            recorded.used = self._moves
            self._recorded[key] = recorded
            return evaluation
        after.restore()
        later.restore()
        for parameter, gradient in zip(player.parameters, gradients, strict=True):
            parameter.grad = gradient
        self._give_up(why)
        return eager

    def _snapshot(self, player: Player) -> Snapshot:
        return Snapshot.take(self._trainable, player, self._flags)

    def _apart(
        self, before: Snapshot, after: Snapshot, player: Player, eager: Tensor, replayed: Tensor
    ) -> str:
        """In what a replayed step differs from an eager one, or nothing."""
        off = differences(before, after, self._snapshot(player))
        off["value"] = float((replayed - eager).abs() / eager.abs().clamp_min(1e-6))
        worst = max(off, key=lambda name: off[name])
        if not off[worst] > TOLERANCE:
            return ""
        return f"a replayed step differs from an eager one, in `{worst}` by {off[worst]:.1%}"

    def _record(self, player: Player, batch: Mapping[str, Tensor]) -> _Recorded:
        inputs = {name: tensor.clone() for name, tensor in batch.items()}
        rates = Rates(player.optimizer, self._graphs.device)

        def work() -> tuple[Evaluation, Tensor]:
            evaluation = self._move(player, inputs)
            value = evaluation.value
            parts = (value, *evaluation.terms.values())
            return evaluation, torch.stack([part.detach().to(value.dtype) for part in parts])

        for parameter in player.parameters:
            parameter.grad = None
        with self._trainable.pinned(), rates.read():
            (evaluation, packed), launch = self._graphs.record(work, player.name)
        gradients, names = tuple(p.grad for p in player.parameters), tuple(evaluation.terms)
        sense, state = evaluation.maximized, player.optimizer.state
        return _Recorded(launch, inputs, rates, packed, names, sense, gradients, state)

    def _give_up(self, why: str) -> None:
        self.why = why
        self._recorded.clear()
        _tell(why)


def _detached(made: Evaluation) -> Evaluation:
    """An evaluation whose graph is gone: what accumulates gradients would stay on the stream of its time."""
    terms = {name: term.detach() for name, term in made.terms.items()}
    return Evaluation(made.value.detach(), terms, made.maximized)


def move_key(player: Player, batch: Mapping[str, Tensor], rest: Hashable) -> Hashable:
    """All that is part of a recorded move: shapes, numbers of the optimiser, places of the weights."""
    shapes = tuple((name, value.shape, value.dtype) for name, value in batch.items())
    left_out = LEFT_OUT if reads_rates(player.optimizer) else LEFT_OUT - {"lr"}
    numbers = tuple(
        (name, value.data_ptr()) if isinstance(value, Tensor) else (name, value)
        for group in player.optimizer.param_groups
        for name, value in group.items()
        if isinstance(value, Hashable) and (isinstance(value, Tensor) or name not in left_out)
    )
    weights = (p.data_ptr() if p.requires_grad else 0 for p in player.parameters)
    return player.name, shapes, numbers, (id(player.optimizer.state), *weights), rest


LEFT_OUT = frozenset({"params", "capturable", "lr"})
"""What of an optimiser's group a recorded move does not depend on."""


def _has_hooks(optimizer: Optimizer) -> bool:
    own = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    return any(own) or bool(hooks._global_optimizer_pre_hooks or hooks._global_optimizer_post_hooks)


def _tell(why: str) -> None:
    warnings.warn(f"steps run one kernel at a time: {why}", SymdgmWarning, stacklevel=2)
