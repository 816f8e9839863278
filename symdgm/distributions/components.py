"""One of several distributions over the same variables, by an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Never, cast, final

import torch
from torch import Tensor, nn

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.shapes import Shape, join_leading, leading_of, read_batch, read_shape
from symdgm.distributions.spelling import spell
from symdgm.errors import NameResolutionError, refuse_unknown, suggest

Question = Callable[[Distribution, Mapping[str, Tensor], Mapping[str, int]], dict[str, Tensor]]
"""What a component is asked, at its conditions and their sample axes."""


@final
class Components(Distribution):
    """One of several distributions, by an index that is given: ``p(x|z)`` of a mixture.

    Args:
        declaration: the variables, given the index first and then all conditions of the components.
        components: in order of the index.
    """

    def __init__(self, declaration: str | Declaration, components: Sequence[Distribution]) -> None:
        super().__init__(declaration)
        self.parts = nn.ModuleList(components)

    @property
    def components(self) -> tuple[Distribution, ...]:
        """The distributions in order of the index."""
        return tuple(cast("Distribution", part) for part in self.parts)

    @property
    def described(self) -> str:
        """How it is called in errors."""
        return f"Components {self.declaration.text}"

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks of all components."""
        return tuple(source for component in self.components for source in component.sources)

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
        """Draw from all components, and keep the one that the index names; see `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        known = read_values(given or {}, self.given, self.described)
        axes = batch_axes(self.given, sample_axes, self.described)
        read_batch(n, self.given, self.described)
        full = read_shape(shape, "shape") + leading_of(known, axes)
        index = known[self.given[0]].expand(full)
        draws = []
        for component in self.components:
            own = {name: known[name] for name in component.given}
            lead = join_leading([value.shape[: axes[name]] for name, value in own.items()])
            draws.append(
                component.sample(
                    own,
                    n=None if own else full[-1],
                    shape=full[: len(full) - max(1, len(lead))],
                    generator=generator,
                    sample_axes={name: axes[name] - 1 for name in own},
                    check=check,
                )
            )
        return {name: _chosen(torch.stack([d[name] for d in draws]), index) for name in self.variables}

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The log-density of the component that the index names; see `Distribution.log_prob`."""
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        return self.score(values, sample_axes=sample_axes, check=check)[0]

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """See `Distribution.score`."""
        known = read_values(values, self.variables + self.given, self.described)
        terms, axes = scores(self.components, known, sample_axes, check)
        index = known[self.given[0]]
        lead = join_leading([index.shape, terms.shape[1:]])
        return _chosen(
            terms.reshape(len(terms), *(1,) * (len(lead) + 1 - terms.ndim), *terms.shape[1:]),
            index.expand(lead),
        ), axes

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """The entropy of the component that the index names."""
        return self._each(given, sample_axes, lambda c, v, a: {"": c.entropy(v, sample_axes=a)})[""]

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The mean of the component that the index names."""
        return self._each(given, sample_axes, lambda c, v, a: c.mean(v, sample_axes=a))

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The variance of the component that the index names."""
        return self._each(given, sample_axes, lambda c, v, a: c.variance(v, sample_axes=a))

    def _each(
        self, given: Mapping[str, Tensor] | None, sample_axes: SampleAxes | None, ask: Question
    ) -> dict[str, Tensor]:
        """What each component answers, at the index."""
        known = read_values(given or {}, self.given, self.described)
        axes = batch_axes(self.given, sample_axes, self.described)
        full = leading_of(known, axes)
        answers = []
        for component in self.components:
            own = {name: known[name] for name in component.given}
            rank = max((axes[name] for name in own), default=1)
            found = ask(component, own, {name: axes[name] - 1 for name in own})
            answers.append({name: _widened(value, rank, full) for name, value in found.items()})
        index = known[self.given[0]].expand(full)
        return {name: _chosen(torch.stack([a[name] for a in answers]), index) for name in answers[0]}


def scores(
    components: Sequence[Distribution],
    known: Mapping[str, Tensor],
    sample_axes: SampleAxes | None,
    check: bool,
) -> tuple[Tensor, dict[str, int]]:
    """The log-densities of all components ``[K, *samples, batch]``, and the sample axes of the variables."""
    terms: list[Tensor] = []
    axes: dict[str, int] = {}
    for component in components:
        own = component.variables + component.given
        told = {name: count for name, count in (sample_axes or {}).items() if name in own}
        term, axes = component.score({name: known[name] for name in own}, sample_axes=told, check=check)
        terms.append(term)
    lead = join_leading([term.shape for term in terms])
    return torch.stack([term.expand(lead) for term in terms]), axes


def known_conditions(p: Distribution, given: Sequence[str]) -> tuple[str, ...]:
    """The canonical names of some conditions, in declared order.

    Raises:
        NameResolutionError: a name is no condition.
    """
    names = [spell(name) for name in given]
    for name in names:
        if name not in p.given:
            raise NameResolutionError(f"{p} is not given `{name}`", hint=suggest(name, p.given))
    return tuple(name for name in p.given if name in names)


def _chosen(stacked: Tensor, index: Tensor) -> Tensor:
    """Of ``[K, *leading, *event]`` the entries that ``[*leading]`` names."""
    event = stacked.shape[1 + index.ndim :]
    whole = stacked.expand(len(stacked), *index.shape, *event)
    places = index.reshape(1, *index.shape, *(1,) * len(event)).expand(1, *index.shape, *event)
    return whole.gather(0, places).squeeze(0)


def _widened(value: Tensor, rank: int, full: torch.Size) -> Tensor:
    """A value with the first ``rank`` axes leading, over all leading axes."""
    event = value.shape[rank:]
    return value.reshape(*(1,) * (len(full) - rank), *value.shape).expand(full + event)
