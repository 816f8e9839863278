"""Draws of models that jump, against draws with the same noise; and what is said of jumps that are none."""

from __future__ import annotations

import re

import pytest
import torch
from time_models import Counted, Gaussian, data
from torch import nn

import symdgm as sd
from symdgm.errors import DataError, NameResolutionError, OptionError, ShapeError

LAWS = """
    b_t                              = rnn(x_t, b_{t-1})
    p_b(z_{t1}|b_{t1})               = Normal(z_{t1}; belief(b_{t1}))
    p_b(z_{t2}|b_{t2})               = Normal(z_{t2}; belief(b_{t2}))
    q(z_{t1}|z_{t2}, b_{t1}, b_{t2}) = Normal(z_{t1}; smooth(z_{t2}, b_{t1}, b_{t2}))
    p_t(z_{t2}|z_{t1}, t1, t2)       = Normal(z_{t2}; jump(z_{t1}, t2 - t1))
    p_d(x_{t2}|z_{t2})               = Bernoulli(x_{t2}; logits = decode(z_{t2}))
"""
OBJECTIVE = """
    maximize E_p_b(z_{t2}|b_{t2})[
        E_q(z_{t1}|z_{t2}, b_{t1}, b_{t2})[log p_d(x_{t2}|z_{t2}) + log p_t(z_{t2}|z_{t1}, t1, t2)]
        - log p_b(z_{t2}|b_{t2}) - KL[q(z_{t1}|z_{t2}, b_{t1}, b_{t2}) || p_b(z_{t1}|b_{t1})]]
"""


class Sized(Gaussian):
    """A Gaussian of a state and of a number of steps."""

    def forward(self, z, steps):
        return super().forward(z, steps[:, None].to(z.dtype))


def parts():
    torch.manual_seed(0)
    return {
        "rnn": nn.GRU(4, 5).double(),
        "belief": Gaussian(5, 2).double(),
        "smooth": Gaussian(12, 2).double(),
        "jump": Sized(3, 2).double(),
        "decode": Counted(2, 4).double(),
    }


@pytest.fixture
def networks():
    return parts()


@pytest.fixture
def model(networks):
    return sd.Model(LAWS + OBJECTIVE, **networks)


def normal(parameters):
    loc, scale = parameters
    return loc + scale * torch.randn_like(loc)


@pytest.mark.parametrize("early", [None, 2, [1, 3, 1, 2]])
def test_one_jump_starts_from_what_is_believed(model, networks, early):
    x, late = data(steps=3), torch.tensor([5, 4, 9, 4])
    given = {} if early is None else {"t1": torch.tensor(early) if isinstance(early, list) else early}
    found = model.sample(x=x, t2=late, seed=1, **given)
    start = torch.tensor(early if isinstance(early, list) else [early or 3] * 4)
    torch.manual_seed(1)
    with torch.no_grad():
        beliefs = networks["rnn"](x.transpose(0, 1))[0]
        first = normal(networks["belief"](beliefs[start - 1, torch.arange(4)]))
        second = normal(networks["jump"](first, late - start))
        drawn = torch.bernoulli(networks["decode"](second).sigmoid())
    torch.testing.assert_close(found["z_t1"], first)
    torch.testing.assert_close(found["z_t2"], second)
    assert found["x_t2"].equal(drawn) and found["x"].equal(x) and found["t2"].equal(late)


def test_a_latent_state_that_is_given_is_where_a_jump_starts(model, networks):
    z = torch.ones(4, 2, dtype=torch.float64)
    found = model.sample(x=data(steps=3), z_t1=z, t2=5, mean=True, seed=1)
    torch.manual_seed(1)
    with torch.no_grad():
        second = normal(networks["jump"](z, torch.full((4,), 2)))
        torch.testing.assert_close(found["x_t2"], networks["decode"](second).sigmoid())


def test_steps_after_a_prefix_are_jumps_of_one_step(model, networks):
    x = data(steps=3)
    found = model.sample(x=x, T=6, seed=1)
    torch.manual_seed(1)
    with torch.no_grad():
        z, wanted = normal(networks["belief"](networks["rnn"](x.transpose(0, 1))[0][-1])), [*x.unbind(1)]
        for _ in range(3):
            z = normal(networks["jump"](z, torch.ones(4)))
            wanted.append(torch.bernoulli(networks["decode"](z).sigmoid()))
    assert list(found) == ["x"] and found["x"].equal(torch.stack(wanted, 1))
    assert model.sample(x=x, T=2)["x"].equal(x[:, :2])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"T": 5}, DataError, "no first steps of `x` are given, from which the model jumps"),
        ({"n": 3, "t2": 5}, DataError, "no first steps of `x` are given"),
        ({"x": data(steps=3)}, DataError, "nothing says to which step `t2` the model jumps\npass `t2=...`"),
        ({"x": data(steps=3), "t2": 5, "T": 7}, OptionError, "`t2` is a step of one jump, and `T` says"),
        ({"x": data(steps=3), "t1": 4, "t2": 5}, ShapeError, "`t1` is from 4 to 4, but 3 steps are given"),
        ({"x": data(steps=3), "t1": 0, "t2": 5}, ShapeError, "`t1` is from 0 to 0"),
        ({"x": data(steps=3), "t3": torch.ones(4)}, DataError, "the model has no variable `t3`"),
        ({"x": data(steps=3), "T": 0}, OptionError, "`T` is 0"),
    ],
)  # fmt: skip
def test_jumps_that_cannot_be_drawn(model, given, error, words):
    with pytest.raises(error, match=re.escape(words)):
        model.sample(**given)


def test_a_model_that_only_believes_does_not_jump():
    block = """
        b_t                = rnn(x_t, b_{t-1})
        p_b(z_{t1}|b_{t1}) = Normal(z_{t1}; belief(b_{t1}))
        p_d(y|z_{t1})      = Bernoulli(y; logits = decode(z_{t1}))
        maximize E_p_b(z_{t1}|b_{t1})[log p_d(y|z_{t1})]
    """
    model = sd.Model(block, **{k: v for k, v in parts().items() if k in ("rnn", "belief", "decode")})
    with pytest.raises(NameResolutionError, match="the model does not jump from one step to one other"):
        model.sample(x=data(steps=3), t1=2)


def test_the_name_of_a_law_is_no_step(model):
    assert {str(s) for s in model.objective.bound.environment.time.sequences} == {"b", "x"}
    assert {str(j) for j in model.objective.bound.environment.time.jumps} == {"t1", "t2"}
