"""Normal distributions whose mean is linear in what they are given: these can be integrated exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast, final

import torch
from torch import Tensor, nn

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.family import Family
from symdgm.distributions.multivariate_normal import MultivariateNormal, covariance_of
from symdgm.distributions.normal import Normal
from symdgm.distributions.shapes import show
from symdgm.errors import ParameterError, suggest

GAUSSIAN = (Normal, MultivariateNormal)
"""The families that can be integrated where they are linear."""

Weights = Mapping[str, Tensor]
"""For a condition, the matrix ``[out, in]`` by which the mean depends on it."""


class LinearNormal(Normal):
    r"""A normal distribution whose mean is linear in its conditions.

    .. math:: p(x \mid z) = N(x; W z + b, \sigma^2)

    A product of such factors is Gaussian as a whole: its marginals and posteriors are exact.

    Args:
        declaration: such as ``p(x|z)`` or ``p(z_t|z_{t-1}, u)``.
        weight: ``W``, ``[out, in]``; for several conditions, a dict with one each. A parameter is trained.
        bias: ``b``, ``[out]``; zero by default.
        scale: the standard deviation, a number or ``[out]``.

    Raises:
        ParameterError: a condition has no weight, or a weight is no matrix.

    Example:
        >>> prior = Normal("p(z)", loc=torch.zeros(1), scale=1.0)
        >>> p = LinearNormal("p(x|z)", torch.tensor([[2.0]]), scale=0.5) * prior
        >>> p.marginal("x").variance()["x"]
        tensor([[4.2500]])
    """

    def __init__(
        self,
        declaration: str | Declaration,
        weight: Tensor | Mapping[str, Tensor],
        bias: Tensor | None = None,
        *,
        scale: float | Tensor = 1.0,
    ) -> None:
        super().__init__(declaration, scale=scale)
        for i, matrix in enumerate(self._read_weights(weight)):
            _register(self, f"weight_{i}", matrix)
        self._has_bias = bias is not None
        if bias is not None:
            _register(self, "bias", bias)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The matrix of each condition, as it is now."""
        return {name: getattr(self, f"weight_{i}") for i, name in enumerate(self.given)}

    def forward(self, *values: Tensor) -> dict[str, Tensor]:
        """The mean at the conditions in declared order."""
        terms = [nn.functional.linear(v, w) for v, w in zip(values, self.weights.values(), strict=True)]
        bias = [cast("Tensor", self.bias)] if self._has_bias else []
        return {"loc": sum([*terms[1:], *bias], start=terms[0])}

    def _read_weights(self, weight: Tensor | Mapping[str, Tensor]) -> list[Tensor]:
        if not self.given:
            raise ParameterError(f"{self.described} is given nothing", hint="write a Normal")
        if isinstance(weight, Tensor):
            weight = {self.given[0]: weight}
        for name in weight:
            if name not in self.given:
                raise ParameterError(
                    f"{self.described} is not given `{name}`", hint=suggest(name, self.given)
                )
        for name in self.given:
            if name not in weight:
                raise ParameterError(
                    f"{self.described} has no weight for `{name}`",
                    hint="write `weight={" + ", ".join(f'"{g}": ...' for g in self.given) + "}`",
                )
            if weight[name].ndim != 2:
                raise ParameterError(
                    f"the weight of `{name}` in {self.described} has shape {show(weight[name].shape)}",
                    hint="a weight is a matrix [out, in]; `torch.eye(d)` keeps the value",
                )
        return [weight[name] for name in self.given]


@final
class LinearSum(nn.Module):
    """A sum of linear functions, one of each condition in declared order: ``A z + B a + b``.

    Args:
        linears: the functions, in the order of the conditions.

    Example:
        >>> p = Normal("p(z|y, a)", loc=LinearSum([nn.Linear(2, 2), nn.Linear(1, 2)]), scale=1.0)
        >>> {name: list(weight.shape) for name, weight in weights_of(p).items()}
        {'y': [2, 2], 'a': [2, 1]}
    """

    def __init__(self, linears: Iterable[nn.Linear]) -> None:
        super().__init__()
        self.linears = nn.ModuleList(linears)

    @property
    def weights(self) -> list[Tensor]:
        """The matrix of each condition, as it is now."""
        return [cast("Tensor", linear.weight) for linear in self.linears]

    @property
    def bias(self) -> Tensor | None:
        """What is added in all, as it is now; None for nothing."""
        found = [cast("Tensor", linear.bias) for linear in self.linears if linear.bias is not None]
        return sum(found[1:], start=found[0]) if found else None

    def forward(self, *values: Tensor) -> Tensor:
        """``[batch, in]`` of each condition to ``[batch, out]``."""
        terms: list[Tensor] = [linear(v) for linear, v in zip(self.linears, values, strict=True)]
        return sum(terms[1:], start=terms[0])


def _register(module: nn.Module, name: str, value: Tensor) -> None:
    if isinstance(value, nn.Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value.detach().clone())


def weights_of(factor: Family) -> Weights | None:
    """The matrices by which the mean of a normal factor depends on its conditions; None if it is not linear.

    Linear are a `LinearNormal`, and a normal family whose ``loc`` is one `nn.Linear` of its one condition, or
    the sum of one of each condition, and whose other parameters are constants.

    Example:
        >>> weights_of(Normal("p(x|z)", loc=nn.Linear(2, 3), scale=1.0))["z"].shape
        torch.Size([3, 2])
    """
    if isinstance(factor, LinearNormal):
        return factor.weights
    sources = factor.sources
    if len(sources) != 1 or sources[0].names != ("loc",):
        return None
    call = sources[0].call
    if isinstance(call, LinearSum):
        return dict(zip(factor.given, call.weights, strict=True))
    if type(call) is not nn.Linear or len(factor.given) != 1:
        return None
    return {factor.given[0]: call.weight}


def bias_of(factor: Family) -> Tensor | None:
    """What a linear normal factor adds to its mean, as it is now; None for nothing.

    Example:
        >>> bias_of(Normal("p(x|z)", loc=nn.Linear(2, 3, bias=False), scale=1.0)) is None
        True
    """
    if isinstance(factor, LinearNormal):
        return cast("Tensor", factor.bias) if factor._has_bias else None
    call = factor.sources[0].call
    assert isinstance(call, nn.Linear | LinearSum)
    return call.bias


def whiten(
    factor: Family, parameters: Mapping[str, Tensor], event: torch.Size, lead: int, columns: Tensor
) -> tuple[Tensor, Tensor]:
    """Residuals of a normal factor, divided by the root of its covariance, and the log of its determinant.

    Args:
        factor: a member of `GAUSSIAN`.
        parameters: constants without leading axes, others with them.
        event: the shape of one value, with ``d`` elements.
        lead: how many leading axes there are.
        columns: the residuals, ``[..., d, m]``.

    Returns:
        The white residuals ``[..., d, m]``, and ``log det`` of the root ``[...]``.
    """
    if isinstance(factor, MultivariateNormal):
        return _whiten_vectors(covariance_of(parameters).double(), event, lead, columns)
    deviation = flat(factor.variance_at(parameters), event, lead).sqrt()
    return columns / deviation.unsqueeze(-1), deviation.log().sum(-1)


def _whiten_vectors(
    covariance: Tensor, event: torch.Size, lead: int, columns: Tensor
) -> tuple[Tensor, Tensor]:
    """The same for vectors on the last axis of the event, each with a covariance."""
    own = lead if covariance.ndim > len(event) + 1 else 0
    root = torch.linalg.cholesky(covariance)
    shape = root.shape[:own] + event + event[-1:]
    root = root.expand(shape).reshape((1,) * (lead - own) + shape)
    rows = columns.reshape(columns.shape[:-2] + event + columns.shape[-1:])
    white = torch.linalg.solve_triangular(root, rows, upper=False)
    log_det = root.diagonal(dim1=-2, dim2=-1).log().flatten(lead).sum(-1)
    return white.reshape(white.shape[:lead] + columns.shape[-2:]), log_det


def flat(parameter: Tensor, event: torch.Size, lead: int) -> Tensor:
    """A parameter as ``[*leading, d]`` in double precision, where differences of large forms stay exact."""
    own = lead if parameter.ndim > len(event) else 0
    whole = parameter.double().expand(parameter.shape[:own] + event)
    return whole.reshape((1,) * (lead - own) + whole.shape[:own] + (-1,))
