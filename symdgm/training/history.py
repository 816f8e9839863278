"""What a run leaves behind: the objective and its terms, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

from symdgm.training.labels import number, short_names


@final
@dataclass(frozen=True)
class EpochRecord:
    """Averages over one epoch, each batch weighted by its rows.

    Args:
        epoch: counted from 1.
        step: optimisation steps done by the end of this epoch.
        seconds: wall time of the epoch, validation included.
        value: the objective as written; in a game, that of the first player.
        terms: each term by its mathematical name; in a game ``"player: term"``, and each player's objective.
        validation_value: the objective on the validation data, or None.
        validation_terms: its terms, empty without validation data.
    """

    epoch: int
    step: int
    seconds: float
    value: float
    terms: Mapping[str, float]
    validation_value: float | None = None
    validation_terms: Mapping[str, float] = field(default_factory=dict)


@final
@dataclass
class History:
    """The records of a run; plain data, to be pickled or written as JSON.

    Example:
        >>> history = History([EpochRecord(1, 12, 0.5, -3.25, {"KL": 1.5})])
        >>> history.last.terms["KL"]
        1.5
        >>> print(history)
        epoch  step  seconds   value     KL
            1    12     0.50  −3.250  1.500
    """

    epochs: list[EpochRecord] = field(default_factory=list)

    @property
    def last(self) -> EpochRecord:
        """The record of the last epoch; an IndexError if there is none yet."""
        return self.epochs[-1]

    def to_dict(self) -> dict[str, list[Any]]:
        """One list per quantity; terms as ``"terms": [{name: value}]``, ready for JSON."""
        records = [asdict(record) for record in self.epochs]
        names = list(EpochRecord.__dataclass_fields__)
        return {name: [record[name] for record in records] for name in names}

    @classmethod
    def from_dict(cls, lists: Mapping[str, list[Any]]) -> History:
        """The inverse of `to_dict`."""
        rows = zip(*lists.values(), strict=True)
        return cls([EpochRecord(**dict(zip(lists, row, strict=True))) for row in rows])

    def __len__(self) -> int:
        return len(self.epochs)

    def __repr__(self) -> str:
        if not self.epochs:
            return "History: no epoch yet"
        rows = [_cells(record) for record in self.epochs]
        header = list(rows[-1])
        table = [header, *([row.get(name, "") for name in header] for row in rows)]
        widths = [max(len(row[i]) for row in table) for i in range(len(header))]
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in table)


def _cells(record: EpochRecord) -> dict[str, str]:
    """The columns of the table; the terms on the validation data are left to the record."""
    cells = {"epoch": str(record.epoch), "step": str(record.step), "seconds": f"{record.seconds:.2f}"}
    cells["value"] = number(record.value)
    cells |= {
        name: number(v)
        for name, v in zip(short_names(list(record.terms)), record.terms.values(), strict=True)
    }
    if record.validation_value is not None:
        cells["validation"] = number(record.validation_value)
    return cells
