"""Products of normal experts: each says what it knows of a variable, and their precisions add."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Never, Self, cast

import torch
from torch import Tensor, nn

from symdgm.distributions.components import known_conditions
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import SampleAxes
from symdgm.distributions.normal import Normal
from symdgm.distributions.shapes import Shape, broadcast
from symdgm.distributions.spelling import names_in
from symdgm.errors import NameResolutionError, ParameterError, ShapeError


class ProductOfExperts(Normal):
    r"""The normalised product of normal experts over one variable, which is normal itself.

    .. math:: q(z \mid x, y) \propto p(z) \, q(z \mid x)^{w_x} \, q(z \mid y)^{w_y}, \qquad
        \frac1{\sigma^2} = \sum_e \frac{w_e}{\sigma_e^2}, \quad
        \mu = \sigma^2 \sum_e \frac{w_e \mu_e}{\sigma_e^2}

    Being a Normal it has a density, an entropy and closed-form divergences. A modality that is missing for
    all examples is left out of the call, or by `only`: the experts that need it do not count, the prior
    always does. One that is missing for some examples is masked; the mask itself is never left out.

    Args:
        declaration: such as ``q(z|x,y)``: the conditions of all experts, and of the mask if there is one.
        experts: normal distributions over the variable.
        prior: one more expert, of weight one, such as the prior of the model; none by default.
        weights: for each expert a weight, ``[E]``, or ``[E, *event]``, or a function that returns them; one
            by default (generalised product). A weight may be negative, as of a prior that is divided out, as
            long as the precisions add up to something positive.
        mask: the name of a condition ``[batch, E]`` that is 1 where an expert counts and 0 where its modality
            is missing; what stands in place of a missing value is not looked at, but must be finite.

    Raises:
        ParameterError: there is no expert, one is not normal, the weights are not one for each, or none of
            them is positive.
        NameResolutionError: the declaration names other variables or conditions; in a call, no expert is left
            and there is no prior.
        ShapeError: in a call, only a prior is left whose numbers do not say how many elements there are.

    Source:
        Wu and Goodman, Multimodal generative models for scalable weakly-supervised learning (2018), section
        3.1; Cao and Fleet, Generalized product of experts (2014), equation 3, for the weights.

    Example:
        >>> q = [Normal(f"q(z|{c})", lambda v: (v, torch.ones_like(v))) for c in "xy"]
        >>> poe = ProductOfExperts("q(z|x,y)", q, prior=Normal("p(z)", loc=0.0, scale=1.0))
        >>> poe.mean({"x": torch.tensor([[3.0]]), "y": torch.tensor([[6.0]])})["z"]
        tensor([[3.]])
        >>> poe.mean({"x": torch.tensor([[3.0]])})["z"]
        tensor([[1.5000]])
    """

    def __init__(
        self,
        declaration: str | Declaration,
        experts: Sequence[Normal],
        *,
        prior: Normal | None = None,
        weights: Sequence[float] | Tensor | Callable[[], Tensor] | None = None,
        mask: str | None = None,
    ) -> None:
        super().__init__(declaration)
        self._mask = None if mask is None else known_conditions(self, [mask])[0]
        _check_experts(self, experts, prior, self._mask)
        self.experts = nn.ModuleList(experts)
        self.prior = prior
        self._active = tuple(range(len(experts)))
        self._set_weights([1.0] * len(experts) if weights is None else weights)

    def _set_weights(self, weights: Sequence[float] | Tensor | Callable[[], Tensor]) -> None:
        if callable(weights):
            self.weights = weights
            return
        experts = self.experts
        values = weights if isinstance(weights, Tensor) else torch.tensor([*map(float, weights)])
        if values.shape[:1] != (len(experts),):
            raise ParameterError(
                f"{self.described} has weights of shape {list(values.shape)} for {len(experts)} experts",
                hint=f"give one weight for each expert: shape [{len(experts)}]",
            )
        if self.prior is None and not isinstance(values, nn.Parameter) and not (values > 0).any():
            raise ParameterError(
                f"no expert of {self.described} has a positive weight",
                hint="the precisions of the experts, each times its weight, add up to a positive one",
            )
        if isinstance(values, nn.Parameter):
            self.register_parameter("weights", values)
        else:
            self.register_buffer("weights", values.detach().clone())

    def only(self, *given: str) -> Self:
        """The product of the prior and of the experts that need no other conditions; all weights are shared.

        Args:
            *given: the modalities that are there; none leaves the prior.

        Raises:
            NameResolutionError: a name is no condition, or nothing is left.
        """
        formal = dict(zip(self.given, self._formal, strict=True))  # the names before `rename`
        masks = [name for name in self.given if formal[name] == self._mask]
        names = known_conditions(self, [*given, *masks])
        known = tuple(formal[name] for name in names)
        active = tuple(i for i in self._active if set(self._expert(i).given) <= set(known))
        if not active and self.prior is None:
            raise NameResolutionError(
                f"{self.described} has no expert that is given only ({', '.join(given)}), and no prior",
                hint=f"its experts are {', '.join(str(self._expert(i)) for i in self._active)}",
            )
        twin = self.renamed(Declaration(self.name, self.variables, names))
        twin._formal, twin._active = known, active
        return twin

    def knowing(self, values: object) -> Self:
        """The product of the experts whose conditions are all known; itself where the mask is missing."""
        names = names_in(values, self.variables + self.given)
        missing = set(self.given) - names if names is not None else set()
        formal = dict(zip(self.given, self._formal, strict=True))
        if not missing or self._mask in {formal[name] for name in missing}:
            return self
        return self.only(*(name for name in self.given if name not in missing))

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
        """Draw by the experts whose conditions are given; see `Distribution.sample`."""
        return Normal.sample(
            self.knowing(given),
            given,
            n=n,
            shape=shape,
            generator=generator,
            sample_axes=sample_axes,
            check=check,
            **unknown,
        )

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """The log-density by the experts whose conditions are given; see `Distribution.score`."""
        return Normal.score(self.knowing(values), values, sample_axes=sample_axes, check=check)

    def evaluate(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        sample_axes: SampleAxes | None = None,
        like: Tensor | None = None,
    ) -> tuple[dict[str, Tensor], torch.Size, torch.Size | None]:
        """The parameters by the experts whose conditions are given; see `Family.evaluate`."""
        return Normal.evaluate(self.knowing(given), given, sample_axes=sample_axes, like=like)

    def forward(self, *values: Tensor) -> dict[str, Tensor]:
        """The location and scale of the product, from the conditions in declared order."""
        known = dict(zip(self._formal, values, strict=True))
        terms = [self._term(i, known) for i in self._active]
        if self.prior is not None:
            terms.append(_natural(self.prior, {}))
            self._check_alone(self.prior, terms[-1][0])
        precision = sum((p for p, _ in terms[1:]), start=terms[0][0])
        shift = sum((s for _, s in terms[1:]), start=terms[0][1])
        loc, scale = _broadcast(shift / precision, precision.rsqrt())
        if values and not self._active:  # the prior is the same for all examples
            kind = torch.promote_types(loc.dtype, values[0].dtype)
            loc, scale = (t.to(kind).expand(len(values[0]), *t.shape) for t in (loc, scale))
        return {"loc": loc, "scale": scale}

    def _check_alone(self, prior: Normal, precision: Tensor) -> None:
        if not self._active and precision.ndim == 0 and prior.event_shape is None:
            raise ShapeError(
                f"{self.described} is the prior {prior} alone, whose numbers do not say how many elements "
                "there are",
                hint="give the prior `event_shape=`, such as `event_shape=16`",
            )

    def _expert(self, i: int) -> Normal:
        return cast("Normal", self.experts[i])

    def _term(self, i: int, known: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        precision, shift = _natural(self._expert(i), known)
        weights = self.weights() if callable(self.weights) else self.weights
        weight = weights[i]
        if self._mask is not None:
            present = known[self._mask][:, i].to(precision.dtype)
            weight = weight * present.reshape(-1, *(1,) * (precision.ndim - 1))
        return weight * precision, weight * shift


class ElementwiseProductOfExperts(Normal):
    r"""A product of experts in which every element of the condition is an expert of its own.

    .. math:: q(z \mid x) \propto p(z) \prod_{d : m_d = 1} q(z \mid x_d)

    One network serves all elements: it sees the condition with all other elements at zero.

    Args:
        declaration: such as ``q(z|x)``, or ``q(z|x,m)`` with a mask; x is ``[batch, D]``.
        expert: a normal distribution given the condition.
        prior: one more expert.
        mask: the name of a condition ``[batch, D]``, 1 where an element counts; without it an element counts
            where it is not zero.

    Raises:
        ParameterError: the expert is not normal.
        NameResolutionError: the declaration names other variables or conditions.

    Source:
        Vedantam et al., Generative models of visually grounded imagination (2018), section 3.

    Example:
        >>> q = Normal("q(z|x)", lambda x: (x.sum(-1, keepdim=True), 1.0))
        >>> poe = ElementwiseProductOfExperts("q(z|x)", q, prior=Normal("p(z)", loc=0.0, scale=1.0))
        >>> poe.mean({"x": torch.tensor([[1.0, 5.0], [0.0, 5.0]])})["z"]
        tensor([[2.0000],
                [2.5000]])
    """

    def __init__(
        self,
        declaration: str | Declaration,
        expert: Normal,
        *,
        prior: Normal | None = None,
        mask: str | None = None,
    ) -> None:
        super().__init__(declaration)
        self._mask = None if mask is None else known_conditions(self, [mask])[0]
        _check_experts(self, [expert], prior, self._mask)
        if len(expert.given) != 1:
            raise ParameterError(
                f"the expert {expert} of {self.described} is given {len(expert.given)} variables",
                hint="an elementwise expert is given one, [batch, D]",
            )
        self.expert = expert
        self.prior = prior

    def forward(self, *values: Tensor) -> dict[str, Tensor]:
        """The location and scale of the product, from the conditions in declared order."""
        known = dict(zip(self._formal, values, strict=True))
        (name,) = self.expert.given
        x = known[name]
        present = (x != 0 if self._mask is None else known[self._mask]).to(x.dtype)
        alone = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device).unsqueeze(1) * x
        precision, shift = _natural(self.expert, {name: alone}, axes=1)
        weight = present.mT.reshape(*present.mT.shape, *(1,) * (precision.ndim - 2))
        precision, shift = (weight * precision).sum(0), (weight * shift).sum(0)
        if self.prior is not None:
            more = _natural(self.prior, {})
            precision, shift = precision + more[0], shift + more[1]
        return {"loc": shift / precision, "scale": precision.rsqrt()}


def _natural(expert: Normal, known: dict[str, Tensor], axes: int = 0) -> tuple[Tensor, Tensor]:
    """The precision of an expert, and its mean times that."""
    own = {name: known[name] for name in expert.given}
    parameters = expert.parameters_at(own, sample_axes=dict.fromkeys(own, axes))
    mean, precision = _broadcast(expert.mean_at(parameters), expert.variance_at(parameters).reciprocal())
    if mean.ndim == 0 and expert.event_shape is not None:  # numbers alone, of an event that was declared
        mean, precision = mean.expand(expert.event_shape), precision.expand(expert.event_shape)
    return precision, mean * precision


def _broadcast(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    shape = broadcast(one.shape, other.shape)
    return one.expand(shape), other.expand(shape)


def _check_experts(owner: Normal, experts: Sequence[Normal], prior: Normal | None, mask: str | None) -> None:
    """Refuse experts that are not normal, or that a declaration does not fit."""
    every = [*experts, *([] if prior is None else [prior])]
    for expert in every:
        if not isinstance(expert, Normal):
            raise ParameterError(
                f"the expert {expert} of {owner.described} is no Normal",
                hint="normal experts have a product in closed form; write others as an unnormalised density",
            )
        if expert.variables != owner.variables:
            raise NameResolutionError(
                f"{owner.described} has the expert {expert}, which is over another variable",
                hint=f"all experts are over {owner.variable}; `rename` changes names",
            )
    if not experts or (prior is not None and prior.given):
        what = f"the prior {prior}, which has conditions" if experts else "no experts"
        raise ParameterError(
            f"{owner.described} has {what}",
            hint=f'write `{type(owner).__name__}("{owner}", [q_x, q_y], prior=p_z)`',
        )
    every_given = [g for expert in experts for g in expert.given]
    wanted = tuple(dict.fromkeys([*every_given, *([mask] if mask else [])]))
    if set(wanted) != set(owner.given):
        raise NameResolutionError(
            f"{owner.described} is declared, but its experts and mask are given ({', '.join(wanted)})",
            hint=f"declare `{Declaration(owner.name, owner.variables, wanted)}`",
        )
