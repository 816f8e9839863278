"""Sequences and pasts as papers write them: z_{<=T}, q(z_t|x_{<=t}, z_{<t}), E_{q(z_{<=t}|x_{<=t})}."""

from __future__ import annotations

import pytest
import torch
from time_models import DMM, WHOLE, Cell, Counted, Gaussian, data, noise_of, same, spoiled
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError

LENGTHS = [3, 6, 1, 4]
T = torch.tensor(LENGTHS)
EXACT = 1e-10
X = spoiled(data(), LENGTHS)
BOUND = {
    "up to T": WHOLE.replace("1:T", "<=T"),
    "in LaTeX": r"\mathbb{E}_{q(z_{\leq T}|x_{\le T})}[\sum_{t=1}^{T} \log p(x_t|z_t)] "
    r"- D_{KL}(q(z_{\leq T}|x_{\leq T})\|p(z_{\leq T}))",
    "in Unicode": "𝔼_q(z_{≤T}|x_{≤T})[∑_{t=1}^T log p(x_t|z_t)] − KL[q(z_{≤T}|x_{≤T}) ‖ p(z_{≤T})]",
    "up to t": "sum_{t=1}^T (E_q(z_{<=t}|x_{1:T})[log p(x_t|z_t)] "
    "- E_q(z_{<t}|x_{1:T})[KL[q(z_t|z_{t-1},h_t)||p(z_t|z_{t-1})]])",
    "given the past": "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T (log p(x_t|x_{<t},z_{<=t}) "
    "- KL[q(z_t|z_{<t},x_{1:T})||p(z_t|z_{<t})])]",
    "given whole sequences": "sum_{t=1}^T (E_q(z_t|z_{t-1},x_{1:T})[log p(x_t|z_t)] "
    "- KL[q(z_t|z_{t-1},x_{1:T})||p(z_t|z_{t-1})])",
    "given the rest": "sum_{t=1}^T (E_q(z_t|z_{t-1},x_{t:T})[log p(x_t|z_t)] "
    "- KL[q(z_t|z_{t-1},x_{t:T})||p(z_t|z_{t-1})])",
    "Krishnan et al. (2017), eq. 6": r"\sum_{t=1}^T \mathbb{E}_{q_\phi(z_t|x_{1:T})}[\log p_\theta(x_t|z_t)] "
    r"- \sum_{t=1}^T \mathbb{E}_{q_\phi(z_{t-1}|x_{1:T})}"
    r"[\mathrm{KL}(q_\phi(z_t|z_{t-1},x_{1:T})\|p_\theta(z_t|z_{t-1}))]",
    "given the states": "E_q(z_{1:T}|h_{1:T})[sum_{t=1}^T (log p(x_t|z_t) "
    "- KL[q(z_t|z_{t-1},h_{1:T})||p(z_t|z_{t-1})])]",
}


@pytest.mark.parametrize("form", BOUND)
def test_the_bound_of_a_deep_markov_model(form):
    model = DMM()
    torch.manual_seed(3)
    found = model.objective(BOUND[form])(x=X, T=T)
    torch.manual_seed(3)
    same(found, model.by_hand(X, LENGTHS, noise_of(LENGTHS, 2)).mean(), model.parameters, EXACT)


VRNN = [
    "E_q(z_{<=T}|x_{<=T})[sum_{t=1}^T (log p(x_t|z_{<=t},x_{<t}) "
    "- KL[q(z_t|x_{<=t},z_{<t})||p(z_t|x_{<t},z_{<t})])]",
    "sum_{t=1}^T (E_q(z_t|x_{<=t},z_{<t})[log p(x_t|z_{<=t},x_{<t})] "
    "- KL[q(z_t|x_{<=t},z_{<t})||p(z_t|x_{<t},z_{<t})])",
    "sum_{t=0}^{T-1} (E_q(z_{t+1}|x_{<=t+1},z_{<=t})[log p(x_{t+1}|z_{<=t+1},x_{<=t})] "
    "- KL[q(z_{t+1}|x_{<=t+1},z_{<=t})||p(z_{t+1}|x_{<=t},z_{<=t})])",
    "sum_{t=1}^T E_q(z_t|x_{<=t},z_{<t})[log p(x_t,z_t|z_{<t},x_{<t}) - log q(z_t|x_{<=t},z_{<t})]",
]
"""Chung et al. (2015), Eq. 11, whose recurrent state is written as all of the past."""


@pytest.mark.parametrize("text", VRNN)
def test_laws_that_are_given_all_of_the_past(text):
    torch.manual_seed(0)
    encode, prior = Gaussian(9, 2).double(), Gaussian(5, 2).double()
    cell, decode = Cell(6, 5).double(), Counted(7, 4).double()
    factors = [
        sd.Normal("q(z_t|x_t,h_{t-1})", encode),
        sd.Normal("p(z_t|h_{t-1})", prior),
        sd.Deterministic("f(h_t|x_t,z_t,h_{t-1})", cell),
        sd.Bernoulli("p(x_t|z_t,h_{t-1})", decode),
    ]
    torch.manual_seed(3)
    found = sd.Objective(text, *factors)(x=X, T=T)
    torch.manual_seed(3)
    noise, total = noise_of(LENGTHS, 2), 0.0
    for b, length in enumerate(LENGTHS):
        h = X.new_zeros(1, 5)
        for t in range(length):
            now = X[b, t][None]
            q, p = Normal(*encode(now, h)), Normal(*prior(h))
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=decode(z, h)).log_prob(now).sum() - kl_divergence(q, p).sum()
            h = cell(now, z, h)
    parts = (encode, prior, cell, decode)
    same(found, total / 4, [p for part in parts for p in part.parameters()], EXACT)


UNKNOWN = {
    "more than the past": (
        "E_q(z_t|x_{<t},z_{<t})[log p(x_t|z_t)]",
        r"`q\(z_t\|x_\{<t\}, z_\{<t\}\)` is no factor",
    ),
    "another past": ("E_q(z_t|x_{<=t})[log p(x_t|z_t)]", r"`q\(z_t\|x_\{<=t\}\)` is no factor"),
    "a state of later steps": ("E_r(z_t|x_{<=t})[log p(x_t|z_t)]", r"`r\(z_t\|x_\{<=t\}\)` is no factor"),
    "no such variable": ("E_q(w_t|x_{<=t},w_{<t})[log p(x_t|w_t)]", r"`q\(w_t\|.*\)` is no factor"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_a_factor_that_needs_more_than_it_is_given(case):
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(6, 2)),
        sd.Deterministic("f(h_t|x_t,h_{t+1})", nn.GRU(4, 5)),
        sd.Normal("r(z_t|h_t)", Gaussian(5, 2)),
        sd.Bernoulli("p(x_t|z_t)", Counted(2, 4)),
    ]
    text, words = UNKNOWN[case]
    with pytest.raises(NameResolutionError, match=words):
        sd.Objective(f"sum_{{t=1}}^T {text}", *factors, z_0=0.0, z=2)


def test_a_block_in_the_notation_of_a_paper():
    torch.manual_seed(0)
    encode, prior = Gaussian(9, 2).double(), Gaussian(5, 2).double()
    cell, decode = Cell(6, 5).double(), Counted(7, 4).double()
    model = sd.Model(
        """
        p(z_t|h_{t-1}) = Normal(z_t; prior(h_{t-1}))
        p(x_t|z_t,h_{t-1}) = Bernoulli(x_t; logits = decode(z_t, h_{t-1}))
        q(z_t|x_t,h_{t-1}) = Normal(z_t; encode(x_t, h_{t-1}))
        h_t = cell(x_t, z_t, h_{t-1})
        h_0 = 0
        maximize E_q(z_{<=T}|x_{<=T})[sum_{t=1}^T (log p(x_t|z_{<=t},x_{<t})
            - KL[q(z_t|x_{<=t},z_{<t})||p(z_t|x_{<t},z_{<t})])]
        """,
        prior=prior, decode=decode, encode=encode, cell=cell, x=4, z=2, h=5,
    )  # fmt: skip
    factors = [
        sd.Normal("q(z_t|x_t,h_{t-1})", encode),
        sd.Normal("p(z_t|h_{t-1})", prior),
        sd.Deterministic("f(h_t|x_t,z_t,h_{t-1})", cell),
        sd.Bernoulli("p(x_t|z_t,h_{t-1})", decode),
    ]
    torch.manual_seed(3)
    found = model.objective(x=X, T=T)
    torch.manual_seed(3)
    assert found == sd.Objective(VRNN[0], *factors)(x=X, T=T)


@pytest.mark.parametrize("given", ["x_{t-1}", "x_{1:T}"])
def test_an_earlier_step_of_a_law_without_memory_begins_where_the_sequence_does(given, monkeypatch):
    """Drawn from ``q(z_{t-1}|x_{t-1})``, the step before the first is the value that was given for it."""
    monkeypatch.setattr(torch, "randn_like", lambda like: torch.full_like(like, 0.5))
    torch.manual_seed(0)
    infer, move, start = Gaussian(4, 2).double(), Gaussian(2, 2).double(), torch.tensor([1.0, -2.0]).double()
    factors = [sd.Normal("q(z_t|x_t)", infer), sd.Normal("p(z_t|z_{t-1})", move)]
    text = f"sum_{{t=1}}^T E_q(z_{{t-1}}|{given})[KL[q(z_t|x_t)||p(z_t|z_{{t-1}})]]"
    found, total = sd.Objective(text, *factors, z_0=start)(x=X, T=T), 0.0
    for b, length in enumerate(LENGTHS):
        z = start[None]
        for t in range(length):
            q, p = Normal(*infer(X[b, t][None])), Normal(*move(z))
            total, z = total + kl_divergence(q, p).sum(), q.mean + q.stddev * 0.5
    same(found, total / 4, [*infer.parameters(), *move.parameters()], EXACT)


def test_a_draw_of_a_step_before_the_first_of_which_nothing_is_known():
    factors = [sd.Normal("q(z_t|x_t)", Gaussian(4, 2)), sd.Normal("p(z_t|z_{t-1})", Gaussian(2, 2))]
    body = "E_q(z_{t-1}|x_{t-1})[KL[q(z_t|x_t)||p(z_t|z_{t-1})]]"
    with pytest.raises(
        NameResolutionError, match=r"`z_\{t-1\}` is drawn where `t` is 1.*\n.*\n +\^\nbind `z_0="
    ):
        sd.Objective(f"sum_{{t=1}}^T {body}", *factors)
    assert sd.Objective(f"sum_{{t=2}}^T {body}", *factors)(x=X.float(), T=T).isfinite()


def test_a_law_of_one_variable_given_a_whole_sequence():
    """It is one of the last state of a recurrence, by either name; no network reads it itself."""
    torch.manual_seed(0)
    read, guess, emit = nn.GRU(4, 5).double(), Gaussian(5, 2).double(), Counted(2, 4).double()
    shared = [sd.Normal("p(s)", loc=0.0, scale=1.0, event_shape=2), sd.Bernoulli("p(x_t|s)", emit)]
    text = "E_q(s|{0})[log p(x_{{1:T}}|s)] - KL[q(s|{0})||p(s)]"
    factors = [*shared, sd.Deterministic("g(g_t|x_t,g_{t-1})", read), sd.Normal("q(s|g_T)", guess)]
    values = []
    for given in ("x_{1:T}", "g_T"):
        torch.manual_seed(3)
        values.append(sd.Objective(text.format(given), *factors)(x=X, T=T))
    same(values[0], values[1], [*read.parameters(), *guess.parameters(), *emit.parameters()], EXACT)
    with pytest.raises(
        NotSupportedError, match=r"(?s)`q\(s\|x_\{1:T\}\)` is given a whole sequence.*`q\(s\|h_T\)`"
    ):
        sd.Objective(text.format("x_{1:T}"), *shared, sd.Normal("q(s|x_{1:T})", Gaussian(4, 2)))
