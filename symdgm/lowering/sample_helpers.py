"""What generated code defines for itself where it compares samples."""

from __future__ import annotations

SQUARED_DISTANCES = """def squared_distances(x, y):
    # ||x_i - y_j||^2, with the origin at the mean of y, so that no digits are lost far from zero
    origin = y.detach().mean(-2, keepdim=True)
    x, y = x - origin, y - origin
    squares = x.square().sum(-1)[..., :, None] + y.square().sum(-1)[..., None, :]
    return (squares - 2 * x @ y.mT).clamp_min(0)
"""
DISTANCES = """def distances(x, y):
    # ||x_i - y_j||, exact for points that are close; the gradient at equal points is zero
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
"""
GAUSSIAN_KERNEL = """def gaussian_kernel(x, y, widths):
    # the mean over the widths h of exp(-||x - y||^2 / (2 h^2))
    squares = squared_distances(x, y)
    return sum((-squares / (2 * h**2)).exp() for h in widths) / len(widths)
"""
IMQ_KERNEL = """def imq_kernel(x, y, widths):
    # the mean over the widths h of h^2 / (h^2 + ||x - y||^2)
    squares = squared_distances(x, y)
    return sum(h**2 / (h**2 + squares) for h in widths) / len(widths)
"""
LAPLACE_KERNEL = """def laplace_kernel(x, y, widths):
    # the mean over the widths h of exp(-||x - y|| / h)
    lengths = distances(x, y)
    return sum((-lengths / h).exp() for h in widths) / len(widths)
"""
ENERGY_KERNEL = """def energy_kernel(x, y):
    # the kernel whose squared MMD is the energy distance
    return -distances(x, y)
"""
UPPER_TRIANGLE = """def upper_triangle(n, device):
    # the rows and the columns of all pairs i < j
    if not torch.compiler.is_compiling():
        return torch.triu_indices(n, n, 1, device=device)
    # in a graph, where that would make a constant of their number
    first, count = torch.arange(n, device=device), n * (n - 1) // 2
    rows = first.repeat_interleave(n - 1 - first, output_size=count)
    return rows, torch.arange(1, count + 1, device=device) - rows * (2 * n - 3 - rows) // 2
"""
MEDIAN_WIDTHS = """def median_widths(x, y):
    # the median distance of different points of both samples, times 1/2, 1/sqrt 2, 1, sqrt 2 and 2
    x, y = x.detach(), y.detach()
    squares = [squared_distances(p, p)[..., *upper_triangle(p.shape[-2], p.device)] for p in (x, y)]
    squares.append(squared_distances(x, y).flatten(-2))
    lead = torch.broadcast_shapes(*[s.shape[:-1] for s in squares])
    squares = torch.cat([s.expand(*lead, -1) for s in squares], -1)
    median = squares.median(-1).values.clamp_min(torch.finfo(x.dtype).tiny ** 0.5)
    return [(scale * median).sqrt()[..., None, None] for scale in (0.25, 0.5, 1, 2, 4)]
"""
UNBIASED_MMD = """def unbiased_mmd(x, y, kernel, *widths):
    # E k(x, x') + E k(y, y') - 2 E k(x, y) over pairs of different points, without the diagonals
    value = -2 * kernel(x, y, *widths).mean((-2, -1))
    for points in (x, y):
        pairs, n = kernel(points, points, *widths), points.shape[-2]
        value = value + (pairs.sum((-2, -1)) - pairs.diagonal(dim1=-2, dim2=-1).sum(-1)) / (n * (n - 1))
    return value
"""
BIASED_MMD = """def biased_mmd(x, y, kernel, *widths):
    # E k(x, x') + E k(y, y') - 2 E k(x, y) of the samples themselves, each point with itself too
    value = -2 * kernel(x, y, *widths).mean((-2, -1))
    return value + sum(kernel(points, points, *widths).mean((-2, -1)) for points in (x, y))
"""
RANDOM_DIRECTIONS = """def random_directions(count, x):
    # points that are uniform on the unit sphere of the space of x
    directions = torch.randn(count, x.shape[-1], dtype=x.dtype, device=x.device)
    return directions / directions.norm(dim=-1, keepdim=True)
"""
SLICED_WASSERSTEIN = """def sliced_wasserstein(x, y, directions, order):
    # the distance of the sorted projections on each direction, averaged over the directions
    x, y = ((points @ directions.mT).sort(-2).values for points in (x, y))
    n, m = x.shape[-2], y.shape[-2]
    weights = x.new_full((n,), 1 / n)
    if n != m:  # the quantiles of both as steps of one grid
        levels = torch.cat([torch.arange(m, n * m + 1, m), torch.arange(n, n * m + 1, n)]).sort().values
        weights = levels.diff(prepend=levels.new_zeros(1)).to(x) / (n * m)
        x, y = (points[..., ((levels - 1) // step).to(x.device), :] for points, step in ((x, m), (y, n)))
    gaps = ((x - y).abs() ** order * weights[:, None]).sum(-2).mean(-1)
    return gaps if order == 1 else gaps ** (1 / order)
"""
SINKHORN = """def sinkhorn(x, y, order, blur, scaling):
    # the debiased cost of transport, by geomloss, which would leave the recording of gradients switched on
    from geomloss import SamplesLoss

    lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x, y = (p.expand(*lead, *p.shape[-2:]).reshape(-1, *p.shape[-2:]) for p in (x, y))
    loss = SamplesLoss("sinkhorn", p=order, blur=blur, scaling=scaling, backend="tensorized")
    with torch.set_grad_enabled(torch.is_grad_enabled()):
        return loss(x, y).reshape(lead)
"""
SAMPLE_HELPERS = {
    "squared_distances": SQUARED_DISTANCES,
    "distances": DISTANCES,
    "gaussian_kernel": GAUSSIAN_KERNEL,
    "imq_kernel": IMQ_KERNEL,
    "laplace_kernel": LAPLACE_KERNEL,
    "energy_kernel": ENERGY_KERNEL,
    "median_widths": MEDIAN_WIDTHS,
    "upper_triangle": UPPER_TRIANGLE,
    "unbiased_mmd": UNBIASED_MMD,
    "biased_mmd": BIASED_MMD,
    "random_directions": RANDOM_DIRECTIONS,
    "sliced_wasserstein": SLICED_WASSERSTEIN,
    "sinkhorn": SINKHORN,
}
"""Functions by name."""
