"""Several latents in one step: expectations over their joint, and its divergences and entropies."""

from __future__ import annotations

import pytest
import torch
from time_models import Counted, Gaussian, calls, data, same, spoiled
from torch import nn
from torch.distributions import Bernoulli, MultivariateNormal, Normal, kl_divergence

import symdgm as sd
from symdgm.errors import NameResolutionError

LENGTHS = [3, 6, 1, 4]
T = torch.tensor(LENGTHS)
EXACT = 1e-10
Q, P = "q(z_t,s_t|z_{t-1},s_{t-1},x_t)", "p(z_t,s_t|z_{t-1},s_{t-1})"
PRODUCTS = "q(z_t|z_{t-1},x_t) q(s_t|z_t,s_{t-1},x_t)", "p(z_t|z_{t-1}) p(s_t|z_t,s_{t-1})"
WAYS = {
    "joints": f"sum_{{t=1}}^T (E_{Q}[log p(x_t|z_t,s_t)] - KL[{Q} || {P}])",
    "products": f"sum_{{t=1}}^T (E_{Q}[log p(x_t|z_t,s_t)] - KL[{PRODUCTS[0]} || {PRODUCTS[1]}])",
    "one after the other": "sum_{t=1}^T E_q(z_t|z_{t-1},x_t)[E_q(s_t|z_t,s_{t-1},x_t)[log p(x_t|z_t,s_t)] "
    "- KL[q(s_t|z_t,s_{t-1},x_t) || p(s_t|z_t,s_{t-1})] - KL[q(z_t|z_{t-1},x_t) || p(z_t|z_{t-1})]]",
    "a log-ratio": f"sum_{{t=1}}^T E_{Q}[log p(x_t,z_t,s_t|z_{{t-1}},s_{{t-1}}) - log {Q}]",
    "a log of a ratio": f"sum_{{t=1}}^T E_{Q}[log(p(x_t,z_t,s_t|z_{{t-1}},s_{{t-1}}) / {Q})]",
    "an entropy": f"sum_{{t=1}}^T (E_{Q}[log p(x_t|z_t,s_t) + log {P}] + H[{Q}])",
    "one step later": "sum_{t=0}^{T-1} (E_q(z_{t+1},s_{t+1}|z_t,s_t,x_{t+1})[log p(x_{t+1}|z_{t+1},s_{t+1})] "
    "- KL[q(z_{t+1},s_{t+1}|z_t,s_t,x_{t+1}) || p(z_{t+1},s_{t+1}|z_t,s_t)])",
    "along the path": "E_q(z_{1:T},s_{1:T}|x_{1:T})[sum_{t=1}^T (log p(x_t|z_t,s_t) "
    f"- KL[{Q} || {P}])]",
    "whole sequences": "E_q(z_{1:T},s_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T},s_{1:T})] "
    "- KL[q(z_{1:T},s_{1:T}|x_{1:T}) || p(z_{1:T},s_{1:T})]",
}  # fmt: skip


class TwoLatents:
    """z moves by itself, s is given z; both are inferred step by step."""

    def __init__(self):
        torch.manual_seed(0)
        self.z_infer, self.s_infer = Gaussian(6, 2).double(), Gaussian(9, 3).double()
        self.z_move, self.s_move = Gaussian(2, 2).double(), Gaussian(5, 3).double()
        self.decode = Counted(5, 4).double()
        self.factors = [
            sd.Normal("q(z_t|z_{t-1},x_t)", self.z_infer),
            sd.Normal("q(s_t|z_t,s_{t-1},x_t)", self.s_infer),
            sd.Normal("p(z_t|z_{t-1})", self.z_move),
            sd.Normal("p(s_t|z_t,s_{t-1})", self.s_move),
            sd.Bernoulli("p(x_t|z_t,s_t)", self.decode),
        ]
        parts = (self.z_infer, self.s_infer, self.z_move, self.s_move, self.decode)
        self.parameters = [p for part in parts for p in part.parameters()]

    def by_hand(self, x, difference, detach=0):
        order = sorted(range(4), key=lambda b: -LENGTHS[b])
        noise, total = {}, 0.0
        for t in range(6):
            running = [b for b in order if LENGTHS[b] > t]
            drawn = [torch.randn(len(running), size, dtype=x.dtype) for size in (2, 3)]
            noise |= {(b, t): (drawn[0][i], drawn[1][i]) for i, b in enumerate(running)}
        for b, length in enumerate(LENGTHS):
            z, s = x.new_zeros(1, 2), x.new_zeros(1, 3)
            for t in range(length):
                if detach and t and t % detach == 0:
                    z, s = z.detach(), s.detach()
                now = x[b, t][None]
                q, p = Normal(*self.z_infer(z, now)), Normal(*self.z_move(z))
                z = q.mean + q.stddev * noise[b, t][0]
                q_s, p_s = Normal(*self.s_infer(z, s, now)), Normal(*self.s_move(z, s))
                s = q_s.mean + q_s.stddev * noise[b, t][1]
                total = total + Bernoulli(logits=self.decode(z, s)).log_prob(now).sum()
                total = total - difference(q, p, z).sum() - difference(q_s, p_s, s).sum()
        return total / 4


def closed(q, p, value):
    return kl_divergence(q, p)


def estimated(q, p, value):
    return q.log_prob(value) - p.log_prob(value)


@pytest.mark.parametrize("way", WAYS)
def test_every_form_of_the_bound_is_the_loop(way):
    model, x = TwoLatents(), data()
    objective = sd.Objective(WAYS[way], *model.factors, z_0=0.0, z=2, s_0=0.0, s=3)
    torch.manual_seed(3)
    found = objective(x=spoiled(x, LENGTHS), T=T)
    torch.manual_seed(3)
    same(found, model.by_hand(x, closed), model.parameters, EXACT)
    count = calls(model.z_infer, model.s_infer, model.z_move, model.s_move, model.decode)
    objective(x=spoiled(x, LENGTHS), T=T)
    assert count() == [6, 6, 1, 1, 1]


@pytest.mark.parametrize("way", ["joints", "a log-ratio", "one step later", "whole sequences"])
def test_every_form_without_closed_forms(way):
    model, x = TwoLatents(), data()
    objective = sd.Objective(WAYS[way], *model.factors, z_0=0.0, z=2, s_0=0.0, s=3, analytic=False)
    torch.manual_seed(3)
    found = objective(x=spoiled(x, LENGTHS), T=T)
    torch.manual_seed(3)
    same(found, model.by_hand(x, estimated), model.parameters, EXACT)


@pytest.mark.parametrize("options", [{"truncate": 2}, {"truncate": 2, "checkpoint": 2}])
def test_gradients_stop_in_all_that_is_carried(options):
    model, x = TwoLatents(), data()
    objective = sd.Objective(WAYS["joints"], *model.factors, z_0=0.0, z=2, s_0=0.0, s=3, **options)
    torch.manual_seed(3)
    found = objective(x=spoiled(x, LENGTHS), T=T)
    torch.manual_seed(3)
    same(found, model.by_hand(x, closed, detach=2), model.parameters, EXACT)


IN_THE_OTHER_ORDER = {
    "itself": [sd.Normal("p(z_t|s_t)", lambda s: (0.4 * s, torch.full_like(s, 0.7)))],
    "a state": [
        sd.Deterministic("d(d_t|s_t)", lambda s: 0.8 * s),
        sd.Normal("p(z_t|d_t)", lambda d: (0.5 * d, torch.full_like(d, 0.7))),
    ],
    "a state of a state": [
        sd.Deterministic("c(c_t|s_t)", lambda s: 4 * s),
        sd.Deterministic("d(d_t|c_t)", lambda c: 0.2 * c),
        sd.Normal("p(z_t|d_t)", lambda d: (0.5 * d, torch.full_like(d, 0.7))),
    ],
}


@pytest.mark.parametrize("order", IN_THE_OTHER_ORDER)
def test_a_prior_in_the_other_order_is_compared_as_a_whole(order):
    """q draws z, then s from it; p draws s, then z: no step of p over z may be compared with that of q."""
    torch.manual_seed(0)
    slope, x = nn.Parameter(torch.tensor(2.0).double()), torch.tensor([[[0.3], [1.0]]]).double()
    factors = [
        sd.Normal("q(z_t|x_t)", lambda x: (x, torch.full_like(x, 0.5))),
        sd.Normal("q(s_t|z_t)", lambda z, slope=slope: (slope * z, torch.full_like(z, 0.3))),
        sd.Normal("p(s_t)", loc=0.0, scale=1.0),
        *IN_THE_OTHER_ORDER[order],
    ]
    eye = torch.eye(2).double()
    p = MultivariateNormal(0 * eye[0], torch.tensor([[0.4**2 + 0.7**2, 0.4], [0.4, 1.0]]).double())
    exact = 0.0
    for m in (0.3, 1.0):
        by_z = torch.stack([torch.ones(()).double(), slope])
        spread = 0.25 * torch.outer(by_z, by_z) + 0.09 * torch.diag(eye[1])
        exact = exact + kl_divergence(MultivariateNormal(m * by_z, spread), p)
    divergence = "KL[q(z_{1:T},s_{1:T}|x_{1:T})||p(z_{1:T},s_{1:T})]"
    objective = sd.Objective(divergence, *factors, s=1, z=1)
    unbiased(objective, x, slope, exact)


def test_first_steps_of_their_own_read_each_other():
    model, x = TwoLatents(), data()
    z_begin, s_begin, s_prior = (Gaussian(n, m).double() for n, m in ((4, 2), (6, 3), (2, 3)))
    firsts = [
        sd.Normal("q(z_1|x_1)", z_begin),
        sd.Normal("q(s_1|z_1,x_1)", s_begin),
        sd.Normal("p(z_1)", loc=0.0, scale=1.0, event_shape=2),
        sd.Normal("p(s_1|z_1)", s_prior),
    ]
    objective = sd.Objective(WAYS["whole sequences"], *model.factors, *firsts)
    torch.manual_seed(3)
    found = objective(x=spoiled(x, LENGTHS), T=T)
    torch.manual_seed(3)
    order, total = sorted(range(4), key=lambda b: -LENGTHS[b]), 0.0
    begun = [torch.randn(4, size, dtype=x.dtype) for size in (2, 3)]
    noise = {(b, 0): (begun[0][b], begun[1][b]) for b in range(4)}
    for t in range(1, 6):
        running = [b for b in order if LENGTHS[b] > t]
        drawn = [torch.randn(len(running), size, dtype=x.dtype) for size in (2, 3)]
        noise |= {(b, t): (drawn[0][i], drawn[1][i]) for i, b in enumerate(running)}
    for b, length in enumerate(LENGTHS):
        z = s = None
        for t in range(length):
            now = x[b, t][None]
            q = Normal(*(model.z_infer(z, now) if t else z_begin(now)))
            p = Normal(*(model.z_move(z) if t else (torch.zeros(1, 2), torch.ones(1, 2))))
            z = q.mean + q.stddev * noise[b, t][0]
            q_s = Normal(*(model.s_infer(z, s, now) if t else s_begin(z, now)))
            p_s = Normal(*(model.s_move(z, s) if t else s_prior(z)))
            s = q_s.mean + q_s.stddev * noise[b, t][1]
            total = total + Bernoulli(logits=model.decode(z, s)).log_prob(now).sum()
            total = total - kl_divergence(q, p).sum() - kl_divergence(q_s, p_s).sum()
    own = [p for part in (z_begin, s_begin, s_prior) for p in part.parameters()]
    same(found, total / 4, [*model.parameters, *own], EXACT)


def test_several_paths_of_latents_without_memory_are_as_many_as_asked_for():
    torch.manual_seed(0)
    infer, second, decode = Gaussian(4, 2).double(), Gaussian(6, 3).double(), Counted(5, 4).double()
    factors = [
        sd.Normal("q(z_t|x_t)", infer),
        sd.Normal("q(s_t|z_t,x_t)", second),
        sd.Bernoulli("p(x_t|z_t,s_t)", decode),
    ]
    text = "E_q(z_{1:T},s_{1:T}|x_{1:T})[log sum_{t=1}^T p(x_t|z_t,s_t)]"
    objective = sd.Objective(text, *factors, samples=5)
    rows = []
    decode.register_forward_hook(lambda _, given, found: rows.append(found.shape[0]))
    found = objective(x=spoiled(data(), LENGTHS), T=T)
    assert sum(rows) == 5 * sum(LENGTHS) and found.ndim == 0


def test_a_first_step_in_the_other_order_is_compared_as_a_whole():
    """Of the prior, the first step of z alone reads s, which the posterior draws from z."""
    torch.manual_seed(0)
    slope, x = nn.Parameter(torch.tensor(2.0).double()), torch.tensor([[[0.3]]]).double()
    factors = [
        sd.Normal("q(z_t|x_t)", lambda x: (x, torch.full_like(x, 0.5))),
        sd.Normal("q(s_t|z_t)", lambda z, slope=slope: (slope * z, torch.full_like(z, 0.3))),
        sd.Normal("p(s_t)", loc=0.0, scale=1.0),
        sd.Normal("p(z_1|s_1)", lambda s: (0.4 * s, torch.full_like(s, 0.7))),
        sd.Normal("p(z_t|z_{t-1})", lambda z: (z, torch.ones_like(z))),
    ]
    p = MultivariateNormal(torch.zeros(2).double(), torch.tensor([[0.65, 0.4], [0.4, 1.0]]).double())
    by_z = torch.stack([torch.ones(()).double(), slope])
    spread = 0.25 * torch.outer(by_z, by_z) + 0.09 * torch.diag(torch.tensor([0.0, 1.0]).double())
    exact = kl_divergence(MultivariateNormal(0.3 * by_z, spread), p)
    objective = sd.Objective("KL[q(z_{1:T},s_{1:T}|x_{1:T})||p(z_{1:T},s_{1:T})]", *factors, s=1, z=1)
    unbiased(objective, x, slope, exact)


def test_a_first_step_in_another_order_than_the_others_is_refused():
    def normal(notation):
        return sd.Normal(notation, lambda *given: (given[-1], torch.ones_like(given[-1])))

    laws = ["q(z_1|x_1)", "q(z_t|x_t,s_t)", "q(s_1|z_1)", "q(s_t|s_{t-1})"]
    with pytest.raises(NameResolutionError, match="depend on each other in a circle") as caught:
        sd.Objective("E_q(z_{1:T},s_{1:T}|x_{1:T})[sum_{t=1}^T ||z_t||^2]", *map(normal, laws), z=2, s=2)
    assert "as in the first" in caught.value.hint


def unbiased(objective, x, slope, exact):
    """Value and gradient by `slope` are right in the mean, to four standard errors of 40 batches."""
    found = []
    for _ in range(40):
        value = objective(x=x.expand(1000, -1, -1))
        found.append(torch.stack([value.detach(), *torch.autograd.grad(value, slope)]))
    found, wanted = torch.stack(found), torch.stack([exact.detach(), *torch.autograd.grad(exact, slope)])
    assert ((found.mean(0) - wanted).abs() < 4 * found.std(0) / 40**0.5).all()
