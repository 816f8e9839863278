"""Reading references to distributions, and what is made of them: expectations, divergences, entropies."""

from __future__ import annotations

from sympy import Basic, Tuple

from symdgm.binding.chains import exact_chain
from symdgm.binding.component_laws import check_component, with_components
from symdgm.binding.environment import is_data_name, listing
from symdgm.binding.factors import ATOMS, DataLaw, Match, assign, reference, values_of
from symdgm.binding.families_of_draws import as_ranges, read_range
from symdgm.binding.joint_draws import single
from symdgm.binding.read_indices import as_written
from symdgm.binding.read_inline import is_inline, read_inline
from symdgm.binding.read_time import earlier_step, is_path_so_far, refuse_marginal
from symdgm.binding.reader import Reader
from symdgm.binding.resolve import resolve, resolve_bare
from symdgm.binding.unsupported import refuse, refuse_family
from symdgm.errors import NameResolutionError, NotSupportedError, SymdgmError
from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.expectations import Binder, Expect
from symdgm.expressions.names import Placeholder
from symdgm.expressions.places import pattern, patterns
from symdgm.expressions.resolved import Component, StoppedLaw
from symdgm.expressions.scope import free_names
from symdgm.expressions.statements import Definition


def read_density(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """A density where a number is wanted, ``p(x|z)``."""
    if not reader.environment.named(node.args[0]):
        refuse_family(node)
    node = _with_indices(reader, node, scope)
    law = exact_chain(reader.environment, node, scope) or resolve(reader.environment, node)
    if isinstance(law, DataLaw):
        raise NotSupportedError(
            f"the data distribution `{node}` has no density",
            hint="take an expectation over it: `E_data(x)[...]`",
        )
    if isinstance(law, Match):
        refuse_marginal(reader.environment, node, law.node)
        values = tuple(reader.argument(a, scope) for a in law.values)
        givens = tuple(reader.argument(a, scope) for a in law.givens)
        _observe_rows(reader, law)
        check_component(Match(law.factor, values, givens))
        resolved = Match(law.factor, values, givens).node
        if law.factor.head != node.args[0]:
            reader.resolutions.setdefault(node, resolved)
        return resolved
    for variable in (*values_of(node), *(node.givens if isinstance(node, Density) else ())):
        reader.argument(variable.args[1] if isinstance(variable, Definition) else variable, scope)
    return node


def _observe_rows(reader: Reader, law: Match) -> None:
    """Note the data that an aggregated law is averaged over."""
    for given in law.factor.rows.givens if law.factor.rows else ():
        reader.observe(given, argument=True)


def _with_indices(reader: Reader, node: Basic, scope: frozenset[Basic], *, law: bool = False) -> Basic:
    """A reference with its indices decided; the values of a law are formal."""
    if not isinstance(node, Apply | Density):
        return node
    values = values_of(node)
    if not law:
        values = tuple(as_written(reader, v, scope) for v in values)
    givens = tuple(as_written(reader, g, scope) for g in (node.givens if isinstance(node, Density) else ()))
    if isinstance(node, Apply):
        return node if values == values_of(node) else reference(node.args[0], values, ())
    return Density(node.args[0], Tuple(*values), Tuple(*givens), *node.args[3:])


def read_law(
    reader: Reader, node: Basic, scope: frozenset[Basic], over: tuple[Basic, ...] | None = None
) -> Basic:
    """A reference where a distribution is wanted; what is given is read outside of it."""
    if isinstance(node, Call) and node.function == "sg":
        return StoppedLaw(_of_steps(reader, node, read_law(reader, node.args[1], scope, over)))
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


def _of_steps(reader: Reader, node: Basic, law: Basic) -> Basic:
    """A law that is stopped, unless it is one of whole sequences: their draws depend on it too."""
    time = reader.environment.time
    if time is None or not any(time.is_range(v) for v in values_of(law)):
        return law
    error = NotSupportedError(
        f"`{node}` stops a law of whole sequences, which cannot be computed yet",
        hint="stop the laws of the steps, as in `sum_{t=1}^T KL[sg[q(z_t|z_{t-1}, x_t)] || p(z_t|z_{t-1})]`",
    )
    raise reader.pointed(error, node)


def _resolved_law(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    node = with_components(reader, _with_indices(reader, node, scope, law=True), scope)
    law = resolve(reader.environment, node)
    if isinstance(law, DataLaw):
        return reference(node.args[0], law.variables, ())
    if isinstance(law, Match):
        givens = tuple(reader.argument(a, scope) for a in law.givens)
        for given in law.factor.rows.givens if law.factor.rows else ():
            reader.observe(given, argument=True, row=True)
        check_component(law)
        _refuse_formula(node, law)
        own = any(isinstance(v, Component) or reader.is_step(v) for v in law.values)
        return Match(law.factor, law.values if own else law.factor.variables, givens).node
    for given in node.givens if isinstance(node, Density) else ():
        reader.argument(given, scope)
    return node


def _refuse_formula(node: Basic, law: Match) -> None:
    """Refuse ``KL[q(z|x) || p(2 z)]``: what is drawn, or integrated over, is a variable."""
    formula = next((v for v in law.values if not isinstance(v, (*ATOMS, Placeholder, Component))), None)
    if formula is not None:
        raise NameResolutionError(
            f"`{node}` stands where a distribution is wanted, but `{formula}` is a formula, no variable",
            hint=f"write `{law.factor.node}`; the law of a formula is that of a value in a block, "
            "as in `y = f(z)`",
        )


def _bare(reader: Reader, node: Basic, over: tuple[Basic, ...] | None) -> Basic:
    found = reader.environment.data_law(Apply(node))
    if found is not None and over:
        return reference(node, over, ())
    return resolve_bare(reader.environment, node, over)


def read_expectation(reader: Reader, node: Basic, scope: frozenset[Basic]) -> Basic:
    """An expectation, with one binder for each factor."""
    binders = []
    taken = free_names(node.body)
    for binder in single(reader.environment, as_ranges(node.binders), reader.resolutions, taken):
        if is_path_so_far(reader.environment, binder.law) and set(values_of(binder.law)) <= scope:
            continue  # the path around it draws these steps
        law = earlier_step(reader.environment, _binder_law(reader, binder, scope))
        drawn = binder.variables or _written_values(binder.law) or values_of(law)
        ordered = _drawn(reader, tuple(read_range(reader, v, scope) for v in drawn), law)
        binders.append(Binder(Tuple(*(() if ordered == values_of(law) else ordered)), law))
        if reader.environment.data_law(law) is None:
            reader.latent.update(dict.fromkeys(ordered, law))
        else:
            for variable in ordered:
                reader.observe(variable, argument=True, row=True)
        scope = scope | (frozenset(ordered) if any(map(reader.is_step, ordered)) else patterns(ordered))
    body = reader.read(node.body, scope)
    return Expect(body, *binders) if binders else body


def _drawn(reader: Reader, drawn: tuple[Basic, ...], law: Basic) -> tuple[Basic, ...]:
    """The variables that an expectation binds, in the order of the law's own."""
    for variable in drawn:
        if pattern(variable) == variable and not reader.is_step(variable):
            refuse(variable)
        if reader.environment.scalar(variable) is not None:
            raise NameResolutionError(
                f"`{variable}` is bound to a number, but it is drawn from `{law}`",
                hint="leave the number out, or give one of the two another name",
            )
    formal = values_of(law)
    if len(drawn) != len(formal):
        raise NameResolutionError(
            f"`{law}` has the variables {names_of(formal)}, but {names_of(drawn)} is drawn from it",
            hint="name as many variables as the law has",
        )
    return assign(formal, drawn) or tuple(drawn)


def _binder_law(reader: Reader, binder: Binder, scope: frozenset[Basic]) -> Basic:
    if is_inline(reader, binder):
        return read_inline(reader, binder, scope)
    if _is_unwritten(reader, binder):
        drawn = binder.variables or (binder.law,)
        found = [f for f in reader.environment.factors if set(f.variables) == set(drawn)]
        if len(found) != 1:
            raise NameResolutionError(
                f"no single factor is bound over {names_of(drawn)}: "
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


def _written_values(law: Basic) -> tuple[Basic, ...]:
    """What a law is written over, ``z'`` of ``q(z'|x)``; nothing for a bare name or an expression."""
    values = values_of(law) if isinstance(law, Apply | Density) else ()
    return values if all(isinstance(v, (*ATOMS, Definition)) for v in values) else ()


def names_of(variables: tuple[Basic, ...]) -> str:
    """Variables as a list for an error message."""
    return ", ".join(f"`{v}`" for v in variables)
