"""What a flow is: a bijection with its log-determinant, its inverse, and composition."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import final, overload

import torch
from torch import Tensor, nn

from symdgm.distributions.flows.axes import read_count
from symdgm.errors import ParameterError

Pushed = tuple[Tensor, Tensor]
"""The values at the other end ``[batch, *event]``, and the log-determinant on the way there ``[batch]``."""
Parts = tuple[Tensor, Tensor]
"""The first channels of values, and the others."""


class Flow(nn.Module, ABC):
    r"""A bijection ``z = f(x)`` of one value for each example, and the volume that it stretches.

    .. math:: \log p_x(x) = \log p_z(f(x)) + \log |\det \partial f(x) / \partial x|

    Values are ``[batch, *event]``: vectors ``[batch, D]`` or images ``[batch, C, H, W]``; sample axes are the
    business of `Transformed`. A flow keeps nothing between calls but what is trained or, like the statistics
    of `BatchNorm`, gathered in training mode and saved.

    To write one, give `forward` and `inverse`.

    Example:
        >>> import torch
        >>> from symdgm.distributions.flows import AffineCoupling, Reverse
        >>> f = AffineCoupling(2) >> Reverse(2) >> AffineCoupling(2)
        >>> z, log_det = f(torch.randn(5, 2))
        >>> z.shape, log_det.shape, len(f), f[1]
        (torch.Size([5, 2]), torch.Size([5]), 3, Reverse(2))
        >>> x, minus_log_det = f.inverse(z)
    """

    rank_in: int | None = None
    """How many axes one value has that goes in; None if any number will do and as many come out."""
    rank_out: int | None = None
    """How many axes one value has that comes out; None if as many as went in."""
    context_features: int = 0
    """How many features of context it takes; 0 if none."""

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The image of values, and the log-determinant of the Jacobian.

        Args:
            x: values ``[batch, *event]``.
            context: what the flow is conditioned on, ``[batch, features]``; a flow that takes none ignores
                it.

        Returns:
            ``z`` with a batch first, and ``log |det dz/dx|`` as ``[batch]``.
        """

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The values whose image is ``z``, and ``log |det dx/dz|`` as ``[batch]``.

        Args:
            z: images ``[batch, *event]``.
            context: as in `forward`.
        """

    @property
    def first_channels(self) -> int:
        """How many channels the first part of a value has, for a flow that can `push_parts`; else 0."""
        return 0

    def push_parts(self, parts: Parts, context: Tensor | None, *, back: bool) -> tuple[Parts, Tensor]:
        """`forward`, or `inverse` where it goes ``back``, of values whose channels lie in two tensors.

        Couplings that follow each other take values apart in the same place, and so need not join them.
        """
        raise NotImplementedError

    @property
    def inv(self) -> Flow:
        """The inverse as a flow that shares the weights."""
        return self.flow if isinstance(self, Inverse) else Inverse(self)

    def __repr__(self) -> str:
        # One line: a flow is shown within the distribution that it makes.
        return f"{type(self).__name__}({self.extra_repr()})"

    def __rshift__(self, other: Flow) -> Flows:
        return Flows([*_steps(self), *_steps(other)])


@final
class Inverse(Flow):
    """The inverse of a flow; write ``flow.inv``.

    Args:
        flow: the flow to go through backwards.

    Example:
        >>> import torch
        >>> from symdgm.distributions.flows import Logit
        >>> f = Logit()
        >>> f.inv, f.inv.inv is f
        (Inverse(Logit(margin=0.05)), True)
        >>> f.inv(torch.zeros(1, 1))[0]
        tensor([[0.5000]])
    """

    def __init__(self, flow: Flow) -> None:
        super().__init__()
        self.flow = check_flow(flow)
        self.rank_in, self.rank_out = flow.rank_out, flow.rank_in
        self.context_features = flow.context_features

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """The flow's `inverse`."""
        return self.flow.inverse(x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """The flow's `forward`."""
        pushed: Pushed = self.flow(z, context)
        return pushed

    def extra_repr(self) -> str:
        """The flow."""
        return repr(self.flow)


@final
class Flows(Flow):
    """Flows one after the other; ``f >> g`` is ``g(f(x))``.

    Args:
        steps: the flows in the order in which a value goes through them.

    Raises:
        ParameterError: a step is no flow, takes images where vectors arrive (or the reverse), or the steps
            disagree on the number of context features.

    Example:
        >>> from symdgm.distributions.flows import Reverse, Shuffle
        >>> f = Flows([Reverse(4), Shuffle(4)])
        >>> f[0], f[:1]
        (Reverse(4), Flows(Reverse(4)))
    """

    def __init__(self, steps: Sequence[Flow]) -> None:
        super().__init__()
        self.steps = nn.ModuleList([check_flow(step) for step in steps])
        self.rank_in = next((f.rank_in for f in self if f.rank_in is not None), None)
        self.rank_out = self._last_rank()
        self.context_features = self._shared_context()

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """Through all steps from first to last; their log-determinants are added."""
        return _through(list(self), x, context, back=False)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """Through the inverses of all steps from last to first."""
        return _through(list(self)[::-1], z, context, back=True)

    @overload
    def __getitem__(self, at: int) -> Flow: ...

    @overload
    def __getitem__(self, at: slice) -> Flows: ...

    def __getitem__(self, at: int | slice) -> Flow | Flows:
        steps = list(self)
        return Flows(steps[at]) if isinstance(at, slice) else steps[at]

    def __iter__(self) -> Iterator[Flow]:
        return iter(self.steps)  # type: ignore[arg-type]  # `__init__` let only flows in

    def __len__(self) -> int:
        return len(self.steps)

    def extra_repr(self) -> str:
        """The steps."""
        return ", ".join(map(repr, self))

    def _last_rank(self) -> int | None:
        rank: int | None = None
        for step in self:
            if None not in (rank, step.rank_in) and rank != step.rank_in:
                raise ParameterError(
                    f"{type(step).__name__} takes values of {step.rank_in} axes, but {rank} arrive",
                    hint="put a `Flatten(event_shape)`, or its `.inv`, between images and vectors",
                )
            rank = rank if step.rank_out is None else step.rank_out
        return rank

    def _shared_context(self) -> int:
        counts = {step.context_features for step in self} - {0}
        if len(counts) > 1:
            raise ParameterError(
                f"the steps of a flow take contexts of {' and '.join(map(str, sorted(counts)))} features",
                hint="all steps get the same context: give each the same `context_features`",
            )
        return counts.pop() if counts else 0


def _through(steps: Sequence[Flow], x: Tensor, context: Tensor | None, *, back: bool) -> Pushed:
    """Values through steps, taken apart and joined only where one step wants them otherwise than the next."""
    total, parts = x.new_zeros(len(x)), None
    for step in steps:
        first = step.first_channels
        if parts is not None and parts[0].shape[1] != first:
            x, parts = torch.cat(parts, 1), None
        if first and x.ndim > 1 and x.shape[1] > first:
            held = parts or (x[:, :first], x[:, first:])
            parts, log_det = step.push_parts(held, context, back=back)
        else:
            x, log_det = step.inverse(x, context) if back else step(x, context)
        total = total + log_det
    return x if parts is None else torch.cat(parts, 1), total


def _steps(flow: Flow) -> list[Flow]:
    return list(flow) if isinstance(flow, Flows) else [check_flow(flow)]


def check_flow(flow: object) -> Flow:
    """Refuse what is not a flow."""
    if isinstance(flow, Flow):
        read_count(flow.context_features, "context_features", type(flow).__name__, least=0)
        return flow
    raise ParameterError(
        f"a step of a flow is a {type(flow).__name__}, not a flow",
        hint="wrap a `torch.distributions` transform as `TransformFlow(transform)`",
    )
