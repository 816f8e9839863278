"""Generated code, written and run statement by statement.

The first evaluation for new shapes runs each statement as soon as it is written, so that every shape is known where it is needed
and every network is called exactly once, as in all later evaluations, which run the finished function.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from sympy import Basic
from torch.nn import functional

from symdgm.lowering.naming import Names

IMPORTS = {
    "math": "import math",
    "torch": "import torch",
    "binary_cross_entropy_with_logits": "from torch.nn.functional import binary_cross_entropy_with_logits",
    "logsigmoid": "from torch.nn.functional import logsigmoid",
    "softplus": "from torch.nn.functional import softplus",
}
"""What generated code may import, by the name that it uses."""


def environment() -> dict[str, Any]:
    """The names that generated code may use."""
    return {
        "math": math,
        "torch": torch,
        "binary_cross_entropy_with_logits": functional.binary_cross_entropy_with_logits,
        "logsigmoid": functional.logsigmoid,
        "softplus": functional.softplus,
    }


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
        """A comment above the next statement."""
        self.pending.append(text)

    def run(self, text: str) -> Any:
        """The value of an expression, not recorded."""
        return eval(compile(text, "<symdgm>", "eval"), self.values)

    def assign(self, hint: str, text: str, origin: Basic | None = None) -> str:
        """Write and run ``name = text`` under a fresh name."""
        name = self.names.fresh(hint)
        self.values[name] = self.run(text)
        self.record(f"{name} = {text}", (name,), origin)
        return name

    def record(self, text: str, names: tuple[str, ...], origin: Basic | None = None) -> None:
        """Write a statement whose values are already known."""
        comment = "\n".join(self.pending)
        self.pending.clear()
        self.statements.append(Statement(text, names, origin, comment))


def function_text(
    name: str, docstring: str, arguments: list[str], keywords: list[str], statements: list[Statement], result: str
) -> str:
    """The source of a function, with the imports that it needs."""
    head = ", ".join([*arguments, *(["*", *keywords] if keywords else [])])
    lines = [f'"""{_quoted(docstring)}"""']
    for statement in statements:
        if statement.comment:
            lines += [f"# {line}" for line in statement.comment.split("\n")]
        lines.append(statement.text)
    lines.append(f"return {result}")
    body = textwrap.indent("\n".join(lines), "    ")
    used = set(re.findall(r"[A-Za-z_]+", body))
    imports = [line for key, line in IMPORTS.items() if key in used]
    return "\n".join([*imports, "", "", f"def {name}({head}):", body, ""]).lstrip("\n")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def compiled(text: str, name: str, filename: str) -> Any:
    """The function that a source text defines; tracebacks show its lines."""
    import linecache

    namespace: Mapping[str, Any] = {}
    exec(compile(text, filename, "exec"), namespace)  # type: ignore[arg-type]
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    return namespace[name]
