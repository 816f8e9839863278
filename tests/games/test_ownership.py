"""Whose parameters a player moves: by name, by subscript, by list; and who is left without a gradient."""

import warnings

import pytest
import torch
from game_models import DATA, LATENT, critic, data, gan, generator, prior
from torch import nn

import symdgm as sd
from symdgm.errors import NameResolutionError, OptionError, ParameterError, SymdgmWarning

TEXT = "min_{PG} max_{PD} E_data(x)[{D}(x)] - E_p(z)[{D}({G}(z))]"


def written(text: str = TEXT, **names: str) -> str:
    for key, value in names.items():
        text = text.replace(f"{{{key}}}", value)
    return text


@pytest.mark.parametrize(
    ("names", "bound"),
    [
        ({"PG": "G", "PD": "D", "G": "G", "D": "D"}, ("G", "D")),
        ({"PG": "G", "PD": "D", "G": "G_theta", "D": "D_phi"}, ("G_theta", "D_phi")),
        ({"PG": "{theta}", "PD": "{phi}", "G": "G_theta", "D": "D_phi"}, ("G_theta", "D_phi")),
        ({"PG": "{theta}", "PD": "{phi}", "G": "G_theta", "D": "D_phi"}, ("G", "D")),
        ({"PG": "{G}", "PD": "{D_phi}", "G": "G", "D": "D_phi"}, ("G", "D")),
    ],
)
def test_a_player_owns_what_is_called_by_its_name(names: dict[str, str], bound: tuple[str, str]) -> None:
    g, d = generator(), critic()
    model = sd.Model(written(**names), prior(), **dict(zip(bound, (g, d), strict=True)))
    of_d, of_g = model.players.values()
    assert set(of_d) == set(d.parameters()) and set(of_g) == set(g.parameters())


def test_a_player_owns_factors_and_networks_of_a_block() -> None:
    net, d = nn.Linear(LATENT, DATA).double(), critic()
    text = """
        p(z) = Normal(z; 0, 1)
        p(x|z) = Normal(x; G_theta(z), 1)
        min_{PLAYER} max_D E_data(x)[D(x)] - E_p(z) E_{y ~ p(x|z)}[D(y)]
    """
    for player in ("theta", "G", "p"):
        model = sd.Model(text.replace("PLAYER", player), G_theta=net, D=d, z=LATENT)
        assert set(model.players[player]) == set(net.parameters())
        model.fit(data(), epochs=1, seed=0, progress=False)


def test_a_list_says_what_no_name_does() -> None:
    g, d = generator(), critic()
    text = "min_theta max_D E_data(x)[D(x)] - E_p(z)[D(f(z))]"
    for owned in (["f"], [g], list(g.parameters()), "f", g):
        model = sd.Model(text, prior(), f=g, D=d, players={"theta": owned})
        assert set(model.players["theta"]) == set(g.parameters())
    loc = sd.Normal("p(x|z)", loc=g, scale=1.0)
    text = "min_theta max_D E_data(x)[D(x)] - E_p(z) E_{y ~ p(x|z)}[D(y)]"
    model = sd.Model(text, prior(), loc, D=d, players={"theta": ["p(x|z)"]})
    assert set(model.players["theta"]) == set(g.parameters())


def test_a_team_owns_what_each_of_it_does() -> None:
    e, g, d = nn.Linear(DATA, LATENT).double(), generator(), critic()
    model = sd.Model("min_{G,E} max_D E_data(x)[D(G(E(x)))^2 - D(x)]", E=e, G=g, D=d)
    assert list(model.players) == ["D", "G,E"]
    assert set(model.players["G,E"]) == {*e.parameters(), *g.parameters()}


def test_a_parameter_may_be_a_player() -> None:
    theta = nn.Parameter(torch.ones(()))
    model = sd.Model("max_theta -(theta - 3)^2", theta=theta)
    model.fit(n=1, steps=200, lr=0.1, progress=False)
    assert float(theta.detach()) == pytest.approx(3, abs=1e-2)


def test_one_player_moves_only_its_own() -> None:
    g, d = generator(), critic()
    with pytest.warns(SymdgmWarning, match="no player owns `D`, so that nobody trains it"):
        model = sd.Model("min_G E_p(z)[D(G(z))]", prior(), G=g, D=d)
    assert set(model.players["G"]) == set(g.parameters())
    d.requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sd.Model("min_G E_p(z)[D(G(z))]", prior(), G=g, D=d)


def test_names_that_own_nothing_are_refused() -> None:
    with pytest.raises(NameResolutionError, match=r"the player `Q` owns nothing that is trained\n.*`D`, `G`"):
        gan("min_Q max_D E_data(x)[D(x)] - E_p(z)[D(G(z))]")
    with pytest.raises(NameResolutionError, match="`players` lists `H`, which is not bound"):
        gan("min_Q max_D E_data(x)[D(x)] - E_p(z)[D(G(z))]", players={"Q": ["H"]})
    with pytest.raises(OptionError, match="`players` names `Q`, which is no player"):
        gan(players={"Q": ["G"]})
    with pytest.raises(OptionError, match="the players `D` and `G` own one parameter"):
        gan("min_G max_D E_data(x)[D(x)] - E_p(z)[D(G(z))]", players={"G": ["G", "D"]})
    with pytest.raises(OptionError, match="`players` lists `G`, but the objective has no players"):
        sd.Model("minimize ||f(x)||^2", sd.Data("data(x)"), f=nn.Linear(2, 2), players={"G": ["f"]})


def test_an_objective_that_does_not_depend_on_its_player_is_refused() -> None:
    for text in (
        "loss_d: minimize E_data(x)[D(x)] over D\nloss_g: minimize E_p(z)[D(sg[G(z)])] over G",
        "loss_d: minimize E_p(z)[D(G(z))] over D\nloss_g: minimize E_data(x)[D(x)] over G",
    ):
        with pytest.raises(
            ParameterError, match="the objective of player `G` does not depend on what it owns"
        ):
            gan(text)


def test_what_no_term_reaches_is_named_when_a_model_is_built() -> None:
    f, g = nn.Linear(2, 2), nn.Linear(2, 2)
    x = sd.Data("data(x)")
    with pytest.warns(
        SymdgmWarning, match=r"no term of the objective reaches `g`, so that it gets no gradient"
    ):
        sd.Model("minimize ||f(x) - sg[g(x)]||^2", x, f=f, g=g)
    with pytest.warns(SymdgmWarning, match=r"reaches `q\(z\|x\)`"):
        sd.Model("minimize ||f(x)||^2", x, sd.Normal("q(z|x)", loc=g, scale=1.0), f=f)
    with pytest.warns(SymdgmWarning, match=r"reaches `f`, `g`, so that each gets no gradient"):
        sd.Model("minimize ||sg[f(x) - g(x)]||^2 + a^2", x, f=f, g=g, a=nn.Parameter(torch.ones(())))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sd.Model("minimize ||f(x) - g(sg[f(x)])||^2", x, f=f, g=g)
        sd.Model("minimize ||f(x) - sg[g(x)]||^2", x, f=f, g=nn.Linear(2, 2).requires_grad_(False))
