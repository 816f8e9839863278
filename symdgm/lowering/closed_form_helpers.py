"""Functions of closed forms that generated code defines for itself, where the plain formula loses digits."""

from __future__ import annotations

GAMMA_GAP = """def gamma_gap(a, b):
    # f(b) - f(a) - (b - a) f'(a) of f(x) = log Gamma(x) - x log x + x, by Stirling's series where x is large
    like = a if isinstance(a, torch.Tensor) else b
    a, b = (torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (a, b))

    def rest(x):
        n, square = x.clamp(min=10), x.clamp(min=10) ** -2
        series = 0.5 * (2 * math.pi / n).log() + (1 / 12 - (1 / 360 - square / 1260) * square) / n
        return torch.where(x > 10, series, x.lgamma() - x * x.log() + x)

    n, square = a.clamp(min=10), a.clamp(min=10) ** -2
    series = -0.5 / n - (1 / 12 - (1 / 120 - square / 252) * square) * square
    return rest(b) - rest(a) - (b - a) * torch.where(a > 10, series, a.digamma() - a.log())
"""
ROOT = """def root(x):
    # the square root, with a gradient of 0 where x is 0
    return torch.where(x > 0, x, 1).sqrt().where(x > 0, x)
"""
NORMAL_RENYI = """def normal_renyi(loc_q, scale_q, loc_p, scale_p, order):
    # the Renyi divergence of normals, infinite where q^order p^(1 - order) has no finite integral
    order = torch.as_tensor(order, dtype=scale_q.dtype, device=scale_q.device)
    ratio, is_kl = scale_q / scale_p, order == 1
    wider = (ratio - 1) * (ratio + 1)
    finite = (1 - order) * wider > -1
    mixed = ((1 - order) * wider).where(finite, 0)
    slope = torch.where(is_kl, wider, mixed.log1p() / (1 - order).where(~is_kl, 1))
    apart = (loc_q - loc_p) / scale_p
    value = 0.5 * (slope + order * apart**2 / (1 + mixed)) - ratio.log()
    return value.where(finite, math.inf)
"""
GAUSSIAN_TRANSPORT = """def gaussian_transport(q, p):
    # the squared W_2: ||m - m_0||^2 + tr(S + S_0 - 2 (S^1/2 S_0 S^1/2)^1/2); the root's trace is a sum
    # of singular values
    root = torch.linalg.svdvals(q.scale_tril.mT @ p.scale_tril).sum(-1)
    wider = q.variance.sum(-1) + p.variance.sum(-1) - 2 * root
    return (q.mean - p.mean).square().sum(-1) + wider.clamp(min=0)
"""
GAUSSIAN_RENYI = """def gaussian_renyi(q, p, order):
    # the Renyi divergence; infinite where the covariance of the geometric mixture is not positive
    order = torch.as_tensor(order, dtype=q.mean.dtype, device=q.mean.device)
    mixed = order * p.covariance_matrix + (1 - order) * q.covariance_matrix
    finite = torch.linalg.cholesky_ex(mixed.detach()).info == 0
    mixed = mixed.where(finite[..., None, None], p.covariance_matrix)
    factor = torch.linalg.cholesky(mixed)
    apart = torch.linalg.solve_triangular(factor, (q.mean - p.mean)[..., None], upper=False)
    logs = [f.diagonal(dim1=-2, dim2=-1).log().sum(-1) for f in (q.scale_tril, p.scale_tril, factor)]
    logs = (1 - order) * logs[0] + order * logs[1] - logs[2]
    value = 0.5 * order * apart.square().sum((-2, -1)) + logs / (order - 1).where(order != 1, 1)
    value = torch.where(order == 1, torch.distributions.kl_divergence(q, p), value)
    return value.where(finite, math.inf)
"""
CLOSED_FORM_HELPERS = {
    "gamma_gap": GAMMA_GAP,
    "root": ROOT,
    "normal_renyi": NORMAL_RENYI,
    "gaussian_transport": GAUSSIAN_TRANSPORT,
    "gaussian_renyi": GAUSSIAN_RENYI,
}
"""Sources by name."""
