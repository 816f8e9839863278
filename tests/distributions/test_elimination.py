"""Exact marginals and posteriors, against enumeration, dense Gaussians and quadrature."""
# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import scipy.integrate
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import NameResolutionError, NotSupportedError

torch.manual_seed(0)
D = torch.float64


class Table(nn.Module):
    """Logits looked up by the values of finite variables."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.randn(*sizes, dtype=D))

    def forward(self, *index: Tensor) -> Tensor:
        return self.logits[tuple(i.long() for i in index)]


A = sd.Categorical("p(a)", logits=torch.randn(3, dtype=D))
B = sd.Categorical("p(b|a)", Table(3, 4))
C = sd.Bernoulli("p(c|a,b)", Table(3, 4))
E = sd.Categorical("p(e|c)", Table(2, 3))
NET = A * B * C * E


def full_table(net: sd.Joint, sizes: dict[str, int]) -> Tensor:
    """The log-density of every assignment, by enumeration."""
    grid = torch.cartesian_prod(*(torch.arange(size) for size in sizes.values()))
    values = {name: grid[:, i] for i, name in enumerate(sizes)}
    values = {name: v.to(D) if name == "c" else v for name, v in values.items()}
    return net.log_prob(values).reshape(tuple(sizes.values()))


SIZES = {"a": 3, "b": 4, "c": 2, "e": 3}


@pytest.mark.parametrize("kept", [k for r in (1, 2, 3) for k in itertools.combinations(SIZES, r)])
def test_marginals_of_finite_variables_are_sums_of_the_full_table(kept: tuple[str, ...]) -> None:
    full = full_table(NET, SIZES)
    dropped = [i for i, name in enumerate(SIZES) if name not in kept]
    expected = full.logsumexp(dropped)
    grid = torch.cartesian_prod(*(torch.arange(SIZES[n]) for n in kept)).reshape(-1, len(kept))
    values = {n: grid[:, i].to(D) if n == "c" else grid[:, i] for i, n in enumerate(kept)}
    torch.testing.assert_close(NET.marginal(*kept).log_prob(values), expected.flatten())


@pytest.mark.parametrize(
    ("over", "given"),
    [(("a",), ("e",)), (("a", "c"), ("b",)), (("b",), ("a", "e")), (("c", "e"), ("a", "b"))],
)
def test_posteriors_are_bayes(over: tuple[str, ...], given: tuple[str, ...]) -> None:
    full = full_table(NET, SIZES)
    rest = [i for i, name in enumerate(SIZES) if name not in over + given]
    joint = full.logsumexp(rest) if rest else full
    names = [n for n in SIZES if n in over + given]
    grid = torch.cartesian_prod(*(torch.arange(SIZES[n]) for n in names))
    values = {n: grid[:, i].to(D) if n == "c" else grid[:, i] for i, n in enumerate(names)}
    expected = joint - joint.logsumexp([names.index(n) for n in over], keepdim=True)
    q = NET.posterior(*over, given=given)
    torch.testing.assert_close(q.log_prob(values), expected.flatten())
    entropy = -(expected.exp() * expected).sum([names.index(n) for n in over]).flatten()
    some = torch.cartesian_prod(*(torch.arange(SIZES[n]) for n in given)).reshape(-1, len(given))
    conditions = {n: some[:, i].to(D) if n == "c" else some[:, i] for i, n in enumerate(given)}
    torch.testing.assert_close(q.entropy(conditions), entropy)


def test_gradients_pass_through_a_sum() -> None:
    values = {"e": torch.tensor([0, 1, 2])}
    found = torch.autograd.grad(NET.marginal("e").log_prob(values).sum(), list(NET.parameters()))
    full = full_table(NET, SIZES).logsumexp([0, 1, 2]).sum()
    expected = torch.autograd.grad(full, list(NET.parameters()))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_posterior_draws_are_dependent_and_frequent_as_they_should_be() -> None:
    q = NET.posterior("a", "b", given=("e",))
    n = 20_000
    drawn = q.sample({"e": torch.tensor([0, 2])}, shape=n, generator=torch.Generator().manual_seed(0))
    full = full_table(NET, SIZES).logsumexp(2)[..., [0, 2]]
    probs = full.flatten(0, 1).softmax(0).reshape(3, 4, 2)
    for column in range(2):
        counts = torch.zeros(3, 4, dtype=D)
        counts.index_put_(
            (drawn["a"][:, column], drawn["b"][:, column]), torch.ones(n, dtype=D), accumulate=True
        )
        expected = probs[..., column]
        z = (counts / n - expected) / (expected * (1 - expected) / n).sqrt()
        assert z.abs().max() < 5  # at a fixed seed; a right sampler exceeds this with probability below 1e-4


def test_a_chain_is_summed_along_its_graph_not_over_its_product() -> None:
    """Forty binary steps: 2^40 assignments, tables of four entries, against the forward algorithm."""
    steps = 40
    first = sd.Categorical("p(z_0)", logits=torch.zeros(2, dtype=D))
    moves = [sd.Categorical(f"p(z_{t}|z_{t - 1})", Table(2, 2)) for t in range(1, steps)]
    seen = [sd.Normal(f"p(x_{t}|z_{t})", lambda z: (3 * z.to(D), 1.0)) for t in range(steps)]
    p = sd.Joint([first, *moves, *seen])
    x = {f"x_{t}": torch.randn(5, dtype=D) for t in range(steps)}
    alpha = torch.zeros(5, 2, dtype=D) - torch.tensor(2.0).log()
    for t in range(steps):
        if t:
            step = moves[t - 1].network.logits.log_softmax(-1)
            alpha = (alpha.unsqueeze(-1) + step).logsumexp(1)
        alpha = alpha + td.Normal(torch.tensor([0.0, 3.0], dtype=D), 1.0).log_prob(x[f"x_{t}"].unsqueeze(-1))
    names = tuple(x)
    torch.testing.assert_close(p.marginal(*names, budget=4).log_prob(x), alpha.logsumexp(-1))
    last = p.posterior(f"z_{steps - 1}", given=names)
    torch.testing.assert_close(
        last.prob(x | {f"z_{steps - 1}": torch.ones(5).long()}), alpha.softmax(-1)[:, 1]
    )


def test_a_sum_beyond_the_budget_is_refused_with_its_size() -> None:
    with pytest.raises(
        NotSupportedError,
        match=r"summing `a` of Marginal p\(e\) takes a table of 24 entries for each example; the budget is 10\nallow more with `budget=24`",
    ):
        NET.marginal("e", budget=10).log_prob({"e": torch.tensor([0])})
    pixels = sd.Normal("p(x|y)", lambda y: (y, 1.0)) * sd.Bernoulli("p(y)", probs=0.5, event_shape=784)
    with pytest.raises(
        NotSupportedError, match=r"takes a table of 2\^784 entries.*\nestimate it with `importance"
    ):
        pixels.marginal("x").log_prob({"x": torch.zeros(1, 784)})


def test_what_has_no_effect_integrates_to_one() -> None:
    prior = sd.Normal("p(z)", loc=0.3, scale=0.7, event_shape=2)
    p = sd.Bernoulli("p(x|z)", nn.Linear(2, 5)) * prior
    z = torch.randn(4, 2)
    torch.testing.assert_close(p.marginal("z").log_prob({"z": z}), prior.log_prob({"z": z}))
    assert p.marginal("z").text == "p(z)"


def test_finite_and_deterministic_variables_with_any_network_for_the_rest() -> None:
    """A mixture VAE's decoder: y finite, h a function of it, x of any family; the network runs once."""
    calls = []

    def decoder(h: Tensor, u: Tensor) -> Tensor:
        calls.append(h.shape)
        return h @ torch.ones(2, 3) + u

    y = sd.OneHotCategorical("p(y)", probs=torch.tensor([0.2, 0.5, 0.3]))
    table = torch.randn(3, 2)
    h = sd.Deterministic("p(h|y)", lambda y: y @ table)
    x = sd.Bernoulli("p(x|h,u)", decoder)
    p = (x * h * y).marginal("x")
    u, value = torch.randn(4, 3), torch.rand(4, 3).round()
    found = p.log_prob({"x": value, "u": u})
    assert calls == [(12, 2)]
    each = torch.stack([x.log_prob({"x": value, "h": row.expand(4, 2), "u": u}) for row in table])
    torch.testing.assert_close(found, (each + y.constants["probs"].log().unsqueeze(-1)).logsumexp(0))
    many = torch.rand(6, 4, 3).round()
    rows = torch.stack([p.log_prob({"x": row, "u": u}) for row in many])
    torch.testing.assert_close(p.log_prob({"x": many, "u": u}), rows)
    q = (x * h * y).posterior("y")
    probs = (each + y.constants["probs"].log().unsqueeze(-1)).softmax(0)
    torch.testing.assert_close(q.mean({"x": value, "u": u})["y"], probs.T)
    torch.testing.assert_close(q.variance({"x": value, "u": u})["y"], (probs * (1 - probs)).T)
    assert set(q.sample({"x": value, "u": u}, shape=5)["y"].shape) == {5, 4, 3}
    both = (x * h * y).posterior("h", given=("x",)).sample({"x": value, "u": u}, shape=7)["h"]
    assert all(any(torch.equal(v, row) for row in table) for v in both.reshape(-1, 2))


def test_the_aggregated_posterior_is_a_sum_over_rows() -> None:
    rows = torch.randn(6, 2)
    q = sd.Normal("q(z|x)", lambda x: (x, 0.5)) * sd.Data("data(x)", x=rows)
    z = torch.randn(4, 2)
    expected = td.Normal(rows.unsqueeze(1), 0.5).log_prob(z).sum(-1).logsumexp(0) - torch.tensor(6.0).log()
    torch.testing.assert_close(q.marginal("z").log_prob({"z": z}), expected)
    assert q.marginal("z").text == "q(z) = sum_x q(z|x) data(x)"


# --- Gaussian ---------------------------------------------------------------------------------------------------


def dense(p: sd.Joint, names: list[str]) -> td.MultivariateNormal:
    """The mean and covariance of a linear-Gaussian product by propagation from causes to effects."""
    mean: dict[str, Tensor] = {}
    cov: dict[tuple[str, str], Tensor] = {}
    for f in p.ordered:
        v = f.variables[0]
        weights = f.weights if isinstance(f, sd.LinearNormal) else {}
        zeros = {g: torch.zeros(1, len(mean[g]), dtype=D) for g in f.given}
        mean[v] = f.mean(zeros)[v][0] + sum(weights[g] @ mean[g] for g in f.given)
        own = covariance(f, zeros)
        for other in list(mean)[:-1]:
            cov[v, other] = sum(
                (weights[g] @ cov[g, other] for g in f.given),
                start=torch.zeros(len(mean[v]), len(mean[other]), dtype=D),
            )
            cov[other, v] = cov[v, other].T
        cov[v, v] = own + sum(
            (weights[g] @ cov[g, k] @ weights[k].T for g in f.given for k in f.given),
            start=torch.zeros_like(own),
        )
    matrix = torch.cat([torch.cat([cov[a, b] for b in names], -1) for a in names], -2)
    return td.MultivariateNormal(torch.cat([mean[n] for n in names]), matrix)


def covariance(f: sd.Distribution, zeros: dict[str, Tensor]) -> Tensor:
    if isinstance(f, sd.MultivariateNormal):
        return f.constants["covariance_matrix"]  # type: ignore[return-value]
    return torch.diag(f.variance(zeros)[f.variables[0]][0])


def linear(head: str, out: int, *inside: int, scale: float = 0.5) -> sd.LinearNormal:
    names = head[head.index("|") + 1 : -1].split(",")
    weight = {n: torch.randn(out, i, dtype=D) for n, i in zip(names, inside, strict=True)}
    return sd.LinearNormal(head, weight, torch.randn(out, dtype=D), scale=scale)


ROOT = torch.randn(2, 2, dtype=D)
U = sd.MultivariateNormal(
    "p(u)", loc=torch.randn(2, dtype=D), covariance_matrix=ROOT @ ROOT.T + 0.1 * torch.eye(2, dtype=D)
)
V = sd.Normal("p(v)", loc=torch.randn(3, dtype=D), scale=torch.rand(3, dtype=D) + 0.5)
W = linear("p(w|u,v)", 2, 2, 3)
S = linear("p(s|w)", 3, 2, scale=0.1)
T = linear("p(t|w,u)", 1, 2, 2)
GAUSS = U * V * W * S * T
DIMS = {"u": 2, "v": 3, "w": 2, "s": 3, "t": 1}


@pytest.mark.parametrize(
    "kept",
    [("s",), ("t",), ("w",), ("u", "t"), ("v", "s"), ("u", "v", "t"), ("s", "t"), ("u", "v", "w", "s")],
)
def test_gaussian_marginals_are_those_of_the_dense_gaussian(kept: tuple[str, ...]) -> None:
    reference = dense(GAUSS, list(kept))
    m = GAUSS.marginal(*kept)
    values = {n: torch.randn(6, 4, DIMS[n], dtype=D) for n in kept}
    found = m.log_prob(values)
    torch.testing.assert_close(found, reference.log_prob(torch.cat([values[n] for n in kept], -1)))
    mean = torch.cat([m.mean()[n] for n in kept], -1)[0]
    variance = torch.cat([m.variance()[n] for n in kept], -1)[0]
    torch.testing.assert_close(mean, reference.mean)
    torch.testing.assert_close(variance, reference.variance)
    torch.testing.assert_close(m.entropy()[0], reference.entropy())


@pytest.mark.parametrize(
    ("over", "given"),
    [(("u",), ("s",)), (("u", "v"), ("t", "s")), (("w",), ("v", "t")), (("s", "t"), ("u",))],
)
def test_gaussian_posteriors_are_those_of_the_dense_gaussian(
    over: tuple[str, ...], given: tuple[str, ...]
) -> None:
    size = sum(DIMS[n] for n in over)
    joint = dense(GAUSS, [*over, *given])
    cov, mean = joint.covariance_matrix, joint.mean
    seen = {n: torch.randn(5, DIMS[n], dtype=D) for n in given}
    gain = cov[:size, size:] @ torch.linalg.inv(cov[size:, size:])
    centre = mean[:size] + (torch.cat(list(seen.values()), -1) - mean[size:]) @ gain.T
    reference = td.MultivariateNormal(centre, cov[:size, :size] - gain @ cov[size:, :size])
    q = GAUSS.posterior(*over, given=given)
    values = {n: torch.randn(5, DIMS[n], dtype=D) for n in over}
    torch.testing.assert_close(
        q.log_prob(values | seen), reference.log_prob(torch.cat([values[n] for n in q.variables], -1))
    )
    torch.testing.assert_close(torch.cat([q.mean(seen)[n] for n in q.variables], -1), reference.mean)
    torch.testing.assert_close(torch.cat([q.variance(seen)[n] for n in q.variables], -1), reference.variance)
    torch.testing.assert_close(q.entropy(seen), reference.entropy())
    n = 20_000
    drawn = q.sample(seen, shape=n, generator=torch.Generator().manual_seed(0))
    draws = torch.cat([drawn[name] for name in q.variables], -1)
    assert (((draws.mean(0) - reference.mean) / (reference.variance / n).sqrt()).abs() < 5).all()
    centred = draws - draws.mean(0)
    sampled = torch.einsum("nbi,nbj->bij", centred, centred) / n
    spread = (reference.variance.unsqueeze(-1) * reference.variance.unsqueeze(-2) * 2 / n).sqrt()
    assert (((sampled - reference.covariance_matrix) / spread).abs() < 5).all()


def test_a_kalman_filter_of_many_steps_with_small_noise() -> None:
    """Fifty steps at a scale of 1e-3, in float32 in and out, against the Kalman filter in float64."""
    steps, a, c = 50, torch.tensor([[1.0, 0.1], [0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    factors: list[sd.Distribution] = [sd.Normal("p(z_0)", loc=0.0, scale=1.0, event_shape=2)]
    factors += [sd.LinearNormal(f"p(z_{t}|z_{t - 1})", a, scale=1e-3) for t in range(1, steps)]
    factors += [sd.LinearNormal(f"p(x_{t}|z_{t})", c, scale=1e-2) for t in range(steps)]
    x = torch.randn(3, steps, 1) * 0.01 + torch.arange(steps).unsqueeze(-1) * 0.05
    mean, cov, total = torch.zeros(3, 2, 1, dtype=D), torch.eye(2, dtype=D), torch.zeros(3, dtype=D)
    A64, C64 = a.double(), c.double()
    for t in range(steps):
        if t:
            mean, cov = A64 @ mean, A64 @ cov @ A64.T + 1e-6 * torch.eye(2, dtype=D)
        s = C64 @ cov @ C64.T + 1e-4
        off = x[:, t].double() - (C64 @ mean).squeeze(-1)
        total = total + td.Normal(0.0, s.sqrt().squeeze()).log_prob(off.squeeze(-1))
        gain = cov @ C64.T / s
        mean, cov = mean + gain @ off.unsqueeze(-1), cov - gain @ C64 @ cov
    p = sd.Joint(factors)
    names = [f"x_{t}" for t in range(steps)]
    values = {name: x[:, t] for t, name in enumerate(names)}
    found = p.marginal(*names).log_prob(values)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, total.float(), rtol=1e-5, atol=1e-3)
    last = p.posterior(f"z_{steps - 1}", given=names)
    torch.testing.assert_close(
        last.mean(values)[f"z_{steps - 1}"], mean.squeeze(-1).float(), rtol=1e-4, atol=1e-5
    )


def test_a_linear_layer_with_a_constant_scale_is_recognised() -> None:
    layer = nn.Linear(2, 3).double()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    by_layer = (sd.Normal("p(x|z)", loc=layer, scale=0.5) * prior).marginal("x")
    by_name = (sd.LinearNormal("p(x|z)", layer.weight, layer.bias, scale=0.5) * prior).marginal("x")
    full = (
        sd.MultivariateNormal("p(x|z)", loc=layer, covariance_matrix=0.25 * torch.eye(3, dtype=D)) * prior
    ).marginal("x")
    x = torch.randn(4, 3, dtype=D)
    reference = td.MultivariateNormal(
        layer.bias, layer.weight @ layer.weight.T + 0.25 * torch.eye(3, dtype=D)
    ).log_prob(x)
    for p in (by_layer, by_name, full):
        torch.testing.assert_close(p.log_prob({"x": x}), reference)
    grads = torch.autograd.grad(reference.sum(), [layer.weight, layer.bias])
    for p in (by_layer, by_name, full):
        for one, other in zip(
            torch.autograd.grad(p.log_prob({"x": x}).sum(), [layer.weight, layer.bias]), grads, strict=True
        ):
            torch.testing.assert_close(one, other)


def test_a_mixture_of_factor_analysers_is_summed_and_integrated() -> None:
    """A finite and a Gaussian variable in one product, against a sum of dense Gaussians."""
    k = sd.Categorical("p(k)", probs=torch.tensor([0.3, 0.7], dtype=D))
    centres = torch.tensor([[-2.0, 0.0], [2.0, 1.0]], dtype=D)
    z = sd.Normal("p(z|k)", lambda k: (centres[k], 0.5 + 0.5 * k.to(D).unsqueeze(-1).expand(*k.shape, 2)))
    x = linear("p(x|z)", 3, 2)
    p = x * z * k
    w, b = x.weights["z"], x.bias
    parts = [
        td.MultivariateNormal(w @ centres[i] + b, w @ w.T * s**2 + 0.25 * torch.eye(3, dtype=D))
        for i, s in enumerate((0.5, 1.0))
    ]
    value = torch.randn(4, 3, dtype=D)
    each = torch.stack([part.log_prob(value) for part in parts]) + k.constants["probs"].log().unsqueeze(-1)
    torch.testing.assert_close(p.marginal("x").log_prob({"x": value}), each.logsumexp(0))
    posterior = p.posterior("k", given=("x",))
    torch.testing.assert_close(posterior.prob({"x": value, "k": torch.ones(4).long()}), each.softmax(0)[1])
    means, variances = [], []
    for i, s in enumerate((0.5, 1.0)):
        gain = s**2 * w.T @ torch.linalg.inv(parts[i].covariance_matrix)
        means.append(centres[i] + (value - parts[i].mean) @ gain.T)
        variances.append((s**2 * torch.eye(2, dtype=D) - s**2 * gain @ w).diagonal())
    probs = each.softmax(0).unsqueeze(-1)
    centre = (probs * torch.stack(means)).sum(0)
    spread = (probs * (torch.stack(variances).unsqueeze(1) + (torch.stack(means) - centre) ** 2)).sum(0)
    q = p.posterior("z", given=("x",))
    torch.testing.assert_close(q.mean({"x": value})["z"], centre)
    torch.testing.assert_close(q.variance({"x": value})["z"], spread)
    n = 20_000
    draws = q.sample({"x": value}, shape=n, generator=torch.Generator().manual_seed(0))["z"]
    assert (((draws.mean(0) - centre) / (spread / n).sqrt()).abs() < 5).all()
    assert ((draws.var(0) / spread - 1).abs() < 0.1).all()
    torch.testing.assert_close(
        p.marginal("x").mean()["x"], (0.3 * parts[0].mean + 0.7 * parts[1].mean).unsqueeze(0)
    )
    with pytest.raises(
        NotSupportedError, match=r"Posterior p\(z\|x\) has no entropy in closed form\nestimate it"
    ):
        q.entropy({"x": value})


def test_a_marginal_by_quadrature() -> None:
    """A law that the algebra cannot see through, by its sampled and its integrated form."""
    k = sd.Bernoulli("p(k|y)", lambda y: y).rename(k="k")
    x = sd.StudentT("p(x|k)", lambda k: {"df": 3 + 0 * k, "loc": 2 * k, "scale": 1 + k})
    p = (x * k).marginal("x")
    given = {"y": torch.tensor([0.4], dtype=D)}

    def density(value: float) -> float:
        return float(p.prob({"x": torch.tensor([value], dtype=D)} | given))

    assert scipy.integrate.quad(density, -400, 400, limit=400, points=[0.0])[0] == pytest.approx(1, abs=1e-6)


def test_pathwise_gradients_of_posterior_draws() -> None:
    w = nn.Parameter(torch.randn(3, 2, dtype=D))
    p = sd.LinearNormal("p(x|z)", w, scale=0.5) * sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    q = p.posterior("z")
    x = torch.randn(4, 3, dtype=D)
    z = q.sample({"x": x}, generator=torch.Generator().manual_seed(0))["z"].sum()
    (found,) = torch.autograd.grad(z, [w])
    step = 1e-6 * torch.ones_like(w)
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            w += sign * step
            ends.append(q.sample({"x": x}, generator=torch.Generator().manual_seed(0))["z"].sum())
            w -= sign * step
    torch.testing.assert_close((found * step).sum(), (ends[0] - ends[1]) / 2, rtol=1e-4, atol=1e-10)


GENERAL = sd.Bernoulli("p(x|z)", nn.Linear(2, 5)) * sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
GIVEN = {"x": torch.zeros(4, 5)}
REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (NotSupportedError, lambda: GENERAL.marginal("x").log_prob(GIVEN), r"Marginal p\(x\) cannot be summed exactly: Bernoulli p\(x\|z\) depends on the hidden z in a way that is not known to be linear\nsample it, or bound it with `importance\(p, q, values, k=...\)`; exact are finite variables"),
    (NotSupportedError, lambda: GENERAL.posterior("z").sample(GIVEN), r"Posterior p\(z\|x\) cannot be summed exactly"),
    (NotSupportedError, lambda: GENERAL.posterior("z").mean(GIVEN), r"Posterior p\(z\|x\) cannot be summed exactly"),
    (NotSupportedError, lambda: (sd.Categorical("p(y|z)", nn.Linear(2, 3)) * GENERAL).marginal("x", "y").log_prob(GIVEN | {"y": torch.zeros(4).long()}), r"depends on the hidden z"),
    (NotSupportedError, lambda: (sd.Normal("p(x|y)", lambda y: (y, 1.0)) * sd.Categorical("p(y|z)", nn.Linear(2, 3)) * sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)).marginal("x").log_prob({"x": torch.zeros(4)}), r"Categorical p\(y\|z\) depends on the hidden z"),
    (NotSupportedError, lambda: (sd.Deterministic("p(y|z)", nn.Linear(2, 3)) * sd.Normal("p(x|y)", lambda y: (y, 1.0)) * sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)).marginal("x").log_prob({"x": torch.zeros(4, 3)}), r"Deterministic p\(y\|z\) depends on the hidden z"),
    (NotSupportedError, lambda: (sd.Deterministic("p(a,b|z)", lambda z: (z, z)) * sd.Categorical("p(z)", logits=torch.zeros(2))).marginal("a").log_prob({"a": torch.zeros(1).long()}), r"only a part of p\(a,b\|z\) is observed"),
    (NotSupportedError, lambda: (sd.Normal("p(x|z)", lambda z: (z, 1.0)) * sd.Gamma("p(z)", concentration=1.0, rate=1.0, event_shape=())).marginal("x").log_prob({"x": torch.zeros(1)}), r"z of Gamma p\(z\) is neither finite nor Gaussian"),
    (NotSupportedError, lambda: NET.posterior("a").mean({"b": torch.zeros(1).long(), "c": torch.zeros(1), "e": torch.zeros(1).long()}), r"has no mean of a, since an index is only a name\nuse OneHotCategorical"),
    (NameResolutionError, lambda: GENERAL.marginal("y"), r"p\(x,z\) has no variable `y`"),
    (NameResolutionError, lambda: GENERAL.marginal(), r"no variable of p\(x,z\) is named\nknown: `x`, `z`"),
    (NameResolutionError, lambda: GENERAL.posterior("x", "z"), r"a posterior of p\(x,z\) divides its variables \(`x`, `z`\)"),
    (NameResolutionError, lambda: GENERAL.posterior("z", given=("z",)), r"a posterior of p\(x,z\) divides"),
    (NameResolutionError, lambda: GENERAL.posterior("y"), r"has no variable `y`"),
    (NameResolutionError, lambda: GENERAL.marginal("x").log_prob({"x": torch.zeros(1, 5), "z": torch.zeros(1, 2)}), r"Marginal p\(x\) takes no value of `z`"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()


def test_texts_parse_back() -> None:
    import symdgm as sdgm

    p = GENERAL.marginal("x")
    assert p.text == "p(x) = int p(x|z) p(z) dz"
    assert p.latex == r"p(x) = \int p(x \mid z) \, p(z) \, dz"
    q = GENERAL.posterior("z")
    assert q.text == "p(z|x) = p(x|z) p(z) / p(x)"
    assert q.latex == r"p(z \mid x) = \frac{p(x \mid z) \, p(z)}{p(x)}"
    m = NET.marginal("e")
    assert m.text == "p(e) = sum_a sum_b sum_c p(a) p(b|a) p(c|a, b) p(e|c)"
    for each in (p, q, m):
        assert sdgm.signature(sdgm.parse(each.text)) == sdgm.signature(sdgm.parse(each.latex))
    assert repr(p).splitlines()[0] == f"Marginal {p.text}"
    assert repr(q).splitlines()[0] == f"Posterior {q.text}"


def test_a_normal_variable_whose_variance_does_not_vary_with_its_finite_cause() -> None:
    centres, w = torch.randn(3, 2, dtype=D), torch.randn(4, 2, dtype=D)
    cause = sd.Categorical("p(k)", probs=torch.tensor([0.2, 0.3, 0.5], dtype=D))
    middle = sd.Normal("p(z|k)", lambda k: (centres[k], 0.8))
    p = sd.LinearNormal("p(x|z)", w, scale=torch.tensor(0.6, dtype=D)) * middle * cause
    x = torch.randn(5, 4, dtype=D)
    covariance = 0.64 * w @ w.T + 0.36 * torch.eye(4, dtype=D)
    parts = torch.stack([td.MultivariateNormal(c @ w.T, covariance).log_prob(x) for c in centres], -1)
    logs = parts + cause.log_prob({"k": torch.arange(3)})
    torch.testing.assert_close(p.marginal("x").log_prob({"x": x}), logs.logsumexp(-1), rtol=1e-6, atol=1e-6)
    found = p.posterior("k", given=("x",)).log_prob({"k": torch.full((5,), 1), "x": x})
    torch.testing.assert_close(found, logs.log_softmax(-1)[:, 1], rtol=1e-6, atol=1e-6)
