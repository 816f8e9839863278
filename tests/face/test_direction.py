"""Optimising a bound the wrong way is said in words."""

import warnings

import pytest
from face_models import images, networks

import symdgm as sd
from symdgm.errors import SymdgmWarning

ELBO = "E_q(z|x)[log p(x|z)] - beta KL[q||p]"


def model(text, **scalars):
    enc, dec = networks()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=3)
    return sd.Model(text, sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec), prior, **scalars)


WRONG = [
    (f"minimize {ELBO}", "the objective is minimised, but it is a lower bound on log p.x."),
    (f"maximize -({ELBO})", "the objective is maximised, but it is an upper bound on −log p.x."),
    (
        "maximize 1/2 log E_q(z|x)[(p(x,z)/q(z|x))^2] + beta - beta",
        "the objective is maximised, but it is an upper bound on log p.x.",
    ),
]


@pytest.mark.parametrize(("text", "words"), WRONG)
def test_a_bound_that_is_moved_away_is_warned_of(text, words):
    with pytest.warns(SymdgmWarning, match=words):
        built = model(text, beta=1.0)
    last = built.derivation.steps[-1]
    assert last.name in ("a bound is minimised", "a bound is maximised")
    assert last.kind.value in ("lower bound", "upper bound")
    assert last.why in " ".join(repr(built.derivation).split())


@pytest.mark.parametrize(
    "text",
    [f"maximize {ELBO}", f"minimize -({ELBO})", "minimize 1/2 log E_q(z|x)[(p(x,z)/q(z|x))^2] + beta - beta"],
)
def test_the_right_way_is_silent(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built = model(text, beta=1.0)
    assert built(x=images(4)).isfinite()


def test_no_bound_is_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(f"minimize {ELBO}", beta=0.5)
