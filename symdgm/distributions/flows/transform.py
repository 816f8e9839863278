"""Transforms of `torch.distributions`, and modules that make them, as flows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

from torch import Tensor, nn
from torch.distributions import Transform

from symdgm.distributions.flows.axes import check_context, read_count, sum_event
from symdgm.distributions.flows.flow import Flow, Pushed
from symdgm.distributions.networks import check_network, label_of
from symdgm.errors import NotSupportedError, ParameterError

Maker = Callable[..., Transform]
"""A module or function that returns a transform, from a context if there is one."""


@final
class TransformFlow(Flow):
    """A transform of `torch.distributions` as a flow.

    It may be the transform itself, the `nn.Parameter`s of which are trained, or a module which returns one,
    from a context if it takes one. The flows of zuko are such modules:
    ``TransformFlow(zuko_flow.transform)``, with ``context_features=`` for a conditional one.

    Args:
        transform: the transform, or what makes it.
        context_features: how many features of context go into what makes it.

    Raises:
        ParameterError: it is neither, it is no bijection, or a context is promised to a fixed transform.

    Example:
        >>> import torch
        >>> f = TransformFlow(torch.distributions.ExpTransform())
        >>> f(torch.zeros(1, 2)), f.inverse(torch.ones(1, 2))
        ((tensor([[1., 1.]]), tensor([0.])), (tensor([[0., 0.]]), tensor([-0.])))
    """

    def __init__(self, transform: Transform | Maker, *, context_features: int = 0) -> None:
        super().__init__()
        self.context_features = read_count(context_features, "context_features", "TransformFlow", least=0)
        self.transform = transform
        if not isinstance(transform, Transform):
            check_network(transform, "what TransformFlow is given")
            return
        if context_features:
            raise ParameterError(
                f"{_name(transform)} is fixed, so it takes no context",
                hint="pass a module that returns a transform from the context",
            )
        _check_bijective(transform)
        for i, parameter in enumerate(_trained(transform, {id(transform)})):
            self.register_parameter(f"parameter_{i}", parameter)
        if transform.domain.event_dim != transform.codomain.event_dim:
            self.rank_in, self.rank_out = transform.domain.event_dim, transform.codomain.event_dim

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The transform of ``x``."""
        transform = self._at(context)
        z = transform(x)
        return z, _log_det(transform, x, z)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """What the transform sends to ``z``."""
        transform = self._at(context)
        try:
            x = transform.inv(z)
        except NotImplementedError:
            raise NotSupportedError(
                f"{_name(transform)} has no inverse formula",
                hint="draw from `Transformed(..., flow=f)` with `sample_and_log_prob`, or take densities "
                "alone, with `flow=f.inv`",
            ) from None
        return x, -_log_det(transform, x, z)

    def extra_repr(self) -> str:
        """The transform, or what makes it."""
        made = self.transform
        return _name(made) if isinstance(made, Transform) else label_of(made)

    def _at(self, context: Tensor | None) -> Transform:
        if isinstance(self.transform, Transform):
            return self.transform
        if self.context_features:
            made = self.transform(check_context(context, self.context_features, "TransformFlow"))
        else:
            made = self.transform()
        if not isinstance(made, Transform):
            raise ParameterError(
                f"{label_of(self.transform)} returned a {type(made).__name__}, not a transform",
                hint="return a `torch.distributions.Transform`; of a flow of zuko pass its `.transform`",
            )
        _check_bijective(made)
        return made


def _log_det(transform: Transform, x: Tensor, z: Tensor) -> Tensor:
    return sum_event(transform.log_abs_det_jacobian(x, z))  # type: ignore[no-untyped-call]


def _check_bijective(transform: Transform) -> None:
    if not transform.bijective:
        raise ParameterError(
            f"{_name(transform)} is no bijection", hint="only a bijection has a density on the other side"
        )


def _trained(transform: Transform, seen: set[int]) -> Iterator[nn.Parameter]:
    """The trained numbers inside a transform and its parts, which no module knows of."""
    for value in vars(transform).values():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            if id(part) in seen:  # a transform and its inverse hold each other
                continue
            if isinstance(part, nn.Parameter):
                seen.add(id(part))
                yield part
            elif isinstance(part, Transform):
                seen.add(id(part))
                yield from _trained(part, seen)


def _name(transform: Transform) -> str:
    return type(transform).__name__
