"""Which estimator an expectation gets: one table, read from the top; the derivation records each choice.

| law | estimator | kind |
| --- | --- | --- |
| data distribution | mean over the minibatch | unbiased |
| deterministic | the value itself | exact |
| finite support | enumeration of the states | exact |
| pathwise | Monte Carlo with reparameterised draws | unbiased |
| nothing trained or given | Monte Carlo | unbiased |
| finitely many components, each pathwise | draws from every component, weighted | unbiased |
"""

from __future__ import annotations

from dataclasses import dataclass

from symdgm.errors import EstimatorError
from symdgm.expressions.laws import Law
from symdgm.rewriting.rule import Kind

MAX_STATES = 4096
"""The most states of a finite variable that are enumerated."""


@dataclass(frozen=True)
class Estimator:
    """A way to compute an expectation.

    Args:
        name: as displayed.
        kind: what it is to the expectation.
        why: the reason.
    """

    name: str
    kind: Kind
    why: str


MINIBATCH = Estimator(
    "minibatch mean", Kind.UNBIASED, "the rows of a batch are draws from the data, so their mean is unbiased"
)
CERTAIN = Estimator("certain value", Kind.EQUALITY, "the law puts all its mass on one value")
ENUMERATION = Estimator(
    "enumeration",
    Kind.EQUALITY,
    "the support is finite: the sum over its states is exact, value and gradient",
)
PATHWISE = Estimator(
    "pathwise Monte Carlo",
    Kind.UNBIASED,
    "a draw is a differentiable function of the parameters and of noise, so value and gradient are unbiased",
)

FIXED = Estimator(
    "Monte Carlo",
    Kind.UNBIASED,
    "nothing that is trained enters the law, so that its draws need no gradient",
)
STRATIFIED = Estimator(
    "stratified Monte Carlo",
    Kind.UNBIASED,
    "the average over the components is exact, and a draw from each is a differentiable function of the "
    "parameters and of noise, so value and gradient are unbiased",
)


def choose(law: Law) -> Estimator:
    """The estimator for an expectation over a law.

    Raises:
        EstimatorError: none is known that is sound.
    """
    if law.kind == "data":
        return MINIBATCH
    if law.kind == "deterministic":
        return CERTAIN
    if law.finite:
        return ENUMERATION
    if law.pathwise:
        return PATHWISE
    if law.fixed:
        return FIXED
    if law.stratified:
        return STRATIFIED
    if not law.drawn:
        over = ", ".join(map(str, law.values))
        raise EstimatorError(
            f"an expectation over `{law.node}` takes draws, but only its log-density is known",
            hint="take it over a law that has draws, and compare the two by their log-densities, as in "
            f"`E_q({over})[log q({over}) - log {law.node}]`",
        )
    raise EstimatorError(
        f"no sound estimator is known for an expectation over `{law.node}`, a {law.family_name}",
        hint="its draws do not carry the gradient by its parameters: use a family with pathwise draws "
        "(Normal, Gamma, RelaxedBernoulli, a flow) or a finite one (Bernoulli, Categorical, a Binomial of "
        "known trials)",
    )
