"""Small networks and distributions in float64, and how generated code is run from its text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import symdgm as sd

BATCH, DATA, LATENT = 5, 6, 3


class Encoder(nn.Module):
    """Location and scale."""

    def __init__(self, inputs: int = DATA, outputs: int = LATENT) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, 2 * outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.layer(x).tanh().chunk(2, -1)
        return loc, scale.exp()


class Counting:
    """A plain callable that counts its calls."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.calls = 0

    def __call__(self, *inputs: Tensor) -> Any:
        self.calls += 1
        return self.call(*inputs)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int = BATCH, seed: int = 1) -> Tensor:
    return torch.rand(batch, DATA, generator=seeded(seed), dtype=torch.float64).round()


def vae(seed: int = 0) -> tuple[Encoder, nn.Linear, list[Any]]:
    """An encoder, a decoder, and q(z|x), p(x|z), p(z) over them."""
    torch.manual_seed(seed)
    encoder, decoder = Encoder().double(), nn.Linear(LATENT, DATA).double()
    laws = [
        sd.Normal("q(z|x)", encoder),
        sd.Bernoulli("p(x|z)", decoder),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT),
    ]
    return encoder, decoder, laws


def closed(text: str, *laws: Any, **names: Any) -> sd.Objective:
    """An objective without an estimator."""
    objective = sd.Objective(text, *laws, **names)
    assert not any(word in repr(objective.derivation) for word in ("Monte Carlo", "enumeration"))
    return objective


def run_text(code: str, inputs: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """The function of a source text, in a namespace of its own."""
    namespace: dict[str, Any] = {}
    exec(compile(code, "generated", "exec"), namespace)
    return namespace["objective"](**inputs)


def gradients(value: Tensor, *owners: nn.Module | sd.Objective) -> list[Tensor]:
    parameters = [p for owner in owners for p in owner.parameters()]
    return list(torch.autograd.grad(value, parameters, allow_unused=True, materialize_grads=True))


def z_score(draws: Tensor, expected: Tensor | float) -> float:
    """How many standard errors the mean of independent draws is away from what is expected."""
    error = draws.std() / len(draws) ** 0.5
    return float((draws.mean() - expected).abs() / error)
