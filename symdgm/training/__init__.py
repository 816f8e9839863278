"""Training: data in any form, optimisers, the guarded step, records, checkpoints, weight files.

Whatever fulfils the protocol `Trainable` can be trained; nothing in this room knows of formulas.

| notion | name |
| --- | --- |
| what can be trained, and what it returns | `Trainable`, `Evaluation` |
| a whole run | `fit`, its options `FIT_OPTIONS`, its `History` of `EpochRecord` |
| one step, for a loop of one's own | `Stepper` |
| data as batches | `as_batches`, `named` |
| the noise of one evaluation, drawn again | `RandomState` |
| weights and their equation in a file | `save`, `load` |
| the user's wish to end | `TrainingInterrupted` |
"""

from symdgm.training.batches import Batches, Layout, as_batches
from symdgm.training.files import load, save
from symdgm.training.fitting import FIT_OPTIONS, fit
from symdgm.training.forms import named
from symdgm.training.history import EpochRecord, History
from symdgm.training.interrupts import TrainingInterrupted
from symdgm.training.protocol import Evaluation, Trainable
from symdgm.training.randomness import RandomState
from symdgm.training.stepper import Stepper

__all__ = [
    "FIT_OPTIONS",
    "Batches",
    "EpochRecord",
    "Evaluation",
    "History",
    "Layout",
    "RandomState",
    "Stepper",
    "Trainable",
    "TrainingInterrupted",
    "as_batches",
    "fit",
    "load",
    "named",
    "save",
]
