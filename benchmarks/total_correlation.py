"""The total correlation of the codes of a VAE, and of FactorVAE and beta-TCVAE, which lower it.

The mixture q(z) is summed over all training images. On scikit-learn's digits, binarised once.

python benchmarks/total_correlation.py
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

import symdgm as sd
from symdgm.data import binarize, digits
from symdgm.distributions import importance
from symdgm.model import Model
from symdgm.zoo import beta_tcvae, factor_vae


def total_correlation(model: Model, x: Tensor, draws: int) -> tuple[float, float]:
    """Its mean over draws, and their standard error."""
    q = model.factors.get_submodule("q(z|x)")
    measure = sd.Objective("KL[q(z) || prod_j q(z_j)]", sd.Data("data(x)"), q)
    with torch.no_grad():
        values = torch.stack([measure(x=x) for _ in range(draws)])
    return float(values.mean()), float(values.std() / draws**0.5)


def log_likelihood(model: Model, x: Tensor) -> float:
    laws = dict(model.factors.named_children())
    with torch.no_grad():
        joint = laws["p(x|z)"] * laws["p(z)"]
        return float(importance(joint, laws["q(z|x)"], {"x": x}, k=500, chunk=100).value.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gamma", type=float, nargs="+", default=[0.0, 6.0, 20.0], help="of FactorVAE")
    parser.add_argument("--beta", type=float, nargs="+", default=[1.0, 6.0], help="of beta-TCVAE")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    noise, data = torch.Generator().manual_seed(2014), digits()
    train, test = binarize(data.train.images, noise), binarize(data.test.images, noise)
    runs = [("FactorVAE, gamma", factor_vae, "gamma", g) for g in options.gamma]
    runs += [("beta-TCVAE, beta", beta_tcvae, "beta", b) for b in options.beta]
    for name, make, weight, value in runs:
        for seed in options.seeds:
            torch.manual_seed(seed)
            model = make(train.shape[1], **{weight: value})
            model.fit(train, epochs=options.epochs, seed=seed, progress=False)
            torch.manual_seed(seed)
            correlation, error = total_correlation(model, train, 5)
            print(
                f"{name} {value:g}, seed {seed}: total correlation {correlation:.3f} ± {error:.3f} nats, "
                f"test log-likelihood {log_likelihood(model, test):.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
