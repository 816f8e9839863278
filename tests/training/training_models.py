"""Small real models in plain PyTorch which fulfil the protocol."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from symdgm.errors import NonFiniteError, SupportError, SymdgmError
from symdgm.training import Evaluation, RandomState


class VAE:
    """A Gaussian-Bernoulli VAE with the analytic KL: L = E_q[log p(x|z)] - beta KL[q || p]."""

    variables = ("x",)
    ragged: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __init__(self, *, seed: int = 0, features: int = 64, latent: int = 4, hidden: int = 32) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = nn.Sequential(
                nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent)
            )
            self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, features))
        self.module = nn.ModuleDict({"encoder": self.encoder, "decoder": self.decoder})
        self.players: Mapping[str, Sequence[nn.Parameter]] = {"": list(self.module.parameters())}
        self.identity = {"equation": "E_q(z|x)[log p(x|z)] - beta KL[q || p]", "digest": "vae"}
        self.beta = 1.0
        self.steps: list[int] = []
        self.checked: list[int] = []
        self.modes: list[bool] = []
        self.spoil: Callable[[int, Tensor], Tensor] = lambda step, value: value

    def evaluate(self, batch: Mapping[str, Tensor], player: str = "", *, apart: bool = False) -> Evaluation:
        x = batch["x"]
        mu, log_sigma = self.encoder(x).chunk(2, -1)
        z = mu + log_sigma.exp() * torch.randn_like(mu)
        log_p = (
            -nn.functional.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none")
            .sum(-1)
            .mean()
        )
        kl = 0.5 * (mu**2 + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum(-1).mean()
        value = self.spoil(self.steps[-1] if self.steps else 0, log_p - self.beta * kl)
        terms = {"E_q(z|x)[log p(x|z)]": log_p, "KL[q(z|x) || p(z)]": kl}
        return Evaluation(value, terms, maximized=True)

    def schedule(self, step: int) -> None:
        self.steps.append(step)

    def check(self, data: Mapping[str, Tensor]) -> None:
        self.checked.append(len(data["x"]))
        if data["x"].min() < 0:
            raise SupportError("x lies outside [0, 1]")

    def moved(self, player: str) -> None: ...

    def diagnose(self, batch: Mapping[str, Tensor], rng: Any, player: str = "") -> SymdgmError:
        assert isinstance(rng, RandomState)
        with rng.replayed():
            again = self.evaluate(batch)
        found, *_ = again.terms.values()
        return NonFiniteError(f"the loss is {again.loss.item()}, a term {found.item():.6f}")

    def train_mode(self, on: bool) -> None:
        self.modes.append(on)
        self.module.train(on)

    def state(self) -> dict[str, Tensor]:
        return dict(self.module.state_dict())

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.module.load_state_dict(dict(state))


class Saddle:
    """The game min_a max_b  a b + a^2/2 - b^2/2 + noise-free data mean, whose saddle is at 0."""

    variables = ("x",)
    ragged: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __init__(self) -> None:
        self.a = nn.Parameter(torch.tensor([1.0]))
        self.b = nn.Parameter(torch.tensor([-2.0]))
        self.players: Mapping[str, Sequence[nn.Parameter]] = {"b": [self.b], "a": [self.a]}
        self.identity = {"equation": "min_a max_b V(a, b)", "digest": "saddle"}
        self.order: list[str] = []

    def evaluate(self, batch: Mapping[str, Tensor], player: str = "", *, apart: bool = False) -> Evaluation:
        self.order.append(player)
        scale = batch["x"].mean()
        value = scale * (self.a * self.b + self.a**2 / 2 - self.b**2 / 2).sum()
        return Evaluation(value, {"V": value}, maximized=player != "a")

    def schedule(self, step: int) -> None: ...

    def check(self, data: Mapping[str, Tensor]) -> None: ...

    def moved(self, player: str) -> None: ...

    def diagnose(self, batch: Mapping[str, Tensor], rng: Any, player: str = "") -> SymdgmError:
        return NonFiniteError("the saddle is not finite")

    def train_mode(self, on: bool) -> None: ...

    def state(self) -> dict[str, Tensor]:
        return {"a": self.a.detach(), "b": self.b.detach()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            self.a.copy_(state["a"])
            self.b.copy_(state["b"])


def images(rows: int = 300, features: int = 64, seed: int = 1) -> Tensor:
    """Binary rows with structure: two prototypes and flips."""
    generator = torch.Generator().manual_seed(seed)
    prototypes = (torch.rand(2, features, generator=generator) > 0.5).float()
    picked = prototypes[torch.randint(2, (rows,), generator=generator)]
    flips = (torch.rand(rows, features, generator=generator) < 0.1).float()
    return (picked - flips).abs()


def same(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    """Equal names and bit-equal values."""
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def loss_is(value: float) -> Callable[[int, Tensor], Tensor]:
    """Turns the loss of step 3 into a value that is not finite."""
    assert not math.isfinite(value)
    return lambda step, loss: loss * value if step == 3 else loss
