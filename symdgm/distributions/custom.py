"""A distribution of which only the log-density is known, perhaps up to a constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Never

import torch
from torch import Tensor

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution, SampleAxes, batch_axes, read_values
from symdgm.distributions.failures import attempt
from symdgm.distributions.leading_axes import apply_over_leading_axes
from symdgm.distributions.networks import Network, NetworkSource, label_of, register_network
from symdgm.distributions.notation import LATEX, TEXT, Notation
from symdgm.distributions.outputs import describe
from symdgm.distributions.shapes import Shape, leading_of, show
from symdgm.errors import ShapeError, refuse_unknown

NETWORK = "log_density"


class Custom(Distribution):
    r"""A log-density that is written by hand or is a network, such as minus an energy.

    .. math:: \log p(x) = f(x) \quad \text{or} \quad p(x) \propto e^{f(x)}

    It has a log-density only: nothing is known about drawing from it, nor about its moments. Unless it is
    said to be normalised, it is known up to a constant (which depends on the conditions, if there are any):
    gradients by the variables are right, and gradients by the parameters of f lack those of the constant.

    Args:
        declaration: such as ``p(x)``, ``p(x,y|z)``.
        log_density: takes the variables and then the conditions in declared order, each ``[batch, *event]``,
            and returns ``[batch]``; the weights of a module are trained.
        normalised: whether the density integrates to one; False by default.
        formula: how the density is written, such as ``exp(-U(x))``; it is shown.
        formula_latex: the same in LaTeX.
        integral: how the integral is written by which it was divided; it is shown.
        improper: whether it is known that the integral is infinite, as of a flat prior on the line.

    Raises:
        ParameterError: what is given cannot be called, or takes other arguments.

    Example:
        >>> p = Custom("p(x)", lambda x: -x.square().sum(-1))
        >>> p.log_prob({"x": torch.ones(3, 2)}), p.normalised
        (tensor([-2., -2., -2.]), False)
    """

    family: ClassVar[str] = "Custom"
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = False

    def __init__(
        self,
        declaration: str | Declaration,
        log_density: Network,
        /,
        *,
        normalised: bool = False,
        formula: str = "",
        formula_latex: str = "",
        integral: str = "",
        improper: bool = False,
    ) -> None:
        super().__init__(declaration)
        self.described = f"{self.family} {self.declaration.text}"
        self.normalised = normalised
        self.formula, self.formula_latex = formula, formula_latex
        self.integral, self.improper = integral, improper
        register_network(self, NETWORK, log_density, self.variables + self.given, self.described)

    @property
    def text(self) -> str:
        """The declaration, and the formula that it is proportional to, where there is one."""
        return self._proportional(TEXT, self.formula)

    @property
    def latex(self) -> str:
        """The same in LaTeX."""
        return self._proportional(LATEX, self.formula_latex)

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """None: the log-density is no parameter."""
        return ()

    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The log-density ``[*samples, batch]``, perhaps up to a constant; see `Distribution.log_prob`."""
        refuse_unknown(unknown, ("values", "sample_axes", "check"))
        names = self.variables + self.given
        found = read_values(values, names, self.described)
        axes = batch_axes(names, sample_axes, self.described)
        leading = leading_of(found, axes)
        call: Network = getattr(self, NETWORK)
        tensors = list(found.values())
        output = attempt(
            lambda: apply_over_leading_axes(call, tensors, [axes[n] for n in names]),
            f"`{label_of(call)}({', '.join(names)})` of {self.described}",
            lambda: found,
        )
        return self._read(output, leading)

    def sample(
        self,
        given: Mapping[str, Tensor] | None = None,
        *,
        n: int | None = None,
        shape: Shape = (),
        generator: torch.Generator | None = None,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> dict[str, Tensor]:
        """Refused: a density does not say how to draw."""
        raise self._refuse(
            "draws: only its log-density is known",
            "draw from a proposal q that has draws, `importance(p, q, values)` weighs them, or take "
            "expectations over q as in `E_q(x)[log p(x) - log q(x)]`",
        )

    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """Refused: it would take draws."""
        raise self._refuse("entropy: only its log-density is known", "take a family that has one")

    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """Refused: it would take draws."""
        raise self._refuse("mean: only its log-density is known", "take a family that has one")

    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """Refused: it would take draws."""
        raise self._refuse("variance: only its log-density is known", "take a family that has one")

    def __repr__(self) -> str:
        if self.formula:
            return f"{self.family} {self.text}, {self.account}"
        kind = "normalised" if self.normalised else "unnormalised"
        return f"{self.described} with the {kind} log-density {label_of(getattr(self, NETWORK))}"

    @property
    def account(self) -> str:
        """What is known of the integral.

        Example:
            >>> Custom("p(x)", lambda x: -x.square().sum(-1)).account
            'known up to a constant'
        """
        if not self.normalised:
            return "improper: its integral is infinite" if self.improper else "known up to a constant"
        return "normalised" + f": {self.integral}" * bool(self.integral)

    def _proportional(self, notation: Notation, formula: str) -> str:
        head = notation.head(self.declaration)
        return notation.proportional(head, formula) if formula else head

    def _read(self, output: object, leading: torch.Size) -> Tensor:
        if isinstance(output, Tensor) and output.shape == leading:
            return output
        if isinstance(output, Tensor) and output.ndim > len(leading):
            hint = "a log-density is one number for each example: sum over the event, `.flatten(1).sum(1)`"
        else:
            hint = "return one number for each example"
        text = f"{label_of(getattr(self, NETWORK))} returned {describe(output)}"
        raise ShapeError(
            f"{text} as the log-density of {self.described} for a batch {show(leading)}", hint=hint
        )
