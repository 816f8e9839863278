"""Generated code, written and run statement by statement.

The first evaluation for new shapes runs each statement as soon as it is written, so that every shape is
known where it is needed and every network is called exactly once, as in all later evaluations, which run the
finished function.
"""

from __future__ import annotations

import inspect
import io
import math
import re
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType, MappingProxyType
from typing import Any

import torch
from sympy import Basic
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence
from torch.utils.checkpoint import checkpoint

from symdgm.caches import remembered
from symdgm.distributions.chains.forward import (
    forward_algorithm,
    forward_messages,
    log_product,
    tree_of_steps,
)
from symdgm.distributions.chains.kalman import kalman_filter, kalman_steps
from symdgm.errors import ShapeError
from symdgm.lowering.closed_form_helpers import CLOSED_FORM_HELPERS
from symdgm.lowering.derivative_helpers import DECORATOR, DERIVATIVE_HELPERS
from symdgm.lowering.estimation.helpers import ESTIMATOR_HELPERS
from symdgm.lowering.layout import comment, laid_out, quoted
from symdgm.lowering.naming import Names
from symdgm.lowering.permutations import PERMUTATION_HELPERS
from symdgm.lowering.row_helpers import ROW_HELPERS
from symdgm.lowering.sample_helpers import SAMPLE_HELPERS

IMPORTS = {
    "math": "import math",
    "torch": "import torch",
    "binary_cross_entropy_with_logits": "from torch.nn.functional import binary_cross_entropy_with_logits",
    "linear": "from torch.nn.functional import linear",
    "logsigmoid": "from torch.nn.functional import logsigmoid",
    "softplus": "from torch.nn.functional import softplus",
    "PackedSequence": "from torch.nn.utils.rnn import PackedSequence",
    "checkpoint": "from torch.utils.checkpoint import checkpoint",
}
"""What generated code may import, by the name that it uses."""

XLOGY = """def xlogy(x, y):
    # x log y, which is 0 where both are 0; the gradient of torch.xlogy is NaN there
    return x * torch.where((x == 0) & (y == 0), 1, y).log()
"""
LOG_WEIGHTED_SUM = """def log_weighted_sum(weight, value, dim):
    # log sum_k weight_k exp(value_k); a weight of zero counts nothing, but has a gradient
    top = value.detach().where(weight > 0, -math.inf).amax(dim, keepdim=True)
    top = top.where(top.isfinite(), 0)
    scaled = (value - top).clamp(max=math.log(torch.finfo(value.dtype).max) - 1).exp()
    return (weight * scaled).sum(dim).log() + top.squeeze(dim)
"""
WEIGHTED = """def weighted(weight, value):
    # weight times value, and 0 where the weight is 0 and the value a log of 0
    return weight * value.where((weight != 0) | value.isfinite(), 0)
"""
BACKWARDS = """def backwards(rows, counts):
    # the place of each step when every sequence is read from its end
    if counts[0] == counts[-1]:
        return torch.arange(len(rows), device=rows.device).view(len(counts), -1).flip(0).flatten()
    counts = torch.tensor(counts, device=rows.device)
    starts = counts.cumsum(0) - counts
    time = torch.arange(len(counts), device=rows.device).repeat_interleave(counts, output_size=len(rows))
    place = torch.arange(len(rows), device=rows.device) - starts[time]
    lengths = (counts[:, None] > torch.arange(int(counts[0]), device=rows.device)).sum(0)
    return starts[lengths[place] - 1 - time] + place
"""
CHAINS = (
    log_product, forward_messages, tree_of_steps, forward_algorithm, kalman_steps, kalman_filter,
)  # fmt: skip
"""Functions of chains, whose own source is what generated code defines; callees come first."""
CARRIED = """def carried(step, counts, state, given):
    # step after step, each for as many sequences as have it; what they keep is put together
    kept = []
    for count, *now in zip(counts, *(values.split(counts) for values in given)):
        state, entries = step(count, *(value[:count] for value in state), *now)
        kept.append(entries)
    return [torch.cat(entries) for entries in zip(*kept)]
"""
UNPADDED = """def unpadded(output, order=None, valid=None):
    # what a network returned for whole sequences, step by step
    if isinstance(output, torch.Tensor):
        turned = (output if order is None else output[order]).transpose(0, 1)
        return turned.flatten(0, 1) if valid is None else turned[valid]
    if isinstance(output, dict):
        return {name: unpadded(value, order, valid) for name, value in output.items()}
    return tuple(unpadded(value, order, valid) for value in output)
"""
IN_SEGMENTS = """def in_segments(network, x, length, dim, stop=False, again=False, state=None):
    # a recurrent network so many steps at a time: gradients stop between them, or each part is computed anew
    outputs = []
    for part in x.split(length, dim):
        if again:
            output, state = checkpoint(network, part, state, use_reentrant=False)
        else:
            output, state = network(part, state)
        if stop:
            state = state.detach() if isinstance(state, torch.Tensor) else tuple(s.detach() for s in state)
        outputs.append(output)
    return torch.cat(outputs, dim)
"""
IN_PARTS = """def in_parts(part, size, *draws):
    # the results for all draws, a few of them at a time
    if size >= len(draws[0]):
        return part(*draws)
    pieces = zip(*(draw.split(max(size, 1)) for draw in draws))
    if torch.is_grad_enabled():
        found = [checkpoint(part, *few, use_reentrant=False, preserve_rng_state=False) for few in pieces]
    else:
        found = [part(*few) for few in pieces]
    return tuple(torch.cat(results) for results in zip(*found))
"""
LATEST = """def latest(output):
    # the last step of what a network returned for sequences
    if isinstance(output, torch.Tensor):
        return output[:, -1]
    if isinstance(output, dict):
        return {name: latest(value) for name, value in output.items()}
    return tuple(latest(value) for value in output)
"""
HELPERS = {
    "carried": CARRIED,
    "in_segments": IN_SEGMENTS,
    "in_parts": IN_PARTS,
    "latest": LATEST,
    "unpadded": UNPADDED,
    "backwards": BACKWARDS,
    "xlogy": XLOGY,
    "log_weighted_sum": LOG_WEIGHTED_SUM,
    "weighted": WEIGHTED,
    **{function.__name__: inspect.getsource(function) for function in CHAINS},
    **DERIVATIVE_HELPERS,
    **PERMUTATION_HELPERS,
    **SAMPLE_HELPERS,
    **CLOSED_FORM_HELPERS,
    **ESTIMATOR_HELPERS,
    **ROW_HELPERS,
}
"""Functions that generated code defines for itself, by name."""


@remembered(1)
def environment() -> Mapping[str, Any]:
    """The names that generated code may use."""
    known: dict[str, Any] = {
        "math": math,
        "torch": torch,
        "binary_cross_entropy_with_logits": functional.binary_cross_entropy_with_logits,
        "linear": functional.linear,
        "logsigmoid": functional.logsigmoid,
        "softplus": functional.softplus,
        "PackedSequence": PackedSequence,
        "checkpoint": checkpoint,
    }
    for source in HELPERS.values():
        exec(compile(source, "<symdgm>", "exec"), known)
    return MappingProxyType(known)


@remembered(4096)
def expression(text: str) -> CodeType:
    """The code of an expression; equal plans have equal ones."""
    return compile(text, "<symdgm>", "eval")


@dataclass(frozen=True)
class Statement:
    """One assignment of generated code.

    Args:
        text: the source.
        names: what it assigns.
        origin: the mathematics that it computes, if any.
        comment: a line to write above it.
    """

    text: str
    names: tuple[str, ...]
    origin: Basic | None = None
    comment: str = ""


@dataclass
class Script:
    """Statements written so far, and the values that they gave."""

    values: dict[str, Any]
    names: Names
    statements: list[Statement] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)

    def comment(self, text: str) -> None:
        """A comment above the next statement; an empty one is none."""
        self.pending += [text] if text else []

    def run(self, text: str) -> Any:
        """The value of an expression, not recorded."""
        return eval(expression(text), self.values)

    def assign(self, hint: str, text: str, origin: Basic | None = None) -> str:
        """Write and run ``name = text`` under a fresh name.

        Raises:
            ShapeError: tensors whose events do not fit together.
        """
        name = self.names.fresh(hint)
        try:
            self.values[name] = self.run(text)
        except RuntimeError as error:
            used = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", text))
            tensors = {n: v for n in used if isinstance(v := self.values.get(n), torch.Tensor)}
            shapes = ", ".join(f"`{n}` {list(v.shape)}" for n, v in tensors.items())
            raise ShapeError(f"`{text}` cannot be computed: {error}", hint=f"shapes: {shapes}") from error
        self.record(f"{name} = {text}", (name,), origin)
        return name

    def record(self, text: str, names: tuple[str, ...], origin: Basic | None = None) -> None:
        """Write a statement whose values are already known."""
        comment = "\n".join(self.pending)
        self.pending.clear()
        self.statements.append(Statement(text, names, origin, comment))


def function_text(
    name: str,
    docstring: str,
    arguments: list[str],
    keywords: list[str],
    statements: list[Statement],
    result: str,
) -> str:
    """The source of a function, with the imports and helpers that it needs, in lines of at most `WIDTH`."""
    lines = tuple((statement.text, statement.comment) for statement in statements)
    text: str = _laid_out_function(name, docstring, tuple(arguments), tuple(keywords), lines, result)
    return text


@remembered(256)
def _laid_out_function(
    name: str,
    docstring: str,
    arguments: tuple[str, ...],
    keywords: tuple[str, ...],
    statements: tuple[tuple[str, str], ...],
    result: str,
) -> str:
    head = ", ".join([*arguments, *(["*", *keywords] if keywords else [])])
    lines = [*quoted(docstring, 4)]
    for statement, comments in statements:
        if comments:
            lines += [line for text in comments.split("\n") for line in comment(text, 4)]
        lines += laid_out(statement, 4)
    lines.append(f"    return {result}")
    used = _names("\n".join(statement for statement, _ in statements))
    used |= {"torch"} if "differentiable" in used else set()
    helpers = _helpers(used)
    used |= _names("\n".join(helpers))
    imports = [line for key, line in IMPORTS.items() if key in used]
    blocks = ["\n".join(imports), *(h.rstrip("\n") for h in helpers)]
    decorated = [DECORATOR] if "differentiable" in used else []
    function = "\n".join([*decorated, *laid_out(f"def {name}({head}):", 0), *lines, ""])
    return "\n\n\n".join([*(b for b in blocks if b), function])


def _helpers(used: set[str]) -> list[str]:
    """The sources of the helpers among some names, and of those that these use."""
    found = {key for key in HELPERS if key in used}
    while more := {key for key in HELPERS if any(key in _names(HELPERS[f]) for f in found)} - found:
        found |= more
    return [source for key, source in HELPERS.items() if key in found]


def _names(source: str) -> set[str]:
    """The identifiers of a source text; those in its strings do not count."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def compiled(text: str, name: str, filename: str, helpers: Mapping[str, Any] | None = None) -> Any:
    """The function that a source text defines; tracebacks show its lines.

    Args:
        text: the source.
        name: the function's name in it.
        filename: what tracebacks call it.
        helpers: what else it may call, and what takes the place of helpers that the source defines.
    """
    namespace: dict[str, Any] = {}
    exec(compile(text, filename, "exec"), namespace)
    namespace.update(helpers or {})
    return namespace[name]
