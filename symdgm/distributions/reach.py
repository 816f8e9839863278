"""What a function or a module brings with it: the modules that it uses, and who hears of its calls."""

from __future__ import annotations

import dis
import functools
import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType

from torch import nn
from torch.nn.modules.module import _has_any_global_hook

_CELL, _GLOBAL = "LOAD_DEREF", "LOAD_GLOBAL"
_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")


def modules_within(network: object) -> dict[str, nn.Module]:
    """The modules that a function reaches, by a name for each; none for a module itself.

    It looks at what the code names: enclosing and global variables with their attributes, default values, the
    arguments of `functools.partial`, and functions of the same file that are called in turn. Lists, tuples
    and dicts are looked into once.

    Args:
        network: what is bound as a network.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> modules_within(lambda x: layer(x).exp())
        {'layer': Linear(in_features=2, out_features=1, bias=True)}
    """
    found: dict[str, nn.Module] = {}
    if not isinstance(network, nn.Module):
        seen: set[int] = set()
        for name, module in _reached("network", network, seen):
            while name in found:
                name += "_"
            found[name] = module
    return found


def _reached(name: str, value: object, seen: set[int]) -> Iterator[tuple[str, nn.Module]]:
    """The modules in a value that was met under a name; each value is looked at once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, nn.Module):
        if next(value.parameters(), None) is not None or next(value.buffers(), None) is not None:
            yield name, value
        return
    for inner, part in _parts(name, value):
        yield from _reached(inner, part, seen)


def _parts(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, FunctionType):
        yield from _used(value)
    elif isinstance(value, MethodType):
        yield from ((name, value.__self__), (name, value.__func__))
    elif isinstance(value, functools.partial):
        yield name, value.func
        yield from ((f"{name}_{i}", argument) for i, argument in enumerate(value.args))
        yield from value.keywords.items()
    elif isinstance(value, list | tuple):
        yield from ((f"{name}_{i}", v) for i, v in enumerate(value) if isinstance(v, nn.Module))
    elif isinstance(value, dict):
        yield from ((f"{name}_{key}", v) for key, v in value.items() if isinstance(v, nn.Module))


def _used(function: FunctionType) -> Iterator[tuple[str, object]]:
    """What a function's code names, and its default values."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for operation, name, attributes in _names(function.__code__):
        if operation == _CELL and name in cells:
            yield from _followed(name, _content(cells[name]), attributes)
        elif operation == _GLOBAL:
            for inner, value in _followed(name, function.__globals__.get(name), attributes):
                # A function of another file is a library's: what it uses belongs to it.
                if not isinstance(value, FunctionType) or value.__globals__ is function.__globals__:
                    yield inner, value
    yield from (("default", value) for value in function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).items()


def _content(cell: object) -> object:
    try:
        return cell.cell_contents  # type: ignore[attr-defined]
    except ValueError:  # a variable that has no value yet
        return None


def _names(code: CodeType) -> Iterator[tuple[str, str, list[str]]]:
    """Each variable that code reads, with the chain of attributes after it; functions inside included."""
    instructions = list(dis.get_instructions(code))
    for i, instruction in enumerate(instructions):
        if instruction.opname in (_CELL, _GLOBAL):
            attributes = []
            for after in instructions[i + 1 :]:
                if after.opname not in _ATTRIBUTE:
                    break
                attributes.append(str(after.argval))
            yield instruction.opname, str(instruction.argval), attributes
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _followed(name: str, value: object, attributes: list[str]) -> Iterator[tuple[str, object]]:
    """The value at the end of ``self.encoder.layer``, or all that a module holds where that is no module.

    A method stands for the children that its module has now: with the module as a whole, a distribution that
    becomes one of its attributes would contain itself.
    """
    for attribute in attributes:
        if isinstance(value, nn.Module):
            children = dict(value.named_children())
            if attribute not in children:
                own = next(value.parameters(recurse=False), None)
                method = isinstance(inspect.getattr_static(value, attribute, None), FunctionType)
                yield from children.items() if method and own is None else ((name, value),)
                return
            value = children[attribute]
        else:
            value = inspect.getattr_static(value, attribute, None)
        name = attribute
    yield name, value


def all_hooked() -> bool:
    """Whether there are hooks that are told of the calls of every module."""
    return bool(_has_any_global_hook())  # type: ignore[no-untyped-call]


def is_hooked(module: nn.Module) -> bool:
    """Whether a module itself has hooks that are told of its calls."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )
