r"""The families' mathematics: log-densities, pathwise draws, moments, entropies and divergences as formulas.

Every formula is elementwise and written in its stable form; the event (and, for the families of classes, the
classes) is summed outside. The parameters stand as names (`Family.symbols`), which the rewriting replaces by
those of the law at hand.

| family | parameters | log-density of an element |
| --- | --- | --- |
| Normal | ``loc`` μ, ``scale`` σ | −½((x−μ)/σ)² − log σ − ½ log 2π |
| LogNormal | ``loc`` μ, ``scale`` σ | that of the Normal at log x, − log x |
| Laplace | ``loc`` μ, ``scale`` b | −abs(x−μ)/b − log 2b |
| Exponential | ``rate`` λ | log λ − λ x |
| Gamma | ``concentration`` α, ``rate`` β | α log β + (α−1) log x − β x − log Γ(α) |
| InverseGamma | ``concentration`` α, ``rate`` β | α log β − (α+1) log x − β/x − log Γ(α) |
| Beta | ``concentration1`` α, ``concentration0`` β | (α−1) log x + (β−1) log(1−x) − log B(α, β) |
| Dirichlet | ``concentration`` α | Σ_k (α_k−1) log x_k − log B(α) |
| Bernoulli | ``logits`` ℓ | x ℓ − softplus ℓ |
| Bernoulli | ``probs`` π | x log π + (1−x) log(1−π) |
| Categorical, OneHotCategorical | ``logits`` ℓ | Σ_k x_k log softmax(ℓ)_k |
| Categorical, OneHotCategorical | ``probs`` π | Σ_k x_k log(π_k/Σπ) |
| Binomial | ``total_count`` n, ``logits`` ℓ or ``probs`` π | n of the Bernoulli's, + log C(n, x) |
| Geometric | ``logits`` ℓ or ``probs`` π | x log(1−π) + log π |
| Poisson | ``rate`` λ or ``log_rate`` ℓ | x log λ − λ − log x! |
"""

from symdgm.expressions.families.family import (
    HALF,
    LOG_2PI,
    LOGITS,
    LOGITS_P,
    MU,
    MU_P,
    NOISE,
    PI,
    PROBS,
    PROBS_P,
    SIGMA,
    SIGMA_P,
    VALUE,
    Family,
)
from symdgm.expressions.families.table import CONVERSIONS, FAMILIES, conversion, family, kl_formula

__all__ = [
    "CONVERSIONS",
    "FAMILIES",
    "HALF",
    "LOGITS",
    "LOGITS_P",
    "LOG_2PI",
    "MU",
    "MU_P",
    "NOISE",
    "PI",
    "PROBS",
    "PROBS_P",
    "SIGMA",
    "SIGMA_P",
    "VALUE",
    "Family",
    "conversion",
    "family",
    "kl_formula",
]
