"""What observations tell of a latent chain, exactly: filtering, smoothing, the best path, and draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, final

import torch
from sympy import Basic
from torch import Tensor

from symdgm.binding import Environment
from symdgm.binding.chains import Chain as BoundChain
from symdgm.binding.chains import Sort
from symdgm.binding.observations import collect
from symdgm.distributions import Data, Distribution
from symdgm.distributions.chains import finite, gaussian
from symdgm.distributions.chains.forward import forward_algorithm
from symdgm.distributions.chains.gaussian import Moments
from symdgm.distributions.chains.kalman import kalman_filter
from symdgm.errors import OptionError
from symdgm.expressions.names import spelled
from symdgm.lowering import environment
from symdgm.objective import Objective


class StateProbabilities(NamedTuple):
    """The probability of each state at each step.

    Args:
        probs: ``[batch, time, K]``, zeros beyond a length.
        states: the states in this order, ``[K, *event]``.
    """

    probs: Tensor
    states: Tensor


@final
class Chain:
    r"""The exact posterior of a latent chain: a hidden Markov model, or a linear-Gaussian one.

    .. math:: p(x_{1:T}) = \sum_{z_{1:T}} \prod_t p(x_t|z_t) p(z_t|z_{t-1})

    Args:
        density: the law of the observed sequences, such as ``p(x_{1:T})`` or ``p(x_{1:T}|a_{1:T})``.
        distributions: the factors of a step, and of the first one.
        names: what else `Objective` takes, such as ``z_0``.

    Raises:
        OptionError: the density leaves no chain out.
        NotSupportedError: the chain is neither finite nor linear-Gaussian.

    Source:
        L. R. Rabiner (1989); R. E. Kalman (1960); H. E. Rauch, F. Tung and C. T. Striebel (1965).

    Example:
        >>> import torch, symdgm as sd
        >>> stay = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
        >>> chain = sd.Chain(
        ...     "p(x_{1:T})",
        ...     sd.Categorical("p(z_1)", probs=torch.tensor([0.5, 0.5])),
        ...     sd.Categorical("p(z_t|z_{t-1})", lambda z: {"probs": stay[z]}),
        ...     sd.Normal("p(x_t|z_t)", lambda z: (z[:, None] * 4.0, torch.ones(len(z), 1))),
        ... )
        >>> chain.most_probable(x=torch.tensor([[[0.1], [3.9], [2.1], [4.2]]]))
        tensor([[0, 1, 1, 1]])
    """

    def __init__(self, density: str, *distributions: Distribution, **names: Any) -> None:
        self.objective = Objective(f"log {density}", *distributions, **names)
        found = [f for f in self.objective.bound.environment.factors if isinstance(f, BoundChain)]
        if not found:
            raise OptionError(
                f"`{density}` leaves no latent chain out",
                hint="name the observed sequences only, as in `p(x_{1:T})`",
            )
        self.chain = found[0]

    def __repr__(self) -> str:
        return f"Chain({self.chain.node}, {self.chain.sort.value})"

    def log_prob(self, values: object = None, /, **data: object) -> Tensor:
        """``log p(x_{1:T})`` of each sequence, ``[batch]``.

        Args:
            values: the data as a dict, or the only observed sequence, ``[batch, time, *event]``.
            data: the observed sequences by name, and the lengths ``T``, ``[batch]``.
        """
        return self.objective.per_example(collect(values, data, self.objective.data))

    def filter(self, values: object = None, /, **data: object) -> StateProbabilities | Moments:
        """``p(z_t|x_{1:t})``: what is known of a state by the steps up to it.

        Args:
            values: see `log_prob`.
            data: see `log_prob`.

        Returns:
            `StateProbabilities` of a finite chain, else `Moments`: mean ``[batch, time, d]`` and covariance
            ``[batch, time, d, d]``; zeros beyond a length.
        """
        return self._marginals(finite.filtered, gaussian.filtered, values, data)

    def smooth(self, values: object = None, /, **data: object) -> StateProbabilities | Moments:
        """``p(z_t|x_{1:T})``: what is known of a state by all steps.

        Args:
            values: see `log_prob`.
            data: see `log_prob`.

        Returns:
            As `filter`.
        """
        return self._marginals(finite.smoothed, gaussian.smoothed, values, data)

    def most_probable(self, values: object = None, /, **data: object) -> Tensor:
        """The path with the largest ``p(z_{1:T}|x_{1:T})``, ``[batch, time, *event]``, zeros beyond a length.

        Args:
            values: see `log_prob`.
            data: see `log_prob`.
        """
        if self.chain.sort is Sort.LINEAR:  # the mode of a Gaussian is its mean
            return self.smooth(values, **data)[0]
        return self._paths(finite.most_probable, gaussian.sampled, values, data)

    def sample(self, values: object = None, /, **data: object) -> Tensor:
        """A draw of ``p(z_{1:T}|x_{1:T})``, ``[batch, time, *event]``, zeros beyond a length.

        Args:
            values: see `log_prob`.
            data: see `log_prob`.
        """
        return self._paths(finite.sampled, gaussian.sampled, values, data)

    def _marginals(
        self,
        discrete: Callable[[finite.Tables], list[Tensor]],
        continuous: Callable[[gaussian.Matrices], list[Moments]],
        values: object,
        data: dict[str, object],
    ) -> StateProbabilities | Moments:
        run = _Run(self, values, data)
        if self.chain.sort is Sort.FINITE:
            return StateProbabilities(run.padded(discrete(run.tables())), run.states())
        means, covariances = zip(*continuous(run.matrices()), strict=True)
        return Moments(run.padded(list(means)), run.padded(list(covariances)))

    def _paths(
        self,
        discrete: Callable[[finite.Tables], list[Tensor]],
        continuous: Callable[[gaussian.Matrices], list[Tensor]],
        values: object,
        data: dict[str, object],
    ) -> Tensor:
        run = _Run(self, values, data)
        if self.chain.sort is Sort.LINEAR:
            return run.padded(continuous(run.matrices()))
        states = run.states()
        return run.padded([states[i] for i in discrete(run.tables())])


def posterior_path(environment: Environment, density: Basic, data: Mapping[str, Tensor]) -> Tensor:
    """A draw of a latent chain given what a model knows of its observations, ``[batch, time, *event]``.

    Args:
        environment: what is bound in the model.
        density: the law of the observed sequences.
        data: the observed sequences ``[batch, time, *event]``, and what else the density is given.
    """
    laws = [
        f.distribution for f in environment.factors if not f.derived and not isinstance(f.distribution, Data)
    ]
    starts = {} if environment.time is None else environment.time.initial
    names: dict[str, Any] = {name: tuple(shape) for name, shape in environment.shapes.items()}
    names |= {f"{spelled(s)}_0": value for s, value in starts.items() if value is not None}
    return Chain(str(density), *laws, **names).sample(data)


class _Run:
    """One evaluation of the objective, with the arguments of its algorithm."""

    def __init__(self, chain: Chain, values: object, data: dict[str, object]) -> None:
        objective = chain.objective
        tensors = objective.read(collect(values, data, objective.data))
        program = objective.runner.program(tensors)
        self.found: dict[str, Any] = {**environment(), **objective.runner.arguments(program, tensors)}
        called: Callable[..., Tensor] = (
            forward_algorithm if chain.chain.sort is Sort.FINITE else kalman_filter
        )

        def recorded(*arguments: Any) -> Tensor:
            self.arguments = arguments
            return called(*arguments)

        self.found[called.__name__] = recorded
        for statement in program.statements:
            exec(compile(statement.text, "<symdgm>", "exec"), self.found)
        bound = objective.bound
        self.name = str(chain.chain.sequence)
        length = bound.lengths
        self.lengths = tensors.get(length) if length is not None else None

    def tables(self) -> finite.Tables:
        start, transition, emission, counts = self.arguments
        return start, transition, emission, counts

    def matrices(self) -> gaussian.Matrices:
        x, counts, start, transition, emission = self.arguments
        return x, counts, start, transition, emission

    def states(self) -> Tensor:
        """All states, in their order."""
        found: Tensor = self.found[f"{self.name}_states"]
        return found

    def padded(self, steps: list[Tensor]) -> Tensor:
        """Values of each time, the longest sequences first, as ``[batch, time, ...]`` in the data's order."""
        first = steps[0]
        beyond = [s.new_zeros(len(first) - len(s), *s.shape[1:]) for s in steps]
        whole = torch.stack([torch.cat(pair) for pair in zip(steps, beyond, strict=True)], 1)
        if self.lengths is None:
            return whole
        return whole[self.lengths.argsort(descending=True, stable=True).argsort()]
