"""Baselines of score functions: what is subtracted from the value, independently of the draw."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

from sympy import Rational

from symdgm.distributions.networks import Network
from symdgm.lowering.estimation.estimator import Averages, Binding
from symdgm.lowering.estimation.joined import exchanged, joined
from symdgm.lowering.estimation.networks import network_of_givens
from symdgm.lowering.estimation.operations import depends, minimised, minus, square, stopped
from symdgm.lowering.estimation.running_mean import RunningMean
from symdgm.lowering.plan import Kind, PlanNode


@dataclass(frozen=True)
class Gain:
    """What multiplies the gradient of a log-probability.

    Args:
        value: the value minus the baseline.
        loss: what trains the baseline, of value zero.
    """

    value: PlanNode
    loss: PlanNode | None = None


class Baseline(ABC):
    """A quantity near the value that does not depend on the draw, so that subtracting it leaves no bias."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What it is, after "minus"."""

    @abstractmethod
    def gain(self, binding: Binding, value: PlanNode, averages: Averages) -> Gain:
        """The value minus the baseline."""


@final
@dataclass(frozen=True)
class Constant(Baseline):
    """A number; 0 is no baseline."""

    number: float = 0.0

    @property
    def words(self) -> str:
        """See `Baseline.words`."""
        return f"{self.number:g}"

    def gain(self, binding: Binding, value: PlanNode, averages: Averages) -> Gain:
        """See `Baseline.gain`."""
        if not self.number:
            return Gain(value)
        plan, node = binding.place.lowering.plan, binding.place.node
        number = plan.node(Kind.NUMBER, detail=(Rational(repr(self.number)),))
        return Gain(minus(plan, value, number, node))


@final
@dataclass(frozen=True)
class LeaveOneOut(Baseline):
    """The mean over the other draws along an axis: its own, or those of a variable above it.

    For the logarithm of a mean: the bound in which the draw is replaced by the geometric mean of the others.
    """

    axis: PlanNode | None = None
    multi: bool = False

    @property
    def words(self) -> str:
        """See `Baseline.words`."""
        if self.multi:
            return "the bound with the draw replaced by the geometric mean of the others"
        return "the mean over the other draws"

    def gain(self, binding: Binding, value: PlanNode, averages: Averages) -> Gain:
        """See `Baseline.gain`."""
        plan, node = binding.place.lowering.plan, binding.place.node
        axis = self.axis or binding.axis
        assert axis is not None
        if self.multi and averages.outermost is not None:
            axis, logs = averages.outermost
            if binding.draw is not None and depends(binding.draw, axis):
                bound = plan.node(Kind.REDUCE, logs, axis, detail=("mean without each",), origin=node)
                return Gain(minus(plan, value, bound, node))
        baseline = plan.node(Kind.REDUCE, value, axis, detail=("leave one out",), origin=node)
        return Gain(minus(plan, value, baseline, node))


@final
@dataclass(frozen=True)
class WithoutEach(Baseline):
    """The bound with each draw of ``z_{1:K}`` replaced by the geometric mean of the others.

    Args:
        needed: whether a body that is no such bound is refused; else its baseline is that of the batch.
    """

    needed: bool = False

    @property
    def words(self) -> str:
        """See `Baseline.words`."""
        return "the bound with the draw replaced by the geometric mean of the others"

    def gain(self, binding: Binding, value: PlanNode, averages: Averages) -> Gain:
        """See `Baseline.gain`.

        Raises:
            EstimatorError: the body is no bound, where it must be.
        """
        found, place = joined(binding, value), binding.place
        if found is None and self.needed:
            why = f"the body is no function of one `log sum_k` over the draws of `{place.name}`"
            raise place.refuse("VIMCO", why, "take `score function`")
        if found is None:
            return OverBatch().gain(binding, value, averages)
        plan = place.lowering.plan
        detail = ("mean without each" if found.mean else "sum without each",)
        less = plan.node(Kind.REDUCE, found.logs, found.axis, detail=detail, origin=place.node)
        return Gain(minus(plan, value, exchanged(plan, value, found.node, less), place.node))


@final
@dataclass(frozen=True)
class OverBatch(Baseline):
    """The mean over the other examples of the batch, whose draws are independent."""

    @property
    def words(self) -> str:
        """See `Baseline.words`."""
        return "the mean over the other examples of the batch"

    def gain(self, binding: Binding, value: PlanNode, averages: Averages) -> Gain:
        """See `Baseline.gain`."""
        plan, node = binding.place.lowering.plan, binding.place.node
        baseline = plan.node(Kind.REDUCE, value, detail=("leave one out", "batch"), origin=node)
        return Gain(minus(plan, value, baseline, node))


@final
@dataclass(frozen=True)
class Running(Baseline):
    """The exponential moving average of the value over the training steps, a buffer of the model."""

    momentum: float = 0.99

    @property
    def words(self) -> str:
        """See `Baseline.words`."""
        return "the running mean over the training steps"

    def gain(self, binding: Binding, value: PlanNode, averages: Averages) -> Gain:
        """See `Baseline.gain`."""
        place = binding.place
        plan = place.lowering.plan
        name = _state(binding, self.momentum)
        baseline = plan.node(Kind.STATE, value, detail=(name,), origin=place.node)
        return Gain(minus(plan, value, baseline, place.node))


@final
@dataclass(frozen=True)
class Learned(Baseline):
    """A network of what the law is given; it minimises the squared distance to the value."""

    network: Network

    @property
    def words(self) -> str:
        """See `Baseline.words`."""
        return "a learned function of what the law is given"

    def gain(self, binding: Binding, value: PlanNode, averages: Averages) -> Gain:
        """See `Baseline.gain`."""
        place = binding.place
        plan = place.lowering.plan
        baseline = network_of_givens(binding, "baseline", self.network)
        distance = minus(plan, stopped(plan, value), baseline, place.node)
        loss = minimised(plan, square(plan, distance, place.node), place.node)
        return Gain(minus(plan, value, baseline, place.node), loss)


def _state(binding: Binding, momentum: float) -> str:
    """The name of the running mean of one expectation, which is made when it is first asked for."""
    place = binding.place
    known, states = place.lowering.running, place.lowering.choices.states
    key = (place.node, place.name)
    if key not in known:
        others = sum(name == place.name for _, name in known)
        known[key] = f"{place.name}_running_mean" + (f"_{others + 1}" if others else "")
        states.setdefault(known[key], RunningMean(momentum))
    return known[key]
