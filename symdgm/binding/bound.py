"""What binding gives: a formula whose names are references to what is bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from sympy import Basic
from torch import Tensor, nn

from symdgm.binding.environment import Environment
from symdgm.binding.observations import check_kinds
from symdgm.binding.written import Written
from symdgm.errors import SymdgmError
from symdgm.expressions.names import Name, Subscripted, base, spelled


@dataclass
class Bound:
    """A formula whose every name is resolved.

    Args:
        expression: the formula, with references written out.
        environment: what its names are bound to.
        written: resolved node → how the author wrote it, where that differs.
        resolutions: the references that were written short, and what they stand for.
        data: the observed variables, in the order of their first use.
        scalars: the scalars that the formula names, in that order.
        networks: the functions that the formula names outside of distributions.
        text: where it was read.
    """

    expression: Basic
    environment: Environment
    written: dict[Basic, Basic] = field(default_factory=dict)
    resolutions: tuple[tuple[Basic, Basic], ...] = ()
    data: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    text: Written | None = None

    @property
    def lengths(self) -> str | None:
        """The name under which the lengths of the sequences may be given."""
        time = self.environment.time
        return None if time is None else spelled(time.length)

    @property
    def sequences(self) -> frozenset[str]:
        """The observed variables that have steps, ``[batch, time, *event]``."""
        time = self.environment.time
        return frozenset() if time is None else frozenset(map(spelled, time.sequences))

    @property
    def beginnings(self) -> dict[str, float | Tensor]:
        """The values before the first step, by the name of their sequence."""
        time = self.environment.time
        return {} if time is None else {spelled(s): v for s, v in time.initial.items()}

    @property
    def initial(self) -> dict[str, nn.Parameter]:
        """The trained values before the first step, by the name of their sequence."""
        return {name: v for name, v in self.beginnings.items() if isinstance(v, nn.Parameter)}

    def check_kinds(self, data: Mapping[str, Tensor], like: Tensor | None) -> None:
        """Refuse data of a dtype or on a device that the networks do not have; see there."""
        check_kinds(self.environment, data, like)

    def point(self, error: SymdgmError, node: Basic) -> SymdgmError:
        """The error with a caret under a node, where the node was written."""
        if self.text is None or not self.text.source:
            return error
        return error.at(self.text.source, self.text.spans.get(self.written.get(node, node)))

    @contextmanager
    def pointing(self) -> Iterator[None]:
        """Inside, an error about the value of a variable has a caret where the formula first reads it."""
        try:
            yield
        except SymdgmError as error:
            if error.about is None or self.text is None or not self.text.source:
                raise
            places = [at for node, at in self.text.spans.items() if error.about in _names(node)]
            raise error.at(self.text.source, min(places, default=None)) from error.__cause__


def _names(node: Basic) -> tuple[str, ...]:
    """The names under which a variable, or a step of one, may be given."""
    return (spelled(node), spelled(base(node))) if isinstance(node, Name | Subscripted) else ()
