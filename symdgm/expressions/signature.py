r"""Sameness: a canonical text of an expression, and its digest.

Two expressions are the same when they differ only in what means nothing: the order of commutative operands
and the brackets around them, ``a/b`` or ``a b^-1``, ``sqrt(a)`` or ``a^(1/2)``, ``mean`` or ``1/K sum``,
nested or joint expectations, the names of indices, the primes of samples, the spelling of the data
distribution. Nothing is expanded, cancelled or collected: ``KL[q||p] - KL[q||p]`` stays a difference.

| in the canonical text | stands for |
| --- | --- |
| ``#0``, ``#1`` | an index, by depth |
| ``z@0``, ``z@1`` | a bound random variable: its base name and its depth |
| ``\log(…)`` | what the language itself names |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import blake2b

from sympy import Basic, Rational, Tuple
from sympy.core.symbol import Str

from symdgm.caches import remembered
from symdgm.errors import OptionError
from symdgm.expressions.applications import Apply, Call, Density, Transposed
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.depth import Pass, done, each, hashed, run
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Labelled, Name, spelled
from symdgm.expressions.places import (
    NAMES,
    TERM,
    VARIABLE,
    Names,
    Place,
    Role,
    bound_variables,
    looked_up,
    pattern,
    places,
)
from symdgm.expressions.products import Product, atom, inverse, number, power, product, total
from symdgm.expressions.scope import free_names
from symdgm.expressions.statements import Optimize

__all__ = ["canonical", "signature"]

DIGEST_BYTES = 16

DATA = frozenset({"data", "p_data", "q_data", "p_hat_data"})
"""The names that can only be the data distribution's."""

COMMUTATIVE = ("max", "min")
"""Functions whose arguments stand in any order."""


def signature(expression: Basic) -> str:
    """The digest of what an expression says: equal for expressions that are the same.

    Args:
        expression: any node.

    Returns:
        32 hexadecimal digits (BLAKE2b, 16 bytes) of `canonical`.

    Raises:
        OptionError: it is no node, such as a text.

    Example:
        >>> a, b = Name("a"), Name("b")
        >>> signature(a + b) == signature(b + a), signature(a / b) == signature(b / a)
        (True, False)
    """
    if not isinstance(expression, Basic):
        raise OptionError(
            f"a {type(expression).__name__} has no signature", hint="read a text first, by `symdgm.parse`"
        )
    return blake2b(canonical(expression).encode(errors="surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def canonical(expression: Basic) -> str:
    r"""The canonical text behind `signature`.

    Example:
        >>> print(canonical(Name("b") / 2 - Name("a")))
        (-1*a + 1/2*b)
    """
    return _canonical(hashed(expression))


@remembered(4096)
def _canonical(expression: Basic) -> str:
    return run(_form(expression, TERM, _Scope({}))).text


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the bound names are called."""

    names: Mapping[Basic, str]
    indices: int = 0
    variables: int = 0

    def with_index(self, index: Basic) -> _Scope:
        """Inside of a big operator; names that are written with the same letter are others there."""
        kept = {n: t for n, t in self.names.items() if n != index and index not in free_names(n)}
        return _Scope(kept | {index: f"#{self.indices}"}, self.indices + 1, self.variables)

    def with_variable(self, variable: Basic, token: str) -> _Scope:
        return _Scope({**self.names, pattern(variable): token}, self.indices, self.variables + 1)

    def without(self, names: Names) -> _Scope:
        if not names:
            return self
        kept = {n: t for n, t in self.names.items() if looked_up(n, names) is None}
        return _Scope(kept, self.indices, self.variables)


def _form(node: Basic, place: Place, scope: _Scope) -> Pass[Product]:
    """The canonical form of a node."""
    if isinstance(node, Rational):
        return done(number(Fraction(int(node.p), int(node.q))))
    if isinstance(node, Plus | Times | Minus | Quotient | Power):
        return _arithmetic(node, place, scope)
    if isinstance(node, Call) and node.function == "sqrt" and len(node.args) == 2:
        return _root(node, scope)
    if isinstance(node, Aggregate):
        return _aggregate(node, place, scope)
    return _opaque(node, place, scope)


def _forms(node: Basic, place: Place, scope: _Scope) -> Pass[list[Product]]:
    """The canonical forms of the arguments of a node."""
    return each(_form(part, at, scope.without(bound)) for part, at, bound in places(node, place))


def _root(node: Call, scope: _Scope) -> Pass[Product]:
    return power((yield _form(node.args[1], TERM, scope)), number(Fraction(1, 2)))


def _opaque(node: Basic, place: Place, scope: _Scope) -> Pass[Product]:
    return atom((yield _text(node, place, scope)), ordered=isinstance(node, Transposed))


def _arithmetic(node: Basic, place: Place, scope: _Scope) -> Pass[Product]:
    forms = yield _forms(node, place, scope)
    if isinstance(node, Plus):
        return total(forms)
    if isinstance(node, Times):
        return product(forms)
    if isinstance(node, Minus):
        return product([number(-1), *forms])
    if isinstance(node, Quotient):
        return product([forms[0], inverse(forms[1])])
    return power(*forms)


def _text(node: Basic, place: Place, scope: _Scope) -> Pass[str]:
    """The canonical text of what is no arithmetic."""
    if isinstance(node, NAMES):
        return _name(node, place, scope)
    if isinstance(node, Str):
        return done(repr(str(node.name)))
    if isinstance(node, Expect):
        return _expectation(node, scope)
    if isinstance(node, Apply | Density):
        return _application(node, place, scope)
    if isinstance(node, IntegralOver):
        return _integral(node, scope)
    return _plain(node, place, scope) if node.args or isinstance(node, Tuple) else done(_leaf(node))


def _leaf(node: Basic) -> str:
    return f"\\{type(node).__name__}<{node}>"


def _plain(node: Basic, place: Place, scope: _Scope) -> Pass[str]:
    forms = yield _forms(node, place, scope)
    texts = [f.text for f in forms]
    if isinstance(node, Tuple):
        return f"[{','.join(texts)}]"
    if isinstance(node, Call):
        arguments = sorted(texts[1:]) if node.function in COMMUTATIVE else texts[1:]
        return f"\\{node.function}({','.join(arguments)})"
    if isinstance(node, Optimize):
        players = yield _forms(node.args[2], TERM, scope)
        texts[2] = ",".join(sorted(p.text for p in players))
    return f"\\{type(node).__name__}({','.join(texts)})"


def _name(node: Basic, place: Place, scope: _Scope) -> Pass[str]:
    """A name: its token if it is bound; as it is written, with its indices, else."""
    if place.role in (Role.HEAD, Role.LAW) and _is_data(node):
        return "data"
    open_name = place.role in (Role.TERM, Role.ARGUMENT, Role.VALUE)
    entry = looked_up(node, scope.names) if open_name else None
    if entry == node:
        return scope.names[node]
    if isinstance(node, Name):
        return _quoted(node.text)
    head = scope.names[entry] if entry is not None else (yield _name(node.args[0], VARIABLE, scope))
    indices = yield each(_form(index, TERM, scope) for index in node.args[1:])
    inside = ",".join(i.text for i in indices)
    return f"{head}^{{{inside}}}" if isinstance(node, Labelled) else f"{head}_{{{inside}}}"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_']+", text) else repr(text)


def _is_data(head: Basic) -> bool:
    return spelled(head).replace("{", "").replace("}", "") in DATA


def _application(node: Apply | Density, place: Place, scope: _Scope) -> Pass[str]:
    forms = [f.text for f in (yield _forms(node, place, scope))]
    if isinstance(node, Apply):
        formal = _unprimed(node.args[1:], (), forms[1:]) if place.role is Role.LAW else forms[1:]
        return f"{forms[0]}({','.join(formal)})"
    value_place = places(node, place)[1][1]
    values = [f.text for f in (yield each(_form(v, value_place, scope) for v in node.values))]
    if place.role is Role.LAW:
        values = _unprimed(node.values, node.givens, values)
    return f"{forms[0]}({','.join(values)}|{forms[2][1:-1]};{forms[3][1:-1]})"


def _unprimed(values: Sequence[Basic], others: Sequence[Basic], texts: list[str]) -> list[str]:
    """Formal names without primes, where they tell nothing apart."""
    bases = [spelled(v).replace("'", "") for v in (*values, *others)]
    if len(set(bases)) < len(bases):
        return texts
    return [t.replace("'", "") if isinstance(v, NAMES) else t for v, t in zip(values, texts, strict=True)]


def _expectation(node: Expect, scope: _Scope) -> Pass[str]:
    """All laws of directly nested expectations, outermost first, and the innermost body."""
    laws = []
    body: Basic = node
    while isinstance(body, Expect):
        for law in body.binders:
            text, scope = yield _law(law, scope)
            laws.append(text)
        body = body.body
    return f"\\E[{'; '.join(laws)}: {(yield _form(body, TERM, scope)).text}]"


def _law(node: Binder, scope: _Scope) -> Pass[tuple[str, _Scope]]:
    """A law with its variables, and the scope behind it."""
    law = yield _law_text(node, scope)
    tokens = []
    inside = scope
    for variable in _in_order(node):
        text = (yield _name(variable, VARIABLE, scope)).replace("'", "")
        family = pattern(variable) != variable
        root = (yield _name(variable.args[0], VARIABLE, scope)).replace("'", "") if family else text
        tokens.append(f"{text}@{inside.variables}")
        inside = inside.with_variable(variable, f"{root}@{inside.variables}")
    return f"{','.join(tokens)} ~ {law}", inside


def _law_text(node: Binder, scope: _Scope) -> Pass[str]:
    law, place, _ = places(node, TERM)[1]
    form: Product = yield _form(law, place, scope)
    if form.text == "data" and node.variables:
        names = yield each(_name(v, VARIABLE, scope) for v in node.variables)
        return f"data({','.join(names)})".replace("'", "")
    return form.text


def _in_order(node: Binder) -> tuple[Basic, ...]:
    """The variables in the order of the law's values, if they are called the same."""
    formal = bound_variables(Binder(Tuple(), node.law))
    return formal if set(formal) == set(node.variables) else node.variables or formal


def _aggregate(node: Aggregate, place: Place, scope: _Scope) -> Pass[Product]:
    inside = scope.with_index(node.index.variable)
    _, (body, inner, _), _ = places(node, place)
    what = (yield _form(body, inner, inside)).text
    _, *rest = node.index.args
    bounds = yield each(_form(part, TERM, scope if len(rest) == 2 else inside) for part in rest)
    token = f"{inside.names[node.index.variable]}={'..'.join(b.text for b in bounds)}"
    if node.kind == "mean" and len(rest) == 2 and rest[0] == 1:
        return product([inverse(bounds[1]), atom(f"\\sum{{{token}}}({what})")])
    return atom(f"\\{node.kind}{{{token}}}({what})")


def _integral(node: IntegralOver, scope: _Scope) -> Pass[str]:
    variable = node.args[1]
    inside = scope.with_index(variable)
    what = (yield _form(node.args[0], TERM, inside)).text
    bounds = yield each(_form(bound, TERM, scope) for bound in node.args[2:])
    return f"\\int{{{inside.names[variable]}={'..'.join(b.text for b in bounds)}}}({what})"
