"""The demonstration: from an equation as text to a trained model of real images, and one picture of it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

from symdgm.data import Splits, binarize, digits, mnist
from symdgm.data.folder import FOLDER
from symdgm.display.figures import Picture, check_path, overview
from symdgm.expressions.notation import latex, unicode
from symdgm.model import Model
from symdgm.parsing import parse
from symdgm.training import History
from symdgm.zoo import vae

BATCH = 128
"""Images of a batch."""

DRAWS = 64
"""Draws of z for each image when the bound is reported: their noise is small beside that of the images."""

SHOWN = 12
"""Images beside each other in the picture."""

FIXED = 2014
"""The seed with which test and validation images are binarised: they are the same whatever a run's seed."""


@final
@dataclass(frozen=True)
class Subject:
    """What is learned, and by how large a model.

    Args:
        name: in words.
        splits: the images, grey, ``[N, pixels]``.
        shape: height and width of an image.
        hidden: the size of the hidden layers.
        latent: the size of the latent variable.
        epochs: how often the data are gone through, unless said otherwise.
    """

    name: str
    splits: Splits
    shape: tuple[int, int]
    hidden: int
    latent: int
    epochs: int


@final
@dataclass(frozen=True)
class Report:
    """What a run found.

    Args:
        elbo: the mean of the evidence lower bound over the test images, in nats.
        error: the standard error of that mean over the images.
        seconds: the wall time of the training.
        history: the objective by epoch.
    """

    elbo: float
    error: float
    seconds: float
    history: History


def run(
    data: Path | None = None,
    *,
    epochs: int | None = None,
    seed: int = 0,
    out: Path = Path("symdgm-demo.png"),
    code: bool = False,
) -> Report:
    """Train the VAE from its equation, print what happens, and draw the result.

    The images are binarised: each pixel is a draw from a Bernoulli with its grey value as the mean, drawn
    anew whenever a training image is seen, and once for validation and test. So the objective is a true
    lower bound on log p(x) of binary images.

    Args:
        data: a folder with MNIST's IDX files; default: the folder named in ``SYMDGM_DATA``, or else
            scikit-learn's digits.
        epochs: how often the data are gone through; default: as many as suit the data.
        seed: of the weights, the order of the data and all noise; equal seeds give equal results on a CPU.
        out: the file of the picture.
        code: whether the PyTorch that runs is printed too.

    Raises:
        DataError: the data are not there.
        OptionError: a number of epochs below 1, or a file that is no picture.
    """
    check_path(out)
    subject = _subject(data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = vae(len(subject.splits.train.images[0]), latent=subject.latent, hidden=subject.hidden)
        _introduce(model, subject)
        started = time.perf_counter()
        history = _train(model, subject, subject.epochs if epochs is None else epochs, seed)
        seconds = time.perf_counter() - started
        program = model.code
        test = _fixed(subject.splits.test.images)
        elbo, error = bound(model, test)
        _picture(model, subject, test, history, f"{elbo:.1f} ± {error:.1f}".replace("-", "−")).save(out)
    report = Report(elbo, error, seconds, history)
    if code:
        print(f"\nThe PyTorch that ran\n\n{_indented(program)}")
    _conclude(subject, report, out)
    return report


def bound(model: Model, images: Tensor) -> tuple[float, float]:
    """The evidence lower bound of images with `DRAWS` draws each: its mean over them, and the standard error.

    Args:
        model: a trained model.
        images: zeros and ones, ``[N, pixels]``.
    """
    with torch.no_grad():
        values = torch.stack([model.objective.per_example(x=images) for _ in range(DRAWS)]).mean(0)
    return values.mean().item(), (values.std() / len(values) ** 0.5).item()


@final
class Redrawn(Dataset[Tensor]):
    """Grey images that are binarised anew each time they are looked at.

    Args:
        images: ``[N, pixels]``, in [0, 1].
    """

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Sequence[int]) -> Tensor:
        return binarize(self.images[rows])


def _subject(data: Path | None) -> Subject:
    if data is None and not os.environ.get(FOLDER):
        return Subject("scikit-learn's digits", digits(), (8, 8), hidden=512, latent=16, epochs=400)
    return Subject("MNIST", mnist(data), (28, 28), hidden=400, latent=20, epochs=100)


def _fixed(images: Tensor) -> Tensor:
    return binarize(images, torch.Generator().manual_seed(FIXED))


def _train(model: Model, subject: Subject, epochs: int, seed: int) -> History:
    images = subject.splits.train.images
    order = BatchSampler(RandomSampler(images), BATCH, drop_last=False)
    # The sampler gives a whole batch of rows, so that no image is touched alone.
    batches = DataLoader(Redrawn(images), sampler=order, batch_size=None)
    validation = _fixed(subject.splits.validation.images)
    return model.fit(batches, epochs=epochs, validation=validation, seed=seed)


def _introduce(model: Model, subject: Subject) -> None:
    train, validation, test = (len(part.images) for part in subject.splits)
    height, width = subject.shape
    print(f"The equation\n\n{_indented(unicode(model.text))}\n")
    print(f"How it becomes computable\n\n{_indented(repr(model.derivation))}\n")
    print(f"Training on {subject.name}, {height}×{width} pixels, binarised: {train} images to train on,")
    print(f"{validation} for validation, {test} for the test\n", flush=True)


def _conclude(subject: Subject, report: Report, out: Path) -> None:
    value, error = f"{report.elbo:.2f}".replace("-", "−"), f"{report.error:.2f}"
    count = len(subject.splits.test.images)
    print(
        f"\nTest ELBO  {value} ± {error} nats per image: the mean and its standard error over {count} images,"
    )
    print(f"with {DRAWS} draws of z each. log p(x) is at least this; how much more was not estimated.")
    print(f"Trained in {report.seconds:.0f} s. The picture: {out}")


def _picture(model: Model, subject: Subject, test: Tensor, history: History, value: str) -> Picture:
    rows = {
        "grey image": subject.splits.test.images[:SHOWN],
        "binarised: $x$": test[:SHOWN],
        "reconstruction": model.reconstruct(test[:SHOWN], seed=FIXED),
    }
    samples = model.sample(7 * SHOWN, mean=True, seed=FIXED)["x"]
    title = f"A VAE from its equation, on {subject.name}: test ELBO {value} nats per image"
    return overview(
        title,
        rows,
        samples,
        subject.shape,
        history.epochs,
        typeset=lambda name: latex(parse(name)),
        objective="ELBO",
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.splitlines())
