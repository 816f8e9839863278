"""Real data: loaders that return tensors in a fixed split. Imports torch, NumPy and errors only.

| data | where from |
| --- | --- |
| `digits` | 1,797 images of 8×8, with scikit-learn |
| `mnist` | IDX files in a folder, or a download |
| `episodes` | random episodes of an environment, with gymnasium |
| `chorales` | sequences from a JSON file in a folder, or a download |

`read_idx` reads one file of that format; `binarize` draws binary images from grey ones; `ragged` pads
sequences of different lengths.
"""

from symdgm.data.binarize import binarize
from symdgm.data.chorales import chorales
from symdgm.data.digits import digits
from symdgm.data.episodes import Episodes, episodes
from symdgm.data.idx import read_idx
from symdgm.data.mnist import mnist
from symdgm.data.sequences import Ragged, RaggedSplits, ragged
from symdgm.data.splits import Labelled, Splits

__all__ = [
    "Episodes",
    "Labelled",
    "Ragged",
    "RaggedSplits",
    "Splits",
    "binarize",
    "chorales",
    "digits",
    "episodes",
    "mnist",
    "ragged",
    "read_idx",
]
