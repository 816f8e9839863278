"""Functions of closed forms that generated code defines for itself, where the plain formula loses digits."""

from __future__ import annotations

GAMMA_GAP = '''def gamma_gap(a, b):
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
'''
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
CLOSED_FORM_HELPERS = {"gamma_gap": GAMMA_GAP, "root": ROOT, "normal_renyi": NORMAL_RENYI}
"""Sources by name."""
