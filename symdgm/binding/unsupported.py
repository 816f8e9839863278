"""What the language has but this version cannot compute: every refusal names its construct."""

from __future__ import annotations

from sympy import Basic, Number

from symdgm.errors import NotSupportedError
from symdgm.expressions.applications import Call, Density, Indicator, Transposed
from symdgm.expressions.calculus import DerivativeBy, IntegralOver
from symdgm.expressions.expectations import DivergenceBetween, MutualInformation
from symdgm.expressions.names import (
    IndexRange,
    Labelled,
    Listing,
    Name,
    Placeholder,
    Relation,
    Subscripted,
    spelled,
)
from symdgm.expressions.statements import Abbreviation, Block, Definition, Labeled, Optimize, Proportional

CONSTRUCTS: dict[type, str] = {
    DerivativeBy: "a derivative by a variable",
    IntegralOver: "an integral",
    Transposed: "a transpose",
    Indicator: "an indicator",
    MutualInformation: "a mutual information",
    Labelled: "a superscript label",
    IndexRange: "a range of an index",
    Relation: "a condition on an index",
    Listing: "a listing",
    Placeholder: "an argument that is left open",
    Optimize: "a game, or an optimisation inside a formula",
    Proportional: "an unnormalised density",
    Definition: "an equation inside a formula",
}
STATEMENTS = (Abbreviation, Block, Labeled)
"""What belongs into a model block only."""
FUNCTIONS = ("tr", "det", "logdet", "diag", "digamma", "logsumexp")
"""The functions that cannot be computed."""
SEVERAL = ("max", "min")
"""The functions of two or more arguments; all others take one."""
READ = "`symdgm show` displays how it was read; the CHANGELOG says what is computed"
ONE_PLAYER = "for one player, who owns all parameters, write `maximize ...` or `minimize ...` alone"
LAWS = (
    "N", "Normal", "U", "Uniform", "Bernoulli", "Bern", "Categorical", "Cat", "OneHotCategorical", "Dir",
    "Dirichlet", "Gamma", "Beta", "Laplace", "Poisson", "Exponential", "Exp", "Gumbel", "Logistic",
    "StudentT", "Cauchy", "HalfNormal", "HalfCauchy", "LogNormal", "LogitNormal", "MultivariateNormal", "MVN",
    "LowRankMultivariateNormal", "InverseGamma", "Wishart", "InverseWishart", "LKJ", "Chi2", "Weibull",
    "Pareto", "Kumaraswamy", "VonMises", "VonMisesFisher", "Binomial", "NegativeBinomial", "Multinomial",
    "Geometric", "Delta", "Dirac", "RelaxedBernoulli", "RelaxedOneHotCategorical", "Concrete",
    "GumbelSoftmax", "ContinuousBernoulli", "DiscretizedLogistic", "TruncatedNormal", "Mixture",
    "MixtureOfGaussians", "GP", "DP", "BetaBernoulli", "StickBreaking",
)  # fmt: skip
"""Names that mean a family of distributions where they are not bound (LANGUAGE.md 8.16)."""


def refuse(node: Basic) -> None:
    """Refuse this very node (not what is below it) if it cannot be computed yet.

    Raises:
        NotSupportedError: it names the construct.
    """
    if isinstance(node, STATEMENTS):
        raise NotSupportedError(
            "a formula is wanted here, not the statements of a model block",
            hint="pass the block to `sd.Model`",
        )
    what = CONSTRUCTS.get(type(node)) or _special(node)
    if what is not None:
        raise NotSupportedError(
            f"`{node}` is read as {what}, which this version cannot compute yet",
            hint=ONE_PLAYER if isinstance(node, Optimize) else READ,
        )


def refuse_family(density: Basic) -> None:
    """Refuse the density of a family, ``N(z | 0, I)``, inside a formula.

    Raises:
        NotSupportedError: if its name means a family.
    """
    if spelled(density.args[0]) in LAWS:
        raise NotSupportedError(
            f"`{density}` is read as a density by family, which this version cannot compute yet",
            hint='bind it as a distribution, as in `sd.Normal("p(z)", loc=0.0, scale=1.0)`, and write `p(z)`',
        )


def _special(node: Basic) -> str | None:
    """The constructs that are told by more than the kind of their node."""
    if isinstance(node, DivergenceBetween) and node.kind != "KL":
        return f"the divergence {node.kind}"
    if isinstance(node, Subscripted) and not all(
        isinstance(i, Name | Number | Subscripted) for i in node.indices
    ):
        return "an index that is a range or an expression"
    if isinstance(node, Density) and node.parameters:
        return "a density by family inside a formula"
    if isinstance(node, Call) and node.function in FUNCTIONS:
        return f"the function {node.function}"
    if isinstance(node, Call) and (len(node.args) == 2) == (node.function in SEVERAL):
        return f"{node.function} of {len(node.args) - 1} arguments"
    return None
