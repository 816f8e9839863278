"""Running averages of an objective and its terms, without waiting for the device in every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from symdgm.training.protocol import Evaluation


@final
class Meter:
    """Sums ``rows · (value, terms…)`` on the device; only `means` brings numbers to the host.

    Example:
        >>> meter = Meter()
        >>> one = torch.tensor(1.0)
        >>> meter.add({"": Evaluation(one, one, {"KL": one})}, rows=3)
        >>> meter.add({"": Evaluation(one, one * 5, {"KL": one * 2})}, rows=1)
        >>> meter.means()
        (2.0, {'KL': 1.25})
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._total: Tensor | None = None
        self._rows = 0

    def add(self, evaluations: Mapping[str, Evaluation], rows: int) -> None:
        """Counts the evaluations of one batch, one for each player."""
        values = _flat(evaluations)
        batch = torch.stack([value.detach() for value in values.values()])
        if self._total is None:
            # Ten thousand batches would cost a float32 sum four digits; Apple's devices know no float64.
            dtype = torch.float32 if batch.device.type == "mps" else torch.float64
            self._names, self._total = list(values), torch.zeros_like(batch, dtype=dtype)
        self._total.add_(batch, alpha=rows)
        self._rows += rows

    def means(self) -> tuple[float, dict[str, float]]:
        """The objective and its terms, averaged over the rows so far."""
        if self._total is None:
            return float("nan"), {}
        value, *terms = (self._total / self._rows).tolist()
        return value, dict(zip(self._names[1:], terms, strict=True))

    def state(self) -> dict[str, object]:
        """What a checkpoint within an epoch keeps."""
        return {"names": self._names, "total": self._total, "rows": self._rows}

    @classmethod
    def restored(cls, names: list[str], total: Tensor | None, rows: int) -> Meter:
        """The meter that `state` described."""
        meter = cls()
        meter._names, meter._total, meter._rows = names, total, rows
        return meter


def _flat(evaluations: Mapping[str, Evaluation]) -> dict[str, Tensor]:
    """One list of named scalars, the first being the objective (of the first player)."""
    if len(evaluations) == 1:
        only = next(iter(evaluations.values()))
        return {"": only.value, **only.terms}
    flat = {"": next(iter(evaluations.values())).value}
    for player, evaluation in evaluations.items():
        flat[player] = evaluation.value
        flat |= {f"{player}: {name}": value for name, value in evaluation.terms.items()}
    return flat
