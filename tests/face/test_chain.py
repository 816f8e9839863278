"""Posteriors of latent chains: by enumeration of paths, and by the dense Gaussian."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

import symdgm as sd

LENGTHS = torch.tensor([3, 6, 1, 4])
DRAWS = 2000


def seeded(seed=0):
    torch.manual_seed(seed)


@pytest.fixture
def hidden():
    with torch.random.fork_rng():
        seeded()
        start, table, mean = torch.randn(3).double(), nn.Embedding(3, 3).double(), nn.Embedding(3, 2).double()
        chain = sd.Chain(
            "p(x_{1:T})",
            sd.Categorical("p(z_1)", logits=start),
            sd.Categorical("p(z_t|z_{t-1})", table),
            sd.Normal("p(x_t|z_t)", lambda z: (mean(z), torch.ones(len(z), 2).double())),
        )
        yield chain, (start, table.weight.detach(), mean.weight.detach()), torch.randn(4, 6, 2).double()


def paths(tables, x):
    """All paths of one sequence, and the probability of each given the observations."""
    start, move, mean = tables[0].log_softmax(-1), tables[1].log_softmax(-1), tables[2]
    found, move = list(itertools.product(range(3), repeat=len(x))), move.expand(max(len(x), len(move)), 3, 3)
    logs = [
        start[p[0]]
        + sum(move[t, i, j] for t, (i, j) in enumerate(itertools.pairwise(p), 1))
        + sum(Normal(mean[k], 1.0).log_prob(v).sum() for k, v in zip(p, x, strict=True))
        for p in found
    ]
    return torch.tensor(found), torch.stack(logs).softmax(0)


def test_states_by_enumeration(hidden):
    chain, tables, x = hidden
    beyond = (torch.arange(6) >= LENGTHS[:, None])[..., None]
    data = {"x": x.masked_fill(beyond, math.nan), "T": LENGTHS}
    smooth, filtered, best = chain.smooth(**data), chain.filter(**data), chain.most_probable(data)
    assert smooth.states.tolist() == [0, 1, 2]
    for b, length in enumerate(LENGTHS.tolist()):
        for t in range(length):
            known, weight = paths(tables, x[b, : t + 1])
            shares = torch.stack([weight[known[:, t] == k].sum() for k in range(3)])
            torch.testing.assert_close(filtered.probs[b, t], shares)
        known, weight = paths(tables, x[b, :length])
        shares = torch.stack([(weight[:, None] * (known == k)).sum(0) for k in range(3)], -1)
        torch.testing.assert_close(smooth.probs[b, :length], shares)
        assert best[b, :length].tolist() == known[weight.argmax()].tolist()
        assert smooth.probs[b, length:].count_nonzero() == 0 and best[b, length:].count_nonzero() == 0


def test_drawn_states_have_the_law_of_the_posterior(hidden):
    """Single states, and pairs of neighbours: |z| < 4."""
    chain, tables, x = hidden
    seeded(1)
    rows = {"x": x[:2].repeat_interleave(DRAWS, 0), "T": LENGTHS[:2].repeat_interleave(DRAWS)}
    drawn = chain.sample(**rows).unflatten(0, (2, DRAWS))
    for b, length in enumerate(LENGTHS[:2].tolist()):
        known, weight = paths(tables, x[b, :length])
        for same in ((lambda z: z[:, 1] == 2), (lambda z: z[:, 0] == z[:, 1]), (lambda z: z[:, -1] == 0)):
            p = weight[same(known)].sum()
            z = (same(drawn[b, :, :length]).double().mean() - p) / (p * (1 - p) / DRAWS).sqrt()
            assert abs(z) < 4


@pytest.fixture
def moved():
    """Sequences whose states move by what is given at each step."""
    with torch.random.fork_rng():
        seeded()
        start, mean = torch.randn(3).double(), nn.Embedding(3, 2).double()
        table, read = nn.Embedding(3, 3).double(), nn.Linear(1, 9).double()
        a, x = 3 * torch.randn(4, 6, 1).double(), torch.randn(4, 6, 2).double()

        def move(z, a):
            return table(z) + read(a).unflatten(-1, (3, 3))[torch.arange(len(z)), z]

        chain = sd.Chain(
            "p(x_{1:T}|a_{1:T})",
            sd.Categorical("p(z_1)", logits=start),
            sd.Categorical("p(z_t|z_{t-1},a_t)", move),
            sd.Normal("p(x_t|z_t)", lambda z: (mean(z), torch.ones(len(z), 2).double())),
        )
        moves = table.weight.detach() + read(a).detach().unflatten(-1, (3, 3))
        yield chain, start, moves, mean.weight.detach(), {"x": x, "a": a, "T": LENGTHS}


def test_states_that_move_by_what_is_given_at_each_step(moved):
    chain, start, moves, mean, data = moved
    smooth, best = chain.smooth(**data), chain.most_probable(**data)
    for b, length in enumerate(LENGTHS.tolist()):
        known, weight = paths((start, moves[b], mean), data["x"][b, :length])
        shares = torch.stack([(weight[:, None] * (known == k)).sum(0) for k in range(3)], -1)
        torch.testing.assert_close(smooth.probs[b, :length], shares)
        assert best[b, :length].tolist() == known[weight.argmax()].tolist()


def test_drawn_states_move_by_what_is_given_at_each_step(moved):
    """The most probable states of neighbouring steps: |z| < 4 for each of the five pairs."""
    chain, start, moves, mean, data = moved
    seeded(1)
    drawn = chain.sample(**{name: value[1:2].repeat_interleave(DRAWS, 0) for name, value in data.items()})
    known, weight = paths((start, moves[1], mean), data["x"][1])
    for t in range(5):
        pairs = 3 * known[:, t] + known[:, t + 1]
        shares = torch.zeros(9).double().index_add(0, pairs, weight)
        p, pair = shares.max(0)
        share = (3 * drawn[:, t] + drawn[:, t + 1] == pair).double().mean()
        assert abs(share - p) < 4 * (p * (1 - p) / DRAWS).sqrt()


def test_sequences_of_one_length_need_no_lengths(hidden):
    chain, _, x = hidden
    whole = chain.smooth(x=x)
    torch.testing.assert_close(whole.probs, chain.smooth(x=x, T=torch.full((4,), 6)).probs)
    torch.testing.assert_close(chain.log_prob(x), chain.log_prob(x=x, T=torch.full((4,), 6)))
    assert repr(chain) == "Chain(p(x_{1:T}), finite)"


@pytest.fixture
def linear():
    with torch.random.fork_rng():
        seeded()
        a, c = 0.6 * torch.randn(2, 2).double(), nn.Linear(2, 3).double()
        chain = sd.Chain(
            "p(x_{1:T})",
            sd.LinearNormal("p(z_t|z_{t-1})", a, torch.ones(2).double(), scale=0.7),
            sd.Normal("p(x_t|z_t)", loc=c, scale=0.5),
            sd.Normal("p(z_1)", loc=torch.ones(2).double(), scale=2.0),
        )
        yield chain, (a, c.weight.detach(), c.bias.detach()), torch.randn(4, 6, 3).double()


def posterior(matrices, x):
    """Mean and covariance of all states of one sequence given its observations."""
    (a, c, offset), steps = matrices, len(x)
    blocks = {(0, 0): 4 * torch.eye(2).double()}
    means = [torch.ones(2).double()]
    for t in range(1, steps):
        means.append(a @ means[-1] + 1)
        blocks[t, t] = a @ blocks[t - 1, t - 1] @ a.T + 0.49 * torch.eye(2)
    for s in range(steps):
        for t in range(s + 1, steps):
            blocks[t, s] = a @ blocks[t - 1, s]
            blocks[s, t] = blocks[t, s].T
    prior = torch.cat([torch.cat([blocks[t, s] for s in range(steps)], 1) for t in range(steps)])
    maps, mean = torch.block_diag(*[c] * steps), torch.cat(means)
    gain = prior @ maps.T @ torch.linalg.inv(maps @ prior @ maps.T + 0.25 * torch.eye(3 * steps))
    return mean + gain @ (x.flatten() - maps @ mean - offset.repeat(steps)), prior - gain @ maps @ prior


def test_gaussian_states_by_the_dense_posterior(linear):
    chain, matrices, x = linear
    beyond = (torch.arange(6) >= LENGTHS[:, None])[..., None]
    data = {"x": x.masked_fill(beyond, math.nan), "T": LENGTHS}
    smooth, filtered, best = chain.smooth(**data), chain.filter(**data), chain.most_probable(**data)
    for b, length in enumerate(LENGTHS.tolist()):
        mean, covariance = posterior(matrices, x[b, :length])
        torch.testing.assert_close(smooth.mean[b, :length].flatten(), mean)
        torch.testing.assert_close(best[b, :length].flatten(), mean)
        for t in range(length):
            block = slice(2 * t, 2 * t + 2)
            torch.testing.assert_close(smooth.covariance[b, t], covariance[block, block])
            now, spread = posterior(matrices, x[b, : t + 1])
            torch.testing.assert_close(filtered.mean[b, t], now[-2:])
            torch.testing.assert_close(filtered.covariance[b, t], spread[-2:, -2:])
        assert smooth.mean[b, length:].count_nonzero() == 0


def test_drawn_gaussian_states_have_the_moments_of_the_posterior(linear):
    """Means, and covariances between all steps: |z| < 4.5 for the largest of 78."""
    chain, matrices, x = linear
    seeded(1)
    draws = chain.sample(x=x[1:2].expand(DRAWS, -1, -1)).flatten(1).detach()
    mean, covariance = posterior(matrices, x[1])
    z = (draws.mean(0) - mean) / (covariance.diagonal() / DRAWS).sqrt()
    assert z.abs().max() < 4
    variances = covariance.diagonal()
    spread = ((variances[:, None] * variances + covariance.square()) / DRAWS).sqrt()
    assert ((torch.cov(draws.T) - covariance) / spread).abs().max() < 4.5
