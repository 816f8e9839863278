"""Functions of closed forms that generated code defines for itself, where the plain formula loses digits."""

from __future__ import annotations

LGAMMA_GAP = """def lgamma_gap(a, b):
    # log Gamma(b) - log Gamma(a) - (b - a) digamma(a); by Stirling's series where both are large
    like = a if isinstance(a, torch.Tensor) else b
    a, b = (torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in (a, b))
    large = torch.minimum(a, b) > 10
    n, m = a.where(large, 10), b.where(large, 10)
    t = (m - n) / n
    rest = [(1 / 12 - (1 / 360 - 1 / (1260 * v**2)) / v**2) / v for v in (n, m)]
    slope = (1 / 12 - (1 / 120 - 1 / (252 * n**2)) / n**2) / n**2
    series = n * ((1 + t) * t.log1p() - t) - 0.5 * (t.log1p() - t) + (m - n) * slope
    series = series + rest[1] - rest[0]
    return series.where(large, b.lgamma() - a.lgamma() - (b - a) * a.digamma())
"""
ROOT = """def root(x):
    # the square root, with a gradient of 0 where x is 0
    return torch.where(x > 0, x, 1).sqrt().where(x > 0, x)
"""
NORMAL_RENYI = '''def normal_renyi(loc_q, scale_q, loc_p, scale_p, order):
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
'''
CLOSED_FORM_HELPERS = {"lgamma_gap": LGAMMA_GAP, "root": ROOT, "normal_renyi": NORMAL_RENYI}
"""Sources by name."""
