"""The families of a model block, and how a statement's parameters are read."""

from __future__ import annotations

from sympy import Basic, Rational, sqrt

from symdgm.binding.factors import values_of
from symdgm.binding.unsupported import LAWS
from symdgm.distributions import (
    Bernoulli,
    Beta,
    Binomial,
    Categorical,
    Cauchy,
    ContinuousBernoulli,
    Delta,
    Dirichlet,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    Exponential,
    Family,
    Gamma,
    Geometric,
    InverseGamma,
    Laplace,
    Logistic,
    LogNormal,
    Multinomial,
    MultivariateNormal,
    NegativeBinomial,
    Normal,
    OneHotCategorical,
    Poisson,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
    StudentT,
    Uniform,
    VonMises,
    VonMisesFisher,
)
from symdgm.errors import NameResolutionError, NotSupportedError, ParameterError, suggest
from symdgm.expressions.applications import Apply, Density, call
from symdgm.expressions.arithmetic import Power
from symdgm.expressions.names import spelled
from symdgm.expressions.statements import Definition

SYMBOL = "N"
"""The family's symbol that takes mean and variance, where the spelled-out name takes loc and scale."""

_SPELLED = (
    Normal, Bernoulli, Categorical, OneHotCategorical, Laplace, Logistic, Cauchy, StudentT,
    MultivariateNormal, LogNormal, Exponential, Gamma, InverseGamma, Uniform, Beta,
    ContinuousBernoulli, RelaxedBernoulli, VonMises, VonMisesFisher, Dirichlet,
    RelaxedOneHotCategorical, Binomial, Multinomial, Geometric, NegativeBinomial, Poisson,
    DiscretizedLogistic, DiscretizedLogisticMixture, Delta,
)  # fmt: skip

FAMILIES: dict[str, type[Family]] = {
    **{family.family: family for family in _SPELLED},
    SYMBOL: Normal,
    "Bern": Bernoulli,
    "Cat": Categorical,
    "Dir": Dirichlet,
    "U": Uniform,
    "Exp": Exponential,
}
"""The families of a block by name, and the symbols that papers write."""

OPTIONS: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("DiscretizedLogistic", "DiscretizedLogisticMixture"), ("levels", "low", "high")
)
"""Family → what it takes besides its parameters, as numbers by name."""

BY_NAME = ("logits", "probs")
"""Beside other parameters these are told by name only: torch's own order of the two differs from ours."""


def is_family(node: Basic) -> bool:
    """Whether a right-hand side is a family with parameters, ``Normal(z; 0, 1)``, known or unknown."""
    if isinstance(node, Density) and node.parameters:
        return True
    return isinstance(node, Density | Apply) and spelled(node.args[0]) in (*FAMILIES, *LAWS)


def family_of(node: Basic) -> type[Family]:
    """The family that a right-hand side names.

    Raises:
        NotSupportedError: a family of the literature that this version does not have.
        NameResolutionError: there is none of that name; the nearest one is named.
    """
    name = spelled(node.args[0])
    if name not in FAMILIES and name in LAWS:
        raise NotSupportedError(
            f"the family `{name}` is known, but not supported yet",
            hint=f"supported: {', '.join(f'`{n}`' for n in FAMILIES)}",
        )
    if name not in FAMILIES:
        raise NameResolutionError(f"no family is called `{name}`", hint=suggest(name, FAMILIES))
    return FAMILIES[name]


def parameters_of(node: Basic) -> tuple[Basic, ...]:
    """The parameters as written; a named one is a `Definition`."""
    return node.parameters if isinstance(node, Density) else ()


def formulas_of(node: Basic) -> dict[str, Basic]:
    """Parameter → formula, by the convention of the family's name.

    Raises:
        ParameterError: none, too many, or one that is given twice.
    """
    name, family = spelled(node.args[0]), family_of(node)
    wanted = family.parameter_names
    positional = [p for p in parameters_of(node) if not isinstance(p, Definition)]
    named = [p for p in parameters_of(node) if isinstance(p, Definition)]
    taken = ("mean", "variance") if name == SYMBOL else wanted
    example = f"write `{name}({values_of(node)[0]}; {', '.join(taken)})`"
    if not parameters_of(node):
        raise ParameterError(f"{name} has no parameters", hint=example)
    if len(positional) > len(wanted):
        counted = (
            f"{len(taken)} parameters ({', '.join(taken)})" if len(taken) > 1 else f"1 parameter ({taken[0]})"
        )
        raise ParameterError(f"{name} takes {counted}, not {len(positional)}", hint=example)
    by_name = [k for k in wanted[: len(positional)] if k in BY_NAME and len(wanted) > 1]
    if by_name and family is not DiscretizedLogisticMixture:
        raise ParameterError(
            f"{name} takes `logits` or `probs`, and does not say which of them it is given",
            hint=f"write `logits=...` or `probs=...`, as in `{name}({values_of(node)[0]}; "
            f"{', '.join(f'{k}=...' for k in wanted)})`",
        )
    result = dict(zip(wanted, positional, strict=False))
    if name == SYMBOL and len(positional) == 2:
        result["scale"] = _square_root(positional[1])
    for parameter in named:
        key = spelled(parameter.args[0])
        if key in result:
            raise ParameterError(f"{name} is given its parameter `{key}` twice", hint="leave one of them out")
        result[key] = parameter.args[1]
    return result


def _square_root(variance: Basic) -> Basic:
    """The scale of a variance, in the simplest form; that of ``sigma^2`` is ``sigma``, as papers mean it."""
    if isinstance(variance, Power) and variance.args[1] == 2:
        return variance.args[0]
    if isinstance(variance, Rational) and isinstance(root := sqrt(variance), Rational):
        return root
    return call("sqrt", variance)
