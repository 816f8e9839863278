"""Names find what they mean (LANGUAGE.md sections 2 and 8), or the error says what they could mean."""

import pytest
import torch
from bound_parts import Encoder, batch, vae
from torch import nn

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError, SymdgmError

ELBO = "E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]"


def value(text: str, *distributions: object, **names: object) -> torch.Tensor:
    objective = sd.Objective(text, *distributions, **names)
    torch.manual_seed(7)
    return objective(x=batch())


@pytest.mark.parametrize(
    "text",
    [
        "E_q(z|x)[log p(x|z)] - KL[q||p]",
        "E_q[log p(x|z)] - KL[q||p]",
        "E_{z ~ q}[log p(x|z)] - KL[q || p]",
        "E_{z' ~ q(z|x)}[log p(x|z')] - KL[q || p]",
        "E_{z' ~ q}[log p(x|z')] - KL[q || p]",
        "E_{w ~ q(z|x)}[log p(x|z=w)] - KL[q || p]",
        "E_q_phi(z|x)[log p_theta(x|z)] - KL[q_phi(z|x) || p_theta(z)]",
        "E_q_phi(z|x)[log p_theta(x|z)] - KL[q_phi || p_theta]",
        r"\mathbb{E}_{q_\phi(z|x)}[\log p_\theta(x|z)] - D_{KL}[q_\phi(z|x) \| p_\theta(z)]",
        "L(theta, phi; x) = E_q(z|x)[log p(x|z)] - KL[q||p]",
    ],
)
def test_all_ways_to_name_the_same(text: str) -> None:
    assert torch.equal(value(text, *vae()), value(ELBO, *vae()))


def test_a_formula_without_short_names_stays_the_very_one_that_was_read() -> None:
    """By it what is remembered of the formula is found at one look, without comparing trees."""
    assert sd.Objective(ELBO, *vae()).bound.expression is sd.parse(ELBO)
    assert sd.Objective("KL[q || p]", *vae()).bound.expression == sd.parse("KL[q(z|x) || p(z)]")


def test_a_joint_is_the_product_of_its_factors_in_any_order() -> None:
    ratio = "E_q(z|x)[log(p(x,z)/q(z|x))]"
    written = value("E_q(z|x)[log p(x|z) + log p(z) - log q(z|x)]", *vae())
    for text in (ratio, ratio.replace("p(x,z)", "p(z,x)"), ratio.replace("p(x,z)", "p(x|z) p(z)")):
        q, p, prior = vae()
        assert torch.equal(value(text, prior, p, q), written)


def test_a_joint_of_three() -> None:
    q, p, _ = vae()
    factors = [
        q,
        sd.Normal("p(z|y)", lambda y: (y, torch.ones_like(y))),
        sd.Normal("p(y)", loc=0.0, scale=1.0),
        p,
    ]
    expected = sd.Objective("log p(x|z) + log p(z|y) + log p(y)", *factors)
    joint = sd.Objective("log p(y, x, z)", *factors)
    conditional = sd.Objective("log p(x, z | y)", *factors)
    data = {"x": batch(), "z": torch.randn(5, 4), "y": torch.randn(5, 4)}
    assert torch.allclose(joint(data), expected(data))
    assert torch.allclose(conditional(data) + sd.Objective("log p(y)", *factors)(y=data["y"]), joint(data))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("log p(z|x)", "`p(z|x)` is a marginal or a posterior of `p(x|z)`, `p(z)`"),
        ("log p(x)", "`p(x)` is a marginal or a posterior"),
        ("KL[q(z|x) || p(z|x)]", "`p(z|x)` is a marginal or a posterior"),
    ],
)
def test_a_posterior_is_no_prior(text: str, what: str) -> None:
    with pytest.raises(NotSupportedError) as caught:
        sd.Objective(text, *vae())
    assert what in str(caught.value)


def test_a_condition_that_comes_from_the_variables_is_no_conditional() -> None:
    y_of_w = sd.Normal("p(y|w)", lambda w: (w, torch.ones_like(w)))
    v_of_y = sd.Normal("p(v|y)", lambda y: (y, torch.ones_like(y)))
    prior = sd.Normal("p(w)", loc=0.0, scale=1.0)
    with pytest.raises(NotSupportedError, match="marginal or a posterior"):
        sd.Objective("log p(v, w | y)", y_of_w, v_of_y, prior)


def test_a_full_name_that_is_bound_wins() -> None:
    q, p, prior = vae()
    other = sd.Normal("p_theta(z)", loc=3.0, scale=1.0)
    both = sd.Objective("KL[q || p_theta] - KL[q || p(z)]", q, p, prior, other)
    separate = sd.Objective("KL[q || p]", q, sd.Normal("p(z)", loc=3.0, scale=1.0))
    plain = sd.Objective("KL[q || p(z)]", q, p, prior)
    assert torch.allclose(both(x=batch()), separate(x=batch()) - plain(x=batch()))


def test_networks_with_and_without_their_parameters() -> None:
    f, g = nn.Linear(6, 6), nn.Linear(6, 6)
    data = batch()
    assert torch.equal(
        sd.Objective("||f_w(x)||^2 - ||f_v(x)||^2", f_w=f, f_v=g)(x=data),
        f(data).square().sum(-1).mean() - g(data).square().sum(-1).mean(),
    )
    assert torch.equal(sd.Objective("||f_w(x)||^2", f=f)(x=data), f(data).square().sum(-1).mean())


@pytest.mark.parametrize("text", ["||f_xi(x)||^2", "||f_1(x)||^2"])
def test_another_parameter_is_another_network(text: str) -> None:
    with pytest.raises(SymdgmError, match=r"f_theta|f_"):
        sd.Objective(text, f_theta=nn.Linear(6, 6), f_1x=nn.Linear(6, 6))


def test_a_number_is_no_parameter() -> None:
    with pytest.raises(NameResolutionError, match="no distribution is called `p_2`"):
        sd.Objective("E_q(z|x)[log p_2(x|z)]", *vae())
    with pytest.raises(NameResolutionError, match="`f_1` is not bound"):
        sd.Objective("E_data(x)[||f_1(x)||^2] + ||f(x)||^2", f=nn.Linear(6, 6))


def test_two_priors_called_p_differ() -> None:
    q, p, prior = vae()
    other = sd.Normal("p(z)", loc=2.0, scale=1.0)
    difference = sd.Objective("KL[q||p] - KL[q||p_2]", q, p, prior, p_2=other)
    assert abs(float(difference(x=batch()).detach())) > 1e-3
    with pytest.raises(NameResolutionError, match=r"`p\(z\)` is bound twice"):
        sd.Objective("KL[q||p]", q, prior, other)


def test_actual_arguments() -> None:
    _, p, prior = vae()
    f = nn.Linear(6, 4)
    data = batch()
    direct = p.log_prob({"x": data, "z": f(data)}).mean()
    assert torch.allclose(sd.Objective("log p(x|f(x))", p, f=f)(x=data), direct)
    assert torch.allclose(sd.Objective("log p(x|z=f(x))", p, f=f)(x=data), direct)
    assert torch.allclose(
        sd.Objective("log p(z=f(x))", prior, f=f)(x=data), prior.log_prob({"z": f(data)}).mean()
    )
    primed = sd.Objective("log p(x'|z)", p)
    assert primed.data == ("x'", "z")
    assert torch.allclose(primed({"x'": data, "z": f(data)}), direct)


def test_laws_by_name() -> None:
    q, p, prior = vae()
    by_name = sd.Objective("E_{x}[||x||^2]", sd.Data("data(x)"), q)
    assert torch.allclose(by_name(x=batch()), batch().square().sum(-1).mean())
    decoder = sd.Objective("E_{z}[||G(z)||^2]", prior, G=nn.Linear(4, 2), z=4)
    assert decoder(n=3).shape == ()
    with pytest.raises(
        NameResolutionError, match=r"no single factor is bound over `z`: `q\(z\|x\)`, `p\(z\)`"
    ):
        sd.Objective("E_{z}[log p(x|z)]", q, p, prior)


@pytest.mark.parametrize(
    "name", ["data", "p_data", "q_data", "p_D", r"\hat p", r"\hat{p}_{data}", "p^*", "P_r"]
)
def test_names_of_the_data(name: str) -> None:
    outer = value(f"E_{{{name}(x)}}[{ELBO}]", *vae())
    assert torch.allclose(outer, value(ELBO, *vae()))


def test_any_name_is_bound_to_data() -> None:
    outer = sd.Objective(f"E_r(x)[{ELBO}]", sd.Data("r(x)"), *vae())
    torch.manual_seed(7)
    assert torch.allclose(outer(x=batch()), value(ELBO, *vae()))
    q, decoder, _ = vae()
    shared = sd.Objective("E_p(x)[E_q(z|x)[log p(x|z)]]", sd.Data("p(x)"), q, decoder)
    assert shared(x=batch()).shape == ()


def test_data_have_no_density_and_no_conditional() -> None:
    with pytest.raises(NotSupportedError, match=r"the data distribution `data\(x\)` has no density"):
        sd.Objective("E_data(x)[log data(x)]")
    with pytest.raises(NotSupportedError, match="a conditional of the data distribution"):
        sd.Objective("E_{data(x)} E_{data(y|x)}[<x, y>]")
    with pytest.raises(NameResolutionError, match="`data` does not say over what"):
        sd.Objective("E_data[||x||^2]")


def test_a_scalar_times_a_bracket() -> None:
    expected = value("beta * KL[q||p] + beta * 2", *vae(), beta=0.3)
    assert torch.allclose(value("beta (KL[q||p] + 2)", *vae(), beta=0.3), expected)
    assert torch.allclose(value("beta (KL[q||p] + 2)", *vae(), beta=lambda step: 0.3), expected)
    with pytest.raises(
        NameResolutionError, match="`beta` is bound to a number, which is no function of 2 arguments"
    ):
        sd.Objective("beta(x, y) KL[q||p]", *vae(), beta=1.0)


def test_what_is_bound_wins() -> None:
    data = batch()
    x = sd.Data("data(x)")
    assert torch.allclose(sd.Objective("sum(sigma(x))", x)(x=data), data.sigmoid().sum(-1).mean())
    double = sd.Objective("sum(sigma(x))", x, sigma=lambda x: 2 * x)
    assert torch.allclose(double(x=data), 2 * data.sum(-1).mean())
    assert torch.allclose(sd.Objective("pi ||x||^2", x)(x=data), torch.pi * data.square().sum(-1).mean())
    assert torch.allclose(sd.Objective("pi ||x||^2", x, pi=2.0)(x=data), 2 * data.square().sum(-1).mean())
    network = sd.Objective("sum(E(x)) + sum(H(x))", E=lambda x: x, H=lambda x: x)
    assert torch.allclose(network(x=data), 2 * data.sum(-1).mean())


FAILURES = [
    ("E_q(z|x)[log p(x|z)] - KL[q||r]", "no distribution is called `r`", "r]", "`q(z|x)`, `p(x|z)`, `p(z)`"),
    ("E_q(z|x)[log p(x|y)]", "`p(x|y)` is no factor that is bound", "p(x|y)", "`p(x|z)`, `p(z)`"),
    ("E_q(z|x)[log p(x|z)] - bta KL[q||p]", "`bta` is not bound", "bta", "bta=1.0"),
    ("E_q(z|x)[log g(x)]", "`g` is not bound", "g(x)", "write `g=...`"),
    ("E_q(z|x)[log p]", "`p` is a distribution, not a number", "p]", "`p(x|z)`, `p(z)`"),
    ("E_p[log p(x|z)]", "`p` is the name of more than one factor", "p[", "write `p(x|z)`, say"),
    ("KL[p||q]", "`p` is the name of more than one factor", "p||", "write `p(x|z)`, say"),
    (
        "KL[q(z|x)||p(x|z)]",
        "a divergence compares two distributions over the same variables",
        "KL",
        "factors of `p`",
    ),
    ("H[q(z|x), p(x|z)]", "a cross-entropy compares two distributions", "H", "factors of `p`"),
    ("H[r]", "no distribution is called `r`", "r]", "bound:"),
    ("E_{data_l(x)}[log p(x)]", "no distribution is called `data_l`", "data_l", 'sd.Data("data_l(x)")'),
    ("E_q(z|x)[log p(x|z)] + log p(z)", "it is also used outside of it", "p(z)", "move what depends on `z`"),
    (
        "E_{a, b ~ q(z|x)}[log p(x|z)]",
        "has the variables `z`, but `a`, `b` is drawn",
        "E_",
        "as many variables",
    ),
    ("KL[q || p(z)] + 2 q", "`q` is a distribution, not a number", "q", "its density with its variables"),
]


@pytest.mark.parametrize(("text", "problem", "under", "hint"), FAILURES)
def test_every_failure_points_and_lists(text: str, problem: str, under: str, hint: str) -> None:
    with pytest.raises(NameResolutionError) as caught:
        sd.Objective(text, *vae())
    error = caught.value
    assert problem in error.problem
    assert error.span is not None
    assert text[error.span[0] :].startswith(under)
    assert hint in str(error.hint)


def test_duplicates_cycles_and_gaps_of_a_joint() -> None:
    q, p, _ = vae()
    with pytest.raises(NameResolutionError, match="two factors have the variable `x`"):
        sd.Objective(
            "log p(x, z, y)",
            p,
            sd.Normal("p(z)", loc=0.0, scale=1.0),
            sd.Normal("p(x|y)", Encoder()),
            sd.Normal("p(y)", loc=0.0, scale=1.0),
        )
    with pytest.raises(NameResolutionError, match="depend on each other in a circle"):
        sd.Objective("log p(x, z)", p, sd.Normal("p(z|x)", Encoder()))
    with pytest.raises(NameResolutionError, match=r"`p\(x, z\)` is no factor that is bound"):
        sd.Objective("log p(x, z)", q, p)


def test_a_drawn_name_is_no_number() -> None:
    with pytest.raises(NameResolutionError, match="`w` is bound to a number, but it is drawn"):
        sd.Objective("w E_{w ~ q(z|x)}[log p(x|w)]", *vae(), w=2.0)


def test_networks_are_applied() -> None:
    with pytest.raises(NameResolutionError, match="`G` is a network, not a number"):
        sd.Objective("E_q(z|x)[||x - G(z)||^2] + G", *vae(), G=nn.Linear(4, 6))


@pytest.mark.parametrize(
    ("names", "problem", "hint"),
    [
        ({"sampels": 3}, "`sampels` is no option", "did you mean `samples`?"),
        ({"gamma": 1.0}, "`gamma` is no option, and the formula does not use it", "leave it out"),
        (
            {"tr": 1.0},
            "`tr` cannot be bound, for the language reads it as something else",
            "call it otherwise",
        ),
        ({"": 1.0}, "`` cannot be bound, for the language reads it as something else", "call it otherwise"),
        ({"encoder": lambda x: x}, "`encoder` is no option", "leave it out"),
        ({"beta": "one"}, "`beta` must be one number; it is a str", "a 0-d tensor"),
        ({"beta": nn.Linear(1, 1)}, "`beta` is bound to Linear", "bind a distribution"),
        ({"beta": True, "betta": 1.0}, "`betta`", "leave it out"),
        ({"x": torch.ones(2)}, "`x` must be one number; it has shape [2]", "data are given when"),
        ({"samples": 0}, "`samples` is 0", "1 or more"),
        ({"samples": 2.5}, "`samples` is 2.5", "1 or more"),
        ({"samples": {"w": 2}}, "`samples` names `w`", "did you mean|known"),
    ],
)
def test_keywords_without_a_meaning(names: dict[str, object], problem: str, hint: str) -> None:
    with pytest.raises(OptionError) as caught:
        sd.Objective("E_q(z|x)[log p(x|z)] - beta KL[q||p]", *vae(), **{"beta": 1.0, **names})
    assert problem in caught.value.problem
    assert any(h in str(caught.value.hint) for h in hint.split("|"))


def test_a_misspelt_keyword_finds_its_name() -> None:
    with pytest.raises(OptionError, match="did you mean `beta`"):
        sd.Objective("E_q(z|x)[log p(x|z)] - beta KL[q||p]", *vae(), bta=1.0)


def test_only_distributions_stand_without_a_name() -> None:
    with pytest.raises(OptionError, match="Linear is no distribution"):
        sd.Objective("KL[q||p]", nn.Linear(1, 1))  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="int is no equation"):
        sd.Objective(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["E_q(z|x)[||z||^2]", "E_q(z_{1:T}|x_{1:T})[sum_{t=1}^T ||z_t||^2]", "H[q]"])
def test_a_name_that_is_bound_with_its_parameters(text: str) -> None:
    notation = "q_phi(z_t|x_t)" if "T" in text else "q_phi(z|x)"
    factor = sd.Normal(notation, nn.Linear(6, 6), scale=1.0)
    with pytest.raises(NameResolutionError, match="no distribution is called `q`") as caught:
        sd.Objective(text, factor)
    assert caught.value.hint == f"did you mean `q_phi`? bound: `{notation}`"
