"""Draws variance and bias of the gradient estimators of a discrete VAE, while it is trained on digits.

Eight binary latent variables, so that the exact gradient is known by enumeration; gradients are those by the
logits of q(z|x), of one hundred test images.

python docs/gradient_variances.py
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from symdgm.data import binarize, digits
from symdgm.display.figures import INK
from symdgm.estimators import Recipe, ScoreFunction
from symdgm.model import Model
from symdgm.zoo import discrete_vae
from symdgm.zoo.discrete_vae import EQUATION

PICTURE = Path(__file__).with_suffix(".png")
LATENT, HIDDEN = 8, 128
EPOCHS = (0, 1, 2, 5, 10, 20, 40)
IMAGES, REPEATS, WARMING = 100, 400, 100
BOUND = 4
"""Standard errors from which on a bias is one."""


class Curve(NamedTuple):
    """An estimator, its draws, and how it is drawn."""

    name: str
    estimator: str | Recipe
    draws: int
    colour: str
    style: str = "-"


CURVES = (
    Curve("score function, no baseline", ScoreFunction("none"), 1, "#000000"),
    Curve("score function, running mean", ScoreFunction("running mean"), 1, "#999999"),
    Curve("score function, leave-one-out, 2 draws", "score function", 2, "#0072B2"),
    Curve("score function, leave-one-out, 4 draws", "score function", 4, "#56B4E9"),
    Curve("DisARM, a pair of draws", "DisARM", 1, "#D55E00"),
    Curve("REBAR", "REBAR", 1, "#009E73"),
    Curve("Gumbel-softmax (biased)", "Gumbel-softmax", 1, "#CC79A7", "--"),
    Curve("straight-through (biased)", "straight-through", 1, "#E69F00", "--"),
)


class Measured(NamedTuple):
    """Variance over the squared norm of the exact gradient; bias over its norm, and what can be seen."""

    variance: float
    bias: float
    seen: float


class Kept(nn.Module):
    """A network that keeps its last output, and the gradient by it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.last = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        """The output of the body."""
        self.last = self.body(x)
        self.last.retain_grad()
        return self.last


def main() -> None:
    """Trains with the exact gradient, and measures all estimators on the way."""
    torch.manual_seed(0)
    noise, data = torch.Generator().manual_seed(2014), digits()
    train, x = binarize(data.train.images, noise), binarize(data.test.images, noise)[:IMAGES]
    model = discrete_vae(64, latent=LATENT, hidden=HIDDEN, estimator="enumeration")
    found: dict[str, list[Measured]] = {curve.name: [] for curve in CURVES}
    for before, epoch in zip((0, *EPOCHS), EPOCHS, strict=False):
        if epoch > before:
            model.fit(train, epochs=epoch - before, lr=2e-3, seed=epoch, progress=False)
        exact = gradients("enumeration", 1, model, x, 1)[0]
        for curve in CURVES:
            table = gradients(curve.estimator, curve.draws, model, x, REPEATS)
            found[curve.name].append(measured(table, exact))
        print(f"epoch {epoch}", {name: points[-1] for name, points in found.items()}, flush=True)
    draw(found)


def gradients(estimator: str | Recipe, draws: int, trained: Model, x: Tensor, repeats: int) -> Tensor:
    """Independent estimates of the gradient by the logits, ``[repeats, images, latent]``."""
    networks = trained.objective.bound.environment.networks
    encoder = Kept(networks["enc"])
    model = Model(
        EQUATION,
        enc=encoder,
        dec=networks["dec"],
        z=LATENT,
        estimators={"z": estimator},
        samples={"z": draws},
    )
    for _ in range(WARMING):  # a running mean has to have run
        model.objective(x=x)
    rows = x.repeat(repeats, 1)
    (model.objective(x=rows) * len(rows)).backward()
    return encoder.last.grad.unflatten(0, (repeats, len(x)))


def measured(table: Tensor, exact: Tensor) -> Measured:
    """Variance and bias of a gradient, relative to the exact one."""
    square = exact.square().sum(-1).mean()
    variance = table.var(0).sum(-1).mean() / square
    noise = variance / len(table)  # of the square of the mean's error, which is no bias
    squared = (table.mean(0) - exact).square().sum(-1).mean() / square - noise
    seen = BOUND * (2 / exact.numel()) ** 0.5 * noise
    return Measured(float(variance), float(squared.clamp_min(0).sqrt()), float(seen.sqrt()))


def draw(found: dict[str, list[Measured]]) -> None:
    """Variances by epoch on the left, biases after the last on the right."""
    figure = Figure(figsize=(11.0, 4.2), facecolor="white", layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(5, 3))
    for curve in CURVES:
        variances = [point.variance for point in found[curve.name]]
        left.plot(EPOCHS, variances, curve.style, color=curve.colour, marker="o", ms=4, label=curve.name)
    left.set_xscale("symlog", linthresh=1)
    left.set_xticks(EPOCHS, [str(epoch) for epoch in EPOCHS])
    left.set_yscale("log")
    left.set_xlabel("epochs of training", color=INK)
    left.set_title("variance of the gradient / squared norm of the exact one", fontsize=11, color=INK)
    left.set_ylim(top=1e8)
    left.legend(fontsize=7.5, frameon=False, ncols=2, loc="upper left")
    for i, curve in enumerate(CURVES):
        last = found[curve.name][-1]
        if last.bias > last.seen:
            right.plot(last.bias, i, "o", color=curve.colour)
        else:
            right.plot(last.seen, i, marker=4, color=curve.colour)
    right.set_xscale("log")
    right.set_xlim(0.08, 4)
    ticks = (0.1, 0.2, 0.5, 1, 2)
    right.set_xticks(ticks, [str(tick) for tick in ticks])
    right.minorticks_off()
    right.set_yticks(range(len(CURVES)), [curve.name for curve in CURVES], fontsize=7.5)
    right.invert_yaxis()
    right.set_title(
        f"norm of the bias / that of the gradient,\nafter {EPOCHS[-1]} epochs (arrows: less than this)",
        fontsize=11,
        color=INK,
    )
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=150)


if __name__ == "__main__":
    main()
