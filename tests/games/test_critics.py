"""Divergences by critics: against closed forms, against losses by hand, and as terms of other objectives."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from game_models import DATA, LATENT, critic, data, generator, gradients, noise, prior, same, weights
from torch import Tensor, nn
from torch.nn.functional import logsigmoid, softplus

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError
from symdgm.rewriting.rule import Kind

ADVERSARIAL = "minimize {}[data(x) || p(x)]"
FACTOR_VAE = "maximize E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)] - gamma KL[q(z) || prod_j q(z_j)]"


def perceptron(inputs: int = 1, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)]
    return nn.Sequential(*layers)


def two_normals() -> list[sd.Normal]:
    return [
        sd.Normal("p(x)", loc=1.0, scale=1.0, event_shape=1),
        sd.Normal("q(x)", loc=0.0, scale=1.0, event_shape=1),
    ]


def densities() -> tuple[Tensor, Tensor, Tensor]:
    x = torch.linspace(-14, 15, 100_001, dtype=torch.float64)
    p, q = (torch.distributions.Normal(m, 1.0).log_prob(x).exp() for m in (1.0, 0.0))
    return x, p, q


def by_quadrature(of: Callable[[Tensor, Tensor], Tensor]) -> float:
    x, p, q = densities()
    return float(torch.trapezoid(of(p, q), x))


EXACT = {
    "JS": lambda p, q: 0.5 * p * (2 * p / (p + q)).log() + 0.5 * q * (2 * q / (p + q)).log(),
    "KL": lambda p, q: p * (p / q).log(),
    "TV": lambda p, q: 0.5 * (p - q).abs(),
    "chi2": lambda p, q: (p - q) ** 2 / q,
}


@pytest.mark.parametrize(
    ("kind", "loss", "within"),
    [
        ("JS", "saturating", 0.01),
        ("KL", "ratio", 0.03),
        ("KL", "dual", 0.03),
        ("TV", "dual", 0.01),
        ("chi2", "dual", 0.25),
    ],
)
def test_a_trained_critic_gives_the_divergence(kind: str, loss: str, within: float) -> None:
    text = f"minimize {kind}[p(x) || q(x)]"
    model = sd.Model(text, *two_normals(), critic={kind: sd.Critic(perceptron(), loss=loss)})
    assert list(model.players) == ["critic"]
    model.fit(n=1000, steps=400, lr=3e-3, seed=0, progress=False)
    with torch.no_grad():
        found = float(model.objective(n=100_000))
    assert found == pytest.approx(by_quadrature(EXACT[kind]), abs=within)


def test_the_first_law_has_the_label_one() -> None:
    """The slip of the Pixyz paper's B2: T = log p/q for KL[p || q], not log q/p."""
    net = perceptron()
    model = sd.Model("minimize KL[p(x) || q(x)]", *two_normals(), critic={"KL": net})
    model.fit(n=1000, steps=400, lr=3e-3, seed=0, progress=False)
    x = torch.linspace(-1, 2, 7)[:, None]
    assert torch.allclose(net(x).detach(), x - 0.5, atol=0.15)  # log p/q of these two normals


def test_a_critic_of_slope_one_gives_the_earth_movers_distance() -> None:
    parts = [
        sd.Normal("p(x)", loc=torch.tensor([1.0, 0.0]), scale=0.5),
        sd.Normal("q(x)", loc=torch.zeros(2), scale=0.5),
    ]
    critic = sd.Critic(perceptron(2, seed=1), gradient_penalty=10.0)
    model = sd.Model("minimize W[p(x) || q(x)]", *parts, critic=critic)
    model.fit(n=500, steps=500, lr=3e-3, seed=0, progress=False)
    with torch.no_grad():
        assert float(model.objective(n=50_000)) == pytest.approx(1.0, abs=0.08)


LOSSES = {
    "saturating": (
        lambda real, fake: -0.5 * logsigmoid(real).mean() - 0.5 * logsigmoid(-fake).mean() - math.log(2),
        lambda fake: 0.5 * logsigmoid(-fake).mean(),
    ),
    "non-saturating": (
        lambda real, fake: 0.5 * softplus(-real).mean() + 0.5 * softplus(fake).mean() - math.log(2),
        lambda fake: 0.5 * softplus(-fake).mean(),
    ),
    "least-squares": (
        lambda real, fake: 0.5 * (real - 1).pow(2).mean() + 0.5 * fake.pow(2).mean(),
        lambda fake: 0.5 * (fake - 1).pow(2).mean(),
    ),
    "hinge": (
        lambda real, fake: (1 - real).clamp_min(0).mean() + (1 + fake).clamp_min(0).mean(),
        lambda fake: -fake.mean(),
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_the_losses_of_papers(loss: str) -> None:
    """Values and gradients of both players, with the same noise."""
    g, d = generator(), critic()
    of_critic, of_generator = LOSSES[loss]
    model = sd.Model(
        ADVERSARIAL.format("JS"), sd.Deterministic("p(x|z)", g), prior(), critic=sd.Critic(d, loss=loss)
    )
    assert list(model.players) == ["critic", "model"]
    x = data()
    torch.manual_seed(4)
    mine = model.loss(x=x, player="critic"), model.loss(x=x, player="model")
    torch.manual_seed(4)
    expected = of_critic(d(x), d(g(noise()))), of_generator(d(g(noise())))
    for module, a, b in zip((d, g), mine, expected, strict=True):
        assert torch.allclose(a, b, rtol=1e-10)
        assert same(gradients(a, module), gradients(b, module))
    before = weights(g)
    model.fit(x, epochs=1, batch_size=8, steps={"critic": 2}, lr={"critic": 1e-3}, seed=0, progress=False)
    assert not same(weights(g), before)


def test_the_penalty_of_a_critic_by_hand() -> None:
    g, d = generator(), critic()
    model = sd.Model(
        ADVERSARIAL.format("W"),
        sd.Deterministic("p(x|z)", g),
        prior(),
        critic=sd.Critic(d, gradient_penalty=10.0),
    )
    x = data()
    torch.manual_seed(4)
    loss = model.loss(x=x, player="critic")
    torch.manual_seed(4)
    fake = g(noise())
    u = torch.distributions.Uniform(torch.zeros(16).double(), torch.ones(16).double()).rsample()[:, None]
    y = (u * x + (1 - u) * fake).detach().requires_grad_()
    slope = torch.autograd.grad(d(y).sum(), y, create_graph=True)[0]
    expected = d(fake).mean() - d(x).mean() + 10 * (slope.norm(dim=-1) - 1).pow(2).mean()
    assert torch.allclose(loss, expected) and same(gradients(loss, d), gradients(expected, d))


def test_weights_of_a_critic_within_bounds() -> None:
    g, d = generator(), critic()
    parts = [sd.Deterministic("p(x|z)", g), prior()]
    clipped = sd.Model(ADVERSARIAL.format("W"), *parts, critic=sd.Critic(d, clip=0.01, name="D"))
    assert list(clipped.players) == ["D", "model"]
    clipped.train_step(x=data())
    assert max(float(p.detach().abs().max()) for p in d.parameters()) <= 0.01
    d = critic()
    spectral = sd.Model(
        ADVERSARIAL.format("JS"), *parts, critic=sd.Critic(d, loss="hinge", spectral_norm=True)
    )
    spectral.fit(data(), epochs=10, seed=0, progress=False)
    assert float(torch.linalg.matrix_norm(d[0].weight.detach(), 2)) == pytest.approx(1, abs=0.2)


def test_the_gradient_of_a_ratio_reaches_both_sides() -> None:
    """At the best critic, the gradients of KL[p || q] by the means of both are those of the closed form."""
    a, b = (nn.Parameter(torch.tensor(v).double()) for v in (0.7, -0.3))
    parts = [
        sd.Normal("p(x)", loc=a, scale=1.0, event_shape=()),
        sd.Normal("q(x)", loc=b, scale=1.0, event_shape=()),
    ]

    def best(x: Tensor) -> Tensor:
        """log p/q of the two normals, as a network that has learned it."""
        m, k = a.detach(), b.detach()
        return (m - k) * x - 0.5 * (m**2 - k**2)

    model = sd.Model("minimize KL[p(x) || q(x)]", *parts, critic={"KL": Learned(best)})
    torch.manual_seed(0)
    draws = [torch.stack(torch.autograd.grad(model.objective(n=2000), [a, b])) for _ in range(200)]
    found = torch.stack(draws)
    error = found.std(0) / len(draws) ** 0.5
    distance = found.mean(0) - torch.tensor([1.0, -1.0]).double()
    assert abs(float(distance[0])) < 1e-9  # the slope of T is the same everywhere
    assert abs(float(distance[1] / error[1])) < 4


class Learned(nn.Module):
    """A function as a module with one weight, so that it is somebody's."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.one = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.one * self.function(x)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(DATA, 2 * LATENT).double()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, scale = self.layer(x).chunk(2, -1)
        return loc, scale.exp()


def factor_vae(gamma: float = 1.0) -> tuple[sd.Model, Encoder, nn.Module, nn.Module]:
    torch.manual_seed(0)
    encoder, decoder, tell = Encoder(), nn.Linear(LATENT, DATA).double(), critic_of_latents()
    model = sd.Model(
        FACTOR_VAE,
        sd.Normal("q(z|x)", encoder),
        sd.Normal("p(x|z)", loc=decoder, scale=1.0),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT),
        critic=tell,
        gamma=gamma,
    )
    return model, encoder, decoder, tell


def critic_of_latents() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(LATENT, 8), nn.Tanh(), nn.Linear(8, 1)).double()


def test_total_correlation_reaches_the_encoder() -> None:
    """In Pixyz it does not: its draws carry no gradient."""
    model, encoder, _, tell = factor_vae()
    x = data()
    torch.manual_seed(1)
    terms = model.terms(x=x, player="model")
    name = next(n for n in terms if "critic" in n)
    torch.manual_seed(1)
    loc, scale = encoder(x)
    z = loc + scale * torch.randn_like(loc)
    expected = tell(z).mean()
    assert torch.allclose(terms[name], expected)
    own, reference = gradients(terms[name], encoder), gradients(expected, encoder)
    assert same(own, reference) and all(float(g.abs().max()) > 0 for g in own)


def test_the_critic_of_a_total_correlation_sees_permuted_draws() -> None:
    model, encoder, _, tell = factor_vae()
    x = data()
    torch.manual_seed(1)
    loss = model.loss(x=x, player="critic")
    torch.manual_seed(1)
    with torch.no_grad():
        loc, scale = encoder(x)
        z = loc + scale * torch.randn_like(loc)
        permuted = z.gather(0, torch.rand(z.shape).argsort(0))
    expected = -0.5 * logsigmoid(tell(z)).mean() - 0.5 * logsigmoid(-tell(permuted)).mean() - math.log(2)
    assert torch.allclose(loss, expected) and same(gradients(loss, tell), gradients(expected, tell))
    with pytest.raises(RuntimeError, match="not have been used"):
        gradients(loss, encoder)
    assert sorted(permuted[:, 0].tolist()) == sorted(z[:, 0].tolist())


def test_the_total_correlation_of_a_known_normal() -> None:
    """q(z) is a normal of correlation 0.8, whose total correlation is -log(1 - 0.64)/2."""
    root = torch.linalg.cholesky(torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    rows = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) @ root.T
    encoder = sd.Normal("q(z|x)", lambda x: (x, torch.full_like(x, 1e-3)))
    model = sd.Model("minimize KL[q(z) || prod_j q(z_j)]", encoder, critic=perceptron(2))
    model.fit(rows, epochs=40, batch_size=1000, lr=3e-3, seed=0, progress=False)
    with torch.no_grad():
        found = float(model.objective(x=rows))
    assert found == pytest.approx(-0.5 * math.log(1 - 0.64), abs=0.06)


def test_factor_vae_untangles() -> None:
    model, *_ = factor_vae(gamma=2.0)
    x = data(400) @ torch.tensor([[1.0, 0.9, 0.0], [0.0, 0.4, 0.0], [0.0, 0.0, 1.0]]).double()
    history = model.fit(x, epochs=20, batch_size=50, lr={"model": 1e-2}, seed=0, progress=False)
    assert set(model.players) == {"critic", "model"}
    assert all(math.isfinite(v) for v in history.last.terms.values())
    assert history.last.terms["model"] > history.epochs[0].terms["model"]


def test_a_conditional_divergence_tells_the_critic_what_is_given() -> None:
    """Adversarial variational Bayes: the critic sees z and x (Mescheder et al. 2017)."""

    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(LATENT + DATA, 1).double()

        def forward(self, z: Tensor, x: Tensor) -> Tensor:
            return self.layer(torch.cat([z, x], -1))

    sampler = nn.Linear(DATA, LATENT).double()
    model = sd.Model(
        "maximize E_q(z|x)[log p(x|z)] - KL[q(z|x) || p(z)]",
        sd.Deterministic("q(z|x)", sampler),
        sd.Normal("p(x|z)", loc=nn.Linear(LATENT, DATA).double(), scale=1.0),
        prior(),
        critic={"KL[q(z|x) || p(z)]": Pair()},
    )
    model.fit(data(), epochs=1, seed=0, progress=False)
    model.loss(x=data(), player="critic")
    assert "critic(input_, x)" in model.player("critic").objective.code


def test_the_derivation_says_what_stands_for_a_divergence() -> None:
    parts = [sd.Deterministic("p(x|z)", generator()), prior()]
    for loss, kind in (("saturating", Kind.LOWER_BOUND), ("hinge", Kind.BIASED)):
        model = sd.Model(ADVERSARIAL.format("JS"), *parts, critic=sd.Critic(critic(), loss=loss))
        step = model.player("model").objective.derivation.steps[0]
        assert step.name == "critic" and step.kind is kind and step.reference
        assert "JS[data(x) ‖ p(x)]" in repr(model.player("model").objective.derivation)


def test_a_critic_of_a_game_with_players() -> None:
    g = generator()
    model = sd.Model(
        "min_G JS[data(x) || p(x)]",
        sd.Deterministic("p(x|z)", g),
        prior(),
        critic=critic(),
        players={"G": ["p(x|z)"]},
    )
    assert list(model.players) == ["critic", "G"] and set(model.players["G"]) == set(g.parameters())


def test_a_critic_is_saved_and_copied() -> None:
    g, d = generator(), critic()
    model = sd.Model(ADVERSARIAL.format("JS"), sd.Deterministic("p(x|z)", g), prior(), critic=d)
    assert any(name.startswith("networks.critic.") for name in model.state_dict())
    other = copy.deepcopy(model)
    other.train_step(x=data())
    assert not same(weights(other), weights(model))


def test_refusals() -> None:
    parts = [sd.Deterministic("p(x|z)", generator()), prior()]
    with pytest.raises(OptionError, match=r"a critic has no loss `hing`\ndid you mean `hinge`"):
        sd.Critic(critic(), loss="hing")
    with pytest.raises(OptionError, match="a critic of KL has no loss `hinge`"):
        sd.Model(
            "minimize KL[p(x) || q(x)]", *two_normals(), critic={"KL": sd.Critic(critic(), loss="hinge")}
        )
    with pytest.raises(OptionError, match="a critic is a network, not a float"):
        sd.Critic(1.0)
    with pytest.raises(OptionError, match="`gradient_penalty` is -1"):
        sd.Critic(critic(), gradient_penalty=-1)
    with pytest.raises(OptionError, match="`spectral_norm` finds no linear or convolutional layer"):
        sd.Critic(nn.Tanh(), spectral_norm=True)
    with pytest.raises(OptionError, match=r"`critic` is for one divergence, but none here could have one"):
        sd.Model("minimize ||f(x)||^2", sd.Data("data(x)"), f=nn.Linear(2, 2), critic=critic())
    with pytest.raises(OptionError, match=r"could have one: `KL\[.*`, `JS\[.*`\nsay whose it is"):
        sd.Model("minimize KL[data(x) || p(x)] + JS[data(x) || p(x)]", *parts, critic=critic())
    with pytest.raises(OptionError, match="`critic` names `W`, which is none of the divergences"):
        sd.Model(ADVERSARIAL.format("JS"), *parts, critic={"W": critic()})
    with pytest.raises(OptionError, match="the critic `D` is called like another network"):
        text = "minimize JS[data(x) || p(x)] + E_data(x)[D(x)^2]"
        sd.Model(text, *parts, critic=sd.Critic(critic(), name="D"), D=critic())
    with pytest.raises(NameResolutionError, match="nothing that is bound draws from `r"):
        sd.Model("minimize JS[data(x) || r(x)]", *parts, critic=critic())
    with pytest.raises(NotSupportedError, match="compares draws of the same variables"):
        sd.Model("minimize JS[data(x) || p(z)]", *parts, critic=critic())
    with pytest.raises(NotSupportedError, match="no product of the marginals of one variable"):
        sd.Model("minimize KL[p(z) || prod_j p(z)]", *parts, critic={"KL": critic()})
    with pytest.raises(NotSupportedError, match="a model cannot be built from it yet"):
        sd.Model("JS[data(x) || p(x)]", *parts, critic=critic())
