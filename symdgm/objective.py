"""The face of an equation: bind it, look at it, evaluate it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self, final

import torch
from sympy import Basic
from torch import Tensor, nn

from symdgm.binding import Bound, BoundFacts, Environment, Scalars, Written, bind
from symdgm.binding.classify import classify, declared_node
from symdgm.binding.observations import check_batch, check_draws, check_values, collect, read_data, respelled
from symdgm.binding.papers import as_papers_mean
from symdgm.bounding import warn_of_direction
from symdgm.derivation import Checks, Derivation, assemble
from symdgm.distributions import Distribution
from symdgm.divergences import bind_kernels, read_divergences
from symdgm.equations import (
    OPTIONS,
    counts_of,
    distributions_of,
    drawn_variables,
    reading_of,
    refuse_unknown_keywords,
    term_names,
)
from symdgm.estimators import Recipe, read_estimators, uses_no_closed_form
from symdgm.expression import Arithmetic, Expression, bindings, unpacked
from symdgm.expressions.node import Node
from symdgm.expressions.notation import latex, unicode
from symdgm.expressions.signature import signature
from symdgm.generated import code_of
from symdgm.inline_laws import InlineLaws
from symdgm.keys import key_of
from symdgm.lowering import Choices, Option, Output, freeze
from symdgm.measuring import Subject
from symdgm.options import Options
from symdgm.parsing import parse
from symdgm.parts import Shelf, factors_of, networks_of
from symdgm.report import DRAWS, Report, report
from symdgm.rewriting import derive
from symdgm.runtime import Kinds, Runner, kinds
from symdgm.statement import statement_of
from symdgm.training.randomness import RandomState, seeded


@final
class Objective(Arithmetic):
    r"""An equation whose names are bound, so that it can be evaluated and differentiated.

    .. math:: \mathbb{E}_{q(z|x)}[\log p(x|z)] - \beta D_{\mathrm{KL}}[q \| p]

    Args:
        equation: the text, in ASCII, Unicode or LaTeX, or an expression, or a formula of `symdgm.algebra`,
            which brings its distributions; `symdgm` describes the language.
        distributions: the distributions that it names.
        samples: the number of draws for each expectation, or a dict from variable to number; 1 by default.
        analytic: whether closed forms are used; if not, divergences are estimated by Monte Carlo.
        estimators: how expectations over a variable are estimated, such as ``{"z": "score function"}``; see
            `symdgm.estimators`. What is not named has an unbiased estimator, which the derivation names.
        divergences: how divergences of samples are estimated, such as
            ``{"MMD": sd.divergences.MMD(kernel="imq")}``; see `symdgm.divergences`.
        validate: whether values are checked for their support at every call (on an accelerator, and in
            training steps, at the first of each shape).
        sharing: whether a network is called once for all occurrences of the same distribution; without, it is
            called for each, at the same values: the cost that memoisation saves.
        compile: whether evaluations run through `torch.compile`, from the second of a shape on, or its
            backend; of sequences what lies between loops over time. Noise is as without, sizes are dynamic.
        truncate: after how many steps of a sequence gradients stop at what is carried, by a loop or by a
            recurrent module; by default they never do.
        checkpoint: how many steps over time are computed anew together for the gradient, to save memory.
        precision: ``"bfloat16"`` runs networks under `torch.autocast`; densities, sums and means stay in
            single precision, as they do under a `torch.autocast` of your own.
        memory_budget: bytes, or ``"2 GB"``, for what networks compute of draws and states, gradients
            included; beyond it a few at a time are computed, with the same values: `symdgm.runtime.parts`.
        names: networks that the formula applies, scalars (a number, a 0-d tensor or parameter, or a function
            of the training step), tensors, distributions under another name, event shapes of variables. A
            function of one parameter ``step`` is a schedule, another one a network where it is applied.

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
        equation: str | Node | Arithmetic,
        *distributions: Distribution,
        samples: int | Mapping[str, int] = 1,
        analytic: bool = True,
        validate: bool = True,
        estimators: Mapping[str, str | Recipe] | None = None,
        divergences: Mapping[str, Option] | None = None,
        sharing: bool = True,
        compile: bool | str = False,
        truncate: int | None = None,
        checkpoint: int | None = None,
        precision: str | None = None,
        memory_budget: int | str | None = None,
        **names: Any,
    ) -> None:
        written, distributions, names = unpacked(equation, distributions, names)
        reading = as_papers_mean(reading_of(written), names, parse)
        declared = [(declared_node(d, parse), d) for d in distributions_of(distributions)]
        body = statement_of(reading.expression).body
        environment = classify([body], declared, names, parse, OPTIONS, text=reading)
        environment.inline = InlineLaws(reading)
        options = Options(
            samples, analytic, validate, estimators, divergences, sharing, compile, truncate, checkpoint,
            precision, memory_budget,
        )  # fmt: skip
        self._build(reading, environment, options)
        refuse_unknown_keywords(self.bound, names)

    @classmethod
    def over(cls, reading: Written, environment: Environment, **options: Any) -> Self:
        """The objective of a formula in an environment that stands already; models are built by it.

        Args:
            reading: the formula.
            environment: what its names are bound to.
            options: see `Options`.
        """
        objective = cls.__new__(cls)
        objective._build(reading, environment, Options(**options))
        return objective

    def _build(self, reading: Written, environment: Environment, options: Options) -> None:
        self.expression: Basic = reading.expression
        statement = statement_of(self.expression)
        self.label, self.direction, body = statement.label, statement.direction, statement.body
        self.bound: Bound = bind(body, environment, reading)
        self.validate = options.validate
        choices = Choices(read_estimators(options.estimators, drawn_variables(self.bound)))
        unclosed = uses_no_closed_form(choices.recipes)
        self.facts = facts = BoundFacts(
            environment, self.bound.expression, drawn=choices.recipes, unclosed=unclosed
        )
        rewriting = derive(self.bound.expression, facts, analytic=options.analytic)
        compared = read_divergences(options.divergences)
        bind_kernels(self.bound, compared)
        self._draws = counts_of(options.samples, self.bound)
        frozen = freeze(self.bound, rewriting, facts, self._draws, compared, choices, options.segments)
        self.term_names = term_names(self.bound, [t.name for t in rewriting.terms])
        self.rewriting, self._frozen = rewriting, frozen
        self._checked: Kinds | None = None
        self.factors, self.networks = factors_of(self.bound), networks_of(self.bound)
        self.baselines = Shelf(choices.modules)
        self.runner = Runner(frozen, self.term_names, body, self._anchor, **options.running)
        self.derivation: Derivation = self._derived()
        warn_of_direction(self)

    @property
    def data(self) -> tuple[str, ...]:
        """The names of the observed variables."""
        return self.bound.data

    @property
    def accepted(self) -> tuple[str, ...]:
        """The names under which data may be given: the observed variables, and the lengths of sequences."""
        lengths = self.bound.lengths
        return self.data if lengths is None else (*self.data, lengths)

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

        Differentiable, for which plain PyTorch runs. Arguments and errors are those of `__call__`.
        """
        tensors = self.read(collect(values, data, self.data))
        return self.evaluate(tensors, n=check_draws(n, tensors), apart=torch.is_grad_enabled())[1]

    def per_example(self, values: object = None, /, *, n: int = 1, **data: object) -> Tensor:
        """The value of each example, ``[batch]``; where it is the same for all, it is repeated.

        Arguments and errors are those of `__call__`.
        """
        tensors = self.read(collect(values, data, self.data))
        value = self.evaluate(tensors, n=check_draws(n, tensors), output=Output.EXAMPLES)[0]
        return value.expand(next((len(v) for v in tensors.values()), n))

    def evaluate(
        self, data: Mapping[str, Tensor], *, n: int = 1, output: Output = Output.MEAN, apart: bool = False
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The value and the terms, if compiled differentiable only if ``apart``; the data are from `read`."""
        result = self.runner(data, n=n, output=output, apart=apart)
        if self.runner.frozen is not self._frozen:  # a variable had too many states to be summed over
            self.derivation, self._frozen = self._derived(), self.runner.frozen
        return result

    def read(self, values: Mapping[str, object], *, each: bool = True) -> dict[str, Tensor]:
        """The data as checked tensors.

        Args:
            values: by name.
            each: whether values are looked at every time, or the first of each shape only, as always on an
                accelerator, which would have to be waited for.
        """
        if (known := self._checked == kinds(values)) and not each:
            return dict(values)  # type: ignore[arg-type]
        with self.bound.pointing():
            data: dict[str, Tensor] = dict(values) if known else self._tensors(values)  # type: ignore[arg-type]
            always = each and all(v.is_cpu for v in data.values())
            if self.validate and (always or self.runner.key(data, Output.MEAN) not in self.runner.programs):
                check_values(self.bound.environment, data, self._anchor, known=known)
        self._checked = kinds(data)
        return data

    def _tensors(self, values: Mapping[str, object]) -> dict[str, Tensor]:
        # The usual case first: a step pays for every dict that is built.
        known = values if values.keys() == set(self.data) else respelled(values, self.accepted, parse)
        data = read_data(known, self.data, self._anchor, self.accepted[len(self.data) :])
        check_batch(data)
        return data

    def check(self, values: Mapping[str, object]) -> None:
        """Check names, batch sizes, dtypes and supports of data; see `__call__`."""
        with self.bound.pointing():
            check_values(self.bound.environment, self._tensors(values), self._anchor)

    def inputs(self, values: object = None, /, *, n: int = 1, **data: object) -> dict[str, Any]:
        """The arguments with which `code` repeats an evaluation: ``exec(code)``, ``objective(**inputs)``.

        Arguments and errors are those of `__call__`.
        """
        tensors = self.read(collect(values, data, self.data))
        with RandomState.capture(self._device(tensors)).replayed():
            program = self.runner.program(tensors, check_draws(n, tensors))
        return self.runner.arguments(program, tensors, n)

    def key(self, values: object = None, /, **data: object) -> str:
        """A digest for what outlives a process: equal for equal equations, structures, options and shapes.

        Neither weights, values of scalars nor the size of the batch are part of it; see `symdgm.keys`.
        """
        return key_of(self, self.read(collect(values, data, self.data)))

    def parameters(self) -> list[nn.Parameter]:
        """The trained parameters of all distributions, networks and scalars, each once."""
        others = (*self.bound.initial.values(), *self.scalars.parameters().values())
        return list(dict.fromkeys((*self._module_parameters(), *others)))

    def report(
        self,
        values: object = None,
        /,
        *,
        draws: int = DRAWS,
        seed: int | None = 0,
        n: int = 1,
        **data: object,
    ) -> Report:
        """Each term's value with its error, its gradients with their noise, its share of time, and advice.

        Args:
            values: see `__call__`, whose errors it raises.
            draws: evaluations of each term, each with its gradient.
            seed: of the draws; None takes the caller's random state.
            n: see `__call__`.
            data: see `__call__`.
        """
        tensors = self.read(collect(values, data, self.data))
        with seeded(seed, self._device(tensors)):
            return report(self, tensors, draws=draws, n=check_draws(n, tensors))

    def carried(self) -> Expression:
        """The formula with what it is bound to, so that it can be part of another."""
        return bindings(self.bound, statement_of(self.expression).body)

    def latex(self) -> str:
        """The equation in LaTeX, in the order in which it was written."""
        return latex(self.expression)

    def __repr__(self) -> str:
        return unicode(self.expression)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {latex(self.expression)}$"

    def _derived(self) -> Derivation:
        body, frozen = statement_of(self.expression).body, self.runner.frozen
        given = frozen.comparisons.given
        subject = Subject(self.bound, self.facts, self._draws, self._anchor, given, frozen.choices)
        checks = Checks(subject, self.rewriting, frozen.estimates, self.read)
        return assemble(body, self.bound, self.rewriting, frozen, checks)

    def _module_parameters(self) -> Iterator[nn.Parameter]:
        yield from self.factors.parameters()
        yield from self.networks.parameters()
        yield from self.baselines.parameters()

    def _anchor(self) -> Tensor | None:
        return next((p for p in self._module_parameters() if p.is_floating_point()), None)

    def _device(self, data: Mapping[str, Tensor]) -> torch.device:
        return next((t.device for t in (*data.values(), *self.parameters())), torch.device("cpu"))
