"""From a tree to text: children first, on a stack of our own, so that depth costs no Python frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sympy import Basic, Rational, Tuple
from sympy import latex as sympy_latex
from sympy.core.symbol import Str

from symdgm.caches import remembered
from symdgm.expressions import (
    applications,
    arithmetic,
    calculus,
    expectations,
    indices,
    known,
    names,
    resolved,
    statements,
)
from symdgm.expressions.depth import hashed
from symdgm.expressions.notation import arithmetic as sums
from symdgm.expressions.notation import binders, terms
from symdgm.expressions.notation import resolved as bound
from symdgm.expressions.notation import statements as lines
from symdgm.expressions.notation.pieces import Level, Piece
from symdgm.expressions.notation.spelling import ASCII, LATEX, UNICODE, Spelling, aligned, compact, inner

Writer = Callable[[Any, list[Piece], Spelling], Piece]

WRITERS: dict[type[Basic], Writer] = {
    Str: terms.string,
    Tuple: terms.sequence,
    names.Name: terms.name,
    names.Subscripted: terms.subscripted,
    names.Labelled: terms.labelled,
    names.IndexRange: terms.span,
    names.Placeholder: terms.placeholder,
    names.Relation: terms.relation,
    names.Listing: terms.listing,
    arithmetic.Plus: sums.add,
    arithmetic.Minus: sums.negate,
    arithmetic.Times: sums.multiply,
    arithmetic.Quotient: sums.divide,
    arithmetic.Power: sums.power,
    applications.Call: terms.call,
    applications.Apply: terms.apply,
    applications.Density: terms.density,
    applications.Norm: terms.norm,
    applications.Inner: terms.inner_product,
    applications.Transposed: sums.transpose,
    applications.Indicator: terms.indicator,
    calculus.DerivativeBy: terms.derivative,
    calculus.IntegralOver: terms.integral,
    expectations.Binder: binders.binder,
    expectations.Expect: binders.expect,
    expectations.DivergenceBetween: binders.divergence,
    expectations.Entropy: binders.entropy,
    expectations.CrossEntropy: binders.entropy,
    expectations.MutualInformation: binders.information,
    known.KnownIntegral: binders.known,
    indices.Index: binders.index,
    indices.Aggregate: binders.aggregate,
    resolved.Component: bound.indexed,
    resolved.RowOf: bound.indexed,
    resolved.EntryOf: bound.indexed,
    resolved.OwnRow: bound.own_row,
    resolved.Permuted: bound.permuted,
    resolved.StoppedLaw: bound.stopped,
    statements.Optimize: lines.optimize,
    statements.Definition: lines.definition,
    statements.Proportional: lines.proportional,
    statements.Abbreviation: lines.abbreviation,
    statements.Labeled: lines.labeled,
    statements.Block: lines.block,
}
"""Every class of node → what writes it from the pieces of its arguments."""


def ascii(node: Basic) -> str:
    """The formula in plain ASCII; `symdgm.parse` reads it back as the same tree.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> ascii(Name("theta") + 1)
        'theta + 1'
    """
    return written(node, ASCII)


def unicode(node: Basic) -> str:
    """The formula in Unicode; `symdgm.parse` reads it back as the same tree.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> unicode(Name("theta") - 1)
        'θ − 1'
    """
    return written(node, UNICODE)


def latex(node: Basic) -> str:
    r"""The formula in LaTeX; `symdgm.parse` reads it back as the same tree.

    Example:
        >>> from symdgm.expressions.names import Name
        >>> print(latex(Name("theta") / Name("x_hat")))
        \frac{\theta}{\hat{x}}
    """
    return written(node, LATEX)


def written(node: Basic, spelling: Spelling) -> str:
    """The formula in any spelling."""
    try:
        return _written(hashed(node), spelling)
    except RecursionError:  # SymPy compares two equal trees by recursion, which a deep one does not stand
        return _typeset(node, spelling)


@remembered(4096)
def _written(node: Basic, spelling: Spelling) -> str:
    return _typeset(node, spelling)


def _typeset(node: Basic, spelling: Spelling) -> str:
    done: list[Piece] = []
    waiting: list[tuple[Basic, Writer, Spelling, bool]] = [(node, _writer(node), spelling, False)]
    while waiting:
        item, writer, signs, ready = waiting.pop()
        if not ready and item.args and type(item) in WRITERS:
            waiting.append((item, writer, signs, True))
            waiting += reversed([(child, w, s, False) for child, w, s in _children(item, signs)])
        else:
            count = len(item.args) if ready else 0
            parts = done[len(done) - count :]
            del done[len(done) - count :]
            done.append(writer(item, parts, signs))
    return done[0].text


def _children(node: Basic, s: Spelling) -> Iterator[tuple[Basic, Writer, Spelling]]:
    """The arguments, each with what writes it and with the signs that it is written in."""
    for i, child in enumerate(node.args):
        yield child, _role(node, i, child), _signs(node, i, s)


def _role(parent: Basic, i: int, child: Basic) -> Writer:
    if isinstance(parent, arithmetic.Plus) and i and isinstance(child, arithmetic.Minus):
        return sums.subtracted
    if isinstance(parent, statements.Labeled) and i:
        return lines.over
    return _writer(child)


def _signs(parent: Basic, i: int, s: Spelling) -> Spelling:
    if (isinstance(parent, names.Subscripted) and i) or isinstance(parent, names.Labelled | indices.Index):
        return compact(s)
    if isinstance(parent, applications.Apply | applications.Density):
        return inner(s)
    return aligned(s) if isinstance(parent, statements.Block) else s


def _writer(node: Basic) -> Writer:
    if isinstance(node, Rational):
        return sums.number
    return WRITERS.get(type(node), _foreign)


def _foreign(node: Basic, parts: list[Piece], s: Spelling) -> Piece:
    """A SymPy object that is no node, as SymPy prints it; kept apart by brackets unless it is an atom."""
    text = sympy_latex(node) if s.braces else str(node)
    return Piece(text, Level.ATOM if node.is_Atom else Level.SUM)
