"""Formulas in Python: the nodes, the display and the numbers of the same formula as text."""

import pickle
import warnings

import pytest
import torch
from face_models import LATENT, PIXELS, Encoder, images, networks
from torch import nn

import symdgm as sd
from symdgm import algebra
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError

torch.manual_seed(0)
ENC, DEC = networks()
q, p = sd.Normal("q(z|x)", ENC), sd.Bernoulli("p(x|z)", DEC)
prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT)
r, data = sd.Normal("r(z)", loc=0.5, scale=1.0, event_shape=LATENT), sd.Data("data(x)")
beta, gamma, x, z = sd.symbols("beta gamma x z")
G = algebra.network("G", nn.Linear(LATENT, PIXELS))

SAME = [
    (sd.E(q)[sd.log(p)], "E_q(z|x)[log p(x|z)]"),
    (sd.KL(q, prior), "KL[q(z|x) || p(z)]"),
    (sd.H(q), "H[q(z|x)]"),
    (sd.H(q, prior), "H[q(z|x), p(z)]"),
    (sd.E(q)[sd.log(p)] - sd.KL(q, prior), "E_q(z|x)[log p(x|z)] - KL[q(z|x)||p(z)]"),
    (sd.E(q)[sd.log(p)] - beta * sd.KL(q, prior), "E_q(z|x)[log p(x|z)] - beta KL[q(z|x)||p(z)]"),
    (sd.E(q)[sd.log(p * prior) - sd.log(q)], "E_q(z|x)[log p(x,z) - log q(z|x)]"),
    (sd.E(data)[sd.E(q)[sd.log(p)]], "E_data(x)[E_q(z|x)[log p(x|z)]]"),
    (sd.E(data, q)[sd.log(p)], "E_{data(x), q(z|x)}[log p(x|z)]"),
    (sd.E(q)[algebra.density(p) / algebra.density(q)], "E_q(z|x)[p(x|z)/q(z|x)]"),
    (sd.E(q)[algebra.norm(x - G(z)) ** 2], "E_q(z|x)[||x - G(z)||^2]"),
    (sd.E(q)[algebra.norm(z, 1)], "E_q(z|x)[||z||_1]"),
    (sd.E(q)[algebra.inner(z, z)], "E_q(z|x)[<z, z>]"),
    (algebra.divergence("JS", q, prior), "JS[q(z|x) || p(z)]"),
    (algebra.divergence("Renyi", q, prior, 0.5), "Renyi_{0.5}[q(z|x) || p(z)]"),
    (algebra.function("max", sd.KL(q, prior), 0.5), "max(KL[q(z|x) || p(z)], 0.5)"),
    (sd.sg(sd.E(q)[sd.log(p)]), "sg[E_q(z|x)[log p(x|z)]]"),
    (sd.exp(1 - beta) / 2 + 3 * gamma**2 - 1, "exp(1 - beta)/2 + 3 gamma^2 - 1"),
    (2**beta - (-gamma) / (+beta), "2^beta - (-gamma)/beta"),
    (1 / beta, "1/beta"),
    (sd.parse("gamma") * sd.KL(q, prior) + sd.parse("beta"), "gamma KL[q(z|x) || p(z)] + beta"),
    (sd.parse("gamma") - beta, "gamma - beta"),
    (sd.parse("gamma") / beta, "gamma/beta"),
    (sd.parse("gamma") ** beta, "gamma^beta"),
    (sd.maximize(sd.H(q)), "maximize H[q(z|x)]"),
    (sd.minimize(sd.H(q)), "minimize H[q(z|x)]"),
]


@pytest.mark.parametrize(("formula", "text"), SAME)
def test_python_and_text_are_one_formula(formula, text):
    read = sd.parse(text)
    assert formula.signature == sd.signature(read)
    assert sd.signature(sd.parse(repr(formula))) == formula.signature
    assert sd.signature(sd.parse(formula.latex())) == formula.signature
    assert formula._repr_latex_() == f"$\\displaystyle {formula.latex()}$"
    assert (repr(formula), formula.latex()) == (repr(sd.algebra.Expression(read)), read._repr_latex_()[15:-1])


def test_what_it_names_is_carried():
    formula = sd.E(q)[sd.log(p)] - beta * sd.KL(q, prior)
    text = sd.Objective("E_q(z|x)[log p(x|z)] - beta KL[q||p]", q, p, prior, beta=0.5)
    batch = images(4)
    torch.manual_seed(0)
    expected = text(x=batch)
    torch.manual_seed(0)
    assert torch.equal(sd.Objective(formula, beta=0.5)(x=batch), expected)
    torch.manual_seed(0)
    assert torch.equal(sd.Model(sd.maximize(formula), beta=0.5)(x=batch), -expected)


def test_a_model_of_a_formula_is_trained():
    torch.manual_seed(0)
    enc, dec = networks()
    q, p = sd.Normal("q(z|x)", enc), sd.Bernoulli("p(x|z)", dec)
    model = sd.Model(sd.maximize(sd.E(q)[sd.log(p)] - sd.KL(q, prior)))
    history = model.fit(images(), epochs=40, lr=0.05, progress=False, seed=0)
    assert history.last.value > history.epochs[0].value


def test_objectives_are_added_with_what_they_are_bound_to():
    elbo = sd.Objective("E_q(z|x)[log p(x|z)] - beta KL[q||p]", q, p, prior, beta=0.5)
    fit = sd.Objective("E_q(z|x)[||x - F(z)||^2]", q, F=DEC)
    both = sd.Objective(elbo - 0.1 * fit + 1, samples=2)
    batch = images(4)
    assert set(both.terms(x=batch)) >= {"E_q(z|x)[log p(x|z)]", "KL[q || p]"}
    values = both.terms(x=batch)
    torch.manual_seed(0)
    value = both(x=batch)
    torch.manual_seed(0)
    values = both.terms(x=batch)
    squares = next(v for k, v in values.items() if "F(z)" in k)
    expected = values["E_q(z|x)[log p(x|z)]"] - 0.5 * values["KL[q || p]"] - 0.1 * squares + 1
    torch.testing.assert_close(value, expected)
    assert isinstance(-elbo, sd.algebra.Expression)
    assert (2 / elbo).signature == sd.signature(sd.parse("2/(E_q(z|x)[log p(x|z)] - beta KL[q||p])"))


def test_distributions_bound_under_another_name_and_schedules_are_carried():
    objective = sd.Objective(
        "KL[q(z|x)||p_2(z)] + beta H[q(z|x)]", q, p_2=prior, beta=lambda step: 1.0 + step
    )
    again = sd.Objective(objective * 2)
    again.scalars.advance(3)
    assert again.scalars["beta"] == 4.0
    assert again(x=images(4)).isfinite()


def test_beginnings_and_tables_are_carried():
    net = nn.Linear(2, 2)
    step = sd.Normal("p(z_t|z_{t-1})", loc=net, scale=1.0)
    weights = torch.tensor([1.0, 2.0])
    whole = sd.Objective(
        "log p(z_{1:T}) - sum_{k=1}^K w_k", step, z_0=nn.Parameter(torch.ones(2)), w=weights, K=2
    )
    z = torch.randn(3, 4, 2)
    torch.testing.assert_close(sd.Objective(2 * whole)(z=z), 2 * whole(z=z))


def test_values_and_formulas_stand_in_for_names():
    elbo = sd.Objective("E_q(z|x)[log p(x|z)] - beta KL[q||p]", q, p, prior, beta=0.5)
    fixed = elbo.subs(beta=2.0)
    assert fixed.signature == sd.signature(sd.parse("E_q(z|x)[log p(x|z)] - 2 KL[q||p]"))
    assert sd.Objective(fixed).scalars == {}
    formula = (beta * x).subs({"beta": gamma + 1})
    assert formula.signature == sd.signature(sd.parse("(gamma + 1) x"))
    with pytest.raises(OptionError, match="the formula has no name `zeta`"):
        elbo.subs(zeta=1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("beta KL[q||p]", 0.7),
        ("beta^3 + 2^beta", 0.7),
        ("(1 - beta) KL[q||p]/(1 + beta^2) + exp(-beta)", 0.7),
        ("E_q(z|x)[sqrt(beta) + log beta + tanh(beta) ||z||^2 sigmoid(beta) + softplus(beta)]", 0.7),
        ("sin(beta) cos(beta) + abs(beta) - beta", -0.3),
        ("sum_{k=1}^3 beta^2 k", 0.4),
    ],
)
def test_derivatives_by_a_scalar_are_those_of_autograd(text, value):
    known = {"q": q, "p": prior} if "q" in text.replace("sqrt", "") else {}
    leaf = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    laws = [d.double() for d in known.values()]
    batch = {"x": images(4).double()} if known else {}
    objective = sd.Objective(text, *laws, beta=leaf)
    torch.manual_seed(0)
    (expected,) = torch.autograd.grad(objective(**batch), leaf)
    derivative = objective.diff("beta")
    torch.manual_seed(0)
    found = sd.Objective(derivative)(
        **({} if "q" not in str(derivative) and "x" not in repr(derivative) else batch)
    )
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-9)
    for law in laws:
        law.float()


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        (G(beta), "depends on `beta` in a way that has no derivative here"),
        (algebra.function("max", beta, 1), "the derivative of `max` is not known here"),
        (algebra.Expression(sd.parse("E_q(z|beta)[z]")), "the law of"),
        (algebra.Expression(sd.parse("prod_{k=1}^3 beta")), "has no derivative by `beta` here"),
    ],
)
def test_what_has_no_derivative_is_refused(formula, words):
    with pytest.raises(NotSupportedError, match=words):
        formula.diff("beta")


def test_two_things_of_one_name_are_refused():
    with pytest.raises(NameResolutionError, match="two different distributions of one formula are called `p"):
        sd.KL(q, prior) + sd.KL(q, sd.Normal("p(z)", loc=1.0, scale=1.0))
    other = sd.Normal("p(z)", loc=1.0, scale=1.0, event_shape=LATENT).named("p_2")
    assert sd.Objective(sd.KL(q, prior) + sd.KL(q, other))(x=images(4)) > 0
    with pytest.raises(NameResolutionError, match=r"`beta` is bound to 1.0 in one formula and to 3.0"):
        sd.Objective("beta H[q]", q, beta=1.0) + sd.Objective("beta KL[q||p]", q, prior, beta=3.0)
    with pytest.raises(NameResolutionError, match="`G` is bound to Linear in one formula and to Linear"):
        G(z) + algebra.network("G", nn.Linear(LATENT, 1))(z)
    same = sd.Objective("beta H[q]", q, beta=1.0) + sd.Objective("beta KL[q||p]", q, prior, beta=1.0)
    assert same.names == {"beta": 1.0}


MISTAKES = [
    (lambda: beta + "x", "str is no part of a formula"),
    (lambda: beta * None, "NoneType is no part of a formula"),
    (lambda: sd.E("q"), "str is no law of an expectation"),
    (lambda: sd.E(), "NoneType is no law of an expectation"),
    (lambda: sd.KL(q, "p"), "str is no distribution"),
    (lambda: sd.H(3), "int is no distribution"),
    (lambda: algebra.density(3), "int is no distribution"),
    (lambda: algebra.divergence("KLL", q, prior), "unknown divergence `KLL`"),
    (lambda: algebra.function("logg", beta), "unknown function `logg`"),
    (lambda: sd.symbols("a+b"), "`a.b` is no name"),
    (lambda: sd.symbols(" "), "no name is given"),
    (lambda: beta.diff("zeta"), "the formula has no name `zeta`"),
]


@pytest.mark.parametrize(("mistake", "words"), MISTAKES)
def test_mistakes_are_refused(mistake, words):
    with pytest.raises(OptionError, match=words):
        mistake()


def test_products_of_several_names_are_written_out():
    assert sd.log(p * r).signature == sd.signature(sd.parse("log p(x|z) r(z)"))


def test_symbols_and_brackets_show_themselves():
    assert repr(sd.E(q)) == "𝔼_{q(z|x)}"
    assert repr(beta) == "β" and [repr(s) for s in sd.symbols("a, b c")] == ["a", "b", "c"]


def test_a_formula_is_pickled():
    formula = sd.E(prior)[sd.log(prior)] * beta
    again = pickle.loads(pickle.dumps(formula))
    assert again.signature == formula.signature and len(again.distributions) == 1


def test_what_the_caller_binds_goes_before_what_is_carried():
    objective = sd.Objective("beta H[q]", q, beta=1.0)
    assert sd.Objective(objective + 1, beta=5.0).scalars["beta"] == 5.0


def test_a_bound_that_is_minimised_in_python_warns_too():
    with pytest.warns(UserWarning, match="the objective is minimised, but it is a lower bound"):
        sd.Model(sd.minimize(sd.E(q)[sd.log(p)] - sd.KL(q, prior)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sd.Model(sd.minimize(sd.KL(q, prior) - sd.E(q)[sd.log(p)]))


def test_encoders_are_shared_not_copied():
    assert isinstance(ENC, Encoder)
    objective = sd.Objective(sd.KL(q, prior) + sd.H(q))
    assert {id(w) for w in objective.parameters()} == {id(w) for w in ENC.parameters()}
