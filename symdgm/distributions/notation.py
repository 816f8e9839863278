r"""How distributions are written, as plain text and as LaTeX.

Example:
    >>> LATEX.name("z_hat_{t-1}"), LATEX.name("q_phi"), LATEX.name("x'")
    ('\\hat{z}_{t-1}', 'q_{\\phi}', "x'")
    >>> TEXT.integral("p(x|z) p(z)", ["z"], []), LATEX.integral(r"p(x \mid y) \, p(y)", [], ["y"])
    ('int p(x|z) p(z) dz', '\\sum_{y} p(x \\mid y) \\, p(y)')
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

from symdgm.distributions.declaration import Declaration
from symdgm.names import DECORATIONS, GREEK, differential

WORD = re.compile(r"[A-Za-z]+|.")
MARKED = re.compile(
    rf"(?P<base>[A-Za-z][A-Za-z0-9]*)_(?P<mark>{'|'.join(DECORATIONS)})(?![A-Za-z0-9])(?P<rest>.*)"
)
INDEX = re.compile(r"_(?:(?P<bare>[A-Za-z0-9]+)|\{(?P<group>[^{}]*)\})")
BASE = re.compile(r"([A-Za-z0-9]*)(.*)")
COMMANDS = {name: f"\\{name}" for name in GREEK} | {"eps": r"\varepsilon", "omicron": "o"}


class Notation(ABC):
    """A way to write the names, factors and sums of probability."""

    space: str
    """What stands between two factors."""
    given: str
    """The bar."""

    @abstractmethod
    def name(self, name: str) -> str:
        """A variable or the name of a distribution."""

    @abstractmethod
    def integral(self, body: str, continuous: Sequence[str], finite: Sequence[str]) -> str:
        """The integral over some variables and the sum over others."""

    @abstractmethod
    def ratio(self, above: str, below: str) -> str:
        """A fraction."""

    @abstractmethod
    def proportional(self, left: str, right: str) -> str:
        """The left side up to a constant factor."""

    @final
    def equation(self, left: str, right: str | None) -> str:
        """``left = right``, or the left alone; a right side which says how it is related stands as it is."""
        return left if right is None else f"{left} = {right}"

    @final
    def head(self, declaration: Declaration) -> str:
        """A distribution at its own variables."""
        return self.factor(declaration.name, declaration.variables, declaration.given)

    @final
    def factor(self, name: str, variables: Sequence[str], given: Sequence[str]) -> str:
        """``name(variables|given)``."""
        behind = self.given + ", ".join(map(self.name, given)) if given else ""
        return f"{self.name(name)}({', '.join(map(self.name, variables))}{behind})"

    @final
    def product(self, factors: Sequence[str]) -> str:
        """Factors side by side."""
        return self.space.join(factors)


@final
class _Text(Notation):
    space = " "
    given = "|"

    def name(self, name: str) -> str:
        return name

    def integral(self, body: str, continuous: Sequence[str], finite: Sequence[str]) -> str:
        whole = "int " * bool(continuous) + body + "".join(f" {differential(name)}" for name in continuous)
        return "".join(f"sum_{_braced(name)} " for name in finite) + whole

    def ratio(self, above: str, below: str) -> str:
        return f"{above} / ({below})" if " " in below else f"{above} / {below}"

    def proportional(self, left: str, right: str) -> str:
        return f"{left} propto {right}"


@final
class _Latex(Notation):
    space = r" \, "
    given = r" \mid "

    def name(self, name: str) -> str:
        marked = MARKED.fullmatch(name)
        if marked is None:
            return _subscripts(name)
        base, mark, rest = marked["base"], marked["mark"], marked["rest"]
        written = f"{_letters(base)}^*" if mark == "star" else rf"\{mark}{{{_letters(base)}}}"
        return written + _subscripts(rest)

    def integral(self, body: str, continuous: Sequence[str], finite: Sequence[str]) -> str:
        sign = r"\int " * bool(continuous)
        whole = sign + body + "".join(rf" \, d{self.name(name)}" for name in continuous)
        return "".join(rf"\sum_{{{self.name(name)}}} " for name in finite) + whole

    def ratio(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def proportional(self, left: str, right: str) -> str:
        return rf"{left} \propto {right}"


def _braced(name: str) -> str:
    return name if name.isalnum() else f"{{{name}}}"


def _letters(text: str) -> str:
    """Greek letters by their command."""
    return "".join(COMMANDS.get(word, word) for word in WORD.findall(text))


def _subscripts(text: str) -> str:
    """A base, if there is one, and scripts behind it."""
    base, rest = BASE.fullmatch(text).groups()  # type: ignore[union-attr]
    return _letters(base) + INDEX.sub(lambda m: f"_{{{_letters(m['bare'] or m['group'])}}}", rest)


TEXT: Notation = _Text()
"""Plain text, which the parser reads."""
LATEX: Notation = _Latex()
"""LaTeX, which the parser reads as well."""
