"""The families that `torch.distributions` has, as generated code writes them: one entry a family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KEYWORDS = ("logits", "probs", "precision_matrix", "scale_tril")
"""The parameters that are written by name; all others stand in their order, which is torch's."""


@dataclass(frozen=True)
class TorchLaw:
    """A distribution of torch.

    Args:
        name: its class.
        scores: whether its `log_prob` is used; else that of the distribution object is.
        draws: whether its `rsample` is used, which must be pathwise; else the object draws.
    """

    name: str
    scores: bool = True
    draws: bool = True


TORCH: dict[str, TorchLaw] = {
    "Laplace": TorchLaw("Laplace"),
    "Cauchy": TorchLaw("Cauchy"),
    "StudentT": TorchLaw("StudentT"),
    "MultivariateNormal": TorchLaw("MultivariateNormal"),
    "LogNormal": TorchLaw("LogNormal"),
    "Exponential": TorchLaw("Exponential"),
    "Gamma": TorchLaw("Gamma"),
    "InverseGamma": TorchLaw("InverseGamma"),
    "Uniform": TorchLaw("Uniform", scores=False),  # torch leaves the upper end of the interval out
    "Beta": TorchLaw("Beta"),
    "Dirichlet": TorchLaw("Dirichlet"),
    "ContinuousBernoulli": TorchLaw("ContinuousBernoulli"),
    "VonMises": TorchLaw("VonMises", draws=False),
    "Binomial": TorchLaw("Binomial", draws=False),
    "Geometric": TorchLaw("Geometric", draws=False),
    "NegativeBinomial": TorchLaw("NegativeBinomial", draws=False),
    "Poisson": TorchLaw("Poisson", draws=False),
}
"""Family → torch's. The others, and those whose parameters torch does not broadcast, are objects."""


def constructor(law: TorchLaw, parameters: Mapping[str, str]) -> str:
    """The text that makes a distribution of torch.

    Example:
        >>> constructor(TORCH["Binomial"], {"total_count": "10", "logits": "p_x"})
        'torch.distributions.Binomial(10, logits=p_x, validate_args=False)'
    """
    name = "LowRankMultivariateNormal" if "cov_factor" in parameters else law.name
    texts = [f"{key}={text}" if key in KEYWORDS else text for key, text in parameters.items()]
    return f"torch.distributions.{name}({', '.join(texts)}, validate_args=False)"
