"""Some variables of a product given others, by Bayes' rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Never, final

import torch
from torch import Tensor

from symdgm.distributions.alignment import Known
from symdgm.distributions.categorical import draw_classes
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.elimination import Elimination, relevant
from symdgm.distributions.enumeration import BUDGET
from symdgm.distributions.joint import Joint
from symdgm.distributions.marginal import entropy_of, hidden_variables, kept_variables
from symdgm.distributions.model_graph import DETERMINISTIC, kind_of
from symdgm.distributions.moments import variable_moments
from symdgm.distributions.networks import NetworkSource
from symdgm.distributions.notation import Notation
from symdgm.distributions.potential import Potential, eliminate, multiply
from symdgm.distributions.shapes import Shape, broadcast, read_batch, read_shape
from symdgm.distributions.strata import Strata, listed, over
from symdgm.errors import NameResolutionError, refuse_unknown


@final
class Posterior(Distribution):
    r"""Some variables of a product given others.

    .. math:: p(z \mid x) = \frac{p(x, z)}{p(x)}

    It is exact: what is hidden must be finite, or normal with linear effects, or a mixture of both. Else its
    methods say what to use instead.

    Args:
        joint: the product.
        variables: what it is over.
        observed: what is given besides the conditions of the product; by default all its other variables but
            deterministic ones, which follow from the others.
        budget: see `Marginal`.

    Raises:
        NameResolutionError: a name is unknown, appears on both sides, or there is none.

    Example:
        >>> from symdgm.distributions import LinearNormal, Normal
        >>> p = LinearNormal("p(x|z)", torch.eye(1)) * Normal("p(z)", loc=torch.zeros(1), scale=1.0)
        >>> q = p.posterior("z")
        >>> q.mean({"x": torch.tensor([[3.0]])})["z"], q.variance({"x": torch.tensor([[3.0]])})["z"]
        (tensor([[1.5000]]), tensor([[0.5000]]))
    """

    def __init__(
        self,
        joint: Joint,
        variables: Sequence[str],
        observed: Sequence[str] | None = None,
        *,
        budget: int | None = None,
    ) -> None:
        names = kept_variables(joint, variables)
        rest = tuple(name for name in joint.variables if name not in names and not _is_computed(joint, name))
        data = rest if observed is None else kept_variables(joint, observed)
        if not data or set(data) & set(names):
            listing = ", ".join(f"`{name}`" for name in joint.variables)
            raise NameResolutionError(
                f"a posterior of {joint} divides its variables ({listing}): it is over some, given others",
                hint=f'write for example `p.posterior("{joint.variables[-1]}")`, or ask for `p` itself',
            )
        super().__init__(Declaration(joint.name, names, data + joint.given))
        self.joint = joint
        self.observed = data
        self.budget = BUDGET if budget is None else budget

    @property
    def factors(self) -> tuple[Distribution, ...]:
        """The factors of the product."""
        return self.joint.factors

    @property
    def hidden(self) -> tuple[Distribution, ...]:
        """The factors of what is not given, causes first, that matter to its variables."""
        used = relevant(self.joint.ordered, self.variables + self.observed)
        return tuple(f for f in used if not set(f.variables) <= set(self.given))

    @property
    def described(self) -> str:
        """How it is called in errors."""
        return f"Posterior {self.declaration.text}"

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks of the product."""
        return self.joint.sources

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
        """Draw finite variables one after the other, then normal ones; see `Distribution.sample`."""
        refuse_unknown(unknown, ("given", "n", "shape", "generator", "sample_axes", "check"))
        read_batch(n, self.given, self.described)
        sums = self._sums(given, sample_axes, check)
        return _draw(sums, self.variables, read_shape(shape, "shape"), generator)

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
        """All states of its finite variables with their probabilities; nothing is drawn. See `Strata`.

        Args:
            given: the values of all conditions.
            n: refused, since there are conditions.
            count: without an effect: each state comes once.
            generator: without an effect.
            sample_axes: the sample axes that conditions already have.
            check: whether supports and parameters are checked.
        """
        read_batch(n, self.given, self.described)
        states = listed(self._sums(given, sample_axes, check), self.variables)
        return over(states, states.weights.shape[1:], 1)

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """``log p(z, x) - log p(x)``, ``[*samples, batch]``; see `Distribution.log_prob`."""
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        names = self.variables + self.given
        known = read_values(values, names, self.described)
        batch_axes(names, sample_axes, self.described)  # refuses unknown names
        above = self._elimination(frozenset(), check).run(known, sample_axes or {})
        below = self._elimination(frozenset(), check)
        return above.evidence() - below.run({n: known[n] for n in self.given}, sample_axes or {}).evidence()

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """The entropy ``[batch]`` of finite variables, or of variables that are normal as a whole."""
        return entropy_of(self._sums(given, sample_axes, True), self.variables)

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The mean of every variable."""
        sums = self._sums(given, sample_axes, True)
        return {name: variable_moments(sums, name)[0] for name in self.variables}

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The variance of every variable."""
        sums = self._sums(given, sample_axes, True)
        return {name: variable_moments(sums, name)[1] for name in self.variables}

    def renamed(self, declaration: Declaration) -> Distribution:
        """The posterior of the renamed product; a hidden variable gives way to a new name."""
        new = dict(zip(self.variables + self.given, declaration.variables + declaration.given, strict=True))
        for hidden in self.joint.variables:
            if hidden not in new:
                name = hidden
                while name in new.values():
                    name += "'"
                new[hidden] = name
        joint = self.joint.rename(new).named(declaration.name)
        assert isinstance(joint, Joint)
        return Posterior(
            joint, declaration.variables, [new[name] for name in self.observed], budget=self.budget
        )

    def written(self, notation: Notation) -> str:
        """Bayes' rule."""
        body = notation.product([notation.head(factor.declaration) for factor in self.factors])
        shown = self.variables + self.given
        above = notation.integral(body, *hidden_variables(self.factors, shown))
        return notation.ratio(above, notation.factor(self.name, self.observed, self.joint.given))

    def __repr__(self) -> str:
        return "\n  ".join([f"Posterior {self.text}", *map(repr, self.factors)])

    def _elimination(self, kept: frozenset[str], check: bool) -> Elimination:
        return Elimination(self, self.joint.ordered, kept, self.budget, check)

    def _sums(
        self, given: Mapping[str, Tensor] | None, sample_axes: SampleAxes | None, check: bool
    ) -> Elimination:
        values = read_values(given or {}, self.given, self.described)
        batch_axes(self.given, sample_axes, self.described)  # refuses unknown names
        return self._elimination(frozenset(self.variables), check).run(values, sample_axes or {})


def _is_computed(joint: Joint, name: str) -> bool:
    return any(name in factor.variables and kind_of(factor) == DETERMINISTIC for factor in joint.factors)


def _draw(
    sums: Elimination, variables: Sequence[str], shape: torch.Size, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """Draws ``[*shape, *samples, batch, *event]`` of hidden variables."""
    rank = len(shape) + max(p.lead for p in sums.potentials)
    potentials = [p.widened(rank) for p in sums.potentials]
    leads = [p.constant.shape[len(p.finite) :] for p in potentials]
    lead = broadcast(shape + (1,) * (rank - len(shape)), *leads)
    normal = [name for name in variables if name in sums.events]
    asked = {n for name in variables if name not in sums.events for n in sums.known[name].finite}
    picked: dict[str, Tensor] = {}
    for name in sums.order:
        if normal or name in asked:
            logits = _logits(sums, potentials, name).expand(*lead, -1)
            picked[name] = draw_classes({"logits": logits}, lead, generator)
            potentials = [p.at(name, picked[name]) for p in potentials]
    found = _draw_normal(sums, potentials, normal, lead, generator) if normal else {}
    for name in variables:
        if name not in found:
            found[name] = _at(sums.known[name], picked, lead)
    return {name: found[name] for name in variables}


def _logits(sums: Elimination, potentials: Sequence[Potential], name: str) -> Tensor:
    """The log-probabilities of one finite variable, its values last."""
    hidden = {other for p in potentials for other in p.scope} - {name}
    left = eliminate(potentials, hidden, sums.order, sums.budget, sums.described)
    return multiply(left, sums.order).constant.movedim(0, -1)


def _draw_normal(
    sums: Elimination,
    potentials: Sequence[Potential],
    variables: Sequence[str],
    lead: torch.Size,
    generator: torch.Generator | None,
) -> dict[str, Tensor]:
    hidden = {name for p in potentials for name in p.scope} - set(variables)
    left = [p for p in eliminate(potentials, hidden, sums.order, sums.budget, sums.described) if p.sizes]
    whole = multiply(left, sums.order)
    mean, root = whole.moments()
    noise = torch.randn(*lead, mean.shape[-1], 1, generator=generator, dtype=mean.dtype, device=mean.device)
    values = mean + torch.linalg.solve_triangular(root.mT, noise, upper=True).squeeze(-1)
    return {
        name: sums.cast(values[..., whole.block(name)].reshape(lead + sums.events[name]))
        for name in variables
    }


def _at(known: Known, picked: Mapping[str, Tensor], lead: torch.Size) -> Tensor:
    """A value at the drawn values of the finite variables that it depends on."""
    split = len(known.finite)
    value = known.value
    event = value.shape[split + known.axes :]
    own = value.shape[split : split + known.axes]
    value = value.reshape(*value.shape[:split], *(1,) * (len(lead) - known.axes), *own, *event)
    value = value.expand(*value.shape[:split], *lead, *event)
    for name in known.finite:
        index = picked[name].reshape((1,) * (value.ndim - len(event) - len(lead)) + lead + (1,) * len(event))
        index = index.expand(1, *value.shape[1:])
        value = value.gather(0, index).squeeze(0)
    return value
