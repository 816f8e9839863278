"""A second objective of an equal equation finds what was derived for the first, and nothing that differs."""

from __future__ import annotations

import gc
import sys
import warnings
import weakref

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm import zoo
from symdgm.rewriting.traversal import Everywhere

X = torch.linspace(0, 1, 24).reshape(4, 6).round()
ELBO = "maximize E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]"
MODELS = {
    "vae": lambda: zoo.vae(6, latent=2, hidden=5),
    "m2": lambda: zoo.m2(6, 3, latent=2, hidden=5),
    "gan": lambda: zoo.gan(6, latent=2, hidden=5),
    "deep_markov": lambda: zoo.deep_markov(6),
}


def elbo(text=ELBO, *, seed=0, prior=None, posterior=sd.Normal, latent=2, one_network=False, **options):
    torch.manual_seed(seed)
    net, other = nn.Linear(6, latent), nn.Linear(latent, 6)
    q = posterior("q(z|x)", loc=net, scale=1.0)
    p = sd.Bernoulli("p(x|z)", net if one_network else other)
    prior = prior or sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=latent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sd.Objective(text, q, p, prior, **options), [net, other]


def outcome(built):
    """The derivation, the code, the value and all gradients of an objective."""
    objective, networks = built
    torch.manual_seed(7)
    value = objective(x=X)
    parameters = [p for net in networks for p in net.parameters()]
    gradients = torch.autograd.grad(value, parameters, allow_unused=True)
    said = repr(objective.derivation), repr(objective.derivation.bound), objective.code
    return said, [value, *(g for g in gradients if g is not None)]


def rewritten(build) -> int:
    """How often a rule is tried on a formula while something is built."""
    count = 0

    def profile(frame, event, _):
        nonlocal count
        count += event == "call" and frame.f_code is Everywhere.__call__.__code__

    sys.setprofile(profile)
    try:
        build()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", MODELS)
def test_a_second_build_rewrites_nothing(name):
    sd.cache_clear()
    assert rewritten(MODELS[name]) > 0
    before = sd.cache_info()
    assert rewritten(MODELS[name]) == 0
    after = sd.cache_info()
    for kept in ("rewriting.derivation.derive", "rewriting.bounds.relation", "parsing.reading.reduced"):
        assert after[kept].misses == before[kept].misses and after[kept].hits > before[kept].hits


def test_a_second_build_has_its_own_networks_and_the_same_values():
    sd.cache_clear()
    alone = outcome(elbo(seed=1))
    sd.cache_clear()
    elbo(seed=0)[0](x=X)
    shared = outcome(elbo(seed=1))
    assert sd.cache_info()["rewriting.derivation.derive"].hits == 1
    assert shared[0] == alone[0]
    assert all(torch.equal(a, b) for a, b in zip(shared[1], alone[1], strict=True))
    assert not torch.equal(outcome(elbo(seed=2))[1][0], alone[1][0])


def test_the_program_of_an_equal_objective_is_found():
    sd.cache_clear()
    first, second = elbo(seed=0)[0], elbo(seed=1)[0]
    first(x=X)
    written = sd.cache_info()["lowering.statements.laid_out_function"]
    second(x=X)
    found = sd.cache_info()["lowering.statements.laid_out_function"]
    assert (found.misses, found.hits) == (written.misses, written.hits + 1)
    assert second.code == first.code


DIFFERENT = {
    "a family": {"prior": sd.Laplace("p(z)", loc=0.0, scale=1.0, event_shape=2)},
    "a family that has no closed form": {"posterior": sd.Laplace},
    "a constant": {"prior": sd.Normal("p(z)", loc=0.5, scale=2.0, event_shape=2)},
    "a constant by element": {"prior": sd.Normal("p(z)", loc=torch.tensor([0.0, 1.0]), scale=1.0)},
    "a trained constant": {"prior": sd.Normal("p(z)", loc=nn.Parameter(torch.zeros(2)), scale=1.0)},
    "the event shape": {"latent": 3},
    "one network for both": {"latent": 6, "one_network": True},
    "no closed forms": {"analytic": False},
    "an estimator": {"estimators": {"z": "score function"}},
    "draws": {"samples": 3},
    "no sharing of calls": {"sharing": False},
}
SAME_WORDS = ("the event shape",)
"""Nothing of it is written, in the steps or in the code."""


@pytest.mark.parametrize("what", DIFFERENT)
def test_what_differs_is_not_shared(what):
    """Built after another of the same text, it is what it is when it is built alone."""
    sd.cache_clear()
    alone = outcome(elbo(**DIFFERENT[what]))
    sd.cache_clear()
    first = outcome(elbo())
    second = outcome(elbo(**DIFFERENT[what]))
    assert second[0] == alone[0]
    assert (second[0] == first[0]) == (what in SAME_WORDS)
    assert len(second[1]) == len(alone[1])
    assert all(torch.equal(a, b) for a, b in zip(second[1], alone[1], strict=True))
    assert outcome(elbo())[0] == first[0]


def test_a_bound_is_judged_by_the_scalars_of_each():
    text = "E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)]"
    said = [repr(elbo(text, beta=b)[0].derivation.bound) for b in (1.0, 2.0, -1.0, 1.0, 2.0)]
    sd.cache_clear()
    assert said == [repr(elbo(text, beta=b)[0].derivation.bound) for b in (1.0, 2.0, -1.0, 1.0, 2.0)]
    assert said[0] == said[3] and said[1] == said[4] and len(set(said)) == 3


def test_a_bound_follows_a_scalar_that_changes():
    objective, _ = elbo("E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)]", beta=1.0)
    before = repr(objective.derivation.bound)
    objective.scalars["beta"] = -1.0
    assert repr(objective.derivation.bound) != before
    objective.scalars["beta"] = 1.0
    assert repr(objective.derivation.bound) == before


def test_each_objective_is_warned_of():
    for _ in range(2):
        with pytest.warns(sd.errors.SymdgmWarning, match="minimised, but it is a lower bound"):
            q = sd.Normal("q(z|x)", lambda x: (x[:, :2], torch.ones(len(x), 2)))
            p = sd.Bernoulli("p(x|z)", lambda z: z.repeat(1, 3))
            sd.Objective(ELBO.replace("maximize", "minimize"), q, p, sd.Normal("p(z)", loc=0.0, scale=1.0))


@pytest.mark.parametrize("name", MODELS)
def test_what_is_shared_keeps_no_model(name):
    sd.cache_clear()
    first, second = MODELS[name](), MODELS[name]()
    refs = [weakref.ref(module) for model in (first, second) for module in model.modules()]
    refs += [weakref.ref(p) for model in (first, second) for p in model.parameters()]
    del first, second
    gc.collect()
    assert sd.cache_info()["rewriting.derivation.derive"].currsize and not any(r() is not None for r in refs)
