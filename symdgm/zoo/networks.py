"""The small networks of the zoo."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from symdgm.zoo.checked import checked


@checked
def network(inputs: int, *hidden: int, outputs: int) -> nn.Sequential:
    """A perceptron with rectified hidden layers: ``[batch, inputs]`` to ``[batch, outputs]``.

    Args:
        inputs: the size of an input.
        hidden: the sizes of the hidden layers, in order.
        outputs: the size of an output.

    Raises:
        OptionError: for a size that is no whole number from 1 on.

    Example:
        >>> sum(p.numel() for p in network(2, 3, outputs=1).parameters())
        13
    """
    layers: list[nn.Module] = []
    for size, following in zip((inputs, *hidden), hidden, strict=False):
        layers += [nn.Linear(size, following), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear((inputs, *hidden)[-1], outputs))


@checked
def critic(inputs: int, *hidden: int) -> nn.Sequential:
    """A perceptron that judges: ``[batch, inputs]`` to one number for each, ``[batch]``.

    Its hidden layers are leaky, so that what it judges always gets a gradient.

    Args:
        inputs: the size of an input.
        hidden: the sizes of the hidden layers, in order.

    Example:
        >>> import torch
        >>> critic(4, 8)(torch.zeros(3, 4)).shape
        torch.Size([3])
    """
    layers = [nn.LeakyReLU(0.2) if isinstance(m, nn.ReLU) else m for m in network(inputs, *hidden, outputs=1)]
    return nn.Sequential(*layers, nn.Flatten(0))


@final
class GaussianNetwork(nn.Module):
    """A perceptron that returns the mean and the standard deviation of a diagonal Gaussian.

    Args:
        inputs: the size of an input.
        hidden: the sizes of the hidden layers, in order.
        outputs: the size of the Gaussian variable.

    Example:
        >>> import torch
        >>> loc, scale = GaussianNetwork(4, 8, outputs=2)(torch.zeros(3, 4))
        >>> loc.shape, bool((scale > 0).all())
        (torch.Size([3, 2]), True)
    """

    @checked
    def __init__(self, inputs: int, *hidden: int, outputs: int) -> None:
        super().__init__()
        self.body = network(inputs, *hidden, outputs=2 * outputs)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[batch, inputs]`` to twice ``[batch, outputs]``."""
        loc, raw = self.body(x).chunk(2, -1)
        return loc, softplus(raw)


@final
class Beside(nn.Module):
    """A network of several vectors, which reads them side by side: ``f(x, y)`` from ``f([x, y])``.

    Args:
        body: a network of one vector, as long as all of them together.

    Example:
        >>> import torch
        >>> Beside(network(5, outputs=2))(torch.zeros(3, 4), torch.zeros(3, 1)).shape
        torch.Size([3, 2])
    """

    @checked
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, *values: Tensor) -> object:
        """Vectors ``[batch, features]`` to what the body makes of them."""
        return self.body(torch.cat(values, -1))


@final
class GatedCell(nn.Module):
    """A step of a gated recurrent unit that reads several vectors through a rectified layer.

    Args:
        inputs: the size of all that it reads, without the state.
        hidden: the size of the layer.
        recurrent: the size of the state, which is the last argument.

    Raises:
        OptionError: for a size that is no whole number from 1 on.

    Example:
        >>> GatedCell(5, 3, 2)(torch.zeros(3, 4), torch.zeros(3, 1), torch.zeros(3, 2)).shape
        torch.Size([3, 2])
    """

    @checked
    def __init__(self, inputs: int, hidden: int, recurrent: int) -> None:
        super().__init__()
        self.read, self.cell = nn.Linear(inputs, hidden), nn.GRUCell(hidden, recurrent)
        self.hidden_size = recurrent

    def forward(self, *values: Tensor) -> Tensor:
        """Vectors ``[batch, features]`` and the state ``[batch, recurrent]`` to the next state."""
        *read, state = values
        after: Tensor = self.cell(self.read(torch.cat(read, -1)).relu(), state)
        return after
