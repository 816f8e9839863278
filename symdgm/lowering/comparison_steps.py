"""What the derivation says of a divergence that is estimated from draws."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Basic

from symdgm.binding.factors import Match
from symdgm.binding.sample_laws import Sampled
from symdgm.expressions.notation import unicode
from symdgm.lowering.divergence_options import MMD, Energy, Option, Sinkhorn, SlicedWasserstein
from symdgm.lowering.sample_draws import Side
from symdgm.rewriting.rule import Change, Kind, Step

SOURCES: dict[type, str] = {
    MMD: "Gretton et al. (2012), lemma 6 and equation 5",
    Energy: "Székely and Rizzo (2013)",
    SlicedWasserstein: "Bonneel et al. (2015), definition 7",
    Sinkhorn: "Feydy et al. (2019), equation 3",
}
"""Where to read about each."""
FEW = "the distance of two samples is above that of their laws, by less the more draws there are"
EARLY = "the transport is found to the accuracy that `scaling` sets"
PAIRS = "the mean over pairs of different draws, none with itself"
NONLINEAR = "but a nonlinear function of it is taken, so the value is biased"


def step(node: Basic, option: Option, sides: Sequence[Side], *, by_example: bool, linear: bool) -> Step:
    """The step of one divergence.

    Args:
        node: the divergence.
        option: how it is estimated.
        sides: the draws of both laws.
        by_example: whether each example has a number of its own.
        linear: whether the value enters the objective linearly.
    """
    name, kind, why = _verdict(node, option)
    if not linear and kind is Kind.UNBIASED:
        kind, why = Kind.BIASED, f"{why}; {NONLINEAR}"
    of = "each example" if by_example else "the whole batch"
    for factor, estimator in {f: e for side in sides for f, e in side.relaxed.items()}.items():
        kind, why = Kind.BIASED, f"{why}; draws of {unicode(factor)} by {estimator.name}: {estimator.why}"
    formulas: list[Basic] = []
    how = " and ".join(_how(side.law, side.count, formulas) for side in sides)
    change = Change(node, node, f"is one number for {of}, estimated from {how}", tuple(formulas))
    return Step(name, kind, why, (change,), node, SOURCES[type(option)])


def _how(law: Sampled, count: int, formulas: list[Basic]) -> str:
    """How a law is drawn; the formulas in it are added to those of the note."""

    def places(*nodes: Basic) -> str:
        formulas.extend(nodes)
        return ", ".join(f"{{{i}}}" for i in range(len(formulas) - len(nodes), len(formulas)))

    def drawn(match: Match) -> str:
        return f"{places(*match.values)} ~ {places(match.node)}"

    if not law.matches:
        return f"the rows of {places(law.node)}"
    whole = places(law.node)
    rows = f"row of {places(*law.rows)}" if law.rows else "example"
    many = f"{count} draws" if count > 1 and not law.rows else "one draw"
    return f"{many} from {whole} for each {rows} ({', '.join(map(drawn, law.matches))})"


def _verdict(node: Basic, option: Option) -> tuple[str, Kind, str]:
    """The name of an estimate, what it is, and why."""
    if isinstance(option, MMD | Energy):
        return _of_pairs(option)
    if isinstance(option, Sinkhorn):
        return "Sinkhorn divergence of samples", Kind.BIASED, f"{FEW}; {EARLY}"
    why = FEW
    if node.args[0].name == "W_1":
        why = f"no critic is bound, so W is sliced: the mean over directions is at most W; {FEW}"
    return "sliced Wasserstein distance of samples", Kind.BIASED, why


def _of_pairs(option: MMD | Energy) -> tuple[str, Kind, str]:
    if option.statistic == "biased":
        why = "the mean over all pairs of draws, each with itself too: never negative, but too large"
        return "V-statistic", Kind.BIASED, why
    if isinstance(option, MMD) and option.by_median:
        why = (
            f"{PAIRS}: unbiased for a given kernel, but the widths are median distances of the same draws, "
            "which leaves a bias of order 1/n, and none where the laws are equal"
        )
        return "U-statistic", Kind.BIASED, why
    return "U-statistic", Kind.UNBIASED, f"{PAIRS}, is unbiased; it may be negative"
