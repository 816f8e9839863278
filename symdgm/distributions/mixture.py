"""Mixtures: one of several distributions over the same variables, chosen at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Never, cast, final

import torch
from torch import Tensor, nn

from symdgm.distributions.ancestral import draw_on
from symdgm.distributions.categorical import Categorical
from symdgm.distributions.components import Components, known_conditions, scores
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.joint import Joint
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.notation import Notation
from symdgm.distributions.shapes import Shape, leading_of, read_batch
from symdgm.distributions.spelling import spell
from symdgm.distributions.strata import Strata, over
from symdgm.errors import NameResolutionError, ParameterError, refuse_unknown


@final
class Mixture(Distribution):
    r"""A mixture of distributions over the same variables; with conditional components, a mixture of experts.

    .. math:: p(x) = \sum_{k=1}^K \pi_k \, p_k(x), \qquad \log p(x) = \log \sum_k e^{\log \pi_k + \log p_k(x)}

    A draw chooses one component at random, each with its weight, and carries the gradient of that component;
    it carries none to the weights, which learn by `log_prob`.

    Args:
        declaration: such as ``p(x)`` or ``q(z|x,y)``; its conditions are those of all components and weights.
        components: distributions over the variables, given any of the conditions.
        weights: probabilities ``[K]``, an `nn.Parameter` of logits ``[K]``, or a `Categorical` over the index
            of the component, which may be conditional (a gate); equal by default.
        latent: how the index is called, if it is not a Categorical that says it.

    Raises:
        ParameterError: there is no component, or the weights are not one for each.
        NameResolutionError: the variables or conditions are not those of the components.

    Example:
        >>> from symdgm.distributions import Normal
        >>> p = Mixture("p(x)", [Normal("p(x)", loc=m, scale=1.0, event_shape=()) for m in (-1.0, 1.0)])
        >>> p.text, p.prob({"x": torch.zeros(1)}), p.variance()["x"]
        ('p(x) = sum_k p(x|k) p(k)', tensor([0.2420]), tensor([2.]))
        >>> p.responsibilities({"x": torch.zeros(1)})
        tensor([[0.5000, 0.5000]])
    """

    def __init__(
        self,
        declaration: str | Declaration,
        components: Sequence[Distribution],
        weights: Tensor | Categorical | None = None,
        *,
        latent: str = "k",
    ) -> None:
        super().__init__(declaration)
        if not components:
            raise ParameterError(
                f"Mixture {self} has no components", hint='write `Mixture("p(x)", [p_1, p_2])`'
            )
        prior = _prior(self.declaration, weights, len(components), latent)
        _check_names(self.declaration, components, prior)
        given = tuple(dict.fromkeys(g for c in components for g in c.given))
        inner = Declaration(self.name, self.variables, (prior.variable, *given))
        self.joint = Joint([Components(inner, components), prior])

    @property
    def components(self) -> tuple[Distribution, ...]:
        """The components in order of their index."""
        return cast("Components", self.joint.factors[0]).components

    @property
    def prior(self) -> Categorical:
        """The distribution of the index."""
        return cast("Categorical", self.joint.factors[1])

    @property
    def described(self) -> str:
        """How it is called in errors."""
        return f"Mixture {self.declaration.text}"

    @property
    def factors(self) -> tuple[Distribution, ...]:
        """The components given their index, and the distribution of the index."""
        return self.joint.factors

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks of the components and of the weights."""
        return self.joint.sources

    def posterior(self) -> Distribution:
        r"""The index given the value: ``p(k|x) = p(x|k) p(k) / p(x)``; see `Joint.posterior`."""
        return self.joint.posterior(self.prior.variable)

    def responsibilities(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> Tensor:
        """The probability of each component given the value, ``[*samples, batch, K]``."""
        return self._log_joint(values, sample_axes, check).softmax(0).movedim(0, -1)

    def only(self, *given: str) -> Mixture:
        """The mixture of the components that need no other conditions, with their weights made to sum to one.

        Example:
            >>> from symdgm.distributions import Normal
            >>> q = [Normal(f"q(z|{c})", lambda v: (v, 1.0)) for c in "xy"]
            >>> str(Mixture("q(z|x,y)", q).only("x"))
            'q(z|x)'
        """
        names = known_conditions(self, given)
        index = [i for i, c in enumerate(self.components) if set(c.given) <= set(names)]
        if not index or self.prior.given:
            why = "its weights are conditional" if self.prior.given else "no component is given so little"
            raise NameResolutionError(
                f"{self.described} has no part that is given only ({', '.join(names)}): {why}",
                hint=f"its components are {', '.join(map(str, self.components))}",
            )
        prior = Categorical(self.prior.declaration, logits=_Selected(self.prior, index))
        declaration = Declaration(self.name, self.variables, names)
        return Mixture(declaration, [self.components[i] for i in index], prior)

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
        """Draw the index of a component, and then from it; see `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        read_batch(n, self.given, self.described)
        drawn = self.joint.sample(
            given, n=n, shape=shape, generator=generator, sample_axes=sample_axes, check=check
        )
        return {name: drawn[name] for name in self.variables}

    def strata(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        n: int | None = None,
        count: int = 1,
        generator: torch.Generator | None = None,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
    ) -> Strata:
        """Draws from every component, each with its weight; see `Strata` and `sample`.

        Args:
            given: the conditions.
            n: the batch size, where nothing is given.
            count: how many draws from each component.
            generator: the source of random numbers.
            sample_axes: the sample axes that conditions already have.
            check: whether ranges are checked.
        """
        known = read_values(given or {}, self.given, self.described)
        axes = batch_axes(self.given, sample_axes, self.described)
        leading = leading_of(known, axes) or read_batch(n, self.given, self.described)
        full = torch.Size((count,)) + leading
        each = [draw_on([c], known, axes, full, generator=generator, check=check) for c in self.components]
        values = {name: torch.cat([drawn[name] for drawn in each]) for name in self.variables}
        weights = self._log_weights(known, sample_axes, len(leading)).exp()
        return Strata(values, over(Strata({}, weights), leading, count).weights)

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The log of the weighted sum ``[*samples, batch]``; see `Distribution.log_prob`."""
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        return self.score(values, sample_axes=sample_axes, check=check)[0]

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """See `Distribution.score`."""
        known = read_values(values, self.variables + self.given, self.described)
        terms, axes = scores(self.components, known, sample_axes, check)
        return (terms + self._log_weights(known, sample_axes, terms.ndim - 1)).logsumexp(0), axes

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """Refused: it has no closed form."""
        raise self._refuse("entropy in closed form", "estimate it: the mean of `-log_prob` of samples")

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The weighted mean of the components' means."""
        return self.joint.marginal(*self.variables).mean(given, sample_axes=sample_axes)

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The variance within the components and between them."""
        return self.joint.marginal(*self.variables).variance(given, sample_axes=sample_axes)

    def written(self, notation: Notation) -> str:
        """The sum over the index."""
        body = notation.product([notation.head(factor.declaration) for factor in self.factors])
        return notation.integral(body, [], [self.prior.variable])

    def __repr__(self) -> str:
        return "\n  ".join([f"Mixture {self.text}", *map(repr, self.components), repr(self.prior)])

    def _log_joint(self, values: Mapping[str, Tensor], sample_axes: SampleAxes | None, check: bool) -> Tensor:
        known = read_values(values, self.variables + self.given, self.described)
        terms, _ = scores(self.components, known, sample_axes, check)
        return terms + self._log_weights(known, sample_axes, terms.ndim - 1)

    def _log_weights(self, known: Mapping[str, Tensor], sample_axes: SampleAxes | None, rank: int) -> Tensor:
        """The logs of the weights ``[K, *leading]``, with as many leading axes as told."""
        told = {name: count for name, count in (sample_axes or {}).items() if name in self.prior.given}
        parameters = self.prior.parameters_at({g: known[g] for g in self.prior.given}, sample_axes=told)
        logs = parameters["probs"].log() if "probs" in parameters else parameters["logits"].log_softmax(-1)
        logs = logs.movedim(-1, 0)
        return logs.reshape(len(logs), *(1,) * (rank - logs.ndim + 1), *logs.shape[1:])


class _Selected(nn.Module):
    """The logits of some of the classes of a categorical distribution, as they are now."""

    def __init__(self, prior: Categorical, index: Sequence[int]) -> None:
        super().__init__()
        self.prior = prior
        self.index = tuple(index)

    def forward(self) -> Tensor:
        parameters = self.prior.parameters_at()
        logits = parameters["probs"].log() if "probs" in parameters else parameters["logits"]
        return logits[list(self.index)]


def _prior(head: Declaration, weights: Tensor | Categorical | None, number: int, latent: str) -> Categorical:
    """The distribution of the index, from whatever the author gave."""
    if isinstance(weights, Categorical):
        prior = weights
    else:
        declaration = Declaration(head.name, (spell(latent),))
        if weights is None:
            prior = Categorical(declaration, logits=torch.zeros(number))
        elif isinstance(weights, nn.Parameter):
            prior = Categorical(declaration, logits=weights)
        else:
            prior = Categorical(declaration, probs=weights)
    found = [tuple(t.shape) for t in prior.constants.values() if isinstance(t, Tensor)]
    if found and found != [(number,)]:
        raise ParameterError(
            f"the weights of Mixture {head} have shape {list(found[0])} for {number} components",
            hint=f"give one weight for each component: shape [{number}]",
        )
    return prior


def _check_names(head: Declaration, components: Sequence[Distribution], prior: Categorical) -> None:
    """Refuse components over other variables, and a declaration with other conditions."""
    for component in components:
        if set(component.variables) != set(head.variables):
            raise NameResolutionError(
                f"Mixture {head} has the component {component}, which is over other variables",
                hint=f"all components are over ({', '.join(head.variables)}); `rename` changes names",
            )
    given = tuple(dict.fromkeys(g for c in [*components, prior] for g in c.given))
    if set(given) != set(head.given):
        raise NameResolutionError(
            f"Mixture {head} is declared, but its components and weights are given ({', '.join(given)})",
            hint=f"declare `{Declaration(head.name, head.variables, given)}`",
        )
    if prior.variable in head.variables + head.given:
        raise NameResolutionError(
            f"the index of Mixture {head} is called `{prior.variable}`, which is one of its variables",
            hint='call it otherwise, such as `latent="c"`',
        )
