"""Sequences that are continued, and decoded, from the exact posterior of a chain that no factor infers."""

from __future__ import annotations

import math

import pytest
import torch

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError

DRAWS = 40_000
HIDDEN = """
    p(z_1)         = Categorical(z_1; probs = start)
    p(z_t|z_{t-1}) = Categorical(z_t; probs = move(z_{t-1}))
    p(x_t|z_t)     = Normal(x_t; loc = emit(z_t), scale = 1)
    maximize log p(x_{1:T})
"""
MOVE = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.8, 0.2], [0.3, 0.0, 0.7]])
MEAN = torch.tensor([-2.0, 0.0, 2.0])
START = torch.tensor([0.5, 0.3, 0.2])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        yield


def hidden():
    return sd.Model(HIDDEN, start=START, move=lambda z: MOVE[z], emit=lambda z: MEAN[z][:, None])


def filtered(x):
    """``p(z_t|x_{1:t})`` of one sequence, by the plain recursion."""
    law = START
    for t, value in enumerate(x):
        law = (law @ MOVE if t else law) * torch.exp(-0.5 * (value - MEAN) ** 2)
        law = law / law.sum()
    return law


def shares(z):
    return torch.stack([(z == k).double().mean() for k in range(3)])


def far(found, expected):
    """How many standard errors shares of draws are from probabilities, at most."""
    return ((found - expected).abs() / (expected * (1 - expected) / DRAWS).sqrt()).max()


def test_a_prefix_is_continued_from_the_filter_without_any_inference_factor():
    """The last given state has the law of the filter, the next that of one transition more: |z| < 4."""
    x = torch.tensor([-1.5, 0.3, 0.4])
    found = hidden().sample(x=x[:, None].expand(DRAWS, 3, 1), T=5, seed=0)
    assert found["x"].shape == (DRAWS, 5, 1) and torch.equal(found["x"][0, :3, 0], x)
    law = filtered(x.double()).double()
    assert far(shares(found["z"][:, 2]), law) < 4
    assert far(shares(found["z"][:, 3]), law @ MOVE.double()) < 4
    ahead = law @ MOVE.double() @ MOVE.double()
    error = (1 + (ahead * MEAN**2).sum() - (ahead * MEAN).sum() ** 2).sqrt() / math.sqrt(DRAWS)
    assert abs(found["x"][:, 4].double().mean() - (ahead * MEAN).sum()) < 4 * error


def test_reconstructed_steps_are_decoded_from_the_smoothed_states():
    x = torch.tensor([-1.5, 0.3, 2.4])
    decoded = hidden().reconstruct(x[:, None].expand(DRAWS, 3, 1), seed=0)
    chain = sd.Chain(
        "p(x_{1:T})",
        sd.Categorical("p(z_1)", probs=START),
        sd.Categorical("p(z_t|z_{t-1})", lambda z: {"probs": MOVE[z]}),
        sd.Normal("p(x_t|z_t)", lambda z: (MEAN[z][:, None], torch.ones(len(z), 1))),
    )
    law = chain.smooth(x=x[None, :, None]).probs[0]
    means, squares = law @ MEAN, law @ MEAN**2
    z = (decoded.mean(0)[:, 0] - means) / ((squares - means**2) / DRAWS).sqrt()
    assert z.abs().max() < 4


def test_a_linear_gaussian_chain_with_actions():
    """Against the filter of one dimension by hand."""
    model = sd.Model(
        "maximize log p(x_{1:T}|a_{1:T})",
        sd.Normal("p(z_1)", loc=0.0, scale=1.0, event_shape=1),
        sd.LinearNormal(
            "p(z_t|z_{t-1},a_t)",
            {"z_{t-1}": torch.tensor([[0.7]]), "a_t": torch.tensor([[2.0]])},
            torch.zeros(1),
            scale=0.5,
        ),
        sd.LinearNormal("p(x_t|z_t)", torch.eye(1), torch.zeros(1), scale=1.0),
    )
    x, a = torch.tensor([0.5, -1.0]), torch.tensor([0.2, 1.0, -0.4, 0.3])
    found = model.sample(x=x[:, None].expand(DRAWS, 2, 1), a=a[:, None].expand(DRAWS, 4, 1), T=4, seed=0)
    mean, variance = 0.0, 1.0
    for t in range(4):
        if t:
            mean, variance = 0.7 * mean + 2.0 * float(a[t]), 0.49 * variance + 0.25
        if t < 2:
            gain = variance / (variance + 1)
            mean, variance = mean + gain * (float(x[t]) - mean), (1 - gain) * variance
        if t:
            z = found["z"][:, t, 0].double()
            assert abs(z.mean() - mean) < 4 * math.sqrt(variance / DRAWS)
            assert abs(z.var() - variance) < 4 * variance * math.sqrt(2 / DRAWS)


def test_of_two_sequences_one_is_enough_and_both_are_given_for_as_many_steps():
    model = sd.Model(
        """
        p(z_t|z_{t-1}) = Categorical(z_t; probs = move(z_{t-1}))
        p(x_t|z_t)     = Normal(x_t; loc = emit(z_t), scale = 1)
        p(y_t|z_t)     = Normal(y_t; loc = emit(z_t), scale = 1)
        z_0            = 0
        maximize log p(x_{1:T}, y_{1:T})
        """,
        move=lambda z: MOVE[z],
        emit=lambda z: MEAN[z][:, None],
    )
    x = torch.zeros(2, 3, 1)
    assert model.sample(x=x, T=5)["y"].shape == (2, 5, 1)
    with pytest.raises(NameResolutionError, match="`x`, `y` are given"):
        model.sample(x=x, y=x[:, :2], T=5)


def test_a_chain_that_is_not_exact_is_refused():
    model = sd.Model(
        """
        p(z_t|z_{t-1}) = Normal(z_t; loc = move(z_{t-1}), scale = 1)
        p(x_t|z_t)     = Normal(x_t; loc = emit(z_t), scale = 1)
        z_0            = 0
        minimize sum_{t=1}^T ||x_t||^2
        """,
        move=torch.tanh,
        emit=torch.tanh,
        z=1,
    )
    with pytest.raises(NameResolutionError, match="no factor infers `z_t`"):
        model.sample(x=torch.zeros(2, 3, 1), T=5)


@pytest.mark.parametrize(
    "text",
    [
        "E_p(z_{1:T}|x_{1:T})[log p(x_{1:T}, z_{1:T})]",
        "sum_{t=1}^T E_p(z_t|x_{1:T})[log p(x_t|z_t)]",
        "log p(z_{1:T}|x_{1:T})",
    ],
)
def test_a_posterior_in_a_formula_is_not_taken_for_the_prior(text):
    with pytest.raises(NotSupportedError, match=r"is a posterior of sequences[^~]*`log p\(x_\{1:T\}\)`"):
        sd.Model(
            HIDDEN.replace("log p(x_{1:T})", text), start=START, move=lambda z: MOVE[z], emit=lambda z: z
        )


def test_what_the_step_before_emits_tells_of_it_too():
    """``x_t`` depends on ``z_{t-1}`` alone, and so does the posterior of ``z`` on ``x``."""
    factors = (
        sd.Normal("p(z_t|z_{t-1})", loc=torch.nn.Linear(2, 2), scale=1.0),
        sd.Normal("p(x_t|z_{t-1})", loc=torch.nn.Linear(2, 3), scale=1.0),
    )
    with pytest.raises(NotSupportedError, match="is a posterior of sequences"):
        sd.Objective("E_p(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})]", *factors, z_0=0.0, z=2)
