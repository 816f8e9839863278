r"""symdgm: write the objective of a deep generative model as in the paper, bind the networks, train.

The language on one page (ASCII, Unicode and pasted LaTeX may be mixed freely):

| meaning | write |
| --- | --- |
| expectation | ``E_q(z|x)[...]``, ``E_{z ~ q(z|x)}[...]``, ``𝔼``, ``\mathbb{E}`` |
| divergence, entropy | ``KL[q || p]``, ``D_{KL}(q \| p)``, ``H[q]``, ``H[q, p]`` |
| density | ``p(x|z)``, ``p(x, z)``, ``q_phi(z|x)``; ``log p(x|z)`` |
| network | ``G(z)``, ``f(x, t)`` |
| norms | ``||a - b||^2``, ``||a||_1``, ``<a, b>`` |
| arithmetic | ``+ - * / ^``, juxtaposition, ``\frac{}{}``, ``exp log sqrt tanh ...`` |
| sum, product, mean | ``sum_{t=1}^T``, ``\prod``, ``mean_{k=1}^K`` |
| derivative | ``grad_x f``, ``∇_x``, ``laplacian_x`` |
| stop gradient | ``sg[...]`` |
| optimise | ``maximize``, ``minimize``, ``min_G max_D`` |
| factor | ``p(z) = Normal(z; 0, 1)``, ``p(x|z) = Bernoulli(x; logits = dec(z))`` |

``log p(x|z) p(z)`` is the log of the product; ``1/2 ||g||^2`` is half of the norm; a log that is followed by
``/`` is refused, since it can be read in two ways. Whatever the language has and this version cannot compute
is refused by name when it is bound.

Example:
    >>> import symdgm as sd
    >>> sd.parse(r"\mathbb{E}_{q(z|x)}[\log p(x|z)] - \beta D_{KL}[q \| p]")
    E_q(z|x)[log p(x|z)] - beta KL[q || p]
    >>> sd.signature(sd.parse("KL[q||p] + 1")) == sd.signature(sd.parse("1 + D_KL(q, p)"))
    True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from symdgm.caches import cache_clear, cache_info
from symdgm.errors import SymdgmError
from symdgm.expressions.signature import signature
from symdgm.parsing import parse

if TYPE_CHECKING:
    from symdgm import algebra, divergences, estimators
    from symdgm.algebra import KL, E, H, exp, log, maximize, minimize, sg, symbols
    from symdgm.blocks.custom import Custom
    from symdgm.chain import Chain
    from symdgm.distributions import (
        Bernoulli,
        Beta,
        Binomial,
        Categorical,
        Cauchy,
        Conditioned,
        ContinuousBernoulli,
        Data,
        Delta,
        Deterministic,
        Dirichlet,
        DiscretizedLogistic,
        DiscretizedLogisticMixture,
        ElementwiseProductOfExperts,
        Empirical,
        Exponential,
        Gamma,
        Geometric,
        InverseGamma,
        Joint,
        Laplace,
        LinearNormal,
        Logistic,
        LogNormal,
        Marginal,
        Mixture,
        Multinomial,
        MultivariateNormal,
        NegativeBinomial,
        Normal,
        OneHotCategorical,
        Poisson,
        Posterior,
        ProductOfExperts,
        RelaxedBernoulli,
        RelaxedOneHotCategorical,
        StudentT,
        Transformed,
        Uniform,
        VonMises,
        VonMisesFisher,
    )
    from symdgm.equivalence import equivalent
    from symdgm.games.critic import Critic
    from symdgm.model import Model
    from symdgm.objective import Objective
    from symdgm.rollouts import rollout

__version__ = "0.1.0"

__all__ = [
    "KL",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chain",
    "Conditioned",
    "ContinuousBernoulli",
    "Critic",
    "Custom",
    "Data",
    "Delta",
    "Deterministic",
    "Dirichlet",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "E",
    "ElementwiseProductOfExperts",
    "Empirical",
    "Exponential",
    "Gamma",
    "Geometric",
    "H",
    "InverseGamma",
    "Joint",
    "Laplace",
    "LinearNormal",
    "LogNormal",
    "Logistic",
    "Marginal",
    "Mixture",
    "Model",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "Objective",
    "OneHotCategorical",
    "Poisson",
    "Posterior",
    "ProductOfExperts",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "StudentT",
    "SymdgmError",
    "Transformed",
    "Uniform",
    "VonMises",
    "VonMisesFisher",
    "algebra",
    "cache_clear",
    "cache_info",
    "divergences",
    "equivalent",
    "estimators",
    "exp",
    "log",
    "maximize",
    "minimize",
    "parse",
    "rollout",
    "sg",
    "signature",
    "symbols",
]

_MODULES = ("algebra", "divergences", "estimators")
"""Rooms whose names are written after theirs, ``sd.divergences.MMD``."""

_ALGEBRA = ("E", "H", "KL", "exp", "log", "maximize", "minimize", "sg", "symbols")

_LOADED = ("SymdgmError", "cache_clear", "cache_info", "parse", "signature", *_MODULES, *_ALGEBRA)

_LAZY = {
    **dict.fromkeys((name for name in __all__ if name not in _LOADED), "symdgm.distributions"),
    **dict.fromkeys(_ALGEBRA, "symdgm.algebra"),
    "Chain": "symdgm.chain",
    "Critic": "symdgm.games.critic",
    "Model": "symdgm.model",
    "Objective": "symdgm.objective",
    "rollout": "symdgm.rollouts",
    "equivalent": "symdgm.equivalence",
    "Custom": "symdgm.blocks.custom",
}
"""What needs torch is loaded when it is first asked for."""


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"symdgm.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module 'symdgm' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
