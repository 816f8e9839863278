"""Between a bad number and the weights: a step whose value or gradient is not finite is not made."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from symdgm.errors import NonFiniteError, SymdgmError
from symdgm.training.optimizers import Player
from symdgm.training.protocol import Trainable
from symdgm.training.randomness import RandomState

PENDING, PENDING_BYTES = 64, 2**24
"""Steps whose flags an accelerator keeps at most before the host looks, and what their batches may take."""


@dataclass(eq=False, slots=True)
class Attempt:
    """All that is needed to make one evaluation again: who, on what, with which noise.

    Args:
        player: whose move it was.
        batch: the data.
        rng: the random streams before it; None where it is recorded, and never judged on the spot.
    """

    player: Player
    batch: Mapping[str, Tensor]
    rng: RandomState | None

    def replayed(self) -> AbstractContextManager[None]:
        """Inside, the noise of the attempt is drawn again."""
        return nullcontext() if self.rng is None else self.rng.replayed()


class Guard(ABC):
    """Decides whether an optimiser may step; raises what explains the first bad number."""

    @abstractmethod
    def value(self, attempt: Attempt, value: Tensor) -> None:
        """Called before the backward pass."""

    @abstractmethod
    def gradient(self, attempt: Attempt, value: Tensor, bad: Tensor) -> None:
        """Called before the step; ``bad`` ``[]`` is not 0 if some gradient is not finite."""

    @abstractmethod
    def done(self, attempt: Attempt) -> None:
        """Called after the step, on the host only: recorded steps call it at every replay."""

    @property
    @abstractmethod
    def flags(self) -> tuple[Tensor, ...]:
        """What it keeps on the device."""

    @abstractmethod
    def settle(self) -> None:
        """Raises the error of any step that is still undecided."""

    @abstractmethod
    def release(self) -> None:
        """Leaves the optimisers as they were found."""


@final
class ImmediateGuard(Guard):
    """Looks at every number when it is there: on the CPU this costs some microseconds a step."""

    def __init__(self, trainable: Trainable) -> None:
        self._trainable = trainable

    def value(self, attempt: Attempt, value: Tensor) -> None:
        """Raises what `Trainable.diagnose` finds if the value is not finite."""
        if not math.isfinite(value.item()):
            raise self._trainable.diagnose(attempt.batch, attempt.rng, attempt.player.name)

    def gradient(self, attempt: Attempt, value: Tensor, bad: Tensor) -> None:
        """Raises an error that names the parameters and the term if a gradient is not finite."""
        if bad.item():
            raise explain_gradient(self._trainable, attempt)

    def done(self, attempt: Attempt) -> None:
        """All was decided before the step."""

    @property
    def flags(self) -> tuple[Tensor, ...]:
        """Nothing."""
        return ()

    def settle(self) -> None:
        """Nothing is ever undecided."""

    def release(self) -> None:
        """Nothing was changed."""


@final
class DeferredGuard(Guard):
    """Lets the device itself skip the steps after a bad number, and looks at the flags now and then.

    Fused optimisers make no step while their ``found_inf`` is 1 (the mechanism of gradient scaling). The flag
    stays up once it is up, so that the weights remain those of the first bad step until the host looks, and
    the step can be made again to explain it. No step waits for the device, so that it can be recorded.
    """

    def __init__(self, trainable: Trainable, players: Sequence[Player], device: torch.device) -> None:
        self._trainable = trainable
        self._players = players
        # Optimisers want their flag in single precision, whatever torch's default is.
        self._bad = torch.zeros((), dtype=torch.float32, device=device)
        self._good = torch.zeros_like(self._bad)
        self._attempts: list[Attempt] = []
        self._held = 0

    def value(self, attempt: Attempt, value: Tensor) -> None:
        """The value is judged together with the gradient."""

    def gradient(self, attempt: Attempt, value: Tensor, bad: Tensor) -> None:
        """Raises the flag on the device, and counts the steps until it was raised."""
        self._bad.logical_or_(bad).logical_or_(~torch.isfinite(value.detach()))
        self._good.add_(1 - self._bad)
        attempt.player.optimizer.found_inf = self._bad  # type: ignore[attr-defined]
        attempt.player.optimizer.grad_scale = None  # type: ignore[attr-defined]

    def done(self, attempt: Attempt) -> None:
        """Remembers how the step could be made again, until the flag is looked at."""
        self._attempts.append(attempt)
        self._held += sum(value.nbytes for value in attempt.batch.values())
        if len(self._attempts) >= PENDING or self._held > PENDING_BYTES:
            self.settle()

    @property
    def flags(self) -> tuple[Tensor, ...]:
        """Whether a step was bad, and how many were good before it."""
        return self._bad, self._good

    def settle(self) -> None:
        """Looks at the flag, and takes it down; waits for the device."""
        if not self._attempts:
            return
        attempts, bad, good = self._attempts, bool(self._bad), int(self._good)
        self._attempts, self._held = [], 0
        self._bad.zero_()
        self._good.zero_()
        if bad:
            raise _explain(self._trainable, attempts[good])

    def release(self) -> None:
        """Takes the flag off the optimisers."""
        for player in self._players:
            for name in ("found_inf", "grad_scale"):
                player.optimizer.__dict__.pop(name, None)


def make_guard(trainable: Trainable, players: Sequence[Player], device: torch.device) -> Guard:
    """The guard that costs least on this device and still lets no bad number into the weights."""
    fused = all(group.get("fused") for player in players for group in player.optimizer.param_groups)
    if device.type != "cpu" and fused:
        return DeferredGuard(trainable, players, device)
    return ImmediateGuard(trainable)


def _explain(trainable: Trainable, attempt: Attempt) -> SymdgmError:
    with attempt.replayed():
        value = trainable.evaluate(attempt.batch, attempt.player.name).value
    if not math.isfinite(value.item()):
        return trainable.diagnose(attempt.batch, attempt.rng, attempt.player.name)
    return explain_gradient(trainable, attempt)


def explain_gradient(trainable: Trainable, attempt: Attempt) -> NonFiniteError:
    """The error for a finite value with a gradient that is not: which parameters, and through which terms."""
    with attempt.replayed():
        evaluation = trainable.evaluate(attempt.batch, attempt.player.name, apart=True)
    parameters = attempt.player.parameters
    terms = [name for name, term in evaluation.terms.items() if _is_bad(_gradients(term, parameters))]
    gradients = _gradients(evaluation.value, parameters)
    bad = [p for p, g in zip(parameters, gradients, strict=True) if g is not None and _is_bad([g])]
    if not bad:
        return NonFiniteError(
            "the gradient is finite, but so large that its size cannot be computed",
            hint="take a smaller lr, or `clip_value`",
        )
    through = f" through the term {' and '.join(terms)}" if terms else ""
    return NonFiniteError(
        f"the objective is finite, but its gradient is not{through}: {_names(trainable, bad)}",
        hint="the usual causes are sqrt or a norm at 0, log or a power near 0, and exp of a large number; "
        "the weights are those from before this step",
    )


def _gradients(value: Tensor, parameters: Sequence[Tensor]) -> list[Tensor | None]:
    if not value.requires_grad:
        return [None] * len(parameters)
    return list(torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True))


def _is_bad(gradients: Sequence[Tensor | None]) -> bool:
    return any(not bool(torch.isfinite(g).all()) for g in gradients if g is not None)


def _names(trainable: Trainable, parameters: Sequence[Tensor]) -> str:
    names = {(value.data_ptr(), value.shape): name for name, value in trainable.state().items()}
    found = [names.get((p.data_ptr(), p.shape), f"a parameter of shape {list(p.shape)}") for p in parameters]
    return ", ".join(f"`{name}`" for name in found[:3]) + (
        f" and {len(found) - 3} more" if len(found) > 3 else ""
    )
