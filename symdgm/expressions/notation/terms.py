"""Names, applications, norms and derivatives: what a sum or a product is made of."""

from __future__ import annotations

from dataclasses import replace

from sympy import Basic, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, Indicator, Inner, Norm
from symdgm.expressions.calculus import DerivativeBy, IntegralOver
from symdgm.expressions.names import IndexRange, Labelled, Listing, Name, Placeholder, Relation, Subscripted
from symdgm.expressions.notation.pieces import Edge, Level, Piece, beside
from symdgm.expressions.notation.spelling import Spelling
from symdgm.expressions.places import is_family
from symdgm.names import differential

SIMPLE = (Name, Subscripted, Labelled, Apply, Density)
"""What a function takes without a bracket."""

BARE = ("log",)
"""The functions that are written without a bracket where they may be."""


def name(node: Name, parts: list[Piece], s: Spelling) -> Piece:
    r"""``theta``, ``\hat{x}``."""
    text = s.name(node.text)
    return Piece(text, last=Edge.NAME, raised="^" in text)


def string(node: Str, parts: list[Piece], s: Spelling) -> Piece:
    """A piece of inert text."""
    return Piece(str(node.name))


def sequence(node: Tuple, parts: list[Piece], s: Spelling) -> Piece:
    """``a, b``; norms in brackets, for ``p(x|‖y‖)`` has a bar already."""
    return _listed([s.bracket(p) if p.bars else p for p in parts], s)


def _listed(parts: list[Piece], s: Spelling) -> Piece:
    return Piece(s.comma.join(p.text for p in parts), Level.SUM, tall=any(p.tall for p in parts))


def subscripted(node: Subscripted, parts: list[Piece], s: Spelling) -> Piece:
    """``z_t``, ``x_{i,j}``, ``z_{1:T}``."""
    head, *indices = parts
    letter = s.upright("Delta") if node.head == Name("Delta") else head.text  # Δ_x is the Laplacian
    raised = head.raised or (s.braces and letter.endswith("'"))  # to TeX a prime is a superscript
    text = f"{letter}_{s.script(','.join(i.text for i in indices))}"
    return replace(head, text=text, last=Edge.NAME, raised=raised)


def labelled(node: Labelled, parts: list[Piece], s: Spelling) -> Piece:
    r"""``x^{(i)}``, ``x^{\text{o}}``."""
    head, label = parts
    shown = f"\\text{{{label.text}}}" if isinstance(node.args[1], Str) else f"({label.text})"
    base = head.text
    if head.raised and isinstance(node.args[0], Name):  # TeX takes no second superscript
        base = s.upright(node.args[0].text)
    return replace(head, text=f"{base}^{{{shown}}}", last=Edge.NAME, raised=True)


def span(node: IndexRange, parts: list[Piece], s: Spelling) -> Piece:
    """``1:T``."""
    ends = ["" if isinstance(e, Placeholder) else p.text for e, p in zip(node.args, parts, strict=True)]
    return Piece(f"{ends[0]}{s.to}{ends[1]}", Level.SUM)


def placeholder(node: Placeholder, parts: list[Piece], s: Spelling) -> Piece:
    """``·``."""
    return Piece(s.dot)


def relation(node: Relation, parts: list[Piece], s: Spelling) -> Piece:
    """``k != i``, and ``<= t`` as an index."""
    sign = s.sign_of(parts[0].text)
    if isinstance(node.args[1], Placeholder):
        return Piece(f"{sign}{parts[2].text}", Level.SUM)
    return Piece(f"{parts[1].text} {sign.strip()} {parts[2].text}", Level.SUM)


def listing(node: Listing, parts: list[Piece], s: Spelling) -> Piece:
    """``{1, …, T}``."""
    entries = [
        s.ellipsis if isinstance(e, Placeholder) else p.text for e, p in zip(node.args, parts, strict=True)
    ]
    begin, end = s.curly
    return Piece(f"{begin}{s.comma.join(entries)}{end}")


def call(node: Call, parts: list[Piece], s: Spelling) -> Piece:
    """``log p(x)``, ``log(a/b)``, ``sqrt(a)``."""
    function, arguments = node.function, parts[1:]
    body = _listed(arguments, s)
    if len(arguments) == 1:
        if function in BARE and isinstance(node.args[1], SIMPLE):
            text = f"{s.sign_of(function)} {body.text}"
            return replace(beside(text, Level.ATOM, arguments), open=frozenset())
        if function in ("abs", "sqrt", "root"):
            begin, end = s.absolute if function == "abs" else s.root
            return Piece(begin + body.text + end, tall=body.tall)
    shown = s.squared(body.text) if function == "sg" else s.grown(body, s.round)
    return Piece(s.sign_of(function) + shown, tall=body.tall)


def apply(node: Apply, parts: list[Piece], s: Spelling) -> Piece:
    """``f(x, t)``, ``Uniform{1..T}``."""
    if node.args[0] == Name("D"):  # D(‖a‖) would begin a divergence
        parts = [s.bracket(p) if p.bars else p for p in parts]
    body = _listed(parts[1:], s)
    if len(node.args) == 2 and isinstance(node.args[1], IndexRange) and is_family(node.args[0]):
        begin, end = s.curly
        return Piece(f"{parts[0].text}{begin}{body.text.replace(s.to, '..', 1)}{end}")
    return Piece(_head(node.args[0], parts[0], s) + s.grown(body, s.round), tall=body.tall)


def density(node: Density, parts: list[Piece], s: Spelling) -> Piece:
    """``p(x|z)``, ``N(z; mu, s)``."""
    head, values, givens, parameters = parts
    text = values.text
    if node.givens:
        text += s.given + givens.text
    if node.parameters:
        text += s.semicolon + parameters.text
    body = beside(text, Level.SUM, parts[1:])
    return Piece(_head(node.head, head, s) + s.grown(body, s.round), tall=body.tall)


def _head(node: Basic, part: Piece, s: Spelling) -> str:
    """The name in front of a bracket; papers write the normal family in a calligraphic letter."""
    if s.braces and node == Name("N"):
        return "\\mathcal{N}"
    return part.text if isinstance(node, SIMPLE[:3]) else s.bracket(part).text


def norm(node: Norm, parts: list[Piece], s: Spelling) -> Piece:
    """``||a||``, ``||a||_1``."""
    body, order = parts
    inside = s.bracket(body).text if body.bars else body.text
    index = "" if node.args[1] == 2 else f"_{s.script(order.text)}"
    text = f"{s.bars[0]}{inside}{s.bars[1]}{index}"
    return Piece(text, first=Edge.BARS, last=Edge.NAME if index else Edge.BARS, bars=True, tall=body.tall)


def inner_product(node: Inner, parts: list[Piece], s: Spelling) -> Piece:
    """``<a, b>``."""
    text = f"{s.angle[0]}{parts[0].text}{s.comma}{parts[1].text}{s.angle[1]}"
    return replace(beside(text, Level.ATOM, parts), first=Edge.ANGLE, last=Edge.ANGLE)


def indicator(node: Indicator, parts: list[Piece], s: Spelling) -> Piece:
    """``1[k != i]``."""
    return Piece(f"1{s.squared(parts[0].text)}", first=Edge.NUMBER, tall=parts[0].tall)


def derivative(node: DerivativeBy, parts: list[Piece], s: Spelling) -> Piece:
    """``grad_x log p(x)``, ``div_x(a + b)``."""
    _, body, variable = parts
    operator = f"{s.sign_of(node.kind)}_{s.script(variable.text)}"
    if isinstance(node.args[1], (*SIMPLE, Call, DerivativeBy)) and not _reads_otherwise(node.args[1]):
        text = f"{operator} {body.text}"
        return replace(beside(text, Level.POWER, parts[1:2]), open=body.open or frozenset())
    return Piece(operator + s.bracket(body).text, Level.POWER, tall=body.tall)


def _reads_otherwise(node: Basic) -> bool:
    """Whether ``Δ_x`` before this reads as a name: ``max`` could optimise, bars could be a given."""
    return isinstance(node, Call) and node.function in ("max", "min", "abs")


def integral(node: IntegralOver, parts: list[Piece], s: Spelling) -> Piece:
    """``int_0^1 f dt``."""
    body, variable, *bounds = parts
    sign = s.sign_of("int")
    if bounds:
        sign += f"_{s.script(bounds[0].text)}^{s.script(bounds[1].text)}"
    loose = body.level is Level.SUM or body.signed or body.open is not None
    inside = s.bracket(body).text if loose else body.text
    by = f"\\, d {variable.text}" if s.braces else differential(variable.text)
    return replace(beside(f"{sign} {inside} {by}", Level.POWER, [body]), open=frozenset())
