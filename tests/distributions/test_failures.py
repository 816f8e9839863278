"""A network that fails is named with its factor and what it was given, wherever it is called."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.distributions.flows import Flow
from symdgm.errors import ShapeError, SupportError

Z, X = torch.zeros(4, 2), torch.zeros(4, 3)
LINEAR = r"the network failed in `Linear\(z\)` of Normal p\(x\|z\) with z \[4, 2\]: (addmm: )?mat1 and mat2"


class Broken(Flow):
    """A flow that fails in both directions."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise RuntimeError("no way to")

    def inverse(self, y: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise RuntimeError("no way back")


def decoder() -> sd.Normal:
    """A network that reads other events than it is given."""
    return sd.Normal("p(x|z)", loc=nn.Linear(5, 3), scale=1.0)


def prior() -> sd.Normal:
    return sd.Normal("p(z)", loc=torch.zeros(2), scale=1.0)


def flow() -> sd.Transformed:
    return sd.Transformed("p(x)", base=sd.Normal("p(u)", loc=0.0, scale=1.0, event_shape=3), flow=Broken())


@pytest.mark.parametrize(
    "call",
    [
        lambda: decoder().sample({"z": Z}),
        lambda: decoder().mean({"z": Z}),
        lambda: decoder().log_prob({"x": X, "z": Z}),
        lambda: (decoder() * prior()).sample(n=4),
        lambda: (decoder() * prior()).log_prob({"x": X, "z": Z}),
        lambda: sd.Model("minimize E_{p(z)}[-log p(x|z)]", decoder(), prior()).sample(4),
    ],
)
def test_the_factor_and_the_shapes_are_named(call):
    with pytest.raises(ShapeError, match=LINEAR):
        call()


def test_a_place_outside_of_a_table():
    p = sd.Normal("p(x|k)", loc=nn.Embedding(3, 2), scale=1.0)
    with pytest.raises(SupportError, match=r"of Normal p\(x\|k\) with k \[2\] of values in \[1, 3\]: index"):
        p.sample({"k": torch.tensor([1, 3])})


def test_one_row_of_a_normalised_batch():
    p = sd.Normal("p(x|z)", loc=nn.BatchNorm1d(2), scale=1.0)
    with pytest.raises(ShapeError, match=r"`BatchNorm1d\(z\)` of Normal p\(x\|z\) with z \[1, 2\]"):
        p.sample({"z": Z[:1]})


def test_a_density_and_a_flow():
    p = sd.Custom("p(x|z)", lambda x, z: (x @ z).sum(1))
    with pytest.raises(ShapeError, match=r"`network\(x, z\)` of Custom p\(x\|z\) with x \[4, 3\], z \["):
        p.log_prob({"x": X, "z": Z})
    with pytest.raises(ShapeError, match=r"`Broken` of Transformed p\(x\) with value \[4, 3\]: no way to"):
        flow().sample(n=4)
    with pytest.raises(ShapeError, match=r"`Broken` of Transformed p\(x\) with value \[4, 3\]: no way back"):
        flow().log_prob({"x": X})


def test_a_mistake_in_a_network_stays_what_it_is():
    p = sd.Normal("p(x|z)", loc=lambda z: z.missing, scale=1.0)
    with pytest.raises(AttributeError) as caught:
        p.sample({"z": Z})
    assert caught.value.__notes__ == ["while computing `network(z)` of Normal p(x|z)"]
