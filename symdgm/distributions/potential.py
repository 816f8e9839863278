"""Factors of an exact sum or integral: tables over finite variables, quadratic forms over Gaussian ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from symdgm.distributions.shapes import broadcast
from symdgm.errors import NotSupportedError

LOG_TAU = math.log(2 * math.pi)


@dataclass(frozen=True)
class Potential:
    r"""A function of finite variables, one table axis each, and of the values ``h`` of Gaussian variables.

    .. math:: \log \psi(k, h) = c_k + \eta_k^\top h - \tfrac12 h^\top J_k h

    Its tensors have the axes ``[*finite, *samples, batch]``, and those of the form last. A multiplication
    broadcasts sample axes and batch; the finite axes stand in one order for all.

    Args:
        finite: the finite variables, in the order of their axes.
        sizes: the Gaussian variables with their lengths, in the order of the form.
        constant: ``c``.
        linear: ``eta``, ``[..., d]``.
        precision: ``J``, ``[..., d, d]``.
    """

    finite: tuple[str, ...]
    sizes: Mapping[str, int]
    constant: Tensor
    linear: Tensor | None = None
    precision: Tensor | None = None

    @property
    def scope(self) -> frozenset[str]:
        """All variables that it is a function of."""
        return frozenset(self.finite) | frozenset(self.sizes)

    @property
    def lead(self) -> int:
        """The number of sample axes and the batch axis."""
        return self.constant.ndim - len(self.finite)

    def sum_out(self, name: str) -> Potential:
        """The sum over one finite variable; there must be no Gaussian one."""
        at = self.finite.index(name)
        rest = self.finite[:at] + self.finite[at + 1 :]
        return Potential(rest, {}, self.constant.logsumexp(at))

    def integrate(self, name: str) -> Potential:
        """The integral over one Gaussian variable: a Schur complement."""
        linear, precision = self._form()
        inside, outside = self._split(name)
        root = torch.linalg.cholesky(precision[..., inside, :][..., inside])
        solved = torch.linalg.solve_triangular(root, linear[..., inside].unsqueeze(-1), upper=False)
        half = torch.linalg.solve_triangular(root, precision[..., inside, :][..., outside], upper=False)
        rest = precision[..., outside, :][..., outside] - half.mT @ half
        moved = linear[..., outside] - (half.mT @ solved).squeeze(-1)
        log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        gain = 0.5 * solved.square().sum((-2, -1)) - log_det + 0.5 * len(inside) * LOG_TAU
        sizes = {other: size for other, size in self.sizes.items() if other != name}
        form = (moved, rest) if sizes else (None, None)
        return Potential(self.finite, sizes, self.constant + gain, *form)

    def moments(self) -> tuple[Tensor, Tensor]:
        """The mean ``[..., d]`` and the lower Cholesky root of the precision ``[..., d, d]``."""
        linear, precision = self._form()
        root = torch.linalg.cholesky(precision)
        return torch.cholesky_solve(*_broadcast(linear.unsqueeze(-1), root)).squeeze(-1), root

    def block(self, name: str) -> slice:
        """Where the values of a Gaussian variable stand in the form."""
        start = 0
        for other, size in self.sizes.items():
            if other == name:
                break
            start += size
        return slice(start, start + self.sizes[name])

    def widened(self, lead: int) -> Potential:
        """With as many sample and batch axes as told; new ones of length one stand before the others."""
        extra = (1,) * (lead - self.lead)
        split = len(self.finite)
        return self._each(lambda t: t.reshape(t.shape[:split] + extra + t.shape[split:]))

    def at(self, name: str, index: Tensor) -> Potential:
        """At one value of a finite variable for each example, by a full index ``[*samples, batch]``."""
        if name not in self.finite:
            return self
        axis = self.finite.index(name)

        def pick(tensor: Tensor) -> Tensor:
            tail = tensor.ndim - len(self.finite) - index.ndim
            places = index.reshape((1,) * len(self.finite) + index.shape + (1,) * tail)
            return torch.take_along_dim(*_same_but(tensor, places, axis), dim=axis).squeeze(axis)

        picked = self._each(pick)
        rest = self.finite[:axis] + self.finite[axis + 1 :]
        return Potential(rest, self.sizes, picked.constant, picked.linear, picked.precision)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Potential:
        linear, precision = (None if t is None else change(t) for t in (self.linear, self.precision))
        return Potential(self.finite, self.sizes, change(self.constant), linear, precision)

    def _form(self) -> tuple[Tensor, Tensor]:
        assert self.linear is not None and self.precision is not None
        return self.linear, self.precision

    def _split(self, name: str) -> tuple[Tensor, Tensor]:
        """The places of one Gaussian variable in the form, and all other places."""
        inside = torch.zeros(sum(self.sizes.values()), dtype=torch.bool)
        inside[self.block(name)] = True
        return inside.nonzero().squeeze(-1), (~inside).nonzero().squeeze(-1)


def multiply(potentials: Sequence[Potential], order: Sequence[str]) -> Potential:
    """The product of potentials, whose finite axes stand in the given order.

    Example:
        >>> a = Potential(("y",), {}, torch.zeros(2, 1))
        >>> b = Potential(("z",), {}, torch.zeros(3, 5))
        >>> multiply([a, b], ["y", "z"]).constant.shape
        torch.Size([2, 3, 5])
    """
    finite = tuple(name for name in order if any(name in p.finite for p in potentials))
    sizes = reduce(lambda found, p: found | dict(p.sizes), potentials, dict[str, int]())
    lead = max(p.lead for p in potentials)
    aligned = [_aligned(p.widened(lead), finite, sizes) for p in potentials]
    constant = _total([p.constant for p in aligned])
    if not sizes:
        return Potential(finite, {}, constant)
    forms = [p for p in aligned if p.linear is not None]
    linear = _total([p._form()[0] for p in forms])
    return Potential(finite, sizes, constant, linear, _total([p._form()[1] for p in forms]))


def eliminate(
    potentials: Iterable[Potential], names: Iterable[str], order: Sequence[str], budget: int, owner: str
) -> list[Potential]:
    """Sum and integrate variables out, one after the other, always the one whose table is smallest.

    Args:
        potentials: their product is what is summed.
        names: what to sum out. Gaussian variables go first: only then is the sum over finite ones exact.
        order: the order of all finite variables.
        budget: the most entries that one table may have for each example.
        owner: for errors.

    Raises:
        NotSupportedError: a table would be larger than the budget.
    """
    left = list(potentials)
    names = set(names)
    gaussian = {name for name in names if any(name in p.sizes for p in left)}
    for chosen in (gaussian, names - gaussian):
        while chosen:
            name = min(sorted(chosen), key=lambda n: _cost(left, n))
            touching = [p for p in left if name in p.scope]
            check_budget(_entries(touching), budget, name, owner)
            product = multiply(touching, order)
            done = product.integrate(name) if name in product.sizes else product.sum_out(name)
            left = [p for p in left if name not in p.scope] + [done]
            chosen.remove(name)
    return left


def check_budget(entries: int, budget: int, name: str, owner: str) -> None:
    """Refuse a table that is larger than the budget."""
    if entries > budget:
        large = entries.bit_length() > 40
        size = f"2^{entries.bit_length() - 1}" if large else str(entries)
        raise NotSupportedError(
            f"summing `{name}` of {owner} takes a table of {size} entries for each example; "
            f"the budget is {budget}",
            hint=f"allow more with `budget={entries}`, or " * (not large)
            + "estimate it with `importance(p, q, values, k=...)`",
        )


def _entries(potentials: Sequence[Potential]) -> int:
    sizes = {n: p.constant.shape[i] for p in potentials for i, n in enumerate(p.finite)}
    return math.prod(sizes.values())


def _cost(potentials: Sequence[Potential], name: str) -> tuple[int, int]:
    touching = [p for p in potentials if name in p.scope]
    return _entries(touching), sum(
        reduce(lambda found, p: found | dict(p.sizes), touching, dict[str, int]()).values()
    )


def _aligned(p: Potential, finite: tuple[str, ...], sizes: Mapping[str, int]) -> Potential:
    """With an axis for every finite variable and a place for every Gaussian one."""
    own = iter(p.constant.shape[: len(p.finite)])
    shape = tuple(next(own) if name in p.finite else 1 for name in finite)
    split = len(p.finite)
    placed = p._each(lambda t: t.reshape(shape + t.shape[split:]))
    if placed.linear is None or placed.precision is None or list(p.sizes) == list(sizes):
        return placed
    total = sum(sizes.values())
    whole = Potential(finite, sizes, placed.constant)
    places = torch.cat([torch.arange(total)[whole.block(name)] for name in p.sizes]).to(placed.linear.device)
    spread = torch.zeros(len(places), total, dtype=placed.linear.dtype, device=placed.linear.device)
    spread[torch.arange(len(places)), places] = 1
    precision = spread.mT @ placed.precision @ spread
    return Potential(finite, sizes, placed.constant, placed.linear @ spread, precision)


def _total(tensors: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, tensors)


def _broadcast(column: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
    lead = broadcast(column.shape[:-2], matrix.shape[:-2])
    return column.expand(lead + column.shape[-2:]), matrix.expand(lead + matrix.shape[-2:])


def _same_but(tensor: Tensor, places: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """A tensor and places along one of its axes, broadcast against each other on all others."""
    size = list(broadcast(tensor.select(axis, 0).shape, places.select(axis, 0).shape))
    size.insert(axis, -1)
    return tensor.expand(size), places.expand(size)
