"""What all of Pixyz's variants share: its cache of parameters, which is one for the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pixyz.distributions.distributions import DistributionBase
from pixyz.utils import cache_maxsize, lru_cache_for_sample_dict, set_cache_maxsize
from torch import Tensor, nn

from benchmarks.variants import Run


def _undecorated() -> Callable[..., Any]:
    """`get_params` below the cache that is wrapped around it when Pixyz is imported."""
    cached = DistributionBase.get_params.__closure__[0].cell_contents
    function: Callable[..., Any] = cached.__wrapped__.__closure__[0].cell_contents
    return function


def parameters_with(cache: bool) -> Callable[..., Any]:
    """A `get_params` with a cache of its own, or with none: the size counts only while it is decorated."""
    size = cache_maxsize()
    set_cache_maxsize(size if cache else 0)
    try:
        decorated: Callable[..., Any] = lru_cache_for_sample_dict()(_undecorated())
    finally:
        set_cache_maxsize(size)
    return decorated


def run(
    model: Any, loss: Any, data: Mapping[str, Tensor], parameters: list[nn.Parameter], **options: Any
) -> Run:
    """Pixyz's own training step.

    The cache finds tensors again by identity, with the graph of the step before: each step takes new views
    of the batch, as a loader would bring new tensors.
    """

    def fresh() -> dict[str, Tensor]:
        return {name: value.view_as(value) for name, value in data.items()}

    return Run(lambda: model.train(fresh(), **options), lambda: loss.eval(fresh(), **options), parameters)
