"""What the language has but this version cannot compute: one table, so that every refusal names its construct."""

from __future__ import annotations

from sympy import Basic

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Density, Indicator, Transpose
from symdgm.expressions.calculus import Derivative, Integral
from symdgm.expressions.expectations import Divergence, MutualInformation
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Labelled, Listing, Placeholder, Range, Relation, Subscripted
from symdgm.expressions.statements import Optimize

CONSTRUCTS: dict[type, str] = {
    Aggregate: "a sum, product or mean over an index",
    Derivative: "a derivative by a variable",
    Integral: "an integral",
    Transpose: "a transpose",
    Indicator: "an indicator",
    MutualInformation: "a mutual information",
    Labelled: "a superscript label",
    Range: "a range of an index",
    Relation: "a condition on an index",
    Listing: "a listing",
    Placeholder: "an argument that is left open",
    Optimize: "a game, or an optimisation inside a formula",
}
FUNCTIONS = ("tr", "det", "logdet", "diag", "digamma")


def refuse(node: Basic) -> None:
    """Raise `NotSupportedError` where this very node (not what is below it) cannot be computed yet."""
    what = CONSTRUCTS.get(type(node))
    if isinstance(node, Divergence) and node.kind != "KL":
        what = f"the divergence {node.kind}"
    elif isinstance(node, Subscripted) and any(type(i) in CONSTRUCTS or not i.is_Atom and i.args and type(i).__name__ not in ("Name", "Subscripted") for i in node.indices):
        what = "an index that is a range or an expression"
    elif isinstance(node, Density) and node.parameters:
        what = "a density by family inside a formula"
    if what is not None:
        raise NotSupportedError(
            f"`{node}` is read as {what}, which this version cannot compute yet",
            hint="`symdgm show` displays how it was read; the CHANGELOG says what is computed",
        )
