"""Networks as conditionals: how a network is called, and how what it returns becomes named parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from numbers import Real
from types import MethodType
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from symdgm.distributions.shapes import broadcast_leading, show
from symdgm.errors import ParameterError, ShapeError

Network = Callable[..., object]
"""An `nn.Module` or a plain callable that maps the given variables to parameters."""

Alternatives = tuple[tuple[str, ...], ...]
"""The parameter sets that a family accepts, the canonical one first."""


@dataclass(frozen=True)
class NetworkSource:
    """A network and the parameters of a distribution that it gives.

    Args:
        label: how the network is called in errors and displays: its class or function name.
        call: the module or callable; for a subclass with a `forward` of its own, the distribution itself.
        arguments: the given variables that it takes, in declared order.
        by_keyword: whether they are passed by name rather than by position.
        names: the parameters that it gives; None if it gives all parameters of the family.
        alternatives: the sets of parameters that it may return, the canonical one first.
        family: the family and the declaration, for errors.
        any_dtype: whether what it gives may be integer or boolean, as the values of a deterministic function.
    """

    label: str
    call: Network
    arguments: tuple[str, ...]
    by_keyword: bool
    names: tuple[str, ...] | None
    alternatives: Alternatives
    family: str
    any_dtype: bool = False

    @property
    def text(self) -> str:
        """The call as a reader writes it, such as ``Encoder(x)``."""
        return f"{self.label}({', '.join(self.arguments)})"

    def parameters(self, given: Mapping[str, Tensor], batch_axes: Mapping[str, int]) -> dict[str, Tensor]:
        """Call the network once and read its parameters.

        Args:
            given: the variables by name, each ``[*samples, batch, *event]``.
            batch_axes: for each variable, the number of its leading axes: sample axes and the batch axis.
        """
        tensors = [given[name] for name in self.arguments]
        axes = [batch_axes[name] for name in self.arguments]
        return self.read(apply_over_leading_axes(self._positional, tensors, axes))

    def read(self, output: object) -> dict[str, Tensor]:
        """Named parameters from what the network returned; see `read_parameters`."""
        return read_parameters(output, self.family, self.alternatives, self.text, any_dtype=self.any_dtype)

    def _positional(self, *tensors: Tensor) -> object:
        if self.by_keyword:
            return self.call(**dict(zip(self.arguments, tensors, strict=True)))
        return self.call(*tensors)


def apply_over_leading_axes(
    call: Network, tensors: Sequence[Tensor], batch_axes: int | Sequence[int]
) -> object:
    """Call a network that knows one batch axis on tensors that may have sample axes before it.

    With at most one leading axis the call is plain. Else the leading axes are broadcast against each other
    from the right, flattened to one batch axis, and restored in every tensor that comes back. The network is
    called exactly once.

    Args:
        call: the network.
        tensors: its arguments, each ``[*samples, batch, *event]``.
        batch_axes: the number of leading axes, sample axes and the batch axis; one for all, or one each.

    Raises:
        ShapeError: the leading axes do not fit together, or the network does not keep the batch axis.

    Example:
        >>> z, y = torch.zeros(5, 8, 2), torch.zeros(8, 3)
        >>> apply_over_leading_axes(lambda z, y: torch.cat([z, y], 1), [z, y], [2, 1]).shape
        torch.Size([5, 8, 5])
    """
    axes = [batch_axes] * len(tensors) if isinstance(batch_axes, int) else list(batch_axes)
    if max(axes, default=0) <= 1:
        return call(*tensors)
    leading = broadcast_leading(tensors, axes)
    last = len(leading) - 1
    flat = [t.expand(leading + t.shape[k:]).flatten(0, last) for t, k in zip(tensors, axes, strict=True)]
    return _restore(call(*flat), leading)


def _restore(output: Any, leading: torch.Size) -> object:
    """Give the leading axes back to every tensor of a nested output; numbers and 0-d tensors pass."""
    if isinstance(output, Tensor):
        return _restore_tensor(output, leading)
    if isinstance(output, Mapping):
        return {key: _restore(value, leading) for key, value in output.items()}
    if _is_named_tuple(output):
        return type(output)(*(_restore(value, leading) for value in output))
    if isinstance(output, tuple | list):
        return [_restore(value, leading) for value in output]
    return output


def _restore_tensor(output: Tensor, leading: torch.Size) -> Tensor:
    if output.ndim == 0:
        return output
    if output.shape[0] != prod(leading):
        raise ShapeError(
            f"a network was called on a batch of {prod(leading)} and returned shape {show(output.shape)}",
            hint="a network keeps the batch as the first axis of all that it returns",
        )
    return output.reshape(leading + output.shape[1:])


def read_parameters(
    output: object,
    family_name: str,
    alternatives: Alternatives,
    call_text: str,
    *,
    any_dtype: bool = False,
) -> dict[str, Tensor]:
    """Turn what a network returned into named parameters.

    Args:
        output: one tensor (if one parameter is wanted), a tuple or list in the canonical order, or a mapping
            or named tuple by name; plain numbers become 0-d tensors.
        family_name: who wants them, for errors, such as ``Normal q(z|x)``.
        alternatives: the parameter sets that are accepted, the canonical one first.
        call_text: the call, for errors, such as ``Encoder(x)``.
        any_dtype: whether integer and boolean tensors are accepted.

    Raises:
        ParameterError: something is missing, too much, not a number, or not floating.

    Example:
        >>> p = read_parameters((torch.zeros(2), 1.0), "Normal q(z|x)", (("loc", "scale"),), "Encoder(x)")
        >>> p["loc"].shape, p["scale"].item()
        (torch.Size([2]), 1.0)
    """
    named = _named(output, alternatives)
    if named is None or not any(set(named) == set(names) for names in alternatives):
        raise ParameterError(
            f"{call_text} returned {describe(output)}, but {family_name} needs {_wanted(alternatives)}",
            hint=_how_to_return(alternatives[0]),
        )
    for name, value in named.items():
        _check_numeric(name, value, call_text, any_dtype)
    return _tensors(named)


def _named(output: Any, alternatives: Alternatives) -> dict[str, Any] | None:
    if isinstance(output, Mapping):
        return dict(output)
    if _is_named_tuple(output):
        return dict(output._asdict())
    values = list(output) if isinstance(output, tuple | list) else [output]
    canonical = alternatives[0]
    return dict(zip(canonical, values, strict=True)) if len(values) == len(canonical) else None


def _is_named_tuple(output: object) -> bool:
    return isinstance(output, tuple) and getattr(output, "_fields", None) is not None


def _check_numeric(name: str, value: object, call_text: str, any_dtype: bool) -> None:
    if isinstance(value, Tensor) and not (any_dtype or value.is_floating_point()):
        raise ParameterError(
            f"{call_text} returned {name} of dtype {value.dtype}",
            hint=f"parameters are floating: `{name}.float()`",
        )
    if not isinstance(value, Tensor) and not is_number(value):
        raise ParameterError(
            f"{call_text} returned {name} as {describe(value)}", hint=f"{name} must be a tensor or a number"
        )


def _tensors(named: Mapping[str, Any]) -> dict[str, Tensor]:
    like = next((value for value in named.values() if isinstance(value, Tensor)), torch.empty(0))
    return {
        name: value if isinstance(value, Tensor) else like.new_tensor(float(value))
        for name, value in named.items()
    }


def is_number(value: object) -> TypeGuard[Real]:
    """Whether a value is a real number; truth values are none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, Real)


def _wanted(alternatives: Alternatives) -> str:
    return " or ".join(f"({', '.join(names)})" for names in alternatives)


def _how_to_return(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"return one tensor, or the dict {{{names[0]!r}: {names[0]}}}"
    entries = ", ".join(f"{name!r}: {name}" for name in names)
    return (
        f"return the tuple ({', '.join(names)}) or the dict {{{entries}}}; "
        f"`h.chunk({len(names)}, -1)` splits one tensor"
    )


def describe(output: object) -> str:
    """What a network returned, in a few words: types and shapes.

    Example:
        >>> describe((torch.zeros(2, 3), None))
        'a tuple (tensor [2, 3], NoneType)'
    """
    if isinstance(output, Tensor):
        return f"tensor {show(output.shape)}"
    if isinstance(output, Mapping):
        return "a dict {" + ", ".join(f"{key!r}: {describe(value)}" for key, value in output.items()) + "}"
    if isinstance(output, tuple | list):
        return f"a {type(output).__name__} (" + ", ".join(describe(value) for value in output) + ")"
    return type(output).__name__


def check_network(network: object, what: str) -> None:
    """Refuse what cannot be called, and a class in place of its instance."""
    if isinstance(network, type):
        raise ParameterError(
            f"{what} is the class {network.__name__}, not a network",
            hint=f"pass an instance: `{network.__name__}(...)`",
        )
    if not callable(network):
        raise ParameterError(
            f"{what} is a {type(network).__name__}, not a network",
            hint="a network is an `nn.Module` or a callable; constants are passed by name, such as `loc=0.`",
        )


def label_of(network: Network) -> str:
    """The name of a network's class, or of a function; `network` for one without a name."""
    if isinstance(network, nn.Module):
        return type(network).__name__
    name = getattr(network, "__name__", type(network).__name__)
    return "network" if name == "<lambda>" else name


def argument_names(network: Network) -> tuple[str, ...] | None:
    """The names of a network's required and optional arguments; None if they are open or cannot be read."""
    function = network.forward if isinstance(network, nn.Module) else network
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    variadic = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return None if any(p.kind in variadic for p in parameters) else tuple(p.name for p in parameters)


def takes_by_name(network: Network, given: tuple[str, ...]) -> bool:
    """Whether the arguments of a network are called exactly as the given variables, in any order."""
    names = argument_names(network)
    return names is not None and set(names) == set(given)


def check_arguments(network: Network, given: tuple[str, ...], owner: str) -> None:
    """Refuse, before anything runs, a network that cannot take the given variables in their order."""
    names = argument_names(network)
    if names is None:
        return
    takes = f"{label_of(network)} takes ({', '.join(names)})"
    if takes_by_name(network, given) and names != given:
        raise ParameterError(
            f"{takes}, but {owner} passes ({', '.join(given)})",
            hint="write the variables in the same order in both",
        )
    if not _binds(network, len(given)):
        raise ParameterError(
            f"{takes}, but {owner} is given ({', '.join(given)})",
            hint="a network takes the variables behind the bar, one argument each, in their order",
        )


def check_own_forward(owner_module: nn.Module, given: tuple[str, ...], owner: str) -> None:
    """Refuse a `forward` that takes neither the given variables by name nor as many by position."""
    if not takes_by_name(owner_module, given):
        check_arguments(owner_module, given, owner)


def _binds(network: Network, count: int) -> bool:
    function = network.forward if isinstance(network, nn.Module) else network
    try:
        inspect.signature(function).bind(*[None] * count)
    except TypeError:
        return False
    return True


def register_network(
    owner: nn.Module, name: str, network: Network, given: tuple[str, ...], text: str
) -> None:
    """Keep a network as an attribute of a distribution, after a look at whether it can be called at all."""
    check_network(network, f"the network of {text}")
    check_arguments(network, given, text)
    setattr(owner, name, network)
    if isinstance(network, MethodType) and isinstance(network.__self__, nn.Module):
        # The method of a module: without its owner, the weights would be neither moved nor trained.
        setattr(owner, f"{name}_owner", network.__self__)
