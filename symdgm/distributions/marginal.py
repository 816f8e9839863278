"""A distribution over some of the variables of a product; the others are integrated out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Never, final

import torch
from torch import Tensor

from symdgm.distributions.ancestral import draw_in_order, draw_on
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.elimination import Elimination, relevant
from symdgm.distributions.enumeration import BUDGET
from symdgm.distributions.exactness import is_finite
from symdgm.distributions.joint import Joint
from symdgm.distributions.model_graph import OBSERVED, kind_of
from symdgm.distributions.moments import gaussian_entropy, joint_moments
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.notation import Notation
from symdgm.distributions.shapes import Shape, leading_of, read_batch
from symdgm.distributions.spelling import spell
from symdgm.distributions.strata import Strata, divided, listed, over
from symdgm.errors import NameResolutionError, NotSupportedError, refuse_unknown, suggest


@final
class Marginal(Distribution):
    r"""Some variables of a product.

    .. math:: p(x) = \int p(x \mid z) \, p(z) \, dz

    It always samples. It has a density where what is integrated out is finite (an exact sum, by variable
    elimination along the graph), normal with linear effects (an exact integral), a deterministic function of
    such, or without an effect on what is kept; else `log_prob` says what to use instead.

    Args:
        joint: the product.
        variables: which to keep.
        budget: the most entries that one table of an exact sum may have, for each example; 65536 by default.

    Raises:
        NameResolutionError: a name is unknown, or there is none.

    Example:
        >>> from symdgm.distributions import Bernoulli, Normal
        >>> p = Normal("p(x|y)", lambda y: (4 * y, 1.0)) * Bernoulli("p(y)", probs=0.5, event_shape=())
        >>> m = p.marginal("x")
        >>> m.text, m.prob({"x": torch.tensor([0.0])})
        ('p(x) = sum_y p(x|y) p(y)', tensor([0.1995]))
    """

    def __init__(self, joint: Joint, variables: Sequence[str], *, budget: int | None = None) -> None:
        names = kept_variables(joint, variables)
        used = relevant(joint.ordered, names)
        given = tuple(g for g in joint.given if any(g in factor.given for factor in used))
        super().__init__(Declaration(joint.name, names, given))
        self.joint = joint
        self.budget = BUDGET if budget is None else budget

    @property
    def factors(self) -> tuple[Distribution, ...]:
        """The factors of what is kept and of its causes, as written."""
        used = {id(factor) for factor in self.used}
        return tuple(factor for factor in self.joint.factors if id(factor) in used)

    @property
    def used(self) -> tuple[Distribution, ...]:
        """The same, causes first."""
        return relevant(self.joint.ordered, self.variables)

    @property
    def described(self) -> str:
        """How it is called in errors."""
        return f"Marginal {self.declaration.text}"

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks of all factors that it needs."""
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
        """Draw from causes to effects, and keep what was asked for; see `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        drawn = draw_in_order(
            self,
            self.used,
            given,
            n=n,
            shape=shape,
            generator=generator,
            sample_axes=sample_axes,
            check=check,
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
        """Draws at all states of the finite variables, each with its probability; see `Strata`.

        Args:
            given: see `sample`; so are `n`, `generator`, `sample_axes`, `check`.
            n: the batch size, where nothing is given.
            count: how many draws at each state.
            generator: the source of random numbers.
            sample_axes: the sample axes that conditions already have.
            check: whether ranges are checked.
        """
        values = read_values(given or {}, self.given, self.described)
        axes = batch_axes(self.given, sample_axes, self.described)
        leading = leading_of(values, axes) or read_batch(n, self.given, self.described)
        finite, others = divided(self.used)
        names = tuple(name for factor in finite for name in factor.variables)
        causes = {c for factor in finite for c in factor.given}
        sums = Elimination(self, finite, frozenset(names), self.budget, check)
        sums.run({g: v for g, v in values.items() if g in causes}, sample_axes or {})
        states = over(listed(sums, names), leading, count if others else 1)
        drawn = draw_on(
            others,
            values | states.values,
            axes | dict.fromkeys(names, 1 + len(leading)),
            states.weights.shape,
            generator=generator,
            check=check,
        )
        return Strata({name: drawn[name] for name in self.variables}, states.weights)

    def responsibilities(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> Tensor:
        """The probability of each state of the one hidden variable given the value, ``[*samples, batch, K]``.

        Raises:
            NotSupportedError: what is left out is not one finite variable.

        Example:
            >>> from symdgm.distributions import Bernoulli, Normal
            >>> p = Normal("p(x|y)", lambda y: (4 * y, 1.0)) * Bernoulli("p(y)", probs=0.5, event_shape=())
            >>> p.marginal("x").responsibilities({"x": torch.tensor([2.0])})
            tensor([[0.5000, 0.5000]])
        """
        hidden = [f for f in self.used if set(f.variables).isdisjoint(self.variables)]
        if len(hidden) != 1 or not is_finite(hidden[0]):
            raise NotSupportedError(
                f"{self.described} has no components: what is left out is not one finite variable",
                hint="ask for a posterior, as in `joint.posterior(...)`",
            )
        known = read_values(values, self.variables + self.given, self.described)
        batch_axes(self.variables + self.given, sample_axes, self.described)  # refuses unknown names
        names = hidden[0].variables
        sums = Elimination(self, self.used, frozenset(names), self.budget, check).run(
            known, sample_axes or {}
        )
        return listed(sums, names).weights.movedim(0, -1)

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The exact log-density ``[*samples, batch]``; see `Distribution.log_prob`.

        Raises:
            NotSupportedError: what is integrated out is neither finite nor linear-Gaussian, or the sum is
                larger than the budget.
        """
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        names = self.variables + self.given
        observed = read_values(values, names, self.described)
        batch_axes(names, sample_axes, self.described)  # refuses unknown names
        sums = Elimination(self, self.used, budget=self.budget, check=check)
        return sums.run(observed, sample_axes or {}).evidence()

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """The entropy ``[batch]`` of finite variables, or of variables that are normal as a whole."""
        values = read_values(given or {}, self.given, self.described)
        sums = Elimination(self, self.used, frozenset(self.variables), self.budget)
        return entropy_of(sums.run(values, sample_axes or {}), self.variables)

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The mean of every variable, where it can be had exactly."""
        return {name: found[0] for name, found in self._moments(given, sample_axes).items()}

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The variance of every variable, where it can be had exactly."""
        return {name: found[1] for name, found in self._moments(given, sample_axes).items()}

    def renamed(self, declaration: Declaration) -> Distribution:
        """The marginal of the renamed product; a hidden variable gives way to a new name."""
        new = dict(zip(self.variables + self.given, declaration.variables + declaration.given, strict=True))
        kept = {name for factor in self.used for name in factor.variables + factor.given}
        for hidden in sorted(kept - set(new)):
            name = hidden
            while name in new.values():
                name += "'"
            new[hidden] = name
        pruned = Joint(self.factors, self._declaration_of_factors()).rename(new).named(declaration.name)
        assert isinstance(pruned, Joint)
        return Marginal(pruned, declaration.variables, budget=self.budget)

    def written(self, notation: Notation) -> str | None:
        """The integral or the sum over what is left out."""
        if [factor.declaration for factor in self.factors] == [self.declaration]:
            return None
        body = notation.product([notation.head(factor.declaration) for factor in self.factors])
        return notation.integral(body, *hidden_variables(self.factors, self.variables))

    def __repr__(self) -> str:
        return "\n  ".join([f"Marginal {self.text}", *map(repr, self.factors)])

    def _declaration_of_factors(self) -> Declaration:
        names = tuple(name for factor in self.factors for name in factor.variables)
        return Declaration(self.name, names, self.given)

    def _moments(
        self, given: Mapping[str, Tensor] | None, sample_axes: SampleAxes | None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        return joint_moments(self, given, sample_axes, self.used, self.budget)


def kept_variables(p: Distribution, variables: Sequence[str]) -> tuple[str, ...]:
    """The canonical names of variables that are kept, in the order of the distribution.

    Raises:
        NameResolutionError: a name is unknown, or there is none.
    """
    names = [spell(name) for name in variables]
    for name in names:
        if name not in p.variables:
            raise NameResolutionError(f"{p} has no variable `{name}`", hint=suggest(name, p.variables))
    if not names:
        raise NameResolutionError(f"no variable of {p} is named", hint=suggest("", p.variables))
    return tuple(name for name in p.variables if name in names)


def hidden_variables(factors: Sequence[Distribution], shown: Sequence[str]) -> tuple[list[str], list[str]]:
    """The continuous and the finite variables that are integrated and summed out."""
    hidden = [(factor, name) for factor in factors for name in factor.variables if name not in shown]
    finite = [name for factor, name in hidden if is_finite(factor) or kind_of(factor) == OBSERVED]
    return [name for _, name in hidden if name not in finite], finite


def entropy_of(sums: Elimination, variables: Sequence[str]) -> Tensor:
    """The entropy of hidden variables that are all finite, or normal as a whole."""
    if all(name in sums.domains for name in variables):
        table = sums.table(variables)
        surprise = -torch.where(table > 0, table * table.clamp_min(torch.finfo(table.dtype).tiny).log(), 0.0)
        return surprise.flatten(0, len(variables) - 1).sum(0)
    if all(name in sums.events for name in variables):
        whole = sums.over(variables)
        if not whole.finite:
            mean, root = whole.moments()
            return sums.cast(gaussian_entropy(root).expand(mean.shape[:-1]))
    raise NotSupportedError(
        f"{sums.described} has no entropy in closed form",
        hint="estimate it: the mean of `-log_prob` of samples",
    )
