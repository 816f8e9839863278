"""The PyTorch that an objective ran last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symdgm.errors import SymdgmError

if TYPE_CHECKING:
    from symdgm.objective import Objective


def code_of(objective: Objective, called: str) -> str:
    """The code that an objective ran last; ``called`` is what a first evaluation is asked of."""
    program = objective.runner.last()
    if program is None:
        example = ", ".join(f"{name}=batch" for name in objective.data) or "n=64"
        raise SymdgmError(
            "the code depends on shapes, which no evaluation has shown yet",
            hint=f"evaluate once: `{called}({example})`",
        )
    return program.text
