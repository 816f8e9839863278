"""A linear-Gaussian chain in generated code: matrices, and the Kalman filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from symdgm.binding.chains import Chain
from symdgm.binding.factors import Factor
from symdgm.distributions import Family
from symdgm.distributions.linear_gaussian import weights_of
from symdgm.distributions.shapes import show
from symdgm.errors import ShapeError
from symdgm.expressions.names import base, spelled
from symdgm.lowering.naming import identifier
from symdgm.lowering.operands import ATOM, STEPS, Axis, Operand
from symdgm.lowering.parameters import known_event
from symdgm.lowering.plan import Kind, PlanNode
from symdgm.lowering.time.forward import in_batch_order
from symdgm.lowering.time.layout import layout, longest_first

if TYPE_CHECKING:
    from symdgm.lowering.writer import Writer


def emit_offset(writer: Writer, node: PlanNode) -> Operand:
    """The mean of a linear factor where the state is zero: its bias, and what else it is given."""
    factor = writer.environment.factors[node.number()]
    family = _family(factor)
    operands = []
    for argument, index in zip(node.args, node.detail[1:], strict=True):
        assert isinstance(index, int)
        given = writer.operands[argument]
        weight = writer.argument(f"matrix:{factor.index}:{family.given[index]}")
        operands.append(Operand(f"({given.at(ATOM)} @ {weight}.mT)", ATOM, given.axes, given.rank))
    if "" in factor.matrices:
        operands.append(Operand(writer.argument(f"matrix:{factor.index}:"), ATOM, (), 1))
    if not operands:
        size = _outputs(family)
        like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
        operands.append(Operand(f"torch.zeros({size}, {like})", ATOM, (), 1))
    whole = writer.combine("add", operands) if len(operands) > 1 else operands[0]
    return writer.named(f"{spelled(base(factor.variables[0]))}_offset", whole, node.origin)


def emit_kalman(writer: Writer, node: PlanNode) -> Operand:
    """The log-density of observed sequences whose latent states are integrated out."""
    chain = writer.environment.factors[node.number()]
    assert isinstance(chain, Chain)
    start, drift, *observed = node.args
    weight = _state_weight(writer, chain, chain.latent)
    noise = _noise(writer, chain.latent)
    lead = tuple(a for a in writer.axes if isinstance(a, PlanNode) and _has(writer, a, [drift, *observed]))
    moved = _rows(writer, writer.operands[drift], lead)
    begun = _start(writer, chain, start, weight, noise, writer.operands[drift])
    x, emission = _emission(writer, chain, observed, lead)
    writer.script.comment(f"{node.origin}: the states are integrated out by the Kalman filter")
    tuples = f"({', '.join(begun)}), ({weight}, {moved}, {noise}), ({', '.join(emission)})"
    return in_batch_order(writer, f"kalman_filter({x}, {layout(writer).counts}, {tuples})", lead, node)


def _has(writer: Writer, axis: Axis, nodes: list[PlanNode]) -> bool:
    return any(axis in writer.operands[n].axes for n in nodes)


def _rows(writer: Writer, value: Operand, lead: tuple[Axis, ...]) -> str:
    """A value with all axes of the paths, if it has any of them, then the steps if it has them."""
    wanted = (
        *(lead if any(a in value.axes for a in lead) else ()),
        *((STEPS,) if STEPS in value.axes else ()),
    )
    return writer.named("steps", writer.lead(value, wanted)).text


def _emission(
    writer: Writer, chain: Chain, observed: list[PlanNode], lead: tuple[Axis, ...]
) -> tuple[str, list[str]]:
    """The observations, and the matrix, the offset and the noise of their law; several are put together.

    Raises:
        ShapeError: an observation that is no vector.
    """
    values, parts = [], []
    for factor, value, offset in zip(chain.emissions, observed[::2], observed[1::2], strict=True):
        operand = writer.operands[value]
        if operand.rank != 1:
            event = writer.value(operand).shape[len(operand.axes) :]
            raise ShapeError(
                f"`{factor.variables[0]}` has the event shape {show(event)}, but a Kalman filter is over "
                "vectors",
                hint="let each step be a vector, [batch, time, d]",
            )
        values.append(_rows(writer, operand, lead))
        weight = _state_weight(writer, chain, factor)
        parts.append([weight, _rows(writer, writer.operands[offset], lead), _noise(writer, factor)])
    if len(values) == 1:
        return values[0], parts[0]
    weights, offsets, noises = (list(p) for p in zip(*parts, strict=True))
    like = f"(len({layout(writer).rows}), -1)"
    wide = ", ".join(f"{o}.expand{like}" for o in offsets)
    return f"torch.cat([{', '.join(values)}], -1)", [
        f"torch.cat([{', '.join(weights)}])",
        f"torch.cat([{wide}], -1)",
        f"torch.block_diag({', '.join(noises)})",
    ]


def _start(
    writer: Writer, chain: Chain, start: PlanNode, weight: str, noise: str, drift: Operand
) -> tuple[str, str]:
    """The mean and the covariance of the first state."""
    if start.kind is Kind.INITIAL:
        first = drift.text
        if STEPS in drift.axes:
            lead = ":, " * drift.axes.index(STEPS)
            first = f"{first}[{lead}:{layout(writer).counts}[0]]"
        return f"{longest_first(writer, writer.operands[start])} @ {weight}.mT + {first}", noise
    law = writer.laws[start]
    event = known_event(writer, law)
    size = event[-1]
    parameters = {k: p for k, p in law.parameters.items() if k != "loc"}
    own = {k: longest_first(writer, p) if p.axes else p.text for k, p in parameters.items()}
    numbers = {k for k, p in parameters.items() if p.number}
    loc = law.parameters["loc"]
    like = f"dtype={writer.argument('dtype')}, device={writer.argument('device')}"
    mean = f"torch.full(({size},), {loc.text}, {like})" if loc.number else longest_first(writer, loc)
    covariance = _covariance(writer, own, numbers, size, {k: p.rank for k, p in parameters.items()})
    name = spelled(chain.sequence)
    covariance = writer.named(f"{name}_1_covariance", Operand(covariance)).text
    if writer.value(Operand(covariance)).ndim > 2:  # each sequence has a covariance of its own
        mean = f"{mean}.expand({covariance}.shape[:-1]).unsqueeze(-2)"
    return mean, covariance


def _state_weight(writer: Writer, chain: Chain, factor: Factor) -> str:
    family = _family(factor)
    index = next(i for i, g in enumerate(factor.givens) if base(g) == chain.sequence)
    return writer.argument(f"matrix:{factor.index}:{family.given[index]}")


def _noise(writer: Writer, factor: Factor) -> str:
    """The covariance of a step given its conditions."""
    family = _family(factor)
    texts, numbers, ranks = {}, set(), {}
    for name, value in family.constants.items():
        if name == "loc":
            continue
        tensor = isinstance(value, Tensor)
        texts[name] = writer.argument(f"tensor:{factor.index}:{name}") if tensor else repr(value)
        numbers |= set() if tensor else {name}
        ranks[name] = value.ndim if isinstance(value, Tensor) else 0
    text = _covariance(writer, texts, numbers, _outputs(family), ranks)
    return writer.named(f"{identifier(spelled(base(factor.variables[0])))}_noise", Operand(text)).text


def _covariance(
    writer: Writer, texts: Mapping[str, str], numbers: set[str], size: int, ranks: Mapping[str, int]
) -> str:
    """A covariance matrix from the parameters of a normal or a multivariate normal law."""
    if "covariance_matrix" in texts:
        return texts["covariance_matrix"]
    if "scale_tril" in texts:
        return f"{texts['scale_tril']} @ {texts['scale_tril']}.mT"
    if "precision_matrix" in texts:
        return f"torch.linalg.inv({texts['precision_matrix']})"
    if "cov_factor" in texts:
        wide = texts["cov_factor"]
        return f"{wide} @ {wide}.mT + {texts['cov_diag']}.diag_embed()"
    ((name, text),) = texts.items()
    square = _SQUARES[name](text)
    if name in numbers or not ranks[name]:
        eye = f"torch.eye({size}, dtype={writer.argument('dtype')}, device={writer.argument('device')})"
        return f"{square} * {eye}"
    return f"({square}).diag_embed()"


_SQUARES: dict[str, Callable[[str], str]] = {
    "scale": lambda text: f"{text}**2",
    "variance": lambda text: text,
    "log_scale": lambda text: f"torch.exp(torch.as_tensor(2 * {text}))",
}


def _outputs(family: Family) -> int:
    """The number of elements of a value."""
    weights = weights_of(family)
    assert weights is not None
    return int(next(iter(weights.values())).shape[0])


def _family(factor: Factor) -> Family:
    assert isinstance(factor.distribution, Family)
    return factor.distribution
