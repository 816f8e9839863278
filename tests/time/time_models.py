"""Small models of sequences, and the same computed by loops over sequences and steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd
import symdgm.runtime.carried.code  # before a test replaces functions of torch

STEP = "sum_{t=1}^T (E_q(z_t|z_{t-1},h_t)[log p(x_t|z_t)] - KL[q(z_t|z_{t-1},h_t)||p(z_t|z_{t-1})])"
SUM = "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T (log p(x_t|z_t) + log p(z_t|z_{t-1}) - log q(z_t|z_{t-1},h_t))]"
WHOLE = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]"
WAYS = {"step": STEP, "sum": SUM, "whole": WHOLE}
"""Three ways of writing the bound of a deep Markov model, as in Figure 9 of Pixyz's paper."""

X, Z, H = 4, 2, 5


class Gaussian(nn.Module):
    """Mean and standard deviation by a linear map; it counts its calls."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * outputs)
        self.calls = 0

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        mean, scale = self.linear(torch.cat(values, -1)).chunk(2, -1)
        return mean.tanh(), scale.sigmoid()


class Counted(nn.Module):
    """A linear map that counts its calls."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.calls = 0

    def forward(self, *values: Tensor) -> Tensor:
        self.calls += 1
        return self.linear(torch.cat(values, -1))


class Cell(nn.Module):
    """One step of a recurrence over several inputs, the state last."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(inputs, hidden)
        self.hidden_size = hidden
        self.calls = 0

    def forward(self, *values: Tensor) -> Tensor:
        self.calls += 1
        return self.cell(torch.cat(values[:-1], -1), values[-1])


class DMM:
    """A deep Markov model with an inference network over h_t, which reads x backward or forward in time."""

    def __init__(
        self,
        recurrent: str = "GRU",
        *,
        backward: bool = True,
        dtype: torch.dtype = torch.float64,
        **options: object,
    ) -> None:
        torch.manual_seed(0)
        self.combine, self.transition, self.emit = Gaussian(Z + H, Z), Gaussian(Z, Z), Counted(Z, X)
        self.recurrent = getattr(nn, recurrent)(X, H, batch_first=True, **options)
        self.start = nn.Parameter(torch.randn(Z))
        self.backward = backward
        for part in (self.combine, self.transition, self.emit, self.recurrent):
            part.to(dtype)
        self.start.data = self.start.data.to(dtype)
        later = "h_{t+1}" if backward else "h_{t-1}"
        self.factors = [
            sd.Normal("q(z_t|z_{t-1},h_t)", self.combine),
            sd.Bernoulli("p(x_t|z_t)", self.emit),
            sd.Normal("p(z_t|z_{t-1})", self.transition),
            sd.Deterministic(f"h(h_t|x_t,{later})", self.recurrent),
        ]

    @property
    def parameters(self) -> list[nn.Parameter]:
        parts = (self.combine, self.transition, self.emit, self.recurrent)
        return [*(p for part in parts for p in part.parameters()), self.start]

    def objective(self, way: str = "whole", **options: object) -> sd.Objective:
        return sd.Objective(WAYS.get(way, way), *self.factors, z_0=self.start, **options)

    def states(self, x: Tensor, detach: int = 0) -> Tensor:
        """h_1 … h_T of one sequence; gradients stop after so many steps that are read."""
        state, found = None, []
        for part in (x.flip(0) if self.backward else x).split(detach or len(x)):
            outputs, state = self.recurrent(part[None], state)
            found.append(outputs[0])
            if detach:
                state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        return torch.cat(found).flip(0) if self.backward else torch.cat(found)

    def by_hand(
        self,
        x: Tensor,
        lengths: Sequence[int],
        noise: dict[tuple[int, int], Tensor],
        *,
        analytic: bool = True,
        detach: int = 0,
    ) -> Tensor:
        """The bound of each sequence, step by step."""
        return torch.stack(
            [self._one(x[b, :length], noise, b, analytic, detach) for b, length in enumerate(lengths)]
        )

    def _one(
        self, x: Tensor, noise: dict[tuple[int, int], Tensor], b: int, analytic: bool, detach: int
    ) -> Tensor:
        z, total, h = self.start[None], x.new_zeros(()), self.states(x, detach)
        for t in range(len(x)):
            if detach and t and t % detach == 0:
                z = z.detach()
            q, p = Normal(*self.combine(z, h[t][None])), Normal(*self.transition(z))
            z = q.mean + q.stddev * noise[b, t][None]
            total = total + Bernoulli(logits=self.emit(z)).log_prob(x[t]).sum()
            divergence = kl_divergence(q, p) if analytic else q.log_prob(z) - p.log_prob(z)
            total = total - divergence.sum()
        return total


def data(seed: int = 1, batch: int = 4, steps: int = 6, dtype: torch.dtype = torch.float64) -> Tensor:
    """Binary sequences."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(batch, steps, X, generator=generator) > 0.5).to(dtype)


def spoiled(x: Tensor, lengths: Iterable[int]) -> Tensor:
    """Sequences with NaN beyond their lengths."""
    x = x.clone()
    for b, length in enumerate(lengths):
        x[b, length:] = float("nan")
    return x


def noise_of(
    lengths: Sequence[int],
    *sizes: int,
    dtype: torch.dtype = torch.float64,
    first: bool = False,
    at_once: bool = False,
) -> dict[tuple[int, int], Tensor]:
    """The noise of each sequence and step in the order in which steps lie: the longest sequence first.

    Args:
        lengths: of the sequences.
        sizes: the event shape.
        dtype: of the noise.
        first: whether the first steps are drawn apart, in the order of the batch.
        at_once: whether all steps are drawn together, as where nothing is carried.
    """
    order = sorted(range(len(lengths)), key=lambda b: -lengths[b])
    found: dict[tuple[int, int], Tensor] = {}
    if first:
        drawn = torch.randn(len(lengths), *sizes, dtype=dtype)
        found |= {(b, 0): drawn[b] for b in range(len(lengths))}
    if at_once:
        places = [(b, t) for t in range(max(lengths)) for b in order if lengths[b] > t]
        return dict(zip(places, torch.randn(len(places), *sizes, dtype=dtype), strict=True))
    for t in range(int(first), max(lengths)):
        running = [b for b in order if lengths[b] > t]
        drawn = torch.randn(len(running), *sizes, dtype=dtype)
        found |= {(b, t): drawn[i] for i, b in enumerate(running)}
    return found


def same(
    value: Tensor, reference: Tensor, parameters: Sequence[nn.Parameter], relative: float = 1e-6
) -> None:
    """Equal values, and equal gradients with respect to all parameters."""
    torch.testing.assert_close(value, reference, rtol=relative, atol=relative)
    found = torch.autograd.grad(value, parameters, retain_graph=True)
    wanted = torch.autograd.grad(reference, parameters, retain_graph=True)
    assert any(other.any() for other in wanted)
    for gradient, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(
            gradient, other, rtol=relative, atol=relative * float(other.abs().max() + 1)
        )


def calls(*networks: Gaussian | Counted | Cell) -> Callable[[], list[int]]:
    """How often each network was called since."""
    before = [n.calls for n in networks]
    return lambda: [n.calls - b for n, b in zip(networks, before, strict=True)]
