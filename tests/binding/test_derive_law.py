"""Marginals and posteriors, derived from the bound factors of their name: exact sums and integrals."""

from __future__ import annotations

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm as sd

X = torch.tensor([[0.3, -1.0], [2.0, 0.5], [-0.7, 0.1]], dtype=torch.float64)
K = torch.tensor([2, 0, 1])


class Mixture:
    """Three normal components, and the same by torch."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.means = nn.Embedding(3, 2).double()
        self.logits = nn.Parameter(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
        self.p = sd.Normal("p(x|k)", self.component)
        self.prior = sd.Categorical("p(k)", logits=self.logits)

    def component(self, k: Tensor) -> tuple[Tensor, Tensor]:
        loc = self.means(k)
        return loc, torch.ones_like(loc)

    def log_joint(self) -> Tensor:
        """``[batch, 3]``."""
        components = td.Independent(td.Normal(self.means.weight, 1.0), 1)
        return components.log_prob(X[:, None]) + self.prior.logits_value.log_softmax(-1)


def gradients(value: Tensor, of: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, of)


@pytest.mark.parametrize("text", ["log p(x)", "log p_theta(x)", "E_data(x)[log p(x)]"])
def test_a_marginal_is_the_sum(text: str) -> None:
    m = Mixture()
    value, expected = sd.Objective(text, m.p, m.prior)(x=X), m.log_joint().logsumexp(-1).mean()
    torch.testing.assert_close(value, expected)
    weights = [m.means.weight, m.prior.logits_value]
    for ours, theirs in zip(gradients(value, weights), gradients(expected, weights), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_posterior_is_by_bayes() -> None:
    m = Mixture()
    value = sd.Objective("log p(k|x)", m.p, m.prior)(x=X, k=K)
    expected = m.log_joint().log_softmax(-1).gather(-1, K[:, None]).mean()
    torch.testing.assert_close(value, expected)


def test_the_parts_of_bayes_rule_agree() -> None:
    m = Mixture()
    objective = sd.Objective("log p(x, k) - log p(k|x) - log p(x)", m.p, m.prior)
    torch.testing.assert_close(objective(x=X, k=K), torch.zeros((), dtype=torch.float64))


def test_the_derivation_shows_the_sum() -> None:
    m = Mixture()
    shown = repr(sd.Objective("log p(x)", m.p, m.prior).derivation)
    assert "rules of probability (equality)" in shown
    assert "p(x) = ∑_k p(x|k) p(k)" in shown


def test_a_model_trains_the_factors_and_not_a_copy() -> None:
    m = Mixture()
    model = sd.Model("maximize log p(x)", m.p, m.prior)
    assert not [name for name in model.state() if name.startswith("factors.p(x).")]
    before = m.prior.logits_value.detach().clone()
    model.fit(X, epochs=3, progress=False)
    assert not torch.equal(before, m.prior.logits_value)


class Linear:
    """A linear-Gaussian model of three values by two hidden ones, and the same by dense matrices."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        d = torch.float64
        self.w = nn.Parameter(torch.randn(3, 2, dtype=d))
        self.b = nn.Parameter(torch.randn(3, dtype=d))
        self.m = nn.Parameter(torch.randn(2, dtype=d))
        self.s = nn.Parameter(torch.rand(2, dtype=d) + 0.5)
        self.noise = nn.Parameter(torch.rand(3, dtype=d) + 0.5)
        self.p = sd.LinearNormal("p(x|z)", self.w, self.b, scale=self.noise)
        self.prior = sd.Normal("p(z)", loc=self.m, scale=self.s)
        self.encoder = nn.Linear(3, 4).double()
        self.q = sd.Normal("q(z|x)", self.encode)
        self.x = torch.randn(5, 3, dtype=d)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, raw = self.encoder(x).chunk(2, -1)
        return loc, raw.exp()

    @property
    def weights(self) -> list[Tensor]:
        return [self.w, self.b, self.m, self.s, self.noise]

    def marginal(self) -> td.MultivariateNormal:
        covariance = self.w @ (self.s**2).diag() @ self.w.T + (self.noise**2).diag()
        return td.MultivariateNormal(self.w @ self.m + self.b, covariance)

    def posterior(self) -> td.MultivariateNormal:
        precision = (self.s**-2).diag() + self.w.T @ (self.noise**-2).diag() @ self.w
        shift = self.m / self.s**2 + (self.x - self.b) / self.noise**2 @ self.w
        return td.MultivariateNormal(torch.linalg.solve(precision, shift.T).T, precision_matrix=precision)


def agree(found: Tensor, expected: Tensor, weights: list[Tensor]) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)
    pairs = zip(gradients(found, weights), gradients(expected, weights), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
        assert theirs.abs().sum() > 0


@pytest.mark.parametrize("text", ["log p(x)", "log p_theta(x)", "E_data(x)[log p(x)]"])
def test_a_normal_marginal_is_the_dense_one(text: str) -> None:
    m = Linear()
    value = sd.Objective(text, m.p, m.prior)(x=m.x)
    agree(value, m.marginal().log_prob(m.x).mean(), m.weights)


def test_a_normal_posterior_is_the_dense_one() -> None:
    m = Linear()
    z = torch.randn(5, 2, dtype=torch.float64)
    value = sd.Objective("log p(z|x)", m.p, m.prior)(x=m.x, z=z)
    agree(value, m.posterior().log_prob(z).mean(), m.weights)


@pytest.mark.parametrize("draws", [1, 7])
def test_the_divergence_from_a_normal_posterior(draws: int) -> None:
    m = Linear()
    objective = sd.Objective("KL[q(z|x) || p(z|x)]", m.p, m.prior, m.q, samples=draws)
    torch.manual_seed(1)
    value = objective(x=m.x)
    torch.manual_seed(1)
    loc, scale = m.encode(m.x)
    shape = loc.shape if draws == 1 else (draws, *loc.shape)
    z = loc + scale * torch.randn(shape, dtype=torch.float64)
    expected = (td.Normal(loc, scale).log_prob(z).sum(-1) - m.posterior().log_prob(z)).mean()
    agree(value, expected, [*m.weights, *m.encoder.parameters()])
    assert "pathwise Monte Carlo (unbiased estimator)" in repr(objective.derivation)


def test_draws_of_a_normal_posterior_carry_its_gradient() -> None:
    """The second moment of many draws against the dense one; six standard errors at a fixed seed."""
    m = Linear()
    torch.manual_seed(2)
    value = sd.Objective("E_p(z|x)[||z||^2]", m.p, m.prior, samples=40_000)(x=m.x)
    dense = m.posterior()
    expected = (dense.mean.square() + dense.variance).sum(-1).mean()
    torch.testing.assert_close(value, expected, rtol=0.02, atol=0.0)
    for ours, theirs in zip(gradients(value, m.weights), gradients(expected, m.weights), strict=True):
        assert (ours - theirs).norm() < 0.05 * theirs.norm()


def test_bayes_rule_of_normal_variables() -> None:
    m = Linear()
    objective = sd.Objective("log p(x, z) - log p(z|x) - log p(x)", m.p, m.prior)
    z = torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(objective(x=m.x, z=z), torch.zeros((), dtype=torch.float64))


def test_normal_variables_beside_a_finite_one_and_a_condition() -> None:
    """``p(x|u) = sum_k p(k) int p(x|z,u) p(z|k) dz`` is a mixture of dense normals."""
    torch.manual_seed(0)
    d = torch.float64
    centres = nn.Parameter(torch.randn(3, 2, dtype=d))
    w, v = torch.randn(4, 2, dtype=d), torch.randn(4, 1, dtype=d)
    prior = sd.Categorical("p(k)", probs=torch.tensor([0.2, 0.3, 0.5], dtype=d))
    p = sd.LinearNormal("p(x|z,u)", {"z": w, "u": v}, scale=torch.tensor(0.6, dtype=d))
    middle = sd.Normal("p(z|k)", lambda k: (centres[k], 0.8))
    x, u = torch.randn(5, 4, dtype=d), torch.randn(5, 1, dtype=d)
    value = sd.Objective("log p(x|u)", p, middle, prior)(x=x, u=u)
    covariance = 0.64 * w @ w.T + 0.36 * torch.eye(4, dtype=d)
    parts = [td.MultivariateNormal(centres[k] @ w.T + u @ v.T, covariance).log_prob(x) for k in range(3)]
    expected = (torch.stack(parts, -1) + prior.constants["probs"].log()).logsumexp(-1).mean()  # type: ignore[union-attr]
    agree(value, expected, [centres])


@pytest.mark.parametrize("names", [{}, {"z": 2}], ids=["from a weight", "declared"])
def test_numbers_take_the_event_shape_that_is_known(names: dict[str, int]) -> None:
    linear = nn.Linear(2, 3).double()
    p, prior = sd.Normal("p(x|z)", loc=linear, scale=0.5), sd.Normal("p(z)", loc=0.0, scale=1.0)
    x = torch.randn(4, 3, dtype=torch.float64)
    dense = td.MultivariateNormal(
        linear.bias, linear.weight @ linear.weight.T + 0.25 * torch.eye(3, dtype=torch.float64)
    )
    torch.testing.assert_close(
        sd.Objective("log p(x)", p, prior, **names)(x=x), dense.log_prob(x).mean(), rtol=1e-6, atol=1e-6
    )
    hidden = sd.Bernoulli("p(y)", probs=0.3)
    seen = sd.Normal("p(x|y)", lambda y: (y.sum(-1, keepdim=True), 1.0))
    states = torch.cartesian_prod(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 1.0]))
    log = td.Bernoulli(0.3).log_prob(states).sum(-1) + td.Normal(states.sum(-1), 1.0).log_prob(
        torch.ones(4, 1)
    )
    value = sd.Objective("log p(x)", seen, hidden, y=2)(x=torch.ones(4, 1))
    torch.testing.assert_close(value, log.logsumexp(-1).mean())


def test_a_block_trains_by_the_exact_marginal() -> None:
    """Probabilistic principal components: the likelihood of the trained weights nears its known maximum."""
    torch.manual_seed(0)
    x = torch.randn(400, 1) @ torch.tensor([[2.0, -1.0, 0.5]]) + 0.5 * torch.randn(400, 3)
    model = sd.Model(
        """
        p(z)   = Normal(z; 0, 1)
        p(x|z) = Normal(x; f(z), 0.5)
        maximize log p(x)
        """,
        f=nn.Linear(1, 3),
        z=1,
    )
    model.fit(x, epochs=40, batch_size=100, progress=False, optimizer=lambda w: torch.optim.Adam(w, lr=0.05))
    centred = x - x.mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(x))
    w = vectors[:, -1:] * (values[-1] - 0.25).sqrt()
    best = td.MultivariateNormal(x.mean(0), w @ w.T + 0.25 * torch.eye(3)).log_prob(x).mean()
    assert best - 0.02 < -model.loss(x=x) <= best + 1e-4


REFUSED = [
    ("log p(x)", ("p(x|z)",), r"which has no exact sum: Normal p\(x\|z\) depends on the hidden z in a way"),
    ("log p(z|x)", ("p(x|z)",), r"depends on the hidden z[\s\S]*take an expectation[\s\S]*`LinearNormal`"),
    (
        "log p(x)",
        ("p(x|z,u)",),
        r"does not follow from them: they are given `u`[\s\S]*write `p\(x\|u\)`, or bind",
    ),
]


@pytest.mark.parametrize(("text", "declared", "words"), REFUSED)
def test_what_has_no_exact_sum_is_refused(text: str, declared: tuple[str], words: str) -> None:
    p, prior = (
        sd.Normal(declared[0], lambda *given: (given[0], 1.0)),
        sd.Normal("p(z)", loc=torch.zeros(2), scale=1.0),
    )
    with pytest.raises(sd.SymdgmError, match=words):
        sd.Objective(text, p, prior)


def test_what_is_neither_finite_nor_normal_is_refused() -> None:
    p, prior = (
        sd.Normal("p(x|z)", lambda z: (z, 1.0)),
        sd.Gamma("p(z)", concentration=torch.ones(2), rate=1.0),
    )
    with pytest.raises(sd.SymdgmError, match=r"z of Gamma p\(z\) is neither finite nor Gaussian"):
        sd.Objective("log p(x)", p, prior)
