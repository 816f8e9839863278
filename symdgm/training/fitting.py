"""`fit`: from data in any form to a trained model."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from symdgm.errors import DataError, OptionError, refuse_unknown
from symdgm.given import path, shown, switch, whole
from symdgm.training.batches import BATCH_SIZE, Batches, Layout, as_batches
from symdgm.training.checkpoint import read_checkpoint
from symdgm.training.draws import STEPS, Draws
from symdgm.training.history import History
from symdgm.training.interrupts import interruptible
from symdgm.training.optimizers import OptimizerSpec, SchedulerSpec, make_schedulers
from symdgm.training.progress import make_progress
from symdgm.training.protocol import Trainable
from symdgm.training.randomness import draw_seed, seeded
from symdgm.training.run import Callback, Run, Validation
from symdgm.training.stepper import Stepper


def fit(
    trainable: Trainable,
    data: object = None,
    *,
    epochs: int = 1,
    batch_size: int | None = None,
    optimizer: OptimizerSpec | Mapping[str, OptimizerSpec] = None,
    lr: float | Mapping[str, float] | None = None,
    steps: int | Mapping[str, int] | None = None,
    n: int | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    validation: object = None,
    seed: int | None = None,
    shuffle: bool | None = None,
    drop_last: bool | None = None,
    progress: bool = True,
    scheduler: SchedulerSpec | Mapping[str, SchedulerSpec] = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    capture: bool | str = "auto",
    **unknown: object,
) -> History:
    """Trains a model on data.

    Floating data are cast to the dtype of the model's parameters, integer and boolean data are left alone,
    and all go to the device of the parameters. Data in memory are checked once and whole; batches of a
    DataLoader one by one in the first epoch. Networks are in training mode within a step, and in evaluation
    mode afterwards.

    Args:
        trainable: the model.
        data: tensors or NumPy arrays ``[N, *event]`` (one, a tuple in the order of the model's data
            variables, or a dict by name), a torch Dataset, a DataLoader, or any iterable of batches in one
            of these forms. Nothing for a model without data. Of sequences ``[N, time, *event]``, lengths
            ``[N]`` may be given last, or under their name; a list of tensors ``[time, *event]`` has its own.
            Each batch is cut to its longest.
        epochs: how often the data are gone through.
        batch_size: rows of a batch, default 128; only for data that do not come as batches.
        optimizer: None (Adam, fused where torch has it), an optimiser class, a ready instance, a callable
            ``parameters -> Optimizer``, or a dict from players to any of these.
        lr: the step size, default 1e-3, or a dict from players to theirs; not together with an optimiser
            that has its own.
        steps: of a game, a dict from players to their steps in a round, see `Stepper`; without data, the
            number of steps in an epoch, default 100.
        n: without data, how many are drawn in a step, default 128; ``batch_size`` says the same.
        clip_norm: largest Euclidean norm of a player's whole gradient.
        clip_value: largest absolute entry of a gradient.
        validation: data to watch after every epoch, in any of the forms of ``data``; evaluated without
            gradient, in evaluation mode and with the same noise every time. Watching does not change the
            training.
        seed: makes the order of the data and all of torch's noise repeatable, bit for bit on a CPU, and
            leaves the caller's random state as it was. None: both are drawn from the caller's random state.
        shuffle: whether rows are drawn in a new order each epoch, default True.
        drop_last: whether a smaller last batch is left out, default False.
        progress: a bar with every term in a terminal or a notebook, one line an epoch elsewhere; False:
            silence.
        scheduler: a callable ``optimizer -> scheduler`` of the learning rate, or a dict from players to
            theirs, stepped after each epoch; a plateau is measured by the validation loss, if there is one.
        callbacks: called with each `EpochRecord`; one that returns True ends the run after this epoch.
        checkpoint: a file which is replaced, whole, after each epoch and on an interruption.
        resume: goes on from ``checkpoint``, if it exists, as if there had been no break; ``epochs`` counts
            from the very beginning, and the optimiser keeps the state that it had.
        capture: whether steps are recorded as CUDA graphs and replayed, see `Stepper`; ``"auto"``: on a GPU.
        unknown: refused, with the nearest known option.

    Returns:
        The objective and its terms by epoch.

    Raises:
        OptionError: for an unknown option or an impossible value.
        DataError: for data of no known form, or with a missing or unknown name.
        SymdgmError: what `Trainable.check` or `Trainable.diagnose` found; a step whose loss or gradient is
            not finite is not made, and the weights are those of the step before.
        TrainingInterrupted: after Ctrl-C, once the current step is done and the checkpoint is written.
    """
    refuse_unknown(unknown, FIT_OPTIONS)
    turns = steps if isinstance(steps, Mapping) else None
    count = None if isinstance(steps, Mapping) else steps
    whole("epochs", epochs)
    _check_if_given(whole, batch_size=batch_size, steps=count, n=n)
    _check_if_given(switch, shuffle=shuffle, drop_last=drop_last)
    switch("progress", progress)
    _check_callbacks(callbacks)
    _check_resume(checkpoint, switch("resume", resume))
    _check_draws(trainable, data, steps=count, n=n)
    stepper = Stepper(
        trainable,
        optimizer=optimizer,
        lr=lr,
        steps=turns,
        clip_norm=clip_norm,
        clip_value=clip_value,
        capture=capture,
    )
    device = stepper.players[0].parameters[0].device
    layout = _layout(stepper, batch_size=n or batch_size, shuffle=shuffle, drop_last=drop_last)
    with seeded(seed, device):
        # Both are always drawn, so that watching or not makes no difference to the noise.
        order_seed, validation_seed = draw_seed(), draw_seed()
        rows = _rows(trainable, data, layout, count, seed=order_seed, epochs=epochs)
        _check_data(trainable, rows)
        run = Run(
            trainable=trainable,
            stepper=stepper,
            batches=rows,
            schedulers=make_schedulers(stepper.players, scheduler),
            validation=_validation(trainable, validation, layout, validation_seed, epochs),
            epochs=epochs,
            callbacks=callbacks,
            checkpoint=checkpoint,
            device=device,
        )
        if checkpoint is not None and resume:
            _go_on(run, checkpoint)
        return _train(run, progress)


FIT_OPTIONS = tuple(
    name
    for name, parameter in inspect.signature(fit).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
)
"""The names of all options of `fit`."""


def _go_on(run: Run, checkpoint: str | os.PathLike[str]) -> None:
    """Goes on from a checkpoint, if there is one."""
    content = read_checkpoint(checkpoint, run.trainable.identity, run.batches.description)
    if content is not None:
        run.resume(content)


def _train(run: Run, progress: bool) -> History:
    shown = make_progress(progress, run.epochs, run.batches.steps, run.stepper.step)
    try:
        with interruptible() as interruption:
            return run.go(shown, interruption)
    finally:
        shown.close()
        run.stepper.release()
        run.trainable.train_mode(False)


def _check_if_given(check: Callable[[str, object], object], **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            check(name, value)


def _check_callbacks(callbacks: object) -> None:
    if not isinstance(callbacks, list | tuple) or not all(map(callable, callbacks)):
        raise OptionError(
            f"`callbacks` is {shown(callbacks)}", hint="write a list of functions of an epoch's record"
        )


def _check_resume(checkpoint: object, resume: bool) -> None:
    if checkpoint is not None:
        path("checkpoint", checkpoint)
    if resume and checkpoint is None:
        raise OptionError(
            "`resume` needs to know the file", hint="write fit(..., checkpoint=PATH, resume=True)"
        )


def _check_draws(trainable: Trainable, data: object, **given: object) -> None:
    """Data are given where there are variables; without, how many are drawn."""
    names = ", ".join(f"`{name}`" for name in trainable.variables)
    if names and data is None:
        raise DataError(f"the model has the data {names}, and none are given", hint="write `fit(data, ...)`")
    if not names and data is not None:
        raise DataError(
            "the model has no data variable, but data are given",
            hint="leave them out: `fit(n=128, steps=1000)` draws 128 in each of 1000 steps",
        )
    for name, value in given.items():
        if names and value is not None:
            hint = "with data, `batch_size` and `epochs` say it; of a game, `steps={player: number}`"
            raise OptionError(f"`{name}={value}` says how much is drawn without data", hint=hint)


def _rows(
    trainable: Trainable, data: object, layout: Layout, steps: int | None, *, seed: int, epochs: int
) -> Batches:
    if trainable.variables:
        return as_batches(data, trainable.variables, layout, seed=seed, epochs=epochs)
    useless = [name for name in layout.asked if name != "batch_size"]
    if useless:
        raise OptionError(f"`{useless[0]}` has no effect without data", hint="leave it out")
    return Draws(layout, STEPS if steps is None else steps)


def _layout(stepper: Stepper, batch_size: int | None, shuffle: bool | None, drop_last: bool | None) -> Layout:
    parameters = [p for player in stepper.players for p in player.parameters]
    options = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
    return Layout(
        device=parameters[0].device,
        dtype=_dtype(parameters),
        batch_size=BATCH_SIZE if batch_size is None else batch_size,
        shuffle=shuffle is not False,
        drop_last=bool(drop_last),
        asked=tuple(name for name, value in options.items() if value is not None),
        ragged=stepper.trainable.ragged,
    )


def _dtype(parameters: Sequence[nn.Parameter]) -> torch.dtype:
    floating = (p.dtype for p in parameters if p.is_floating_point())
    return next(floating, torch.get_default_dtype())


def _validation(
    trainable: Trainable, data: object, layout: Layout, seed: int, epochs: int
) -> Validation | None:
    if data is None:
        return None
    # The order makes no difference to an average; a fixed one gives each row the same noise every time.
    fixed = replace(layout, shuffle=False, drop_last=False, asked=())
    watched = as_batches(data, trainable.variables, fixed, seed=seed, epochs=epochs)
    _check_data(trainable, watched)
    return Validation(watched, seed)


def _check_data(trainable: Trainable, data: Batches) -> None:
    if data.whole is not None:
        trainable.check(data.whole)
