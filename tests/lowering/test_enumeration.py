"""Expectations over finite laws are exact sums, in value and in gradient."""

import itertools

import pytest
import torch
import torch.distributions as td
from lowering_cases import gradients
from torch import nn

import symdgm as sd
from symdgm.errors import EstimatorError

BATCH, INPUTS = 4, 3


def setup(family, outputs, seed=0):
    torch.manual_seed(seed)
    encoder = nn.Linear(INPUTS, outputs).double()
    decoder = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    x = torch.randn(BATCH, INPUTS, dtype=torch.float64)
    return encoder, decoder, x, family("q(y|x)", encoder)


def score(decoder, weights):
    """A function of a value ``[batch, elements]`` that is nonlinear in it."""
    return lambda y: decoder((y.double().reshape(len(y), -1) * weights).sum(-1, keepdim=True)).squeeze(-1)


def agree(objective, expected, *modules, **data):
    value = objective(**data)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(gradients(value, *modules), gradients(expected, *modules), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
        assert ours.abs().sum() > 0


def test_categorical():
    encoder, decoder, x, q = setup(sd.Categorical, 5)
    f = score(decoder, torch.ones(1).double())
    probs = encoder(x).softmax(-1)
    expected = sum(probs[:, k] * f(torch.full((BATCH,), k)) for k in range(5)).mean()
    agree(sd.Objective("E_q(y|x)[f(y)]", q, f=f), expected, encoder, decoder, x=x)


def test_one_hot():
    encoder, decoder, x, q = setup(sd.OneHotCategorical, 5)
    f = score(decoder, torch.arange(5.0).double())
    probs, rows = encoder(x).softmax(-1), torch.eye(5).double()
    expected = sum(probs[:, k] * f(rows[k].expand(BATCH, 5)) for k in range(5)).mean()
    agree(sd.Objective("E_q(y|x)[f(y)]", q, f=f), expected, encoder, decoder, x=x)


@pytest.mark.parametrize("by_probs", [False, True])
def test_bernoulli_vector(by_probs):
    encoder, decoder, x, _ = setup(sd.Bernoulli, 3)
    network = nn.Sequential(encoder, nn.Sigmoid()) if by_probs else encoder
    q = sd.Bernoulli("q(y|x)", **{"probs" if by_probs else "logits": network})
    f = score(decoder, torch.tensor([1.0, 2.0, 4.0]).double())
    law = td.Independent(td.Bernoulli(logits=encoder(x)), 1)
    expected = torch.zeros(BATCH).double()
    for state in itertools.product([0.0, 1.0], repeat=3):
        y = torch.tensor(state).double().expand(BATCH, 3)
        expected = expected + law.log_prob(y).exp() * f(y)
    agree(sd.Objective("E_q(y|x)[f(y)]", q, f=f), expected.mean(), encoder, decoder, x=x)


@pytest.mark.parametrize("family", [sd.Categorical, sd.OneHotCategorical])
def test_several_categorical_elements(family):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(INPUTS, 6), nn.Unflatten(1, (2, 3))).double()
    x = torch.randn(BATCH, INPUTS, dtype=torch.float64)
    weights = torch.tensor([[1.0], [3.0]]).double()
    index = family is sd.Categorical
    codes = torch.arange(3.0).double()

    def f(y):
        picked = y.double() if index else (y * codes).sum(-1)
        return torch.sin((picked * weights.squeeze(-1)).sum(-1))

    probs = encoder(x).softmax(-1)
    expected = sum(
        probs[:, 0, i] * probs[:, 1, j] * torch.sin(torch.tensor(1.0 * i + 3.0 * j).double())
        for i, j in itertools.product(range(3), repeat=2)
    ).mean()
    agree(sd.Objective("E_q(y|x)[f(y)]", family("q(y|x)", encoder), f=f), expected, encoder, x=x)


def test_a_prior_without_batch_is_enumerated_once():
    p = sd.Categorical("p(y)", probs=torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64))
    objective = sd.Objective("E_p(y)[f(y, x)]", p, f=lambda y, x: y * x[:, 0])
    x = torch.arange(6.0).double().reshape(3, 2)
    torch.testing.assert_close(objective(x=x), 1.1 * x[:, 0].mean())


def test_each_example_has_a_draw_of_its_own_below_states_without_batch():
    p = sd.Categorical("p(y)", probs=torch.tensor([0.5, 0.5]))
    z = sd.Normal("p(z|y)", lambda y: (torch.zeros(len(y), 1), torch.ones(len(y), 1)))
    rows = sd.Objective("E_p(y) E_p(z|y)[f(z, x)]", p, z, f=lambda z, x: z[:, 0]).per_example(
        x=torch.zeros(9, 1)
    )
    assert len(set(rows.tolist())) == 9


def test_mixture_marginal_by_enumeration():
    torch.manual_seed(0)
    means = nn.Embedding(3, 2).double()
    laws = [
        sd.Categorical("p(y)", probs=torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)),
        sd.Normal("p(x|y)", loc=means, scale=0.7),
    ]
    x = torch.randn(BATCH, 2, dtype=torch.float64)
    mixture = td.MixtureSameFamily(
        td.Categorical(torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)),
        td.Independent(td.Normal(means.weight, torch.tensor(0.7, dtype=torch.float64)), 1),
    )
    agree(sd.Objective("log E_p(y)[p(x|y)]", *laws), mixture.log_prob(x).mean(), means, x=x)


@pytest.mark.parametrize("by_probs", [False, True])
@pytest.mark.parametrize("elements", [(), (2,)])
def test_classes_are_looked_up_where_axes_differ(elements, by_probs):
    """States times draws times batch: the table lacks axes of the index, or the index those of the table."""
    torch.manual_seed(0)
    x = torch.randn(BATCH, INPUTS, dtype=torch.float64)
    logits = torch.randn(*elements, 3, dtype=torch.float64)
    encoder = nn.Sequential(nn.Linear(INPUTS, 3 * max(len(elements) * 2, 1)), nn.Unflatten(1, (*elements, 3)))
    encoder = encoder.double()
    tables = {"probs": logits.softmax(-1)} if by_probs else {"logits": logits}
    laws = [sd.Categorical("p(y)", event_shape=elements, **tables), sd.Categorical("q(y|x)", encoder)]
    own = logits.log_softmax(-1)
    under_p = (own.exp() * encoder(x).log_softmax(-1)).sum() / BATCH
    under_q = (encoder(x).softmax(-1) * own).sum() / BATCH
    agree(sd.Objective("E_p(y)[log q(y|x)]", *laws), under_p, encoder, x=x)
    agree(sd.Objective("E_q(y|x)[log p(y)]", *laws), under_q, encoder, x=x)


COUNTS = {
    "logits": lambda net: sd.Binomial("q(y|x)", logits=net, total_count=4),
    "probs": lambda net: sd.Binomial("q(y|x)", probs=nn.Sequential(net, nn.Sigmoid()), total_count=4),
    "tensor": lambda net: sd.Binomial("q(y|x)", logits=net, total_count=torch.full((2,), 4.0).double()),
    "trials first": lambda net: sd.Binomial("q(y|x)", total_count=4.0, logits=net),
}


@pytest.mark.parametrize("how", COUNTS)
def test_binomial(how):
    encoder, decoder, x, _ = setup(sd.Bernoulli, 2)
    f = score(decoder, torch.tensor([1.0, 0.3]).double())
    law = td.Binomial(4, logits=encoder(x))
    expected = torch.zeros(BATCH).double()
    for state in itertools.product(range(5), repeat=2):
        y = torch.tensor(state).double().expand(BATCH, 2)
        expected = expected + law.log_prob(y).sum(-1).exp() * f(y)
    agree(sd.Objective("E_q(y|x)[f(y)]", COUNTS[how](encoder), f=f), expected.mean(), encoder, decoder, x=x)


@pytest.mark.parametrize("mixture", [False, True])
def test_levels_of_a_grid(mixture):
    torch.manual_seed(0)
    outputs = nn.Unflatten(1, (2, 3)) if mixture else nn.Identity()
    encoder = nn.Sequential(nn.Linear(INPUTS, 6 if mixture else 2), outputs).double()
    decoder = setup(sd.Bernoulli, 1)[1]
    x = torch.randn(BATCH, INPUTS, dtype=torch.float64)
    f = score(decoder, torch.tensor([1.0, 0.3]).double())
    shared = {"scale": torch.tensor([0.2, 0.5, 0.3]).double()} if mixture else {"scale": 0.4}
    family = sd.DiscretizedLogisticMixture if mixture else sd.DiscretizedLogistic
    more = {"logits": torch.tensor([0.0, 1.0, -1.0]).double()} if mixture else {}
    q = family("q(y|x)", loc=encoder, levels=4, low=-1.0, high=2.0, **shared, **more)
    loc, scale = (encoder(x), 0.4) if not mixture else (encoder(x), shared["scale"])

    def mass(level):
        """The logistic mass of a level, by its distribution function."""
        upper = ((level + 0.5 - loc) / scale).sigmoid() if level < 2 else torch.ones_like(loc)
        lower = ((level - 0.5 - loc) / scale).sigmoid() if level > -1 else torch.zeros_like(loc)
        return ((upper - lower) * more["logits"].softmax(-1)).sum(-1) if mixture else upper - lower

    expected = torch.zeros(BATCH).double()
    for a, b in itertools.product([-1.0, 0.0, 1.0, 2.0], repeat=2):
        y = torch.tensor([a, b]).double().expand(BATCH, 2)
        expected = expected + mass(a)[:, 0] * mass(b)[:, 1] * f(y)
    agree(sd.Objective("E_q(y|x)[f(y)]", q, f=f), expected.mean(), encoder, decoder, x=x)


def test_a_count_whose_trials_a_network_gives_is_scored():
    q = sd.Binomial("q(y|x)", lambda x: (x.exp().round(), x))
    names = [step.name for step in sd.Objective("E_q(y|x)[f(y)]", q, f=lambda y: y.sum(-1)).derivation]
    assert "enumeration" not in names and any("score" in name for name in names)


def test_the_derivation_says_that_counts_and_levels_are_enumerated():
    for q in (
        sd.Binomial("q(y)", total_count=2, probs=0.5, event_shape=1),
        sd.DiscretizedLogistic("q(y)", loc=0.0, scale=1.0, levels=3, event_shape=1),
    ):
        shown = repr(sd.Objective("E_q(y)[||y||^2]", q, analytic=False).derivation)
        assert "enumeration (equality)" in shown
        assert "is the sum over all states, weighted by q(y)" in shown


def test_too_many_states():
    q = sd.Bernoulli("q(y|x)", nn.Linear(INPUTS, 13))
    objective = sd.Objective("E_q(y|x)[||y||^2]", q, estimators={"y": "enumeration"})
    with pytest.raises(EstimatorError, match=r"`y` has 2\^13 states, more than the 4096") as caught:
        objective(x=torch.zeros(BATCH, INPUTS))
    assert "E_q(y|x)[||y||^2]" in str(caught.value) and "^" in str(caught.value).splitlines()[2]
    q = sd.DiscretizedLogistic("q(y|x)", nn.Linear(INPUTS, 2), scale=0.1)
    with pytest.raises(EstimatorError, match=r"`y` has 256\^2 states, more than the 4096"):
        sd.Objective("E_q(y|x)[||y||^2]", q, estimators={"y": "enumeration"})(x=torch.zeros(BATCH, INPUTS))


def test_no_discrete_latent_has_a_silent_zero_gradient():
    encoder, _, x, q = setup(sd.Bernoulli, 2)
    value = sd.Objective("E_q(y|x)[sum(y)]", q)(x=x)
    torch.testing.assert_close(value, encoder(x).sigmoid().sum(-1).mean())
    assert all(g.abs().sum() > 0 for g in gradients(value, encoder))
