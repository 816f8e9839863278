"""Running averages of an objective and its terms, without waiting for the device in every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, final

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

    Args:
        players: the players in their order, if there are several; each is averaged over its own evaluations.

    Example:
        >>> meter = Meter()
        >>> one = torch.tensor(1.0)
        >>> meter.add({"": Evaluation(one, {"KL": one})}, rows=3)
        >>> meter.add({"": Evaluation(one * 5, {"KL": one * 2})}, rows=1)
        >>> meter.means()
        Means(loss=2.0, value=2.0, terms={'KL': 1.25})
    """

    def __init__(self, players: Sequence[str] = ("",)) -> None:
        self._players = tuple(players)
        self._names: dict[str, list[str]] = {}
        self._totals: dict[str, Tensor] = {}
        self._rows: dict[str, int] = {}
        self.rows = 0

    def add(self, evaluations: Mapping[str, Evaluation], rows: int) -> None:
        """Counts the evaluations of one batch, one for each player that moved."""
        for player, evaluation in evaluations.items():
            values = (evaluation.loss, evaluation.value, *evaluation.terms.values())
            batch = torch.stack([value.detach() for value in values])
            if player not in self._totals:
                # Ten thousand batches would cost a float32 sum four digits; Apple's devices know no float64.
                dtype = torch.float32 if batch.device.type == "mps" else torch.float64
                self._names[player] = list(evaluation.terms)
                self._totals[player], self._rows[player] = torch.zeros_like(batch, dtype=dtype), 0
            self._totals[player].add_(batch, alpha=rows)
            self._rows[player] += rows
        self.rows += rows

    def means(self) -> Means:
        """The averages over the rows so far; the loss and the value are those of the first player."""
        found: dict[str, list[float]] = {
            p: (self._totals[p] / self._rows[p]).tolist() for p in self._players if p in self._totals
        }
        if not found:
            return Means(float("nan"), float("nan"), {})
        terms: dict[str, float] = {}
        for player, (_, value, *others) in found.items():
            lead = "" if len(self._players) == 1 else f"{player}: "
            terms |= {} if len(self._players) == 1 else {player: value}
            terms |= {f"{lead}{name}": v for name, v in zip(self._names[player], others, strict=True)}
        loss, value, *_ = next(iter(found.values()))
        return Means(loss, value, terms)

    def state(self) -> dict[str, Any]:
        """What a checkpoint within an epoch keeps."""
        return {"names": self._names, "totals": self._totals, "each": self._rows, "rows": self.rows}

    def resume(
        self, names: dict[str, list[str]], totals: dict[str, Tensor], each: dict[str, int], rows: int
    ) -> None:
        """Goes on from what `state` described."""
        self._names, self._totals, self._rows, self.rows = names, totals, each, rows
