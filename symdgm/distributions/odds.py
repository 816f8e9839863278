"""A probability of success, given as such or by its logit."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from symdgm.distributions.stable import times_log, times_log1p


def success_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """The probability of success."""
    return parameters["probs"] if "probs" in parameters else parameters["logits"].sigmoid()


def failure_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """The probability of failure, which keeps its digits where success is nearly certain."""
    return 1 - parameters["probs"] if "probs" in parameters else (-parameters["logits"]).sigmoid()


def odds_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """Success over failure.

    Example:
        >>> odds_of({"probs": torch.tensor(0.75)}), odds_of({"logits": torch.tensor(0.0)})
        (tensor(3.), tensor(1.))
    """
    if "probs" in parameters:
        return parameters["probs"] / (1 - parameters["probs"])
    return parameters["logits"].exp()


def logits_of(parameters: Mapping[str, Tensor]) -> Tensor:
    """The log of the odds; a probability is held off 0 and 1 by the rounding error of its dtype."""
    if "logits" in parameters:
        return parameters["logits"]
    probs = parameters["probs"]
    return torch.logit(probs, torch.finfo(probs.dtype).eps)


def log_successes(count: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """The log-probability of so many successes in a row; 0 for none of them, even at probability zero."""
    if "probs" in parameters:
        return times_log(count, parameters["probs"])
    return count * F.logsigmoid(parameters["logits"])


def log_failures(count: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """The log-probability of so many failures in a row; 0 for none of them, even at probability zero."""
    if "probs" in parameters:
        return times_log1p(count, -parameters["probs"])
    return count * F.logsigmoid(-parameters["logits"])
