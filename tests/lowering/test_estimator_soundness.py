"""Estimators are refused where their gradients would be biased."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import EstimatorError


class Parameters(nn.Module):
    """The same for every example."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor(values))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, log_scale = self.values.expand(len(x), -1).split(1, -1)
        return loc, log_scale.exp()


def gaussian() -> tuple[sd.Normal, sd.Normal]:
    return sd.Normal("q(z|x)", Parameters(0.4, 0.2)), sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=1)


@pytest.mark.parametrize(
    "text",
    [
        "E_q(z|x)[(log q(z|x))^2]",
        "E_q(z|x)[(p(z)/q(z|x))^2]",
        "E_q(z|x)[||z||^2 log q(z|x)]",
        "E_q(z|x)[q(z|x)]",
        "E_q(z|x)[log sigmoid(log p(z) - log q(z|x))]",
        "E_q(z|x)[max(0, log q(z|x) - log p(z))]",
        "JS[q(z|x) || p(z)]",
    ],
)
def test_sticking_the_landing_wants_the_score_alone(text: str) -> None:
    with pytest.raises(EstimatorError, match="enters otherwise than by its logarithm"):
        sd.Objective(text, *gaussian(), estimators={"z": "sticking the landing"})


@pytest.mark.parametrize(
    "text", ["E_q(z|x)[2 log q(z|x) - log p(z)]", "E_q(z|x)[log(p(z)/q(z|x))]", "KL[q(z|x) || p(z)]"]
)
def test_sticking_the_landing_takes_it_linearly(text: str) -> None:
    objective = sd.Objective(text, *gaussian(), estimators={"z": "sticking the landing"})
    assert objective(x=torch.zeros(3, 1)).isfinite()


@pytest.mark.parametrize("text", ["E_q(b|x)[sg[3 b]]", "E_q(b|x)[max(b - 0.45, 0)^2 + 1[b > 0.5] * 2]"])
@pytest.mark.parametrize("estimator", ["REBAR", sd.estimators.RELAX(nn.Linear(1, 1))])
def test_relaxed_draws_want_gradients(text: str, estimator: object) -> None:
    q = sd.Bernoulli("q(b|x)", nn.Linear(1, 1))
    with pytest.raises(EstimatorError, match="lets no gradient through"):
        sd.Objective(text, q, estimators={"b": estimator})


def test_the_log_of_an_average_of_a_sum_is_one_estimate() -> None:
    """With the score function and VIMCO as with pathwise draws: the same gradient in the mean."""
    text, x = "log E_q(z|x)[p(z)/q(z|x) + exp(-||z||^2)]", torch.zeros(40_000, 1)
    means = {}
    for name in ("pathwise", "score function", "VIMCO"):
        q, p = gaussian()
        objective = sd.Objective(text, q, p, samples=3, estimators={"z": name})
        names = [step.name for step in objective.derivation.steps]
        assert "linearity" not in names and sum(name == n for n in names) <= 1
        torch.manual_seed(0)
        weights = list(q.parameters())
        runs = [torch.autograd.grad(objective(x=x), weights)[0] for _ in range(30)]
        means[name] = torch.stack(runs).mean(0), torch.stack(runs).std(0) / 30**0.5
    for name in ("score function", "VIMCO"):
        difference = means[name][0] - means["pathwise"][0]
        error = (means[name][1] ** 2 + means["pathwise"][1] ** 2).sqrt()
        assert (difference / error).abs().max() < 4
