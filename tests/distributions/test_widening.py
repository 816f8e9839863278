"""A family from outside the package needs formulas and ranges, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.distributions.support import check_positive
from symdgm.distributions.supports import Simplex
from symdgm.errors import ParameterError, ShapeError, SupportError


class Dirichlet(sd.Family):
    """Positive rows that sum to one: a vector per element, and a second way to write its parameter."""

    family: ClassVar[str] = "Dirichlet"
    parameter_names: ClassVar[tuple[str, ...]] = ("concentration",)
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("concentration",), ("mean", "strength"))
    parameter_ranks: ClassVar[Mapping[str, int]] = {"concentration": 1, "mean": 1, "strength": 0}
    event_rank: ClassVar[int] = 1
    discrete: ClassVar[bool] = False
    pathwise: ClassVar[bool] = True
    support = Simplex("normalise the rows")
    constraints = dict.fromkeys(("concentration", "mean", "strength"), check_positive)

    def _concentration(self, parameters: Mapping[str, Tensor]) -> Tensor:
        if "concentration" in parameters:
            return parameters["concentration"]
        return parameters["mean"] * parameters["strength"].unsqueeze(-1)

    def draw(
        self, parameters: Mapping[str, Tensor], shape: torch.Size, generator: torch.Generator | None = None
    ) -> Tensor:
        gammas = torch._standard_gamma(self._concentration(parameters).expand(shape), generator)
        return gammas / gammas.sum(-1, keepdim=True)

    def log_density(self, value: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
        a = self._concentration(parameters)
        return ((a - 1) * value.log()).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        return torch.distributions.Dirichlet(self._concentration(parameters)).entropy()

    def mean_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        a = self._concentration(parameters)
        return a / a.sum(-1, keepdim=True)

    def variance_at(self, parameters: Mapping[str, Tensor]) -> Tensor:
        return torch.distributions.Dirichlet(self._concentration(parameters)).variance


def test_a_vector_family_with_two_parametrisations() -> None:
    a = torch.rand(5, 2, 3, dtype=torch.float64) + 0.5
    q = Dirichlet("q(w|x)", lambda x: a)
    x = {"x": torch.zeros(5, 1)}
    w = q.sample(x, shape=4)["w"]
    assert w.shape == (4, 5, 2, 3)
    expected = torch.distributions.Dirichlet(a).log_prob(w).sum(-1)
    torch.testing.assert_close(q.log_prob({"w": w, **x}), expected)
    total = a.sum(-1)
    other = Dirichlet("q(w|x)", lambda x: {"mean": a / total.unsqueeze(-1), "strength": total})
    torch.testing.assert_close(other.log_prob({"w": w, **x}), expected)
    assert q.entropy(x).shape == (5,)


def test_its_ranges_are_checked_from_what_it_declares() -> None:
    with pytest.raises(ParameterError, match=r"strength of Dirichlet p\(w\).*must be positive"):
        Dirichlet("p(w)", mean=torch.ones(2) / 2, strength=-1.0)
    p = Dirichlet("p(w)", concentration=torch.ones(2))
    with pytest.raises(SupportError, match=r"w has rows that sum to 2, not to 1.*\nnormalise the rows"):
        p.log_prob({"w": torch.ones(1, 2)})


def test_a_network_and_a_constant_of_another_rank() -> None:
    q = Dirichlet("q(w|x)", nn.Softmax(-1), strength=torch.tensor([2.0, 3.0]))
    assert q.sources[0].names == ("mean",)
    x = torch.randn(5, 2, 3)
    assert q.sample({"x": x})["w"].shape == (5, 2, 3)
    p = Dirichlet("p(w)", mean=torch.full((3,), 1 / 3), strength=3.0)
    assert p.event_shape == (3,)
    assert p.constants["strength"] == 3.0
    torch.testing.assert_close(p.log_prob({"w": torch.full((1, 3), 1 / 3)}), torch.tensor([2.0]).log())
    with pytest.raises(ShapeError, match=r"different event shapes: mean \[4\], strength \[2\]"):
        q.sample({"x": torch.randn(5, 4, 3)})
    with pytest.raises(
        ParameterError, match=r"exclude each other\ngive \(concentration\) or \(mean, strength\)"
    ):
        Dirichlet("p(w)", concentration=torch.ones(3), strength=1.0)


def test_numbers_alone_are_drawn_on_the_device_of_the_module() -> None:
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2).to("meta")
    assert prior.sample(n=3, check=False)["z"].device.type == "meta"
    assert prior.log_prob({"z": torch.zeros(3, 2)}).device.type == "cpu"
