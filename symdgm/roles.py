"""Which factor makes a step of a sequence: one that generates it, or one that infers it."""

from __future__ import annotations

from typing import final

from sympy import Basic

from symdgm.binding import Factor
from symdgm.binding.paths import Path, timeline
from symdgm.distributions import Deterministic
from symdgm.errors import NameResolutionError
from symdgm.expressions.names import base, spelled
from symdgm.generation import Generator


@final
class Roles:
    """What each factor of a model of sequences is for.

    Args:
        generator: the factors, and which variables are observed.
    """

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.time = timeline(generator.environment)
        paths = (p for p in generator.environment.factors if isinstance(p, Path))
        self.inferring = {f.index for p in paths for f in p.steps if not is_certain(f)}
        self.names = {spelled(s): s for s in self.time.sequences}
        self.head = self._head()

    def over(self, variable: Basic) -> list[Factor]:
        """The factors over a variable, or over a step of a sequence."""
        return [f for f in self.generator.factors if not f.derived and variable in f.variables]

    def generated(self) -> list[Basic]:
        """The observed sequences that some factor generates."""
        observed = [self.names[n] for n in self.generator.observed if n in self.names]
        return [s for s in observed if self.over(self.time.step(s))]

    def _head(self) -> Basic | None:
        """The name of the generative factors: the one over the most observed sequences."""
        over = [{f.head for f in self.over(self.time.step(s))} for s in self.generated()]
        heads = dict.fromkeys(h for found in over for h in found)
        return max(heads, key=lambda h: sum(h in found for found in over), default=None)

    def factor(self, variable: Basic, t: int, *, infer: bool) -> Factor:
        """The factor that makes a variable or a step.

        Raises:
            NameResolutionError: there is none, or more than one.
        """
        found = self.over(variable)
        first = self.over(self.time.first(base(variable))) if t == 1 else []
        if first and variable == self.time.step(base(variable)):
            heads = {f.head for f in first}
            found = [*first, *(f for f in found if f.head not in heads)]
        if len(found) > 1 or infer:
            found = self._chosen(found, infer=infer)
        if len(found) == 1:
            return found[0]
        name = spelled(base(variable))
        what = (
            f"{'more than one' if found else 'no'} factor {'infers' if infer else 'generates'} `{variable}`"
        )
        listed = ", ".join(f"`{f.node}`" for f in self.generator.factors) or "nothing"
        raise NameResolutionError(
            f"{what} at step {t}" if t else what, hint=f"bound: {listed}; or pass `{name}=...`"
        )

    def _chosen(self, found: list[Factor], *, infer: bool) -> list[Factor]:
        """Of several factors, those that infer, or those that generate."""
        certain = [f for f in found if is_certain(f)]
        if certain:
            return certain
        if any(f.head == self.head for f in found):
            return [f for f in found if (f.head != self.head) == infer]
        return [f for f in found if (f.index in self.inferring) == infer]


def is_certain(factor: Factor) -> bool:
    """Whether a factor computes a value rather than draws it."""
    return isinstance(factor.distribution, Deterministic)
