"""What an objective is given: an equation, distributions, draws and keywords, read and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields

import torch
from sympy import Basic

from symdgm.binding import Bound, Excerpt, Written
from symdgm.binding.classify import refuse_unused
from symdgm.distributions import Distribution, Joint
from symdgm.errors import OptionError, suggest
from symdgm.expressions.depth import nodes
from symdgm.expressions.expectations import Binder
from symdgm.expressions.names import base, spelled
from symdgm.expressions.node import Node
from symdgm.given import whole
from symdgm.options import Options
from symdgm.parsing import parse, read

OPTIONS = tuple(option.name for option in fields(Options))
"""The keywords of an objective that are no names of the formula."""


def reading_of(equation: str | Node) -> Written:
    """What a text says, or an expression that has no text."""
    if isinstance(equation, Node):
        return Excerpt(equation)
    if not isinstance(equation, str):
        hint = 'write it as text, `sd.Objective("E_q(z|x)[...]", ...)`'
        raise OptionError(f"{type(equation).__name__} is no equation", hint=hint)
    return read(equation)


def distributions_of(values: tuple[object, ...]) -> list[Distribution]:
    """Positional arguments as distributions; a product is taken apart into its factors."""
    found: list[Distribution] = []
    for value in values:
        if not isinstance(value, Distribution):
            raise _no_distribution(value)
        found.extend(value.factors if isinstance(value, Joint) else [value])
    return found


def _no_distribution(value: object) -> OptionError:
    """The error for a positional argument that is none."""
    what, kind = f"a {type(value).__name__}", type(value)
    hint = "bind networks and numbers by keyword, as in `encoder=...`, `beta=1.0`"
    if isinstance(value, type):
        what, hint = f"the class {value.__name__}", f'pass an instance, `{value.__name__}("p(x)", ...)`'
    elif isinstance(value, torch.distributions.Distribution):
        what = f"a torch.distributions.{kind.__name__}"
        hint = f'it has no name and no variables: write `symdgm.{kind.__name__}("p(x)", ...)`'
    elif isinstance(value, list | tuple):
        hint = "give its entries one by one, as by `*distributions`"
    return OptionError(f"{what} is no distribution of symdgm", hint=hint)


def drawn_variables(bound: Bound) -> set[str]:
    """The variables of distributions, and those of expectations; of a sequence also its own name."""
    drawn = {v for f in bound.environment.factors for v in f.variables}
    drawn |= {v for e in nodes(bound.expression, Binder) for v in e.variables}
    time = bound.environment.time
    steps = [v for v in drawn if time is not None and time.covers(v)]
    return {spelled(v) for v in (*drawn, *map(base, steps))}


def counts_of(samples: int | Mapping[str, int], bound: Bound) -> dict[str, int]:
    """Variable → number of draws, with the empty name for all that are not named."""
    counts = dict(samples) if isinstance(samples, Mapping) else {"": samples}
    drawn = drawn_variables(bound)
    for name, count in counts.items():
        counts[name] = whole("samples", count, what="whole number of draws, or a dict of such by variable")
        if name and name not in drawn:
            raise OptionError(
                f"`samples` names `{name}`, which is no variable of a distribution", hint=suggest(name, drawn)
            )
    return counts


def refuse_unknown_keywords(bound: Bound, names: Mapping[str, object]) -> None:
    """Raise `OptionError` for a keyword that is no option and that the formula does not use."""
    distributions = [str(f.head) for f in bound.environment.factors]
    used = [
        *bound.scalars,
        *bound.networks,
        *bound.environment.shapes,
        *bound.environment.tables,
        *distributions,
        *(f"{sequence}_0" for sequence in bound.beginnings),
    ]
    refuse_unused(names, used, OPTIONS, parse)


def term_names(bound: Bound, nodes: list[Basic]) -> list[str]:
    """What each term is called: as it was written; a repeated one is numbered."""
    seen: Counter[str] = Counter()
    names = []
    for node in nodes:
        text = spelled(bound.written.get(node, node))
        seen[text] += 1
        names.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return names
