"""The functions that compare samples, against explicit loops and SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial import distance
from scipy.special import logsumexp

from symdgm.lowering.sample_helpers import SAMPLE_HELPERS
from symdgm.lowering.statements import environment

HELPERS = environment()
KERNELS = {
    "gaussian": lambda r, h: math.exp(-(r**2) / (2 * h**2)),
    "imq": lambda r, h: h**2 / (h**2 + r**2),
    "laplace": lambda r, h: math.exp(-r / h),
}
WIDTHS = [0.7, 1.9]


def clouds(n: int = 7, m: int = 5, d: int = 3, seed: int = 0, shift: float = 0.4):
    noise = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=noise, dtype=torch.float64) + shift
    return x, 0.8 * torch.randn(m, d, generator=noise, dtype=torch.float64)


def loops(x, y, kernel, *, diagonal: bool) -> float:
    """The squared MMD, pair by pair."""

    def mean(a, b, same):
        pairs = [
            kernel(np.linalg.norm(p - q))
            for i, p in enumerate(a)
            for j, q in enumerate(b)
            if diagonal or not same or i != j
        ]
        return sum(pairs) / len(pairs)

    x, y = x.numpy(), y.numpy()
    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("statistic", ["unbiased", "biased"])
def test_mmd_is_the_mean_over_pairs(name, statistic):
    x, y = clouds()

    def kernel(r):
        return sum(KERNELS[name](r, h) for h in WIDTHS) / len(WIDTHS)

    found = HELPERS[f"{statistic}_mmd"](x, y, HELPERS[f"{name}_kernel"], WIDTHS)
    assert float(found) == pytest.approx(loops(x, y, kernel, diagonal=statistic == "biased"), abs=1e-12)


def test_the_energy_distance_is_that_of_scipy():
    x, y = clouds(d=1)
    found = HELPERS["biased_mmd"](x, y, HELPERS["energy_kernel"])
    expected = stats.energy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2
    assert float(found) == pytest.approx(expected, abs=1e-12)


def test_the_unbiased_energy_distance_leaves_the_diagonal_out():
    x, y = clouds()
    a, b = x.numpy(), y.numpy()
    within = sum(distance.pdist(p).mean() for p in (a, b))
    found = HELPERS["unbiased_mmd"](x, y, HELPERS["energy_kernel"])
    assert float(found) == pytest.approx(2 * distance.cdist(a, b).mean() - within, abs=1e-12)


def test_the_median_width_is_over_all_pairs_of_different_points():
    x, y = clouds()
    together = distance.pdist(np.concatenate([x.numpy(), y.numpy()]))
    widths = [float(h) for h in HELPERS["median_widths"](x, y)]
    lower = np.sort(together)[(len(together) - 1) // 2]  # torch's median is the lower of two
    assert widths == pytest.approx([lower * math.sqrt(s) for s in (0.25, 0.5, 1, 2, 4)])


def test_the_pairs_are_the_same_in_a_graph_of_any_size():
    torch._dynamo.reset()
    upper = torch.compile(
        lambda x: HELPERS["upper_triangle"](x.shape[0], x.device), backend="eager", dynamic=True
    )
    for n in (7, 2, 5, 30):
        rows, columns = upper(torch.empty(n, 3))
        assert torch.stack([rows, columns]).equal(torch.triu_indices(n, n, 1))


@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 4), (5, 12)])
def test_the_sliced_distance_is_that_of_scipy_on_each_slice(n, m):
    x, y = clouds(n, m)
    directions = HELPERS["random_directions"](9, x)
    assert directions.norm(dim=-1).numpy() == pytest.approx(np.ones(9))
    slices = [stats.wasserstein_distance((x @ t).numpy(), (y @ t).numpy()) for t in directions]
    found = HELPERS["sliced_wasserstein"](x, y, directions, 1)
    assert float(found) == pytest.approx(np.mean(slices), abs=1e-12)


@pytest.mark.parametrize(("n", "m"), [(6, 6), (6, 4)])
def test_the_sliced_distance_of_order_two_matches_quantiles(n, m):
    x, y = clouds(n, m)
    directions = HELPERS["random_directions"](4, x)
    whole = math.lcm(n, m)
    squares = []
    for t in directions.numpy():
        a, b = (np.repeat(np.sort(p.numpy() @ t), whole // len(p)) for p in (x, y))
        squares.append(np.mean((a - b) ** 2))
    found = HELPERS["sliced_wasserstein"](x, y, directions, 2)
    assert float(found) == pytest.approx(math.sqrt(np.mean(squares)), abs=1e-12)


def transport(a, b, order, epsilon, rounds=3000):
    """The regularised cost of transport, by Sinkhorn's iterations in the log domain."""
    cost = distance.cdist(a, b) ** order / order
    f, g = np.zeros(len(a)), np.zeros(len(b))
    for _ in range(rounds):
        f = -epsilon * logsumexp((g - cost) / epsilon - math.log(len(b)), axis=1)
        g = -epsilon * logsumexp((f[:, None] - cost) / epsilon - math.log(len(a)), axis=0)
    return f.mean() + g.mean()


@pytest.mark.parametrize("order", [1, 2])
def test_the_sinkhorn_divergence_is_the_debiased_cost(order):
    pytest.importorskip("geomloss")
    x, y = clouds(12, 9)
    a, b, epsilon = x.numpy(), y.numpy(), 0.5**order
    expected = transport(a, b, order, epsilon) - sum(transport(p, p, order, epsilon) for p in (a, b)) / 2
    found = HELPERS["sinkhorn"](x, y, order, 0.5, 0.999)
    assert float(found) == pytest.approx(expected, rel=3e-4)


def test_the_recording_of_gradients_is_left_as_it_was():
    pytest.importorskip("geomloss")
    with torch.no_grad():
        HELPERS["sinkhorn"](*clouds(), 2, 0.5, 0.5)
        assert not torch.is_grad_enabled()


def comparisons():
    """Every comparison as a function of two clouds."""
    widths = torch.tensor([0.9, 1.4])
    yield from (
        lambda x, y, s=s, k=k: HELPERS[f"{s}_mmd"](x, y, HELPERS[f"{k}_kernel"], widths)
        for s in ("unbiased", "biased")
        for k in KERNELS
    )
    yield lambda x, y: HELPERS["unbiased_mmd"](x, y, HELPERS["energy_kernel"])
    directions = HELPERS["random_directions"](5, clouds()[0])
    yield from (lambda x, y, r=r: HELPERS["sliced_wasserstein"](x, y, directions, r) for r in (1, 2))


COMPARISONS = list(comparisons())


@pytest.mark.parametrize("compare", COMPARISONS)
def test_gradients_reach_both_sides(compare):
    x, y = (cloud.requires_grad_() for cloud in clouds(5, 4))
    assert torch.autograd.gradcheck(compare, (x, y))


@pytest.mark.parametrize("compare", COMPARISONS)
def test_a_batch_of_clouds_is_compared_one_by_one(compare):
    pairs = [clouds(seed=seed) for seed in range(3)]
    together = compare(torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs]))
    assert together.tolist() == pytest.approx([float(compare(x, y)) for x, y in pairs])


@pytest.mark.parametrize("compare", COMPARISONS[:-1])
def test_equal_points_have_finite_gradients(compare):
    x = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    y = torch.zeros(5, 3, dtype=torch.float64, requires_grad=True)
    compare(x, y).backward()
    assert x.grad.isfinite().all() and y.grad.isfinite().all()


def test_collapsed_points_have_a_median_width_that_is_finite():
    x, y = torch.zeros(4, 3, requires_grad=True), torch.zeros(5, 3)
    widths = HELPERS["median_widths"](x, y)
    value = HELPERS["unbiased_mmd"](x, y, HELPERS["gaussian_kernel"], widths)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6) and x.grad.isfinite().all()


def test_no_digits_are_lost_far_from_the_origin():
    x, y = (cloud.float() for cloud in clouds(50, 50))
    near, far = (
        float(HELPERS["unbiased_mmd"](a, b, HELPERS["gaussian_kernel"], [1.0]))
        for a, b in ((x, y), (x + 1000, y + 1000))
    )
    assert far == pytest.approx(near, abs=1e-4)


def test_every_helper_is_found_by_its_name():
    assert all(source.startswith(f"def {name}(") for name, source in SAMPLE_HELPERS.items())
