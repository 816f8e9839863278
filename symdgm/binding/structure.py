"""What formulas say about their own names: an environment in which nothing but structure is known.

Every density that is mentioned is a factor, or follows from others of its name by the rules of probability.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sympy import Basic
from torch import Tensor

from symdgm.binding.environment import Environment, is_data_name
from symdgm.binding.factors import ATOMS, Factor, givens_of, reference, values_of
from symdgm.binding.joint_values import joint_at
from symdgm.binding.scalars import Scalars
from symdgm.distributions import Custom
from symdgm.errors import SymdgmError
from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Quotient, Times
from symdgm.expressions.laws import Law
from symdgm.expressions.names import Name, Subscripted, base, spelled
from symdgm.expressions.places import NAMES, TERM, Place, Role, places
from symdgm.expressions.scope import free_names, heads, replace
from symdgm.expressions.statements import Definition

DENSITIES = ("p", "q", "r")
"""Names that mean a density where they stand under a logarithm and are not said to be anything else."""


def structure_of(
    expressions: Sequence[Basic], samples: frozenset[Basic], environment: Environment | None = None
) -> Environment:
    """An environment in which formulas can be bound for the sake of their structure.

    Args:
        expressions: the formulas.
        samples: heads of names that are samples, so that ``z_1`` stands for ``z``.
        environment: what is bound already, if anything.
    """
    mentioned = list(_mentioned(expressions, samples))
    if environment is not None:
        widened = Environment(
            environment.factors, environment.networks, environment.scalars, environment.shapes
        )
        heads_bound = {f.head for f in environment.factors}
        _widen(widened, [m for m in mentioned if m.args[0] in heads_bound], derived=True)
        return widened
    found = Environment(())
    for node in sorted(mentioned, key=lambda n: len(values_of(n))):
        if _is_factor(found, node):
            _add(found, node, derived=False)
    _widen(found, mentioned, derived=True)
    densities = {m.args[0] for m in mentioned}
    variables = {v for m in mentioned for v in (*values_of(m), *givens_of(m))}
    functions = {h for e in expressions for h in heads(e)} - densities
    found.networks = {spelled(h): _unknown for h in functions if not is_data_name(h)}
    inside = {n for e in expressions for n in _arguments(e, functions)}
    names = {n for e in expressions for n in free_names(e)} - variables - inside
    found.scalars = Scalars({spelled(n): 1.0 for n in names if base(n) not in variables})
    return found


def _unknown(*values: Tensor) -> Tensor:
    raise AssertionError("a network that is not bound is never run")


def _arguments(expression: Basic, functions: set[Basic]) -> Iterator[Basic]:
    for node in expression.atoms(Apply):
        if node.args[0] in functions:
            yield from (a for a in node.args[1:] if isinstance(a, ATOMS))


def _mentioned(expressions: Sequence[Basic], samples: frozenset[Basic]) -> Iterator[Basic]:
    """The densities that formulas mention, at their formal variables, each once and in order."""
    known = {h for e in expressions for h in _density_heads(e)}
    seen: dict[Basic, None] = {}
    for expression in expressions:
        for node, _ in _walk(expression):
            if isinstance(node, Apply | Density) and node.args[0] in known:
                formal = _formal(node, samples)
                if formal is not None:
                    seen.setdefault(formal)
    yield from seen


def _density_heads(expression: Basic) -> Iterator[Basic]:
    for node, place in _walk(expression):
        law = place.role is Role.LAW and isinstance(node, Apply | Density)
        logged = isinstance(node, Call) and node.function == "log"
        if isinstance(node, Density) or law:
            head = node.args[0]
            if not is_data_name(head):
                yield head
        elif logged:
            yield from (a.args[0] for a in _factors(node.args[1]) if base(a.args[0]) in _USUAL)


_USUAL = tuple(Name(text) for text in DENSITIES)


def _factors(node: Basic) -> Iterator[Basic]:
    if isinstance(node, Apply):
        yield node
    elif isinstance(node, Times | Quotient):
        for part in node.args:
            yield from _factors(part)


def _walk(expression: Basic) -> Iterator[tuple[Basic, Place]]:
    waiting = [(expression, TERM)]
    while waiting:
        node, place = waiting.pop()
        yield node, place
        waiting += [(part, inner) for part, inner, _ in reversed(places(node, place))]


def _formal(node: Basic, samples: frozenset[Basic]) -> Basic | None:
    """A reference at its formal variables; None where an argument does not say which one it is."""
    sides = [[_variable(a, samples) for a in side] for side in (values_of(node), givens_of(node))]
    if any(v is None for side in sides for v in side) or not sides[0]:
        return None
    values, givens = ([v for v in side if v is not None] for side in sides)
    return reference(node.args[0], values, givens)


def _variable(argument: Basic, samples: frozenset[Basic]) -> Basic | None:
    if isinstance(argument, Definition):
        argument = argument.args[0]
    if isinstance(argument, Subscripted) and argument.head in samples:
        return argument.head
    if isinstance(argument, Name):
        return base(argument)
    return argument if isinstance(argument, NAMES) else None


def _is_factor(environment: Environment, node: Basic) -> bool:
    """Whether a reference is a factor of its own: over new variables, and in no circle with the others."""
    own = environment.named(node.args[0])
    made = {v for f in own for v in f.variables}
    if made & set(values_of(node)):
        return False
    above = set(givens_of(node))
    while more := {g for f in own if set(f.variables) & above for g in f.givens} - above:
        above |= more
    return not above & set(values_of(node))


def _widen(environment: Environment, mentioned: Sequence[Basic], *, derived: bool) -> None:
    for node in mentioned:
        if not is_known(environment, node):
            _add(environment, node, derived=derived)


def is_known(environment: Environment, node: Basic) -> bool:
    """Whether a reference is a factor, a joint of factors, or was derived before."""
    try:
        if environment.data_law(node) is not None or environment.match(node) is not None:
            return True
        return bool(joint_at(environment, node))
    except SymdgmError:
        return True


def _add(environment: Environment, node: Basic, *, derived: bool) -> None:
    try:
        law = Custom(spelled(node), _unknown)
    except SymdgmError:
        return
    factor = Factor(len(environment.factors), node, law, derived=derived)
    environment.factors = (*environment.factors, factor)


@dataclass
class BayesRule:
    """What densities that follow from others are equal to: ``p(z|x) = p(x,z)/p(x)``.

    Args:
        environment: what is bound; marginals that come up are added to it.
        law: the law that a reference names.
    """

    environment: Environment
    law: Callable[[Basic], Law | None]

    def __call__(self, node: Basic) -> Basic | None:
        """The ratio that a reference is, or the joint; None where it is neither."""
        law = self.law(node)
        if law is None or law.identity < 0:
            return None
        factor = self.environment.factors[law.identity]
        if not factor.derived:
            return None
        found = self._ratio(factor)
        if found is None:
            return None
        actual = dict(zip((*factor.variables, *factor.givens), (*law.values, *law.givens), strict=True))
        swaps: Mapping[Basic, Basic] = {k: v for k, v in actual.items() if k != v}
        return replace(found, swaps) if swaps else found

    def _ratio(self, factor: Factor) -> Basic | None:
        own = self.environment.named(factor.head)
        made = {v for f in own for v in f.variables}
        observed = [g for g in factor.givens if g in made]
        others = [g for g in factor.givens if g not in made]
        if not observed:
            return None
        whole = self._known(factor.head, (*factor.variables, *observed), others)
        below = self._known(factor.head, observed, others)
        return None if whole is None or below is None else Quotient(whole, below)

    def hidden(self, node: Basic) -> tuple[Basic, tuple[Basic, ...]] | None:
        """The joint of which a density is the marginal, and what is summed out; at its formal variables."""
        law = self.law(node)
        if law is None or law.identity < 0 or not self.environment.factors[law.identity].derived:
            return None
        factor = self.environment.factors[law.identity]
        own = self.environment.named(factor.head)
        made = {v: f for f in own for v in f.variables}
        needed = list(factor.variables)
        for variable in needed:
            parents = made[variable].givens if variable in made else ()
            needed += [g for g in parents if g in made and g not in needed]
        given = {g for v in needed if v in made for g in made[v].givens if g not in made}
        joint = reference(factor.head, needed, [g for g in factor.givens if g in given])
        rest = tuple(v for v in needed if v not in factor.variables)
        return (joint, rest) if rest and is_known(self.environment, joint) else None

    def is_derived(self, node: Basic) -> bool:
        """Whether a density follows from others of its name."""
        law = self.law(node)
        return law is not None and law.identity >= 0 and self.environment.factors[law.identity].derived

    def _known(self, head: Basic, values: Sequence[Basic], givens: Sequence[Basic]) -> Basic | None:
        node = reference(head, values, givens)
        if not is_known(self.environment, node):
            _add(self.environment, node, derived=True)
        return node if is_known(self.environment, node) else None
