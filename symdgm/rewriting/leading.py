"""The part of an objective that stands for a log-likelihood, and on which side of it that part lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from sympy import Basic, Rational, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Density, call
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.expectations import Binder, DivergenceBetween, Expect
from symdgm.rewriting.marginals import marginal, of_ratio, total_of
from symdgm.rewriting.parts import Log, Parts
from symdgm.rewriting.polynomials import Monomial, Polynomial, constant, total

Coefficients = Mapping[Monomial, Polynomial]
JENSEN = "E[log W] ≤ log E[W] (Jensen)"


@dataclass(frozen=True)
class Leading:
    """A recognised part of an objective.

    Args:
        target: the log-likelihood that it stands for.
        side: -1 where the part is never above it, 1 where it is never below, 0 where the two are equal.
        gap: what separates them, where that has a name.
        rest: what remains of the objective.
        why: the reason.
        reference: where to read about it.
    """

    target: Basic
    side: int
    gap: tuple[Basic, ...]
    rest: Coefficients
    why: str
    reference: str = ""


def evidence(parts: Parts) -> Leading | None:
    """``E_q[log p(x|z) + log p(z) - log q(z|x)]``: the log of a ratio, term by term."""
    logs = [log for log in parts.logs.values() if log.density]
    if len({log.argument for log in logs}) < len(logs):
        return None
    laws = {b.law: b for log in logs for b in log.binders}
    for generative in _candidates(parts, logs, laws):
        found = _evidence(parts, generative, laws)
        if found is not None:
            return found
    return None


def _candidates(parts: Parts, logs: list[Log], laws: Mapping[Basic, Binder]) -> Iterator[list[Basic]]:
    """Densities that may make up a joint: all that are not drawn from, then those of each name."""
    free = [log.argument for log in logs if log.argument not in laws]
    yield free
    for head in dict.fromkeys(d.args[0] for d in free):
        own = [d for d in free if d.args[0] == head]
        if len(own) < len(free):
            yield own


def _evidence(parts: Parts, generative: list[Basic], laws: Mapping[Basic, Binder]) -> Leading | None:
    form = parts.form
    drawn = {v for b in laws.values() for v in _drawn(parts, b)}
    made = {v: d for d in generative for v in _values(parts, d)}
    own = [law for law, b in laws.items() if set(_drawn(parts, b)) & set(made)]
    observed = [d for d in generative if not set(_values(parts, d)) <= drawn]
    weights = [_weight(parts, d) for d in observed]
    if (
        not weights
        or any(w != weights[0] for w in weights)
        or not all(set(_values(parts, d)) & (drawn | set(made)) for d in generative)
    ):
        return None
    weight = weights[0]
    number = parts.number(weight)
    if number is None or number <= 0:
        return None
    signed = {d: Fraction(1) for d in generative} | {d: Fraction(-1) for d in own}
    named = [Binder(Tuple(*_drawn(parts, b)), b.law) for b in laws.values()]
    named = [b for b in named if set(b.variables) & _mentioned(parts, signed, named)]
    ratio = {_key(parts, d): e for d, e in signed.items()}
    target = marginal(form, named, ratio)
    if target is None:
        return None
    base = total(
        form.of(Expect(call("log", d), *named) if named else call("log", d)).scaled(e)
        for d, e in signed.items()
    )
    rest = _without(parts.coefficients, base, weight)
    gap = _posterior_gap(parts, [b for b in named if b.law in own], target, drawn)
    if weight.number != 1:
        gap = tuple(Times(form.node(weight), node) for node in gap)
    why = JENSEN if named else "a log-density is what it says"
    reference = "Kingma and Welling (2014), eq. 2 and 3" if own else ""
    return Leading(_scaled(parts, weight, target), -1 if named else 0, gap, rest, why, reference)


def _mentioned(parts: Parts, signed: Mapping[Basic, Fraction], binders: list[Binder]) -> set[Basic]:
    names = {n for d in signed for n in parts.form.free(d)}
    for binder in reversed(binders):
        if names & set(binder.variables):
            names |= parts.form.free(Expect(binder.law, Binder(Tuple(), binder.law)))
            names |= set(binder.variables)
    return names


def _drawn(parts: Parts, binder: Binder) -> tuple[Basic, ...]:
    law = parts.facts.law(binder.law)
    assert law is not None
    return binder.variables or law.values


def _values(parts: Parts, density: Basic) -> tuple[Basic, ...]:
    law = parts.facts.law(density)
    assert law is not None
    return law.values


def _core(parts: Parts, density: Basic) -> Monomial:
    return next(core for core, log in parts.logs.items() if log.density and log.argument == density)


def _weight(parts: Parts, density: Basic) -> Polynomial:
    return parts.coefficients[_core(parts, density)]


def _key(parts: Parts, density: Basic) -> str:
    return next(iter(parts.form.opaque(density).terms))[0][0]


def _without(coefficients: Coefficients, base: Polynomial, weight: Polynomial) -> Coefficients:
    """What remains of a formula without its leading part."""
    rest = dict(coefficients)
    for core, c in base:
        rest[core] = rest.get(core, constant(0)) - weight.scaled(c)
    return {core: c for core, c in rest.items() if c}


def _posterior_gap(
    parts: Parts, binders: list[Binder], target: Basic, drawn: set[Basic]
) -> tuple[Basic, ...]:
    """``KL[q(z|x) || p(z|x)]``, where both have a name."""
    if len({b.law.args[0] for b in binders}) != 1 or not isinstance(target, Apply | Density):
        return ()
    values = tuple(v for b in binders for v in b.variables)
    observed = target.values + target.givens if isinstance(target, Density) else target.args[1:]
    q = binders[0].law
    if len(binders) > 1:
        laws = [parts.facts.law(b.law) for b in binders]
        givens = dict.fromkeys(g for law in laws if law is not None for g in law.givens if g not in values)
        q = _reference(q.args[0], values, tuple(givens))
    return (DivergenceBetween(Str("KL"), q, _reference(target.args[0], values, tuple(observed))),)


def _reference(head: Basic, values: tuple[Basic, ...], givens: tuple[Basic, ...]) -> Basic:
    return Density(head, Tuple(*values), Tuple(*givens), Tuple()) if givens else Apply(head, *values)


def by_jensen(parts: Parts) -> Leading | None:
    """``E[log W]`` of several samples, and ``log E[W]``, where the mean of W is a density."""
    found = _single_log(parts)
    if found is None:
        return None
    core, log, weight = found
    number = parts.number(weight)
    if number is None or number <= 0:
        return None
    body = Expect(log.argument, *log.binders) if log.binders else log.argument
    found_mean = total_of(parts.form, parts.form.of(parts.form.by_factors(body)))
    if found_mean is None:
        return None
    times, target = found_mean
    rest: Coefficients = {k: c for k, c in parts.coefficients.items() if k != core}
    number_left = call("log", Rational(times.numerator, times.denominator))
    rest = _without(rest, parts.form.of(number_left).scaled(Fraction(-1)), weight)
    why, reference = JENSEN, "Burda, Grosse and Salakhutdinov (2016), theorem 1"
    if not log.binders:
        why, reference = "the mean of p(x,z)/q(z|x) under q is p(x): importance sampling's identity", ""
    return Leading(_scaled(parts, weight, target), -1 if log.binders else 0, (), rest, why, reference)


def by_power_mean(parts: Parts) -> Leading | None:
    """``1/n log E[W^n]``, which grows with n."""
    found = _single_log(parts)
    if found is None or found[1].binders:
        return None
    core, log, weight = found
    inside = parts.form.of(log.argument)
    inner = [parts.form.averages.get(k) for factors, _ in inside for k, e in factors if e == 1]
    if len(inside.terms) != 1 or len(inner) != 1 or inner[0] is None:
        return None
    pair = of_ratio(parts.form, inner[0])
    if pair is None:
        return None
    for power in dict.fromkeys(abs(e) for e in pair[1].values()):
        for n in (power, -power):
            target = marginal(parts.form, pair[0], {k: e / n for k, e in pair[1].items()})
            if target is not None:
                return _power_mean(parts, core, weight.scaled(n), n, target)
    return None


def _power_mean(
    parts: Parts, core: Monomial, weight: Polynomial, n: Fraction, target: Basic
) -> Leading | None:
    number = parts.number(weight)
    if number is None or number <= 0:
        return None
    rest = {k: c for k, c in parts.coefficients.items() if k != core}
    why = f"1/n log E[W^n] grows with n, is log E[W] at n = 1, and n = {n} here (power means)"
    reference = "Li and Turner (2016), theorem 1" if n < 1 else "Dieng et al. (2017), section 2"
    return Leading(_scaled(parts, weight, target), -1 if n < 1 else 1, (), rest, why, reference)


def _single_log(parts: Parts) -> tuple[Monomial, Log, Polynomial] | None:
    """The only log that is not of a density, with its weight."""
    logs = [(core, log) for core, log in parts.logs.items() if not log.density]
    if len(logs) != 1:
        return None
    weight = parts.coefficients[logs[0][0]]
    return (*logs[0], weight)


def _scaled(parts: Parts, weight: Polynomial, target: Basic) -> Basic:
    number = parts.number(weight)
    if number is not None and abs(number - 1) < 1e-9:
        return call("log", target)
    return Times(parts.form.node(weight), call("log", target))
