"""Sums over time that draw the same sequences along paths of their own, against loops by hand."""

from __future__ import annotations

import pytest
import torch
from test_several_latents import TwoLatents
from time_models import DMM, calls, data, same, spoiled
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd

LENGTHS = [3, 6, 1, 4]
EXACT = 1e-10
NOISE = 0.5
KL = "KL[q(z_t|z_{t-1},h_t) || p(z_t|z_{t-1})]"
STEPWISE = {
    "each step under its own law": f"sum_{{t=1}}^T E_q(z_t|x_{{1:T}})[log p(x_t|z_t)] "
    f"- sum_{{t=1}}^T E_q(z_{{t-1}}|x_{{1:T}})[{KL}]",
    "the first one apart": "sum_{t=1}^T E_q(z_t|x_{1:T})[log p(x_t|z_t)] "
    f"- sum_{{t=1}}^T {KL} + sum_{{t=2}}^T {KL} - sum_{{t=2}}^T E_q(z_{{t-1}}|x_{{1:T}})[{KL}]",
    "one step later": "sum_{t=1}^T E_q(z_t|x_{1:T})[log p(x_t|z_t)] "
    "- sum_{t=0}^{T-1} E_q(z_t|x_{1:T})[KL[q(z_{t+1}|z_t,h_{t+1}) || p(z_{t+1}|z_t)]]",
    "the step before around that of now": "sum_{t=1}^T E_q(z_{t-1}|x_{1:T})"
    f"[E_q(z_t|z_{{t-1}},h_t)[log p(x_t|z_t)] - {KL}]",
}


class Constant(dict):
    """The same noise wherever it is asked for."""

    def __missing__(self, key):
        return torch.full((2,), NOISE).double()


@pytest.fixture
def constant_noise(monkeypatch):
    """All normal noise is one number, so that what is drawn twice is drawn alike."""
    monkeypatch.setattr(torch, "randn_like", lambda like: torch.full_like(like, NOISE))


def ragged(given):
    x = data()
    return ({"x": spoiled(x, LENGTHS), "T": torch.tensor(LENGTHS)}, LENGTHS) if given else ({"x": x}, [6] * 4)


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("way", STEPWISE)
def test_laws_of_single_steps_share_one_path(way, lengths, constant_noise):
    model, (values, ends) = DMM(), ragged(lengths)
    objective = model.objective(STEPWISE[way])
    same(objective(values), model.by_hand(values["x"], ends, Constant()).mean(), model.parameters, EXACT)
    count = calls(model.combine, model.emit, model.transition)
    again = objective(values)
    assert count() == [6, 1, 1]
    assert again == objective(values)


@pytest.mark.parametrize("lengths", [True, False])
def test_the_divergences_from_the_second_step_on(lengths, constant_noise):
    model, (values, ends) = DMM(), ragged(lengths)
    found = model.objective(f"sum_{{t=2}}^T E_q(z_{{t-1}}|x_{{1:T}})[{KL}]")(values)
    total = 0.0
    for b, end in enumerate(ends):
        z, h = model.start[None], model.states(values["x"][b, :end])
        for t in range(end):
            q, p = Normal(*model.combine(z, h[t][None])), Normal(*model.transition(z))
            z = q.mean + q.stddev * NOISE
            total = total + (kl_divergence(q, p).sum() if t else 0)
    own = [*model.combine.parameters(), *model.transition.parameters(), model.start]
    same(found, total / 4, own, EXACT)


OVERLAPPING = {
    "a function": ("sum_{t=1}^T ||z_t||^2", lambda q, p, z: (z**2).sum()),
    "a log-ratio": (
        "sum_{t=1}^T (log q(z_t|z_{t-1},x_t) - log p(z_t|z_{t-1}))",
        lambda q, p, z: (q.log_prob(z) - p.log_prob(z)).sum(),
    ),
    "a divergence": (
        "sum_{t=1}^T KL[q(z_t|z_{t-1},x_t) || p(z_t|z_{t-1})]",
        lambda q, p, z: kl_divergence(q, p).sum(),
    ),
}


@pytest.mark.parametrize("options", [{}, {"checkpoint": 2}, {"samples": 3}], ids=str)
@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("body", OVERLAPPING)
def test_a_path_within_the_path_of_more(body, lengths, options, constant_noise):
    """The two paths are drawn apart: what one step of a loop makes is nothing in another loop."""
    model, (values, ends) = TwoLatents(), ragged(lengths)
    text, difference = OVERLAPPING[body]
    objective = sd.Objective(
        "E_q(z_{1:T},s_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T},s_{1:T})] - E_q(z_{1:T}|x_{1:T})[" + text + "]",
        *model.factors,
        **{"z_0": 0.0, "z": 2, "s_0": 0.0, "s": 3, "analytic": body == "a divergence", **options},
    )
    x, total = values["x"], 0.0
    for b, end in enumerate(ends):
        z, s = x.new_zeros(1, 2), x.new_zeros(1, 3)
        for t in range(end):
            now = x[b, t][None]
            q, p = Normal(*model.z_infer(z, now)), Normal(*model.z_move(z))
            z = q.mean + q.stddev * NOISE
            q_s = Normal(*model.s_infer(z, s, now))
            s = q_s.mean + q_s.stddev * NOISE
            total = total + Bernoulli(logits=model.decode(z, s)).log_prob(now).sum() - difference(q, p, z)
    own = [*model.z_infer.parameters(), *model.s_infer.parameters(), *model.decode.parameters()]
    same(objective(values), total / 4, own, EXACT)
    same(objective(values), total / 4, own, EXACT)
