"""The families that `torch.distributions` has, as generated code writes them: one entry a family."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

KEYWORDS = ("precision_matrix", "scale_tril", "logits", "probs")
"""The parameters that are written by name; all others stand in their order, which is torch's."""


@dataclass(frozen=True)
class TorchLaw:
    """A distribution of torch.

    Args:
        name: its class.
        scores: whether its `log_prob` is used; else that of the distribution object is.
        draws: whether its `rsample` is used, which must be pathwise; else the object draws.
        method: what draws.
        one_hot: whether a draw is a class, of which the vector is made.
    """

    name: str
    scores: bool = True
    draws: bool = True
    method: str = "rsample"
    one_hot: bool = False


TORCH: dict[str, TorchLaw] = {
    "Laplace": TorchLaw("Laplace"),
    "Cauchy": TorchLaw("Cauchy"),
    "MultivariateNormal": TorchLaw("MultivariateNormal"),
    "LogNormal": TorchLaw("LogNormal"),
    "Exponential": TorchLaw("Exponential"),
    "Gamma": TorchLaw("Gamma"),
    "Uniform": TorchLaw("Uniform", scores=False),  # torch leaves the upper end of the interval out
    "Beta": TorchLaw("Beta"),
    "Dirichlet": TorchLaw("Dirichlet"),
    "Poisson": TorchLaw("Poisson", draws=False),
    "Bernoulli": TorchLaw("Bernoulli", scores=False, method="sample"),
    "Categorical": TorchLaw("Categorical", scores=False, method="sample"),
    "OneHotCategorical": TorchLaw("Categorical", scores=False, method="sample", one_hot=True),
}
"""Family → torch's.

The others are objects: torch lacks them (Logistic, VonMisesFisher), wants other shapes (Multinomial and the
relaxed ones), checks values in every step (StudentT, by a Chi2 of its own), or is NaN or has no gradient at
extreme parameters where ours is right (ContinuousBernoulli, VonMises, Geometric, NegativeBinomial, Binomial,
InverseGamma).
"""
OWN = ("log_rate",)
"""Parameters that torch does not know, and that would lose digits as those that it knows."""


def torch_law(family: str, parameters: Collection[str]) -> TorchLaw | None:
    """What torch has for a family with these parameters, or None.

    Example:
        >>> torch_law("Poisson", ["rate"]).name, torch_law("Poisson", ["log_rate"])
        ('Poisson', None)
    """
    return None if set(OWN) & set(parameters) else TORCH.get(family)


def constructor(law: TorchLaw, parameters: Mapping[str, str]) -> str:
    """The text that makes a distribution of torch.

    Example:
        >>> constructor(TORCH["MultivariateNormal"], {"loc": "m", "scale_tril": "s"})
        'torch.distributions.MultivariateNormal(m, scale_tril=s, validate_args=False)'
    """
    name = "LowRankMultivariateNormal" if "cov_factor" in parameters else law.name
    texts = [f"{key}={text}" if key in KEYWORDS else text for key, text in parameters.items()]
    return f"torch.distributions.{name}({', '.join(texts)}, validate_args=False)"
