"""Divergences between normals with covariance matrices: by rotation, matrix roots and sums over a grid."""

from __future__ import annotations

import math

import pytest
import scipy.linalg
import torch
import torch.distributions as td
from lowering_cases import closed
from torch import nn

import symdgm as sd

KINDS = ("KL", "W_2", "Hellinger", "Bhattacharyya", "Renyi_{0.3}", "Renyi_{1}", "Renyi_{1.3}", "chi2")
ANGLE = torch.tensor(0.7).double()
TURN = torch.stack([torch.stack([ANGLE.cos(), -ANGLE.sin()]), torch.stack([ANGLE.sin(), ANGLE.cos()])])
MEANS = torch.tensor([[0.3, -0.2], [0.0, 0.5]]).double()
SCALES = torch.tensor([[0.7, 0.9], [1.0, 1.1]]).double()
TILTED = torch.tensor([[[0.8, 0.3], [0.3, 0.6]], [[1.0, -0.2], [-0.2, 1.3]]]).double()


def full(means, covariances):
    return [
        sd.MultivariateNormal(f"{n}(z)", loc=m, covariance_matrix=nn.Parameter(c.clone()))
        for n, m, c in zip("qp", means, covariances, strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_turning_both_laws_changes_nothing(kind):
    flat = [sd.Normal(f"{n}(z)", loc=m, scale=s) for n, m, s in zip("qp", MEANS, SCALES, strict=True)]
    covariances = [TURN @ torch.diag(s**2) @ TURN.T for s in SCALES]
    turned = full([TURN @ m for m in MEANS], covariances)
    expected = closed(f"{kind}[q||p]", *flat)()
    torch.testing.assert_close(closed(f"{kind}[q||p]", *turned)(), expected, rtol=1e-9, atol=1e-9)


def by_grid(kind, means, covariances):
    """By a sum over a grid, which is exact to many digits for smooth functions that vanish at its ends."""
    if kind == "W_2":
        a, b = (c.numpy() for c in covariances)
        half = scipy.linalg.sqrtm(a)
        cross = scipy.linalg.sqrtm(half @ b @ half)
        return math.sqrt(float(((means[0] - means[1]) ** 2).sum()) + float((a + b - 2 * cross.real).trace()))
    step = torch.linspace(-12, 12, 601, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(step, step, indexing="ij"), -1)
    q, p = (td.MultivariateNormal(m, c).log_prob(grid) for m, c in zip(means, covariances, strict=True))
    area = float(step[1] - step[0]) ** 2
    order = {"chi2": 2.0, "Hellinger": 0.5, "Bhattacharyya": 0.5}.get(kind) or float(
        kind[7:-1] if "_{" in kind else 1
    )
    if order == 1:
        return float((q.exp() * (q - p)).sum()) * area
    integral = float((order * q + (1 - order) * p).exp().sum()) * area
    if kind == "chi2":
        return integral - 1
    if kind == "Hellinger":
        return math.sqrt(1 - integral)
    return -math.log(integral) if kind == "Bhattacharyya" else math.log(integral) / (order - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_against_sums_over_a_grid(kind):
    laws = full(MEANS, TILTED)
    objective = closed(f"{kind}[q||p]", *laws)
    assert objective().item() == pytest.approx(by_grid(kind, MEANS, TILTED), rel=1e-6)
    gradients = torch.autograd.grad(objective(), objective.parameters())
    for parameter, gradient in zip(objective.parameters(), gradients, strict=True):
        along = torch.tensor([[0.3, 0.1], [0.1, -0.2]]).double()
        sides = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter += step * along
                sides.append(objective().item())
                parameter -= step * along
        assert float((gradient * along).sum()) == pytest.approx(
            (sides[0] - sides[1]) / 2e-5, rel=1e-4, abs=1e-6
        )


def test_infinite_where_the_geometric_mixture_has_no_covariance():
    laws = full(MEANS, torch.stack([4 * torch.eye(2), torch.eye(2)]).double())
    value = closed("chi2[q||p]", *laws)()
    assert value.item() == math.inf


def test_expected_log_density_and_square():
    q, p = full(MEANS, TILTED)
    made = [td.MultivariateNormal(m, c) for m, c in zip(MEANS, TILTED, strict=True)]
    expected = -(made[0].entropy() + td.kl_divergence(*made))
    torch.testing.assert_close(closed("E_q(z)[log p(z)]", q, p)(), expected)
    square = closed("E_q(z)[||z||^2]", q)()
    torch.testing.assert_close(square, TILTED[0].trace() + MEANS[0].square().sum())
