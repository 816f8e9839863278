"""`compile=True` over sequences: graphs between loops, for any lengths, with the numbers of plain PyTorch."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

import symdgm as sd
from symdgm import zoo
from symdgm.errors import SymdgmWarning
from symdgm.model import Model

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning"),
]
X = (torch.arange(150).view(5, 6, 5) % 7 < 3).double()
T = torch.tensor([6, 2, 5, 1, 4])
BOUND = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]"
Data = dict[str, Tensor]


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch._dynamo.reset()
    counters.clear()


def graphs() -> int:
    assert not counters["graph_break"]
    return int(counters["stats"]["unique_graphs"])


def cut(sequences: int, steps: int) -> Data:
    """Some sequences, none of them longer than so many steps, and NaN beyond their lengths."""
    lengths = T[:sequences].clamp(max=steps)
    x = X[:sequences, :steps].clone()
    x[torch.arange(steps) >= lengths[:, None]] = float("nan")
    return {"x": x, "T": lengths}


def gradients(build: Callable[[], Model], batches: list[Data], backend: str | None) -> list[Tensor]:
    """Values and gradients of one batch after the other, with the same noise."""
    torch.manual_seed(0)
    model = build().double()
    model.objective.runner.backend = backend
    found = []
    for data in batches:
        value = model.objective(data)
        found += [value.detach(), *torch.autograd.grad(value, list(model.parameters()))]
    return found


def assert_same(build: Callable[[], Model], batches: list[Data], backend: str = "aot_eager") -> None:
    pairs = zip(gradients(build, batches, backend), gradients(build, batches, None), strict=True)
    for found, plain in pairs:
        torch.testing.assert_close(found, plain, rtol=1e-10, atol=1e-12)


def test_other_lengths_times_and_batches_compile_nothing() -> None:
    assert_same(lambda: chain(nn.Linear(2, 5)), [cut(5, 6), cut(5, 6), cut(4, 6), cut(5, 4), cut(2, 3)])
    assert graphs() == 1


def test_sequences_of_one_length_compile() -> None:
    whole = {"x": X}
    assert_same(lambda: chain(nn.Linear(2, 5)), [whole, whole, {"x": X[:3]}, {"x": X[:, :4].clone()}])
    assert graphs() == 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_compiler_gives_the_same_numbers() -> None:
    assert_same(lambda: zoo.hidden_markov(5, states=3), [cut(5, 6), cut(5, 6), cut(4, 5)], "inductor")
    assert graphs() == 1


class Gaussian(nn.Module):
    """Mean and standard deviation of two latents, or as many as are given."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.body = nn.Linear(inputs, 4)

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.body(torch.cat(given, -1)).chunk(2, -1)
        return loc, scale.exp()


def chain(emit: nn.Module, **options: object) -> Model:
    posterior = sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(7))
    prior, emission = sd.Normal("p(z_t|z_{t-1})", Gaussian(2)), sd.Bernoulli("p(x_t|z_t)", emit)
    return sd.Model(f"maximize {BOUND}", posterior, prior, emission, z=2, z_0=0.0, **options)


@pytest.mark.parametrize("options", [{"samples": 3}, {"truncate": 2}, {"checkpoint": 2}], ids=str)
def test_what_a_loop_fills_is_read_behind_it(options: dict[str, int]) -> None:
    assert_same(lambda: chain(nn.Linear(2, 5), **options), [cut(5, 6)] * 2)
    assert graphs() == 1


def test_a_recurrent_network_stays_as_it_is() -> None:
    class Read(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.last = nn.GRU(5, 3, batch_first=True), Gaussian(3)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            found: tuple[Tensor, Tensor] = self.last(self.rnn(x)[0])
            return found

    def build() -> Model:
        q, p = sd.Normal("q(z_t|x_{1:T})", Read()), sd.Bernoulli("p(x_t|z_t)", nn.Linear(2, 5))
        prior = sd.Normal("p(z_t)", loc=0.0, scale=1.0)
        return sd.Model(
            "maximize sum_{t=1}^T (E_q(z_t|x_{1:T})[log p(x_t|z_t)] - KL[q||p(z_t)])", q, p, prior
        )

    assert_same(build, [{"x": X}] * 2)
    assert graphs() == 1


class Branching(nn.Linear):
    """A network whose way depends on its values, which no graph can hold."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z if bool(z.sum() > 0) else -z)


def test_what_cannot_be_compiled_runs_as_it_is() -> None:
    with pytest.warns(SymdgmWarning, match="`compile` has no effect here"):
        assert_same(lambda: chain(Branching(2, 5)), [cut(5, 6)] * 3)
    assert graphs() == 0


def test_where_there_is_nothing_between_loops_a_word_says_so() -> None:
    factor = sd.Bernoulli("p(x_t)", probs=torch.full((5,), 0.25).double())
    objective = sd.Objective("sum_{t=1}^{T-1} log p(x_t)", factor, compile="aot_eager")
    with pytest.warns(SymdgmWarning, match="nothing lies between what goes from step to step"):
        found = objective(cut(5, 6))
    bits = [X[i, : n - 1] for i, n in enumerate(T.tolist())]
    log = sum(b.sum() * torch.tensor(0.25).log() + (1 - b).sum() * torch.tensor(0.75).log() for b in bits)
    torch.testing.assert_close(found, log / 5, rtol=1e-6, atol=0)
