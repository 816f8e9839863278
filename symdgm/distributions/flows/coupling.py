"""Coupling: some elements are changed by maps whose coefficients a network reads off the others."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn

from symdgm.distributions.flows.axes import check_event, read_count, sum_event
from symdgm.distributions.flows.conditioners import MLP, ResNet
from symdgm.distributions.flows.elements import Additive, Affine, Element
from symdgm.distributions.flows.flow import Flow, Parts, Pushed
from symdgm.distributions.flows.halves import Halves
from symdgm.distributions.flows.masks import read_mask
from symdgm.distributions.flows.spline import Spline
from symdgm.distributions.networks import check_network
from symdgm.distributions.reach import all_hooked, is_hooked
from symdgm.distributions.shapes import Shape, read_shape, show
from symdgm.errors import ParameterError, ShapeError

Conditioner = Callable[..., object]
"""A network ``(x)`` or ``(x, context)``, where ``x`` is the value with zeros for what is to be changed."""

Change = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

WAYS = ("forward", "inverse")


class Coupling(Flow, ABC):
    r"""Elements under the mask pass, and tell a network how to move the others.

    .. math:: z = m \odot x + (1 - m) \odot g(x; \text{network}(m \odot x))

    The final couplings name the map ``g``: `AffineCoupling`, `AdditiveCoupling`, `SplineCoupling`.

    Args:
        event_shape: the shape of one value: ``D`` for vectors, ``(C, H, W)`` for images.
        element: the map of each element.
        mask: ``"channel"``, ``"checkerboard"``, or a boolean tensor of the event, true where an element
            passes.
        flip: whether what would pass is what changes.
        network: gives the coefficients, ``[batch, count * C, ...]`` with all first coefficients first, or a
            tuple of ``count`` tensors ``[batch, *event]``. By default an `MLP` for vectors and a `ResNet` for
            images, which begin at the identity.
        packed: whether the network is given only what passes, ``[batch, kept, ...]``, and gives coefficients
            only of what changes, ``[batch, count * moved, ...]`` or a tuple of ``[batch, moved, ...]``: half
            the work, for masks of whole channels. The default networks are of this kind where they can be.
        hidden: widths of the default network: of each layer of an `MLP`, of each block of a `ResNet`.
        context_features: how many features of context the network takes as its second argument.

    Raises:
        ParameterError: the mask leaves nothing to change or to read, or parts what a packed network takes
            whole, or there is no default network for the event.
    """

    def __init__(
        self,
        event_shape: Shape,
        element: Element,
        *,
        mask: str | Tensor = "channel",
        flip: bool = False,
        network: Conditioner | None = None,
        packed: bool = False,
        hidden: Sequence[int] = (64, 64),
        context_features: int = 0,
    ) -> None:
        super().__init__()
        self.event_shape = read_shape(event_shape, "event_shape")
        self.element = element
        self.context_features = read_count(context_features, "context_features", self._title, least=0)
        self.rank_in = self.rank_out = len(self.event_shape)
        self.mask: Tensor
        self.register_buffer("mask", read_mask(mask, self.event_shape, flip, self._title))
        self.halves = Halves.of(self.mask)
        # A mask is loaded with the weights.
        self.register_load_state_dict_post_hook(_reread)  # type: ignore[no-untyped-call]
        self.packed = self.halves is not None if network is None else self._check_packed(packed)
        if network is not None:
            check_network(network, f"the network of {self._title}")
        self.network: Conditioner = self._default_network(hidden) if network is None else network

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """One call of the network, and the map of what is not under the mask."""
        return self._change(self.element.apply, x, context)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Pushed:
        """One call of the network too: what it reads was not changed."""
        return self._change(self.element.invert, z, context)

    @property
    def first_channels(self) -> int:
        """Where values are parted; 0 where channels do not lie together, or somebody hears of its calls."""
        halves = self.halves
        if halves is None or not (self.packed and halves.together) or not self._is_as_written():
            return 0
        return halves.moved if halves.moved_first else halves.kept

    def push_parts(self, parts: Parts, context: Tensor | None, *, back: bool) -> tuple[Parts, Tensor]:
        """The part that changes, by what the network reads off the other."""
        assert self.halves is not None
        first, second = parts
        if (first.shape[1] + second.shape[1], *first.shape[2:]) != self.event_shape:
            check_event(torch.cat(parts, 1), self.event_shape, self._title)
        kept, moved = (second, first) if self.halves.moved_first else (first, second)
        change = self.element.invert if back else self.element.apply
        image, log_slope = change(moved, self._coefficients(kept, context, self.halves.moved))
        return ((image, kept) if self.halves.moved_first else (kept, image)), sum_event(log_slope)

    def extra_repr(self) -> str:
        """The event and the map."""
        return f"{show(self.event_shape)}, {self.element}"

    @property
    def _title(self) -> str:
        return type(self).__name__

    def _is_as_written(self) -> bool:
        """Whether nobody hears of its calls, and nothing stands in the place of `forward` and `inverse`."""
        ways = type(self).forward, type(self).inverse
        own = ways == (Coupling.forward, Coupling.inverse) and not any(way in vars(self) for way in WAYS)
        return own and not is_hooked(self) and not all_hooked()

    def _change(self, change: Change, x: Tensor, context: Tensor | None) -> Pushed:
        check_event(x, self.event_shape, self._title)
        if self.halves is None:
            image, log_slope = change(x, self._coefficients(torch.where(self.mask, x, 0), context))
            return torch.where(self.mask, x, image), sum_event(torch.where(self.mask, 0, log_slope))
        kept, moved = self.halves(x)
        if self.packed:
            coefficients = self._coefficients(kept, context, self.halves.moved)
        else:
            coefficients = self.halves(self._coefficients(torch.where(self.mask, x, 0), context))[1]
        image, log_slope = change(moved, coefficients)
        return self.halves.join(kept, image), sum_event(log_slope)

    def _coefficients(self, read: Tensor, context: Tensor | None, channels: int | None = None) -> Tensor:
        """What the network returns, as ``[batch, *event, count]``; the event may have fewer channels."""
        out = self.network(read, context) if self.context_features else self.network(read)
        count = self.element.count
        event = (self.event_shape[0] if channels is None else channels, *self.event_shape[1:])
        each = (len(read), *event)
        if isinstance(out, (tuple, list)) and [t.shape for t in out] == [each] * count:
            return torch.stack(tuple(out), -1)
        wanted = (len(read), count * event[0], *event[1:])
        if isinstance(out, Tensor) and out.shape == wanted:
            return out.reshape(len(read), count, *event).movedim(1, -1)
        returned = show(out.shape) if isinstance(out, Tensor) else f"a {type(out).__name__}"
        raise ShapeError(
            f"the network of {self._title} returned {returned} for a value {show(read.shape)}",
            hint=f"return {show(wanted)}, or a tuple of {count} tensors {show(each)}",
        )

    def _check_packed(self, packed: bool) -> bool:
        if packed and self.halves is None:
            raise ParameterError(
                f"the mask of {self._title} parts the elements of a channel, so that nothing can be packed",
                hint="leave `packed` out: the network is then given zeros for what changes",
            )
        return packed

    def _default_network(self, hidden: Sequence[int]) -> nn.Module:
        channels = self.event_shape[0] if self.event_shape else 0
        taken, given = (channels, channels) if self.halves is None else (self.halves.kept, self.halves.moved)
        outputs = self.element.count * given
        if len(self.event_shape) == 1:
            return MLP(taken, outputs, hidden, self.context_features)
        if len(self.event_shape) == 3:
            return ResNet(taken, outputs, max(hidden), len(hidden), self.context_features)
        raise ParameterError(
            f"{self._title} has no default network for the event {show(self.event_shape)}",
            hint=f"pass `network=`, which returns {self.element.count} coefficients for each element",
        )


def _reread(coupling: nn.Module, _: object) -> None:
    """Takes values apart by the mask of now."""
    assert isinstance(coupling, Coupling)
    coupling.halves = Halves.of(coupling.mask)


@final
class AffineCoupling(Coupling):
    r"""Coupling by scale and shift (RealNVP).

    .. math:: z = m \odot x + (1 - m) \odot (x \odot e^{s(m \odot x)} + t(m \odot x)),\quad
        \log|\det| = \sum (1 - m) \odot s

    Args:
        event_shape: the shape of one value: ``D`` for vectors, ``(C, H, W)`` for images.
        bound: the greatest absolute log-scale.
        mask: see `Coupling`.
        flip: see `Coupling`.
        network: returns the raw log-scale and the shift; see `Coupling`.
        packed: see `Coupling`.
        hidden: see `Coupling`.
        context_features: see `Coupling`.

    References:
        Dinh et al. (2017), Density estimation using Real NVP, equations 7 and 8.

    Example:
        >>> f = AffineCoupling((3, 8, 8), mask="checkerboard", hidden=(16,))
        >>> z, log_det = f(torch.randn(2, 3, 8, 8))
        >>> z.shape, log_det.tolist()
        (torch.Size([2, 3, 8, 8]), [0.0, 0.0])
    """

    def __init__(
        self,
        event_shape: Shape,
        *,
        bound: float = 3.0,
        mask: str | Tensor = "channel",
        flip: bool = False,
        network: Conditioner | None = None,
        packed: bool = False,
        hidden: Sequence[int] = (64, 64),
        context_features: int = 0,
    ) -> None:
        super().__init__(
            event_shape,
            Affine(bound),
            mask=mask,
            flip=flip,
            network=network,
            packed=packed,
            hidden=hidden,
            context_features=context_features,
        )


@final
class AdditiveCoupling(Coupling):
    r"""Coupling by shift alone, which keeps volumes (NICE).

    .. math:: z = x + (1 - m) \odot t(m \odot x)

    Args:
        event_shape: the shape of one value: ``D`` for vectors, ``(C, H, W)`` for images.
        mask: see `Coupling`.
        flip: see `Coupling`.
        network: returns the shift; see `Coupling`.
        packed: see `Coupling`.
        hidden: see `Coupling`.
        context_features: see `Coupling`.

    References:
        Dinh et al. (2015), NICE: Non-linear independent components estimation, section 3.2.

    Example:
        >>> f = AdditiveCoupling(2, network=lambda x: x.flip(1))
        >>> f(torch.tensor([[1.0, 5.0]]))
        (tensor([[1., 6.]]), tensor([0.]))
    """

    def __init__(
        self,
        event_shape: Shape,
        *,
        mask: str | Tensor = "channel",
        flip: bool = False,
        network: Conditioner | None = None,
        packed: bool = False,
        hidden: Sequence[int] = (64, 64),
        context_features: int = 0,
    ) -> None:
        super().__init__(
            event_shape,
            Additive(),
            mask=mask,
            flip=flip,
            network=network,
            packed=packed,
            hidden=hidden,
            context_features=context_features,
        )


@final
class SplineCoupling(Coupling):
    """Coupling by monotone rational-quadratic splines.

    Args:
        event_shape: the shape of one value: ``D`` for vectors, ``(C, H, W)`` for images.
        bins: pieces of each spline.
        bound: outside ``[-bound, bound]`` a spline is the identity.
        mask: see `Coupling`.
        flip: see `Coupling`.
        network: returns widths, heights and slopes, unconstrained; see `Coupling` and `Spline`.
        packed: see `Coupling`.
        hidden: see `Coupling`.
        context_features: see `Coupling`.

    References:
        Durkan et al. (2019), Neural spline flows, section 3.

    Example:
        >>> z, log_det = SplineCoupling(2, bins=4)(torch.randn(5, 2))
        >>> z.shape, log_det.shape
        (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(
        self,
        event_shape: Shape,
        *,
        bins: int = 8,
        bound: float = 5.0,
        mask: str | Tensor = "channel",
        flip: bool = False,
        network: Conditioner | None = None,
        packed: bool = False,
        hidden: Sequence[int] = (64, 64),
        context_features: int = 0,
    ) -> None:
        super().__init__(
            event_shape,
            Spline(bins, bound),
            mask=mask,
            flip=flip,
            network=network,
            packed=packed,
            hidden=hidden,
            context_features=context_features,
        )
