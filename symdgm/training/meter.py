"""Running averages of an objective and its terms, without waiting for the device in every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, final

import torch
from torch import Tensor

from symdgm.training.protocol import Evaluation


class Means(NamedTuple):
    """Averages over rows: the loss that is minimised, the objective as written, its terms by name."""

    loss: float
    value: float
    terms: dict[str, float]


@final
class Meter:
    """Sums ``rows · (loss, value, terms…)`` on the device; only `means` brings numbers to the host.

    Example:
        >>> meter = Meter()
        >>> one = torch.tensor(1.0)
        >>> meter.add({"": Evaluation(one, one, {"KL": one})}, rows=3)
        >>> meter.add({"": Evaluation(one, one * 5, {"KL": one * 2})}, rows=1)
        >>> meter.means()
        Means(loss=1.0, value=2.0, terms={'KL': 1.25})
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._total: Tensor | None = None
        self.rows = 0

    def add(self, evaluations: Mapping[str, Evaluation], rows: int) -> None:
        """Counts the evaluations of one batch, one for each player."""
        values = _flat(evaluations)
        batch = torch.stack([value.detach() for value in values.values()])
        if self._total is None:
            # Ten thousand batches would cost a float32 sum four digits; Apple's devices know no float64.
            dtype = torch.float32 if batch.device.type == "mps" else torch.float64
            self._names, self._total = list(values)[2:], torch.zeros_like(batch, dtype=dtype)
        self._total.add_(batch, alpha=rows)
        self.rows += rows

    def means(self) -> Means:
        """The averages over the rows so far."""
        if self._total is None:
            return Means(float("nan"), float("nan"), {})
        loss, value, *terms = (self._total / self.rows).tolist()
        return Means(loss, value, dict(zip(self._names, terms, strict=True)))

    def state(self) -> dict[str, object]:
        """What a checkpoint within an epoch keeps."""
        return {"names": self._names, "total": self._total, "rows": self.rows}

    @classmethod
    def restored(cls, names: list[str], total: Tensor | None, rows: int) -> Meter:
        """The meter that `state` described."""
        meter = cls()
        meter._names, meter._total, meter.rows = names, total, rows
        return meter


def _flat(evaluations: Mapping[str, Evaluation]) -> dict[str, Tensor]:
    """Named scalars: the loss and the objective (of the first player), then the terms."""
    first = next(iter(evaluations.values()))
    flat = {"loss of the run": first.loss, "objective of the run": first.value}
    if len(evaluations) == 1:
        return flat | dict(first.terms)
    for player, evaluation in evaluations.items():
        flat[player] = evaluation.value
        flat |= {f"{player}: {name}": value for name, value in evaluation.terms.items()}
    return flat
