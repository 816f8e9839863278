"""What every distribution can be asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Never

import torch
from torch import Tensor, nn

from symdgm.distributions.declaration import Declaration
from symdgm.distributions.networks import NetworkSource, refuse_another
from symdgm.distributions.notation import LATEX, TEXT, Notation
from symdgm.distributions.shapes import Shape
from symdgm.distributions.spelling import spell
from symdgm.errors import DataError, NameResolutionError, NotSupportedError, OptionError, suggest

if TYPE_CHECKING:
    from symdgm.distributions.joint import Joint
    from symdgm.distributions.model_graph import ModelGraph

SampleAxes = Mapping[str, int]
"""For a variable, the number of sample axes that stand before its batch axis; 0 where it is not named."""


class Distribution(nn.Module, ABC):
    """A distribution over named variables, given other named variables.

    Values are dicts from a variable to a tensor ``[*samples, batch, *event]``. A distribution that is given
    nothing has a batch of one unless ``n`` says otherwise. It keeps nothing between calls.

    Args:
        declaration: the name, variables and conditions, such as ``q(z|x)``.
    """

    def __init__(self, declaration: str | Declaration) -> None:
        super().__init__()
        read = declaration if isinstance(declaration, Declaration) else Declaration.parse(declaration)
        self.declaration = read

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_another(self, name, value)
        super().__setattr__(name, value)

    @property
    def name(self) -> str:
        """The name in front of the bracket, such as ``q_phi``."""
        return self.declaration.name

    @property
    def variables(self) -> tuple[str, ...]:
        """The random variables, in declared order."""
        return self.declaration.variables

    @property
    def given(self) -> tuple[str, ...]:
        """The conditioning variables, in declared order."""
        return self.declaration.given

    @property
    def factors(self) -> tuple[Distribution, ...]:
        """What the distribution is a product of, as written; itself, if it is one factor."""
        return (self,)

    @property
    @abstractmethod
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks that give parameters or values, each with what it is called on; empty without one."""

    @abstractmethod
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
        """Draw a value of every variable, differentiable by the parameters where the family is continuous.

        Args:
            given: the conditions by name, each ``[batch, *event]``.
            n: the batch size, for a distribution that is given nothing; 1 by default.
            shape: sample axes to put before the batch: the result is ``[*shape, batch, *event]``.
            generator: the source of random numbers; the global one by default.
            sample_axes: for conditions that already have sample axes before their batch axis, how many.
            check: whether parameters are checked for their range, which reads them back from an accelerator.
            **unknown: refused, with the options that there are.
        """

    @abstractmethod
    def log_prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The log-density ``[*samples, batch]``: summed over the event, never over batch or sample axes.

        Args:
            values: all variables and conditions by name.
            sample_axes: for values that have sample axes before their batch axis, how many; for the variable
                itself they follow from its event shape.
            check: whether values and parameters are checked for their support, which reads them back from an
                accelerator.
            **unknown: refused, with the options that there are.
        """

    @abstractmethod
    def entropy(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> Tensor:
        """The entropy ``[batch]`` in nats, summed over the event."""

    @abstractmethod
    def mean(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The mean of every variable, ``[batch, *event]``."""

    @abstractmethod
    def variance(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The elementwise variance of every variable, ``[batch, *event]``."""

    def parameters_at(
        self, given: Mapping[str, Tensor] | None = None, *, sample_axes: SampleAxes | None = None
    ) -> dict[str, Tensor]:
        """The parameters at given conditions, by name, of a distribution that is of a family."""
        raise self._refuse("parameters of its own", "ask one of its `factors`, or for `mean` and `variance`")

    def knowing(self, values: object) -> Distribution:
        """What it is where only the conditions in ``values`` are known; itself, unless it can do without.

        A product of experts leaves out the experts whose conditions are missing. Whatever else is missing, or
        is no name of it, is refused when it is evaluated.
        """
        return self

    def prob(
        self,
        values: Mapping[str, Tensor],
        *,
        sample_axes: SampleAxes | None = None,
        check: bool = True,
        **unknown: Never,
    ) -> Tensor:
        """The density ``[*samples, batch]``, the exponential of `log_prob`."""
        return self.log_prob(values, sample_axes=sample_axes, check=check, **unknown).exp()

    def score(
        self, values: Mapping[str, Tensor], *, sample_axes: SampleAxes | None = None, check: bool = True
    ) -> tuple[Tensor, dict[str, int]]:
        """The log-density, and for each variable the number of sample axes of its value.

        A product needs the second for the conditions of its next factor. Where a distribution does not know
        the event shapes of its variables, `sample_axes` says it, or else they have as many as the density.
        """
        log_prob = self.log_prob(values, sample_axes=sample_axes, check=check)
        told = sample_axes or {}
        return log_prob, {name: told.get(name, log_prob.ndim - 1) for name in self.variables}

    def __mul__(self, other: Distribution) -> Joint:
        """The product of two distributions, in any order: `Joint`."""
        from symdgm.distributions.joint import Joint  # joint builds on this file

        return Joint([self, other]) if isinstance(other, Distribution) else NotImplemented

    def rename(self, names: Mapping[str, str] | None = None, /, **named: str) -> Distribution:
        """The same distribution over other variables; weights are shared, and two names may be swapped.

        Args:
            names: new names by old name, for names that are no Python words.
            **named: the same by keyword.

        Raises:
            NameResolutionError: a name is unknown, or two variables would have one name.

        Example:
            >>> from symdgm.distributions import Normal
            >>> q = Normal("q(z|x)", lambda x: (x, 1.0))
            >>> str(q.rename(x="y", z="w")), str(q.rename(x="z", z="x"))
            ('q(w|y)', 'q(x|z)')
        """
        from symdgm.distributions.renamed import rename

        return rename(self, {**(names or {}), **named})

    def named(self, name: str) -> Distribution:
        """The same distribution under another name, which is the one in front of the bracket.

        Example:
            >>> from symdgm.distributions import Normal
            >>> str(Normal("q1(z|x)", lambda x: (x, 1.0)).named("q"))
            'q(z|x)'
        """
        from symdgm.distributions.renamed import rename

        return rename(self, {}, name=name)

    def renamed(self, declaration: Declaration) -> Distribution:
        """The same distribution under a declaration of as many names, in the same order; see `rename`."""
        from symdgm.distributions.renamed import Renamed

        return Renamed(self, declaration)

    def marginal(self, *variables: str, budget: int | None = None) -> Distribution:
        r"""The distribution over some of the variables: the others are integrated out.

        .. math:: p(x) = \int p(x, z) \, dz

        Args:
            *variables: which to keep.
            budget: the size of the largest table of an exact sum, for each example; see `Marginal`.

        Raises:
            NameResolutionError: a name is unknown, or there is none.
        """
        from symdgm.distributions.derived import marginal

        return marginal(self, variables, budget)

    def condition(self, values: Mapping[str, Tensor] | None = None, /, **named: Tensor) -> Distribution:
        """The distribution at data: conditions are fixed, and variables are observed (Bayes' rule).

        Args:
            values: by name, each ``[batch, *event]``.
            **named: the same by keyword.

        Raises:
            NameResolutionError: a name is unknown, or nothing is left.

        Example:
            >>> from symdgm.distributions import Normal
            >>> q = Normal("q(z|x)", lambda x: (x, 1.0)).condition(x=torch.zeros(4, 2))
            >>> q.sample(shape=3)["z"].shape
            torch.Size([3, 4, 2])
        """
        from symdgm.distributions.derived import condition

        return condition(self, {**(values or {}), **named})

    @property
    def graph(self) -> ModelGraph:
        """The graphical model over the variables, a `networkx.DiGraph` which draws itself."""
        from symdgm.distributions.model_graph import graph_of

        return graph_of(self)

    @property
    def text(self) -> str:
        r"""The declaration, and what it stands for if it is made of other distributions.

        Example:
            >>> from symdgm.distributions import Normal
            >>> p = Normal("p(x|z)", lambda z: (z, 1.0)) * Normal("p(z)", loc=0.0, scale=1.0)
            >>> p.text, p.marginal("x").latex
            ('p(x, z) = p(x|z) p(z)', 'p(x) = \\int p(x \\mid z) \\, p(z) \\, dz')
        """
        return TEXT.equation(TEXT.head(self.declaration), self.written(TEXT))

    @property
    def latex(self) -> str:
        """The same in LaTeX."""
        return LATEX.equation(LATEX.head(self.declaration), self.written(LATEX))

    def written(self, notation: Notation) -> str | None:
        """What stands behind the equals sign; None for what is not made of other distributions."""
        return None

    def _repr_latex_(self) -> str:
        return f"${self.latex}$"

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """For subclasses: write it to return the parameters at the given variables."""
        raise NotSupportedError(
            f"the distribution {self} is not a function that can be called",
            hint="use `.sample(given)` or `.log_prob(values)`; a subclass may define `forward`",
        )

    def __str__(self) -> str:
        return self.declaration.text

    def _has_own_forward(self) -> bool:
        return type(self).forward is not Distribution.forward

    def _refuse(self, what: str, hint: str) -> NotSupportedError:
        return NotSupportedError(f"{type(self).__name__} {self} has no {what}", hint=hint)


def read_values(values: object, names: tuple[str, ...], owner: str) -> dict[str, Tensor]:
    """Named tensors in the order of ``names``, and nothing else.

    Raises:
        NameResolutionError: a name is missing or unknown.
        DataError: the values are no mapping, or one of them is no tensor.
    """
    if not isinstance(values, Mapping):
        example = ", ".join(f'"{name}": {name}' for name in names)
        raise DataError(
            f"{owner} got a {type(values).__name__} in place of named values", hint=f"write `{{{example}}}`"
        )
    found = {name if name in names else spell(str(name)): value for name, value in values.items()}
    for name in found:
        if name not in names:
            hint = suggest(name, names) if names else "it is given nothing"
            raise NameResolutionError(f"{owner} takes no value of `{name}`", hint=hint)
    for name in names:
        if name not in found:
            raise NameResolutionError(f"{owner} needs a value of `{name}`", hint=_received(found))
        if not isinstance(found[name], Tensor):
            raise DataError(
                f"{name} is a {type(found[name]).__name__}, not a tensor",
                hint=f"write `torch.as_tensor({name})`",
            )
    return {name: found[name] for name in names}


def _received(found: Mapping[str, object]) -> str:
    return f"it got {', '.join(f'`{name}`' for name in found)}" if found else "it got no values"


def batch_axes(names: tuple[str, ...], sample_axes: SampleAxes | None, owner: str) -> dict[str, int]:
    """The number of leading axes of each variable: its sample axes and the batch axis."""
    extra = dict(sample_axes or {})
    for name, count in extra.items():
        if name not in names:
            raise NameResolutionError(f"{owner} has no variable `{name}`", hint=suggest(name, names))
        if not isinstance(count, int) or count < 0:
            raise OptionError(
                f"`sample_axes` of {name} is {count!r}", hint="write a number of axes, 0 or more"
            )
    return {name: 1 + extra.get(name, 0) for name in names}
