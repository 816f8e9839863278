"""An unnormalised density by its formula: ``p(x|y) propto exp(-E(x, y))``."""

from __future__ import annotations

import operator
from collections.abc import Collection, Sequence
from typing import final

from sympy import Basic, Integer
from torch import Tensor, nn

from symdgm.binding import Environment, Written
from symdgm.binding.factors import ATOMS, givens_of, values_of
from symdgm.distributions.shapes import show
from symdgm.errors import NameResolutionError, ShapeError
from symdgm.expressions.arithmetic import times
from symdgm.expressions.families import PI
from symdgm.expressions.logarithms import Side, factors_of, log_terms, sign_of
from symdgm.expressions.names import spelled
from symdgm.expressions.normaliser import Normalised, is_improper, normalised
from symdgm.expressions.notation import unicode
from symdgm.formula import Formula

OWNER = "the density depends"
COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@final
class LogDensity(nn.Module):
    """The terms of a log-density, each summed over its own event, and minus infinity outside of a region.

    Args:
        formula: the terms.
        sides: the position of a variable, how it is compared, and with what number.
        integral: how the integral over one element is written by which the density is divided, so that there
            is one term, for each element of the event of the first variable; empty if it is not normalised.
        improper: whether the integral is known to be infinite.
    """

    def __init__(
        self,
        formula: Formula,
        sides: Sequence[tuple[int, str, float]],
        *,
        integral: str = "",
        improper: bool = False,
    ) -> None:
        super().__init__()
        self.improper = improper
        self.formula = formula
        self.sides = tuple(sides)
        self.integral = integral

    @property
    def normalised(self) -> bool:
        """Whether the density integrates to one."""
        return bool(self.integral)

    def forward(self, *values: Tensor) -> Tensor:
        """The log-density ``[batch]`` at values ``[batch, *event]``."""
        inside, values = self._inside(values)
        total = values[0].new_zeros(len(values[0]))
        for term in self.formula(*values).values():
            if self.normalised and term.shape != values[0].shape:
                raise ShapeError(
                    f"the density of `{self.formula.given[0]}` {show(values[0].shape)} has the shape "
                    f"{show(term.shape)}, but it is one of each element",
                    hint="let what it depends on be of the same event shape, or one number for each example",
                )
            total = total + (term.flatten(1).sum(1) if term.dim() > 1 else term)
        return total if inside is None else total.where(inside, -float("inf"))

    def _inside(self, values: tuple[Tensor, ...]) -> tuple[Tensor | None, tuple[Tensor, ...]]:
        """Which examples lie in the region, and the values with one from the region in place of others."""
        found: Tensor | None = None
        moved = list(values)
        for position in {p for p, _, _ in self.sides}:
            own = [(sign, bound) for p, sign, bound in self.sides if p == position]
            fits = values[position] == values[position]
            for sign, bound in own:
                fits = fits & COMPARE[sign](values[position], bound)
            moved[position] = values[position].where(fits, _point(own))
            every = fits.flatten(1).all(1) if fits.dim() > 1 else fits
            found = every if found is None else found & every
        return found, tuple(moved)


def log_density(left: Basic, right: Basic, environment: Environment, reading: Written) -> LogDensity:
    """The log-density of ``left propto right``.

    It is normalised where it is over one variable and the integral over each element of its event is known.

    Raises:
        NameResolutionError: the left side does not name its variables, or the right side has other names.
        NotSupportedError: a construct that cannot be computed.
    """
    variables, given = values_of(left), givens_of(left)
    _check_left(left)
    factors, sides = factors_of(right, (*variables, *given))
    _check_sides(sides, variables, left)
    _check_sign(factors, left)
    terms = [term for factor in factors for term in log_terms(factor)]
    names = tuple(map(spelled, (*variables, *given)))
    scalars = _scalars(terms, environment)
    found = _normalised(terms, left, sides, environment, scalars)
    improper = found is None and len(variables) == 1 and is_improper(terms, variables[0], sides, scalars)
    wanted = [found.log_density - found.log_integral] if found is not None else terms or [Integer(0)]
    numbered = {f"term {i + 1}": term for i, term in enumerate(wanted)}
    formula = Formula(numbered, names, environment, reading, OWNER)
    placed = [(names.index(spelled(s.variable)), s.operator, float(s.bound)) for s in sides]
    return LogDensity(formula, placed, integral=_account(found), improper=improper)


def _normalised(
    terms: Sequence[Basic],
    left: Basic,
    sides: Sequence[Side],
    environment: Environment,
    scalars: Collection[Basic],
) -> Normalised | None:
    variables = values_of(left)
    if len(variables) > 1 or environment.scalar(PI) is not None or PI in (*variables, *givens_of(left)):
        return None
    return normalised(terms, variables[0], sides, scalars)


def _scalars(terms: Sequence[Basic], environment: Environment) -> list[Basic]:
    """The names of numbers; one that a term binds or calls is none that scales a sum over elements."""
    return [node for term in terms for node in term.atoms(*ATOMS) if environment.scalar(node) is not None]


def _account(found: Normalised | None) -> str:
    if found is None:
        return ""
    known = f"log Z = {unicode(found.log_integral)} for each element"
    conditions = ", ".join(f"{unicode(c)} > 0" for c in found.conditions)
    return f"{known}, where {conditions}" if conditions else known


def _check_left(left: Basic) -> None:
    names = (*values_of(left), *givens_of(left))
    if not values_of(left) or not all(isinstance(n, ATOMS) for n in names):
        raise NameResolutionError(
            f"`{left}` does not name the variables of a density",
            hint="write them, as in `p(x) propto exp(-U(x))` or `p(x|y) propto exp(-E(x, y))`",
        )


def _check_sign(factors: Sequence[Basic], left: Basic) -> None:
    sign = sign_of(times(Integer(1), *factors)) if factors else 1
    if sign in (0, -1):
        what = "zero" if sign == 0 else "negative"
        raise NameResolutionError(
            f"the density `{left}` is {what} everywhere",
            hint="write a formula that is positive, as in `p(x) propto exp(-U(x))`",
        )


def _check_sides(sides: Sequence[Side], variables: tuple[Basic, ...], left: Basic) -> None:
    for side in sides:
        if side.variable not in variables:
            raise NameResolutionError(
                f"`{side.variable}` stands behind the bar of `{left}`, so it has no region",
                hint=f"state a region of {', '.join(f'`{v}`' for v in variables)}",
            )
        own = [s for s in sides if s.variable == side.variable]
        if any(_is_apart(a, b) for a in own for b in own):
            raise NameResolutionError(
                f"no `{side.variable}` lies in the region that `{left}` states", hint="turn one side round"
            )


def _is_apart(low: Side, high: Side) -> bool:
    return low.operator in (">", ">=") and high.operator in ("<", "<=") and bool(low.bound >= high.bound)


def _point(sides: Sequence[tuple[str, float]]) -> float:
    """A number inside of a region."""
    low = max((bound for sign, bound in sides if sign in (">", ">=")), default=None)
    high = min((bound for sign, bound in sides if sign in ("<", "<=")), default=None)
    if low is not None and high is not None:
        return (low + high) / 2
    return low + 1 if low is not None else (high or 0.0) - 1
