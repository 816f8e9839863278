"""Reading references to distributions, and what is made of them: expectations, divergences, entropies."""

from __future__ import annotations

from sympy import Basic, Tuple

from symdgm.binding.chains import exact_chain
from symdgm.binding.environment import is_data_name, listing
from symdgm.binding.factors import ATOMS, DataLaw, Match, assign, reference, values_of
from symdgm.binding.joint_draws import single
from symdgm.binding.reader import Reader
from symdgm.binding.resolve import resolve, resolve_bare
from symdgm.binding.unsupported import refuse, refuse_family
from symdgm.errors import NameResolutionError, NotSupportedError, SymdgmError
from symdgm.expressions.applications import Apply, Density
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.statements import Definition


def read_density(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A density where a number is wanted, ``p(x|z)``."""
    if not reader.environment.named(node.args[0]):
        refuse_family(node)
    law = exact_chain(reader.environment, node, scope) or resolve(reader.environment, node)
    if isinstance(law, DataLaw):
        raise NotSupportedError(
            f"the data distribution `{node}` has no density",
            hint="take an expectation over it: `E_data(x)[...]`",
        )
    if isinstance(law, Match):
        values = tuple(reader.argument(a, scope) for a in law.values)
        givens = tuple(reader.argument(a, scope) for a in law.givens)
        resolved = Match(law.factor, values, givens).node
        if law.factor.head != node.args[0]:
            reader.resolutions.setdefault(node, resolved)
        return resolved
    for variable in (*values_of(node), *(node.givens if isinstance(node, Density) else ())):
        reader.argument(variable, scope)
    return node


def read_law(
    reader: Reader, node: Basic, scope: frozenset[Basic], over: tuple[Basic, ...] | None = None
) -> Basic:
    """A reference where a distribution is wanted; what is given is read outside of it."""
    try:
        refuse(node)
        if not isinstance(node, (*ATOMS, Apply, Density)):
            raise NotSupportedError(
                f"`{node}` stands where one distribution is wanted, which this version cannot compute yet",
                hint="write one factor, such as `q(z|x)`",
            )
        resolved = _resolved_law(
            reader, _bare(reader, node, over) if isinstance(node, ATOMS) else node, scope
        )
    except SymdgmError as error:
        raise reader.pointed(error, node) from error.__cause__
    if resolved != node:
        reader.resolutions.setdefault(node, resolved)
    return resolved


def _resolved_law(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    law = resolve(reader.environment, node)
    if isinstance(law, DataLaw):
        return reference(node.args[0], law.variables, ())
    if isinstance(law, Match):
        givens = tuple(reader.argument(a, scope) for a in law.givens)
        return Match(law.factor, law.factor.variables, givens).node
    for given in node.givens if isinstance(node, Density) else ():
        reader.argument(given, scope)
    return node


def _bare(reader: Reader, node: Basic, over: tuple[Basic, ...] | None) -> Basic:
    found = reader.environment.data_law(Apply(node))
    if found is not None and over:
        return reference(node, over, ())
    return resolve_bare(reader.environment, node, over)


def read_expectation(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """An expectation, with one binder for each factor."""
    binders = []
    for binder in single(reader.environment, node.binders, reader.resolutions):
        law = _binder_law(reader, binder, scope)
        ordered = _drawn(reader, binder.variables or _written_values(binder.law) or values_of(law), law)
        binders.append(Binder(Tuple(*(() if ordered == values_of(law) else ordered)), law))
        if not isinstance(resolve(reader.environment, law), DataLaw):
            reader.latent.update(dict.fromkeys(ordered, law))
        else:
            for variable in ordered:
                reader.observe(variable, argument=True)
        scope = scope | set(ordered)
    return Expect(reader.read(node.body, scope), *binders)


def _drawn(reader: Reader, drawn: tuple[Basic, ...], law: Basic) -> tuple[Basic, ...]:
    """The variables that an expectation binds, in the order of the law's own."""
    for variable in drawn:
        if reader.environment.time is None or not reader.environment.time.covers(variable):
            refuse(variable)
        if reader.environment.scalar(variable) is not None:
            raise NameResolutionError(
                f"`{variable}` is bound to a number, but it is drawn from `{law}`",
                hint="leave the number out, or give one of the two another name",
            )
    formal = values_of(law)
    if len(drawn) != len(formal):
        raise NameResolutionError(
            f"`{law}` has the variables {_names(formal)}, but {_names(drawn)} is drawn from it",
            hint="name as many variables as the law has",
        )
    return assign(formal, drawn) or tuple(drawn)


def _binder_law(reader: Reader, binder: Binder, scope: frozenset[Basic]) -> Basic:
    if _is_unwritten(reader, binder):
        drawn = binder.variables or (binder.law,)
        found = [f for f in reader.environment.factors if set(f.variables) == set(drawn)]
        if len(found) != 1:
            raise NameResolutionError(
                f"no single factor is bound over {_names(drawn)}: "
                f"{listing(found or reader.environment.factors)}",
                hint="write the law, as in `E_{z ~ q(z|x)}[...]`",
            )
        return read_law(reader, found[0].node, scope)
    return read_law(reader, binder.law, scope, over=binder.variables or None)


def _is_unwritten(reader: Reader, binder: Binder) -> bool:
    """Whether a binder names variables only: ``E_{t, eps}``, ``E_z`` where z is no distribution."""
    law = binder.law
    if law == Tuple():
        return True
    bare = isinstance(law, ATOMS) and not binder.variables and not reader.environment.named(law)
    return bare and reader.is_variable(law) and not is_data_name(law)


def read_divergence(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A divergence between two laws over the same variables."""
    left = read_law(reader, node.args[1], scope)
    return DivergenceBetween(node.args[0], left, _compared(reader, "a divergence", left, node.args[2], scope))


def _compared(reader: Reader, what: str, left: Basic, node: Basic, scope: frozenset[Basic]) -> Basic:
    """The second of two laws, which must be over the variables of the first."""
    right = read_law(reader, node, scope, over=values_of(left))
    if set(values_of(left)) != set(values_of(right)):
        raise NameResolutionError(
            f"{what} compares two distributions over the same variables, but `{left}` is over "
            f"{_names(values_of(left))} and `{right}` over {_names(values_of(right))}",
            hint=f"factors of `{right.args[0]}`: {listing(reader.environment.named(right.args[0]))}",
        )
    return right


def read_entropy(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """The entropy of a law."""
    return Entropy(read_law(reader, node.args[0], scope))


def read_cross_entropy(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """The cross-entropy of two laws over the same variables."""
    left = read_law(reader, node.args[0], scope)
    return CrossEntropy(left, _compared(reader, "a cross-entropy", left, node.args[1], scope))


def _written_values(law: Basic) -> tuple[Basic, ...]:
    """What a law is written over, ``z'`` of ``q(z'|x)``; nothing for a bare name or an expression."""
    values = values_of(law) if isinstance(law, Apply | Density) else ()
    return values if all(isinstance(v, (*ATOMS, Definition)) for v in values) else ()


def _names(variables: tuple[Basic, ...]) -> str:
    return ", ".join(f"`{v}`" for v in variables)
