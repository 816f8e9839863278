"""The face of an equation: bind it, look at it, evaluate it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Self, final

import torch
from sympy import Basic
from torch import Tensor, nn

from symdgm.binding import Bound, BoundFacts, Environment, Excerpt, Scalars, Written, bind
from symdgm.binding.classify import classify, declared_node, refuse_unused
from symdgm.binding.observations import check_batch, check_draws, check_values, collect, read_data, respelled
from symdgm.binding.papers import as_papers_mean
from symdgm.derivation import Derivation, assemble
from symdgm.distributions import Distribution, Joint
from symdgm.errors import OptionError, SymdgmError, suggest
from symdgm.expressions.expectations import Binder
from symdgm.expressions.node import Node
from symdgm.expressions.notation import latex, unicode
from symdgm.expressions.signature import signature
from symdgm.lowering import Output, Segments, freeze, segments
from symdgm.parsing import parse, read
from symdgm.parts import factors_of, networks_of
from symdgm.rewriting import derive
from symdgm.runtime import Runner
from symdgm.statement import statement_of
from symdgm.training.randomness import RandomState

OPTIONS = ("samples", "analytic", "validate", "truncate", "checkpoint")
"""The keywords of an objective that are no names of the formula."""


@final
class Objective:
    r"""An equation whose names are bound, so that it can be evaluated and differentiated.

    .. math:: \mathbb{E}_{q(z|x)}[\log p(x|z)] - \beta D_{\mathrm{KL}}[q \| p]

    Args:
        equation: the text, in ASCII, Unicode or LaTeX, or an expression; `symdgm` describes the language.
        distributions: the distributions that it names.
        samples: the number of draws for each expectation, or a dict from variable to number; 1 by default.
        analytic: whether closed forms are used; if not, divergences are estimated by Monte Carlo.
        validate: whether values are checked for their support at every call (on an accelerator, at the
            first).
        truncate: after how many steps of a sequence gradients stop; by default they never do.
        checkpoint: how many steps of a loop over time are computed anew together for the gradient, to save
            memory.
        names: networks that the formula applies, scalars (a number, a 0-d tensor, an `nn.Parameter`, or a
            function of the
            training step), distributions under another name, event shapes of variables. A function whose one
            parameter is
            called ``step`` is always a schedule; another function is a network where the formula applies it.

    Raises:
        GrammarError: the text is no formula; a caret shows where.
        NameResolutionError: a name refers to nothing or to several things; the candidates are listed.
        NotSupportedError: the formula has a construct that this version cannot compute.
        OptionError: a keyword has no meaning in this formula, or an option has an impossible value.

    Example:
        >>> import torch, symdgm as sd
        >>> q = sd.Normal("q(z|x)", lambda x: (x.mean(1, keepdim=True), torch.ones(len(x), 1)))
        >>> p = sd.Bernoulli("p(x|z)", lambda z: z.expand(-1, 4))
        >>> prior = sd.Normal("p(z)", loc=0.0, scale=1.0)
        >>> elbo = sd.Objective("E_q(z|x)[log p(x|z)] - KL[q||p]", q, p, prior)
        >>> elbo.terms(x=torch.zeros(8, 4))["KL[q || p]"]
        tensor(0.)
    """

    def __init__(
        self,
        equation: str | Node,
        *distributions: Distribution,
        samples: int | Mapping[str, int] = 1,
        analytic: bool = True,
        validate: bool = True,
        truncate: int | None = None,
        checkpoint: int | None = None,
        **names: Any,
    ) -> None:
        reading = as_papers_mean(reading_of(equation), names, parse)
        declared = [(declared_node(d, parse), d) for d in distributions_of(distributions)]
        environment = classify([statement_of(reading.expression).body], declared, names, parse, OPTIONS)
        self._build(reading, environment, samples, analytic, validate, segments(truncate, checkpoint))
        _refuse_unused(self.bound, names)

    @classmethod
    def over(
        cls,
        reading: Written,
        environment: Environment,
        *,
        samples: int | Mapping[str, int] = 1,
        analytic: bool = True,
        validate: bool = True,
        truncate: int | None = None,
        checkpoint: int | None = None,
    ) -> Self:
        """The objective of a formula in an environment that stands already; models are built by it.

        Args:
            reading: the formula.
            environment: what its names are bound to.
            samples: see `Objective`.
            analytic: see `Objective`.
            validate: see `Objective`.
            truncate: see `Objective`.
            checkpoint: see `Objective`.
        """
        objective = cls.__new__(cls)
        objective._build(reading, environment, samples, analytic, validate, segments(truncate, checkpoint))
        return objective

    def _build(
        self,
        reading: Written,
        environment: Environment,
        samples: int | Mapping[str, int],
        analytic: bool,
        validate: bool,
        loops: Segments,
    ) -> None:
        self.expression: Basic = reading.expression
        statement = statement_of(self.expression)
        self.label, self.direction, body = statement.label, statement.direction, statement.body
        self.bound: Bound = bind(body, environment, reading)
        self.validate = validate
        facts = BoundFacts(environment, self.bound.expression)
        rewriting = derive(self.bound.expression, facts, analytic=analytic)
        frozen = freeze(self.bound, rewriting, facts, _counts(samples, self.bound))
        frozen.segments = loops
        self.term_names = _term_names(self.bound, [t.name for t in rewriting.terms])
        self.derivation: Derivation = assemble(body, self.bound, rewriting, frozen.estimates)
        self.factors, self.networks = factors_of(self.bound), networks_of(self.bound)
        self.runner = Runner(frozen, self.term_names, str(body), self._anchor)

    @property
    def data(self) -> tuple[str, ...]:
        """The names of the observed variables."""
        return self.bound.data

    @property
    def scalars(self) -> Scalars:
        """The scalars by name; ``objective.scalars["beta"] = 0.5`` changes one, and compiles nothing."""
        return self.bound.environment.scalars

    @property
    def events(self) -> Mapping[str, torch.Size]:
        """The event shapes of the variables, as far as an evaluation has shown them."""
        return self.runner.events

    @property
    def code(self) -> str:
        """The PyTorch that the last evaluation ran; it returns means, unless only `per_example` was run.

        Raises:
            SymdgmError: nothing was evaluated yet, so that no shapes are known.
        """
        return code_of(self, "objective")

    @property
    def signature(self) -> str:
        """The digest of the equation's structure: equal for equations that mean the same."""
        return signature(self.expression)

    def __call__(self, values: object = None, /, *, n: int = 1, **data: object) -> Tensor:
        """The value, averaged over the batch, ``[]``; differentiable. Every call draws anew.

        Args:
            values: the data as a dict, for names that are no Python identifiers; or the value of the only
                observed variable.
            n: the number of draws, where there are no data.
            data: the observed variables, each ``[batch, *event]``.

        Raises:
            DataError: data are missing or have unknown names.
            OptionError: ``n`` is given with data, or is no whole number from 1.
            ShapeError: shapes, batch sizes or dtypes do not fit together.
            SupportError: a value lies outside the support of its distribution.
        """
        tensors = self.read(collect(values, data, self.data))
        return self.evaluate(tensors, n=check_draws(n, tensors))[0]

    def terms(self, values: object = None, /, *, n: int = 1, **data: object) -> dict[str, Tensor]:
        """Each term by its mathematical name, without sign and scalar factors; the batch mean, ``[]``.

        Args:
            values: see `__call__`, whose errors it raises.
            n: see `__call__`.
            data: see `__call__`.
        """
        tensors = self.read(collect(values, data, self.data))
        return self.evaluate(tensors, n=check_draws(n, tensors))[1]

    def per_example(self, values: object = None, /, *, n: int = 1, **data: object) -> Tensor:
        """The value of each example, ``[batch]``; where it is the same for all, it is repeated.

        Args:
            values: see `__call__`, whose errors it raises.
            n: see `__call__`.
            data: see `__call__`.
        """
        tensors = self.read(collect(values, data, self.data))
        value = self.evaluate(tensors, n=check_draws(n, tensors), output=Output.EXAMPLES)[0]
        return value.expand(next((len(v) for v in tensors.values()), n))

    def evaluate(
        self, data: Mapping[str, Tensor], *, n: int = 1, output: Output = Output.MEAN
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The value and the terms from one evaluation; the data are taken as they are (see `read`)."""
        return self.runner(data, n=n, output=output)

    def read(self, values: Mapping[str, object]) -> dict[str, Tensor]:
        """The data as checked tensors; on an accelerator, values are looked at the first time only."""
        anchor = self._anchor()
        data = self._tensors(values, anchor)
        if self.validate and (
            _on_cpu(data) or self.runner.key(data, Output.MEAN) not in self.runner.programs
        ):
            check_values(self.bound.environment, data, anchor)
        return data

    def _tensors(self, values: Mapping[str, object], anchor: Tensor | None) -> dict[str, Tensor]:
        optional = [self.bound.lengths] if self.bound.lengths is not None else []
        data = read_data(respelled(values, [*self.data, *optional], parse), self.data, anchor, optional)
        check_batch(data)
        return data

    def check(self, values: Mapping[str, object]) -> None:
        """Check names, batch sizes, dtypes and supports of data; see `__call__` for the errors."""
        anchor = self._anchor()
        data = self._tensors(values, anchor)
        check_values(self.bound.environment, data, anchor)

    def inputs(self, values: object = None, /, *, n: int = 1, **data: object) -> dict[str, Any]:
        """The arguments with which `code` repeats an evaluation: ``exec(code)``, ``objective(**inputs)``.

        Args:
            values: see `__call__`, whose errors it raises.
            n: see `__call__`.
            data: see `__call__`.
        """
        tensors = self.read(collect(values, data, self.data))
        with RandomState.capture(self._device(tensors)).replayed():
            program = self.runner.program(tensors, check_draws(n, tensors))
        return self.runner.arguments(program, tensors, n)

    def parameters(self) -> list[nn.Parameter]:
        """The trained parameters of all distributions, networks and scalars, each once."""
        others = (*self.bound.initial.values(), *self.scalars.parameters().values())
        return list(dict.fromkeys((*self._module_parameters(), *others)))

    def latex(self) -> str:
        """The equation in LaTeX, in the order in which it was written."""
        return latex(self.expression)

    def __repr__(self) -> str:
        return unicode(self.expression)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {latex(self.expression)}$"

    def _module_parameters(self) -> Iterator[nn.Parameter]:
        yield from self.factors.parameters()
        yield from self.networks.parameters()

    def _anchor(self) -> Tensor | None:
        return next((p for p in self._module_parameters() if p.is_floating_point()), None)

    def _device(self, data: Mapping[str, Tensor]) -> torch.device:
        return next((t.device for t in (*data.values(), *self.parameters())), torch.device("cpu"))


def reading_of(equation: str | Node) -> Written:
    """What a text says, or an expression that has no text."""
    if isinstance(equation, Node):
        return Excerpt(equation)
    if not isinstance(equation, str):
        hint = 'write it as text, `sd.Objective("E_q(z|x)[...]", ...)`'
        raise OptionError(f"{type(equation).__name__} is no equation", hint=hint)
    return read(equation)


def code_of(objective: Objective, called: str) -> str:
    """The code that an objective ran last; ``called`` is what a first evaluation is asked of."""
    program = objective.runner.last()
    if program is None:
        example = ", ".join(f"{name}=batch" for name in objective.data) or "n=64"
        raise SymdgmError(
            "the code depends on shapes, which no evaluation has shown yet",
            hint=f"evaluate once: `{called}({example})`",
        )
    return program.text


def distributions_of(values: tuple[object, ...]) -> list[Distribution]:
    """Positional arguments as distributions; a product is taken apart into its factors."""
    found: list[Distribution] = []
    for value in values:
        if not isinstance(value, Distribution):
            hint = "bind networks and numbers by keyword, as in `encoder=...`, `beta=1.0`"
            raise OptionError(f"{type(value).__name__} is no distribution", hint=hint)
        found.extend(value.factors if isinstance(value, Joint) else [value])
    return found


def _counts(samples: int | Mapping[str, int], bound: Bound) -> dict[str, int]:
    """Variable → number of draws, with the empty name for all that are not named."""
    counts = dict(samples) if isinstance(samples, Mapping) else {"": samples}
    drawn = {str(v) for f in bound.environment.factors for v in f.variables} | {
        str(v) for e in bound.expression.atoms(Binder) for v in e.variables
    }
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise OptionError(
                f"`samples` is {count!r}",
                hint="write a whole number of draws, 1 or more, or a dict by variable",
            )
        if name and name not in drawn:
            raise OptionError(
                f"`samples` names `{name}`, which is no variable of a distribution", hint=suggest(name, drawn)
            )
    return counts


def _refuse_unused(bound: Bound, names: Mapping[str, object]) -> None:
    distributions = [str(f.head) for f in bound.environment.factors]
    time = bound.environment.time
    initial = [f"{s}_0" for s in time.initial] if time is not None else []
    used = [*bound.scalars, *bound.networks, *bound.environment.shapes, *distributions, *initial]
    refuse_unused(names, used, OPTIONS, parse)


def _term_names(bound: Bound, nodes: list[Basic]) -> list[str]:
    """What each term is called: as it was written; a repeated one is numbered."""
    seen: Counter[str] = Counter()
    names = []
    for node in nodes:
        text = str(bound.written.get(node, node))
        seen[text] += 1
        names.append(text if seen[text] == 1 else f"{text} ({seen[text]})")
    return names


def _on_cpu(data: Mapping[str, Tensor]) -> bool:
    return all(v.device.type == "cpu" for v in data.values())
