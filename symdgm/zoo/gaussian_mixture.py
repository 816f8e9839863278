"""The mixture of Gaussians, and expectation-maximisation."""

from __future__ import annotations

from typing import cast, final

import torch
from torch import Tensor, nn

from symdgm.distributions import Categorical, Normal
from symdgm.model import Model

EQUATION = """
    p(x|k) = Normal(x; component(k))
    maximize log E_p(k)[p(x|k)]
"""
"""The likelihood: the sum over all components is exact."""


@final
class Components(nn.Module):
    """The mean and the standard deviation of component ``k``.

    Args:
        loc: where they begin, ``[K, D]``.
        scale: how wide they begin, ``[K, D]`` or less.
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.loc = nn.Parameter(loc.clone())
        self.log_scale = nn.Parameter(scale.log().expand_as(loc).clone())

    def forward(self, k: Tensor) -> tuple[Tensor, Tensor]:
        """``[...]`` to twice ``[..., D]``."""
        return self.loc[k], self.log_scale[k].exp()


def gaussian_mixture(loc: Tensor, scale: Tensor) -> Model:
    r"""A mixture of Gaussians with independent elements, for `expectation_maximisation` or for ``.fit``.

    .. math:: \max\; \log \mathbb{E}_{p(k)}[p(x|k)]

    Args:
        loc: where the components begin, ``[K, D]``; their weights begin equal.
        scale: how wide they begin, ``[K, D]`` or a shape that broadcasts to it.

    Example:
        >>> model = gaussian_mixture(torch.tensor([[-1.0], [1.0]]), torch.ones(1))
        >>> x = torch.tensor([[-2.1], [-1.9], [1.9], [2.1]])
        >>> for step in range(3):
        ...     print(f"{expectation_maximisation(model, x):.4f}")
        -2.0986
        -1.0278
        0.1905
    """
    weights = Categorical("p(k)", logits=nn.Parameter(loc.new_zeros(len(loc))))
    return Model(EQUATION, weights, component=Components(loc, scale))


@torch.no_grad()
def expectation_maximisation(model: Model, x: Tensor) -> float:
    r"""One step on all data; the likelihood never falls.

    .. math:: r_k = p(k|x), \quad \mu_k = \frac{\langle r_k x \rangle}{\langle r_k \rangle}, \quad
        \sigma_k^2 = \frac{\langle r_k (x - \mu_k)^2 \rangle}{\langle r_k \rangle}

    Args:
        model: of `gaussian_mixture`.
        x: all rows, ``[N, D]``.

    Returns:
        The mean log-likelihood before the step.

    Source:
        A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum Likelihood from Incomplete Data via the EM
        Algorithm" (1977).
    """
    before = float(model.objective(x=x))
    likelihood = cast("Normal", model.factors.get_submodule("p(x|k)"))
    prior = cast("Categorical", model.factors.get_submodule("p(k)"))
    components = cast("Components", likelihood.get_submodule("network"))
    states = torch.arange(len(components.loc), device=x.device).unsqueeze(-1).expand(-1, len(x))
    weights = (likelihood * prior).posterior("k").prob({"k": states, "x": x})
    total = weights.sum(-1, keepdim=True)
    components.loc.copy_(weights @ x / total)
    spread = (x - components.loc.unsqueeze(1)).square()
    components.log_scale.copy_(((weights.unsqueeze(-1) * spread).sum(1) / total).log() / 2)
    next(prior.parameters()).copy_((total / len(x)).log().squeeze(-1))
    return before
