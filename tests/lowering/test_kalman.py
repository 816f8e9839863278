"""Integrals over linear-Gaussian chains, against the dense Gaussian over all steps."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

import symdgm as sd
from symdgm.errors import ShapeError

LENGTHS = torch.tensor([3, 6, 1, 4])


def rand(*shape):
    return nn.Parameter(torch.randn(*shape, dtype=torch.float64))


def dense(a, drift, q, c, offset, r, start, x):
    """``log p(x_{1:T})`` of one sequence by the covariance of all its steps."""
    (mean, covariance), steps = start, len(x)
    means, blocks = [mean], {(0, 0): covariance}
    for t in range(1, steps):
        means.append(a @ means[-1] + drift[t])
        blocks[t, t] = a @ blocks[t - 1, t - 1] @ a.T + q
    for s in range(steps):
        for t in range(s + 1, steps):
            blocks[t, s] = a @ blocks[t - 1, s]
            blocks[s, t] = blocks[t, s].T
    whole = torch.cat([torch.cat([blocks[t, s] for s in range(steps)], 1) for t in range(steps)])
    maps = torch.block_diag(*[c] * steps)
    mean = maps @ torch.cat(means) + offset.repeat(steps)
    return MultivariateNormal(mean, maps @ whole @ maps.T + torch.block_diag(*[r] * steps)).log_prob(
        x.flatten()
    )


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = {
            "a": nn.Parameter(0.6 * torch.randn(2, 2, dtype=torch.float64)),
            "u": rand(2, 1),
            "b": rand(2),
            "q": nn.Parameter(torch.rand(2).double() + 0.5),
            "c": nn.Linear(2, 3).double(),
            "r": nn.Parameter(torch.rand(3).double() + 0.5),
            "m": rand(2),
            "root": nn.Parameter(torch.randn(2, 2).double().tril() + 2 * torch.eye(2).double()),
            "wide": rand(2, 1),
            "x": torch.randn(4, 6, 3, dtype=torch.float64),
            "actions": torch.randn(4, 6, 1, dtype=torch.float64),
        }
        yield found


STARTS = {
    "a law of the first step": (
        lambda m: [sd.MultivariateNormal("p(z_1)", loc=m["m"], scale_tril=m["root"])],
        lambda m: {},
        lambda m, drift: (m["m"], m["root"] @ m["root"].T),
    ),
    "a covariance of the first step": (
        lambda m: [sd.MultivariateNormal("p(z_1)", loc=m["m"], covariance_matrix=2 * torch.eye(2).double())],
        lambda m: {},
        lambda m, drift: (m["m"], 2 * torch.eye(2).double()),
    ),
    "a precision of the first step": (
        lambda m: [sd.MultivariateNormal("p(z_1)", loc=m["m"], precision_matrix=2 * torch.eye(2).double())],
        lambda m: {},
        lambda m, drift: (m["m"], torch.eye(2).double() / 2),
    ),
    "a covariance of low rank": (
        lambda m: [sd.MultivariateNormal("p(z_1)", loc=m["m"], cov_factor=m["wide"], cov_diag=m["q"])],
        lambda m: {},
        lambda m, drift: (m["m"], m["wide"] @ m["wide"].T + m["q"].diag()),
    ),
    "a logarithm": (
        lambda m: [sd.Normal("p(z_1)", loc=m["m"], log_scale=m["b"])],
        lambda m: {},
        lambda m, drift: (m["m"], (2 * m["b"]).exp().diag()),
    ),
    "numbers": (
        lambda m: [sd.Normal("p(z_1)", loc=0.0, scale=1.5, event_shape=2)],
        lambda m: {},
        lambda m, drift: (torch.zeros(2).double(), 2.25 * torch.eye(2).double()),
    ),
    "a trained value before the first step": (
        lambda m: [],
        lambda m: {"z_0": m["m"]},
        lambda m, drift: (m["a"] @ m["m"] + drift[0], m["q"].square().diag()),
    ),
}


@pytest.mark.parametrize("start", STARTS)
def test_value_and_gradient_are_those_of_the_dense_gaussian(model, start):
    first, names, begun = STARTS[start]
    objective = sd.Objective(
        "log p(x_{1:T}|a_{1:T})",
        sd.LinearNormal(
            "p(z_t|z_{t-1},a_{t-1})",
            {"z_{t-1}": model["a"], "a_{t-1}": model["u"]},
            model["b"],
            scale=model["q"],
        ),
        sd.Normal("p(x_t|z_t)", loc=model["c"], scale=model["r"]),
        *first(model),
        **names(model),
    )
    beyond = (torch.arange(6) >= LENGTHS[:, None])[..., None]
    value = objective.per_example(
        x=model["x"].masked_fill(beyond, math.nan),
        a=model["actions"].masked_fill(beyond, math.nan),
        T=LENGTHS,
    )
    expected = []
    for b, length in enumerate(LENGTHS.tolist()):
        before = torch.cat([torch.zeros(1, 1).double(), model["actions"][b, : length - 1]])
        drift = before @ model["u"].T + model["b"]
        expected.append(
            dense(
                model["a"], drift, model["q"].square().diag(), model["c"].weight, model["c"].bias,
                model["r"].square().diag(), begun(model, drift), model["x"][b, :length],
            )
        )  # fmt: skip
    wanted = torch.stack(expected)
    torch.testing.assert_close(value, wanted, rtol=1e-12, atol=1e-12)
    trained = [model[k] for k in "aubqr"] + list(model["c"].parameters())
    torch.testing.assert_close(
        torch.autograd.grad(value.sum(), trained),
        torch.autograd.grad(wanted.sum(), trained),
        rtol=1e-9,
        atol=1e-11,
    )


def test_a_first_step_whose_spread_differs_by_example(model):
    w = torch.randn(4, 2, dtype=torch.float64)
    objective = sd.Objective(
        "log p(x_{1:T}|w)",
        sd.LinearNormal("p(z_t|z_{t-1})", model["a"], scale=0.5),
        sd.Normal("p(x_t|z_t)", loc=model["c"], log_scale=torch.full((3,), 0.25).double()),
        sd.Normal("p(z_1|w)", lambda w: (w, w.exp())),
    )
    value = objective.per_example(x=model["x"], w=w, T=LENGTHS)
    quarter, drift = 0.25 * torch.eye(2).double(), torch.zeros(6, 2).double()
    noise = math.exp(0.5) * torch.eye(3).double()
    expected = [
        dense(
            model["a"], drift, quarter, model["c"].weight, model["c"].bias, noise,
            (w[b], (2 * w[b]).exp().diag()), model["x"][b, :length],
        )
        for b, length in enumerate(LENGTHS.tolist())
    ]  # fmt: skip
    torch.testing.assert_close(value, torch.stack(expected), rtol=1e-12, atol=1e-12)


def test_two_observations_are_one_longer_observation(model):
    c = model["c"]
    first, second = nn.Linear(2, 1).double(), nn.Linear(2, 2).double()
    with torch.no_grad():
        first.weight.copy_(c.weight[:1]), first.bias.copy_(c.bias[:1])
        second.weight.copy_(c.weight[1:]), second.bias.copy_(c.bias[1:])
    move = sd.LinearNormal("p(z_t|z_{t-1})", model["a"], scale=model["q"])
    both = sd.Objective(
        "log p(x_{1:T}, y_{1:T})",
        move,
        sd.Normal("p(x_t|z_t)", loc=first, scale=0.5),
        sd.MultivariateNormal("p(y_t|z_t)", loc=second, covariance_matrix=2 * torch.eye(2).double()),
        z_0=0.0,
    )
    x = model["x"]
    scale = torch.tensor([0.5, math.sqrt(2), math.sqrt(2)], dtype=torch.float64)
    whole = sd.Objective("log p(x_{1:T})", move, sd.Normal("p(x_t|z_t)", loc=c, scale=scale), z_0=0.0)
    found = both.per_example(x=x[..., :1], y=x[..., 1:], T=LENGTHS)
    torch.testing.assert_close(found, whole.per_example(x=x, T=LENGTHS), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_chain_over_what_an_encoder_drew(samples):
    """The bound of a Kalman VAE: the chain's density at the draws of q."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, a = nn.Linear(4, 2).double(), nn.Parameter(0.9 * torch.eye(3).double())
        c, x = nn.Linear(3, 2).double(), torch.randn(4, 6, 4, dtype=torch.float64)
        objective = sd.Objective(
            "E_q(a_{1:T}|x_{1:T})[log p(a_{1:T})]",
            sd.Normal("q(a_t|x_t)", lambda x: (encoder(x), torch.ones(len(x), 2).double())),
            sd.LinearNormal("p(z_t|z_{t-1})", a, scale=1.0),
            sd.Normal("p(a_t|z_t)", loc=c, scale=0.5),
            z_0=torch.zeros(3).double(),
            samples=samples,
        )
        torch.manual_seed(1)
        value = objective.per_example(x=x)
        torch.manual_seed(1)
        noise = torch.randn(*([samples] if samples > 1 else []), 6, 4, 2, dtype=torch.float64).reshape(
            samples, 6, 4, 2
        )
        drawn = encoder(x) + noise.transpose(1, 2)
        eye, drift = torch.eye(3).double(), torch.zeros(6, 3).double()
        expected = torch.stack(
            [
                torch.stack(
                    [
                        dense(
                            a, drift, eye, c.weight, c.bias, 0.25 * torch.eye(2).double(), (drift[0], eye), s
                        )
                        for s in draw
                    ]
                )
                for draw in drawn
            ]
        ).mean(0)
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)
        gradients = torch.autograd.grad(value.sum(), [a, *encoder.parameters()])
        wanted = torch.autograd.grad(expected.sum(), [a, *encoder.parameters()])
        torch.testing.assert_close(gradients, wanted, rtol=1e-8, atol=1e-10)


def test_long_sequences_in_single_precision():
    """A slow chain that is observed closely: the covariances stay positive."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        a, c, x = torch.eye(4) * 0.99, nn.Linear(4, 6), torch.randn(3, 200, 6)

        def objective(dtype):
            return sd.Objective(
                "log p(x_{1:T})",
                sd.LinearNormal("p(z_t|z_{t-1})", a.to(dtype), scale=0.1),
                sd.Normal("p(x_t|z_t)", loc=c.to(dtype), scale=0.1),
                sd.Normal("p(z_1)", loc=torch.zeros(4, dtype=dtype), scale=10.0),
            )

        single = objective(torch.float32)(x=x)
        assert bool(torch.isfinite(torch.autograd.grad(single, c.weight)[0]).all())
        exact = objective(torch.float64)(x=x.double())
        torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=0)


def test_an_observation_that_is_no_vector(model):
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.LinearNormal("p(z_t|z_{t-1})", model["a"], scale=0.5),
        sd.Normal("p(x_t|z_t)", loc=model["c"], scale=1.0),
        z_0=torch.zeros(2).double(),
    )
    with pytest.raises(ShapeError, match="a Kalman filter is over vectors"):
        objective(x=torch.zeros(2, 5, 3, 1).double())


def test_the_derivation_says_what_is_integrated_out(model):
    objective = sd.Objective(
        "log p(x_{1:T})",
        sd.LinearNormal("p(z_t|z_{t-1})", model["a"], scale=0.5),
        sd.Normal("p(x_t|z_t)", loc=model["c"], scale=1.0),
        z_0=torch.zeros(2).double(),
    )
    (step,) = [s for s in objective.derivation.steps if s.name == "Kalman filter"]
    assert step.kind.value == "equality" and step.reference == "Kalman (1960)"
    assert "∫ (∏_{t=1}^T p(x_t|z_t) p(z_t|z_{t−1})) dz_{1:T}" in repr(objective.derivation)
    objective(x=model["x"])
    assert "def kalman_filter(" in objective.code and "import symdgm" not in objective.code
