"""Where the parameters of a distribution come from: numbers, tensors, trained parameters, networks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from symdgm.distributions.constants import (
    ParameterValue,
    check_complete,
    check_names,
    left_open,
    read_parameter,
)
from symdgm.distributions.declaration import Declaration
from symdgm.distributions.distribution import Distribution
from symdgm.distributions.networks import (
    Network,
    NetworkSource,
    argument_names,
    check_own_forward,
    label_of,
    register_network,
    takes_by_name,
)
from symdgm.distributions.outputs import Alternatives
from symdgm.distributions.shapes import Shape, element_shapes, read_shape, same_elements, show
from symdgm.distributions.support import check_less
from symdgm.distributions.supports import Support
from symdgm.errors import ParameterError, ShapeError

Check = Callable[[Tensor, str, str], None]
"""Refuses a parameter outside its range, by its name and its owner's."""

NETWORK = "network"
"""The attribute under which the one network of a distribution is registered."""


class Parametric(Distribution):
    """A distribution over one variable with named parameters, and the record of what gives each of them.

    Args:
        declaration: the name, the variable and its conditions, such as ``q(z|x)``.
        network: gives all parameters that are not written by name.
        event_shape: the shape of one value without its batch, where numbers alone leave it open.
        parameters: by name a number, a tensor (kept as a buffer), an `nn.Parameter` (trained), or a network.
    """

    family: ClassVar[str]
    """The name of the family, such as ``Normal``."""
    parameter_names: ClassVar[tuple[str, ...]]
    """The canonical parameters, in the order in which a network returns them."""
    alternatives: ClassVar[Alternatives]
    """All parameter sets that are accepted, the canonical one first."""
    parameter_ranks: ClassVar[Mapping[str, int]]
    """For each parameter, its trailing axes that belong to one element, such as the class axis of logits."""
    event_rank: ClassVar[int]
    """The axes of one element: 0 for an elementwise family, 1 where the last axis is a vector or classes."""
    discrete: ClassVar[bool]
    """Whether the values are discrete, so that a draw carries no gradient."""
    pathwise: ClassVar[bool]
    """Whether a draw carries the gradient by every parameter that its law depends on."""
    support: Support
    """Where the values lie."""
    constraints: ClassVar[Mapping[str, Check]]
    """For each parameter, the check of its range."""
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of parameters of which the first is less than the second."""

    _anchor: Tensor

    def __init__(
        self,
        declaration: str | Declaration = "",
        network: Network | None = None,
        /,
        *,
        event_shape: Shape | None = None,
        **parameters: ParameterValue,
    ) -> None:
        if not declaration:
            raise _undeclared(self.family, parameters)
        super().__init__(declaration)
        self.described = f"{self.family} {self.declaration.text}"
        self._check_one_variable()
        check_names(parameters, self.alternatives, self.described)
        # An empty tensor follows `.to(...)`, so that numbers alone are drawn where and as what the module is.
        self.register_buffer("_anchor", torch.empty(0), persistent=False)
        self._numbers: dict[str, float] = {}
        self._tensors: tuple[str, ...] = ()
        self._networks: tuple[str, ...] = ()
        if network is not None:
            self._register_network(NETWORK, network)
        for name, value in parameters.items():
            self._register(name, read_parameter(name, value, self.described))
        self._check_sources(network, parameters)
        self._by_keyword = self._has_own_forward() and takes_by_name(self, self.given)
        self._formal = self.given
        self._event_shape = self._read_event_shape(event_shape)
        self.check_parameters(self._constant_tensors(self._anchor))

    def check_parameters(self, parameters: Mapping[str, Tensor]) -> None:
        """Refuse parameters outside their range; those that are absent are not looked at.

        Raises:
            ParameterError: with the parameter, its values and its range.
        """
        for name, parameter in parameters.items():
            self.constraints[name](parameter, name, self.described)
        for low, high in self.ordered:
            if low in parameters and high in parameters:
                check_less(parameters[low], parameters[high], (low, high), self.described)

    @property
    def variable(self) -> str:
        """The one random variable."""
        return self.variables[0]

    def renamed(self, declaration: Declaration) -> Self:
        """The same distribution under other names: its weights, buffers and hooks are shared, not copied.

        Args:
            declaration: as many variables and conditions as before, in the same order.
        """
        twin = copy.copy(self)
        twin.declaration = declaration
        twin.described = f"{self.family} {declaration.text}"
        return twin

    def over(self, event_shape: Shape) -> Self:
        """The same distribution with its event shape declared, where numbers alone leave it open.

        Args:
            event_shape: the shape of one value without its batch; one that a network gives is left to it.

        Raises:
            ParameterError: tensors have another shape.

        Example:
            >>> from symdgm.distributions import Normal
            >>> Normal("p(z)", loc=0.0, scale=1.0).over(3).sample()["z"].shape
            torch.Size([1, 3])
        """
        if self._is_networked():
            return self
        twin = self.renamed(self.declaration)
        twin._event_shape = self._read_event_shape(event_shape)
        return twin

    @property
    def event_shape(self) -> torch.Size | None:
        """The shape of one value, declared or from tensors; None if only a network or a value knows it."""
        return self._event_shape

    @property
    def constants(self) -> Mapping[str, float | Tensor]:
        """The parameters that no network gives: numbers as floats, tensors as they are now."""
        return MappingProxyType({**self._numbers, **self._fixed_tensors()})

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The networks, each with what it is called on and which parameters it gives."""
        if self._has_own_forward():
            return (*self._registered_sources(), self._own_source())
        return self._registered_sources()

    def __repr__(self) -> str:
        parts = [f"network {s.label}" for s in self.sources if s.names is None or len(s.names) > 1]
        parts += [f"{s.names[0]}={s.text}" for s in self.sources if s.names is not None and len(s.names) == 1]
        parts += [f"{name}={_show_constant(value)}" for name, value in self.constants.items()]
        if self.event_shape is not None:
            parts.append(f"event_shape={show(self.event_shape)}")
        return f"{self.described} with {', '.join(parts)}"

    def _registered_sources(self) -> tuple[NetworkSource, ...]:
        return tuple(
            self._source(name, getattr(self, _network_attribute(name)), False) for name in self._networks
        )

    def _own_source(self) -> NetworkSource:
        source = self._source(NETWORK, self, self._by_keyword)
        if not self._by_keyword or self.given == self._formal:
            return source
        # Renamed: the names of the arguments are those of the first declaration, so they go by position.
        actual = dict(zip(self._formal, self.given, strict=True))
        order = tuple(actual[name] for name in argument_names(self) or ())
        return replace(source, arguments=order, by_keyword=False)

    def _source(self, name: str, call: Network, by_keyword: bool) -> NetworkSource:
        if name == NETWORK:
            fixed = [*self.constants, *(n for n in self._networks if n != NETWORK)]
            alternatives = left_open(fixed, self.alternatives)
            names = alternatives[0] if fixed else None
        else:
            names = (name,)
            alternatives = (names,)
        return NetworkSource(
            label_of(call), call, self.given, by_keyword, names, alternatives, self.described
        )

    def _register(self, name: str, value: float | Tensor | Network) -> None:
        if isinstance(value, Tensor):
            self._tensors += (name,)
            self._register_tensor(name, value)
        elif isinstance(value, float):
            self._register_number(name, value)
        else:
            self._register_network(name, value)

    def _register_tensor(self, name: str, value: Tensor) -> None:
        if isinstance(value, nn.Parameter):
            self.register_parameter(_tensor_attribute(name), value)
        else:
            self.register_buffer(_tensor_attribute(name), value)

    def _register_number(self, name: str, value: float) -> None:
        if self.parameter_ranks[name]:
            raise ParameterError(
                f"`{name}` of {self.described} is the number {value:g}, but it has an axis of its own",
                hint=f"give a tensor, such as `{name}=torch.tensor([...])`",
            )
        self._numbers[name] = value

    def _register_network(self, name: str, network: Network) -> None:
        register_network(self, _network_attribute(name), network, self.given, self.described)
        self._networks += (name,)

    def _check_one_variable(self) -> None:
        if len(self.variables) > 1:
            raise ParameterError(
                f"{self.described} is over {len(self.variables)} variables, but a {self.family} is over one",
                hint="write one distribution for each variable",
            )

    def _check_sources(self, network: Network | None, parameters: Mapping[str, ParameterValue]) -> None:
        if self._has_own_forward():
            check_own_forward(self, self.given, self.described)
            if network is not None:
                raise ParameterError(
                    f"{self.described} has a network, and {type(self).__name__} also defines `forward`",
                    hint="give one of the two",
                )
        networked = network is not None or self._has_own_forward()
        check_complete(parameters, self.alternatives, networked, self.described)

    def _read_event_shape(self, declared: Shape | None) -> torch.Size | None:
        tensors = self._fixed_tensors()
        shapes = element_shapes(tensors, self.parameter_ranks, torch.Size(), self.described)
        elements, tail = same_elements(shapes, self.described), self._tail(tensors)
        if declared is not None:
            return self._check_event_shape(read_shape(declared, "event_shape"), elements, tail)
        if tail is None or (elements is None and (self._is_networked() or not tensors)):
            return None
        return (elements or torch.Size()) + tail

    def _check_event_shape(
        self, declared: torch.Size, elements: torch.Size | None, tail: torch.Size | None
    ) -> torch.Size:
        if self._is_networked():
            raise ParameterError(
                f"{self.described} has a network and `event_shape`",
                hint="leave it out: the network gives the shape",
            )
        split = len(declared) - self.event_rank
        if elements not in (None, declared[:split]) or tail not in (None, declared[split:]):
            found = (elements or torch.Size()) + (tail or torch.Size())
            raise ParameterError(
                f"{self.described} has event_shape {show(declared)}, but its parameters have {show(found)}",
                hint="leave it out: tensors give the shape",
            )
        return declared

    def _tail(self, parameters: Mapping[str, Tensor]) -> torch.Size | None:
        """The shape of one element, on which all that show it agree; None if none of them is there.

        A parameter of more axes, such as a matrix, shows it by the first of its own.
        """
        rank = self.event_rank
        if rank == 0:
            return torch.Size()
        own = {n: t.shape[t.ndim - self.parameter_ranks[n] :] for n, t in parameters.items()}
        found = {name: shape[:rank] for name, shape in own.items() if len(shape) >= rank}
        if len(set(found.values())) > 1:
            table = ", ".join(f"{name} {show(own[name])}" for name in found)
            raise ShapeError(
                f"the parameters of {self.described} do not fit together: {table}",
                hint="a vector of length D goes with matrices of D rows",
            )
        return next(iter(found.values()), None)

    def _is_networked(self) -> bool:
        return bool(self._networks) or self._has_own_forward()

    def _fixed_tensors(self) -> dict[str, Tensor]:
        """The parameters that were given as tensors, as they are now."""
        return {name: getattr(self, _tensor_attribute(name)) for name in self._tensors}

    def _constant_tensors(self, anchor: Tensor) -> dict[str, Tensor]:
        tensors = self._fixed_tensors()
        like = next(iter(tensors.values()), anchor)
        return tensors | {name: like.new_tensor(number) for name, number in self._numbers.items()}


def _undeclared(family: str, keywords: Mapping[str, object]) -> ParameterError:
    """The error for a missing declaration; that of ``var=``, ``cond_var=``, ``name=`` is written out."""
    values, given = (_joined(keywords.get(key)) for key in ("var", "cond_var"))
    bar = f"|{given}" if given else ""
    text = f"{keywords.get('name', 'p')}({values}{bar})" if values else "q(z|x)"
    return ParameterError(
        f"this {family} has no declaration of its name and variables", hint=f'it is written "{text}", first'
    )


def _joined(names: object) -> str:
    return ",".join(map(str, names)) if isinstance(names, list | tuple) else str(names or "")


def _tensor_attribute(name: str) -> str:
    """Not the bare name: it could be a method (`mean`), or what a subclass calls a layer (`scale`)."""
    return f"{name}_value"


def _network_attribute(name: str) -> str:
    return NETWORK if name == NETWORK else f"{name}_{NETWORK}"


def _show_constant(value: float | Tensor) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return f"{'parameter' if isinstance(value, nn.Parameter) else 'tensor'} {show(value.shape)}"
