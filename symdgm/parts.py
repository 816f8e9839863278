"""The modules of an objective under readable names, so that saved weights say what they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, final

from torch import nn

from symdgm.binding import Bound
from symdgm.distributions import Deterministic
from symdgm.distributions.networks import refuse_another
from symdgm.distributions.reach import modules_within
from symdgm.errors import OptionError, refuse_unknown


@final
class Shelf(nn.Module):
    """Modules under the names of the mathematics: ``factors.q(z|x).network.weight``.

    Args:
        children: name → what is bound to it; of a function, the modules that it uses.

    Example:
        >>> shelf = Shelf({"p(x|z, y)": nn.Linear(1, 1)})
        >>> list(shelf), list(shelf.state_dict())
        (['p(x|z, y)'], ['p(x|z, y).weight', 'p(x|z, y).bias'])
        >>> shelf["p(x|z,y)"]
        Linear(in_features=1, out_features=1, bias=True)
    """

    def __init__(self, children: Mapping[str, object]) -> None:
        super().__init__()
        register(self, children)
        copy_only(self)

    def __getitem__(self, name: str) -> nn.Module:
        """A module by its name; blanks do not matter.

        Raises:
            OptionError: nothing has that name.
        """
        names = {known.replace(" ", ""): known for known in self}
        refuse_unknown([str(name).replace(" ", "")], [*names], what="name")
        return self.get_submodule(names[str(name).replace(" ", "")])

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to put another module in the place of one that the formula is bound to."""
        refuse_another(self, name, value)
        super().__setattr__(name, value)


def copy_only(module: nn.Module) -> None:
    """From now on `load_state_dict` of a module copies into its own parameters, and replaces none."""
    module.register_load_state_dict_pre_hook(_refuse_assigned)  # type: ignore[no-untyped-call]


def _refuse_assigned(
    module: nn.Module, state: Mapping[str, Any], prefix: str, metadata: Mapping[str, Any], *others: object
) -> None:
    """Refuse `load_state_dict(..., assign=True)` where the formula reads the parameters of a module itself.

    Raises:
        OptionError: scalars, beginnings or tables are trained, and would be replaced.
    """
    if metadata.get("assign_to_params_buffers") and module._parameters:
        listed = ", ".join(f"`{prefix}{name}`" for name in module._parameters)
        raise OptionError(
            f"`assign=True` would replace {listed}, which the formula is bound to",
            hint="leave `assign` out: the values are copied",
        )


def own_parameters(model: nn.Module, bound: Bound) -> None:
    """Make the scalars and beginnings that are trained parameters of a model."""
    for name, parameter in bound.environment.scalars.parameters().items():
        model.register_parameter(f"scalar_{name}", parameter)
    for name, parameter in bound.initial.items():
        model.register_parameter(f"initial_{name}", parameter)
    copy_only(model)


def register(parent: nn.Module, children: Mapping[str, object]) -> None:
    """Make modules the children of another under their own names, as far as a module allows it.

    Args:
        parent: a module.
        children: name → what is bound to it; of a function, the modules that it uses.
    """
    taken = {*dir(parent)}
    for name, child in children.items():
        if isinstance(child, nn.Parameter):
            parent.register_parameter(_free(name, taken), child)
        if isinstance(child, nn.Module):
            parent.add_module(_free(name, taken), child)
        for inner, module in modules_within(child).items():
            parent.add_module(_free(f"{name}_uses_{inner}", taken), module)


def _free(name: str, taken: set[str]) -> str:
    """A name that is no attribute of a module yet, such as ``train_`` for ``train``; then it is one."""
    name = name.replace(".", "_")
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def factors_of(bound: Bound) -> Shelf:
    """The distributions that a formula is bound to; those that are derived have no networks of their own."""
    factors = bound.environment.factors
    own = [f for f in factors if not f.derived or isinstance(f.distribution, Deterministic)]
    return Shelf({str(f.node): f.distribution for f in own})


def all_networks(formulas: Iterable[Bound]) -> Shelf:
    """The same of several formulas in one environment."""
    found: dict[str, object] = {}
    for bound in formulas:
        found |= {name: bound.environment.networks[name] for name in bound.networks}
        found |= bound.environment.tables
    return Shelf(found)


def networks_of(bound: Bound) -> Shelf:
    """The networks that a formula applies outside of distributions, and the tables it takes entries of."""
    networks = {name: bound.environment.networks[name] for name in bound.networks}
    return Shelf({**networks, **bound.environment.tables})


def written_elsewhere(module: nn.Module) -> tuple[nn.Module, ...]:
    """The modules within one that are neither torch's nor of this package."""
    return tuple(m for m in module.modules() if type(m).__module__.split(".")[0] not in ("torch", "symdgm"))


def numbers_of(modules: Iterable[nn.Module]) -> tuple[object, ...]:
    """The numbers and words that modules keep as attributes, such as ``self.temperature = 0.5``."""
    return tuple(v for m in modules for v in vars(m).values() if type(v) in (float, int, bool, str))


def put_in_mode(module: nn.Module, training: bool) -> None:
    """Put a module and all within it into training (or evaluation) mode, if one of them is not in it.

    Asking costs a fifth of setting, which every step would do for nothing.
    """
    if module.training is not training or not _are_in_mode(module, training):
        module.train(training)


def _are_in_mode(module: nn.Module, training: bool) -> bool:
    """Whether all modules within one are."""
    for one in module._modules.values():
        if one is None:
            continue
        if one.training is not training or (one._modules and not _are_in_mode(one, training)):
            return False
    return True
