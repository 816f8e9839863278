"""Which laws of whole sequences leave a chain out, and which are refused."""

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.binding.chains import Chain, Sort
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError, ShapeError


def broad(z):
    return z, torch.ones_like(z)


def table(z):
    return torch.zeros(len(z), 3)


EMISSION = sd.Normal("p(x_t|z_t)", broad)
HIDDEN = sd.Categorical("p(z_t|z_{t-1})", table)


def chain_of(objective):
    (found,) = [f for f in objective.bound.environment.factors if isinstance(f, Chain)]
    return found


def test_what_is_left_out_is_told_by_the_graph():
    chain = chain_of(sd.Objective("log p(x_{1:T})", EMISSION, HIDDEN, z_0=0))
    assert chain.sort is Sort.FINITE and str(chain.node) == "p(x_{1:T})"
    assert [str(f.node) for f in chain.joint] == ["p(x_t|z_t)", "p(z_t|z_{t-1})"]
    linear = sd.LinearNormal("p(z_t|z_{t-1}, a_t)", {"z_{t-1}": torch.eye(2), "a_t": torch.eye(2)})
    emission = sd.Normal("p(x_t|z_t)", loc=nn.Linear(2, 3), scale=1.0)
    chain = chain_of(sd.Objective("log p(x_{1:T}|a_{1:T})", linear, emission, z_0=torch.zeros(2)))
    assert chain.sort is Sort.LINEAR and str(chain.node) == "p(x_{1:T}|a_{1:T})"


def test_a_chain_is_made_once():
    objective = sd.Objective("log p(x_{1:T}) - log p(x_{1:T})", EMISSION, HIDDEN, z_0=0)
    assert chain_of(objective).sort is Sort.FINITE


def test_the_density_given_the_states_leaves_nothing_out():
    objective = sd.Objective("log p(x_{1:T}|z_{1:T}) + log p(x_{1:T}, z_{1:T})", EMISSION, HIDDEN, z_0=0)
    assert objective.data == ("x", "z")
    assert not [f for f in objective.bound.environment.factors if isinstance(f, Chain)]


def test_what_an_expectation_binds_is_not_left_out():
    q = sd.Normal("q(z_t|x_t)", broad)
    p = sd.Normal("p(z_t|z_{t-1})", broad)
    objective = sd.Objective("E_q(z_{1:T}|x_{1:T})[log p(x_{1:T})]", q, p, EMISSION, z_0=0.0)
    assert objective.data == ("x",)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ([sd.Normal("p(z_t|z_{t-1})", broad), EMISSION], "neither finite nor linear-Gaussian"),
        (
            [sd.LinearNormal("p(z_t|z_{t-1})", torch.eye(1)), sd.Bernoulli("p(x_t|z_t)", lambda z: z)],
            r"`p\(x_t\|z_t\)` is neither",
        ),
        (
            [
                HIDDEN,
                sd.Categorical("p(w_t|w_{t-1})", table),
                sd.Normal("p(x_t|z_t,w_t)", lambda z, w: broad(z)),
            ],
            "are more than one latent chain",
        ),
        (
            [HIDDEN, sd.Normal("p(x_t|z_t,z_{t-1})", lambda z, y: broad(z))],
            r"is given `z_\{t-1\}`, but only `z_t`",
        ),
        (
            [HIDDEN, EMISSION, sd.Normal("p(x_1|z_1)", broad)],
            "is an observation with a factor of its own",
        ),
        (
            [
                sd.Categorical("p(z_t|z_{t-1},h_t)", lambda z, h: table(z)),
                sd.Deterministic("h(h_t|z_{t-1},h_{t-1})", lambda z, h: h),
                EMISSION,
            ],
            r"`h_t` depends on `z_\{t-1\}` too",
        ),
    ],
)  # fmt: skip
def test_what_has_no_closed_form_is_refused_with_the_bound_to_write(factors, words):
    with pytest.raises(NotSupportedError, match=words) as caught:
        sd.Objective("log p(x_{1:T})", *factors)
    assert "log p(x_{1:T}|z_{1:T}" in str(caught.value) or "z_{1:T}" in str(caught.value)
    assert "KL[q(" in caught.value.hint


def test_a_chain_without_a_beginning():
    with pytest.raises(NameResolutionError, match="the sequence `z` has no beginning") as caught:
        sd.Objective("log p(x_{1:T})", HIDDEN, EMISSION)
    assert "`z_0`" in caught.value.hint


def test_another_sequence_in_the_place_of_the_observed_one():
    with pytest.raises(NotSupportedError, match="cannot be computed at other values"):
        sd.Objective("log p(x'_{1:T})", HIDDEN, EMISSION, z_0=0)


def test_a_number_before_the_first_step_of_a_vector():
    hot = sd.OneHotCategorical("p(z_t|z_{t-1})", nn.Linear(3, 3))
    objective = sd.Objective("log p(x_{1:T})", hot, EMISSION, z_0=0)
    with pytest.raises(ShapeError, match="the event shape of `z` before its first step is not known"):
        objective(x=torch.zeros(2, 4, 3))


def test_a_chain_object_needs_a_chain():
    with pytest.raises(OptionError, match="leaves no latent chain out"):
        sd.Chain("p(x_{1:T}|z_{1:T})", HIDDEN, EMISSION, z_0=0)
