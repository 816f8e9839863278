"""The mixture of Gaussians of the zoo, by expectation-maximisation and by gradient."""

from __future__ import annotations

import itertools

import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from symdgm.zoo import expectation_maximisation, gaussian_mixture

CLUSTERS = [([1.5, 2.5], [1.2, 0.8], 150), ([7.5, 7.5], [0.75, 0.5], 50), ([8.0, 1.5], [0.6, 0.8], 100)]
"""Mean, variance and size of the clusters of Pixyz's lesson."""

PIXYZ_CURVE = {0: -3.86147, 1: -2.52381, 2: -2.44564, 10: -1.65912, 20: -1.65912}
"""The log-likelihood by epoch as Pixyz's lesson prints it."""


def lesson() -> tuple[Tensor, Tensor]:
    """The points, standardised, and where the components begin: both from seed 0, as in the lesson."""
    torch.manual_seed(0)
    rows = [torch.normal(torch.tensor(m), torch.tensor(v).sqrt()) for m, v, n in CLUSTERS for _ in range(n)]
    x = torch.stack(rows)
    return (x - x.mean(0)) / x.std(0), torch.stack([torch.randn(2) for _ in range(3)])


def test_the_objective_is_the_mean_log_density():
    model = gaussian_mixture(torch.randn(3, 2, dtype=torch.float64), torch.rand(2, dtype=torch.float64) + 0.5)
    x = torch.randn(7, 2, dtype=torch.float64)
    *parts, logits = model.parameters()
    loc, scale = torch.stack(parts[::2]), torch.stack(parts[1::2]).exp()
    weights = Categorical(logits=logits)
    written = MixtureSameFamily(weights, Independent(Normal(loc, scale), 1)).log_prob(x).mean()
    parameters = list(model.parameters())
    found = model.objective(x=x)
    torch.testing.assert_close(found, written)
    for a, b in zip(*(torch.autograd.grad(v, parameters) for v in (found, written)), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_expectation_maximisation_repeats_the_curve_of_pixyz(dtype):
    x, loc = (v.to(dtype) for v in lesson())
    model = gaussian_mixture(loc, torch.full((2,), 0.6, dtype=dtype))
    curve = [expectation_maximisation(model, x) for _ in range(21)]
    assert {epoch: round(curve[epoch], 5) for epoch in PIXYZ_CURVE} == PIXYZ_CURVE
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(curve))


def test_a_gradient_finds_what_scikit_learn_finds():
    """Expectation-maximisation of scikit-learn reaches -1.659."""
    x, _ = lesson()
    by_sklearn = GaussianMixture(3, covariance_type="diag", random_state=0).fit(x.numpy())
    model = gaussian_mixture(torch.tensor(by_sklearn.means_, dtype=torch.float32) / 2, torch.ones(1))
    model.fit(x, epochs=60, batch_size=100, lr=3e-2, seed=0, progress=False)
    assert model.objective(x=x).item() == pytest.approx(by_sklearn.score(x.numpy()), abs=0.02)


def test_a_far_point_has_a_finite_density():
    model = gaussian_mixture(torch.zeros(2, 2), torch.ones(1))
    assert model.objective(x=torch.full((1, 2), 1e3)).item() == pytest.approx(-1e6, rel=1e-4)
