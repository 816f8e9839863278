"""What a spelling is: the signs of ASCII, Unicode and LaTeX as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from symdgm.expressions.notation.letters import ascii_name, latex_name, unicode_name
from symdgm.expressions.notation.pieces import Edge, Piece

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Spelling:
    """The signs of one spelling. Entries of a mapping which are missing are written as their own key."""

    name: Callable[[str], str]
    plus: str = " + "
    minus: str = " - "
    sign: str = "-"
    cross: str = " * "
    comma: str = ", "
    semicolon: str = "; "
    given: str = "|"
    drawn: str = " ~ "
    apart: str = " || "
    equals: str = " = "
    propto: str = " propto "
    dot: str = "."
    ellipsis: str = "..."
    to: str = ":"
    expect: str = "E"
    entropy: str = "H"
    transpose: str = "T"
    round: Pair = ("(", ")")
    square: Pair = ("[", "]")
    curly: Pair = ("{", "}")
    bars: Pair = ("||", "||")
    angle: Pair = ("<", ">")
    absolute: Pair = ("abs(", ")")
    fraction: Pair | None = None
    root: Pair = ("sqrt(", ")")
    exponents: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    braces: bool = False
    rows: tuple[str, str, str] = ("", "\n", "")
    word: Callable[[str], str] = str

    def sign_of(self, key: str) -> str:
        """The sign of a function, a divergence, a big operator, a relation."""
        return self.words.get(key) or self.word(key)

    def grown(self, piece: Piece, pair: Pair) -> str:
        """Brackets around a piece that grow with it where the spelling has such."""
        if self.braces and piece.tall:
            return f"\\left{pair[0]}{piece.text}\\right{pair[1]}"
        return f"{pair[0]}{piece.text}{pair[1]}"

    def squared(self, text: str) -> str:
        """Square brackets around a text, which grow with it where the spelling has such."""
        return f"{self.square[0]}{text}{self.square[1]}"

    def bracket(self, piece: Piece) -> Piece:
        """A piece in round brackets."""
        return Piece(self.grown(piece, self.round), first=Edge.BRACKET, tall=piece.tall)

    def upright(self, text: str) -> str:
        """A name as it is stored, where its letter would mean something else."""
        return f"\\mathrm{{{text}}}" if self.braces else text

    def script(self, text: str) -> str:
        """What stands behind ``_`` or ``^``: braces unless one letter, word or number stands there alone."""
        return f"{{{text}}}" if self.braces or not text.isalnum() else text


@cache
def compact(spelling: Spelling) -> Spelling:
    """The same signs without spaces, for indices, where `=` says what is first: ``sum_{i == j}`` does not."""
    return replace(
        spelling,
        plus=spelling.plus.strip(),
        minus=spelling.minus.strip(),
        comma=spelling.comma.strip(),
        equals="=",
        words={**spelling.words, "==": "=="},
    )


@cache
def inner(spelling: Spelling) -> Spelling:
    """The same signs for the arguments of an application: ``p(x=G(z))``."""
    return replace(spelling, equals="=")


@cache
def aligned(spelling: Spelling) -> Spelling:
    """The same signs for a line of several, aligned at the equals signs."""
    return replace(spelling, equals=" &= ", propto=" &\\propto ") if spelling.braces else spelling


def _command(key: str) -> str:
    return f"\\operatorname{{{key}}}"


ASCII = Spelling(name=ascii_name)

UNICODE = Spelling(
    name=unicode_name,
    plus=" + ",
    minus=" − ",
    sign="−",
    cross=" · ",
    drawn=" ∼ ",
    apart=" ‖ ",
    propto=" ∝ ",
    dot="·",
    ellipsis="…",
    expect="𝔼",
    entropy="ℍ",
    root=("√(", ")"),
    bars=("‖", "‖"),
    angle=("⟨", "⟩"),
    exponents={"2": "²", "3": "³"},
    words={
        "sum": "∑",
        "prod": "∏",
        "grad": "∇",
        "laplacian": "Δ",
        "partial": "∂",
        "int": "∫",
        "<=": "≤",
        ">=": "≥",
        "!=": "≠",
        "in": "∈",
    },
)

LATEX = Spelling(
    name=latex_name,
    cross=" \\cdot ",
    drawn=" \\sim ",
    apart=" \\,\\|\\, ",
    propto=" \\propto ",
    dot="\\cdot",
    ellipsis="\\ldots",
    expect="\\mathbb{E}",
    entropy="\\mathbb{H}",
    transpose="\\top",
    curly=("\\{", "\\}"),
    square=("\\left[", "\\right]"),
    bars=("\\left\\| ", " \\right\\|"),
    angle=("\\left\\langle ", " \\right\\rangle"),
    absolute=("\\left\\lvert ", " \\right\\rvert"),
    fraction=("\\frac{", "}"),
    root=("\\sqrt{", "}"),
    words={
        **{
            f: f"\\{f}"
            for f in ("log", "exp", "tanh", "sinh", "cosh", "sin", "cos", "tan", "det", "max", "min")
        },
        "sum": "\\sum",
        "prod": "\\prod",
        "grad": "\\nabla",
        "laplacian": "\\Delta",
        "partial": "\\partial",
        "int": "\\int",
        "chi2": "\\chi^{2}",
        "KL": "D_{\\mathrm{KL}}",
        "W_1": "W_{1}",
        "W_2": "W_{2}",
        "Renyi": "D",
        **{
            k: f"\\mathrm{{{k}}}"
            for k in ("JS", "MMD", "TV", "SW", "Hellinger", "Bhattacharyya", "Energy", "Sinkhorn")
        },
        "<": "<",
        "<=": "\\le ",
        ">": ">",
        ">=": "\\ge ",
        "!=": "\\neq ",
        "==": "=",
        "in": "\\in ",
        "maximize": "\\text{maximize }",
        "minimize": "\\text{minimize }",
        "max_": "\\max",
        "min_": "\\min",
        "where": "\\text{where }",
        "over": "\\text{ over }",
    },
    braces=True,
    rows=("\\begin{aligned}\n", " \\\\\n", "\n\\end{aligned}"),
    word=_command,
)
