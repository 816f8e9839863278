"""Closed forms in single precision at extreme parameters, against double precision."""

from __future__ import annotations

import itertools

import pytest
import torch
from lowering_cases import closed

import symdgm as sd

EXTREMES = [
    ("LogNormal", {"loc": 0.0, "scale": None}), ("Laplace", {"loc": 0.0, "scale": None}),
    ("Exponential", {"rate": None}), ("Gamma", {"concentration": 1.5, "rate": None}),
    ("Gamma", {"concentration": None, "rate": 2.0}), ("InverseGamma", {"concentration": 1.5, "rate": None}),
    ("InverseGamma", {"concentration": None, "rate": 2.0}), ("Poisson", {"rate": None}),
    ("Beta", {"concentration1": None, "concentration0": 2.0}), ("Normal", {"loc": 0.0, "scale": None}),
    ("Beta", {"concentration1": None, "concentration0": None}), ("Dirichlet", {"concentration": None}),
]  # fmt: skip


def extreme(family, numbers, name, size):
    shape = (3,) if family == "Dirichlet" else ()
    return getattr(sd, family)(
        f"{name}(z)",
        **{
            k: torch.full(shape, size if v is None else v).log().exp() if v is None else v
            for k, v in numbers.items()
        },
    )


@pytest.mark.parametrize(("family", "numbers"), EXTREMES)
@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product([1e-6, 1.3, 1e6], repeat=2)))
def test_divergences_keep_their_digits_in_single_precision(family, numbers, ours, theirs):
    """Float32 against the same formula in float64, with gradients: to 1e-4, relative to the larger terms."""
    values = {}
    for dtype in (torch.float32, torch.float64):
        leaf = torch.tensor([ours, theirs], dtype=dtype, requires_grad=True)
        laws = []
        for i, name in enumerate("qp"):
            size = leaf[i].expand(3) if family == "Dirichlet" else leaf[i]
            given = {k: size if v is None else torch.tensor(v, dtype=dtype) for k, v in numbers.items()}
            networks = {
                k: (lambda y, v=v: v + torch.zeros(len(y), *[1] * v.dim(), dtype=v.dtype))
                for k, v in given.items()
            }
            laws.append(getattr(sd, family)(f"{name}(z|y)", **networks))
        value = closed("KL[q(z|y)||p(z|y)]", *laws)(y=torch.zeros(1, 1, dtype=dtype))
        gradient = torch.autograd.grad(value, leaf)[0] * leaf.detach()
        values[dtype] = (value.detach().double(), gradient.double())
    (value, gradient), (exact, exact_gradient) = values.values()
    assert bool(torch.isfinite(value)) and bool(torch.isfinite(gradient).all())
    assert float(exact) >= 0
    scale = max(1.0, float(exact), float(exact_gradient.abs().max()))
    torch.testing.assert_close(value, exact, rtol=1e-4, atol=1e-4 * scale)
    most = max(ours, theirs)  # a gradient is a difference of terms as large as a concentration
    torch.testing.assert_close(gradient, exact_gradient, rtol=1e-3, atol=1e-4 * scale + 1e-6 * most)


@pytest.mark.parametrize("family", ["Binomial", "Geometric", "ContinuousBernoulli"])
@pytest.mark.parametrize(("ours", "theirs"), list(itertools.product([-80.0, 0.5, 80.0], repeat=2)))
def test_large_logits_keep_their_digits_in_single_precision(family, ours, theirs):
    values = []
    for dtype in (torch.float32, torch.float64):
        leaf = torch.tensor([ours, theirs], dtype=dtype, requires_grad=True)
        extra = {"total_count": 5.0} if family == "Binomial" else {}
        laws = [
            getattr(sd, family)(f"{n}(z|y)", logits=lambda y, v=leaf[i]: v.expand(len(y)), **extra)
            for i, n in enumerate("qp")
        ]
        value = closed("KL[q(z|y)||p(z|y)]", *laws)(y=torch.zeros(1, 1, dtype=dtype))
        values.append((value.detach().double(), torch.autograd.grad(value, leaf)[0].double()))
    (value, gradient), (exact, exact_gradient) = values
    assert bool(torch.isfinite(value)) and bool(torch.isfinite(gradient).all())
    scale = max(1.0, abs(float(exact)))
    torch.testing.assert_close(value, exact, rtol=1e-4, atol=1e-5 * scale)
    torch.testing.assert_close(gradient, exact_gradient, rtol=1e-3, atol=1e-4 * scale)
