"""Networks as conditionals: what may be one, how it is called, and which parameters it gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MethodType

from torch import Tensor, nn

from symdgm.distributions.failures import attempt
from symdgm.distributions.leading_axes import apply_over_leading_axes
from symdgm.distributions.outputs import Alternatives, read_parameters
from symdgm.distributions.reach import modules_within
from symdgm.errors import OptionError, ParameterError

Network = Callable[..., object]
"""An `nn.Module` or a plain callable that maps the given variables to parameters.

The modules that a function reaches through its enclosing or global variables, its defaults or
`functools.partial` are trained, moved and saved as if they were bound; a deep copy of a distribution goes on
using the originals.
"""


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

    @property
    def failing(self) -> str:
        """The call and whose it is, as an error names them: ``Encoder(x)`` of Normal q(z|x)."""
        return f"`{self.text}` of {self.family}"

    def parameters(self, given: Mapping[str, Tensor], batch_axes: Mapping[str, int]) -> dict[str, Tensor]:
        """Call the network once and read its parameters.

        Args:
            given: the variables by name, each ``[*samples, batch, *event]``.
            batch_axes: for each variable, the number of its leading axes: sample axes and the batch axis.
        """
        tensors = [given[name] for name in self.arguments]
        axes = [batch_axes[name] for name in self.arguments]
        output = attempt(
            lambda: apply_over_leading_axes(self._positional, tensors, axes),
            self.failing,
            lambda: dict(zip(self.arguments, tensors, strict=True)),
        )
        return self.read(output)

    def read(self, output: object) -> dict[str, Tensor]:
        """Named parameters from what the network returned; see `read_parameters`."""
        return read_parameters(output, self.family, self.alternatives, self.text, any_dtype=self.any_dtype)

    def _positional(self, *tensors: Tensor) -> object:
        if self.by_keyword:
            return self.call(**dict(zip(self.arguments, tensors, strict=True)))
        return self.call(*tensors)


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


def refuse_another(owner: nn.Module, name: str, value: object) -> None:
    """Refuse to put another module in the place of one that formulas call.

    Raises:
        OptionError: it says what to do instead.
    """
    if vars(owner).get("_modules", {}).get(name, value) is not value:
        raise OptionError(
            f"formulas call the network that `{name}` was given at first, not another one in its place",
            hint="give the other one where this is built, or replace parts of the network, `net[0] = ...`",
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
    """Refuse, before anything runs, a network that cannot take the given variables in their order.

    A recurrent module of PyTorch reads sequences of any number of variables side by side, and its own state.
    """
    names = argument_names(network)
    if names is None or isinstance(network, nn.RNNBase):
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
    """Keep a network as an attribute of a distribution, after a look at whether it can be called at all.

    The modules that a function uses are kept with it, see `modules_within`.
    """
    check_network(network, f"the network of {text}")
    check_arguments(network, given, text)
    setattr(owner, name, network)
    if isinstance(network, MethodType) and isinstance(network.__self__, nn.Module):
        # The method of a module: without its owner, the weights would be neither moved nor trained.
        setattr(owner, f"{name}_owner", network.__self__)
        return
    for inner, module in modules_within(network).items():
        setattr(owner, f"{name}_uses_{inner}".replace(".", "_"), module)
