"""The distribution of what a flow makes of another distribution."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Never, final

import torch
from torch import Tensor
from torch.distributions import Transform

from symdgm.distributions.base_draws import Request, Scored, ask
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.failures import attempt
from symdgm.distributions.flow_context import FlowContext, given_name
from symdgm.distributions.flows.flow import Flow, check_flow
from symdgm.distributions.flows.transform import TransformFlow
from symdgm.distributions.leading_axes import apply_over_leading_axes
from symdgm.distributions.networks import Network, NetworkSource
from symdgm.distributions.parametric import Parametric
from symdgm.distributions.shapes import Shape, leading_of, show
from symdgm.distributions.support import check_finite, check_floating
from symdgm.errors import ParameterError, ShapeError, SupportError, refuse_unknown

DRAW_OPTIONS = ("given", "n", "shape", "generator", "sample_axes", "check")

Context = tuple[Tensor | None, int]
"""The context of the flow, if there is one, and the number of its leading axes."""


@final
class Transformed(Distribution):
    r"""The distribution of ``x = f(u)``, where ``u`` follows a base and ``f`` is a flow.

    .. math:: \log p(x) = \log p_u(f^{-1}(x)) + \log |\det \partial f^{-1}(x) / \partial x|

    The variable of the base is hidden. Draws are pathwise where those of the base are, also in what the base
    is given. A flow which leads from data to noise, as RealNVP and Glow are trained, is passed as
    ``flow=f.inv``: then a density costs one `forward` of ``f``, and a draw one `inverse`.

    Args:
        declaration: such as ``p(x)`` or ``q(z|x)``.
        base: a continuous distribution over one variable, of any name; what it is given must be given here.
        flow: from the base to the variable: a `Flow`, or a transform of `torch.distributions`.
        context: what the flow is given: the name of a given variable, or a network of all given variables. By
            default the one given variable that the base does not take.

    Raises:
        ParameterError: the base is discrete or over several variables, a condition reaches neither the base
            nor the flow, or the flow lacks a context or has none to take.

    Example:
        >>> from symdgm.distributions import Normal
        >>> from symdgm.distributions.flows import AffineCoupling, Reverse
        >>> u = Normal("p(u)", loc=0.0, scale=1.0, event_shape=2)
        >>> p = Transformed("p(x)", base=u, flow=AffineCoupling(2) >> Reverse(2) >> AffineCoupling(2))
        >>> x = p.sample(n=4, shape=(3,))
        >>> x["x"].shape, p.log_prob(x).shape
        (torch.Size([3, 4, 2]), torch.Size([3, 4]))
    """

    family: ClassVar[str] = "Transformed"

    def __init__(
        self,
        declaration: str | Declaration,
        base: Distribution,
        flow: Flow | Transform,
        *,
        context: str | Network | None = None,
    ) -> None:
        super().__init__(declaration)
        self.described = f"{self.family} {self.declaration.text}"
        self.base = self._check_base(base)
        self.flow = TransformFlow(flow) if isinstance(flow, Transform) else check_flow(flow)
        self.context = FlowContext(context, self, base, self.flow.context_features, self.described)

    @property
    def variable(self) -> str:
        """The one random variable."""
        return self.variables[0]

    @property
    def event_rank(self) -> int | None:
        """How many axes one value has, as far as the flow or the base says."""
        return self.flow.rank_out if self.flow.rank_out is not None else _rank_of(self.base)

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks of the base and of the context; those of the flow take more than conditions."""
        return (*self.base.sources, *self.context.sources)

    def sample(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        n: int | None = None,
        shape: Shape = (),
        generator: torch.Generator | None = None,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> dict[str, Tensor]:
        """Draw ``{variable: [*shape, batch, *event]}``; see `Distribution.sample`."""
        refuse_unknown(unknown, DRAW_OPTIONS)
        request, context = self._ask(given, sample_axes, n=n, shape=shape, generator=generator, check=check)
        hidden = request.draw(self.base)[self._hidden]
        return {self.variable: self._push(self.flow, hidden, request.axes, context)[0]}

    def sample_and_log_prob(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        n: int | None = None,
        shape: Shape = (),
        generator: torch.Generator | None = None,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Scored:
        """A draw and its log-density, without the inverse of the flow.

        It costs one forward of the flow, which matters where the inverse is slow (IAF) or not known.

        Args:
            given: see `Distribution.sample`, as all others.
            n: the batch size, where nothing is given.
            shape: sample axes before the batch.
            generator: the source of random numbers.
            sample_axes: how many sample axes conditions have.
            check: whether parameters are checked for their range.
            **unknown: refused.

        Returns:
            ``{variable: [*shape, batch, *event]}`` and ``[*shape, batch]``.

        Example:
            >>> from symdgm.distributions import Normal
            >>> from symdgm.distributions.flows import Autoregressive
            >>> u = Normal("p(u)", loc=0.0, scale=1.0, event_shape=2)
            >>> q = Transformed("q(z)", base=u, flow=Autoregressive(2))
            >>> z, log_q = q.sample_and_log_prob(n=5)
            >>> torch.allclose(log_q, q.log_prob(z), atol=1e-5)
            True
        """
        refuse_unknown(unknown, DRAW_OPTIONS)
        request, context = self._ask(given, sample_axes, n=n, shape=shape, generator=generator, check=check)
        drawn, log_prob = request.draw_with_log_prob(self.base)
        value, log_det = self._push(self.flow, drawn[self._hidden], request.axes, context)
        return {self.variable: value}, log_prob - log_det

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The log-density ``[*samples, batch]`` at any point; see `Distribution.log_prob`.

        Where neither the flow nor the base says how many axes one value has, ``sample_axes`` tells how many
        of the variable's are sample axes; none by default.
        """
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        return self.score(values, sample_axes=sample_axes, check=check)[0]

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """The log-density, and the sample axes of the value; see `Distribution.score`."""
        named = read_values(values, self.variables + self.given, self.described)
        axes = batch_axes(self.variables + self.given, sample_axes, self.described)
        x = named[self.variable]
        axes[self.variable] = self._axes_of(x, sample_axes)
        leading_of(named, axes)
        if check:
            check_floating(x, self.variable, self.described)
            check_finite(x, self.variable, self.described)
        context = self.context(named, {name: axes[name] for name in self.given})
        hidden, log_det = self._push(self.flow.inverse, x, axes[self.variable], context)
        if check:
            self._check_reached(hidden)
        inside = {self._hidden: hidden, **{name: named[name] for name in self.base.given}}
        inside_axes = {self._hidden: log_det.ndim - 1, **{name: axes[name] - 1 for name in self.base.given}}
        log_prob = self.base.log_prob(inside, sample_axes=inside_axes, check=check)
        return log_prob + log_det, {self.variable: axes[self.variable] - 1}

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """Refused: it is an integral over the flow."""
        raise self._refuse(
            "entropy in closed form", "average `-log_q` over draws: `z, log_q = q.sample_and_log_prob(...)`"
        )

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """Refused: it is an integral over the flow."""
        raise self._refuse("mean in closed form", "average over draws: `.sample(given, shape=(1000,))`")

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """Refused: it is an integral over the flow."""
        raise self._refuse("variance in closed form", "take it over draws: `.sample(given, shape=(1000,))`")

    def __repr__(self) -> str:
        return f"{self.described} with {self.variable} = f({self._hidden}), f = {self.flow!r}, {self.base!r}"

    @property
    def _hidden(self) -> str:
        return self.base.variables[0]

    def _ask(
        self,
        given: Mapping[str, Tensor] | None,
        sample_axes: SampleAxes | None,
        *,
        n: int | None,
        shape: Shape,
        generator: torch.Generator | None,
        check: bool,
    ) -> tuple[Request, Context]:
        values = read_values({} if given is None else given, self.given, self.described)
        axes = batch_axes(self.given, sample_axes, self.described)
        request = ask(
            self.base, values, axes, n=n, shape=shape, generator=generator, check=check, owner=self.described
        )
        return request, self.context(values, axes)

    def _push(
        self, way: Callable[..., object], value: Tensor, axes: int, context: Context
    ) -> tuple[Tensor, Tensor]:
        """A flow one way or the other, over sample axes, beside the context if there is one."""
        beside, beside_axes = context
        tensors, counts = ([value], [axes]) if beside is None else ([value, beside], [axes, beside_axes])
        names = ("value", "context")[: len(tensors)]
        pushed: Any = attempt(
            lambda: apply_over_leading_axes(way, tensors, counts),
            f"`{type(self.flow).__name__}` of {self.described}",
            lambda: dict(zip(names, tensors, strict=True)),
        )
        image, log_det = pushed
        return image, log_det

    def _axes_of(self, x: Tensor, sample_axes: SampleAxes | None) -> int:
        """How many axes stand before one value."""
        rank = self.event_rank
        if rank is None or self.variable in (sample_axes or {}):
            return 1 + (sample_axes or {}).get(self.variable, 0)
        if x.ndim <= rank:
            raise ShapeError(
                f"{self.variable} has shape {show(x.shape)}, but {self.described} is over "
                f"[batch, *event] with events of {rank} axes",
                hint=f"`{self.variable}.unsqueeze(0)` is a batch of one",
            )
        return x.ndim - rank

    def _check_reached(self, hidden: Tensor) -> None:
        if not bool(hidden.isfinite().all()):
            raise SupportError(
                f"{self.variable} has values that the flow of {self.described} does not reach",
                hint="scale the data into the range of the flow, such as (0, 1) of the inverse of a `Logit`",
            )

    def _check_base(self, base: object) -> Distribution:
        if not isinstance(base, Distribution):
            raise ParameterError(
                f"the base of {self.described} is a {type(base).__name__}, not a distribution",
                hint='give for example `base=Normal("p(u)", loc=0.0, scale=1.0, event_shape=2)`',
            )
        if isinstance(base, Parametric) and base.discrete:
            raise ParameterError(
                f"the base of {self.described} is the discrete {base.described}",
                hint="give a continuous base",
            )
        if len(base.variables) > 1 or len(self.variables) > 1:
            raise ParameterError(
                f"{self.described} and its base {base} are not over one variable each",
                hint="write one distribution for each variable",
            )
        for name in base.given:
            given_name(name, self, f"the base {base} of {self.described}")
        return base


def _rank_of(base: Distribution) -> int | None:
    if isinstance(base, Transformed):
        return base.event_rank
    if isinstance(base, Parametric) and base.event_shape is not None:
        return len(base.event_shape)
    return None
