"""Sampling of sequences from factors of one step, without an objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sympy import Basic, Integer, Tuple
from torch import Tensor

from symdgm.binding.classify import classify, declared_node, is_shape
from symdgm.binding.factors import givens_of, values_of
from symdgm.binding.observations import read_data
from symdgm.binding.timeline import ONE
from symdgm.distributions import Deterministic, Distribution
from symdgm.equations import distributions_of
from symdgm.errors import NameResolutionError, OptionError
from symdgm.expressions.names import IndexRange, Name, Subscripted, base, spelled
from symdgm.expressions.steps import offset_of
from symdgm.forecasting import sample
from symdgm.generation import Generator
from symdgm.given import whole as whole_number
from symdgm.parsing import parse
from symdgm.training.randomness import seeded

ZERO = Integer(0)


def rollout(
    *distributions: Distribution,
    n: int | None = None,
    steps: int | None = None,
    index: str = "t",
    mean: bool = False,
    seed: int | None = None,
    **given: Any,
) -> dict[str, Tensor]:
    r"""Draw sequences from factors of one step, such as ``p(x_t|z_t) p(z_t|z_{t-1})``.

    .. math:: x_{1:T}, z_{1:T} \sim \prod_{t=1}^T p(x_t \mid z_t)\, p(z_t \mid z_{t-1})

    Args:
        distributions: factors of one step, or products of them; a factor over ``z_1`` draws the first step.
        n: how many; by default one for each row of what is given, or one.
        steps: the number of steps; by default as many as are given.
        index: the letter of the step.
        mean: whether what nothing else depends on takes its mean instead of a draw.
        seed: makes the draw repeatable.
        given: values before the first step, one for all or a row for each (``z_0=0.0``), event shapes
            (``z=2``), variables ``[n, *event]``, and sequences or their first steps ``[n, steps, *event]``.

    Returns:
        Variable → ``[n, *event]``, and sequence → ``[n, steps, *event]``.

    Raises:
        DataError: a name that no factor has, or a sequence that is too short.
        NameResolutionError: no factor has steps, or a sequence has no beginning.
        OptionError: no number of steps, or a value that has no meaning.
        ShapeError: the numbers of rows do not agree, or an event shape is not known.

    Example:
        >>> import torch, symdgm as sd
        >>> p = sd.Normal("p(z_t|z_{t-1})", lambda z: (0.5 * z, torch.ones_like(z)))
        >>> e = sd.Bernoulli("p(x_t|z_t)", torch.nn.Linear(2, 4))
        >>> sd.rollout(e * p, n=3, steps=10, z_0=0.0, z=2)["x"].shape
        torch.Size([3, 10, 4])
    """
    declared = [(declared_node(d, parse), d) for d in distributions_of(distributions)]
    nodes = [node for node, _ in declared]
    time = parse(index)
    variables = [v for node in nodes for v in (*values_of(node), *givens_of(node))]
    stepped = list(dict.fromkeys(base(v) for v in variables if _is_step(v, time)))
    if not stepped:
        raise NameResolutionError(
            f"no factor has a variable with the step `{index}`", hint=f"write `p(z_{index}|z_{{{index}-1}})`"
        )
    whole = Tuple(*(Subscripted(s, IndexRange(ONE, Name("T"))) for s in stepped))
    data = {name: value for name, value in given.items() if _is_data(name, value)}
    if steps is not None:
        whole_number("steps", steps, what="whole number of steps")
    elif not {spelled(s) for s in stepped} & data.keys():
        raise OptionError("nothing says how many steps there are", hint="write `rollout(..., steps=32)`")
    others = {name: value for name, value in given.items() if name not in data}
    environment = classify([whole], declared, others, parse, ("n", "steps", "index", "mean", "seed"))
    parameters = [p for d in distributions_of(distributions) for p in d.parameters()]
    like = next((p for p in parameters if p.is_floating_point()), None)
    generator = Generator(environment, {}, _outcomes(declared))
    with torch.no_grad(), seeded(seed, torch.device("cpu") if like is None else like.device):
        return sample(generator, n, steps, read_data(data, tuple(data), lambda: like), mean=mean)


def _is_step(variable: Basic, time: Basic) -> bool:
    single = isinstance(variable, Subscripted) and len(variable.indices) == 1
    return single and offset_of(variable.indices[0], time) is not None


def _is_data(name: str, value: object) -> bool:
    """Whether a keyword is a value of a variable, not one before the first step nor an event shape."""
    node = parse(name)
    begins = isinstance(node, Subscripted) and node.indices == (ZERO,)
    return not begins and not is_shape(value) and not isinstance(value, float)


def _outcomes(declared: Sequence[tuple[Basic, Distribution]]) -> list[str]:
    """The variables that no other factor is given, but those that are computed."""
    random = [node for node, d in declared if not isinstance(d, Deterministic)]
    names = {spelled(base(v)): node for node in random for v in values_of(node)}
    used = {spelled(base(g)) for node in random for g in givens_of(node) if base(g) not in _bases(node)}
    return [name for name in names if name not in used] or list(names)


def _bases(node: Basic) -> list[Basic]:
    return [base(v) for v in values_of(node)]
