"""Accuracy of M2 from few labels: the exact sum over unknown labels, and Gumbel-softmax instead.

python benchmarks/semi_supervised.py --data mnist --epochs 40
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from symdgm.data import Labelled, binarize, digits, mnist
from symdgm.model import Model
from symdgm.zoo import classifier, m2


def few_labels(data: Labelled, per_digit: int, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The labelled images alone, and repeated beside all others."""
    noise = torch.Generator().manual_seed(seed)
    x, order = binarize(data.images, noise), torch.randperm(len(data.labels), generator=noise)
    kept = torch.cat([order[data.labels[order] == digit][:per_digit] for digit in range(10)])
    others = torch.ones(len(x), dtype=torch.bool).index_fill(0, kept, False).nonzero()[:, 0]
    rows = kept.repeat(len(others) // len(kept) + 1)[: len(others)]
    y = one_hot(data.labels, 10).float()
    return {"x": x[kept], "y": data.labels[kept]}, {"x": x[rows], "y": y[rows], "x_u": x[others]}


def accuracy(model: Model, network: str, x: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        logits = model.objective.bound.environment.networks[network](x)
    return float((logits.argmax(-1) == labels).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("mnist", "digits"), default="digits")
    parser.add_argument("--labels", type=int, default=10, help="labelled images of each digit")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--latent", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = mnist() if options.data == "mnist" else digits()
    x = binarize(data.test.images, torch.Generator().manual_seed(2014))
    pixels, training = x.shape[1], {"lr": options.lr, "progress": False}
    print(f"{vars(options)}; {len(data.train.labels)} rows to train on, {len(x)} to report", flush=True)
    for seed in options.seeds:
        alone, together = few_labels(data.train, options.labels, seed)
        torch.manual_seed(seed)
        plain = classifier(pixels, hidden=options.hidden)
        plain.fit(alone, epochs=200, seed=seed, **training)
        print(f"seed {seed}: labels alone {accuracy(plain, 'net', x, data.test.labels):.1%}", flush=True)
        for estimator in ("enumeration", "Gumbel-softmax"):
            torch.manual_seed(seed)
            size = {"latent": options.latent, "hidden": options.hidden, "alpha": options.alpha}
            model, start = m2(pixels, estimator=estimator, **size), time.perf_counter()
            model.fit(together, epochs=options.epochs, seed=seed, **training)
            seconds = time.perf_counter() - start
            found = accuracy(model, "cls", x, data.test.labels)
            print(f"seed {seed}: M2, {estimator} {found:.1%} ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
