"""The canonical form of a formula: equal where the rules of logs, sums, means and densities say so.

Divergences and entropies are written out, joints are products of their factors, logs of products are sums,
expectations are linear and forget what they do not depend on; what is left is a sum of products of
factors that are looked at no further, each under its canonical text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from sympy import Basic, Integer, Rational, Tuple, factorint
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, Inner, Norm, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.scope import free_names
from symdgm.expressions.signature import canonical
from symdgm.rewriting import averages
from symdgm.rewriting.algebra import chain_rule
from symdgm.rewriting.facts import Facts
from symdgm.rewriting.polynomials import Monomial, Polynomial, atom, constant, monomial, total
from symdgm.rewriting.traversal import Everywhere

MAX_POWER = 8
"""The largest power of a sum that is multiplied out."""
LARGEST = 10**12
"""The largest number whose logarithm is split into those of its prime factors."""
POSITIVE = ("exp", "sigmoid", "softplus", "softmax")

Expand = Callable[[Basic], Basic | None]
"""What a reference to a density is equal to besides the chain rule; None where nothing is known."""


Integral = Callable[["Canonical", Sequence[Binder], Mapping[str, Fraction]], Basic | None]
"""The density that the mean of a product of powers of densities is, or None."""


class Canonical:
    """Canonical forms that can be compared with each other.

    Args:
        facts: what is bound.
        expand: see `Expand`.
        integral: see `Integral`.
    """

    def __init__(self, facts: Facts, expand: Expand | None = None, integral: Integral | None = None) -> None:
        self.facts = facts
        self.expand = expand
        self.integral = integral
        self.nodes: dict[str, Basic] = {}
        self.averages: dict[str, averages.Average] = {}
        self.fresh = averages.Fresh()
        self._known: dict[Basic, Polynomial] = {}
        self._free: dict[Basic, frozenset[Basic]] = {}
        self._by_factors = Everywhere(lambda part: chain_rule(part, facts), (Apply, Density))

    def of(self, node: Basic) -> Polynomial:
        """The canonical form of a formula.

        Raises:
            TooLargeError: a product has too many terms.
        """
        if node not in self._known:
            reader = _READERS.get(type(node), Canonical.opaque)
            self._known[node] = (
                constant(Fraction(int(node.p), int(node.q)))
                if isinstance(node, Rational)
                else reader(self, node)
            )
        return self._known[node]

    def by_factors(self, node: Basic) -> Basic:
        """A formula with its joints as products of their factors, while these have their own names."""
        return self._by_factors(node)[0]

    def opaque(self, node: Basic) -> Polynomial:
        """A node as a factor that is looked at no further."""
        key = canonical(node)
        self.nodes.setdefault(key, node)
        return atom(key)

    def node(self, polynomial: Polynomial) -> Basic:
        """A formula with this canonical form."""
        terms = [self.product(m, c) for m, c in sorted(polynomial)]
        return Plus(*terms) if len(terms) > 1 else (terms[0] if terms else Integer(0))

    def plain(self, polynomial: Polynomial) -> Basic:
        """The same for people: draws are called as in their laws where that is possible."""
        terms = [self._plain(m, c) for m, c in sorted(polynomial)]
        return Plus(*terms) if len(terms) > 1 else (terms[0] if terms else Integer(0))

    def _plain(self, factors: Monomial, coefficient: Fraction = Fraction(1)) -> Basic:
        term = self.product(factors, coefficient)
        swaps = {self.nodes[k]: averages.plain(self, k) for k, _ in factors if k in self.averages}
        return term.xreplace(swaps) if swaps else term

    def product(self, factors: Monomial, coefficient: Fraction = Fraction(1)) -> Basic:
        """The formula of one term."""
        parts = [
            self.nodes[key] if e == 1 else Power(self.nodes[key], Rational(e.numerator, e.denominator))
            for key, e in factors
        ]
        size = abs(coefficient)
        if size != 1 or not parts:
            parts.insert(0, Rational(size.numerator, size.denominator))
        term = Times(*parts) if len(parts) > 1 else parts[0]
        return Minus(term) if coefficient < 0 else term

    def free(self, node: Basic) -> frozenset[Basic]:
        """The free names of a factor."""
        if node not in self._free:
            self._free[node] = free_names(node)
        return self._free[node]

    def is_positive(self, node: Basic) -> bool:
        """Whether a factor cannot be negative."""
        if isinstance(node, Call):
            return node.function in POSITIVE
        if isinstance(node, Expect):
            inner = self.averages.get(canonical(node))
            return inner is not None and all(self.is_positive(self.nodes[key]) for key, _ in inner.factors)
        if isinstance(node, Aggregate):
            return all(self.is_positive(self.nodes[k]) for m, _ in self.of(node.body) for k, _ in m)
        return self.is_density(node)

    def is_density(self, node: Basic) -> bool:
        """Whether a factor is the density of one law."""
        law = self.facts.law(node) if isinstance(node, Apply | Density) else None
        return law is not None and law.kind == "density"

    def inner(self, node: Basic) -> Basic:
        """A node with its arguments in canonical form."""
        arguments = [
            a if isinstance(a, Str | Tuple) or not a.args else self.node(self.of(a)) for a in node.args
        ]
        return node.func(*arguments)

    # One method for each kind of node.

    def _plus(self, node: Basic) -> Polynomial:
        return total(self.of(a) for a in node.args)

    def _minus(self, node: Basic) -> Polynomial:
        return self.of(node.args[0]).scaled(Fraction(-1))

    def _times(self, node: Basic) -> Polynomial:
        result = constant(1)
        for factor in node.args:
            result = result * self.of(factor)
        return result

    def _quotient(self, node: Basic) -> Polynomial:
        return self.of(node.args[0]) * self._raised(self.of(node.args[1]), Fraction(-1))

    def _power(self, node: Basic) -> Polynomial:
        base, exponent = self.of(node.args[0]), self.of(node.args[1])
        number = exponent.number
        if number is not None:
            return self._raised(base, number)
        if len(base.terms) == 1 and all(self.is_positive(self.nodes[k]) for m, _ in base for k, _ in m):
            return self._exponential(exponent * self._logarithm(base))
        return self.opaque(Power(self.node(base), self.node(exponent)))

    def _raised(self, base: Polynomial, exponent: Fraction) -> Polynomial:
        """A power with a number as its exponent."""
        whole = exponent.denominator == 1
        if whole and 0 <= exponent <= MAX_POWER:
            return base.power(int(exponent))
        if len(base.terms) == 1:
            ((factors, c),) = base.terms.items()
            plain = whole or (c == 1 and all(self.is_positive(self.nodes[k]) for k, _ in factors))
            if plain:
                return monomial(((k, e * exponent) for k, e in factors), c ** int(exponent) if whole else c)
        content = base.content if whole and base else Fraction(1)
        key = next(iter(self.opaque(self.node(base.scaled(1 / content))).terms))
        return monomial(((key[0][0], exponent),), content ** int(exponent) if whole else content)

    def _call(self, node: Basic) -> Polynomial:
        if node.function == "log":
            return self._logarithm(self.of(node.args[1]))
        if node.function == "exp":
            return self._exponential(self.of(node.args[1]))
        if node.function == "sqrt":
            return self._raised(self.of(node.args[1]), Fraction(1, 2))
        return self.opaque(self.inner(node))

    def _logarithm(self, argument: Polynomial) -> Polynomial:
        """The sum of the logs of what is positive in a product, and the log of the rest."""
        if not argument or argument.number == 1:
            return constant(0) if argument else self.opaque(call("log", Integer(0)))
        number, common, rest = self._taken_out(argument)
        parts = [self._log_of_number(number)]
        parts += [self._log_of_factor(key).scaled(e) for key, e in common]
        if rest.number != 1:
            parts.append(self.opaque(call("log", self.node(rest))))
        return total(parts)

    def _taken_out(self, argument: Polynomial) -> tuple[Fraction, Monomial, Polynomial]:
        """A positive number, positive factors that all terms share, and what remains."""
        number = argument.content
        common = None
        for factors, _ in argument:
            own = {k: e for k, e in factors if self.is_positive(self.nodes[k])}
            common = (
                own if common is None else {k: min(e, own.get(k, Fraction(0))) for k, e in common.items()}
            )
        shared = tuple((k, e) for k, e in (common or {}).items() if e)
        rest = argument.scaled(1 / number) * monomial((k, -e) for k, e in shared)
        return number, shared, rest

    def _log_of_number(self, number: Fraction) -> Polynomial:
        if max(number.numerator, number.denominator) > LARGEST:
            return self.opaque(call("log", Rational(number.numerator, number.denominator)))
        top, below = factorint(number.numerator), factorint(number.denominator)
        signed = [*top.items(), *((prime, -times) for prime, times in below.items())]
        return total(
            self.opaque(call("log", Integer(prime))).scaled(Fraction(times)) for prime, times in signed
        )

    def _log_of_factor(self, key: str) -> Polynomial:
        node = self.nodes[key]
        if isinstance(node, Call) and node.function == "exp":
            return self.of(node.args[1])
        if isinstance(node, Aggregate) and node.kind == "prod":
            return self.of(Aggregate(Str("sum"), call("log", node.body), node.index))
        return self.opaque(call("log", node))

    def _exponential(self, argument: Polynomial) -> Polynomial:
        result = constant(1)
        for factors, c in argument:
            node = self.product(factors)
            logarithm = isinstance(node, Call) and node.function == "log"
            inside = node.args[1] if logarithm else call("exp", node)
            base = self.of(inside) if logarithm else self.opaque(inside)
            result = result * self._raised(base, c)
        return result

    def _reference(self, node: Basic) -> Polynomial:
        """A density, or the value of a network."""
        factors = self.facts.factorise(node)
        if factors:
            return self._times(Times(*factors)) if len(factors) > 1 else self.of(factors[0])
        other = self.expand(node) if self.expand is not None else None
        if other is not None:
            return self.of(other)
        return self.opaque(node)

    def _divergence(self, node: Basic) -> Polynomial:
        if node.kind != "KL":
            return self.opaque(node)
        _, left, right = node.args
        return self._average_of(Plus(call("log", left), Minus(call("log", right))), left)

    def _entropy(self, node: Basic) -> Polynomial:
        return self._average_of(call("log", node.args[-1]), node.args[0]).scaled(Fraction(-1))

    def _average_of(self, body: Basic, law: Basic) -> Polynomial:
        return self.of(Expect(body, Binder(Tuple(), law)))

    def _expectation(self, node: Basic) -> Polynomial:
        return averages.average(self, node)

    def _norm(self, node: Basic) -> Polynomial:
        """A norm of what has no common number in it, and a positive first term."""
        inside = self.of(node.args[0])
        if not inside:
            return constant(0)
        number = inside.content
        if sorted(inside)[0][1] < 0:
            inside = inside.scaled(Fraction(-1))
        return self.opaque(Norm(self.node(inside.scaled(1 / number)), node.args[1])).scaled(number)

    def _aggregate(self, node: Basic) -> Polynomial:
        """A sum, term by term, with what does not depend on the index before it."""
        if node.kind == "mean" and len(node.index.args) == 3 and node.index.args[1] == 1:
            whole = Aggregate(Str("sum"), node.body, node.index)
            return self.of(Quotient(whole, node.index.args[2]))
        if node.kind != "sum":
            return self.opaque(Aggregate(node.args[0], self.node(self.of(node.body)), node.index))
        return total(self._summed(m, node.index).scaled(c) for m, c in self.of(node.body))

    def _summed(self, factors: Monomial, index: Index) -> Polynomial:
        inside = tuple((k, e) for k, e in factors if self._mentions(self.nodes[k], index.variable))
        outside = monomial(pair for pair in factors if pair not in inside)
        if not inside and len(index.args) == 3 and index.args[1] == 1:
            return outside * self.of(index.args[2])
        return outside * self.opaque(Aggregate(Str("sum"), self.product(inside), index))

    def _mentions(self, node: Basic, name: Basic) -> bool:
        return any(name == n or name in n.args[1:] for n in self.free(node))


_READERS: dict[type, Callable[[Canonical, Basic], Polynomial]] = {
    Plus: Canonical._plus,
    Minus: Canonical._minus,
    Times: Canonical._times,
    Quotient: Canonical._quotient,
    Power: Canonical._power,
    Call: Canonical._call,
    Apply: Canonical._reference,
    Density: Canonical._reference,
    DivergenceBetween: Canonical._divergence,
    Entropy: Canonical._entropy,
    CrossEntropy: Canonical._entropy,
    Expect: Canonical._expectation,
    Aggregate: Canonical._aggregate,
    Norm: Canonical._norm,
    Inner: lambda form, node: form.opaque(form.inner(node)),
}
