"""Expectations, divergences, entropies and big operators: what binds variables."""

from __future__ import annotations

from dataclasses import replace

from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.expectations import (
    Binder,
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.known import KnownIntegral
from symdgm.expressions.names import Name
from symdgm.expressions.notation.pieces import Level, Piece, beside
from symdgm.expressions.notation.spelling import Spelling


def binder(node: Binder, parts: list[Piece], s: Spelling) -> Piece:
    """``z ~ q(z|x)``."""
    variables, law = parts
    between = s.drawn if node.variables and law.text else ""
    return Piece(variables.text + between + law.text, Level.SUM)


def expect(node: Expect, parts: list[Piece], s: Spelling) -> Piece:
    """``E_q(z|x)[log p(x|z)]``."""
    body, *laws = parts
    script = s.comma.join(law.text for law in laws)
    bare = not s.braces and len(laws) == 1 and _stands_bare(node.binders[0])
    subscript = script if bare else f"{{{script}}}"
    return Piece(f"{s.expect}_{subscript}{s.squared(body.text)}", Level.POWER, tall=body.tall)


def _stands_bare(law: Binder) -> bool:
    """Whether a law may stand behind ``E_`` without braces: ``E_q``, ``E_q(z|x)``."""
    node = law.law
    if law.variables or (isinstance(node, Density) and node.parameters):
        return False
    head = node.args[0] if isinstance(node, Apply | Density) else node
    return isinstance(head, Name) and head.text.isalnum()


def divergence(node: DivergenceBetween, parts: list[Piece], s: Spelling) -> Piece:
    """``KL[q || p]``."""
    _, left, right, *order = parts
    sides = [s.bracket(side).text if side.bars else side.text for side in (left, right)]
    head = s.sign_of(node.kind) + (f"_{{{order[0].text}}}" if order else "")
    return Piece(head + s.squared(s.apart.join(sides)), tall=left.tall or right.tall)


def entropy(node: Entropy | CrossEntropy, parts: list[Piece], s: Spelling) -> Piece:
    """``H[q]``, ``H[q, p]``."""
    laws = s.comma.join(p.text for p in parts)
    return Piece(s.entropy + s.squared(laws), tall=any(p.tall for p in parts))


def known(node: KnownIntegral, parts: list[Piece], s: Spelling) -> Piece:
    """``mean[q(z|x)]``, ``KL[q || p]``."""
    laws = s.apart.join(p.text for p in parts[1:])
    return Piece(f"{s.sign_of(node.what)}{s.squared(laws)}", tall=any(p.tall for p in parts))


def information(node: MutualInformation, parts: list[Piece], s: Spelling) -> Piece:
    """``I[x; z]``."""
    return Piece("I" + s.squared(s.semicolon.join(p.text for p in parts)))


def index(node: Index, parts: list[Piece], s: Spelling) -> Piece:
    """What stands below and above a big operator, with the signs before it: ``_{k=1}^K``."""
    if len(parts) == 4:  # a range with a condition, as binding resolves ``k != i``
        return Piece("_" + s.script(parts[-1].text))
    if len(parts) == 3:
        low, high = f"{{{parts[0].text}={parts[1].text}}}", s.script(parts[2].text)
        return Piece(f"_{low}^{high}")
    return Piece("_" + s.script(parts[-1].text))


def aggregate(node: Aggregate, parts: list[Piece], s: Spelling) -> Piece:
    """``sum_{k=1}^K a_k b_k``: the body is the whole product that follows."""
    _, body, script = parts
    variable = node.index.variable
    loose = body.level is Level.SUM or body.signed or variable in (body.open or ())
    inside = s.bracket(body) if loose else body
    text = f"{s.sign_of(node.kind)}{script.text} {inside.text}"
    return replace(
        beside(text, Level.POWER, [inside]), open=(inside.open or frozenset()) | {variable}, tall=True
    )
