"""A formula as its terms: a scalar factor, and an expectation of one log, or something else."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from fractions import Fraction

from sympy import Basic, Integer, Number, Rational, Tuple

from symdgm.expressions.applications import Call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Times
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.names import Name
from symdgm.expressions.places import NAMES
from symdgm.expressions.scope import free_names, replace
from symdgm.rewriting.averages import averaged, named_outright, plain
from symdgm.rewriting.canonical import Canonical
from symdgm.rewriting.polynomials import Monomial, Polynomial, monomial, total
from symdgm.rewriting.samples import bounds_of, is_range, one_sample, with_numbers


@dataclass(frozen=True)
class Log:
    """``E[log argument]``, the draws under the names of their laws where that is possible.

    Args:
        binders: the laws that are averaged over.
        argument: what the log is taken of.
        density: whether that is the density of one law.
    """

    binders: tuple[Binder, ...]
    argument: Basic
    density: bool


class Parts:
    """The terms of a formula.

    Args:
        expression: the formula, bound.
        form: brings it to its canonical form, and knows what is bound.
    """

    def __init__(self, expression: Basic, form: Canonical) -> None:
        self.form = form
        self.facts = form.facts
        self.data: list[Binder] = []
        each = self._of_each(self._with_numbers(self._counted(expression)))
        whole = self.form.of(self.form.by_factors(each))
        self.whole = total(self._without_data(m).scaled(c) for m, c in whole)
        self.coefficients: dict[Monomial, Polynomial] = self._collected()
        self.logs: dict[Monomial, Log] = {
            core: log for core in self.coefficients if (log := self.log_of(core)) is not None
        }

    def negative(self) -> Parts:
        """The terms of the formula with the other sign."""
        other = copy(self)
        other.whole = self.whole.scaled(Fraction(-1))
        other.coefficients = {core: c.scaled(Fraction(-1)) for core, c in self.coefficients.items()}
        return other

    def number(self, coefficient: Polynomial) -> float | None:
        """The present value of a scalar, or None."""
        result = 0.0
        for factors, c in coefficient:
            term = float(c)
            for key, exponent in factors:
                value = self._value(self.form.nodes[key])
                if (
                    value is None
                    or (value <= 0 and exponent.denominator != 1)
                    or (not value and exponent < 0)
                ):
                    return None
                term *= value ** float(exponent)
            result += term
        return result

    def _value(self, node: Basic) -> float | None:
        if isinstance(node, NAMES):
            return self.facts.value(node)
        whole = self.form.of(node)
        return None if whole == self.form.opaque(node) else self.number(whole)

    def plain(self, core: Monomial) -> Basic:
        """A term, its draws under the names of their laws where that is possible."""
        one = len(core) == 1 and core[0][1] == 1 and core[0][0] in self.form.averages
        return plain(self.form, core[0][0]) if one else self.form.product(core)

    def outside(self, target: Basic) -> Basic:
        """What is said of each example, as it is said of the mean over data."""
        return Expect(target, *self.data) if self.data else target

    def _counted(self, expression: Basic) -> Basic:
        """With the present numbers of samples."""
        numbers = {n: self.facts.value(n) for n in bounds_of(expression) if self.facts.is_scalar(n)}
        whole = {n: Integer(int(v)) for n, v in numbers.items() if v is not None and v == int(v)}
        return with_numbers(expression, whole) if whole else expression

    def _with_numbers(self, node: Basic) -> Basic:
        """Powers of what is no scalar with the present values of their exponents."""
        if not node.args:
            return node
        arguments = [self._with_numbers(a) for a in node.args]
        if isinstance(node, Power) and not isinstance(node.args[1], Number):
            base, exponent = node.args
            if self.facts.is_scalar(exponent) and not self.facts.is_scalar(base):
                number = self.number(self.form.of(exponent))
                if number is not None:
                    exact = Fraction(number).limit_denominator(10**6)
                    arguments[1] = Rational(exact.numerator, exact.denominator)
        same = all(a is b for a, b in zip(arguments, node.args, strict=True))
        return node if same else node.func(*arguments)

    def _of_each(self, node: Basic) -> Basic:
        """What is averaged over data where it is written, before it is brought to its canonical form."""
        if isinstance(node, Plus | Minus):
            return node.func(*map(self._of_each, node.args))
        if isinstance(node, Times):
            means = [a for a in node.args if not self.facts.is_scalar(a)]
            return node.func(*map(self._of_each, node.args)) if len(means) == 1 else node
        if not isinstance(node, Expect) or not self._is_data(node.binders[0]):
            return node
        binder, *others = node.binders
        values = self._values(binder)
        if any(is_range(v) for v in (*binder.variables, *values)):
            return node
        inside = Expect(node.body, *others) if others else node.body
        names = dict(zip(binder.variables or values, values, strict=True))
        if any(v != name for v, name in names.items()):
            inside = replace(inside, names)
        if not free_names(inside).isdisjoint(values):
            self._note(binder)
        return self._of_each(inside)

    def _without_data(self, factors: Monomial) -> Polynomial:
        """A term without its mean over data, which is noted."""
        result = monomial((k, e) for k, e in factors if not self._over_data(k))
        for key, exponent in factors:
            if self._over_data(key):
                result = result * (self._given_data(key) if exponent == 1 else monomial([(key, exponent)]))
        return result

    def _over_data(self, key: str) -> bool:
        inner = self.form.averages.get(key)
        return inner is not None and any(self._is_data(b) for b in inner.binders)

    def _is_data(self, binder: Binder) -> bool:
        law = self.facts.law(binder.law)
        return law is not None and law.kind == "data"

    def _values(self, binder: Binder) -> tuple[Basic, ...]:
        law = self.facts.law(binder.law)
        return () if law is None else law.values

    def _note(self, binder: Binder) -> None:
        plain = Binder(Tuple(), binder.law)
        self.data += [plain] if plain not in self.data else []

    def _given_data(self, key: str) -> Polynomial:
        inner = self.form.averages[key]
        names: dict[Basic, Basic] = {}
        left = []
        for binder in inner.binders:
            if self._is_data(binder):
                names |= dict(zip(binder.variables, self._values(binder), strict=True))
                self._note(binder)
            else:
                left.append(binder)
        laws = [replace(Expect(Name("_"), b), names).binders[0] for b in left]
        parts = [
            (next(iter(self.form.of(replace(self.form.nodes[k], names)).terms))[0][0], e)
            for k, e in inner.factors
        ]
        return averaged(self.form, laws, tuple(parts))

    def _collected(self) -> dict[Monomial, Polynomial]:
        """What is no scalar → all that it is multiplied by."""
        found: dict[Monomial, list[Polynomial]] = {}
        for factors, c in self.whole:
            core = tuple(pair for pair in factors if not self.facts.is_scalar(self.form.nodes[pair[0]]))
            scalars = monomial((pair for pair in factors if pair not in core), c)
            found.setdefault(core, []).append(scalars)
        return {core: s for core, scalars in found.items() if (s := total(scalars))}

    def log_of(self, core: Monomial) -> Log | None:
        """The log that a term is the expectation of."""
        if len(core) != 1 or core[0][1] != 1:
            return None
        node = self.form.nodes[core[0][0]]
        inner = self.form.averages.get(core[0][0])
        if inner is not None and len(inner.factors) == 1 and inner.factors[0][1] == 1:
            return self._named(inner.binders, self.form.nodes[inner.factors[0][0]])
        if isinstance(node, Expect):
            single = one_sample(node)
            return None if single is None else Log(single.binders, single.body.args[1], False)
        return self._named((), node)

    def _named(self, binders: tuple[Binder, ...], node: Basic) -> Log | None:
        """The log with its draws under the names of their laws."""
        if not (isinstance(node, Call) and node.function == "log") or not node.args[1].args:
            return None
        names = named_outright(binders, self.form) if binders else None
        argument = node.args[1]
        if names is not None and not set(names.values()) & set(self.form.free(Expect(node, *binders))):
            argument = replace(argument, names)
            laws = [replace(Expect(Name("_"), b), names).binders[0].law for b in binders]
            binders = tuple(
                Binder(Tuple(*(names[v] for v in b.variables)), law)
                for b, law in zip(binders, laws, strict=True)
            )
        return Log(binders, argument, self.form.is_density(argument))
