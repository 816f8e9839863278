"""The product of distributions: a joint distribution that factorises along a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Never, cast, final

import networkx as nx
import torch
from torch import Tensor, nn

from symdgm.distributions.ancestral import draw_in_order
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import (
    Distribution,
    SampleAxes,
    batch_axes,
    read_values,
)
from symdgm.distributions.model_graph import variable_order
from symdgm.distributions.moments import joint_entropy, joint_moments
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.notation import Notation
from symdgm.distributions.shapes import Shape, join_leading
from symdgm.distributions.spelling import names_in
from symdgm.errors import NameResolutionError, ParameterError, refuse_unknown


@final
class Joint(Distribution):
    r"""The product of factors: ``p(x|z) * p(z)``, in any order.

    .. math:: p(x, z) = p(x \mid z) \, p(z), \qquad \log p(x, z) = \log p(x \mid z) + \log p(z)

    It samples from causes to effects, and adds the log-densities of its factors. A factor may stand in
    several products, under several names (`rename`): its weights are shared.

    Args:
        factors: distributions over different variables; products among them are taken apart.
        declaration: the name and the order of the variables; by default the name of the first factor, and the
            order in which factors are written.

    Raises:
        NameResolutionError: two factors are over one variable, factors condition on each other in a circle,
            or the declaration is over other variables.
        ParameterError: a factor is no distribution, or there is none.

    Example:
        >>> from symdgm.distributions import Normal
        >>> p = Normal("p(x|z)", lambda z: (z, 1.0)) * Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
        >>> drawn = p.sample(n=8, shape=3)
        >>> drawn["x"].shape, p.log_prob(drawn).shape, p.text
        (torch.Size([3, 8, 2]), torch.Size([3, 8]), 'p(x, z) = p(x|z) p(z)')
    """

    def __init__(self, factors: Iterable[Distribution], declaration: str | Declaration | None = None) -> None:
        flat = [factor for entry in factors for factor in _flattened(entry)]
        super().__init__(_declared(flat, declaration))
        self.parts = nn.ModuleList(flat)
        self._order = _order(flat)

    @property
    def factors(self) -> tuple[Distribution, ...]:
        """The factors as written."""
        return tuple(cast("Distribution", part) for part in self.parts)

    @property
    def ordered(self) -> tuple[Distribution, ...]:
        """The factors from causes to effects."""
        factors = self.factors
        return tuple(factors[i] for i in self._order)

    @property
    def described(self) -> str:
        """How it is called in errors."""
        return f"Joint {self.declaration.text}"

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks of all factors."""
        return tuple(source for factor in self.factors for source in factor.sources)

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
        """Draw all variables, each ``[*shape, batch, *event]``, causes first; see `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        known = self.knowing(given)
        drawn = draw_in_order(
            known,
            known.ordered,
            given,
            n=n,
            shape=shape,
            generator=generator,
            sample_axes=sample_axes,
            check=check,
        )
        return {name: drawn[name] for name in self.variables}

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The sum of the factors' log-densities ``[*samples, batch]``; see `Distribution.log_prob`."""
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        return self.score(values, sample_axes=sample_axes, check=check)[0]

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """See `Distribution.score`: the axes of one factor's variables serve the conditions of the next."""
        part = self.knowing(values)
        names = part.variables + part.given
        known = read_values(values, names, self.described)
        batch_axes(names, sample_axes, self.described)  # refuses unknown names
        axes = dict(sample_axes or {})
        terms = []
        for factor in part.ordered:
            own = factor.variables + factor.given
            told = {name: axes[name] for name in own if name in axes}
            term, found = factor.score({name: known[name] for name in own}, sample_axes=told, check=check)
            axes |= found
            terms.append(term)
        join_leading([term.shape for term in terms])  # batch sizes are never broadcast
        return sum(terms[1:], start=terms[0]), {name: axes[name] for name in self.variables}

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """The sum of the factors' entropies, averaged over their conditions where that can be done exactly.

        Raises:
            NotSupportedError: the entropy of a factor depends on conditions that cannot be summed.
        """
        known = self.knowing(given)
        return joint_entropy(known, given, sample_axes, known.ordered)

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The mean of every variable, where it can be had exactly.

        Raises:
            NotSupportedError: a variable depends on others that are neither finite nor linear-Gaussian.
        """
        return {name: moments[0] for name, moments in self._moments(given, sample_axes).items()}

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The variance of every variable, where it can be had exactly; see `mean`."""
        return {name: moments[1] for name, moments in self._moments(given, sample_axes).items()}

    def posterior(
        self, *variables: str, given: Sequence[str] | None = None, budget: int | None = None
    ) -> Distribution:
        r"""The distribution over some variables given others, by Bayes' rule.

        .. math:: p(z \mid x) = p(x, z) / p(x)

        Args:
            *variables: what it is over.
            given: what is observed, by default all other variables but deterministic ones; what is in neither
                is integrated out.
            budget: see `Marginal`.

        Raises:
            NameResolutionError: a name is unknown, appears on both sides, or there is none.

        Example:
            >>> from symdgm.distributions import Bernoulli, Normal
            >>> p = Normal("p(x|y)", lambda y: (4 * y, 1.0)) * Bernoulli("p(y)", probs=0.5, event_shape=())
            >>> q = p.posterior("y")
            >>> q.text, q.mean({"x": torch.tensor([2.0])})["y"]
            ('p(y|x) = p(x|y) p(y) / p(x)', tensor([0.5000]))
        """
        from symdgm.distributions.posterior import Posterior

        return Posterior(self, variables, given, budget=budget)

    def renamed(self, declaration: Declaration) -> Joint:
        """The product of renamed factors; a factor keeps its own name in front of the bracket."""
        old, new = self.variables + self.given, declaration.variables + declaration.given
        names = {a: b for a, b in zip(old, new, strict=True) if a != b}
        factors = [
            f.rename({name: names[name] for name in f.variables + f.given if name in names})
            for f in self.factors
        ]
        return Joint(factors, declaration)

    def written(self, notation: Notation) -> str:
        """The factors side by side."""
        return notation.product([notation.head(factor.declaration) for factor in self.factors])

    def knowing(self, values: object) -> Joint:
        """The product of what its factors are where only some conditions are known."""
        names = names_in(values, self.variables + self.given)
        if names is None or names >= set(self.given):
            return self
        known = names | set(self.variables)
        factors = [f.knowing(dict.fromkeys(known & {*f.variables, *f.given})) for f in self.factors]
        used = {name for factor in factors for name in factor.given}
        given = tuple(name for name in self.given if name in used)
        return Joint(factors, Declaration(self.name, self.variables, given))

    def __repr__(self) -> str:
        return "\n  ".join([f"Joint {self.text}", *map(repr, self.factors)])

    def _moments(
        self, given: Mapping[str, Tensor] | None, sample_axes: SampleAxes | None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        known = self.knowing(given)
        return joint_moments(known, given, sample_axes, known.ordered)


def _flattened(entry: object) -> tuple[Distribution, ...]:
    if isinstance(entry, Joint):
        return entry.factors
    if isinstance(entry, Distribution):
        return (entry,)
    raise ParameterError(
        f"a factor of a product is a {type(entry).__name__}, not a distribution",
        hint="multiply distributions, such as `p(x|z) * p(z)`; objectives multiply by numbers, in their text",
    )


def _declared(factors: Sequence[Distribution], declaration: str | Declaration | None) -> Declaration:
    """The declaration of a product, checked against the one that the author wrote."""
    if not factors:
        raise ParameterError("a product has no factors", hint="write for example `Joint([p_x, p_z])`")
    owner: dict[str, Distribution] = {}
    for factor in factors:
        for name in factor.variables:
            if name in owner:
                raise NameResolutionError(
                    f"the variable `{name}` is generated by both {owner[name]} and {factor}",
                    hint=f'rename one of them, such as `.rename({name}="{name}_1")`',
                )
            owner[name] = factor
    given = tuple(dict.fromkeys(c for factor in factors for c in factor.given if c not in owner))
    derived = Declaration(factors[0].name, tuple(owner), given)
    if declaration is None:
        return derived
    written = declaration if isinstance(declaration, Declaration) else Declaration.parse(declaration)
    if set(written.variables) != set(owner) or set(written.given) != set(given):
        raise NameResolutionError(
            f"{written} is declared, but the product of {_listing(factors)} is {derived}",
            hint=f"declare `{derived}`; the order of the variables is free",
        )
    return written


def _order(factors: Sequence[Distribution]) -> tuple[int, ...]:
    """The places of the factors, causes first."""
    place = {name: i for i, factor in enumerate(factors) for name in factor.variables}
    conditions = {
        str(i): [str(place[c]) for c in factor.given if c in place] for i, factor in enumerate(factors)
    }
    order = variable_order(conditions)
    if order is None:
        loop = _loop(conditions)
        raise NameResolutionError(
            f"{_listing([factors[int(i)] for i in loop])} condition on each other in a circle",
            hint="a product needs a factor that comes first: leave one of them out, or rename a variable",
        )
    return tuple(map(int, order))


def _loop(conditions: Mapping[str, Sequence[str]]) -> list[str]:
    """The factors that lie on one circle, in written order."""
    graph: nx.DiGraph[str] = nx.DiGraph([(c, name) for name, cs in conditions.items() for c in cs])
    return sorted({edge[0] for edge in nx.find_cycle(graph)}, key=int)


def _listing(factors: Sequence[Distribution]) -> str:
    texts = [str(factor) for factor in factors]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
