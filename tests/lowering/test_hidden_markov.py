"""Sums over the paths of finite latent chains, against enumeration of every path."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal

import symdgm as sd

K, LENGTHS = 3, torch.tensor([3, 6, 1, 4])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def double(*modules):
    return [m.double() for m in modules]


def rand(*shape):
    return nn.Parameter(torch.randn(*shape, dtype=torch.float64))


def with_nan(x):
    """A copy whose steps beyond each length are NaN."""
    beyond = torch.arange(x.shape[1]) >= LENGTHS[:, None]
    return x.masked_fill(beyond.reshape(*beyond.shape, *[1] * (x.ndim - 2)), math.nan)


def by_enumeration(start, move, observe):
    """``log p(x_{1:T})`` of each sequence, from log-probabilities by example, time and states."""
    found = []
    for b, length in enumerate(LENGTHS.tolist()):
        paths = itertools.product(range(len(start(b))), repeat=length)
        joint = [
            start(b)[p[0]]
            + sum(move(b, t, p[t - 1], p[t]) for t in range(1, length))
            + sum(observe(b, t, p[t]) for t in range(length))
            for p in paths
        ]
        found.append(torch.stack(joint).logsumexp(0))
    return torch.stack(found)


def agrees(objective, expected, trained, **data):
    """Values and gradients of an objective are those of the enumeration."""
    value = objective.per_example(T=LENGTHS, **{k: with_nan(v) if v.ndim > 1 else v for k, v in data.items()})
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad(value.sum(), trained)
    torch.testing.assert_close(found, torch.autograd.grad(expected.sum(), trained), rtol=1e-9, atol=1e-11)


def observations():
    return torch.randn(4, 6, 2, dtype=torch.float64)


def unit_normal(network):
    return lambda z: (network(z), torch.ones_like(network(z)))


def test_a_first_state_with_a_law_of_its_own():
    pi, (table, mean) = rand(K), double(nn.Embedding(K, K), nn.Embedding(K, 2))
    x = observations()
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.Categorical("p(z_1)", logits=pi),
        sd.Categorical("p(z_t|z_{t-1})", table),
        sd.Normal("p(x_t|z_t)", unit_normal(mean)),
    )
    expected = by_enumeration(
        lambda b: pi.log_softmax(-1),
        lambda b, t, i, j: table.weight.log_softmax(-1)[i, j],
        lambda b, t, k: Normal(mean.weight[k], 1.0).log_prob(x[b, t]).sum(),
    )
    agrees(objective, expected, [pi, table.weight, mean.weight], x=x)


def test_a_first_state_that_differs_by_example():
    table, mean, begin = double(nn.Embedding(K, K), nn.Embedding(K, 2), nn.Linear(2, K))
    x, w = observations(), torch.randn(4, 2, dtype=torch.float64)
    objective = sd.Objective(
        "log p(x_{1:T}|w)",
        sd.Categorical("p(z_1|w)", begin),
        sd.Categorical("p(z_t|z_{t-1})", table),
        sd.Normal("p(x_t|z_t)", unit_normal(mean)),
    )
    expected = by_enumeration(
        lambda b: begin(w[b]).log_softmax(-1),
        lambda b, t, i, j: table.weight.log_softmax(-1)[i, j],
        lambda b, t, k: Normal(mean.weight[k], 1.0).log_prob(x[b, t]).sum(),
    )
    parameters = [p for part in (table, mean, begin) for p in part.parameters()]
    value = objective.per_example(T=LENGTHS, x=with_nan(x), w=w)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    found, wanted = (torch.autograd.grad(v.sum(), parameters) for v in (value, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-11)


def test_actions_and_observations_before():
    move, mean, start = *double(nn.Linear(K + 1, K), nn.Linear(K, 2)), rand(K)
    x, a = observations(), torch.randn(4, 6, 1, dtype=torch.float64)
    hot = torch.eye(K, dtype=torch.float64)
    objective = sd.Objective(
        "log p(x_{1:T}|a_{1:T})",
        sd.OneHotCategorical("p(z_1)", logits=start),
        sd.OneHotCategorical("p(z_t|z_{t-1},a_{t-1})", lambda z, a: move(torch.cat([z, a], -1))),
        sd.Normal("p(x_t|z_t,x_{t-1})", lambda z, y: (mean(z) + 0.5 * y, torch.ones_like(y))),
    )
    expected = by_enumeration(
        lambda b: start.log_softmax(-1),
        lambda b, t, i, j: move(torch.cat([hot[i], a[b, t - 1]])).log_softmax(-1)[j],
        lambda b, t, k: Normal(mean(hot[k]) + 0.5 * (x[b, t - 1] if t else 0), 1.0).log_prob(x[b, t]).sum(),
    )
    agrees(objective, expected, [*move.parameters(), *mean.parameters(), start], x=x, a=a)


def test_a_value_before_the_first_state_and_several_elements():
    move, mean = double(nn.Linear(2, 2), nn.Linear(2, 2))
    x, before = observations(), nn.Parameter(torch.tensor([1.0, 0.0], dtype=torch.float64))
    states = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)

    def step(before):
        return Bernoulli(logits=move(before)[..., None, :]).log_prob(states).sum(-1)

    begun, table = step(before), step(states)
    emitted = Normal(mean(states), 1.0).log_prob(x[:, :, None]).sum(-1)
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.Bernoulli("p(z_t|z_{t-1})", move),
        sd.Normal("p(x_t|z_t)", unit_normal(mean)),
        z_0=before,
    )
    expected = by_enumeration(
        lambda b: begun, lambda b, t, i, j: table[i, j], lambda b, t, k: emitted[b, t, k]
    )
    agrees(objective, expected, [*move.parameters(), *mean.parameters(), before], x=x)


def test_a_number_before_the_first_state():
    table, mean, x = *double(nn.Embedding(K, K), nn.Embedding(K, 2)), observations()
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.Categorical("p(z_t|z_{t-1})", table),
        sd.Normal("p(x_t|z_t)", unit_normal(mean)),
        z_0=2,
    )
    move = table.weight.log_softmax(-1)
    expected = by_enumeration(
        lambda b: move[2],
        lambda b, t, i, j: move[i, j],
        lambda b, t, k: Normal(mean.weight[k], 1.0).log_prob(x[b, t]).sum(),
    )
    agrees(objective, expected, [table.weight, mean.weight], x=x)


def test_two_observations_and_what_has_no_steps():
    table, mean, rate = *double(nn.Embedding(K, K), nn.Embedding(K, 2)), rand(K)
    x, w = observations(), torch.randn(4, dtype=torch.float64)
    y = (torch.rand(4, 6) > 0.5).double()
    objective = sd.Objective(
        "log p(x_{1:T}, y_{1:T}|w)",
        sd.Categorical("p(z_t|z_{t-1})", table),
        sd.Normal("p(x_t|z_t,w)", lambda z, w: (mean(z) + w[:, None], torch.ones(len(z), 2).double())),
        sd.Bernoulli("p(y_t|z_t)", lambda z: rate[z]),
        z_0=0,
    )
    expected = by_enumeration(
        lambda b: table.weight.log_softmax(-1)[0],
        lambda b, t, i, j: table.weight.log_softmax(-1)[i, j],
        lambda b, t, k: (
            Normal(mean.weight[k] + w[b], 1.0).log_prob(x[b, t]).sum()
            + Bernoulli(logits=rate[k]).log_prob(y[b, t])
        ),
    )
    agrees(objective, expected, [table.weight, mean.weight, rate], x=x, y=y, w=w)


def test_transitions_that_follow_a_network_over_what_was_observed():
    rnn, move, mean = double(nn.GRU(2, 4, batch_first=True), nn.Linear(4 + K, K), nn.Linear(K, 2))
    x, before, hot = observations(), torch.full((K,), 1 / K).double(), torch.eye(K).double()
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.OneHotCategorical("p(z_t|z_{t-1},h_t)", lambda z, h: move(torch.cat([h, z], -1))),
        sd.Normal("p(x_t|z_t)", unit_normal(mean)),
        sd.Deterministic("h(h_t|x_{t-1},h_{t-1})", rnn),
        z_0=before,
    )
    states = rnn(torch.cat([torch.zeros(4, 1, 2).double(), x[:, :-1]], 1))[0]
    expected = by_enumeration(
        lambda b: move(torch.cat([states[b, 0], before])).log_softmax(-1),
        lambda b, t, i, j: move(torch.cat([states[b, t], hot[i]])).log_softmax(-1)[j],
        lambda b, t, k: Normal(mean(hot[k]), 1.0).log_prob(x[b, t]).sum(),
    )
    agrees(objective, expected, [*rnn.parameters(), *move.parameters(), *mean.parameters()], x=x)


def test_states_that_do_not_depend_on_each_other():
    pi, (mean,) = rand(K), double(nn.Embedding(K, 2))
    x = observations()
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.Categorical("p(z_t)", logits=pi),
        sd.Normal("p(x_t|z_t)", unit_normal(mean)),
    )
    mixture = pi.log_softmax(-1) + Normal(mean.weight, 1.0).log_prob(x[:, :, None]).sum(-1)
    there = torch.arange(6) < LENGTHS[:, None]
    agrees(objective, (mixture.logsumexp(-1) * there).sum(-1), [pi, mean.weight], x=x)


def test_impossible_transitions_have_gradients():
    (table, mean), x = double(nn.Embedding(K, K), nn.Embedding(K, 2)), observations()
    allowed = torch.ones(K, K).triu().double().log()
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.Categorical("p(z_1)", logits=torch.tensor([0.0, -math.inf, -math.inf]).double()),
        sd.Categorical("p(z_t|z_{t-1})", lambda z: (table.weight + allowed)[z]),
        sd.Normal("p(x_t|z_t)", unit_normal(mean)),
    )
    found = objective.per_example(x=x, T=LENGTHS)

    def start(b):
        return torch.tensor([0.0, -1e30, -1e30]).double()

    move = (table.weight + torch.ones(K, K).triu().double().log().clamp(min=-1e30)).log_softmax(-1)
    expected = by_enumeration(
        start,
        lambda b, t, i, j: move[i, j],
        lambda b, t, k: Normal(mean.weight[k], 1.0).log_prob(x[b, t]).sum(),
    )
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(found.sum(), [table.weight, mean.weight])
    torch.testing.assert_close(gradients, torch.autograd.grad(expected.sum(), [table.weight, mean.weight]))


def test_a_static_latent_around_a_chain():
    """With one path the estimate is unbiased for that with many: |z| < 4."""
    (table, mean), x = double(nn.Embedding(K, K), nn.Embedding(K, 2)), observations()
    c = torch.randn(4, 1, dtype=torch.float64)
    factors = [
        sd.Normal("q(w|c)", lambda c: (c, torch.full_like(c, 0.5))),
        sd.Categorical("p(z_t|z_{t-1})", table),
        sd.Normal("p(x_t|z_t,w)", lambda z, w: (mean(z) + w, torch.ones(len(z), 2).double())),
    ]
    text = "E_q(w|c)[log p(x_{1:T}|w)]"
    one = sd.Objective(text, *factors, z_0=0)
    many = sd.Objective(text, *factors, z_0=0, samples=4000)
    with torch.no_grad():
        draws = torch.stack([one(x=x, c=c, T=LENGTHS) for _ in range(400)])
        expected = many(x=x, c=c, T=LENGTHS)
    assert abs(draws.mean() - expected) < 4 * draws.std() / math.sqrt(350)


def test_long_sequences_in_single_precision():
    table, mean = nn.Embedding(4, 4), nn.Embedding(4, 8)
    x = torch.randn(3, 200, 8)
    factors = [sd.Categorical("p(z_t|z_{t-1})", table), sd.Normal("p(x_t|z_t)", unit_normal(mean))]
    objective = sd.Objective("log p(x_{1:T})", *factors, z_0=0)
    value = objective(x=x)
    gradients = torch.autograd.grad(value, [table.weight, mean.weight])
    double(table, mean)
    exact = sd.Objective("log p(x_{1:T})", *factors, z_0=0)(x=x.double())
    torch.testing.assert_close(value.double(), exact, rtol=1e-6, atol=0)
    wanted = torch.autograd.grad(exact, [table.weight, mean.weight])
    torch.testing.assert_close([g.double() for g in gradients], list(wanted), rtol=1e-3, atol=1e-3)


def test_the_code_reads_as_the_algorithm_and_each_network_runs_once():
    calls = []
    mean = nn.Embedding(K, 2)
    mean.register_forward_hook(lambda *_: calls.append(1))
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.Categorical("p(z_1)", logits=torch.zeros(K)),
        sd.Categorical("p(z_t|z_{t-1})", nn.Embedding(K, K)),
        sd.Normal("p(x_t|z_t)", lambda z: (mean(z), torch.ones(len(z), 2))),
    )
    objective(x=torch.zeros(2, 50, 2))
    assert len(calls) == 1
    assert "def forward_algorithm(" in objective.code and "import symdgm" not in objective.code
    assert "forward_algorithm(log_p_z_1, log_p_z_t, log_emission, counts)" in objective.code
    (step,) = [s for s in objective.derivation.steps if s.name == "forward algorithm"]
    assert step.kind.value == "equality" and "Rabiner" in step.reference
    assert "∑_{z_{1:T}}" in repr(objective.derivation)
