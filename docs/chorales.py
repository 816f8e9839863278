"""Draws a chorale of Bach, one that the deep Markov model makes up, and one that it goes on with.

python docs/chorales.py --weights build/chorales.safetensors

The weights are those of benchmarks/chorale_bound.py with its own options; without them a small model is
trained for a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from symdgm.data import RaggedSplits, chorales
from symdgm.display.rolls import rolls
from symdgm.model import Model
from symdgm.zoo import deep_markov

PICTURE = Path(__file__).with_suffix(".png")
NOTES, STEPS, GIVEN = 88, 64, 16


def main() -> None:
    """Loads or trains, and draws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the chorales; default: SYMDGM_DATA")
    parser.add_argument("--weights", type=Path, help="of benchmarks/chorale_bound.py")
    parser.add_argument("--piece", type=int, default=9, help="which chorale of the test part")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    data = chorales(options.data)
    draw(trained(data) if options.weights is None else loaded(options.weights), data, options)


def loaded(weights: Path) -> Model:
    """The model of full size with the weights of a file."""
    model = deep_markov(NOTES)
    model.load(weights)
    return model.eval()


def trained(data: RaggedSplits) -> Model:
    """A small model after a minute."""
    model = deep_markov(NOTES, latent=32, hidden=64, transition=64, recurrent=128)
    model.fit(
        {"x": data.train.steps, "T": data.train.lengths},
        scalars={"beta": lambda step: min(1.0, 0.1 + step / 600)},
        epochs=150,
        batch_size=20,
        lr=3e-3,
        clip_norm=10.0,
        seed=0,
        progress=False,
    )
    return model


def draw(model: Model, data: RaggedSplits, options: argparse.Namespace) -> None:
    """The three rolls below each other; of drawn states, the keys that sound more likely than not."""
    whole = (data.test.lengths >= STEPS).nonzero()[:, 0]
    real = data.test.steps[whole[options.piece], :STEPS]
    made = model.sample(1, T=STEPS, mean=True, seed=options.seed)["x"][0]
    more = model.sample(x=real[None, :GIVEN], T=STEPS, mean=True, seed=options.seed + 1)["x"][0]
    rows = {
        "Bach, from the test part": real,
        f"made up:  model.sample(1, T={STEPS}, mean=True)": made,
        f"continued:  model.sample(x=bach[:, :{GIVEN}], T={STEPS}, mean=True)": more,
    }
    names = list(rows)
    rolls(rows, given={names[2]: GIVEN}).save(options.out)


if __name__ == "__main__":
    main()
