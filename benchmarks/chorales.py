"""Batches of the lengths of Bach's chorales, which are what the cost of a sequence model depends on."""

from __future__ import annotations

import torch
from torch import Tensor

NOTES = 88
LENGTHS = (
    25, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 33, 37, 37, 37, 39, 40, 41, 41, 41,
    41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 44, 44, 44, 45, 45, 45, 45, 45, 45, 45, 48, 48, 48, 48,
    48, 48, 48, 48, 48, 48, 48, 48, 48, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49, 49,
    49, 49, 49, 49, 49, 49, 50, 51, 52, 52, 52, 52, 52, 52, 52, 52, 53, 53, 53, 53, 54, 55, 56, 56, 57, 57,
    57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 57, 58, 60, 60, 60, 60, 61, 61, 61, 61, 61,
    61, 61, 61, 61, 63, 63, 64, 64, 64, 64, 64, 64, 64, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65,
    65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 65, 66, 68, 68, 68, 68, 68, 69, 69, 69, 72,
    72, 72, 72, 73, 73, 73, 76, 76, 76, 76, 76, 76, 76, 76, 77, 77, 77, 80, 82, 83, 83, 84, 84, 85, 85, 86,
    88, 89, 93, 96, 96, 97, 98, 101, 102, 105, 108, 108, 109, 109, 109, 113, 113, 114, 120, 128, 129,
)  # fmt: skip
"""Steps of the 229 chorales to train on, at quarter notes, sorted (Boulanger-Lewandowski et al. 2012)."""


def batch(rows: int, longest: int) -> tuple[Tensor, Tensor]:
    """Rolls ``[rows, longest, 88]`` of ones and zeros, zeros behind the end of each, and the lengths.

    Every batch has a sequence of the greatest length; the others are spread evenly over all. The notes are
    drawn: no operation looks at them.
    """
    among = [min(length, longest) for length in LENGTHS]
    lengths = torch.tensor([among[round(i * (len(among) - 1) / (rows - 1))] for i in range(rows)])
    rolls = torch.bernoulli(torch.full((rows, longest, NOTES), 0.05))
    return rolls * (torch.arange(longest) < lengths[:, None])[:, :, None], lengths
