"""Games against steps written by hand with the same noise, in value and in gradient, for each player."""

import copy
import pickle
from pathlib import Path

import pytest
import torch
from game_models import DATA, GAN, critic, data, gan, generator, gradients, noise, prior, same, weights
from torch import nn
from torch.nn.functional import logsigmoid

import symdgm as sd
from symdgm.errors import DataError, GrammarError, NotSupportedError, OptionError
from symdgm.rewriting.rule import Kind

LEAST_SQUARES = """
    loss_d: minimize 1/2 E_data(x)[(D(x) - 1)^2] + 1/2 E_p(z)[D(G(z))^2] over D
    loss_g: minimize 1/2 E_p(z)[(D(G(z)) - 1)^2] over G
"""
PENALISED = """
    loss_d: minimize E_p(z)[D(G(z))] - E_data(x)[D(x)]
            + 10 E_{x ~ data(x), z ~ p(z), eps ~ U(0, 1)}[(||grad_y D(y)||_2 - 1)^2] over D
    loss_g: minimize -E_p(z)[D(G(z))] over G
    where y = eps x + (1 - eps) G(z)
"""


def adam(module: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(module.parameters(), lr=1e-2, fused=True)


def step(optimizer: torch.optim.Optimizer, loss: torch.Tensor, module: nn.Module) -> None:
    for parameter, gradient in zip(module.parameters(), gradients(loss, module), strict=True):
        parameter.grad = gradient
    optimizer.step()


def test_the_value_and_the_gradient_of_each_player() -> None:
    model, g, d = gan()
    x = data()
    torch.manual_seed(5)
    loss_d = model.loss(x=x, player="D")
    torch.manual_seed(5)
    loss_g = model.loss(x=x, player="G")
    torch.manual_seed(5)
    fake = d(g(noise()))
    expected_d = -(logsigmoid(d(x)).mean() + logsigmoid(-fake).mean())
    assert torch.allclose(loss_d, expected_d, rtol=1e-12)
    assert torch.allclose(loss_g, logsigmoid(-fake).mean(), rtol=1e-12)
    assert same(gradients(loss_d, d), gradients(expected_d, d))
    assert same(gradients(loss_g, g), gradients(logsigmoid(-fake).mean(), g))


def test_steps_are_those_by_hand() -> None:
    model, g, d = gan()
    mine, other = copy.deepcopy(g), copy.deepcopy(d)
    model.configure(lr=1e-2)
    of_d, of_g = adam(other), adam(mine)
    x = data()
    torch.manual_seed(7)
    for _ in range(3):
        evaluations = model.train_step(x=x)
    torch.manual_seed(7)
    for _ in range(3):
        loss = -(logsigmoid(other(x)).mean() + logsigmoid(-other(mine(noise()))).mean())
        step(of_d, loss, other)
        step(of_g, logsigmoid(-other(mine(noise()))).mean(), mine)
    assert same(weights(g), weights(mine)) and same(weights(d), weights(other))
    assert list(evaluations) == ["D", "G"]
    assert list(evaluations["G"].terms) == ["E_p(z)[log(1 - sigmoid(D(G(z))))]"]


def test_a_player_computes_only_what_reaches_it() -> None:
    model, _, _ = gan()
    assert list(model.players) == ["D", "G"]
    d, g = model.player("D"), model.player("G")
    assert len(d.objective.term_names) == 2 and len(g.objective.term_names) == 1
    last = g.objective.derivation.steps[-1]
    assert last.name == "terms of a player" and last.kind is Kind.EQUALITY
    assert "does not depend on what `G` moves" in repr(g.objective.derivation)
    model.loss(x=data(), player="G")
    assert "D_x" not in g.objective.code
    assert set(model.terms(x=data(), player="D")) == set(d.objective.term_names)
    assert "4 parameters" in repr(g)


def test_least_squares_by_hand() -> None:
    model, g, d = gan(LEAST_SQUARES)
    x = data()
    torch.manual_seed(3)
    losses = model.loss(x=x, player="loss_d"), model.loss(n=16, player="G")
    torch.manual_seed(3)
    expected = (
        0.5 * (d(x) - 1).pow(2).mean() + 0.5 * d(g(noise())).pow(2).mean(),
        0.5 * (d(g(noise())) - 1).pow(2).mean(),
    )
    for module, mine, other in zip((d, g), losses, expected, strict=True):
        assert torch.allclose(mine, other) and same(gradients(mine, module), gradients(other, module))


def test_the_gradient_penalty_by_hand() -> None:
    model, g, d = gan(PENALISED)
    x = data()
    torch.manual_seed(3)
    loss = model.loss(x=x, player="D")
    torch.manual_seed(3)
    fake = g(noise())
    eps = torch.distributions.Uniform(torch.zeros(16).double(), torch.ones(16).double()).rsample()[:, None]
    y = (eps * x + (1 - eps) * fake).detach().requires_grad_()
    slope = torch.autograd.grad(d(y).sum(), y, create_graph=True)[0]
    expected = d(fake).mean() - d(x).mean() + 10 * (slope.norm(dim=-1) - 1).pow(2).mean()
    assert torch.allclose(loss, expected, rtol=1e-12)
    assert same(gradients(loss, d), gradients(expected, d))
    history = model.fit(x, epochs=2, batch_size=8, steps={"D": 2}, seed=0, progress=False)
    assert {"D", "G", "G: E_p(z)[D(G(z))]"} <= set(history.last.terms)


def test_weights_move_for_their_owner_only() -> None:
    model, g, d = gan()
    before = weights(g), weights(d)
    model.configure(optimizer={"D": torch.optim.SGD}, lr={"D": 0.1, "G": 1e-30})
    model.train_step(x=data())
    assert same(weights(g), before[0]) and not same(weights(d), before[1])
    kinds = [
        type(player.optimizer).__name__
        for player in model.configure(optimizer={"D": torch.optim.SGD}).players
    ]
    assert kinds == ["SGD", "Adam"]


def test_each_optimiser_has_a_state_of_its_own() -> None:
    model, g, d = gan()
    stepper = model.configure(steps={"D": 3}, lr=1e-3)
    for _ in range(6):
        model.train_step(x=data())
    of_d, of_g = (player.optimizer.state for player in stepper.players)
    assert set(of_d) == set(d.parameters()) and set(of_g) == set(g.parameters())
    assert {float(s["step"]) for s in of_d.values()} == {6.0}
    assert {float(s["step"]) for s in of_g.values()} == {2.0}


def test_a_broken_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    options = {"epochs": 4, "batch_size": 5, "seed": 0, "progress": False, "steps": {"D": 2}}

    def crash(record: object) -> None:
        if record.epoch == 2:  # type: ignore[attr-defined]
            raise RuntimeError

    whole, model = gan(ema={"G_bar": 0.9})[0], gan(ema={"G_bar": 0.9})[0]
    expected = whole.fit(data(), **options)
    with pytest.raises(RuntimeError):
        gan(ema={"G_bar": 0.9})[0].fit(data(), checkpoint=tmp_path / "c", callbacks=[crash], **options)
    found = model.fit(data(), checkpoint=tmp_path / "c", resume=True, **options)
    states = whole.state(), model.state()
    assert states[0].keys() == states[1].keys() and any("G_bar" in name for name in states[0])
    assert all(torch.equal(a, b) for a, b in zip(*(s.values() for s in states), strict=True))
    assert [r.terms for r in found.epochs] == [r.terms for r in expected.epochs]


def test_copies_are_games_of_their_own() -> None:
    model, _, _ = gan()
    x = data()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.manual_seed(1)
        expected = model.loss(x=x, player="G")
        torch.manual_seed(1)
        assert torch.equal(other.loss(x=x, player="G"), expected)
        before = weights(model)
        other.train_step(x=x)
        assert same(weights(model), before) and not same(weights(other), before)
    assert sum(p.numel() for player in model.players.values() for p in player) == sum(
        p.numel() for p in model.parameters()
    )


def test_files_of_a_game(tmp_path: Path) -> None:
    model, _, _ = gan()
    other = sd.Model(GAN, prior(), G=generator(5), D=critic(6))
    model.save(tmp_path / "gan.safetensors")
    other.load(tmp_path / "gan.safetensors")
    assert same(weights(model), weights(other))


def test_a_game_learns() -> None:
    """The mean of a Gaussian, by a critic of squares and a generator of one weight."""
    shift = nn.Linear(1, 1)
    torch.manual_seed(0)
    d = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    x = 2 + 0.5 * torch.randn(2000, 1)
    model = sd.Model(
        """
        loss_d: maximize E_data(x)[log sigmoid(D(x))] + E_p(z)[log sigmoid(-D(G(z)))] over D
        loss_g: maximize E_p(z)[log sigmoid(D(G(z)))] over G
        """,
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=1),
        D=d,
        G=shift,
    )
    model.fit(x, epochs=30, batch_size=200, lr={"D": 1e-2, "G": 1e-2}, seed=0, progress=False)
    assert float(shift.bias.detach()) == pytest.approx(2, abs=0.25)


def test_without_data_everybody_draws() -> None:
    model = sd.Model(
        "min_G max_D E_p(z)[D(G(z))] - E_r(y)[D(y)] - 1/10 E_p(z)[D(G(z))^2] - 1/10 E_r(y)[D(y)^2]",
        prior(),
        sd.Normal("r(y)", loc=1.0, scale=1.0, event_shape=DATA),
        G=generator(),
        D=critic(),
    )
    history = model.fit(n=32, steps=5, seed=0, progress=False)
    assert history.last.step == 5 and set(model.train_step(n=4)) == {"D", "G"}


def test_a_player_of_what_is_left() -> None:
    """An outer `minimize` without a name moves all that the players inside do not."""
    g, d = generator(), critic()
    model = sd.Model("minimize max_D E_data(x)[D(x)] - E_p(z)[D(G(z))]", prior(), G=g, D=d)
    assert list(model.players) == ["D", "model"]
    assert set(model.players["model"]) == set(g.parameters())


def test_what_is_no_game_is_refused() -> None:
    with pytest.raises(GrammarError, match="`D` is a player of two objectives"):
        gan(GAN.replace("min_G", "min_D"))
    with pytest.raises(NotSupportedError, match=r"one objective, or one for each player"):
        gan("minimize E_p(z)[D(G(z))]\nmaximize E_data(x)[D(x)]")
    with pytest.raises(OptionError, match=r"a game has a loss for each player\nwrite `player=...`"):
        gan()[0].loss(x=data())
    with pytest.raises(OptionError, match="there is no player `E`"):
        gan()[0].player("E")
    with pytest.raises(NotSupportedError, match=r"a game is played by `sd.Model`"):
        sd.Objective(GAN, prior(), G=generator(), D=critic())


def test_a_bad_loss_is_told_of_its_player() -> None:
    model, g, _ = gan()
    with torch.no_grad():
        g[0].weight[0, 0] = float("nan")
    with pytest.raises(sd.SymdgmError, match=r"E_p\(z\)\[log\(1 - sigmoid\(D\(G\(z\)\)\)\)\]. is not finite"):
        model.train_step(x=data())


@pytest.mark.parametrize(
    "text",
    [
        "J = " + GAN,
        GAN.replace("max_D ", "max_D V(D, G) = "),
        r"\min_G \max_D \mathbb{E}_{x \sim p_{data}(x)}[\log \sigma(D(x))] "
        r"+ \mathbb{E}_{z \sim p(z)}[\log(1 - \sigma(D(G(z))))]",
    ],
)
def test_a_game_as_papers_write_it(text: str) -> None:
    torch.manual_seed(0)
    expected = gan()[0].loss(x=data(), player="D")
    torch.manual_seed(0)
    assert torch.allclose(gan(text)[0].loss(x=data(), player="D"), expected)


def test_a_report_for_each_player() -> None:
    model, _, _ = gan()
    for player in ("D", "G"):
        report = repr(model.report(x=data(), player=player, draws=5))
        assert ("E_data(x)" in report) is (player == "D")


def test_validation_watches_every_player() -> None:
    history = gan()[0].fit(data(), validation=data(8), epochs=1, seed=0, progress=False)
    assert {"D", "G"} <= set(history.last.validation_terms)


@pytest.mark.parametrize("player", ["D", ""])
def test_a_tensor_is_no_batch_of_a_step(player: str) -> None:
    with pytest.raises(DataError, match=r"dict of checked tensors\nwrite `model.loss\(x\)`"):
        gan()[0].evaluate(data(), player)  # type: ignore[arg-type]
