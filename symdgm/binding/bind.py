"""Binding: from what was written to what is meant. Names become references to what is bound."""

from __future__ import annotations

from collections.abc import Collection

from sympy import Basic, Tuple
from sympy.core.symbol import Str

from symdgm.binding.bound import Bound
from symdgm.binding.carets import locate
from symdgm.binding.environment import Environment, is_data_name, listing
from symdgm.binding.factors import ATOMS, DataLaw, Match, assign, reference, values_of
from symdgm.binding.joint_draws import single
from symdgm.binding.resolve import is_inline_law, resolve, resolve_bare
from symdgm.binding.unsupported import refuse, refuse_family
from symdgm.binding.written import Excerpt, Written
from symdgm.errors import NameResolutionError, NotSupportedError, SymdgmError, suggest
from symdgm.expressions.applications import Apply, Density, call
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.expectations import Binder, CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.names import Name, spelled
from symdgm.expressions.statements import Definition

PI, SIGMA = Name("pi"), Name("sigma")
"""Names that mean the number and the sigmoid where they are not bound (LANGUAGE.md 8.24)."""


def bind(
    expression: Basic, environment: Environment, text: Written | None = None, observed: Collection[str] = ()
) -> Bound:
    """Resolve every name of a formula.

    Args:
        expression: the formula as it was read.
        environment: what is bound.
        text: where it was read, for carets.
        observed: names of variables that need not be declared by a factor.

    Raises:
        NameResolutionError: a name that refers to nothing or to several things; the candidates are listed.
        NotSupportedError: a construct that this version cannot compute; it is named.
    """
    reader = _Reader(environment, text or Excerpt(expression), observed)
    bound = reader.read(expression, frozenset())
    return Bound(
        expression=bound,
        environment=environment,
        written=reader.written,
        resolutions=tuple(reader.resolutions.items()),
        data=reader.data_names(),
        scalars=tuple(reader.scalars),
        networks=tuple(reader.networks),
        text=text,
    )


class _Reader:
    """One walk over a formula; ``scope`` holds the variables that are bound where it stands."""

    def __init__(self, environment: Environment, text: Written, observed: Collection[str]) -> None:
        self.environment = environment
        self.text = text
        self.observed = observed
        self.written: dict[Basic, Basic] = {}
        self.resolutions: dict[Basic, Basic] = {}
        self.free: dict[Basic, bool] = {}
        self.latent: dict[Basic, Basic] = {}
        self.places: dict[Basic, Basic] = {}
        self.path: list[Basic] = []
        self.scalars: dict[str, None] = {}
        self.networks: dict[str, None] = {}

    def read(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        self.path.append(node)
        try:
            refuse(node)
            reader = _READERS.get(type(node))
            result = reader(self, node, scope) if reader else self._children(node, scope)
        except SymdgmError as error:
            raise self._pointed(error, node) from error.__cause__
        finally:
            self.path.pop()
        if result != node:
            self.written.setdefault(result, node)
        return result

    def _pointed(self, error: SymdgmError, node: Basic) -> SymdgmError:
        span = locate(self.text, self.path, node)
        return error if span is None or not self.text.source else error.at(self.text.source, span)

    def data_names(self) -> tuple[str, ...]:
        """The observed variables; a name that could only be a scalar is refused."""
        for node, is_argument in self.free.items():
            if node in self.latent:
                raise self._pointed(self._escaped(node), self.places[node])
            if not is_argument and not self._is_variable(node):
                raise self._pointed(self._unbound(node), self.places[node])
        return tuple(spelled(n) for n in self.free)

    def _escaped(self, node: Basic) -> SymdgmError:
        return NameResolutionError(
            f"`{node}` is bound by the expectation over `{self.latent[node]}`, but it is also used "
            "outside of it",
            hint=f"move what depends on `{node}` into the brackets of the expectation, or give it "
            "another name",
        )

    def _unbound(self, node: Basic) -> SymdgmError:
        known = {*self.environment.scalars, *map(spelled, self.free)} - {spelled(node)}
        return NameResolutionError(
            f"`{node}` is not bound",
            hint=f"write `{spelled(node)}=1.0`, say, to bind a number, or declare data by "
            f'`sd.Data("data({node})")`; ' + suggest(spelled(node), known),
        )

    def _observe(self, node: Basic, *, argument: bool) -> None:
        """Note a free name; as an argument of a density or a network it is an observed variable."""
        self.free[node] = argument or self.free.get(node, False)
        self.places.setdefault(node, self.path[-1])

    def _is_variable(self, node: Basic) -> bool:
        if spelled(node) in self.observed:
            return True
        return any(node in (*f.variables, *f.givens) for f in self.environment.factors)

    def _children(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        if not node.args or isinstance(node, Str):
            return node
        return node.func(*(self.read(a, scope) if not isinstance(a, Str) else a for a in node.args))

    def _name(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        if node in scope:
            return node
        scalar = self.environment.scalar(node)
        if scalar is not None:
            self.scalars[scalar] = None
            return node
        if not self._is_variable(node):
            self._refuse_applicable(node)
        if node != PI or self._is_variable(node):
            self._observe(node, argument=False)
        return node

    def _refuse_applicable(self, node: Basic) -> None:
        """Refuse a distribution or a network where a number is wanted."""
        if self.environment.named(node):
            raise NameResolutionError(
                f"`{node}` is a distribution, not a number",
                hint=f"write its density with its variables, {listing(self.environment.named(node))}",
            )
        if self.environment.network(node) is not None:
            raise NameResolutionError(
                f"`{node}` is a network, not a number", hint=f"apply it, as in `{node}(x)`"
            )

    def _argument(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        """An argument of a density or a network: a free name here is an observed variable."""
        if isinstance(node, ATOMS) and node not in scope and self.environment.scalar(node) is None:
            refuse(node)
            self._observe(node, argument=True)
            return node
        return self.read(node, scope)

    def _apply(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        head, arguments = node.args[0], node.args[1:]
        scalar = self.environment.scalar(head)
        if scalar is not None:
            return self._product(head, arguments, scope)
        network = self.environment.network(head)
        if network is not None:
            self.networks[network] = None
            return Apply(Name(network), *(self._argument(a, scope) for a in arguments))
        family = is_inline_law(head) and len(arguments) > 1
        if self.environment.named(head) or self.environment.data_law(node) or family:
            return self._density(node, scope)
        if head == SIGMA and len(arguments) == 1:
            result = call("sigmoid", self.read(arguments[0], scope))
            self.resolutions.setdefault(node, result)
            return result
        raise NameResolutionError(
            f"`{head}` is not bound",
            hint=f"write `{spelled(head)}=...` to bind a network, a number or a distribution; "
            f"bound: {', '.join(f'`{n}`' for n in self._all_bound()) or 'nothing'}",
        )

    def _product(self, head: Basic, arguments: tuple[Basic, ...], scope: frozenset[Basic]) -> Basic:
        """``beta (a + b)`` of a scalar."""
        if len(arguments) != 1:
            raise NameResolutionError(
                f"`{head}` is bound to a number, which is no function of {len(arguments)} arguments",
                hint=f"bind `{head}` to a network, or write a product, `{head} * (...)`",
            )
        self.scalars[spelled(head)] = None
        return Times(head, self.read(arguments[0], scope))

    def _all_bound(self) -> list[str]:
        factors = [str(f.node) for f in self.environment.factors]
        return [*factors, *self.environment.networks, *self.environment.scalars]

    def _density(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        if not self.environment.named(node.args[0]):
            refuse_family(node)
        law = resolve(self.environment, node)
        if isinstance(law, DataLaw):
            raise NotSupportedError(
                f"the data distribution `{node}` has no density",
                hint="take an expectation over it: `E_data(x)[...]`",
            )
        if isinstance(law, Match):
            values = tuple(self._argument(a, scope) for a in law.values)
            givens = tuple(self._argument(a, scope) for a in law.givens)
            resolved = Match(law.factor, values, givens).node
            if law.factor.head != node.args[0]:
                self.resolutions.setdefault(node, resolved)
            return resolved
        for variable in (*values_of(node), *(node.givens if isinstance(node, Density) else ())):
            self._argument(variable, scope)
        return node

    def _law(self, node: Basic, scope: frozenset[Basic], over: tuple[Basic, ...] | None = None) -> Basic:
        """A reference where a distribution is wanted; what is given is read outside of it."""
        try:
            refuse(node)
            if not isinstance(node, (*ATOMS, Apply, Density)):
                raise NotSupportedError(
                    f"`{node}` stands where one distribution is wanted, which this version cannot "
                    "compute yet",
                    hint="write one factor, such as `q(z|x)`",
                )
            resolved = self._resolved_law(self._bare(node, over) if isinstance(node, ATOMS) else node, scope)
        except SymdgmError as error:
            raise self._pointed(error, node) from error.__cause__
        if resolved != node:
            self.resolutions.setdefault(node, resolved)
        return resolved

    def _resolved_law(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        law = resolve(self.environment, node)
        if isinstance(law, DataLaw):
            return reference(node.args[0], law.variables, ())
        if isinstance(law, Match):
            givens = tuple(self._argument(a, scope) for a in law.givens)
            return Match(law.factor, law.factor.variables, givens).node
        for given in node.givens if isinstance(node, Density) else ():
            self._argument(given, scope)
        return node

    def _bare(self, node: Basic, over: tuple[Basic, ...] | None) -> Basic:
        found = self.environment.data_law(Apply(node))
        if found is not None and over:
            return reference(node, over, ())
        return resolve_bare(self.environment, node, over)

    def _expect(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        binders = []
        for binder in single(self.environment, node.binders, self.resolutions):
            law = self._binder_law(binder, scope)
            ordered = self._drawn(binder.variables or _written_values(binder.law) or values_of(law), law)
            binders.append(Binder(Tuple(*(() if ordered == values_of(law) else ordered)), law))
            if not isinstance(resolve(self.environment, law), DataLaw):
                self.latent.update(dict.fromkeys(ordered, law))
            else:
                for variable in ordered:
                    self._observe(variable, argument=True)
            scope = scope | set(ordered)
        return Expect(self.read(node.body, scope), *binders)

    def _drawn(self, drawn: tuple[Basic, ...], law: Basic) -> tuple[Basic, ...]:
        """The variables that an expectation binds, in the order of the law's own."""
        for variable in drawn:
            refuse(variable)
            if self.environment.scalar(variable) is not None:
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

    def _binder_law(self, binder: Binder, scope: frozenset[Basic]) -> Basic:
        if self._is_unwritten(binder):
            drawn = binder.variables or (binder.law,)
            found = [f for f in self.environment.factors if set(f.variables) == set(drawn)]
            if len(found) != 1:
                raise NameResolutionError(
                    f"no single factor is bound over {_names(drawn)}: "
                    f"{listing(found or self.environment.factors)}",
                    hint="write the law, as in `E_{z ~ q(z|x)}[...]`",
                )
            return self._law(found[0].node, scope)
        return self._law(binder.law, scope, over=binder.variables or None)

    def _is_unwritten(self, binder: Binder) -> bool:
        """Whether a binder names variables only: ``E_{t, eps}``, ``E_z`` where z is no distribution."""
        law = binder.law
        if law == Tuple():
            return True
        bare = isinstance(law, ATOMS) and not binder.variables and not self.environment.named(law)
        return bare and self._is_variable(law) and not is_data_name(law)

    def _divergence(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        left = self._law(node.args[1], scope)
        return DivergenceBetween(
            node.args[0], left, self._compared("a divergence", left, node.args[2], scope)
        )

    def _compared(self, what: str, left: Basic, node: Basic, scope: frozenset[Basic]) -> Basic:
        """The second of two laws, which must be over the variables of the first."""
        right = self._law(node, scope, over=values_of(left))
        if set(values_of(left)) != set(values_of(right)):
            raise NameResolutionError(
                f"{what} compares two distributions over the same variables, but `{left}` is over "
                f"{_names(values_of(left))} and `{right}` over {_names(values_of(right))}",
                hint=f"factors of `{right.args[0]}`: {listing(self.environment.named(right.args[0]))}",
            )
        return right

    def _entropy(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        return Entropy(self._law(node.args[0], scope))

    def _cross_entropy(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        left = self._law(node.args[0], scope)
        return CrossEntropy(left, self._compared("a cross-entropy", left, node.args[1], scope))


def _written_values(law: Basic) -> tuple[Basic, ...]:
    """What a law is written over, ``z'`` of ``q(z'|x)``; nothing for a bare name or an expression."""
    values = values_of(law) if isinstance(law, Apply | Density) else ()
    return values if all(isinstance(v, (*ATOMS, Definition)) for v in values) else ()


def _names(variables: tuple[Basic, ...]) -> str:
    return ", ".join(f"`{v}`" for v in variables)


_READERS = {
    **dict.fromkeys(ATOMS, _Reader._name),
    Apply: _Reader._apply,
    Density: _Reader._density,
    Expect: _Reader._expect,
    DivergenceBetween: _Reader._divergence,
    Entropy: _Reader._entropy,
    CrossEntropy: _Reader._cross_entropy,
}
