"""Networks that read all of the past where a latent of it is carried, against loops."""

from __future__ import annotations

import pytest
import torch
from time_models import Counted, Gaussian, data, noise_of, same, spoiled
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd

LENGTHS = [3, 6, 1, 4]
T = torch.tensor(LENGTHS)
EXACT = 1e-10


class Causal(nn.Module):
    """Mean and standard deviation of each step from the steps until it, by their running mean."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.read, self.tell = nn.GRU(inputs, 5, batch_first=True), Gaussian(5, outputs)
        self.double()

    def forward(self, *values):
        states = self.read(torch.cat(values, -1))[0]
        number = torch.arange(1, states.shape[1] + 1)[:, None]
        return self.tell(states.cumsum(1) / number)


def now(network, *values):
    """What a causal network says of the last step of one sequence."""
    mean, scale = network(*(v[None] for v in values))
    return Normal(mean[0, -1:], scale[0, -1:])


POSTERIORS = {
    "q(z_t|z_{t-1},x_{<t})": lambda f, z, x: now(f, z, torch.cat([0 * x[:1], x[:-1]])),
    "q(z_t|z_{t-1},x_{<=t})": lambda f, z, x: now(f, z, x),
    "q(z_t|z_{<t},x_t)": lambda f, z, x: now(f, z, x),
    "q(z_t|z_{<t},x_{<=t})": lambda f, z, x: now(f, z, x),
}
WAYS = {
    "whole": "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]",
    "sum": "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T (log p(x_t|z_t) - KL[Q||p(z_t|z_{<t})])]",
    "step": "sum_{t=1}^T (E_Q[log p(x_t|z_t)] - KL[Q||p(z_t|z_{<t})])",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("q", POSTERIORS)
def test_a_posterior_given_the_past(q, way):
    torch.manual_seed(0)
    infer, move, decode = Causal(6, 2), Causal(2, 2), Counted(2, 4).double()
    factors = [sd.Normal(q, infer), sd.Normal("p(z_t|z_{<t})", move), sd.Bernoulli("p(x_t|z_t)", decode)]
    begin, x = nn.Parameter(torch.randn(2).double()), data()
    objective = sd.Objective(WAYS[way].replace("Q", q), *factors, z_0=begin)
    for _ in range(2):
        torch.manual_seed(3)
        found = objective(x=spoiled(x, LENGTHS), T=T)
        torch.manual_seed(3)
        noise, total = noise_of(LENGTHS, 2), 0.0
        for b, end in enumerate(LENGTHS):
            z = begin[None]
            for t in range(end):
                law, p = POSTERIORS[q](infer, z, x[b, : t + 1]), now(move, z)
                z = torch.cat([z, law.mean + law.stddev * noise[b, t]])
                total = total + Bernoulli(logits=decode(z[-1])).log_prob(x[b, t]).sum()
                total = total - kl_divergence(law, p).sum()
        parts = [p for part in (infer, move, decode) for p in part.parameters()]
        same(found, total / 4, [*parts, begin], EXACT)


@pytest.mark.parametrize("both", ["z_{1:T},s_{1:T}", "s_{1:T},z_{1:T}"])
def test_a_second_latent_given_all_of_the_first(both):
    torch.manual_seed(0)
    infer, second, decode, x = Gaussian(6, 2).double(), Causal(5, 3), Counted(5, 4).double(), data()
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t)", infer),
        sd.Normal("q(s_t|z_{<=t},s_{t-1})", second),
        sd.Bernoulli("p(x_t|z_t,s_t)", decode),
    ]
    text = f"E_q({both}|x_{{1:T}})[sum_{{t=1}}^T (log p(x_t|z_t,s_t) - log q(s_t|z_{{<=t}},s_{{t-1}}))]"
    objective = sd.Objective(text, *factors, z_0=0.0, z=2, s_0=0.0, s=3, analytic=False)
    torch.manual_seed(3)
    found = objective(x=spoiled(x, LENGTHS), T=T)
    torch.manual_seed(3)
    order, noise, total = sorted(range(4), key=lambda b: -LENGTHS[b]), {}, 0.0
    for t in range(6):
        running = [b for b in order if LENGTHS[b] > t]
        drawn = [torch.randn(len(running), size, dtype=x.dtype) for size in (2, 3)]
        noise |= {(b, t): (drawn[0][i], drawn[1][i]) for i, b in enumerate(running)}
    for b, end in enumerate(LENGTHS):
        z, s = x.new_zeros(1, 2), x.new_zeros(1, 3)
        for t in range(end):
            q = Normal(*infer(z[-1:], x[b, t][None]))
            z = torch.cat([z, q.mean + q.stddev * noise[b, t][0]])
            law = now(second, z[1:], s)
            s = torch.cat([s, law.mean + law.stddev * noise[b, t][1]])
            total = total + Bernoulli(logits=decode(z[-1], s[-1])).log_prob(x[b, t]).sum()
            total = total - law.log_prob(s[-1:]).sum()
    same(found, total / 4, [p for part in (infer, second, decode) for p in part.parameters()], EXACT)


def test_a_first_step_is_given_what_no_later_one_is():
    torch.manual_seed(0)
    begin, infer, decode, x = Gaussian(7, 2).double(), Gaussian(6, 2).double(), Counted(2, 4).double(), data()
    c = torch.randn(len(x), 3, dtype=x.dtype)
    factors = [
        sd.Normal("q(z_1|x_1,c)", begin),
        sd.Normal("q(z_t|z_{t-1},x_t)", infer),
        sd.Bernoulli("p(x_t|z_t)", decode),
    ]
    objective = sd.Objective("E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})]", *factors)
    torch.manual_seed(3)
    found = objective(x=x, c=c)
    torch.manual_seed(3)
    total, z = 0.0, None
    for t in range(x.shape[1]):
        mean, scale = begin(x[:, t], c) if z is None else infer(z, x[:, t])
        z = mean + scale * torch.randn_like(mean)
        total = total + Bernoulli(logits=decode(z)).log_prob(x[:, t]).sum() / len(x)
    same(found, total, [p for part in (begin, infer, decode) for p in part.parameters()], EXACT)
