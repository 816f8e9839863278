"""The options of an objective: how it is estimated, checked and run; none of them changes what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from symdgm.errors import OptionError
from symdgm.estimators import Recipe
from symdgm.given import shown, switch, whole
from symdgm.lowering import Option, Segments, segments

PRECISIONS = {None: None, "float32": None, "bfloat16": torch.bfloat16, "bf16": torch.bfloat16}
"""What networks may compute in."""


@dataclass(frozen=True)
class Options:
    """See `Objective`, whose keywords these are.

    Raises:
        OptionError: ``compile`` is neither True, False nor the name of a backend, or ``precision`` is not
            known.
    """

    samples: int | Mapping[str, int] = 1
    analytic: bool = True
    validate: bool = True
    estimators: Mapping[str, str | Recipe] | None = None
    divergences: Mapping[str, Option] | None = None
    sharing: bool = True
    compile: bool | str = False
    truncate: int | None = None
    checkpoint: int | None = None
    precision: str | None = None
    memory_budget: int | str | None = None

    def __post_init__(self) -> None:
        for name in ("analytic", "validate", "sharing"):
            switch(name, getattr(self, name))
        if not isinstance(self.compile, bool | str) or self.compile == "":
            raise OptionError(
                f"`compile` is {shown(self.compile)}",
                hint='write True, False, or a backend of `torch.compile`, such as "aot_eager"',
            )
        if not isinstance(self.precision, str | None) or self.precision not in PRECISIONS:
            raise OptionError(
                f"`precision` is {shown(self.precision)}",
                hint='write "bfloat16" for networks in half precision, or leave it out; float16 would need '
                "scaled losses",
            )

    @property
    def running(self) -> dict[str, Any]:
        """How a generated function is run; see `Runner`."""
        return {
            "sharing": self.sharing,
            "backend": self.backend,
            "precision": PRECISIONS[self.precision],
            "budget": None if self.memory_budget is None else _bytes(self.memory_budget),
        }

    @property
    def segments(self) -> Segments:
        """What loops over time do every so many steps."""
        return segments(self.truncate, self.checkpoint)

    @property
    def backend(self) -> str | None:
        """What `torch.compile` is to use, or None for plain PyTorch."""
        if isinstance(self.compile, str):
            return self.compile
        return "inductor" if self.compile else None


def _bytes(budget: int | str) -> int:
    """A size in bytes.

    Raises:
        OptionError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?i?)B\s*", budget) if isinstance(budget, str) else None
    if found:
        number, unit = found.groups()
        size = float(number) * (1024 if unit.endswith("i") else 1000) ** (" kMGT".index(unit[:1] or " "))
        if size >= 1:
            return int(size)
    if isinstance(budget, str):
        raise OptionError(f"`memory_budget` is {budget!r}", hint='write one byte or more, as in "2 GB"')
    return whole("memory_budget", budget, what='text, such as "2 GB", or a number of bytes')
