"""Certain values, flows and abbreviations as statements of a block."""

import time

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.distributions.flows import AffineCoupling, Reverse
from symdgm.errors import GrammarError, NameResolutionError, NotSupportedError, OptionError, SymdgmError


def encode(h: Tensor) -> tuple[Tensor, Tensor]:
    return h[:, :2], 1 + h[:, 2:4] ** 2


def vae(statement: str, q: str, objective: str, **names: object) -> sd.Model:
    return sd.Model(
        f"""
        {statement}
        {q}
        p(z) = Normal(z; 0, 1)
        p(x|z) = Normal(x; dec(z), 1)
        {objective}
        """,
        **names,
    )


ELBO = "maximize E_q(z|h)[log p(x|z)] - KL[q(z|h) || p(z)]"


@pytest.mark.parametrize(
    ("statement", "q", "objective"),
    [
        ("h = f(x)", "q(z|h) = Normal(z; enc(h))", ELBO),
        ("h = f(x)", "q(z|h) = Normal(z; enc(h))", ELBO.replace("q(z|h) ||", "q ||")),
        ("h = f(x)", "q(z|x) = Normal(z; enc(h))", ELBO.replace("z|h", "z|x")),
        ("u = f(x); h = u", "q(z|h) = Normal(z; enc(h))", ELBO),
        ("h = u; u = f(x)", "q(z|h) = Normal(z; enc(h))", ELBO),
        ("where h = f(x)", "q(z|x) = Normal(z; enc(h))", ELBO.replace("z|h", "z|x")),
        ("h = f(x)", "q(z|h) = Normal(z; enc(h))", "L(x) = E_q(z|h)[log p(x|z)] - KL[q||p]; maximize L(x)"),
        ("h = f(x)", "q(z|h) = Normal(z; enc(h))", ELBO.replace("mize ", "mize E_p(h|x)[") + "]"),
        ("h = f(x)", "q(z|h) = Normal(z; enc(h))", ELBO.replace("mize ", "mize E_data(x)[") + "]"),
        ("d(a) = log p(x|z=a)", "q(z|h) = Normal(z; enc(h)); h = f(x)", ELBO.replace("log p(x|z)", "d(z)")),
    ],
)  # fmt: skip
def test_a_value_of_a_network_between(statement: str, q: str, objective: str) -> None:
    """However it is written, value and gradient are those of the composed network, with the same noise."""
    torch.manual_seed(0)
    f, dec = nn.Linear(3, 4), nn.Linear(2, 3)
    model = vae(statement, q, objective, f=f, dec=dec, enc=encode, z=2)
    x = torch.randn(6, 3)
    torch.manual_seed(5)
    model.loss(x=x).backward()
    gradients = [p.grad.clone() for m in (f, dec) for p in m.parameters()]
    model.zero_grad()
    torch.manual_seed(5)
    loc, scale = encode(f(x))
    z = loc + scale * torch.randn_like(loc)
    log_p = torch.distributions.Normal(dec(z), 1.0).log_prob(x).sum(1)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(loc, scale), torch.distributions.Normal(0.0, 1.0)
    ).sum(1)
    (kl - log_p).mean().backward()
    for found, module in zip(gradients, [p for m in (f, dec) for p in m.parameters()], strict=True):
        torch.testing.assert_close(found, module.grad, rtol=1e-4, atol=1e-5)
    assert {id(p) for p in model.parameters()} == {id(p) for m in (f, dec) for p in m.parameters()}


def test_a_generator_is_sampled_and_its_value_is_a_function() -> None:
    """``x = G(z)`` in one expectation, and data of that name in another."""
    generator, critic = nn.Linear(2, 3), nn.Linear(3, 1)
    model = sd.Model(
        """
        p(z) = Normal(z; 0, 1)
        x = G(z)
        minimize E_p(z)[sum(D(x))] - E_data(x)[sum(D(x))]
        """,
        G=generator, D=critic, z=2,
    )  # fmt: skip
    x = torch.randn(5, 3)
    torch.manual_seed(3)
    value = model.loss(x=x)
    torch.manual_seed(3)
    expected = critic(generator(torch.randn(5, 2))).mean() - critic(x).mean()
    torch.testing.assert_close(value, expected)
    drawn = model.sample(4, seed=0)
    torch.testing.assert_close(drawn["x"], generator(drawn["z"]))
    alone = sd.Model("p(z) = Normal(z; 0, 1); x = 2 z + b\nmaximize E_p(z)[sum(x)]", b=1.0, z=2)
    found = alone.sample(4, seed=0)
    assert torch.equal(found["x"], 2 * found["z"] + 1)


def test_a_value_on_the_way_of_generation_is_drawn() -> None:
    f, dec = nn.Linear(2, 4), nn.Linear(4, 3)
    model = sd.Model(
        """
        p(z) = Normal(z; 0, 1); h = f(z); p(x|h) = Normal(x; dec(h), 1); q(z|x) = Normal(z; enc(x))
        maximize E_q(z|x)[log p(x|h)] - KL[q(z|x) || p(z)]
        """,
        f=f, dec=dec, enc=lambda x: (x[:, :2], torch.ones(len(x), 2)), z=2,
    )  # fmt: skip
    model.loss(x=torch.randn(5, 3))
    drawn = model.sample(4)
    assert set(drawn) == {"x", "h", "z"}
    torch.testing.assert_close(drawn["h"], f(drawn["z"]))


@pytest.mark.parametrize("statement", ["x = f(z)", "z = g(x)"])
def test_a_value_of_a_flow_has_a_density(statement: str) -> None:
    """In both directions, against the change of variables by the Jacobian of autograd."""
    torch.manual_seed(0)
    flow = (AffineCoupling(2) >> Reverse(2) >> AffineCoupling(2)).double()
    for p in flow.parameters():
        p.data.add_(0.3 * torch.randn_like(p))
    model = sd.Model(
        f"p(z) = Normal(z; 0, 1)\n{statement}\nmaximize log p(x)",
        **({"f": flow} if "f(" in statement else {"g": flow.inv}), z=2,
    )  # fmt: skip
    x = torch.randn(4, 2, dtype=torch.float64)
    inverse = flow.inv
    for i, value in enumerate(model.objective.per_example(x=x)):
        jacobian = torch.autograd.functional.jacobian(lambda v: inverse(v[None])[0][0], x[i])
        z = inverse(x[i][None])[0]
        expected = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum() + jacobian.slogdet()[1]
        torch.testing.assert_close(value, expected)
    model.float()
    assert model.sample(3)["x"].shape == (3, 2)
    assert {id(p) for p in model.parameters()} == {id(p) for p in flow.parameters()}


def test_a_posterior_by_a_flow_and_a_transform_of_torch() -> None:
    model = sd.Model(
        """
        q(u|x) = Normal(u; x, 1); z = f(u); p(z) = Normal(z; 0, 1)
        maximize E_q(z|x)[log p(z) - log q(z|x)]
        """,
        f=torch.distributions.AffineTransform(1.0, 2.0), z=2,
    )  # fmt: skip
    x = torch.randn(7, 2)
    torch.manual_seed(0)
    value = model.objective(x=x)
    torch.manual_seed(0)
    u = x + torch.randn(7, 2)
    normal = torch.distributions.Normal
    expected = normal(0.0, 1.0).log_prob(1 + 2 * u) - normal(1 + 2 * x, 2.0).log_prob(1 + 2 * u)
    torch.testing.assert_close(value, expected.sum(1).mean())


def test_an_abbreviation_means_what_is_in_scope() -> None:
    """``where d = x - z``: the z is the one that is drawn."""
    text = "q(z|x) = Normal(z; x, 1)\nwhere d = ||x - z||^2\nmaximize E_q(z|x)[d] + k d\nwhere k = 0"
    with pytest.raises(NameResolutionError, match="`z` is bound by the expectation"):
        sd.Model(text)
    model = sd.Model(text.replace(" + k d\nwhere k = 0", ""), analytic=False)
    x = torch.randn(5, 2)
    torch.manual_seed(0)
    value = model.objective(x=x)
    torch.manual_seed(0)
    torch.testing.assert_close(value, torch.randn(5, 2).square().sum(1).mean())


@pytest.mark.parametrize(
    ("block", "value"),
    [
        ("where a = 2; maximize a sum(x)", 2.0),
        ("where s(v) = sum(v^2); maximize s(x) + s(2 x)", 5.0),
        ("where s(v) = sum(v^2); where t(v) = s(v) + s(v); maximize t(x)", 2.0),
        (r"\mathcal{L}(\theta; x) = sum(x); J = 3 \mathcal{L}(\theta; x); maximize J", 3.0),
        ("V(D, y) = sum(D(y)); maximize V(f, x)", 2.0),
        ("J = maximize sum(x)", 1.0),
        ("y = 2 x; maximize sum(y)", 2.0),
        ("x_2 = 2 x; y = x_2 + x; maximize sum(y)", 3.0),
        ("h = 3; maximize h sum(x)", 3.0),
    ],
)
def test_named_pieces(block: str, value: float) -> None:
    names = {"f": lambda v: 2 * v} if "f, x" in block else {}
    model = sd.Model("p(x) = Normal(x; 0, 1)\n" + block, **names)
    assert model.objective(x=torch.ones(3, 1)).item() == value


def test_a_value_with_an_entry_of_a_table():
    """The noise of a diffusion: the index of the table is what the value depends on, besides its names."""
    table = torch.linspace(0.9, 0.1, 5)
    model = sd.Model(
        "x_t = sqrt(a_t) x + sqrt(1 - a_t) eps\n"
        "minimize E_{data(x), t ~ Uniform{1..T}, eps ~ N(0, I)}[||f(x_t)||^2]",
        f=lambda v: 2 * v,
        a=table,
        T=5,
    )
    x = torch.randn(50_000, 2)
    wanted = 4 * (table.mean() * (x**2).sum(1).mean() + 2 * (1 - table).mean()).item()
    torch.manual_seed(0)
    assert model.loss(x=x).item() == pytest.approx(wanted, rel=0.02)


REFUSED = [
    ("h = f(h)\nmaximize sum(h)", NameResolutionError, "`h` is defined by itself"),
    ("h = u\nu = h\nmaximize sum(h)", NameResolutionError, "in a circle"),
    ("h = 1\nh = 2\nmaximize h", GrammarError, "an abbreviation of two things"),
    ("s(x) = x\ns(y) = y\nmaximize sum(s(x))", GrammarError, "an abbreviation of two things"),
    ("s(x) = x\nmaximize sum(s(x, x))", GrammarError, "has 2 arguments, but `s` was defined with 1"),
    ("s(2) = x\nmaximize sum(s(x))", NotSupportedError, "no name with names as arguments"),
    (
        "p(x) = Normal(x; 0, 1)\nx = f(z)\nmaximize log p(x)",
        NameResolutionError,
        "is certain by its",
    ),
    ("h = g(x)\nmaximize sum(h)", NameResolutionError, "`g` is not bound"),
    ("x^{(i)} = f(x)\nmaximize sum(x)", NotSupportedError, "a model cannot be built from it yet"),
    ("q_bar(z) = prod_{j=1}^d q(z_j)\nmaximize log q_bar(z)", NotSupportedError, "a product over an index"),
    ("p(x) = Normal(x; 0, 1)\np(x, z) = f(x)\nmaximize log p(x)", NotSupportedError, "`p` is a density, so"),
    ("h = max_G f(x)\nmaximize sum(h)", SymdgmError, ""),
]


@pytest.mark.parametrize(("text", "error", "words"), REFUSED)
def test_refused(text: str, error: type[Exception], words: str) -> None:
    names = {"f": nn.Linear(1, 1)} if "f(" in text else {}
    with pytest.raises(error) as caught:
        sd.Model(text, **names)
    assert words in str(caught.value)
    assert (
        caught.value.source is None
        or caught.value.span is not None
        or words in ("in a circle", "`p` is a density, so")
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = f(z)\nmaximize log p(x)", "there is no law of `z` nor of `x`"),
        ("p(z) = Normal(z; 0, 1)\nx = f(2 z)\nmaximize log p(x)", "to other things than a variable"),
        (
            "p(z) = Normal(z; 0, 1)\nq(z|y) = Normal(z; y, 1)\nx = f(z)\nmaximize log p(x)",
            "may transform more than one law: `p\\(z\\)`, `q\\(z|y\\)`",
        ),
    ],
)
def test_flows_refused(text: str, words: str) -> None:
    with pytest.raises(NameResolutionError, match=words.replace("|", r"\|")):
        sd.Model(text, f=AffineCoupling(2), z=2)


def test_a_value_has_one_meaning() -> None:
    with pytest.raises((NameResolutionError, OptionError), match=r"bound by a keyword|is no option"):
        sd.Model("h = 2 x\nmaximize sum(h)", h=1.0)


@pytest.mark.parametrize(
    "lines",
    [
        [f"where a_{i} = a_{i + 1} + a_{i + 1}" for i in range(200)],
        [f"where a_{i} = exp(exp(a_{i + 1}))" for i in range(400)],
        [f"where s_{i}(v) = s_{i + 1}(v) s_{i + 1}(v)" for i in range(60)],
        [f"h_{i} = h_{i + 1}" for i in range(900)],
    ],
)
def test_abbreviations_neither_hang_nor_crash(lines: list[str]) -> None:
    head = lines[0].removeprefix("where ").split(" =")[0]
    start = time.thread_time()
    with pytest.raises(SymdgmError):
        sd.Model(
            "\n".join(["p(x) = Normal(x; 0, 1)", *lines, f"maximize sum(x {head})".replace("(v)", "(x)")])
        )
    assert time.thread_time() - start < 10


@pytest.mark.parametrize(
    ("text", "names", "words", "line"),
    [
        ("p(x) propto q(x)\nq(x) propto p(x)", {}, "`p(x)`, `q(x)` are defined by each other in a circle", 0),
        ("p(x) propto p(x)^2", {}, "`p(x)` is defined by itself", 0),
        ("h = g\ng = h", {}, "the abbreviations `h`, `g` stand on each other in a circle", 0),
        ("p(x) = N(x; 0, 1)\nL(x) = L(x) + 1", {"x": 2}, "the abbreviation `L` stands on itself", 1),
        ("p(x) = N(x; 0, 1)\np(y) = f(y)", {"f": abs}, "`p` is a density, so an equation of it", 1),
        ("p(x) = N(x; 0, 1)\np(x) propto exp(-x^2)", {"x": 2}, "`p(x)` is bound twice", 1),
        ("p(x) = N(x; 0, 1)\np(x) = N(x; 1, 1)", {"x": 2}, "`p(x)` is bound twice", 1),
        ("p(x) = N(x; a, 1)\nwhere a = 1", {"x": 2, "a": 3.0}, "`a` is defined by a statement, and bound", 1),
    ],
)  # fmt: skip
def test_refusals_of_statements_show_their_line(text: str, names: dict, words: str, line: int) -> None:
    with pytest.raises(SymdgmError) as caught:
        sd.Model(f"{text}\nmaximize log p(x)", **names)
    assert words in str(caught.value)
    shown = str(caught.value).split("\n")
    assert shown[1].strip() == text.split("\n")[line]
    assert set(shown[2].strip()) == {"^"}


def test_a_density_of_python_is_not_bound_again() -> None:
    with pytest.raises(NameResolutionError, match=r"`p\(x\)` is bound twice\n.*\n.*\^"):
        sd.Model("p(x) = N(x; 0, 1)\nmaximize log p(x)", sd.Normal("p(x)", loc=0.0, scale=1.0, event_shape=2))


def test_the_value_of_a_flow_has_one_density() -> None:
    words = r"`p\(x\)` is bound twice\n  x = [fg]\(z\)\n  \^"
    flow, text = AffineCoupling(2), "p(z) = N(z; 0, 1)\nx = f(z)\n{}\nmaximize log p(x)"
    with pytest.raises(NameResolutionError, match=words):
        sd.Model(text.format("x = g(z)"), f=flow, g=AffineCoupling(2), z=2)
    with pytest.raises(NameResolutionError, match=words):
        sd.Model(text.format("p(x) = N(x; 0, 1)"), f=flow, z=2)


def test_the_value_of_another_formula_has_none() -> None:
    with pytest.raises(NameResolutionError, match="which has a density only where the formula is a flow"):
        sd.Model("p(z) = N(z; 0, 1)\nx = 2 z + 1\nmaximize log p(x)", z=2)
