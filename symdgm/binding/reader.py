"""The walk over a formula that resolves its names, with what every reader of a construct needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from operator import is_

from sympy import Basic
from sympy.core.symbol import Str
from torch import Tensor

from symdgm.binding.carets import locate
from symdgm.binding.environment import Environment, listing
from symdgm.binding.factors import ATOMS
from symdgm.binding.plates import Plate
from symdgm.binding.read_time import read_step
from symdgm.binding.resolve import is_inline_law
from symdgm.binding.unsupported import refuse
from symdgm.binding.written import Written
from symdgm.errors import NameResolutionError, SymdgmError, suggest
from symdgm.expressions.applications import Apply, Density, call
from symdgm.expressions.arithmetic import Times
from symdgm.expressions.names import Name, Subscripted, spelled
from symdgm.expressions.resolved import EntryOf

PI, SIGMA = Name("pi"), Name("sigma")
"""Names that mean the number and the sigmoid where they are not bound (LANGUAGE.md 8.24)."""


ReadNode = Callable[["Reader", Basic, frozenset[Basic]], Basic]
"""Reads one node in the scope in which it stands."""


class Reader:
    """One walk over a formula; ``scope`` holds the variables that are bound where it stands.

    Args:
        environment: what is bound.
        text: where the formula was read, for carets.
        observed: names of variables that need not be declared by a factor.
        readers: what reads each kind of node; all others are read part by part.
        arguments: what reads each kind of name as an argument of a density or a network.
    """

    def __init__(
        self,
        environment: Environment,
        text: Written,
        observed: Collection[str],
        readers: Mapping[type, ReadNode],
        arguments: Mapping[type, ReadNode],
    ) -> None:
        self.readers = readers
        self.arguments = arguments
        self.environment = environment
        self.text = text
        self.observed = observed
        self.written: dict[Basic, Basic] = {}
        self.resolutions: dict[Basic, Basic] = {}
        self.free: dict[Basic, bool] = {}
        self.outside: dict[Basic, None] = {}
        self.latent: dict[Basic, Basic] = {}
        self.places: dict[Basic, tuple[Basic, ...]] = {}
        self.path: list[Basic] = []
        self.scalars: dict[str, None] = {}
        self.networks: dict[str, None] = {}
        self.dummies: frozenset[Basic] = frozenset()
        self.indices: dict[Basic, Plate] = {}
        self.families: dict[Basic, Basic] = {}

    def read(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        """The node with its names resolved; an error gets a caret under it."""
        self.path.append(node)
        try:
            if not self._is_declared(node):
                refuse(node)
            reader = self.readers.get(type(node))
            result = reader(self, node, scope) if reader else self._children(node, scope)
        except SymdgmError as error:
            raise self.pointed(error, node) from error.__cause__
        finally:
            self.path.pop()
        if result == node:
            return node  # the very node, by which what is remembered of it is found
        self.written.setdefault(result, node)
        return result

    def is_step(self, node: Basic) -> bool:
        """Whether a name is a step, a slice or the whole of a sequence."""
        time = self.environment.time
        return time is not None and time.covers(node)

    def _is_declared(self, node: Basic) -> bool:
        """Whether a name is a step or a component of one, or is told to be observed, such as ``z_{t-1}``."""
        time = self.environment.time
        if time is not None and time.component(node) is not None:
            return True
        return self.is_step(node) or (isinstance(node, ATOMS) and spelled(node) in self.observed)

    def pointed(self, error: SymdgmError, node: Basic) -> SymdgmError:
        """The error with a caret under a node on the way to the one that is read now."""
        span = locate(self.text, self.path, node)
        return error if span is None or not self.text.source else error.at(self.text.source, span)

    def data_names(self) -> tuple[str, ...]:
        """The observed variables; a name that could only be a scalar is refused."""
        for node, is_argument in self.free.items():
            if node in self.latent and node in self.outside:
                raise self.pointed(self._escaped(node), self._written_at(node))
            if not is_argument and not self.is_variable(node):
                raise self.pointed(self._unbound(node), self._written_at(node))
        return tuple(spelled(n) for n in self.free)

    def _written_at(self, node: Basic) -> Basic:
        """What the author wrote where a free name was first met."""
        path = self.places[node]
        return next((part for part in reversed(path) if part in self.text.spans), path[-1])

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

    def observe(self, node: Basic, *, argument: bool, row: bool = False) -> None:
        """Note a free name; as an argument of a density or a network it is an observed variable.

        One that an expectation over data binds is a ``row``: elsewhere the name may be that of a draw.
        """
        self.free[node] = argument or self.free.get(node, False)
        if not row:
            self.outside[node] = None
        if node not in self.places:
            self.places[node] = tuple(self.path)

    def is_variable(self, node: Basic) -> bool:
        """Whether some factor has a variable of this name."""
        if spelled(node) in self.observed:
            return True
        return any(node in (*f.variables, *f.givens) for f in self.environment.factors)

    def _children(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        if not node.args or isinstance(node, Str):
            return node
        parts = [self.read(a, scope) if not isinstance(a, Str) else a for a in node.args]
        return node if all(map(is_, parts, node.args)) else node.func(*parts)

    def name(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        """A name where a number is wanted."""
        if node in scope:
            return node
        step = read_step(self, node, scope)
        if step is not None:
            return step
        scalar = self.environment.scalar(node)
        if scalar is not None:
            self.scalars[scalar] = None
            return node
        if spelled(node) in self.environment.tables and not self.is_variable(node):
            return EntryOf(node)
        if not self.is_variable(node):
            self._refuse_applicable(node)
        if node != PI or self.is_variable(node):
            self.observe(node, argument=False)
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

    def argument(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        """An argument of a density or a network: a free name here is an observed variable."""
        if type(node) in self.arguments and (node not in scope or self.is_step(node)):
            self.path.append(node)
            try:
                return self.arguments[type(node)](self, node, scope)
            except SymdgmError as error:
                raise self.pointed(error, node) from error.__cause__
            finally:
                self.path.pop()
        if isinstance(node, ATOMS) and node not in scope and self.environment.scalar(node) is None:
            step = read_step(self, node, scope)
            if step is not None:
                return step
            refuse(node)
            self.observe(node, argument=True)
            return node
        return self.read(node, scope)

    def apply(self, node: Basic, scope: frozenset[Basic]) -> Basic:
        """``f(x)``: a product, a network, a density or the sigmoid, by what ``f`` is bound to."""
        head, arguments = node.args[0], node.args[1:]
        scalar = self.environment.scalar(head)
        if scalar is not None or self.is_product(node):
            return self._product(head, arguments, scope)
        network = self.environment.network(head)
        if network is not None:
            self.networks[network] = None
            return Apply(Name(network), *(self.argument(a, scope) for a in arguments))
        family = is_inline_law(head) and len(arguments) > 1
        if self.environment.named(head) or self.environment.data_law(node) or family:
            return self.readers[Density](self, node, scope)
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
        """``beta (a + b)`` of a scalar, of an entry of a tensor, or of the number of steps."""
        if len(arguments) != 1:
            raise NameResolutionError(
                f"`{head}` is bound to a number, which is no function of {len(arguments)} arguments",
                hint=f"bind `{head}` to a network, or write a product, `{head} * (...)`",
            )
        return Times(self.read(head, scope), self.read(arguments[0], scope))

    def is_product(self, node: Basic) -> bool:
        """Whether what looks like an application of one argument is a product, ``beta (a + b)``."""
        time, head = self.environment.time, node.args[0]
        length = time is not None and head == time.length and self.environment.network(head) is None
        entry = isinstance(head, Subscripted) and isinstance(
            self.environment.tables.get(spelled(head.head)), Tensor
        )
        return len(node.args) == 2 and (length or entry or self.environment.scalar(head) is not None)

    def _all_bound(self) -> list[str]:
        factors = [str(f.node) for f in self.environment.factors]
        return [*factors, *self.environment.networks, *self.environment.scalars]
