"""Laws and their log-densities in generated code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from symdgm.distributions import Deterministic, Family
from symdgm.distributions.shapes import show
from symdgm.errors import ShapeError
from symdgm.expressions.families import VALUE, family
from symdgm.expressions.folding import fold
from symdgm.expressions.names import spelled
from symdgm.expressions.scope import replace
from symdgm.lowering.kernels import KERNELS
from symdgm.lowering.laws import LawValues, event_shape, number_operand
from symdgm.lowering.operands import ATOM, Operand, lead
from symdgm.lowering.plan import PlanNode

if TYPE_CHECKING:
    from symdgm.lowering.emit import Writer


def emit_law(writer: Writer, node: PlanNode) -> Operand:
    """Collect the parameters of a law; nothing is written but what networks gave."""
    factor = writer.environment.factors[int(node.detail[0])]  # type: ignore[call-overload]
    distribution = factor.distribution
    parameters: dict[str, Operand] = {}
    for network in node.args:
        wanted = writer.outputs[network]
        parameters |= wanted
    if isinstance(distribution, Family):
        for name, value in distribution.constants.items():
            parameters[name] = number_operand(value) if isinstance(value, float) else _tensor(writer, factor.index, name)
    axes = tuple(a for a in writer.axes if any(a in p.axes for p in parameters.values()))
    variables = [spelled(v) for v in factor.variables]
    if isinstance(distribution, Deterministic):
        writer.laws[node] = LawValues(parameters, None, axes, str(distribution))
        for variable in variables:
            tensor = writer.value(parameters[variable])
            writer.agree(variable, tensor.shape[len(parameters[variable].axes) :], distribution.described)
        return parameters[variables[0]]
    tensors = {k: (writer.value(p), len(p.axes)) for k, p in parameters.items() if not p.number}
    event = event_shape(distribution, tensors, writer.environment.shapes.get(variables[0]))
    law = LawValues(parameters, event, axes, f"{type(distribution).__name__} {distribution}")
    writer.laws[node] = law
    if event is not None:
        writer.agree(variables[0], event, law.owner)
    return next(iter(parameters.values()))


def _tensor(writer: Writer, factor: int, parameter: str) -> Operand:
    name = writer.argument(f"tensor:{factor}:{parameter}")
    return Operand(name, ATOM, (), writer.inputs[name].dim())


def emit_parameter(writer: Writer, node: PlanNode) -> Operand:
    """A parameter as a tensor of the full event; another parametrisation is converted."""
    law, name = writer.laws[node.args[0]], str(node.detail[0])
    operand = law.parameters.get(name)
    if operand is None:
        operand = _converted(writer, law, node)
    full = law.full()
    if operand.number and full is not None:
        return Operand(f"torch.full_like({full.text}, {operand.text})", ATOM, full.axes, full.rank)
    if operand.number or (law.event and not operand.rank and not operand.axes and full is None):
        if law.event is None:
            raise ShapeError(
                f"the event shape of {law.owner} is not known", hint="declare it, as in `event_shape=16` or `z=16` in a model"
            )
        like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
        return Operand(f"torch.full({tuple(law.event)}, {operand.text}, {like})", ATOM, (), len(law.event))
    return operand


def _converted(writer: Writer, law: LawValues, node: PlanNode) -> Operand:
    """Logits from probabilities that a network chose to return, clamped as torch.distributions does."""
    probs = law.parameters["probs"]
    eps = f"torch.finfo({probs.text}.dtype).eps"
    bernoulli = law.owner.startswith("Bernoulli") or "logits" != node.detail[0]
    text = f"torch.logit({probs.text}, {eps})" if bernoulli else f"{probs.at(ATOM)}.clamp_min({eps}).log()"
    return writer.named("logits", Operand(text, ATOM, probs.axes, probs.rank), node.origin)


def emit_log_density(writer: Writer, node: PlanNode) -> Operand:
    """The log-density of a value, summed over its event."""
    law = writer.laws[node.args[0]]
    factor = writer.environment.factors[int(node.args[0].detail[0])]  # type: ignore[call-overload]
    distribution = factor.distribution
    assert isinstance(distribution, Family)
    value = writer.named("value", writer.operands[node.args[1]], node.args[1].origin)
    event = _check_value(writer, law, value, spelled(factor.variables[0]))
    element = _element(writer, law, value, distribution)
    operand = writer.event_sum(Operand(element.text, element.level, element.axes, len(event)))
    if distribution.family == "OneHotCategorical" and not event:
        raise ShapeError(f"{law.owner} has no class axis", hint="one-hot values are [batch, classes]")
    return writer.named(_hint(node), operand, node.origin)


def _hint(node: PlanNode) -> str:
    assert node.origin is not None
    law = node.origin
    values = law.values if hasattr(law, "values") else law.args[1:]
    return "_".join(["log", spelled(law.args[0]), *(spelled(v) for v in values if v.is_Atom or len(spelled(v)) < 12)])


def _check_value(writer: Writer, law: LawValues, value: Operand, variable: str) -> torch.Size:
    """Refuse an observation whose event is not that of its parameters: nothing is broadcast silently."""
    tensor = writer.value(value)
    event: torch.Size = tensor.shape[len(value.axes) :]
    if law.event is not None and event != law.event:
        raise ShapeError(
            f"`{value.text}` has the event shape {show(event)}, but {law.owner} is over {show(law.event)}",
            hint=f"reshape `{value.text}`, or let the network return parameters of the event shape {show(event)}",
        )
    writer.agree(variable, event, law.owner)
    return event


def _element(writer: Writer, law: LawValues, value: Operand, distribution: Family) -> Operand:
    """The log-density of an element: by a fused kernel, or from the family's formula specialised at its constants."""
    for name in law.parameters:
        kernel = KERNELS.get((distribution.family, name))
        if kernel is not None:
            parameter = _as_tensor(writer, law, name, value)
            axes = tuple(a for a in writer.axes if a in value.axes or a in parameter.axes)
            if distribution.family == "Categorical":  # picking needs equal numbers of axes
                value, parameter = lead(value, axes), lead(parameter, axes)
            text, level = kernel(value, parameter)
            return Operand(text, level, axes, max(value.rank, parameter.rank))
    formulas = family(distribution.family, tuple(distribution.parameter_names))
    assert formulas is not None
    special = fold(replace(formulas.log_density, law.constants(formulas.symbols)))
    symbols = {formulas.symbols[k]: p for k, p in law.parameters.items()}
    return writer.formula(special, {VALUE: value, **symbols})


def _as_tensor(writer: Writer, law: LawValues, name: str, value: Operand) -> Operand:
    """A parameter that a kernel can take: of the value's shape where it is a number."""
    parameter = law.parameters[name]
    if parameter.number:
        return Operand(f"torch.full_like({value.text}, {parameter.text})", ATOM, value.axes, value.rank)
    if not parameter.axes and not parameter.rank and value.rank:
        return Operand(f"{parameter.text}.expand_as({value.text})", ATOM, value.axes, value.rank)
    return parameter
