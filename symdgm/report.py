"""What each term of an objective costs and how noisy it is, and a better estimator where there is one."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

from symdgm.better_estimators import better
from symdgm.display.tables import html_table, text_table
from symdgm.given import whole
from symdgm.lowering import Frozen
from symdgm.measuring import Measured, mean_and_error
from symdgm.rewriting import Term
from symdgm.runtime import Runner
from symdgm.runtime.compiling import Compiled

if TYPE_CHECKING:
    from symdgm.objective import Objective

DRAWS = 100
"""Evaluations of a term by default."""


@final
@dataclass(frozen=True)
class Gradient:
    """The gradient of a term by the parameters of one distribution, network or scalar.

    Args:
        of: whose parameters.
        norm: the Euclidean norm of the mean gradient.
        deviation: the root of the summed variances of its entries, of one evaluation.
    """

    of: str
    norm: float
    deviation: float


@final
@dataclass(frozen=True)
class TermReport:
    """One term.

    Args:
        term: its name.
        value: its mean with its standard error, without sign and scalar factors.
        deviation: the standard deviation of one evaluation.
        latents: the variables that it draws.
        estimators: how its expectations are estimated.
        gradients: with sign and scalar factors, as they enter the objective.
        share: its part of the time of all terms, forward and backward, each evaluated alone.
        better: what would be better, or nothing.
    """

    term: str
    value: Measured
    deviation: float
    latents: tuple[str, ...]
    estimators: tuple[str, ...]
    gradients: tuple[Gradient, ...]
    share: float
    better: str


@final
class Report(Sequence[TermReport]):
    """The terms of an objective; it shows itself as a table, a line for each term and law.

    Args:
        rows: one for each term.
        running: how evaluations run, and why not faster, a line for each loop over time and for `compile`.
    """

    COLUMNS = (
        "term", "value", "std", "draws", "estimator", "gradient of", "norm", "std of gradient", "time",
        "better",
    )  # fmt: skip

    def __init__(self, rows: Sequence[TermReport], running: Sequence[str] = ()) -> None:
        self.rows, self.running = tuple(rows), tuple(running)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.rows[index]

    def __iter__(self) -> Iterator[TermReport]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return "\n".join([text_table(self.COLUMNS, list(self._cells())), *self.running])

    def _repr_html_(self) -> str:
        lines = "".join(f"<p>{escape(line)}</p>" for line in self.running)
        return html_table(self.COLUMNS, list(self._cells())) + lines

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for row in self.rows:
            about = (
                row.term, str(row.value), f"{row.deviation:.2g}", ", ".join(row.latents),
                ", ".join(row.estimators),
            )  # fmt: skip
            end = (f"{row.share:.0%}", row.better)
            gradients = row.gradients or (Gradient("nothing", 0.0, 0.0),)
            for i, g in enumerate(gradients):
                cells = (g.of, f"{g.norm:.3g}", f"{g.deviation:.3g}")
                yield (*about, *cells, *end) if i == 0 else ("",) * 5 + cells + ("", "")


def report(objective: Objective, data: Mapping[str, Tensor], *, draws: int, n: int) -> Report:
    """Look at each term of an objective by itself; see `Objective.report`."""
    whole("draws", draws, least=2, what="whole number of evaluations")
    groups = _groups(objective)
    names = zip(objective.rewriting.terms, objective.term_names, strict=True)
    looks = [_Look(objective, term, name, groups, data, n) for term, name in names]
    for look in looks:
        look.evaluate(draws)
    total = sum(look.seconds for look in looks)
    return Report([look.row(total) for look in looks], list(_running(objective, data, n)))


def _running(objective: Objective, data: Mapping[str, Tensor], n: int) -> Iterator[str]:
    """How an evaluation of the whole runs: loops over time, and what `compile` did."""
    runner = objective.runner
    with torch.enable_grad():
        runner(data, n=n)
    for why in runner.carried.latest:
        yield (
            f"a loop over time runs step by step as it is written: {why}"
            if why
            else "a loop over time runs from a record: what waits for no step is done once for all steps"
        )
    segments = runner.frozen.segments
    if segments.some and runner.frozen.bound.sequences:
        yield "loops over time run in segments, as `truncate` or `checkpoint` asks, and are not recorded"
    program = runner.last()
    if program is not None and isinstance(program.function, Compiled):
        yield f"`compile`: {program.function.state}"


def _groups(objective: Objective) -> dict[str, list[nn.Parameter]]:
    """Whose each trained parameter is; one that is shared belongs to the first."""
    taken: set[nn.Parameter] = set()
    groups: dict[str, list[nn.Parameter]] = {}
    shelves = [*objective.factors.named_children(), *objective.networks.named_children()]
    owned = [(name, list(child.parameters())) for name, child in shelves]
    alone = {**dict(objective.networks.named_parameters(recurse=False)), **objective.scalars.parameters()}
    owned += [(name, [p]) for name, p in alone.items()]
    for name, parameters in owned:
        own = [p for p in parameters if p.requires_grad and p not in taken]
        taken |= set(own)
        if own:
            groups[name] = own
    return groups


@dataclass
class _Look:
    """The evaluations of one term."""

    objective: Objective
    term: Term
    name: str
    groups: Mapping[str, list[nn.Parameter]]
    data: Mapping[str, Tensor]
    n: int
    seconds: float = 0.0
    values: list[float] = field(default_factory=list)
    sums: dict[str, Tensor] = field(default_factory=dict)
    squares: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        subject = self.objective.derivation.subject()
        self.frozen: Frozen = subject.frozen_term(self.term)
        self.runner = Runner(self.frozen, [self.name], self.name, subject.anchor)

    def evaluate(self, draws: int) -> None:
        """Evaluate the term and its gradients; the first evaluation writes the code, and is not counted."""
        self.runner(self.data, n=self.n)
        for _ in range(draws):
            self._once()

    def _once(self) -> None:
        parameters = [p for group in self.groups.values() for p in group]
        start = time.perf_counter()
        with torch.enable_grad():
            value, terms = self.runner(self.data, n=self.n)
            found: Sequence[Tensor | None] = [None] * len(parameters)
            if value.requires_grad and parameters:
                found = torch.autograd.grad(value, parameters, allow_unused=True)
        self.values.append(terms[self.name].item())
        self.seconds += time.perf_counter() - start
        by_parameter = dict(zip(parameters, found, strict=True))
        for name, group in self.groups.items():
            own = [g.detach().double().flatten() for p in group if (g := by_parameter[p]) is not None]
            if own:
                self._add(name, torch.cat(own))

    def _add(self, name: str, gradient: Tensor) -> None:
        self.sums[name] = self.sums.get(name, torch.zeros_like(gradient)) + gradient
        self.squares[name] = self.squares.get(name, torch.zeros_like(gradient)) + gradient.square()

    def row(self, total: float) -> TermReport:
        """What was found; ``total`` is the time of all terms."""
        values = torch.tensor(self.values, dtype=torch.float64)
        mean, error = mean_and_error(values)
        gradients = tuple(self._gradient(name) for name in self.sums)
        estimates = [e for e in self.frozen.estimates if e.estimator.name != "minibatch mean"]
        return TermReport(
            self.name,
            Measured(mean, error),
            error * math.sqrt(len(values)),
            tuple(dict.fromkeys(str(v) for e in estimates for v in e.law.values)),
            tuple(dict.fromkeys(e.estimator.name for e in self.frozen.estimates)),
            gradients,
            self.seconds / total if total else 0.0,
            "; ".join(better(self.objective, self.term, estimates)),
        )

    def _gradient(self, name: str) -> Gradient:
        count = len(self.values)
        mean = self.sums[name] / count
        variance = (self.squares[name] / count - mean.square()).clamp_min(0) * count / (count - 1)
        return Gradient(name, mean.norm().item(), variance.sum().sqrt().item())
