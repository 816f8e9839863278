"""Exact sums and integrals over the variables of a product, along its graph.

The factors at what is observed become potentials: tables over finite variables, quadratic forms over Gaussian
ones. A variable is summed out of the product of the potentials that it appears in, and of no others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from symdgm.distributions.alignment import Known, aligned, inserted, leads
from symdgm.distributions.data import Data
from symdgm.distributions.distribution import Distribution
from symdgm.distributions.enumeration import BUDGET
from symdgm.distributions.exactness import inexact, nonlinear
from symdgm.distributions.family import Family
from symdgm.distributions.linear_gaussian import GAUSSIAN, flat, weights_of, whiten
from symdgm.distributions.model_graph import DETERMINISTIC, kind_of
from symdgm.distributions.potential import LOG_TAU, Potential, check_budget, eliminate, multiply
from symdgm.distributions.shapes import leading_of
from symdgm.errors import NotSupportedError


@dataclass
class Elimination:
    """The potentials of a product at observed values.

    Args:
        owner: whose sum it is, for errors.
        factors: all factors, causes first.
        kept: the hidden variables that are asked for; with the observed ones they say which factors matter.
        budget: see `BUDGET`.
        check: whether supports and parameters are checked.
    """

    owner: Distribution
    factors: Sequence[Distribution]
    kept: frozenset[str] = frozenset()
    budget: int = BUDGET
    check: bool = True
    known: dict[str, Known] = field(default_factory=dict)
    events: dict[str, torch.Size] = field(default_factory=dict)
    potentials: list[Potential] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    domains: dict[str, Tensor] = field(default_factory=dict)
    dtype: torch.dtype | None = None

    @property
    def described(self) -> str:
        """How the owner is called in errors."""
        return f"{type(self.owner).__name__} {self.owner}"

    def run(self, observed: Mapping[str, Tensor], axes: Mapping[str, int]) -> Elimination:
        """Build the potentials of all factors that matter.

        Args:
            observed: the values of observed variables and conditions.
            axes: the sample axes of those of which they are told.

        Raises:
            NotSupportedError: a hidden variable can be neither summed nor integrated.
        """
        conditions = {c for factor in self.factors for c in factor.given}
        conditions -= {v for factor in self.factors for v in factor.variables}
        for name in conditions & set(observed):
            self.known[name] = Known(observed[name], (), 1 + axes.get(name, 0))
        used = relevant(self.factors, self.kept | set(observed))
        why = inexact(used, observed)
        if why is not None:
            raise self._refuse(why)
        for factor in used:
            self._add(factor, observed, axes)
        seen = {name: self.known[name] for name in observed if name in self.known}
        leading_of(
            {n: k.value for n, k in seen.items()}, {n: k.axes for n, k in seen.items()}
        )  # one batch size
        return self

    def evidence(self) -> Tensor:
        """The log of the sum over all hidden variables, ``[*samples, batch]``."""
        hidden = {name for p in self.potentials for name in p.scope}
        left = eliminate(self.potentials, hidden, self.order, self.budget, self.described)
        return self.cast(multiply(left, self.order).constant)

    def over(self, names: Iterable[str]) -> Potential:
        """One potential over the given variables and over all finite ones that their form depends on."""
        names = set(names)
        gaussian = {name for p in self.potentials for name in p.sizes}
        left = eliminate(self.potentials, gaussian - names, self.order, self.budget, self.described)
        tied = {name for p in left for name in p.finite if p.sizes}
        finite = {name for p in left for name in p.finite}
        left = eliminate(left, finite - names - tied, self.order, self.budget, self.described)
        return multiply(left, self.order)

    def table(self, names: Sequence[str]) -> Tensor:
        """The probabilities of finite variables, ``[*finite, *samples, batch]``, axes as in `order`."""
        hidden = {name for p in self.potentials for name in p.scope} - set(names)
        left = eliminate(self.potentials, hidden, self.order, self.budget, self.described)
        whole = multiply(left, self.order)
        split = len(whole.finite)
        log = whole.constant.flatten(0, split - 1) if split else whole.constant.unsqueeze(0)
        return log.softmax(0).reshape(whole.constant.shape)

    def cast(self, tensor: Tensor) -> Tensor:
        """A result in the precision of what is observed."""
        return tensor if self.dtype is None else tensor.to(self.dtype)

    def arguments(
        self, names: Sequence[str], batch: int = 1
    ) -> tuple[dict[str, Tensor], dict[str, int], tuple[str, ...], int]:
        """Known values as conditions of one call: aligned, their axes, finite variables and leading axes.

        Args:
            names: the conditions.
            batch: the batch size, where all of them are enumerated and have none.
        """
        known = {name: self.known[name] for name in names}
        finite = tuple(n for n in self.order if any(n in k.finite for k in known.values()))
        lead = max((k.axes for k in known.values()), default=1)
        whole = max((k.value.shape[len(k.finite) + k.axes - 1] for k in known.values()), default=1)
        values = {name: aligned(k, finite, lead, max(whole, batch)) for name, k in known.items()}
        return values, dict.fromkeys(values, len(finite) + lead - 1), finite, lead

    def _add(self, factor: Distribution, observed: Mapping[str, Tensor], axes: Mapping[str, int]) -> None:
        hidden = [name for name in factor.variables if name not in observed]
        if not hidden:
            self._observe(factor, observed, axes)
        elif kind_of(factor) == DETERMINISTIC:
            self._compute(factor)
        elif isinstance(factor, GAUSSIAN):
            self._integrate(factor, None)
        elif isinstance(factor, Data):
            self._list_rows(factor)
        else:
            assert isinstance(factor, Family)  # `inexact` has refused all others
            self._enumerate(factor)

    def _observe(self, factor: Distribution, observed: Mapping[str, Tensor], axes: Mapping[str, int]) -> None:
        """A factor whose variables are observed: a number for each assignment of its hidden conditions."""
        values = {name: observed[name] for name in factor.variables}
        if isinstance(factor, GAUSSIAN) and any(name in self.events for name in factor.given):
            self._integrate(factor, (observed[factor.variable], axes))
            return
        if isinstance(factor, Family):
            finite, log, found = self._score_family(factor, values[factor.variable], axes)
        else:
            finite, log, found = self._score(factor, values, axes)
        for name in factor.variables:
            self.known[name] = Known(values[name], (), 1 + found[name])
            self._note(values[name])
        self.potentials.append(Potential(finite, {}, log))

    def _score(
        self, factor: Distribution, values: Mapping[str, Tensor], axes: Mapping[str, int]
    ) -> tuple[tuple[str, ...], Tensor, dict[str, int]]:
        """The log-density of any factor; beside enumerated conditions its sample axes are those in `axes`."""
        first = factor.variables[0]
        batch = values[first].shape[axes.get(first, 0)] if values[first].ndim > axes.get(first, 0) else 1
        given, told, finite, lead = self.arguments(factor.given, batch)
        own = {name: axes.get(name, 0) for name in factor.variables if finite or name in axes}
        log, found = factor.score(dict(values) | given, sample_axes=own | told, check=self.check)
        lead = max(lead, *(count + 1 for count in found.values()))
        return (
            finite,
            inserted(log, min(len(finite), log.ndim), max(0, lead + len(finite) - log.ndim)),
            found,
        )

    def _score_family(
        self, factor: Family, value: Tensor, axes: Mapping[str, int]
    ) -> tuple[tuple[str, ...], Tensor, dict[str, int]]:
        """The log-density of a family, whose event shows how many sample axes its value has."""
        name = factor.variable
        given, told, finite, lead = self.arguments(factor.given)
        parameters, leading, elements = factor.evaluate(given, sample_axes=told, like=value)
        if elements is None:
            elements = value.shape[1 + axes.get(name, 0) :]
        split, own = len(finite), value.ndim - len(factor.event_at(elements, parameters))
        if leading and own > 0:
            more = max(0, own - lead)
            parameters = {
                n: inserted(t, split, more) if leads(t, leading) else t for n, t in parameters.items()
            }
            batch = value.shape[own - 1] if all(self.known[g].finite for g in factor.given) else leading[-1]
            leading = torch.Size((*leading[:split], *(1,) * more, *leading[split:-1], batch))
        log = factor.score_at(value, parameters, leading, elements, self.check)
        return (
            finite,
            inserted(log, min(split, log.ndim), max(lead, own) + split - log.ndim),
            {name: own - 1},
        )

    def _compute(self, factor: Distribution) -> None:
        """A deterministic variable takes its value; it depends on the finite ones that its network takes."""
        given, given_axes, finite, lead = self.arguments(factor.given)
        for name, value in factor.sample(given, sample_axes=given_axes, check=self.check).items():
            self.known[name] = Known(value, finite, lead)

    def _enumerate(self, factor: Family) -> None:
        """A finite variable: all its values, and the logs of their probabilities."""
        given, given_axes, finite, lead = self.arguments(factor.given)
        parameters, _, elements = factor.evaluate(given, sample_axes=given_axes)
        if self.check:
            factor.check_parameters(parameters)
        event = factor.event_at(elements, parameters)
        domain = factor.values_at(parameters, elements, self.budget, self.described)
        rank = len(finite) + lead
        values = domain.reshape(len(domain), *(1,) * rank, *event)
        log = factor.log_density(values, parameters)
        log = log.sum(tuple(range(1 + rank, log.ndim))) if log.ndim > 1 + rank else log
        self._list(factor.variable, domain, finite, log.movedim(0, len(finite)))

    def _list_rows(self, factor: Data) -> None:
        """The rows of data are as likely as each other."""
        (name,) = factor.variables
        rows = factor.rows[name]
        check_budget(len(rows), self.budget, name, self.described)
        like = rows if rows.is_floating_point() else torch.zeros((), device=rows.device)
        self._list(name, rows, (), like.new_full((len(rows), 1), -math.log(len(rows))))

    def _list(self, name: str, domain: Tensor, finite: tuple[str, ...], log: Tensor) -> None:
        self.order.append(name)
        self.domains[name] = domain
        self.known[name] = Known(domain.unsqueeze(1), (name,), 1)
        self.potentials.append(Potential((*finite, name), {}, log))

    def _integrate(self, factor: Family, observation: tuple[Tensor, Mapping[str, int]] | None) -> None:
        """A normal factor as a quadratic form of what is hidden: itself, its conditions, or both."""
        hidden = [name for name in factor.given if name in self.events]
        weights = weights_of(factor) if hidden else {}
        if weights is None or any(len(self.events[name]) != 1 for name in hidden):
            raise self._refuse(nonlinear(factor, hidden))
        given, given_axes, finite, lead = self.arguments([c for c in factor.given if c not in hidden])
        batch = next((v.shape[len(finite) + lead - 1] for v in given.values()), 1)
        for name in hidden:  # the mean at zero is what does not depend on the hidden conditions
            given[name] = self._zeros(name, weights[name], len(finite) + lead - 1, batch)
        given = {name: given[name] for name in factor.given}
        told = {name: given_axes.get(name, len(finite) + lead - 1) for name in given}
        parameters, _, elements = factor.evaluate(given, sample_axes=told)
        if self.check:
            factor.check_parameters(parameters)
        event = factor.event_at(elements, parameters)
        rank = len(finite) + lead
        loc = flat(factor.mean_at(parameters), event, rank)
        blocks = [-weights[name].double() for name in hidden]
        sizes = {name: self._size(name) for name in hidden}
        if observation is None:
            name = factor.variable
            self.events[name] = event
            sizes, blocks = {name: event.numel()} | sizes, [torch.eye(event.numel()).to(loc), *blocks]
            residual = -loc
        else:
            residual, more = self._residual(factor, *observation, loc, event, len(finite), lead)
            parameters = {
                n: t if t.ndim <= len(event) else inserted(t, len(finite), more)
                for n, t in parameters.items()
            }
            rank += more
        self._note(factor.mean_at(parameters))
        self._add_form(factor, finite, sizes, torch.cat(blocks, -1), residual, parameters, event, rank)

    def _residual(
        self,
        factor: Family,
        value: Tensor,
        axes: Mapping[str, int],
        loc: Tensor,
        event: torch.Size,
        split: int,
        lead: int,
    ) -> tuple[Tensor, int]:
        """What is left of an observed value, and the sample axes that it has and its conditions have not."""
        factor.check_value_shape(value, torch.Size(), event)
        if self.check:
            factor.check_support(value, factor.variable)
        own = value.ndim - len(event)
        self.known[factor.variable] = Known(value, (), own)
        more = max(0, own - lead)
        flat_value = value.double().reshape(*(1,) * (lead + more - own), *value.shape[:own], -1)
        return flat_value - inserted(loc, split, more), more

    def _add_form(
        self,
        factor: Family,
        finite: tuple[str, ...],
        sizes: Mapping[str, int],
        matrix: Tensor,
        residual: Tensor,
        parameters: Mapping[str, Tensor],
        event: torch.Size,
        rank: int,
    ) -> None:
        """``log N(residual + matrix h; 0, Sigma)`` as a potential of h."""
        white, log_det = whiten(factor, parameters, event, rank, matrix)
        moved, _ = whiten(factor, parameters, event, rank, residual.unsqueeze(-1))
        constant = -0.5 * moved.square().sum((-2, -1)) - log_det - 0.5 * event.numel() * LOG_TAU
        linear = -(white.mT @ moved).squeeze(-1)
        whole = [len(self.domains[name]) for name in finite]  # what does not vary with one has it once
        form = (t.expand(*whole, *t.shape[len(finite) :]) for t in (constant, linear, white.mT @ white))
        self.potentials.append(Potential(finite, sizes, *form))

    def _zeros(self, name: str, weight: Tensor, samples: int, batch: int) -> Tensor:
        return weight.new_zeros(*(1,) * samples, batch, *self.events[name])

    def _size(self, name: str) -> int:
        return self.events[name].numel()

    def _note(self, tensor: Tensor) -> None:
        if tensor.is_floating_point():
            self.dtype = torch.promote_types(self.dtype or tensor.dtype, tensor.dtype)

    def _refuse(self, why: str) -> NotSupportedError:
        return NotSupportedError(
            f"{self.described} cannot be summed exactly: {why}",
            hint="sample it, or bound it with `importance(p, q, values, k=...)`; exact are finite variables, "
            "and Gaussian ones that others depend on linearly (`LinearNormal`)",
        )


def relevant(factors: Sequence[Distribution], names: Iterable[str]) -> tuple[Distribution, ...]:
    """The factors of some variables and of their causes; what has no effect on them integrates to one."""
    wanted = set(names)
    found = []
    for factor in reversed(factors):
        if wanted & set(factor.variables):
            wanted |= set(factor.given)
            found.append(factor)
    return tuple(reversed(found))
