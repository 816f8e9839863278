"""The run: epochs of steps, with validation, records and checkpoints between them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from symdgm.errors import DataError
from symdgm.training.batches import Batches
from symdgm.training.checkpoint import Moment, write_checkpoint
from symdgm.training.history import EpochRecord, History
from symdgm.training.interrupts import Interruption, TrainingInterrupted
from symdgm.training.meter import Means, Meter
from symdgm.training.optimizers import advance
from symdgm.training.progress import Progress
from symdgm.training.protocol import Trainable
from symdgm.training.randomness import seeded
from symdgm.training.stepper import Stepper

Callback = Callable[[EpochRecord], bool | None]


@dataclass(frozen=True, eq=False)
class Validation:
    """Data that are watched and never trained on.

    Args:
        batches: the data.
        seed: of the noise of the evaluations, the same in every epoch: the curve shows the weights, not the
            luck of the draw, and the training goes as it would without being watched.
    """

    batches: Batches
    seed: int


@final
@dataclass(eq=False)
class Run:
    """All that changes while a model is trained.

    Args:
        trainable: the model.
        stepper: makes one step.
        batches: the training data.
        schedulers: of the learning rates, stepped once an epoch.
        validation: data to watch, or None.
        epochs: how many there are to be, those of a resumed run included.
        callbacks: called with each record; one that returns True ends the run.
        checkpoint: the file to write after each epoch, or None.
        device: where the parameters are.
    """

    trainable: Trainable
    stepper: Stepper
    batches: Batches
    schedulers: Sequence[LRScheduler]
    validation: Validation | None
    epochs: int
    callbacks: Sequence[Callback]
    checkpoint: str | os.PathLike[str] | None
    device: torch.device
    history: History = field(default_factory=History)
    done: int = 0
    """Batches of the current epoch that are behind us."""
    seconds: float = 0.0
    """Time that the current epoch took before an interruption."""
    begin: Moment | None = None
    """The random streams at the beginning of the current epoch."""
    meter: Meter = field(init=False)

    def __post_init__(self) -> None:
        self.meter = self._meter()

    def go(self, progress: Progress, interruption: Interruption) -> History:
        """Trains until the last epoch is done or a callback asks for the end."""
        while len(self.history) < self.epochs:
            started = time.perf_counter() - self.seconds
            self._steps(progress, interruption, started)
            record = self._record(started)
            progress.epoch(record)
            # Every callback hears of every epoch, also when another one has asked for the end.
            answers = [callback(record) for callback in self.callbacks]
            if interruption.asked:
                raise TrainingInterrupted(self.history)
            if True in answers:
                break
        return self.history

    def _steps(self, progress: Progress, interruption: Interruption, started: float) -> None:
        """The steps of one epoch that are still to be made."""
        epoch = len(self.history) + 1
        self.trainable.train_mode(True)
        for batch in self._remaining():
            if self.batches.whole is None and epoch == 1:
                self.trainable.check(batch)
            self.meter.add(self.stepper(batch), next(iter(batch.values())).shape[0])
            self.done += 1
            progress.step(epoch, self.done)
            if progress.due():
                self.stepper.settle()
                progress.show(self.meter)
            if interruption.asked:
                self.stepper.settle()
                self.seconds = time.perf_counter() - started
                self._write()
                raise TrainingInterrupted(self.history)
        if self.done == 0:
            raise DataError(
                f"epoch {epoch} had no batch", hint="the data are empty, or can be gone through only once"
            )
        self.stepper.settle()

    def _remaining(self) -> Iterator[dict[str, Tensor]]:
        """The batches of this epoch; after an interruption, those that it left."""
        if self.begin is None:
            self.begin = Moment.capture(self.device, self.batches.order)
            return iter(self.batches)
        now = Moment.capture(self.device, None)
        self.begin.restore(self.batches.order)
        rest = iter(self.batches)
        for _ in range(self.done):
            next(rest, None)
        now.restore(None)
        return rest

    def _record(self, started: float) -> EpochRecord:
        """Ends the epoch: validation, the schedulers, the record, the checkpoint."""
        means = self.meter.means()
        watched = None if self.validation is None else self._watch(self.validation)
        advance(self.schedulers, means.loss if watched is None else watched.loss)
        record = EpochRecord(
            epoch=len(self.history) + 1,
            step=self.stepper.step,
            seconds=time.perf_counter() - started,
            value=means.value,
            terms=means.terms,
            validation_value=None if watched is None else watched.value,
            validation_terms={} if watched is None else watched.terms,
        )
        self.history.epochs.append(record)
        self.meter, self.done, self.seconds, self.begin = self._meter(), 0, 0.0, None
        self._write()
        return record

    def _watch(self, validation: Validation) -> Means:
        """The objective on the validation data: no gradient, evaluation mode, the same noise every time."""
        meter = self._meter()
        self.trainable.train_mode(False)
        with torch.no_grad(), seeded(validation.seed, self.device):
            for batch in validation.batches:
                if validation.batches.whole is None and not self.history.epochs:
                    self.trainable.check(batch)
                evaluations = {p.name: self.trainable.evaluate(batch, p.name) for p in self.stepper.players}
                meter.add(evaluations, next(iter(batch.values())).shape[0])
        if meter.rows == 0:
            raise DataError(
                "the validation data had no batch", hint="they can be gone through only once, or are empty"
            )
        return meter.means()

    def _meter(self) -> Meter:
        return Meter([player.name for player in self.stepper.players])

    def _write(self) -> None:
        """Writes the checkpoint, if there is to be one."""
        if self.checkpoint is None:
            return
        content = {
            "identity": dict(self.trainable.identity),
            "data": self.batches.description,
            "weights": self.trainable.state(),
            "optimizers": {p.name: p.optimizer.state_dict() for p in self.stepper.players},
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "step": self.stepper.step,
            "history": self.history.to_dict(),
            "meter": self.meter.state(),
            "done": self.done,
            "seconds": self.seconds,
            "now": Moment.capture(self.device, self.batches.order).pack(),
            "begin": None if self.begin is None else self.begin.pack(),
            "validation_seed": None if self.validation is None else self.validation.seed,
        }
        write_checkpoint(self.checkpoint, content)

    def resume(self, content: Mapping[str, Any]) -> None:
        """Puts everything where a checkpoint left it, the random streams last."""
        self.trainable.load_state(content["weights"])
        for player in self.stepper.players:
            player.optimizer.load_state_dict(content["optimizers"][player.name])
        for scheduler, state in zip(self.schedulers, content["schedulers"], strict=True):
            scheduler.load_state_dict(state)
        self.stepper.step = content["step"]
        self.history = History.from_dict(content["history"])
        self.meter.resume(**content["meter"])
        self.done, self.seconds = content["done"], content["seconds"]
        if content["begin"] is not None:
            self.begin = Moment.unpack(content["begin"], self.device)
        if self.validation is not None and content["validation_seed"] is not None:
            self.validation = replace(self.validation, seed=content["validation_seed"])
        Moment.unpack(content["now"], self.device).restore(self.batches.order)
