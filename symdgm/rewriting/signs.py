"""Which terms of a formula cannot be negative: divergences, squares, norms, exponentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from sympy import Basic, Integer, Number
from sympy.core.symbol import Str

from symdgm.expressions.applications import Call, Norm
from symdgm.expressions.arithmetic import Minus
from symdgm.expressions.expectations import DivergenceBetween, Entropy, Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.scope import free_names
from symdgm.rewriting.canonical import Canonical
from symdgm.rewriting.parts import Log, Parts
from symdgm.rewriting.polynomials import Monomial, Polynomial

NOT_NEGATIVE = ("relu", "softplus", "exp", "abs", "sigmoid", "softmax")


@dataclass(frozen=True)
class Piece:
    """A term ``coefficient · node`` whose node is never negative."""

    coefficient: Polynomial
    node: Basic


def pieces(parts: Parts, rest: Mapping[Monomial, Polynomial]) -> list[Piece] | None:
    """The terms that remain, each with a sign; None where the sign of one is not known."""
    left = dict(rest)
    found = [*_divergences(parts, left), *_of_states(parts, left)]
    for core, coefficient in left.items():
        if core and not all(is_not_negative(parts.form, k, e) for k, e in core):
            return None
        found.append(Piece(coefficient, parts.plain(core) if core else Integer(1)))
    return None if any(parts.number(p.coefficient) is None for p in found) else found


def _divergences(parts: Parts, left: dict[Monomial, Polynomial]) -> list[Piece]:
    """Pairs ``E_q[log q] - E_q[log p]`` over one variable, which are taken out of ``left``."""
    found = []
    for core, log in parts_logs(parts, left).items():
        if core not in left or not log.binders or log.binders[-1].law != log.argument:
            continue
        own = parts.facts.law(log.argument)
        for other, prior in parts_logs(parts, left).items():
            law = parts.facts.law(prior.argument)
            if own is None or law is None or other == core or law.values != own.values:
                continue
            if left[other] == left[core].scaled(Fraction(-1)):
                kl: Basic = DivergenceBetween(Str("KL"), log.argument, prior.argument)
                outer = [
                    b
                    for b in dict.fromkeys((*log.binders, *prior.binders))
                    if b.law != log.argument and set(b.variables) & set(free_names(kl))
                ]
                found.append(Piece(left[core], Expect(kl, *outer) if outer else kl))
                del left[core], left[other]
                break
    return found


def _of_states(parts: Parts, left: dict[Monomial, Polynomial]) -> list[Piece]:
    """Logs of probabilities of finite variables, which are never positive."""
    found = []
    for core, log in parts_logs(parts, left).items():
        law = parts.facts.law(log.argument)
        if law is None or not law.finite:
            continue
        entropy = bool(log.binders) and log.binders[-1].law == log.argument and len(log.binders) == 1
        node = Entropy(log.argument) if entropy else Minus(parts.plain(core))
        found.append(Piece(left.pop(core).scaled(Fraction(-1)), node))
    return found


def parts_logs(parts: Parts, left: Mapping[Monomial, Polynomial]) -> dict[Monomial, Log]:
    """The logs of densities among what is left."""
    logs = {core: parts.logs.get(core) or parts.log_of(core) for core in left}
    return {core: log for core, log in logs.items() if log is not None and log.density}


def is_not_negative(form: Canonical, key: str, exponent: Fraction) -> bool:
    """Whether a power of a factor is never negative."""
    if exponent.denominator == 1 and exponent % 2 == 0:
        return True
    node = form.nodes[key]
    inner = form.averages.get(key)
    if inner is not None:
        return all(is_not_negative(form, k, e) for k, e in inner.factors)
    if isinstance(node, Call) and node.function == "max":
        return any(isinstance(a, Number) and a >= 0 for a in node.args[1:])
    if isinstance(node, Aggregate) and node.kind in ("sum", "mean"):
        return all(is_not_negative(form, k, e) and c > 0 for m, c in form.of(node.body) for k, e in m)
    if isinstance(node, Call) and node.function == "log" and isinstance(node.args[1], Number):
        return bool(node.args[1] >= 1)
    known = isinstance(node, Call) and node.function in NOT_NEGATIVE
    return known or isinstance(node, Norm | DivergenceBetween) or form.is_positive(node)
