"""Test log-likelihood, by importance sampling, of a VAE and of importance weighted autoencoders.

Images of MNIST, of the folder that SYMDGM_DATA names, or scikit-learn's digits, binarised once.

python benchmarks/likelihoods.py --epochs 60
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from symdgm.data import binarize, digits, mnist
from symdgm.distributions import importance
from symdgm.model import Model
from symdgm.zoo import iwae


def images(name: str) -> tuple[Tensor, Tensor]:
    """To train on, and to report; binarised once."""
    data, noise = mnist() if name == "mnist" else digits(), torch.Generator().manual_seed(0)
    return binarize(data.train.images, noise), binarize(data.test.images, noise)


def log_likelihood(model: Model, x: Tensor, k: int, seed: int) -> tuple[float, float]:
    """The mean over images of log p(x), and its standard error over the images."""
    laws = dict(model.factors.named_children())
    noise, found = torch.Generator().manual_seed(seed), []
    with torch.no_grad():
        for rows in x.split(50):
            joint = laws["p(x|z)"] * laws["p(z)"]
            found.append(
                importance(joint, laws["q(z|x)"], {"x": rows}, k=k, chunk=100, generator=noise).value
            )
    values = torch.cat(found)
    return float(values.mean()), float(values.std() / len(values) ** 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument(
        "--samples", type=int, nargs="+", default=[1, 5, 50], help="K of training; 1 is a VAE"
    )
    parser.add_argument("--k", type=int, default=1000, help="draws of the importance sampling")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--hidden", type=int, default=200)
    parser.add_argument("--latent", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train, test = images(options.data)
    print(
        f"{options.data}: {len(train)} rows to train on, {len(test)} to report; {vars(options)}", flush=True
    )
    for samples in options.samples:
        torch.manual_seed(options.seed)
        size = {"latent": options.latent, "hidden": options.hidden}
        model, start = iwae(train.shape[1], samples=samples, **size), time.perf_counter()
        model.fit(train, epochs=options.epochs, lr=options.lr, seed=options.seed, progress=False)
        seconds = time.perf_counter() - start
        value, error = log_likelihood(model, test, options.k, options.seed)
        print(
            f"K = {samples:3d}: {value:8.2f} ± {error:.2f} nats an image ({options.k} draws), "
            f"{seconds:.0f} s of training",
            flush=True,
        )


if __name__ == "__main__":
    main()
