"""The number of a step, actions, components and last steps in each of the three ways of writing a bound."""

from __future__ import annotations

import math

import pytest
import torch
from time_models import Counted, Gaussian, data, noise_of, same, spoiled
from torch import nn
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

import symdgm as sd

LENGTHS = [3, 6, 1, 4]
T = torch.tensor(LENGTHS)
EXACT = 1e-10
X = data()
A = torch.rand(4, 6, 3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
GIVEN = {"x": spoiled(X, LENGTHS), "T": T}


class Timed(nn.Module):
    """A network that also reads the number of the step."""

    def __init__(self, network):
        super().__init__()
        self.network = network.double()

    def forward(self, *values):
        *values, t = values
        return self.network(*values, t.to(values[0].dtype)[..., None].expand(*values[0].shape[:-1], 1))


def parameters(*parts):
    return [p for part in parts for p in part.parameters()]


def ways(q, p, emission, given="", prior=""):
    """The three ways of Figure 9 of Pixyz's paper."""
    path, law = f"q(z_{{1:T}}|x_{{1:T}}{given})", f"p(z_{{1:T}}{prior})"
    return {
        "whole": f"E_{path}[log p(x_{{1:T}}|z_{{1:T}})] - KL[{path}||{law}]",
        "sum": f"E_{path}[sum_{{t=1}}^T (log {emission} + log {p} - log {q})]",
        "step": f"sum_{{t=1}}^T (E_{q}[log {emission}] - KL[{q}||{p}])",
    }


def by_hand(infer, move, decode, actions=None):
    """The bound; each of the networks is called with the number of the step last."""
    noise, total = noise_of(LENGTHS, 2), 0.0
    for b, length in enumerate(LENGTHS):
        z, action = X.new_zeros(1, 2), X.new_zeros(1, 3)
        for t in range(length):
            now = X[b, t][None]
            extra = () if actions is None else (action,)
            number = torch.tensor([t + 1])
            q, p = Normal(*infer(z, now, *extra, number)), Normal(*move(z, *extra, number))
            z = q.mean + q.stddev * noise[b, t]
            total = total + Bernoulli(logits=decode(z, number)).log_prob(now).sum()
            total = total - kl_divergence(q, p).sum()
            action = A[b, t][None]
    return total / 4


TIMED = ways("q(z_t|z_{t-1},x_t,t)", "p(z_t|z_{t-1},t)", "p(x_t|z_t,t)")
ACTING = ways(
    "q(z_t|z_{t-1},x_t,a_{t-1},t)", "p(z_t|z_{t-1},a_{t-1},t)", "p(x_t|z_t,t)", ",a_{1:T}", "|a_{1:T}"
)
ALL_BUT_THE_LAST = ways(
    "q(z_t|z_{t-1},x_t,a_{t-1},t)", "p(z_t|z_{t-1},a_{t-1},t)", "p(x_t|z_t,t)", ",a_{<T}", "|a_{1:T-1}"
)


@pytest.mark.parametrize("way", TIMED)
def test_factors_that_depend_on_the_number_of_the_step(way):
    torch.manual_seed(0)
    infer, move, decode = Timed(Gaussian(7, 2)), Timed(Gaussian(3, 2)), Timed(Counted(3, 4))
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t,t)", infer),
        sd.Normal("p(z_t|z_{t-1},t)", move),
        sd.Bernoulli("p(x_t|z_t,t)", decode),
    ]
    torch.manual_seed(3)
    found = sd.Objective(TIMED[way], *factors, z_0=0.0, z=2)(GIVEN)
    torch.manual_seed(3)
    same(found, by_hand(infer, move, decode), parameters(infer, move, decode), EXACT)


@pytest.mark.parametrize("text", [*ACTING.values(), ALL_BUT_THE_LAST["whole"]])
def test_actions(text):
    torch.manual_seed(0)
    infer, move, decode = Timed(Gaussian(10, 2)), Timed(Gaussian(6, 2)), Timed(Counted(3, 4))
    factors = [
        sd.Normal("q(z_t|z_{t-1},x_t,a_{t-1},t)", infer),
        sd.Normal("p(z_t|z_{t-1},a_{t-1},t)", move),
        sd.Bernoulli("p(x_t|z_t,t)", decode),
    ]
    torch.manual_seed(3)
    found = sd.Objective(text, *factors, z_0=0.0, z=2)(GIVEN, a=spoiled(A, LENGTHS))
    torch.manual_seed(3)
    same(found, by_hand(infer, move, decode, A), parameters(infer, move, decode), EXACT)


def path(infer, move):
    """Each sequence's latents, priors and posteriors by a loop."""
    noise, found = noise_of(LENGTHS, 2), []
    for b, length in enumerate(LENGTHS):
        z, steps = X.new_zeros(1, 2), []
        for t in range(length):
            q, p = Normal(*infer(z, X[b, t][None])), Normal(*move(z))
            z = q.mean + q.stddev * noise[b, t]
            steps.append((z, q, p))
        found.append(steps)
    return found


W, U = (
    torch.tensor([0.5, 2.0]).double(),
    torch.randn(3, 2, generator=torch.Generator().manual_seed(1)).double(),
)
PATH = "E_q(z_{1:T}|x_{1:T})"
Q, P = "q(z_t|z_{t-1},x_t)", "p(z_t|z_{t-1})"
INSIDE = {
    "components of a latent": (
        f"{PATH}[sum_{{t=1}}^T sum_{{j=1}}^2 w_j z_{{t,j}}^2]",
        lambda steps, b, f: sum((W * z**2).sum() for z, _, _ in steps),
    ),
    "components of a divergence": (
        "sum_{t=1}^T sum_{j=1}^2 w_j KL[q(z_{t,j}|z_{t-1},x_t)||p(z_{t,j}|z_{t-1})]",
        lambda steps, b, f: sum((W * kl_divergence(q, p)).sum() for _, q, p in steps),
    ),
    "components of the data": (
        f"{PATH}[sum_{{t=2}}^T sum_{{j=1}}^4 (x_{{t,j}} - x_{{t-1,j}})^2 ||z_t||^2]",
        lambda steps, b, f: sum(
            ((X[b, t] - X[b, t - 1]) ** 2).sum() * (steps[t][0] ** 2).sum() for t in range(1, len(steps))
        ),
    ),
    "a mixture over a table": (
        f"sum_{{t=1}}^T E_{Q}[log(1/K sum_{{k=1}}^K p_u(x_t|z_t,u_k))]",
        lambda steps, b, f: sum(
            torch.stack(
                [Bernoulli(logits=f(z, u[None])).log_prob(X[b, t]).sum() - math.log(3) for u in U]
            ).logsumexp(0)
            for t, (z, _, _) in enumerate(steps)
        ),
    ),
    "a discount": (
        f"{PATH}[sum_{{t=1}}^T gamma^{{t-1}} ||z_t||^2]",
        lambda steps, b, f: sum(0.9**t * (z**2).sum() for t, (z, _, _) in enumerate(steps)),
    ),
    "the last step": (
        f"{PATH}[||z_T||^2 + <x_T, x_1>]",
        lambda steps, b, f: (steps[-1][0] ** 2).sum() + (X[b, len(steps) - 1] * X[b, 0]).sum(),
    ),
    "bare names": (
        "sum_{t=1}^T (E_q[||z_t||^2] - KL[q||p])",
        lambda steps, b, f: sum(  # the mean of the square is known
            (q.mean**2 + q.variance).sum() - kl_divergence(q, p).sum() for _, q, p in steps
        ),
    ),
    "stopped laws": (
        f"sum_{{t=1}}^T (0.8 KL[sg[{Q}]||{P}] + 0.2 KL[{Q}||sg[{P}]])",
        lambda steps, b, f: sum(
            0.8 * kl_divergence(still(q), p).sum() + 0.2 * kl_divergence(q, still(p)).sum()
            for _, q, p in steps
        ),
    ),
    "free nats": (
        f"sum_{{t=1}}^T max(1.5, KL[{Q}||{P}])",
        lambda steps, b, f: sum(kl_divergence(q, p).sum().clamp(min=1.5) for _, q, p in steps),
    ),
}


def still(law):
    return Normal(law.mean.detach(), law.stddev.detach())


@pytest.mark.parametrize("case", INSIDE)
def test_inside_of_a_step(case):
    text, wanted = INSIDE[case]
    torch.manual_seed(1)
    infer, move, decode = Gaussian(6, 2).double(), Gaussian(2, 2).double(), Counted(4, 4).double()
    factors = [sd.Normal(Q, infer), sd.Normal(P, move), sd.Bernoulli("p_u(x_t|z_t,u)", decode)]
    bound = {"w": W, "u": U, "gamma": 0.9}
    bound = {name: value for name, value in bound.items() if f"{name}_" in text or f"{name}^" in text}
    torch.manual_seed(3)
    found = sd.Objective(text, *factors, z_0=0.0, z=2, **bound)(GIVEN)
    torch.manual_seed(3)
    total = sum(wanted(steps, b, decode) for b, steps in enumerate(path(infer, move)))
    parts = (infer, *([move] if "p(" in text or "||p" in text else []), *([decode] if "u" in bound else []))
    same(found, total / 4, parameters(*parts), EXACT)


@pytest.mark.parametrize("lengths", [True, False])
def test_the_last_step_of_sequences_of_data(lengths):
    torch.manual_seed(0)
    read, tell, y = (
        nn.GRU(4, 5, batch_first=True).double(),
        Counted(5, 3).double(),
        torch.tensor([0, 2, 1, 1]),
    )
    factors = [sd.Deterministic("f(h_t|x_t,h_{t-1})", read), sd.Categorical("p(y|h_T)", tell)]
    predict = sd.Bernoulli("p(x_t|h_{t-1})", Counted(5, 4).double())
    objective = sd.Objective("log p(y|h_T) + 0 log p(x_{1:T})", *factors, predict)
    given = GIVEN if lengths else {"x": X}
    found, total = objective(given, y=y), 0.0
    for b, end in enumerate(LENGTHS if lengths else [6] * 4):
        total = total + Categorical(logits=tell(read(X[b, :end])[0][-1])).log_prob(y[b])
    same(found, total / 4, parameters(read, tell), EXACT)


def test_a_finite_variable_of_each_step():
    torch.manual_seed(0)
    guess, tell = Counted(4, 3).double(), nn.Embedding(3, 4).double()
    factors = [
        sd.Categorical("q(y_t|x_t)", guess),
        sd.Bernoulli("p(x_t|y_t)", tell),
        sd.Categorical("p(y_t)", probs=torch.ones(3).double() / 3),
    ]
    rows = [(b, t) for b, end in enumerate(LENGTHS) for t in range(end)]
    x = torch.stack([X[b, t] for b, t in rows])
    log = Bernoulli(logits=tell.weight[:, None]).log_prob(x).sum(-1)
    exact = (log - torch.tensor(3.0).double().log()).logsumexp(0).sum() / 4
    for text in ("sum_{t=1}^T log p(x_t)", "sum_{t=1}^T log sum_{y_t} p(x_t|y_t) p(y_t)"):
        same(sd.Objective(text, *factors[1:])(GIVEN), exact, parameters(tell), EXACT)
    q = Categorical(logits=guess(x))
    bound = (q.probs.T * log).sum() / 4 - kl_divergence(q, Categorical(torch.ones(3).double())).sum() / 4
    text = "sum_{t=1}^T (E_q(y_t|x_t)[log p(x_t|y_t)] - KL[q(y_t|x_t)||p(y_t)])"
    same(sd.Objective(text, *factors)(GIVEN), bound, parameters(tell, guess), EXACT)
