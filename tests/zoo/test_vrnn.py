"""The variational recurrent network: its bound against a loop, and Bach's chorales."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from handwritten import draw, kl, log_bernoulli
from sequences import order_of, prefix_is_kept, steps_of, trained_on_chorales
from torch import Tensor
from zoo_data import assert_same, networks

from symdgm import zoo
from symdgm.model import Model
