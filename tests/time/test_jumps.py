"""Steps that data say: the objective of TD-VAE (Gregor et al. 2019, Eq. 8) against a loop."""

from __future__ import annotations

import pytest
import torch
from time_models import Counted, Gaussian, data, same, spoiled
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd
from symdgm.errors import ShapeError

LENGTHS = [3, 6, 1, 4]
TIMES = [1, 3, 1, 2], [2, 6, 1, 4]
TD_VAE = """E_p_b(z_{B}|b_{B})[
    E_q(z_{A}|z_{B},b_{A},b_{B})[log p_d(x_{B}|z_{B}) + log p_t(z_{B}|z_{A}) - log p_b(z_{B}|b_{B})]
    - KL[q(z_{A}|z_{B},b_{A},b_{B}) || p_b(z_{A}|b_{A})]]"""


class TDVAE:
    """Beliefs by a recurrent network, and latents at two steps."""

    def __init__(self, early, late):
        torch.manual_seed(0)
        self.read = nn.LSTM(4, 5, batch_first=True).double()
        self.believe, self.infer = Gaussian(5, 2).double(), Gaussian(12, 2).double()
        self.jump, self.decode = Gaussian(2, 2).double(), Counted(2, 4).double()
        self.early, self.late = early, late
        self.factors = [
            sd.Deterministic("f(b_t|x_t,b_{t-1})", self.read),
            sd.Normal(self.named("p_b(z_{B}|b_{B})"), self.believe),
            sd.Normal(self.named("p_b(z_{A}|b_{A})"), self.believe),
            sd.Normal(self.named("q(z_{A}|z_{B},b_{A},b_{B})"), self.infer),
            sd.Normal(self.named("p_t(z_{B}|z_{A})"), self.jump),
            sd.Bernoulli(self.named("p_d(x_{B}|z_{B})"), self.decode),
        ]

    def named(self, text):
        text = " ".join(text.split())
        return text.replace("{A}", f"{{{self.early}}}").replace("{B}", f"{{{self.late}}}")

    @property
    def parameters(self):
        parts = (self.read, self.believe, self.infer, self.jump, self.decode)
        return [p for part in parts for p in part.parameters()]

    def by_hand(self, x, early, late):
        noise = [torch.randn(len(x), 2, dtype=x.dtype) for _ in range(2)]
        total = 0.0
        for i in range(len(x)):
            beliefs = self.read(x[i, : LENGTHS[i]])[0]
            first, second = beliefs[early[i] - 1][None], beliefs[late[i] - 1][None]
            belief = Normal(*self.believe(second))
            z_2 = belief.mean + belief.stddev * noise[0][i]
            q = Normal(*self.infer(z_2, first, second))
            z_1 = q.mean + q.stddev * noise[1][i]
            seen = x[i, late[i] - 1]
            total = total + Bernoulli(logits=self.decode(z_2)).log_prob(seen).sum()
            total = total + Normal(*self.jump(z_1)).log_prob(z_2).sum() + belief.entropy().sum()
            total = total - kl_divergence(q, Normal(*self.believe(first))).sum()
        return total / len(x)


@pytest.mark.parametrize(("early", "late"), [("t_1", "t_2"), ("t1", "t2"), ("s", "u")])
def test_steps_at_two_times(early, late):
    model, x = TDVAE(early, late), data()
    objective = sd.Objective(model.named(TD_VAE), *model.factors)
    assert set(objective.data) == {"x", early, late}
    times = dict(zip((early, late), map(torch.tensor, TIMES), strict=True))
    for _ in range(2):
        torch.manual_seed(3)
        found = objective({"x": spoiled(x, LENGTHS), "T": torch.tensor(LENGTHS), **times})
        torch.manual_seed(3)
        same(found, model.by_hand(x, *TIMES), model.parameters)


def test_sequences_of_one_length():
    model, x = TDVAE("s", "u"), data()
    objective = sd.Objective(model.named(TD_VAE), *model.factors)
    torch.manual_seed(3)
    found = objective(x=x[:, :1], s=torch.ones(4, dtype=torch.int64), u=torch.ones(4, dtype=torch.int64))
    torch.manual_seed(3)
    same(found, model.by_hand(x, [1] * 4, [1] * 4), model.parameters)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([1, 0, 1, 1], "`u` is 0 for a sequence of 6 steps\nsteps are counted from 1"),
        ([1, 1, 2, 1], "`u` is 2 for a sequence of 1 steps"),
        ([[1], [1], [1], [1]], r"the steps `u` have shape \[4, 1\] and dtype torch.int64\npass one whole"),
        ([1.0, 1.0, 1.0, 1.0], r"the steps `u` have shape \[4\] and dtype torch.float32"),
    ],
)
def test_steps_that_there_are_not(steps, words):
    model = TDVAE("s", "u")
    objective = sd.Objective(model.named(TD_VAE), *model.factors)
    given = {"s": torch.ones(4, dtype=torch.int64), "u": torch.tensor(steps)}
    with pytest.raises(ShapeError, match=words):
        objective(x=data(), T=torch.tensor(LENGTHS), **given)


def test_a_model_is_trained_on_jumps():
    model, x = TDVAE("s", "u"), data()
    trained = sd.Model(f"maximize {model.named(TD_VAE)}", *model.factors)
    lengths, early, late = map(torch.tensor, (LENGTHS, *TIMES))
    history = trained.fit(
        {"x": x, "s": early, "u": late, "T": lengths}, epochs=2, batch_size=2, progress=False
    )
    assert all(record.value < 0 for record in history.epochs)
