"""Real data: loaders that return tensors in a fixed split. Imports torch, NumPy and errors only.

| data | where from |
| --- | --- |
| `digits` | 1,797 images of 8×8, with scikit-learn |
| `mnist` | IDX files in a folder, or a download |

`read_idx` reads one file of that format; `binarize` draws binary images from grey ones.
"""

from symdgm.data.binarize import binarize
from symdgm.data.digits import digits
from symdgm.data.idx import read_idx
from symdgm.data.mnist import mnist
from symdgm.data.splits import Labelled, Splits

__all__ = ["Labelled", "Splits", "binarize", "digits", "mnist", "read_idx"]
