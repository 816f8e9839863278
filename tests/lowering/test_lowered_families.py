"""Log-densities, divergences and entropies as they are run, against torch.distributions; extremes."""

import itertools

import pytest
import torch
import torch.distributions as td
from torch import nn

import symdgm as sd

BATCH, EVENT, CLASSES = 4, 3, 5

# name → family, given arguments, raw → parameters by name, reference, values
FAMILIES = {
    "Normal": (sd.Normal, ("loc", "scale"), td.Normal),
    "Bernoulli by logits": (sd.Bernoulli, ("logits",), td.Bernoulli),
    "Bernoulli by probs": (sd.Bernoulli, ("probs",), td.Bernoulli),
    "Categorical by logits": (sd.Categorical, ("logits",), td.Categorical),
    "Categorical by probs": (sd.Categorical, ("probs",), td.Categorical),
    "OneHotCategorical by logits": (sd.OneHotCategorical, ("logits",), td.OneHotCategorical),
    "OneHotCategorical by probs": (sd.OneHotCategorical, ("probs",), td.OneHotCategorical),
}
PAIRS = [(a, b) for a, b in itertools.product(FAMILIES, FAMILIES) if a.split()[0] == b.split()[0]]


def shaped(name, raw):
    """A parameter in its range from unconstrained numbers ``[batch, event, classes]``."""
    if name == "loc" or name == "logits":
        return raw
    return raw.exp() if name == "scale" else raw.sigmoid()


def setting(label, seed, variable="z", name="q"):
    """A distribution over a leaf tensor x, its reference, the leaf and a value."""
    family, names, reference = FAMILIES[label]
    generator = torch.Generator().manual_seed(seed)
    classes = (CLASSES,) if "Categorical" in label else ()
    shape = (BATCH, EVENT, *classes)
    x = torch.randn(2, *shape, generator=generator, dtype=torch.float64).transpose(0, 1)

    def by_name(key, i):
        value = shaped(key, x_of(i))
        return value.softmax(-1) if key == "probs" and classes else value

    def x_of(i):
        return leaf[:, i]

    leaf = x.clone().requires_grad_()
    networks = {
        key: (lambda given, key=key, i=i: _normal(shaped(key, given[:, i]), key, classes))
        for i, key in enumerate(names)
    }
    law = family(f"{name}({variable}|x)", **networks)
    td_law = reference(
        **{k: _normal(shaped(k, leaf[:, i]), k, classes) for i, k in enumerate(names)}, validate_args=False
    )
    value = td_law.sample()
    return law, td_law, leaf, value


def _normal(value, key, classes):
    return value / value.sum(-1, keepdim=True) if key == "probs" and classes else value


def compared(found, expected, leaf):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    ours, theirs = (torch.autograd.grad(v, leaf, retain_graph=True)[0] for v in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("label", FAMILIES)
def test_log_density(label):
    law, reference, leaf, value = setting(label, 0)
    found = sd.Objective("log q(z|x)", law)(x=leaf, z=value)
    compared(found, reference.log_prob(value).sum(-1).mean(), leaf)


@pytest.mark.parametrize("label", FAMILIES)
def test_entropy(label):
    law, reference, leaf, _ = setting(label, 1)
    compared(sd.Objective("H[q(z|x)]", law)(x=leaf), reference.entropy().sum(-1).mean(), leaf)


@pytest.mark.parametrize(("label", "other"), PAIRS)
def test_divergence(label, other):
    law, reference, leaf, _ = setting(label, 2)
    _, prior_reference, _, _ = setting(other, 2, name="p")
    names = FAMILIES[other][1]
    with torch.no_grad():
        constants = {n: getattr(prior_reference, n).roll(1, 0)[:1].squeeze(0) for n in names}
    p = FAMILIES[other][0]("p(z)", **constants)
    found = sd.Objective("KL[q(z|x)||p(z)]", law, p)(x=leaf)
    batched = {n: c.expand(BATCH, *c.shape) for n, c in constants.items()}
    full = FAMILIES[other][2](**batched, validate_args=False)
    expected = td.kl_divergence(reference, full).sum(-1).mean()
    compared(found, expected, leaf)


@pytest.mark.parametrize("label", [k for k in FAMILIES if k != "Normal"])
def test_entropy_by_enumeration_is_the_closed_form(label):
    law, reference, leaf, _ = setting(label, 3)
    by_sum = sd.Objective("H[q(z|x)]", law, analytic=False)(x=leaf)
    compared(by_sum, reference.entropy().sum(-1).mean(), leaf)


def finite(value, leaf):
    (gradient,) = torch.autograd.grad(value, leaf)
    return bool(torch.isfinite(value)) and bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize("size", [80.0, -80.0])
@pytest.mark.parametrize("family", [sd.Bernoulli, sd.OneHotCategorical])
@pytest.mark.parametrize("text", ["log q(z|x)", "H[q(z|x)]", "KL[q(z|x)||p(z)]", "KL[q(z|x)||r(z|x)]"])
def test_large_logits_in_single_precision(size, family, text):
    x = (torch.tensor([[size, -size, size], [-size, size, 0.0]])).requires_grad_()
    q = family("q(z|x)", lambda x: 1.0 * x)
    prior = {"logits": torch.zeros(3)}
    laws = [q, family("p(z)", **prior), family("r(z|x)", lambda x: -x)]
    z = {"z": torch.eye(3)[:2]} if text.startswith("log") else {}
    assert finite(sd.Objective(text, *laws)(x=x, **z), x)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("text", ["H[q(z|x)]", "KL[q(z|x)||p(z)]", "log q(z|x)", "KL[q(z|x)||r(z|x)]"])
def test_extreme_scales_in_single_precision(scale, text):
    x = torch.full((2, 3), scale).log().requires_grad_()
    laws = [
        sd.Normal("q(z|x)", lambda x: (torch.zeros_like(x), x.exp())),
        sd.Normal("p(z)", loc=0.0, scale=1.0),
        sd.Normal("r(z|x)", lambda x: (torch.zeros_like(x), (-x).exp())),
    ]
    z = {"z": torch.zeros(2, 3)} if text.startswith("log") else {}
    value = sd.Objective(text, *laws)(x=x, **z)
    assert finite(value, x)


@pytest.mark.parametrize("family", [sd.Bernoulli, sd.Categorical, sd.OneHotCategorical])
@pytest.mark.parametrize("text", ["H[q(z|x)]", "KL[q(z|x)||p(z)]", "E_q(z|x)[f(z)]"])
def test_probabilities_of_exactly_zero_and_one(family, text):
    x = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).requires_grad_()
    laws = [family("q(z|x)", probs=lambda x: 1.0 * x), family("p(z)", probs=torch.tensor([0.5, 0.3, 0.2]))]
    functions = {"f": lambda z: z.reshape(len(z), -1).float().sum(-1) + 1.0} if "f(" in text else {}
    objective = sd.Objective(text, *laws, **functions)
    value = objective(x=x)
    assert finite(value, x)
    if text.startswith("H"):
        assert value.item() == 0.0
    if text.startswith("E"):
        assert torch.autograd.grad(objective(x=x), x)[0].abs().sum() > 0


def test_probabilities_of_zero_and_one_that_are_numbers():
    law = sd.Bernoulli("p(z)", probs=0.0, event_shape=3)
    assert float(sd.Objective("log p(z)", law)(z=torch.zeros(2, 3))) == 0.0
    assert float(sd.Objective("log p(z)", law)(z=torch.ones(2, 3))) == -torch.inf
    x = torch.tensor([[0.0, 0.0, 0.0]]).requires_grad_()
    value = sd.Objective("KL[q(z|x)||p(z)]", sd.Bernoulli("q(z|x)", probs=lambda x: 1.0 * x), law)(x=x)
    assert value.item() == 0.0 and finite(value, x)


@pytest.mark.parametrize(
    ("label", "zero"), [("Bernoulli by probs", 0.0), ("OneHotCategorical by probs", 0.0)]
)
def test_a_value_that_is_impossible_has_no_density(label, zero):
    x = torch.tensor([[0.0, 1.0]])
    law = FAMILIES[label][0]("q(z|x)", probs=lambda x: 1.0 * x)
    assert float(sd.Objective("log q(z|x)", law)(x=x, z=torch.tensor([[1.0, zero]]))) == -torch.inf


def test_a_network_may_return_probabilities_by_name():
    net = nn.Linear(3, 2).double()
    x = torch.randn(BATCH, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q = sd.Bernoulli("q(z|x)", lambda x: {"probs": net(x).sigmoid()})
    p = sd.Bernoulli("p(z)", probs=0.5)
    expected = td.kl_divergence(td.Bernoulli(net(x).sigmoid()), td.Bernoulli(torch.tensor(0.5).double())).sum(
        -1
    )
    torch.testing.assert_close(sd.Objective("KL[q||p]", q, p)(x=x), expected.mean())
    c = sd.Categorical("q(y|x)", lambda x: {"probs": net(x).softmax(-1)})
    entropy = td.Categorical(net(x).softmax(-1)).entropy()
    torch.testing.assert_close(sd.Objective("H[q(y|x)]", c)(x=x), entropy.mean())
