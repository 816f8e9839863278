"""The categorical distribution, over class indices and over one-hot rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from symdgm.distributions.family import Family
from symdgm.distributions.parametric import Check
from symdgm.distributions.shapes import broadcast
from symdgm.distributions.stable import times_log, weighted_logs
from symdgm.distributions.support import check_logits, check_simplex
from symdgm.distributions.supports import Indices, Simplex, Support


class Categorical(Family):
    r"""One of K classes for each element, as an index 0 … K-1; logits and probs have the classes last.

    .. math:: \log p(y) = \text{logits}_y - \log \sum_k e^{\text{logits}_k} = \log \pi_y

    Args:
        declaration: such as ``p(y|x)``.
        network: returns the logits ``[batch, *event, K]``, or the dict ``{"probs": ...}``.
        event_shape: the shape of one value, where the tensor of parameters is for all elements.
        logits: unnormalised log-probabilities; minus infinity excludes a class.
        probs: probabilities, which sum to 1 over the classes.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Example:
        >>> p = Categorical("p(y)", probs=torch.tensor([0.2, 0.3, 0.5]))
        >>> p.prob({"y": torch.tensor([0, 2])})
        tensor([0.2000, 0.5000])
    """

    family: ClassVar[str] = "Categorical"
    parameter_names: ClassVar[tuple[str, ...]] = ("logits",)
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("logits",), ("probs",))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"logits": 1, "probs": 1}
    event_rank: ClassVar[int] = 0
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Indices()
    constraints: ClassVar[Mapping[str, Check]] = {"logits": check_logits, "probs": check_simplex}

    @property
    @final
    def finite(self) -> bool:
        """Each element is a class."""
        return True

    @final
    def element_values(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The index of each class."""
        parameter = next(iter(parameters.values()))
        return torch.arange(parameter.shape[-1], device=parameter.device)

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """Class indices (`torch.long`), without a gradient."""
        return draw_classes(parameters, shape, generator)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element's class."""
        if "probs" in parameters:  # the log comes last: at a probability of 0 its gradient would be NaN
            return pick(parameters["probs"], value).log()
        return pick(parameters["logits"].log_softmax(-1), value)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``-sum_k p_k log p_k``."""
        return class_entropy(parameters)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: an index has no mean."""
        raise self._refuse(
            "mean, since an index is only a name", "use OneHotCategorical, whose mean is its probs"
        )

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Refused: an index has no variance."""
        raise self._refuse("variance, since an index is only a name", "use OneHotCategorical")


class OneHotCategorical(Family):
    r"""One of K classes as a one-hot row on the last axis of the event.

    .. math:: \log p(y) = \sum_k y_k \log \pi_k, \qquad \pi = \text{softmax}(\text{logits})

    Rows of probabilities are accepted, as for soft labels: this is then minus a cross-entropy, not a density.

    Args:
        declaration: such as ``q(y|x)``.
        network: returns the logits ``[batch, *event]``, the classes last, or the dict ``{"probs": ...}``.
        event_shape: the shape of one value, classes last, where one row of parameters is for all elements.
        logits: unnormalised log-probabilities; minus infinity excludes a class.
        probs: probabilities, which sum to 1 over the classes.

    Raises:
        ParameterError: parameters are unknown, missing, given twice, or out of range.

    Example:
        >>> p = OneHotCategorical("p(y)", probs=torch.tensor([0.2, 0.3, 0.5]))
        >>> p.prob({"y": torch.eye(3)})
        tensor([0.2000, 0.3000, 0.5000])
    """

    family: ClassVar[str] = "OneHotCategorical"
    parameter_names: ClassVar[tuple[str, ...]] = ("logits",)
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("logits",), ("probs",))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"logits": 1, "probs": 1}
    event_rank: ClassVar[int] = 1
    discrete: ClassVar[bool] = True
    pathwise: ClassVar[bool] = False
    support: Support = Simplex("a row holds one 1: `torch.nn.functional.one_hot({variable}, K).float()`")
    constraints: ClassVar[Mapping[str, Check]] = {"logits": check_logits, "probs": check_simplex}

    @property
    @final
    def finite(self) -> bool:
        """Each element is a class."""
        return True

    @final
    def element_values(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The row of each class."""
        parameter = next(iter(parameters.values()))
        return torch.eye(parameter.shape[-1], dtype=parameter.dtype, device=parameter.device)

    @final
    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        """One-hot rows in the dtype of the parameter, without a gradient."""
        parameter = next(iter(parameters.values()))
        return one_hot(draw_classes(parameters, shape[:-1], generator), shape[-1]).to(parameter.dtype)

    @final
    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        """The log-probability of each element's row."""
        return weigh(value, parameters)

    @final
    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``-sum_k p_k log p_k``."""
        return class_entropy(parameters)

    @final
    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The probabilities."""
        return class_probs(parameters)

    @final
    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """``p_k (1 - p_k)``."""
        probs = class_probs(parameters)
        return probs * (1 - probs)


def pick(table: Tensor, index: Tensor) -> Tensor:
    """The entries of the last axis of ``table`` at ``index``; the other axes broadcast."""
    shape = broadcast(index.shape, table.shape[:-1])
    rows = table.expand(*shape, table.shape[-1])
    return rows.gather(-1, index.expand(shape).unsqueeze(-1)).squeeze(-1)


def weigh(weights: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """``sum_k w_k log p_k``; a class of weight zero counts nothing, even at probability zero."""
    if "probs" in parameters:
        return times_log(weights, parameters["probs"]).sum(-1)
    return weighted_logs(weights, parameters["logits"].log_softmax(-1)).sum(-1)


def class_probs(parameters: Mapping[str, Tensor]) -> Tensor:
    """The probabilities of the classes."""
    return parameters["probs"] if "probs" in parameters else parameters["logits"].softmax(-1)


def class_entropy(parameters: Mapping[str, Tensor]) -> Tensor:
    """The entropy over the classes."""
    return -weigh(class_probs(parameters), parameters)


def draw_classes(
    parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None
) -> Tensor:
    """Class indices by an exponential race: the class with the least ``e_k / p_k`` comes first.

    A class of probability zero is never drawn, whatever the noise.
    """
    logs = parameters["probs"].log() if "probs" in parameters else parameters["logits"]
    logs = logs.detach()
    uniform = torch.rand(*shape, logs.shape[-1], generator=generator, dtype=logs.dtype, device=logs.device)
    return (logs - uniform.log().neg().log()).argmax(-1)
