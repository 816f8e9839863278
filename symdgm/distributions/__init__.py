"""Distributions over named variables, backed by torch; networks make them conditional.

| family | parameters | values |
| --- | --- | --- |
| `Normal` | ``loc``, ``scale`` (``log_scale``, ``variance``) | real |
| `Laplace`, `Logistic`, `Cauchy` | ``loc``, ``scale`` (``log_scale``) | real |
| `StudentT` | ``df``, ``loc``, ``scale`` (``log_scale``) | real |
| `MultivariateNormal` | ``loc``, and a covariance in one of four forms | real vectors |
| `LogNormal` | ``loc``, ``scale`` (``log_scale``, ``variance``) of the log | positive |
| `Exponential` | ``rate`` or ``scale`` | 0 and more |
| `Gamma`, `InverseGamma` | ``concentration``, ``rate`` (`Gamma` ``scale``) | 0 and more, positive |
| `Uniform` | ``low``, ``high`` | ``[low, high]`` |
| `Beta` | ``concentration1``, ``concentration0`` | [0, 1] |
| `ContinuousBernoulli` | ``logits`` or ``probs`` | [0, 1] |
| `RelaxedBernoulli` | ``logits`` or ``probs``, ``temperature`` | (0, 1) |
| `VonMises` | ``loc``, ``concentration`` | angles |
| `VonMisesFisher` | ``loc``, ``concentration`` | unit vectors |
| `Dirichlet` | ``concentration``, classes last | rows of probabilities |
| `RelaxedOneHotCategorical` | ``logits`` or ``probs``, ``temperature`` | rows of positive probabilities |
| `Bernoulli` | ``logits`` or ``probs`` | 0, 1, and what lies between (cross-entropy) |
| `Categorical` | ``logits`` or ``probs``, classes last | index 0 … K-1 (`torch.long`) |
| `OneHotCategorical` | ``logits`` or ``probs``, classes last | one-hot rows, and rows of probabilities |
| `Binomial` | ``total_count``, ``logits`` or ``probs`` | 0 … total_count |
| `Multinomial` | ``total_count``, ``logits`` or ``probs``, classes last | rows of counts |
| `Geometric` | ``logits`` or ``probs`` | 0, 1, 2, … |
| `NegativeBinomial` | ``total_count``, ``logits`` or ``probs`` | 0, 1, 2, … |
| `Poisson` | ``rate`` or ``log_rate`` | 0, 1, 2, … |
| `DiscretizedLogistic` | ``loc``, ``scale`` (``log_scale``) | levels of a grid |
| `DiscretizedLogisticMixture` | ``logits``, ``loc``, ``scale``, components last | levels of a grid |
| `Delta` | ``loc`` | one point |
| `Custom` | a log-density, normalised or not | any |
| `Deterministic` | a network, ``x = f(z)`` | any |
| `Transformed` | a base and a `Flow` (`symdgm.distributions.flows`) | what the flow makes of the base |
| `Data` (`Empirical`) | rows, or none | what is observed |

| made of others | how | what |
| --- | --- | --- |
| `Joint` | ``p * q`` | a product along a graph |
| `Marginal` | ``p.marginal("x")`` | others are summed, integrated, or sampled |
| `Posterior` | ``p.posterior("z")`` | Bayes' rule, where it is exact |
| `Conditioned` | ``p.condition(x=data)`` | at data |
| `Renamed` | ``p.rename(x="y")`` | the same weights under other names |
| `Mixture` | components and weights | one of several, also of experts |
| `ProductOfExperts`, `ElementwiseProductOfExperts` | normal experts | their precisions add |
| `LinearNormal` | ``weight``, ``bias``, ``scale`` | a normal that can be integrated exactly |

A value is a tensor ``[*samples, batch, *event]``. Besides: `Declaration` (the head ``q(z|x)``),
`Distribution` (the interface), `Family` (the interface from formulas), `NetworkSource` (a network and what it
gives), `read_parameters` and `apply_over_leading_axes` (how a network is called and read), `importance` (the
likelihood by weighted samples, with its error: `Estimate`), `ModelGraph` (the graph of a distribution, which
draws itself).

Example:
    >>> import torch
    >>> q = Normal("q(z|x)", lambda x: (x, torch.ones_like(x)))
    >>> z = q.sample({"x": torch.zeros(8, 2)}, shape=(5,))["z"]
    >>> z.shape, q.log_prob({"z": z, "x": torch.zeros(8, 2)}).shape
    (torch.Size([5, 8, 2]), torch.Size([5, 8]))
"""

from symdgm.distributions.bernoulli import Bernoulli
from symdgm.distributions.beta import Beta
from symdgm.distributions.binomial import Binomial
from symdgm.distributions.categorical import Categorical, OneHotCategorical
from symdgm.distributions.cauchy import Cauchy
from symdgm.distributions.conditioned import Conditioned
from symdgm.distributions.continuous_bernoulli import ContinuousBernoulli
from symdgm.distributions.custom import Custom
from symdgm.distributions.data import Data, Empirical
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.delta import Delta
from symdgm.distributions.deterministic import Deterministic
from symdgm.distributions.dirichlet import Dirichlet
from symdgm.distributions.discretized_logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from symdgm.distributions.distribution import Distribution
from symdgm.distributions.experts import ElementwiseProductOfExperts, ProductOfExperts
from symdgm.distributions.exponential import Exponential
from symdgm.distributions.family import Family
from symdgm.distributions.flows import Flow, Flows
from symdgm.distributions.gamma import Gamma, InverseGamma
from symdgm.distributions.geometric import Geometric
from symdgm.distributions.importance import Estimate, importance
from symdgm.distributions.joint import Joint
from symdgm.distributions.laplace import Laplace
from symdgm.distributions.leading_axes import apply_over_leading_axes
from symdgm.distributions.linear_gaussian import LinearNormal
from symdgm.distributions.logistic import Logistic
from symdgm.distributions.lognormal import LogNormal
from symdgm.distributions.marginal import Marginal
from symdgm.distributions.mixture import Mixture
from symdgm.distributions.model_graph import ModelGraph
from symdgm.distributions.multinomial import Multinomial
from symdgm.distributions.multivariate_normal import MultivariateNormal
from symdgm.distributions.negative_binomial import NegativeBinomial
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.normal import Normal
from symdgm.distributions.outputs import read_parameters
from symdgm.distributions.poisson import Poisson
from symdgm.distributions.posterior import Posterior
from symdgm.distributions.relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from symdgm.distributions.renamed import Renamed
from symdgm.distributions.student_t import StudentT
from symdgm.distributions.transformed import Transformed
from symdgm.distributions.uniform import Uniform
from symdgm.distributions.von_mises import VonMises
from symdgm.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Conditioned",
    "ContinuousBernoulli",
    "Custom",
    "Data",
    "Declaration",
    "Delta",
    "Deterministic",
    "Dirichlet",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Distribution",
    "ElementwiseProductOfExperts",
    "Empirical",
    "Estimate",
    "Exponential",
    "Family",
    "Flow",
    "Flows",
    "Gamma",
    "Geometric",
    "InverseGamma",
    "Joint",
    "Laplace",
    "LinearNormal",
    "LogNormal",
    "Logistic",
    "Marginal",
    "Mixture",
    "ModelGraph",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "NetworkSource",
    "Normal",
    "OneHotCategorical",
    "Poisson",
    "Posterior",
    "ProductOfExperts",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "Renamed",
    "StudentT",
    "Transformed",
    "Uniform",
    "VonMises",
    "VonMisesFisher",
    "apply_over_leading_axes",
    "importance",
    "read_parameters",
]
