"""What stands before a first step that has a factor of its own, against loops by hand."""

from __future__ import annotations

import pytest
import torch
from time_models import Counted, Gaussian, data, same, spoiled
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd
from symdgm.errors import NameResolutionError

LENGTHS = [3, 6, 1, 4]
EXACT = 1e-10
NOISE = 0.5
BOUND = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]"


class Direction(nn.Module):
    """Reads the direction of a vector, which zeros have none of."""

    def __init__(self):
        super().__init__()
        self.law = Gaussian(2, 2)

    def forward(self, z):
        return self.law(z / z.norm(dim=-1, keepdim=True))


class Model:
    """Each first step has a factor of its own; inference is a path, or knows nothing of the step before."""

    def __init__(self, monkeypatch, *, path, before, move=None):
        torch.manual_seed(0)
        monkeypatch.setattr(torch, "randn_like", lambda like: torch.full_like(like, NOISE))
        self.path, self.before = path, before
        self.begin, self.infer = Gaussian(4, 2).double(), Gaussian(6 if path else 4, 2).double()
        self.move, self.emit = (move or Direction()).double(), Counted(4 if before else 2, 4).double()
        given = "z_{t-1},x_t" if path else "x_t"
        self.factors = [
            sd.Normal("p(z_1)", loc=0.5, scale=2.0, event_shape=2),
            sd.Normal("p(z_t|z_{t-1})", self.move),
            sd.Bernoulli("p(x_t|z_t,z_{t-1})" if before else "p(x_t|z_t)", self.emit),
            sd.Normal(f"q(z_t|{given})", self.infer),
            *([sd.Normal("q(z_1|x_1)", self.begin)] if path else []),
        ]
        parts = (self.move, self.emit, self.infer, *([self.begin] if path else []))
        self.parameters = [p for part in parts for p in part.parameters()]

    def by_hand(self, x, start):
        total = 0.0
        for b, length in enumerate(LENGTHS):
            z = start
            for t in range(length):
                now, last = x[b, t][None], z
                if self.path:
                    q = Normal(*(self.infer(z, now) if t else self.begin(now)))
                else:
                    q = Normal(*self.infer(now))
                p = Normal(*self.move(z)) if t else Normal(torch.full((1, 2), 0.5).double(), 2.0)
                z = q.mean + q.stddev * NOISE
                logits = self.emit(z, last) if self.before else self.emit(z)
                total = total + Bernoulli(logits=logits).log_prob(now).sum() - kl_divergence(q, p).sum()
        return total / 4


@pytest.fixture
def values():
    return {"x": spoiled(data(), LENGTHS), "T": torch.tensor(LENGTHS)}


@pytest.mark.parametrize("path", [True, False])
def test_a_network_of_the_step_before_never_reads_a_stand_in(path, values, monkeypatch):
    """Zeros before the first step would make gradients that are no numbers."""
    model = Model(monkeypatch, path=path, before=False)
    found = sd.Objective(BOUND, *model.factors)(values)
    same(found, model.by_hand(values["x"], torch.zeros(1, 2).double()), model.parameters, EXACT)


@pytest.mark.parametrize("start", [1.5, torch.tensor([1.0, -2.0]).double()], ids=["number", "tensor"])
@pytest.mark.parametrize("path", [True, False])
def test_another_factor_reads_the_beginning_that_is_given(path, start, values, monkeypatch):
    model = Model(monkeypatch, path=path, before=True)
    found = sd.Objective(BOUND, *model.factors, z_0=start)(values)
    begun = torch.as_tensor(start).double().expand(1, 2)
    same(found, model.by_hand(values["x"], begun), model.parameters, EXACT)


@pytest.mark.parametrize("path", [True, False])
def test_another_factor_reads_a_beginning_that_is_not_given(path, values, monkeypatch):
    model = Model(monkeypatch, path=path, before=True)
    with pytest.raises(NameResolutionError, match=r"the sequence `z` has no beginning: `z_\{t-1\}` is given"):
        sd.Objective(BOUND, *model.factors)(values)


def test_classes_are_given_classes_alone(values):
    """A row of a table for each class has none for zeros."""
    table = torch.softmax(torch.randn(3, 3), -1).double()
    model = sd.Model(
        """
        p(z_1) = OneHotCategorical(z_1; probs = start)
        p(z_t|z_{t-1}) = OneHotCategorical(z_t; probs = rows(z_{t-1}))
        q(z_t|x_t) = OneHotCategorical(z_t; logits = guess(x_t))
        maximize E_q(z_{1:T}|x_{1:T})[log p(z_{1:T})]
        """,
        start=torch.tensor([0.5, 0.3, 0.2]).double(), rows=lambda z: z @ table,
        guess=lambda x: 1e3 * torch.tensor([1.0, 0.0, 0.0]).double().expand(len(x), 3),
    )  # fmt: skip
    wanted = sum(torch.tensor(0.5).log() + (n - 1) * table[0, 0].log() for n in LENGTHS) / 4
    torch.testing.assert_close(model.loss(values), -wanted)
