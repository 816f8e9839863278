"""Parameters that a user writes by name: numbers, tensors, trained parameters and networks."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from symdgm.distributions.networks import Network, check_network
from symdgm.distributions.outputs import Alternatives, is_number
from symdgm.errors import ParameterError, suggest

ParameterValue = float | Tensor | nn.Parameter | Network
"""What may be written for a parameter."""


def check_names(names: Iterable[str], alternatives: Alternatives, owner: str) -> None:
    """Refuse unknown parameter names and names that exclude each other."""
    known = {name for names_ in alternatives for name in names_}
    names = list(names)
    for name in names:
        if name not in known:
            raise ParameterError(f"{owner} has no parameter `{name}`", hint=suggest(name, known))
    if not any(set(names) <= set(allowed) for allowed in alternatives):
        listing = " or ".join(f"({', '.join(allowed)})" for allowed in alternatives)
        raise ParameterError(
            f"{owner} got {' and '.join(f'`{n}`' for n in names)}, which exclude each other",
            hint=f"give {listing}",
        )


def left_open(fixed: Iterable[str], alternatives: Alternatives) -> Alternatives:
    """The parameter sets that are still to be given, beside the fixed names."""
    fixed = set(fixed)
    return tuple(tuple(n for n in names if n not in fixed) for names in alternatives if fixed <= set(names))


def check_complete(fixed: Iterable[str], alternatives: Alternatives, has_network: bool, owner: str) -> None:
    """Refuse parameters that nothing gives, and a network for which nothing is left to give."""
    fixed = list(fixed)
    listing = " and ".join(f"`{name}`" for name in fixed)
    missing = left_open(fixed, alternatives)
    complete = any(not names for names in missing)
    if has_network and complete:
        raise ParameterError(
            f"{owner} has a network and also {listing}, which leaves it nothing to give",
            hint="give either the network or the parameters",
        )
    if not has_network and not fixed:
        raise ParameterError(
            f"{owner} has neither a network nor parameters",
            hint=f"pass a network that returns ({', '.join(missing[0])}), or write {_example(missing[0])}",
        )
    if not has_network and not complete:
        raise ParameterError(
            f"{owner} lacks the parameter {' and '.join(f'`{n}`' for n in missing[0])}",
            hint=f"write {_example(missing[0])}",
        )


def _example(names: tuple[str, ...]) -> str:
    return "`" + ", ".join(f"{name}=..." for name in names) + "`"


def read_parameter(name: str, value: object, owner: str) -> float | Tensor | Network:
    """A number as a float, a tensor as an own copy, a trained parameter and a network as they are.

    Raises:
        ParameterError: it is none of these, or a tensor that is integer or part of a graph.
    """
    if isinstance(value, nn.Parameter):
        return _floating(name, value, owner)
    if isinstance(value, Tensor):
        return _own_copy(name, _floating(name, value, owner), owner)
    if is_number(value):
        return float(value)
    if isinstance(value, type) or callable(value):
        check_network(value, f"`{name}` of {owner}")
        network: Network = value
        return network
    raise ParameterError(
        f"`{name}` of {owner} is a {type(value).__name__}",
        hint=f"give a number, a tensor (`torch.as_tensor({name})`), an `nn.Parameter` or a network",
    )


def _floating(name: str, value: Tensor, owner: str) -> Tensor:
    if value.is_floating_point():
        return value
    raise ParameterError(f"`{name}` of {owner} has dtype {value.dtype}", hint=f"write `{name}.float()`")


def _own_copy(name: str, value: Tensor, owner: str) -> Tensor:
    """A copy: an expanded buffer could not be loaded into, and a shared one would change with its origin."""
    if value.requires_grad:
        raise ParameterError(
            f"`{name}` of {owner} requires a gradient but is no `nn.Parameter`",
            hint=f"wrap it, `nn.Parameter({name})`, to train it, or `detach()` it",
        )
    return value.detach().clone()
