"""A training step as a CUDA graph: recorded once for each kind of batch, then replayed.

A small model spends its time on launching kernels one by one; a graph launches them all at once. What is
recorded is the move of one player: evaluation, backward pass, guard, optimiser, averages. Its noise is the
device's own generator, which a graph advances as an eager step does; scheduled scalars are read from tensors
that are filled before each replay.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim import optimizer as hooks

from symdgm.errors import OptionError, SymdgmWarning
from symdgm.training.optimizers import Player
from symdgm.training.protocol import Evaluation, Trainable
from symdgm.training.randomness import RandomState
from symdgm.training.snapshot import Snapshot, differences
from symdgm.training.syncs import find_syncs

WARM_UP = 3
"""Eager steps before one is recorded: libraries choose their kernels, optimisers make their state."""

MAX_GRAPHS = 8
"""Graphs that are kept; each holds the memory of a step. What would need more runs as it is."""

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


@dataclass(frozen=True, eq=False)
class _Recorded:
    """A graph with the tensors that it reads and writes.

    Args:
        graph: the move.
        inputs: where it reads the batch.
        packed: where it leaves loss, value and terms.
        names: of the terms.
        gradients: where it leaves them.
    """

    graph: torch.cuda.CUDAGraph
    inputs: Mapping[str, Tensor]
    packed: Tensor
    names: tuple[str, ...]
    gradients: tuple[Tensor | None, ...]

    def replay(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """Makes the move on another batch of the same shapes."""
        for name, tensor in self.inputs.items():
            tensor.copy_(batch[name], non_blocking=True)
        self.graph.replay()
        for parameter, gradient in zip(player.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        # The next replay writes over what this one left.
        loss, value, *terms = self.packed.clone().unbind()
        return Evaluation(loss, value, dict(zip(self.names, terms, strict=True)))


@final
class Recorder:
    """Makes moves: a few as they are, then by a graph; for good as they are where that cannot be.

    Args:
        trainable: the model.
        device: where it is.
        move: makes the move of one player.
        flags: what a move changes besides weights and the optimiser's state.
    """

    def __init__(
        self, trainable: Trainable, device: torch.device, move: Move, flags: Sequence[Tensor]
    ) -> None:
        self.why = ""
        self._trainable = trainable
        self._device = device
        self._move = move
        self._flags = flags
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._seen: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, _Recorded] = {}
        self._pools: dict[str, Any] = {}

    def __call__(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """The move of a player."""
        if self.why:
            return self._move(player, batch)
        key = move_key(player, batch, self._trainable.refill())
        if key in self._graphs:
            return self._graphs[key].replay(player, batch)
        seen = self._seen[key] = self._seen.get(key, 0) + 1
        if seen < WARM_UP or len(self._graphs) >= MAX_GRAPHS:
            return self._beside(player, batch)
        if seen == WARM_UP:
            return self._looked_at(player, batch)
        return self._first(key, player, batch)

    def _beside(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """A move on the stream on which the graph will be recorded."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            evaluation = self._move(player, batch)
        current.wait_stream(self._stream)
        return evaluation

    def _looked_at(self, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """The last move before the recording, which shows whether it ever waits for the device."""
        evaluation, found = find_syncs(lambda: self._beside(player, batch))
        if found:
            self._give_up(f"a step waits for the device: {found[0]}")
        return evaluation

    def _first(self, key: Hashable, player: Player, batch: Mapping[str, Tensor]) -> Evaluation:
        """Records the move, and makes it by the first replay, which is compared with an eager one."""
        noise, before = RandomState.capture(self._device), self._snapshot(player)
        try:
            recorded = self._record(player, batch)
        except RuntimeError as error:
            noise.restore()
            self._give_up(f"PyTorch could not record it: {str(error).splitlines()[0]}")
            return self._move(player, batch)
        replaced = before.replaced(self._trainable)
        if replaced:
            self._trainable.load_state({name: before.values[name] for name in self._trainable.state()})
            self._give_up(f"each step puts a new tensor in the place of `{replaced[0]}`")
            return self._move(player, batch)
        eager, after = self._move(player, batch), self._snapshot(player)
        before.restore()
        noise.restore()
        evaluation = recorded.replay(player, batch)
        why = self._apart(before, after, player, eager.loss.detach(), evaluation.loss)
        if why:
            after.restore()
            self._give_up(why)
            return eager
        self._graphs[key] = recorded
        return evaluation

    def _snapshot(self, player: Player) -> Snapshot:
        return Snapshot.take(self._trainable, player, self._flags)

    def _apart(
        self, before: Snapshot, after: Snapshot, player: Player, eager: Tensor, replayed: Tensor
    ) -> str:
        """In what a replayed step differs from an eager one, or nothing."""
        off = differences(before, after, self._snapshot(player))
        off["loss"] = float((replayed - eager).abs() / eager.abs().clamp_min(1e-6))
        worst = max(off, key=lambda name: off[name])
        if not off[worst] > TOLERANCE:
            return ""
        return f"a replayed step differs from an eager one, in `{worst}` by {off[worst]:.1%}"

    def _record(self, player: Player, batch: Mapping[str, Tensor]) -> _Recorded:
        inputs = {name: tensor.clone() for name, tensor in batch.items()}
        for parameter in player.parameters:
            parameter.grad = None
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as those that load data, go on meanwhile.
        recording = torch.cuda.graph(
            graph, pool=self._pool(player), stream=self._stream, capture_error_mode="thread_local"
        )
        with self._trainable.pinned(), capturable(player.optimizer), recording:
            evaluation = self._move(player, inputs)
            parts = (evaluation.loss, evaluation.value, *evaluation.terms.values())
            packed = torch.stack([part.detach().to(evaluation.loss.dtype) for part in parts])
        gradients = tuple(p.grad for p in player.parameters)
        return _Recorded(graph, inputs, packed, tuple(evaluation.terms), gradients)

    def _pool(self, player: Player) -> Any:
        """Memory that all graphs of a player share: one replays at a time, and leaves its own gradients."""
        if player.name not in self._pools:
            self._pools[player.name] = torch.cuda.graph_pool_handle()
        return self._pools[player.name]

    def _give_up(self, why: str) -> None:
        self.why = why
        self._graphs.clear()
        self._pools.clear()
        _tell(why)


def move_key(player: Player, batch: Mapping[str, Tensor], rest: Hashable) -> Hashable:
    """All that is part of a recorded move: shapes, numbers of the optimiser, places of the weights."""
    shapes = tuple((name, value.shape, value.dtype) for name, value in batch.items())
    numbers = tuple(
        (name, id(value) if isinstance(value, Tensor) else value)
        for group in player.optimizer.param_groups
        for name, value in group.items()
        if isinstance(value, Hashable) and name not in ("params", "capturable")
    )
    places = (id(player.optimizer.state), *(p.data_ptr() for p in player.parameters))
    return player.name, shapes, numbers, places, rest


@contextmanager
def capturable(optimizer: Optimizer) -> Iterator[None]:
    """Inside, an optimiser knows that it is recorded; its state is on the device already."""
    groups: list[dict[str, Any]] = [g for g in optimizer.param_groups if "capturable" in g]
    before = [group["capturable"] for group in groups]
    for group in groups:
        group["capturable"] = True
    try:
        yield
    finally:
        for group, value in zip(groups, before, strict=True):
            group["capturable"] = value


def _has_hooks(optimizer: Optimizer) -> bool:
    own = (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks)
    return any(own) or bool(hooks._global_optimizer_pre_hooks or hooks._global_optimizer_post_hooks)


def _tell(why: str) -> None:
    warnings.warn(f"steps run one kernel at a time: {why}", SymdgmWarning, stacklevel=2)
