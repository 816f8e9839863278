"""Wake-sleep and its reweighted kin of the zoo."""

from __future__ import annotations

import math
from collections.abc import Callable

import handwritten as hand
import pytest
import torch
import zoo_data as zd
from torch import Tensor
from torch.distributions import Bernoulli

from symdgm.model import Model
from symdgm.zoo import reweighted_wake_sleep, wake_sleep


def start(model: Model) -> Tensor:
    """The logits of p(z)."""
    (logits,) = zd.factors(model)["p_theta(z)"].parameters()
    return logits


def test_either_phase_is_that_of_the_paper() -> None:
    """Of so many variables that they are drawn, not enumerated."""
    model = wake_sleep(24, latent=14, hidden=7).double()
    x = zd.small_batch()[0].repeat(1, 2)
    nets, prior = zd.networks(model), start(model)
    torch.manual_seed(1)
    found = model.player("wake").objective(x=x)
    torch.manual_seed(1)
    code = nets["enc"](x).detach()
    z = Bernoulli(logits=code).sample()
    in_mean = hand.log_bernoulli(code.sigmoid(), prior.expand(5, -1))
    written = (hand.log_bernoulli(x, nets["dec"](z)) + in_mean).mean()
    zd.assert_same(model, written, found, model.player("wake").parameters)
    torch.manual_seed(1)
    found = model.player("sleep").objective(n=5)
    torch.manual_seed(1)
    z = Bernoulli(logits=prior).expand((5, 14)).sample()
    dream = Bernoulli(logits=nets["dec"](z)).sample()
    written = hand.log_bernoulli(z, nets["enc"](dream)).mean()
    zd.assert_same(model, written, found, model.player("sleep").parameters)


def test_reweighted_phases_are_those_of_the_paper() -> None:
    model = reweighted_wake_sleep(12, samples=4, latent=14, hidden=7).double()
    x, _ = zd.small_batch()
    nets, prior = zd.networks(model), start(model)
    for label in ("wake_p", "wake_q"):
        torch.manual_seed(1)
        found = model.player(label).objective(x=x)
        torch.manual_seed(1)
        code = nets["enc"](x)
        z = Bernoulli(logits=code.expand(4, -1, -1)).sample()
        log_q = hand.log_bernoulli(z, code.expand(4, -1, -1))
        log_p = hand.log_bernoulli(x.expand(4, -1, -1), nets["dec"](z))
        log_w = log_p + hand.log_bernoulli(z, prior.expand(4, 5, -1)) - log_q
        bound = log_w.logsumexp(0) - math.log(4)
        written = bound if label == "wake_p" else (log_w.softmax(0).detach() * log_q).sum(0)
        zd.assert_same(model, written.mean(), found, model.player(label).parameters)


@pytest.mark.parametrize(
    ("make", "epochs", "least"), [(wake_sleep, 100, -24.8), (reweighted_wake_sleep, 60, -24.0)]
)
def test_it_learns_digits(make: Callable[..., Model], epochs: int, least: float) -> None:
    """Measured: -24.2 and -23.5 nats."""
    train, test = zd.binary_digits()
    torch.manual_seed(0)
    model = make(64)
    model.fit(train.x, epochs=epochs, lr=2e-3, seed=0, progress=False)
    assert zd.log_likelihood(model, test.x, "p_theta", "q_phi") > least
