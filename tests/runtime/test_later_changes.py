"""What is done to a network after its objective was compiled is seen by the next evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.nn.utils import parametrizations, parametrize

import symdgm as sd
from symdgm.errors import SymdgmWarning

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
X = (torch.arange(48).view(8, 6) % 5 < 2).float()


class Twice(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def replace_forward(network: nn.Sequential) -> None:
    before = network[0].forward
    network[0].forward = lambda z: 3 * before(z)  # type: ignore[method-assign]


def replace_module(network: nn.Sequential) -> None:
    network[1] = nn.ReLU()


def replace_hook(network: nn.Sequential) -> None:
    network[1]._forward_hooks.popitem()
    network[1].register_forward_hook(lambda module, given, result: 5 * result)


CHANGES: dict[str, Callable[[nn.Sequential], object]] = {
    "forward hook": lambda n: n[1].register_forward_hook(lambda module, given, result: 2 * result),
    "forward hook of the whole": lambda n: n.register_forward_hook(lambda module, given, result: 2 * result),
    "forward hook with keywords": lambda n: n[1].register_forward_hook(
        lambda module, given, keywords, result: 2 * result, with_kwargs=True
    ),
    "forward pre-hook": lambda n: n[2].register_forward_pre_hook(lambda module, given: (3 * given[0],)),
    "hook of a parameter": lambda n: n[0].weight.register_hook(lambda gradient: 7 * gradient),
    "weight_norm": lambda n: parametrizations.weight_norm(n[0]),
    "parametrisation": lambda n: parametrize.register_parametrization(n[0], "weight", Twice()),
    "another module": replace_module,
    "another forward": replace_forward,
    "another hook": replace_hook,
    "fixed weights": lambda n: n[0].weight.requires_grad_(False),
}
BACKWARD: dict[str, Callable[[nn.Sequential], object]] = {
    "full backward hook": lambda n: n[1].register_full_backward_hook(lambda module, i, o: (2 * i[0],)),
    "full backward pre-hook": lambda n: n[1].register_full_backward_pre_hook(lambda module, o: (2 * o[0],)),
}


def found(name: str, backend: str | bool) -> list[Any]:
    """Value and gradients before a change, and twice after it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 6))
    if name == "another hook":
        network[1].register_forward_hook(lambda module, given, result: 2 * result)
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    p = sd.Bernoulli("p(x|z)", network)
    objective = sd.Objective("E_p(z)[log p(x|z)]", p, prior, compile=backend)
    steps = [step(objective, network), step(objective, network)]
    (CHANGES | BACKWARD)[name](network)
    return [*steps, step(objective, network), step(objective, network)]


def step(objective: sd.Objective, network: nn.Module) -> list[Tensor | None]:
    network.zero_grad()
    torch.manual_seed(1)
    value = objective(X)
    value.backward()
    return [value.detach(), *(p.grad for p in network.parameters())]


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch._dynamo.reset()
    counters.clear()


def has_effect(steps: list[Any]) -> bool:
    """Whether value or gradients are others after the change."""
    before, after = steps[1], steps[2]
    return len(before) != len(after) or not all(
        a is not None and a.shape == b.shape and torch.allclose(a, b)
        for a, b in zip(after, before, strict=True)
    )


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_seen_and_compiled(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", SymdgmWarning)
        compiled, plain = found(name, "aot_eager"), found(name, False)
    assert has_effect(plain)
    torch.testing.assert_close(compiled, plain)
    # For fixed weights, torch before 2.13 goes on to compute the gradients that nobody takes.
    graphs = {"hook of a parameter": {1}, "fixed weights": {1, 2}}.get(name, {2})
    assert counters["stats"]["unique_graphs"] in graphs


@pytest.mark.parametrize("name", BACKWARD)
def test_what_no_graph_can_hold_is_said(name: str) -> None:
    with pytest.warns(SymdgmWarning, match="`compile` has no effect here.*backward"):
        compiled = found(name, "aot_eager")
    plain = found(name, False)
    assert has_effect(plain)
    torch.testing.assert_close(compiled, plain)
