"""The vector quantised autoencoder."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import network

EQUATION = """
    where h = enc(x)
    where e = nearest(h)
    p(x|z) = Bernoulli(x; logits = dec(z))
    maximize log p(x | h + sg[e - h]) - ||sg[h] - e||^2 - beta ||h - sg[e]||^2
"""
"""h + sg[e - h] has the value of the entries e, and passes its gradient on to h, straight through."""


@final
class Codebook(nn.Module):
    """Replaces each part of a vector by the nearest of a few entries.

    Args:
        entries: how many.
        size: the size of an entry, and of a part.

    Example:
        >>> import torch
        >>> book = Codebook(4, 2)
        >>> book(torch.zeros(3, 6)).shape, book.choose(torch.zeros(3, 6)).shape
        (torch.Size([3, 6]), torch.Size([3, 3]))
    """

    @checked
    def __init__(self, entries: int, size: int) -> None:
        super().__init__()
        self.entries = nn.Parameter(torch.randn(entries, size))

    def choose(self, h: Tensor) -> Tensor:
        """The number of the nearest entry of each part: ``[batch, parts size]`` to ``[batch, parts]``."""
        parts = h.detach().reshape(*h.shape[:-1], -1, self.entries.shape[1])
        return torch.cdist(parts, self.entries.detach()).argmin(-1)

    def forward(self, h: Tensor) -> Tensor:
        """The nearest entries, ``[batch, parts size]``, with a gradient to the entries alone."""
        return self.entries[self.choose(h)].flatten(-2)


@checked
def vq_vae(
    pixels: int, *, parts: int = 4, entries: int = 16, size: int = 4, hidden: int = 256, beta: float = 0.25
) -> Model:
    r"""A vector quantised autoencoder of binary images.

    .. math:: \max\; \log p(x | h + \mathrm{sg}[e - h]) - \|\mathrm{sg}[h] - e\|^2
        - \beta \|h - \mathrm{sg}[e]\|^2, \quad h = enc(x), \; e_i = \arg\min_{c \in C} \|h_i - c\|

    With a uniform prior over the codes, log p(x|e) - parts log(entries) is a lower bound on log p(x).

    Args:
        pixels: the size of an image ``x``, ``[batch, pixels]`` of zeros and ones.
        parts: how many codes an image has.
        entries: how many vectors there are to choose from.
        size: the size of such a vector.
        hidden: the size of the one hidden layer of either network.
        beta: the weight of the commitment of the encoder to what it chose.

    Source:
        A. van den Oord, O. Vinyals, K. Kavukcuoglu, "Neural Discrete Representation Learning" (2017), eq. 3.

    Example:
        >>> import torch
        >>> len(vq_vae(64, hidden=8).terms(x=torch.ones(3, 64)))
        3
    """
    return Model(
        EQUATION,
        enc=network(pixels, hidden, outputs=parts * size),
        nearest=Codebook(entries, size),
        dec=network(parts * size, hidden, outputs=pixels),
        beta=beta,
    )
