"""`Custom` as users have it: by a function, or by a formula."""

from __future__ import annotations

from typing import Any, final

from sympy import Basic

from symdgm.binding import Environment, Written
from symdgm.binding.classify import classify, declared_node
from symdgm.binding.papers import as_papers_mean
from symdgm.blocks.density import log_density
from symdgm.distributions import Custom as ByFunction
from symdgm.distributions import Distribution
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.networks import Network
from symdgm.errors import GrammarError, OptionError, ParameterError, SymdgmError
from symdgm.expressions.notation import latex
from symdgm.expressions.statements import Proportional
from symdgm.parsing import parse, read

SIGNS = ("propto", "∝")
"""What tells a formula from a declaration."""


@final
class Custom(ByFunction):
    r"""A log-density that is written by hand or is a network, or a density up to a constant as a formula.

    .. math:: p(x) \propto e^{-U(x)} \quad \text{or} \quad \log p(x) = f(x)

    It has a log-density only: nothing is known about drawing from it, nor about its moments. A formula over
    one variable is read as the density of each element of its event, and is divided by its integral where
    that is known (`symdgm.expressions.integrals`), so that ``normalised`` is true; else, and for a function,
    the log-density is known up to a constant: gradients by the variables are right, and gradients by the
    parameters lack those of the constant.

    Args:
        text: a formula such as ``p(x) propto exp(-U(x))``; factors ``1[x > 0]`` state where it is not zero.
            Or a declaration such as ``p(x|y)``.
        parts: with a declaration, a function of the variables and then the conditions, each
            ``[batch, *event]``, that returns ``[batch]``; with a formula, the distributions that it names.
        normalised: with a function, whether the density integrates to one; False by default.
        names: with a formula, the networks and scalars that it names.

    Raises:
        GrammarError: the text is no formula.
        NameResolutionError: a name refers to nothing.
        ParameterError: there is no function, or what is given is none.

    Example:
        >>> import torch, symdgm as sd
        >>> p = sd.Custom("p(x) propto exp(-U(x))", U=lambda x: x.square().sum(-1))
        >>> p.log_prob({"x": torch.ones(3, 2)}), p.normalised
        (tensor([-2., -2., -2.]), False)
        >>> p = sd.Custom("p(x) propto exp(-x^2/2)")
        >>> p.log_prob({"x": torch.zeros(1, 2)}), p.normalised
        (tensor([-1.8379]), True)
    """

    def __init__(
        self, text: str | Declaration, /, *parts: Network, normalised: bool = False, **names: Any
    ) -> None:
        if isinstance(text, str) and any(sign in text for sign in SIGNS):
            if normalised:
                raise OptionError(
                    "whether a formula is normalised is worked out, not told",
                    hint='leave `normalised` out, or pass a function: `Custom("p(x)", f, normalised=True)`',
                )
            self._by_formula(text, parts, names)
            return
        if len(parts) != 1 or names:
            raise ParameterError(
                f"Custom {text} has no formula, and not just one function",
                hint='write `Custom("p(x)", f)`, or `Custom("p(x) propto exp(-U(x))", U=...)`',
            )
        super().__init__(text, parts[0], normalised=normalised)

    @classmethod
    def of(cls, left: Basic, right: Basic, environment: Environment, reading: Written) -> Custom:
        """The distribution of a statement ``left propto right`` of a block; see `log_density`."""
        made = cls.__new__(cls)
        made._set(left, right, environment, reading)
        return made

    def _set(self, left: Basic, right: Basic, environment: Environment, reading: Written) -> None:
        found = log_density(left, right, environment, reading)
        super().__init__(
            str(left),
            found,
            normalised=found.normalised,
            formula=str(right),
            formula_latex=latex(right),
            integral=found.integral,
            improper=found.improper,
        )

    def _by_formula(self, text: str, parts: tuple[Network, ...], names: dict[str, Any]) -> None:
        reading = as_papers_mean(read(text), names, parse)
        left, right = _sides(reading.expression, text)
        environment = _environment(right, parts, names)
        try:
            self._set(left, right, environment, reading)
        except SymdgmError as error:
            raise error.at(text, reading.spans.get(right)) from error.__cause__


def _sides(statement: Basic, text: str) -> tuple[Basic, ...]:
    if not isinstance(statement, Proportional):
        raise GrammarError(
            f"`{statement}` is not one statement `p(x) propto ...`",
            hint="blocks of several statements are for `sd.Model`",
            source=text,
            span=(0, len(text)),
        )
    return tuple(statement.args)


def _environment(right: Basic, parts: tuple[Network, ...], names: dict[str, Any]) -> Environment:
    declared = []
    for part in parts:
        if not isinstance(part, Distribution):
            raise ParameterError(
                f"{type(part).__name__} stands beside a formula, which names its networks",
                hint='bind it by name, as in `Custom("p(x) propto exp(-U(x))", U=...)`',
            )
        declared.append((declared_node(part, parse), part))
    return classify([right], declared, names, parse, ("normalised",))
