"""Sampling of sequences: from the first step on, or on from steps that are given."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from symdgm.binding.paths import timeline
from symdgm.errors import DataError, OptionError, ShapeError, suggest
from symdgm.expressions.names import spelled
from symdgm.generation import Generator, count_of
from symdgm.given import whole
from symdgm.jumping import jump
from symdgm.unrolling import Unrolled


def sample(
    generator: Generator, n: int | None, steps: object, given: Mapping[str, Tensor], *, mean: bool
) -> dict[str, Tensor]:
    """Draw all observed sequences and what they depend on, ancestors first, step by step.

    Args:
        generator: draws from single factors.
        n: how many; None for as many as are given, or one.
        steps: the number of steps, or None for as many as are given.
        given: variables that are fixed ``[n, *event]``, and sequences or their first steps
            ``[n, steps, *event]``.
        mean: whether the observed variables take their mean.

    Returns:
        Variable → ``[n, *event]``, and sequence → ``[n, steps, *event]``.

    Raises:
        DataError: a name that the model does not have, or a sequence that is too short.
        OptionError: no number of steps.
        ShapeError: the numbers of rows do not agree.
    """
    _check_given(generator, given)
    if timeline(generator.environment).jumps:
        return jump(generator, n, None if steps is None else _number(generator, steps), given, mean=mean)
    count = count_of(n, given)
    unrolled = Unrolled(generator, given, count, mean=mean)
    length = _steps(unrolled, steps)
    for t in range(1, length + 1):
        for sequence in unrolled.roles.generated():
            unrolled.step(sequence, t)
    for variable in dict.fromkeys(v for f in generator.factors for v in f.variables):
        if spelled(variable) in generator.observed and not unrolled.time.covers(variable):
            unrolled.variable(variable)
    found = dict(unrolled.static)
    for name, sequence in sorted(unrolled.names.items(), key=lambda item: item[0] not in given):
        values = [unrolled.steps.get((sequence, t)) for t in range(1, length + 1)]
        if all(v is not None for v in values):
            found[name] = torch.stack([v for v in values if v is not None], 1)
    return found


def reconstruct(generator: Generator, name: str, data: Mapping[str, Tensor], *, mean: bool) -> Tensor:
    """Infer the latent sequences from the data, then each step of ``name`` from them.

    Args:
        generator: draws from single factors.
        name: an observed sequence.
        data: all observed variables; the lengths of the sequences may be among them.
        mean: whether the mean of each step is taken rather than a draw.

    Returns:
        ``[batch, time, *event]``, zeros beyond each length.
    """
    time = timeline(generator.environment)
    key, x = spelled(time.length), data[name]
    lengths = data[key] if key in data else torch.full((len(x),), x.shape[1])
    names = {spelled(s) for s in time.sequences}
    found = torch.empty(0)
    for length in sorted(set(lengths.tolist())):
        rows = (lengths == length).nonzero().flatten().to(x.device)
        own = {k: v[rows, :length] if k in names else v[rows] for k, v in data.items() if k != key}
        decoded = _decoded(generator, name, own, mean=mean)
        if not found.numel():
            found = decoded.new_zeros(len(x), x.shape[1], *decoded.shape[2:])
        found[rows, :length] = decoded
    return found


def _decoded(generator: Generator, name: str, data: Mapping[str, Tensor], *, mean: bool) -> Tensor:
    """Sequences of one length, inferred and decoded."""
    unrolled = Unrolled(generator, data, len(data[name]), mean=mean)
    sequence, decoded = unrolled.names[name], []
    for t in range(1, data[name].shape[1] + 1):
        factor = unrolled.roles.factor(unrolled.time.step(sequence), t, infer=False)
        decoded.append(next(iter(unrolled.outcome(factor, t).values())))
    return torch.stack(decoded, 1)


def _check_given(generator: Generator, given: Mapping[str, Tensor]) -> None:
    time = timeline(generator.environment)
    sequences = {spelled(s) for s in time.sequences}
    variables = (v for f in generator.factors for v in (*f.variables, *f.givens) if not time.covers(v))
    jumps = set(map(spelled, time.jumps))
    known = sequences | jumps | set(map(spelled, variables))
    for name, value in given.items():
        if name not in known:
            raise DataError(f"the model has no variable `{name}`", hint=suggest(name, known))
        if name in sequences and value.dim() < 2:
            raise ShapeError(f"`{name}` has no steps", hint="a sequence is [n, steps, *event]")
        if name not in jumps:
            generator.check_fixed(name, value.flatten(0, 1) if name in sequences else value)


def _steps(unrolled: Unrolled, steps: object) -> int:
    """The number of steps that are asked for, or that are given."""
    if steps is None and not unrolled.given:
        name = spelled(unrolled.time.length)
        raise OptionError("nothing says how many steps there are", hint=f"write `sample(n, {name}=32)`")
    if steps is None:
        return max(unrolled.given.values())
    number = _number(unrolled.generator, steps)
    longer = next((spelled(v) for v, known in unrolled.given.items() if known > number), None)
    if longer is not None:
        name = spelled(unrolled.time.length)
        raise OptionError(
            f"`{name}={number}`, but `{longer}` is given for more steps",
            hint=f"give `{longer}[:, :{number}]`, or leave `{name}` out",
        )
    return number


def _number(generator: Generator, steps: object) -> int:
    return whole(str(timeline(generator.environment).length), steps, what="whole number of steps")
