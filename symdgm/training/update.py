"""The update of a player's weights: its optimiser's step, by a shorter way where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Any, final

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.optim import optimizer as hooks
from torch.optim.adam import adam


@final
class Update:
    """Makes the steps of an optimiser.

    For a plain fused Adam by torch's own kernel on the optimiser's own state, without what `Optimizer.step`
    does besides: profiler ranges, hooks that are not there, groups by dtype. The counts of the steps, one
    for each parameter, become places of one tensor, so that one operation counts them all. It is the same
    arithmetic at a quarter of the overhead, a fifth of a step of a very small model. Any other optimiser,
    one with hooks, or one whose ``step`` a learning-rate scheduler counts, makes its own step.

    Args:
        optimizer: whose steps are made.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._counts = torch.empty(0)
        self._places: tuple[Tensor, ...] = ()

    def __call__(self) -> None:
        """One step, on the gradients of now."""
        optimizer = self._optimizer
        group = optimizer.param_groups[0]
        plain = _is_plain(optimizer, group)
        if not plain or not self._step(group):
            optimizer.step()
            states = [state for state in optimizer.state.values() if state]
            if plain and states and self._in_one_call(group["params"]):
                self._lay_out(states)

    def _step(self, group: dict[str, Any]) -> bool:
        """Steps if all parameters have a gradient, and a state, which the optimiser makes the first time."""
        parameters, known = group["params"], self._optimizer.state
        # By identity and in order: to look parameters up would ask each of them for its hash.
        if len(known) != len(parameters) or not all(map(is_, known, parameters)):
            return False
        states, gradients = [*known.values()], [p.grad for p in parameters]
        scale, flag = (vars(self._optimizer).get(name) for name in ("grad_scale", "found_inf"))
        for gradient, state in zip(gradients, states, strict=True):
            if gradient is None or gradient.is_sparse or gradient.is_complex() or not state:
                return False
        moments = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        with torch.no_grad():
            if self._in_one_call(gradients):
                self._count(states)
                kernel(parameters, gradients, *moments, [], [*self._places], **_options(group))
            else:
                steps = [state["step"] for state in states]
                wanted = {"fused": True, "grad_scale": scale, "found_inf": flag, **_options(group)}
                adam(parameters, gradients, *moments, [], steps, **wanted)
        return True

    def _in_one_call(self, values: Sequence[Tensor]) -> bool:
        """Whether one call of the kernel makes the step of parameters like these, or with such gradients.

        They are all on the CPU and of one dtype, and no flag says that a step may be left out. On a GPU the
        counts stay where they are: recorded steps count there.
        """
        dtype = values[0].dtype
        plain = all(v.is_cpu and v.dtype is dtype for v in values)
        return plain and vars(self._optimizer).get("found_inf") is None

    def _count(self, states: list[dict[str, Any]]) -> None:
        """Counts a step of every parameter, in place."""
        steps = [state["step"] for state in states]
        if len(steps) != len(self._places) or not all(map(is_, steps, self._places)):
            self._lay_out(states)  # a state was loaded
        self._counts.add_(1)

    def _lay_out(self, states: list[dict[str, Any]]) -> None:
        """Puts the counts side by side."""
        self._counts = torch.stack([state["step"] for state in states])
        self._places = self._counts.unbind()
        for state, place in zip(states, self._places, strict=True):
            state["step"] = place


kernel = torch._fused_adam_
"""One step of Adam over lists of tensors of one dtype on one device."""


def _options(group: dict[str, Any]) -> dict[str, Any]:
    """What the arithmetic of a step depends on."""
    beta1, beta2 = group["betas"]
    return {
        "amsgrad": False,
        "beta1": beta1,
        "beta2": beta2,
        "lr": group["lr"],
        "weight_decay": group["weight_decay"],
        "eps": group["eps"],
        "maximize": group["maximize"],
    }


def _is_plain(optimizer: Optimizer, group: dict[str, Any]) -> bool:
    """Whether a step is that of Adam (Kingma & Ba 2015, Algorithm 1), in one kernel, and nothing besides."""
    return (
        type(optimizer) is Adam
        and len(optimizer.param_groups) == 1
        and group["fused"] is True
        and not (group["amsgrad"] or group["differentiable"] or group["capturable"])
        and not group.get("decoupled_weight_decay")
        and not isinstance(group["lr"], Tensor)
        and "step" not in vars(optimizer)
        and not (optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks)
        and not (hooks._global_optimizer_pre_hooks or hooks._global_optimizer_post_hooks)
    )
