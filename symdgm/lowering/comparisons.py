"""What an objective says of its divergences of samples, and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sympy import Basic

from symdgm.errors import OptionError
from symdgm.lowering.divergence_options import DEFAULTS, Option
from symdgm.rewriting.rule import Step


@dataclass
class Comparisons:
    """The divergences of samples of an objective.

    Args:
        given: a divergence, or the name of a kind → how it is estimated.
        used: the entries of ``given`` that the formula has.
        steps: each divergence with its step of the derivation.
        of_batch: those that are one number for the whole batch.
    """

    given: Mapping[Basic | str, Option] = field(default_factory=dict)
    used: set[Basic | str] = field(default_factory=set)
    steps: dict[Basic, Step] = field(default_factory=dict)
    of_batch: set[Basic] = field(default_factory=set)

    def option(self, node: Basic, written: Basic) -> Option:
        """How a divergence is estimated: as said for itself, for its kind, or as always.

        Args:
            node: the divergence.
            written: the same as the author wrote it.

        Raises:
            OptionError: what was said is for another kind.
        """
        kind = str(node.args[0].name)
        key = next((k for k in (written, node, kind) if k in self.given), None)
        if key is None:
            return DEFAULTS[kind]
        self.used.add(key)
        option, wanted = self.given[key], type(DEFAULTS[kind])
        if not isinstance(option, wanted):
            raise OptionError(
                f"`divergences` says {type(option).__name__} for `{node}`",
                hint=f"write `sd.divergences.{wanted.__name__}(...)`",
            )
        return option

    def refuse_unused(self) -> None:
        """Refuse what is said of a divergence that the formula does not have.

        Raises:
            OptionError: it names the entry.
        """
        for key in self.given:
            if key not in self.used:
                known = ", ".join(f"`{node}`" for node in self.steps)
                raise OptionError(
                    f"`divergences` names `{key}`, which the formula does not have",
                    hint=f"divergences of samples here: {known}" if known else "leave it out",
                )
