"""The mixture of Gaussians, and expectation-maximisation."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from symdgm.distributions import Mixture, Normal
from symdgm.model import Model
from symdgm.zoo.checked import checked

EQUATION = "maximize log p(x)"
"""The likelihood, where ``p(x)`` is the sum of all components."""


@checked
def gaussian_mixture(loc: Tensor, scale: Tensor) -> Model:
    r"""A mixture of Gaussians with independent elements, for `expectation_maximisation` or for ``.fit``.

    .. math:: \max\; \log \sum_k p(x|k) \, p(k)

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
    begin = zip(loc.clone(), scale.log().expand_as(loc).clone(), strict=True)
    parts = [Normal("p(x)", loc=nn.Parameter(m), log_scale=nn.Parameter(s)) for m, s in begin]
    return Model(EQUATION, Mixture("p(x)", parts, nn.Parameter(loc.new_zeros(len(loc)))))


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
    mixture, before = cast("Mixture", model.factors.get_submodule("p(x)")), float(model.objective(x=x))
    weights = mixture.responsibilities({"x": x})
    _parameter(mixture.prior, "logits").copy_(weights.mean(0).log())
    for component, share in zip(mixture.components, (weights / weights.sum(0)).T, strict=True):
        loc = share @ x
        _parameter(component, "loc").copy_(loc)
        _parameter(component, "log_scale").copy_((share @ (x - loc).square()).log() / 2)
    return before


def _parameter(module: nn.Module, name: str) -> Tensor:
    return module.get_parameter(f"{name}_value")
