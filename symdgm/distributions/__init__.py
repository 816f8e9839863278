"""Distributions over named variables, backed by torch; networks make them conditional.

| family | parameters | values |
| --- | --- | --- |
| `Normal` | ``loc``, ``scale`` | real |
| `Bernoulli` | ``logits`` or ``probs`` | 0, 1, and what lies between (cross-entropy) |
| `Categorical` | ``logits`` or ``probs``, classes last | index 0 … K-1 (`torch.long`) |
| `OneHotCategorical` | ``logits`` or ``probs``, classes last | one-hot rows, and rows of probabilities |
| `Deterministic` | a network, ``x = f(z)`` | any |
| `Data` (`Empirical`) | rows, or none | what is observed |

A value is a tensor ``[*samples, batch, *event]``. Besides: `Declaration` (the head ``q(z|x)``),
`Distribution` (the interface), `Family` (the interface from formulas), `NetworkSource` (a network and what it
gives), `read_parameters` and `apply_over_leading_axes` (how a network is called and read).

Example:
    >>> import torch
    >>> q = Normal("q(z|x)", lambda x: (x, torch.ones_like(x)))
    >>> z = q.sample({"x": torch.zeros(8, 2)}, shape=(5,))["z"]
    >>> z.shape, q.log_prob({"z": z, "x": torch.zeros(8, 2)}).shape
    (torch.Size([5, 8, 2]), torch.Size([5, 8]))
"""

from symdgm.distributions.bernoulli import Bernoulli
from symdgm.distributions.categorical import Categorical, OneHotCategorical
from symdgm.distributions.data import Data, Empirical
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.deterministic import Deterministic
from symdgm.distributions.distribution import Distribution
from symdgm.distributions.family import Family
from symdgm.distributions.leading_axes import apply_over_leading_axes
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.normal import Normal
from symdgm.distributions.outputs import read_parameters

__all__ = [
    "Bernoulli",
    "Categorical",
    "Data",
    "Declaration",
    "Deterministic",
    "Distribution",
    "Empirical",
    "Family",
    "NetworkSource",
    "Normal",
    "OneHotCategorical",
    "apply_over_leading_axes",
    "read_parameters",
]
