"""Model blocks: statements of every kind, and what is refused."""

import math

import pytest
import torch
from face_models import BLOCK, LATENT, PIXELS, Encoder, by_block, images, networks
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

import symdgm as sd
from symdgm.errors import (
    GrammarError,
    NameResolutionError,
    NotSupportedError,
    OptionError,
    ParameterError,
    SymdgmError,
)


def loss_of(text: str, **names: object) -> Tensor:
    enc, dec = networks()
    model = sd.Model(text, **{"enc": enc, "dec": dec, "beta": 0.5, "z": LATENT, **names})
    torch.manual_seed(4)
    return model.loss(x=images())


LATEX = r"""
    p(\mathbf{z}) = \mathcal{N}(\mathbf{z}; 0, 1) \\
    q(\mathbf{z} \mid \mathbf{x}) = \mathrm{Normal}(\mathbf{z}; \mathrm{enc}(\mathbf{x})) \\
    p(x \mid \mathbf{z}) = \mathrm{Bernoulli}(x; \mathrm{logits} = \mathrm{dec}(\mathbf{z})) \\
    \text{maximize } \mathbb{E}_{q(\mathbf{z}|\mathbf{x})}[\log p(x|z)] - \beta D_{KL}[q \| p]
"""


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        LATEX,
        BLOCK.replace("Normal(z; 0, 1)", "N(z; 0, 1)  # the prior"),
        BLOCK.replace("logits = dec(z)", "dec(z)"),
        BLOCK.replace("\n    q", "; q"),
        BLOCK.replace("    maximize", "    p(x, z) = p(x|z) p(z)\n    maximize"),
        BLOCK.replace("    maximize", "    J = maximize"),
        BLOCK.replace("    maximize", "    J(x) = maximize"),
        BLOCK.replace("beta KL", "b KL").replace("    maximize", "    where b = beta\n    maximize"),
        BLOCK.replace("beta KL", "c KL").replace(
            "    maximize", "    where b = beta\n    where c = b\n    maximize"
        ),
        BLOCK.replace("(z; 0, 1)", "(z; m, 1)").replace("    maximize", "    where m = 0\n    maximize"),
    ],
)
def test_ways_to_write_one_model(text: str) -> None:
    assert torch.allclose(loss_of(text), loss_of(BLOCK), rtol=1e-6)


def test_general_formulas_as_parameters_and_their_gradients() -> None:
    torch.manual_seed(0)
    mu, s, dec = nn.Linear(PIXELS, LATENT), nn.Linear(PIXELS, LATENT), nn.Linear(LATENT, PIXELS)
    model = sd.Model(
        """
        p(z)   = N(z; 0, 4)
        q(z|x) = N(z; 2 mu(x) + 1, exp(s(x))^2)
        p(x|z) = Bernoulli(x; logits = gain dec(z))
        maximize E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]
        """,
        mu=mu, s=s, dec=dec, gain=1.5,
    )  # fmt: skip
    x = images()
    torch.manual_seed(5)
    model.loss(x=x).backward()
    gradients = [p.grad.clone() for m in (mu, s, dec) for p in m.parameters() if p.grad is not None]
    model.zero_grad()
    torch.manual_seed(5)
    loc, scale = 2 * mu(x) + 1, s(x).exp()
    z = loc + scale * torch.randn_like(loc)
    likelihood = -binary_cross_entropy_with_logits(1.5 * dec(z), x, reduction="none").sum(-1)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(loc, scale),
        torch.distributions.Normal(torch.zeros(()), torch.full((), 2.0)),
    ).sum(-1)
    (kl - likelihood).mean().backward()
    expected = [p.grad for m in (mu, s, dec) for p in m.parameters() if p.grad is not None]
    assert len(gradients) == 6
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(gradients, expected, strict=True))


def test_a_network_of_a_variance_has_the_square_root_as_scale() -> None:
    model = sd.Model("p(x|z) = N(x; z, v(z))\nminimize log p(x|z)", v=lambda z: 4 + 0 * z)
    x, z = torch.zeros(3, 2), torch.zeros(3, 2)
    assert model.loss(x=x, z=z).item() == pytest.approx(-2 * math.log(2 * math.sqrt(2 * math.pi)), rel=1e-6)


def test_networks_take_their_arguments_in_the_order_written() -> None:
    def dec(y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        return 10 * y + z, torch.ones_like(z)

    x, y, z = torch.zeros(2, 1), torch.ones(2, 1), torch.full((2, 1), 2.0)
    swapped = sd.Model("p(x|z,y) = Normal(x; dec(y, z))\nmaximize log p(x|z,y)", dec=dec)
    straight = sd.Model("p(x|y,z) = Normal(x; dec(y, z))\nmaximize log p(x|y,z)", dec=dec)
    some = sd.Model("p(x|z,y) = Normal(x; dec(y, y))\nmaximize log p(x|z,y)", dec=dec)
    expected = torch.distributions.Normal(12.0, 1.0).log_prob(torch.tensor(0.0))
    for model in (swapped, straight):
        assert torch.allclose(model.objective(x=x, y=y, z=z), expected)
    assert torch.allclose(
        some.objective(x=x, y=y, z=z), torch.distributions.Normal(11.0, 1.0).log_prob(torch.tensor(0.0))
    )


def test_a_trained_scalar_inside_a_formula() -> None:
    scale = nn.Parameter(torch.tensor(2.0))
    model = sd.Model("p(x|z) = Normal(x; z, s)\nmaximize log p(x|z)", s=scale)
    model.train_step(x=torch.zeros(3, 2), z=torch.ones(3, 2))
    assert scale.grad is not None and scale.grad != 0
    assert sum(p is scale for p in model.parameters()) == 1


FAILURES = [
    ("Normal(z; 0, 1)", "Gauss(z; 0, 1)", NameResolutionError, "no family is called `Gauss`", "Gauss"),
    (
        "Normal(z; 0, 1)",
        "Normal(z; 0, 1, 2)",
        ParameterError,
        "takes 2 parameters (loc, scale), not 3",
        "Normal",
    ),
    ("Normal(z; 0, 1)", "N(z; 0, 1, 2)", ParameterError, "takes 2 parameters (mean, variance), not 3", "N(z"),
    ("Normal(z; 0, 1)", "Normal(z)", ParameterError, "Normal has no parameters", "Normal"),
    ("Normal(z; 0, 1)", "Normal(z; 0)", ParameterError, "scale", "Normal"),
    ("Normal(z; 0, 1)", "Wishart(z; 0, 1)", NotSupportedError, "`Wishart` is known, but not", "Wishart"),
    ("Normal(z; 0, 1)", "Gumbel(z, 0, 1)", NotSupportedError, "`Gumbel` is known, but not", "Gumbel"),
    ("Normal(z; 0, 1)", "Normal(z; 0, 1, scale=2)", ParameterError, "its parameter `scale` twice", "Normal"),
    ("Normal(z; 0, 1)", "Normal(z; 0, width=2)", ParameterError, "width", "Normal"),
    ("Normal(z; 0, 1)", "Normal(w; 0, 1)", NameResolutionError, "the left side is over `z`, but", "Normal"),
    ("Normal(z; enc(x))", "Normal(z, enc(x))", NameResolutionError, "by a comma", "Normal(z, enc"),
    ("Normal(z; 0, 1)", "Normal(z, 0, 1)", NameResolutionError, "by a comma", "Normal(z, 0"),
    ("Normal(z; enc(x))", "N(z; enc(x))", ParameterError, "N takes a mean and a variance, but", "N(z; enc"),
    (
        "Normal(z; enc(x))",
        "Normal(z; enc(y))",
        ParameterError,
        "applied to `y`, but given is `x`",
        "Normal(z; enc",
    ),
    ("Normal(z; enc(x))", "Normal(z; e(x))", SymdgmError, "`enc` is no option|`e` is not bound", ""),
    ("dec(z)", "2 dec(y)", NameResolutionError, "the parameters depend on `y`", ""),
    (
        "maximize",
        "minimize KL[q(z|x) || p(z)]\n    maximize",
        NotSupportedError,
        "but the block has 2",
        "maximize",
    ),
    (
        "maximize",
        "where b = 1\n    where b = 2\n    maximize",
        GrammarError,
        "an abbreviation of two things",
        "",
    ),
    ("maximize", "where b = c\n    where c = b\n    maximize b", NameResolutionError, "in a circle", ""),
    (
        "maximize",
        "x^{(i)} = 2 + z\n    maximize",
        NotSupportedError,
        "a model cannot be built from it yet",
        "x^{(i)} = 2",
    ),
    (
        "maximize",
        "p(x, z) = p(x|z) q(z|x)\n    maximize",
        NameResolutionError,
        "is not the product",
        "p(x, z)",
    ),
    (
        "maximize",
        "p(x, z) = p(x|z) p(z) 2\n    maximize",
        NameResolutionError,
        "is not the product",
        "p(x, z)",
    ),
    ("p(z)   =", "p(z)   = Normal(z; 0, 1)\n    p(z) =", NameResolutionError, "`p(z)` is bound twice", ""),
]


@pytest.mark.parametrize(("old", "new", "error", "words", "under"), FAILURES)
def test_what_a_block_cannot_mean(old: str, new: str, error: type[Exception], words: str, under: str) -> None:
    text = BLOCK.replace(old, new, 1)
    with pytest.raises(error) as caught:
        loss_of(text)
    problem = caught.value
    assert isinstance(problem, SymdgmError)
    assert any(w in problem.problem for w in words.split("|")), problem
    if under:
        assert problem.span is not None
        assert text[problem.span[0] :].startswith(under), text[problem.span[0] :]


def test_tensors_are_parameters_of_factors() -> None:
    logits = nn.Parameter(torch.randn(4))
    model = sd.Model("p(y) = Categorical(y; logits = pi0)\nmaximize log p(y)", pi0=logits)
    y = torch.tensor([0, 3, 3])
    assert torch.allclose(model.objective(y=y), logits.log_softmax(0)[y].mean())
    assert any(p is logits for p in model.parameters())
    loc = torch.arange(3.0)
    mixed = sd.Model("p(x|z) = Normal(x; m, z^2)\nmaximize log p(x|z)", m=loc)
    x, z = torch.randn(2, 3), torch.full((2, 3), 2.0)
    expected = torch.distributions.Normal(loc, 4.0).log_prob(x).sum(-1).mean()
    assert torch.allclose(mixed.objective(x=x, z=z), expected)


@pytest.mark.parametrize(
    "start",
    [r"\max_{\theta, \phi}", r"\theta^* = \arg\max_\theta", "argmax_{theta, phi}", "L = max_{phi}", "argmax"],
)
def test_one_player_who_owns_all(start: str) -> None:
    assert torch.equal(loss_of(BLOCK.replace("maximize", start)), loss_of(BLOCK))


def test_one_player_of_tagged_networks() -> None:
    tagged = BLOCK.replace("E_q(z|x)", "E_q_phi(z|x)").replace("log p(x|z)", "log p_theta(x|z)")
    assert torch.equal(loss_of(tagged.replace("maximize", "max_{theta, phi}")), loss_of(BLOCK))
    for players, name in (("theta, G", "G"), ("beta", "beta"), ("G", "G")):
        with pytest.raises(NameResolutionError, match=f"the player `{name}` owns nothing that is trained"):
            loss_of(tagged.replace("maximize", f"max_{{{players}}}"))


def test_the_place_of_parameters_is_shown() -> None:
    with pytest.raises(NameResolutionError, match=r"after `;`: `Normal\(z; enc\(x\)\)`"):
        loss_of(BLOCK.replace("Normal(z; enc", "Normal(z, enc"))


def test_a_block_without_an_objective() -> None:
    with pytest.raises(NotSupportedError, match="one for each player, but the block has none"):
        sd.Model("p(z) = Normal(z; 0, 1)", z=2)


def test_keywords_that_a_block_does_not_use() -> None:
    with pytest.raises(OptionError, match="`gamma` is no option, and the formula does not use it"):
        by_block(gamma=1.0)
    with pytest.raises(OptionError, match="did you mean `samples`"):
        by_block(sampels=2)


def test_factors_from_python_and_from_text_together() -> None:
    enc, dec = networks()
    mixed = sd.Model(
        "p(z) = Normal(z; 0, 1)\n p(x|z) = Bernoulli(x; logits=dec(z))\n"
        "maximize E_q(z|x)[log p(x|z)] - KL[q||p]",
        sd.Normal("q(z|x)", enc),
        dec=dec,
        z=LATENT,
    )
    torch.manual_seed(4)
    assert torch.allclose(mixed.loss(x=images()), loss_of(BLOCK, beta=1.0))


def test_the_encoder_is_a_part_of_the_model() -> None:
    assert any(isinstance(m, Encoder) for m in by_block().modules())
