"""Steps before and after that of now in sums over time, against loops over sequences and steps."""

from __future__ import annotations

import pytest
import torch
from time_models import DMM, Cell, Counted, Gaussian, calls, data, noise_of, same, spoiled
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd
from symdgm.errors import NotSupportedError

LENGTHS = [3, 6, 1, 4]
T = torch.tensor(LENGTHS)
EXACT = 1e-10


def seeded(objective, **values):
    torch.manual_seed(3)
    return objective(**values)


def parameters(*parts):
    return [p for part in parts for p in part.parameters()]


def ragged(given):
    """The data, and the lengths that they have."""
    x = data()
    return ({"x": spoiled(x, LENGTHS), "T": T}, LENGTHS) if given else ({"x": x}, [6] * 4)


NEXT = {
    "from the second step": "sum_{t=2}^T log p(x_t|x_{t-1})",
    "to the last but one": "sum_{t=1}^{T-1} log p(x_{t+1}|x_t)",
    "from before the first": "sum_{t=0}^{T-2} log p(x_{t+2}|x_{t+1})",
    "as a product": "log prod_{t=1}^{T-1} p(x_{t+1}|x_t)",
}


@pytest.mark.parametrize("declared", ["p(x_t|x_{t-1})", "p(x_{t+1}|x_t)"])
@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("form", NEXT)
def test_the_next_step_given_this_one(form, lengths, declared):
    torch.manual_seed(0)
    network, (values, ends) = Counted(4, 4).double(), ragged(lengths)
    objective = sd.Objective(NEXT[form], sd.Bernoulli(declared, network))
    found, total = objective(values), 0.0
    for b, length in enumerate(ends):
        for t in range(length - 1):
            law = Bernoulli(logits=network(values["x"][b, t]))
            total = total + law.log_prob(values["x"][b, t + 1]).sum()
    same(found, total / 4, parameters(network), EXACT)
    count = calls(network)
    objective(values)
    assert count() == [1]


@pytest.mark.parametrize("lengths", [True, False])
def test_sums_and_means_that_end_before_the_sequences(lengths):
    torch.manual_seed(0)
    network, (values, ends) = Counted(4, 4).double(), ragged(lengths)
    p = sd.Bernoulli("p(x_t|x_{t-1})", network)
    for kind, first, dropped in (("sum", 1, 1), ("sum", 2, 1), ("sum", 1, 3), ("mean", 1, 0), ("mean", 2, 1)):
        last = f"T-{dropped}" if dropped else "T"
        rows = [b for b, end in enumerate(ends) if kind == "sum" or end >= first + dropped]
        text = f"{kind}_{{t={first}}}^{{{last}}} log p(x_t|x_{{t-1}})"
        found = sd.Objective(text, p)({name: value[rows] for name, value in values.items()})
        wanted = []
        for b in rows:
            before = torch.cat([torch.zeros(1, 4).double(), values["x"][b, : ends[b] - 1]])
            log = Bernoulli(logits=network(before)).log_prob(values["x"][b, : ends[b]]).sum(-1)
            log = log[first - 1 : len(log) - dropped]
            wanted.append(log.mean() if kind == "mean" else log.sum())
        same(found, torch.stack(wanted).mean(), parameters(network), EXACT)


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("count", [1, 3])
def test_later_steps_along_a_path(lengths, count):
    model, (values, ends) = DMM(), ragged(lengths)
    tell = Counted(2, 4).double()
    factors = [*model.factors, sd.Bernoulli("p_n(x_{t+1}|z_t)", tell)]
    text = (
        "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T log p(x_t|z_t) "
        "+ sum_{t=1}^{T-1} (log p(z_{t+1}|z_t) + log p_n(x_{t+1}|z_t) - log q(z_{t+1}|z_t,h_{t+1}))]"
    )
    objective = sd.Objective(text, *factors, z_0=model.start, samples=count, analytic=False)
    found, x = seeded(objective, **values), values["x"]
    torch.manual_seed(3)
    order = sorted(range(4), key=lambda b: -ends[b])
    noise, total = {}, 0.0
    for t in range(max(ends)):
        running = [b for b in order if ends[b] > t]
        drawn = torch.randn(*([count] if count > 1 else []), len(running), 2, dtype=x.dtype)
        noise |= {(b, t): drawn[..., i, :].reshape(count, 2) for i, b in enumerate(running)}
    for b, end in enumerate(ends):
        z, h = model.start.expand(count, 2), model.states(x[b, :end])
        for t in range(end):
            q, p = Normal(*model.combine(z, h[t].expand(count, 5))), Normal(*model.transition(z))
            if t:
                total = total + Bernoulli(logits=tell(z)).log_prob(x[b, t]).sum()
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=model.emit(z)).log_prob(x[b, t]).sum()
            total = total + ((p.log_prob(z) - q.log_prob(z)).sum() if t else 0)
    same(found, total / 4 / count, [*model.parameters, *parameters(tell)], EXACT)


@pytest.mark.parametrize("lengths", [True, False])
def test_an_earlier_step_of_a_path_without_a_beginning(lengths):
    torch.manual_seed(0)
    infer, move, (values, ends) = Gaussian(4, 2).double(), Gaussian(2, 2).double(), ragged(lengths)
    factors = [sd.Normal("q(z_t|x_t)", infer), sd.Normal("p(z_t|z_{t-1})", move)]
    text = "E_q(z_{1:T}|x_{1:T})[sum_{t=2}^T log p(z_t|z_{t-1})]"
    found, x = seeded(sd.Objective(text, *factors), **values), values["x"]
    torch.manual_seed(3)
    noise, total = noise_of(ends, 2, at_once=True), 0.0
    for b, end in enumerate(ends):
        q = Normal(*infer(x[b, :end]))
        z = q.mean + q.stddev * torch.stack([noise[b, t] for t in range(end)])
        total = total + Normal(*move(z[:-1])).log_prob(z[1:]).sum()
    same(found, total / 4, parameters(infer, move), EXACT)


def test_a_step_before_the_first_is_not_read():
    """The law of a step that no sum reads would have no finite density at zero."""
    scale = nn.Linear(1, 1).double()
    p = sd.Normal("p(y_t|y_{t-1})", lambda y: (scale(y), y))
    y = torch.rand(3, 4, 1).double() + 0.5
    found = sd.Objective("sum_{t=2}^T log p(y_t|y_{t-1})", p)(y=y)
    same(found, Normal(scale(y[:, :-1]), y[:, :-1]).log_prob(y[:, 1:]).sum() / 3, parameters(scale), EXACT)


TD_VAE = {
    "t": """sum_{t=2}^T E_p_b(z_t|b_t)[
        E_q(z_{t-1}|z_t,b_{t-1},b_t)[log p_d(x_t|z_t) + log p_t(z_t|z_{t-1}) - log p_b(z_t|b_t)]
        - KL[q(z_{t-1}|z_t,b_{t-1},b_t) || p_b(z_{t-1}|b_{t-1})]]""",
    "t+1": """sum_{t=1}^{T-1} E_p_b(z_{t+1}|b_{t+1})[
        E_q(z_t|z_{t+1},b_t,b_{t+1})[
            log p_d(x_{t+1}|z_{t+1}) + log p_t(z_{t+1}|z_t) - log p_b(z_{t+1}|b_{t+1})]
        - KL[q(z_t|z_{t+1},b_t,b_{t+1}) || p_b(z_t|b_t)]]""",
}
"""Gregor et al. (2019), Eq. 8, for neighbouring steps."""


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("declared", ["q(z_{t-1}|z_t,b_{t-1},b_t)", "q(z_t|z_{t+1},b_t,b_{t+1})"])
@pytest.mark.parametrize("way", TD_VAE)
def test_a_smoothing_posterior(way, declared, lengths):
    torch.manual_seed(0)
    read = nn.LSTM(4, 5, batch_first=True).double()
    believe, infer = Gaussian(5, 2).double(), Gaussian(12, 2).double()
    jump, decode = Gaussian(2, 2).double(), Counted(2, 4).double()
    factors = [
        sd.Deterministic("f(b_t|x_t,b_{t-1})", read),
        sd.Normal("p_b(z_t|b_t)", believe),
        sd.Normal(declared, infer),
        sd.Normal("p_t(z_t|z_{t-1})", jump),
        sd.Bernoulli("p_d(x_t|z_t)", decode),
    ]
    values, ends = ragged(lengths)
    found, x = seeded(sd.Objective(TD_VAE[way], *factors), **values), values["x"]
    torch.manual_seed(3)
    late, early = noise_of(ends, 2, at_once=True), noise_of(ends, 2, at_once=True)
    total = 0.0
    for b, end in enumerate(ends):
        beliefs = read(x[b, :end])[0]
        for t in range(1, end):
            now, before = beliefs[t][None], beliefs[t - 1][None]
            belief = Normal(*believe(now))
            z_2 = belief.mean + belief.stddev * late[b, t]
            q = Normal(*infer(z_2, before, now))
            z_1 = q.mean + q.stddev * early[b, t]
            total = total + Bernoulli(logits=decode(z_2)).log_prob(x[b, t]).sum()
            total = total + Normal(*jump(z_1)).log_prob(z_2).sum() + belief.entropy().sum()
            total = total - kl_divergence(q, Normal(*believe(before))).sum()
    same(found, total / 4, parameters(read, believe, infer, jump, decode), EXACT)


def test_a_shifted_factor_beside_the_posterior():
    """Two terms of one sum name one law at two steps; its network is called once."""
    torch.manual_seed(0)
    read, infer, believe = (
        nn.GRU(4, 5, batch_first=True).double(),
        Gaussian(4, 2).double(),
        Gaussian(5, 2).double(),
    )
    factors = [
        sd.Normal("q(z_t|x_t)", infer),
        sd.Deterministic("f(b_t|x_t,b_{t-1})", read),
        sd.Normal("p_b(z_t|b_t)", believe),
    ]
    text = (
        "E_q(z_{1:T}|x_{1:T})[sum_{t=2}^T (log p_b(z_{t-1}|b_{t-1}) - log q(z_t|x_t)) "
        "+ sum_{t=1}^T log p_b(z_t|b_t)]"
    )
    values, ends = ragged(True)
    objective = sd.Objective(text, *factors)
    found, x = seeded(objective, **values), values["x"]
    torch.manual_seed(3)
    noise, total = noise_of(ends, 2, at_once=True), 0.0
    for b, end in enumerate(ends):
        q, p = Normal(*infer(x[b, :end])), Normal(*believe(read(x[b, :end])[0]))
        z = q.mean + q.stddev * torch.stack([noise[b, t] for t in range(end)])
        total = total + p.log_prob(z)[:-1].sum() - q.log_prob(z)[1:].sum() + p.log_prob(z).sum()
    same(found, total / 4, parameters(infer, read, believe), EXACT)
    count = calls(believe)
    seeded(objective, **values)
    assert count() == [1]
    assert "shift of the index" in str(objective.derivation)


def test_a_state_of_the_step_before_in_all_factors():
    """The recurrence of VRNN as it is printed: h_t reads z_t, and all else reads h_{t-1}."""
    torch.manual_seed(0)
    encode, prior = Gaussian(9, 2).double(), Gaussian(5, 2).double()
    cell, decode = Cell(6, 5).double(), Counted(7, 4).double()
    factors = [
        sd.Normal("q(z_t|x_t,h_{t-1})", encode),
        sd.Normal("p(z_t|h_{t-1})", prior),
        sd.Deterministic("f(h_t|x_t,z_t,h_{t-1})", cell),
        sd.Bernoulli("p(x_t|z_t,h_{t-1})", decode),
    ]
    ways = [
        "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]",
        "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T (log p(x_t|z_t,h_{t-1}) - KL[q(z_t|x_t,h_{t-1})||p(z_t|h_{t-1})])]",
        "sum_{t=1}^T (E_q(z_t|x_t,h_{t-1})[log p(x_t|z_t,h_{t-1})] - KL[q(z_t|x_t,h_{t-1})||p(z_t|h_{t-1})])",
        "sum_{t=0}^{T-1} (E_q(z_{t+1}|x_{t+1},h_t)[log p(x_{t+1}|z_{t+1},h_t)] "
        "- KL[q(z_{t+1}|x_{t+1},h_t)||p(z_{t+1}|h_t)])",
    ]
    values, ends = ragged(True)
    for way in ways:
        found, x = seeded(sd.Objective(way, *factors), **values), values["x"]
        torch.manual_seed(3)
        noise, total = noise_of(ends, 2), 0.0
        for b, end in enumerate(ends):
            h = x.new_zeros(1, 5)
            for t in range(end):
                now = x[b, t][None]
                q, p = Normal(*encode(now, h)), Normal(*prior(h))
                z = q.mean + q.stddev * noise[b, t]
                total = total + Bernoulli(logits=decode(z, h)).log_prob(now).sum()
                total = total - kl_divergence(q, p).sum()
                h = cell(now, z, h)
        same(found, total / 4, parameters(encode, prior, cell, decode), EXACT)


def test_a_step_after_the_last():
    p = sd.Bernoulli("p(x_t|x_{t-1})", Counted(4, 4))
    words = r"`x_\{t\+1\}` is a step after the last, .*\n.*\n +\^\nwrite a sum to `T-1`"
    with pytest.raises(NotSupportedError, match=words):
        sd.Objective("sum_{t=1}^T log p(x_{t+1}|x_t)", p)


def shifted(x, by):
    """Steps so many steps earlier, zeros before the first."""
    return torch.cat([x.new_zeros(by, *x.shape[1:]), x])[: len(x)]


BEGUN = {
    "a value of the step before": ("f(h_t|x_{t-1})", "h_{t-1}", lambda read, x: read(shifted(x, 2))),
    "a recurrent module": ("f(h_t|x_{t-1},h_{t-1})", "h_t", lambda read, x: read(shifted(x, 1)[None])[0][0]),
    "a slice of the past": ("f(h_t|x_{<t})", "h_t", lambda read, x: read(shifted(x, 1)[None])[0][0]),
}


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("case", BEGUN)
def test_what_a_later_sum_reads_begins_with_the_sequence(case, lengths):
    torch.manual_seed(0)
    declared, given, states = BEGUN[case]
    read = Counted(4, 5) if case == "a value of the step before" else nn.GRU(4, 5, batch_first=True)
    read, tell, (values, ends) = read.double(), Counted(5, 4).double(), ragged(lengths)
    factors = [sd.Deterministic(declared, read), sd.Bernoulli(f"p(x_t|{given})", tell)]
    found, total = sd.Objective(f"sum_{{t=2}}^T log p(x_t|{given})", *factors)(values), 0.0
    for b, length in enumerate(ends):
        x = values["x"][b, :length]
        total = total + Bernoulli(logits=tell(states(read, x))).log_prob(x)[1:].sum()
    same(found, total / 4, parameters(read, tell), EXACT)
