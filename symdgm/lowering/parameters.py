"""Laws and their parameters in generated code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace as changed
from typing import TYPE_CHECKING

import torch

from symdgm.distributions import Deterministic, Family
from symdgm.errors import ShapeError
from symdgm.expressions.families import VALUE, conversion
from symdgm.expressions.names import spelled
from symdgm.lowering.laws import LawValues, event_shape, number_operand
from symdgm.lowering.networks import read_outputs
from symdgm.lowering.operands import ATOM, Operand
from symdgm.lowering.plan import PlanNode
from symdgm.lowering.ranges import ParameterRange
from symdgm.lowering.sources import sources_of
from symdgm.lowering.torch_laws import TORCH

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_law(writer: Writer, node: PlanNode) -> Operand:
    """Collect the parameters of a law; nothing is written but what networks gave."""
    factor = writer.environment.factors[node.number()]
    distribution = factor.distribution
    assert isinstance(distribution, Family | Deterministic)
    parameters: dict[str, Operand] = {}
    for network, source in zip(node.args, sources_of(distribution), strict=True):
        parameters |= read_outputs(writer, network, source)
    if isinstance(distribution, Family):
        for name, value in distribution.constants.items():
            known = number_operand(value) if isinstance(value, float) else _tensor(writer, factor.index, name)
            parameters[name] = known
        _check_range(writer, node, distribution, parameters)
        parameters = _canonical(writer, distribution, parameters)
    if node.detail[1:]:
        parameters = {name: _stopped(writer, p) for name, p in parameters.items()}
    axes = tuple(a for a in writer.axes if any(a in p.axes for p in parameters.values()))
    variables = [spelled(v) for v in factor.variables]
    if isinstance(distribution, Deterministic):
        # By place: the declaration and the parsed node may spell one variable in two ways.
        values = [parameters[name] for name in distribution.variables]
        parameters = dict(zip(variables, values, strict=True))
    event = None
    if isinstance(distribution, Family):
        tensors = {k: (writer.value(p), len(p.axes)) for k, p in parameters.items() if not p.number}
        event = event_shape(distribution, tensors, writer.environment.shapes.get(variables[0]))
    writer.laws[node] = LawValues(parameters, event, axes, distribution, variables[0], factor.index)
    if event is not None:
        writer.agree(variables[0], event, distribution.described)
    if isinstance(distribution, Deterministic):
        for variable in variables:
            shape = writer.value(parameters[variable]).shape[len(parameters[variable].axes) :]
            writer.agree(variable, shape, distribution.described)
    return next(iter(parameters.values()))


def emit_stopped(writer: Writer, node: PlanNode) -> Operand:
    """A law whose parameters get no gradient."""
    law = writer.laws[node.args[0]]
    parameters = {name: _stopped(writer, p) for name, p in law.parameters.items()}
    writer.laws[node] = changed(law, parameters=parameters)
    return next(iter(parameters.values()))


def _canonical(writer: Writer, distribution: Family, found: dict[str, Operand]) -> dict[str, Operand]:
    """Parameters in the order of their family, in whatever order they came; a variance becomes a scale."""
    names = next(names for names in distribution.alternatives if set(names) == set(found))
    other = conversion(names, distribution.parameter_names)
    if other is None or not (distribution.family == "Normal" or distribution.family in TORCH):
        return {name: found[name] for name in names}
    name, wanted, formula = other
    converted = writer.formula(formula, {VALUE: found[name]})
    if not converted.number:
        prefix = found[name].text.removesuffix(f"_{name}")
        converted = writer.named(f"{prefix}_{wanted}", converted)
    return {wanted if n == name else n: converted if n == name else found[n] for n in names}


def _stopped(writer: Writer, parameter: Operand) -> Operand:
    """A parameter without its gradient."""
    if parameter.number:
        return parameter
    stopped = Operand(f"{parameter.at(ATOM)}.detach()", ATOM, parameter.axes, parameter.rank)
    return writer.named(f"{parameter.text}_stopped", stopped)


def _check_range(
    writer: Writer, node: PlanNode, distribution: Family, parameters: Mapping[str, Operand]
) -> None:
    """Refuse what networks gave out of the range of a parameter; a diagnosis looks again."""
    texts = {name: p.text for name, p in parameters.items() if not p.number}
    found = ParameterRange(distribution, texts, node.origin)
    found.check(writer.script.run)
    writer.ranges.append(found)


def _tensor(writer: Writer, factor: int, parameter: str) -> Operand:
    name = writer.argument(f"tensor:{factor}:{parameter}")
    return Operand(name, ATOM, (), writer.inputs[name].dim())


def emit_parameter(writer: Writer, node: PlanNode) -> Operand:
    """A parameter as a tensor of the full event; another parametrisation is converted."""
    law, name = writer.laws[node.args[0]], node.word()
    if isinstance(law.distribution, Deterministic):
        return law.parameters[name]
    if name not in law.parameters:
        return _derived(writer, law, node)
    return spread(writer, law, name, known_event(writer, law))


def spread(writer: Writer, law: LawValues, name: str, event: torch.Size) -> Operand:
    """A parameter over the full event, so that a sum over the event counts every element."""
    operand = law.parameters[name]
    if operand.number:
        return full_number(writer, law, operand)
    distribution = law.family
    classes = distribution.parameter_ranks[name]
    elements = event[: len(event) - distribution.event_rank]
    missing = len(elements) + classes - operand.rank
    if not missing:
        return operand
    index = ", ".join([":"] * len(operand.axes) + ["None"] * missing)
    text = f"{operand.at(ATOM)}[{index}]" if operand.axes else operand.at(ATOM)
    sizes = ", ".join(["-1"] * len(operand.axes) + [str(s) for s in elements] + ["-1"] * classes)
    return Operand(f"{text}.expand({sizes})", ATOM, operand.axes, len(elements) + classes)


def known_event(writer: Writer, law: LawValues) -> torch.Size:
    """The event shape of a law, from its parameters or from what else is over its variable.

    Raises:
        ShapeError: nothing says it.
    """
    event = law.event
    if event is None and law.variable in writer.events:
        event = writer.events[law.variable][0]
    if event is None:
        raise ShapeError(
            f"the event shape of {law.owner} is not known",
            hint=f"declare it, as in `event_shape=16` or `{law.variable}=16` in a model",
        )
    return event


def full_number(writer: Writer, law: LawValues, number: Operand) -> Operand:
    """A number as a tensor over the event of a law."""
    event = known_event(writer, law)
    full = law.full(len(event))
    if full is not None:
        return Operand(f"torch.full_like({full.text}, {number.text})", ATOM, full.axes, full.rank)
    like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
    return Operand(f"torch.full({tuple(event)}, {number.text}, {like})", ATOM, (), len(event))


def _derived(writer: Writer, law: LawValues, node: PlanNode) -> Operand:
    """A parameter in place of which a network chose to return another one."""
    if node.word() == "rate":
        log_rate = spread(writer, law, "log_rate", known_event(writer, law))
        return Operand(f"{log_rate.at(ATOM)}.exp()", ATOM, log_rate.axes, log_rate.rank)
    return _logits(writer, law, node)


def _logits(writer: Writer, law: LawValues, node: PlanNode) -> Operand:
    """Logits from probabilities that a network chose to return, clamped as torch.distributions does."""
    probs = law.parameters["probs"]
    eps = f"torch.finfo({probs.text}.dtype).eps"
    single = not law.family.parameter_ranks["logits"]
    text = f"torch.logit({probs.text}, {eps})" if single else f"{probs.at(ATOM)}.clamp_min({eps}).log()"
    return writer.named("logits", Operand(text, ATOM, probs.axes, probs.rank), node.origin)
