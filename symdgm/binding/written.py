"""A formula together with the text that it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sympy import Basic


class Written(Protocol):
    """What `symdgm.parsing.read` returns; the spans are worked out only when an error needs them."""

    @property
    def expression(self) -> Basic:
        """What the text says."""

    @property
    def source(self) -> str:
        """The text."""

    @property
    def spans(self) -> Mapping[Basic, tuple[int, int]]:
        """Node → the characters where it stands."""


@dataclass(frozen=True)
class Excerpt:
    """An expression that is a part of a text, or that has no text.

    Args:
        expression: the expression.
        text: where it was read, if anywhere.
    """

    expression: Basic
    text: Written | None = None

    @property
    def source(self) -> str:
        """The text, or nothing."""
        return self.text.source if self.text is not None else ""

    @property
    def spans(self) -> Mapping[Basic, tuple[int, int]]:
        """Node → the characters where it stands."""
        return self.text.spans if self.text is not None else {}
