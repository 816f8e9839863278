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

Example:
    The maximum-likelihood mean of a Gaussian, as the smallest thing that can be trained:

    >>> import torch
    >>> from symdgm.errors import SymdgmError
    >>> class Mean:
    ...     variables, ragged = ("x",), {}
    ...     identity = {"equation": "log N(x; mu, 1)", "digest": "mean"}
    ...     def __init__(self):
    ...         self.mu = torch.nn.Parameter(torch.zeros(1))
    ...         self.players = {"": [self.mu]}
    ...     def evaluate(self, batch, player="", *, apart=False):
    ...         value = -0.5 * ((batch["x"] - self.mu) ** 2).mean()
    ...         return Evaluation(value, {"log p(x)": value}, maximized=True)
    ...     def schedule(self, step): pass
    ...     def check(self, data): pass
    ...     def diagnose(self, batch, rng, player=""): return SymdgmError("log p(x) is not finite")
    ...     def moved(self, player): pass
    ...     def train_mode(self, on): pass
    ...     def state(self): return {"mu": self.mu.detach()}
    ...     def load_state(self, state): self.mu.data.copy_(state["mu"])
    >>> model = Mean()
    >>> history = fit(model, torch.full((100, 1), 3.0), epochs=200, lr=0.1, seed=0, progress=False)
    >>> round(model.mu.item(), 2)
    3.0
    >>> history.last.value > history.epochs[0].value
    True
    >>> fit(model, torch.ones(4, 1), epoch=3)
    Traceback (most recent call last):
    ...
    symdgm.errors.OptionError: unknown option `epoch`
    did you mean `epochs`? ...
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
