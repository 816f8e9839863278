"""Pathwise draws whose own log-density stops the gradient by its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

from sympy import Basic, Integer

from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Placeholder, Subscripted
from symdgm.expressions.places import pattern
from symdgm.lowering.estimation.drawing import pathwise_draw
from symdgm.lowering.estimation.estimator import Averages, Binding, Estimator, Place, Recipe, mean_over_draws
from symdgm.lowering.estimation.joined import exchanged, is_linear, joined
from symdgm.lowering.estimation.operations import depends
from symdgm.lowering.estimation.pathwise import PATHWISE
from symdgm.lowering.estimation.soundness import scores_linearly
from symdgm.lowering.plan import Kind as PlanKind
from symdgm.lowering.plan import PlanNode
from symdgm.rewriting.rule import Kind

ONE = Integer(1)
DOUBLY = "doubly reparameterised"
STICKING_WHY = (
    "a pathwise draw, and the score inside log q, whose expectation is zero, is left out: the variance is "
    "zero where q is the posterior; closed forms over this variable are not used"
)
DOUBLY_WHY = (
    "a pathwise draw; the score inside log q is reparameterised once more, so that each draw's gradient has "
    "its squared normalised weight: the signal does not drown in noise as the draws grow"
)


@final
@dataclass(frozen=True)
class StickingTheLanding(Recipe):
    r"""Pathwise draws, without the gradient by the parameters of q inside ``log q`` at the draw.

    .. math:: \nabla_\phi = \mathbb{E}_\epsilon[\nabla_z (\log p(x, z) - \log q(z|x)) \, \nabla_\phi z]

    What is left out is the score, whose expectation is zero. Where q is the posterior, the variance is zero.
    Closed forms over the variable are switched off, since they would not have this gradient.

    Source: Roeder, Wu and Duvenaud, Sticking the landing, 2017.
    """

    def at(self, place: Place) -> Estimator:
        """The mean over pathwise draws; see `Recipe.at`."""
        name = "sticking the landing"
        _check(place, name)
        if place.several or (place.log and place.asked > 1):
            why = "the score inside the logarithm of a mean of several draws is not zero in expectation"
            raise place.refuse(name, why, "take `doubly reparameterised`")
        if not scores_linearly(place, place.node.body):
            why = "the density of the law enters otherwise than by its logarithm with a constant factor"
            raise place.refuse(name, why, "take `pathwise`")
        return Estimator(
            name,
            Kind.UNBIASED,
            STICKING_WHY,
            _stopped_draw,
            count=place.asked,
            reference="Roeder et al. (2017)",
        )


@final
@dataclass(frozen=True)
class DoublyReparameterised(Recipe):
    r"""The doubly reparameterised gradient of a multi-sample bound (DReG).

    .. math:: \nabla_\phi \hat L = \sum_k \tilde w_k^2 \, \nabla_{z_k} \log w_k \, \nabla_\phi z_k, \quad
        \hat L = \log \tfrac{1}{K} \sum_k w_k, \; \tilde w_k = \frac{w_k}{\sum_j w_j}

    Where q enters the weight as q^{-c}, as in Rényi bounds, the factor is ``(1 - c) w̃ + c w̃²``. An
    expectation that is not logged has plain pathwise draws.

    Source: Tucker, Lawson, Gu and Maddison, Doubly reparameterized gradient estimators, 2018, section 3.
    """

    def at(self, place: Place) -> Estimator:
        """The log of the mean of the weights, with this gradient; see `Recipe.at`."""
        name = DOUBLY
        _check(place, name)
        if not place.log and not place.several:
            return replace(PATHWISE, count=place.asked)
        if place.scope.averaged:
            why = "it stands inside the logarithm of another average"
            raise place.refuse(name, why, "write both as one expectation, or take `pathwise`")
        power = _power_of(place)
        return Estimator(
            name,
            Kind.UNBIASED,
            DOUBLY_WHY,
            _path,
            partial(_reweighted, power),
            count=place.asked,
            reference="Tucker et al. (2018)",
        )


def _check(place: Place, name: str) -> None:
    if not place.law.pathwise:
        why = f"the draws of a {place.law.family_name} carry no gradient by its parameters"
        raise place.refuse(name, why, "take `score function`; for the logarithm of a mean, `VIMCO`")
    if place.lowering.law(place.law, place.scope).kind is PlanKind.OPAQUE:
        why = f"the log-density of a {place.law.family_name} is computed as a whole, with its parameters"
        raise place.refuse(name, why, "take `pathwise`")


def _stopped_draw(place: Place) -> Binding:
    """A pathwise draw whose own log-density stops the parameters."""
    binding = pathwise_draw(place)
    assert binding.draw is not None
    place.lowering.stopped[binding.draw] = binding.draw.args[0]
    return binding


def _path(place: Place) -> Binding:
    """A copy of a pathwise draw, for this expectation only: the gradient that reaches it is reweighed."""
    name = DOUBLY
    law = place.lowering.law(place.law, place.scope)
    if any(depends(law, d) for d in place.scope.values.values() if d.kind is not PlanKind.OBSERVE):
        why = "its parameters depend on another variable that is drawn"
        raise place.refuse(name, why, "it is known for independent variables only: take `pathwise`")
    binding = pathwise_draw(place)
    draw = binding.draw
    assert draw is not None
    detail = (place.name, place.node, place.scope.stream)
    path = place.lowering.plan.node(PlanKind.PATH, draw, detail=detail, origin=place.drawn[0])
    place.lowering.stopped[path] = draw.args[0]
    return replace(binding, values=dict.fromkeys(binding.values, path))


def _reweighted(power: Basic, binding: Binding, value: PlanNode, averages: Averages) -> PlanNode:
    """The log of the mean, after the gradient by the draws was told its weights."""
    place, axis = binding.place, binding.axis
    if place.several:
        return mean_over_draws(binding, _reweighted_inside(power, binding, value), averages)
    if axis is not None and depends(value, axis):
        value = _told(power, binding, value, axis)
    return mean_over_draws(binding, value, averages)


def _reweighted_inside(power: Basic, binding: Binding, value: PlanNode) -> PlanNode:
    """The same where the body itself takes the log of the sum over ``z_{1:K}``.

    Raises:
        EstimatorError: the body is not linear in one such logarithm.
    """
    found, place = joined(binding, value), binding.place
    if found is None or not is_linear(value, found.node):
        why = f"the body is not linear in one `log sum_k` over the draws of `{place.name}`"
        raise place.refuse(DOUBLY, why, "take `pathwise`")
    plan, told = place.lowering.plan, _told(power, binding, found.logs, found.axis)
    return exchanged(plan, value, found.node, exchanged(plan, found.node, found.logs, told))


def _told(power: Basic, binding: Binding, logs: PlanNode, axis: PlanNode) -> PlanNode:
    place = binding.place
    coefficient = place.lowering.lower(power, place.scope.nonlinear())
    operands = (logs, axis, binding.values[place.drawn[0]], coefficient)
    return place.lowering.plan.node(PlanKind.REWEIGHED, *operands, detail=(place.name,), origin=place.node)


def _power_of(place: Place) -> Basic:
    """The c with which the weight is proportional to q^{-c}.

    Raises:
        EstimatorError: q enters in another way.
    """
    bodies = [place.node.body]
    if place.several and _mentions(place, place.node.body):
        bodies = [a.body for a in place.node.body.atoms(Aggregate) if _mentions(place, a.body)]
    power = _exponent(place, bodies[0]) if len(bodies) == 1 else None
    if power is None:
        why = f"`{place.law.node}` enters the weight in another way than as a factor"
        raise place.refuse(DOUBLY, why, "take `pathwise`")
    return _negative(power)


def _exponent(place: Place, node: Basic) -> Basic | None:
    """The power of q in a product; None where it is no factor."""
    if isinstance(node, Apply | Density) and _is_own(place, node):
        return ONE
    if isinstance(node, Times | Quotient):
        powers = [_exponent(place, a) for a in node.args]
        if isinstance(node, Quotient) and powers[1] is not None:
            powers[1] = _negative(powers[1])
        known = [p for p in powers if p is not None]
        return _sum(known) if len(known) == len(powers) else None
    if isinstance(node, Power):
        base, exponent = _exponent(place, node.args[0]), node.args[1]
        return base if base is None or base == 0 else _product(base, exponent)
    return None if _mentions(place, node) else Integer(0)


def _mentions(place: Place, node: Basic) -> bool:
    return any(_is_own(place, n) for n in node.atoms(Apply, Density))


def _negative(node: Basic) -> Basic:
    if isinstance(node, Integer):
        return -node
    return node.args[0] if isinstance(node, Minus) else Minus(node)


def _sum(powers: Sequence[Basic]) -> Basic:
    terms = [p for p in powers if p != 0]
    if all(isinstance(p, Integer) for p in terms):
        return Integer(sum(int(p) for p in terms))
    return Plus(*terms) if len(terms) > 1 else terms[0]


def _product(a: Basic, b: Basic) -> Basic:
    if a == ONE:
        return b
    return _negative(b) if a == -ONE else Times(a, b)


def _is_own(place: Place, node: Basic) -> bool:
    """Whether a density is that of the law at the draw, or at one of several."""
    law, own = place.lowering.facts.law(node), place.law
    if law is None or (law.identity, law.givens) != (own.identity, own.givens):
        return False
    if place.several:
        return all(map(_matches, law.values, place.drawn))
    return law.values == place.drawn


def _matches(value: Basic, drawn: Basic) -> bool:
    return isinstance(value, Subscripted) and pattern(drawn) == Subscripted(value.head, Placeholder())
