"""Networks that follow others, and weights that are kept within bounds."""

import copy
from pathlib import Path

import pytest
import torch
from game_models import critic, data, gan, same, weights
from torch import nn

import symdgm as sd
from symdgm.errors import NameResolutionError, OptionError

BOOTSTRAP = "minimize E_data(x)[||h(f_theta(x)) - f_xi(x)||^2]"


def bootstrap(**options: object) -> tuple[sd.Model, nn.Linear]:
    torch.manual_seed(0)
    f = nn.Linear(3, 2).double()
    ema = options.pop("ema", {"f_xi": ("f_theta", 0.9)})
    return sd.Model(BOOTSTRAP, f_theta=f, h=nn.Linear(2, 2).double(), ema=ema, **options), f


def test_a_target_follows_its_network() -> None:
    model, f = bootstrap()
    target = model.networks.f_xi
    expected = weights(target)
    assert same(expected, weights(f)) and not any(p.requires_grad for p in target.parameters())
    model.configure(optimizer=torch.optim.SGD, lr=0.1)
    for _ in range(3):
        model.train_step(x=data())
        expected = [0.9 * mean + 0.1 * new for mean, new in zip(expected, weights(f), strict=True)]
        assert same(weights(target), expected)
    assert not same(expected, weights(f))


def test_a_target_is_saved_and_copied(tmp_path: Path) -> None:
    model, _ = bootstrap()
    model.fit(data(), epochs=2, seed=0, progress=False)
    model.save(tmp_path / "m.safetensors")
    other, _ = bootstrap()
    other.load(tmp_path / "m.safetensors")
    assert same(weights(other.networks.f_xi), weights(model.networks.f_xi))
    twin = copy.deepcopy(model)
    kept = weights(model.networks.f_xi)
    twin.train_step(x=data())
    assert same(weights(model.networks.f_xi), kept) and not same(weights(twin.networks.f_xi), kept)


def test_an_average_that_the_text_does_not_name_is_kept_aside() -> None:
    model, g, _ = gan(ema={"G_bar": 0.5})
    start = weights(g)
    model.train_step(x=data())
    expected = [0.5 * a + 0.5 * b for a, b in zip(start, weights(g), strict=True)]
    assert same(weights(model.averages.G_bar), expected)
    assert any(name.startswith("averages.G_bar.") for name in model.state_dict())


def test_an_average_follows_when_its_owner_moves() -> None:
    model, _, _ = gan(ema={"G_bar": 0.5})
    model.configure(steps={"D": 2})
    before = weights(model.averages.G_bar)
    model.train_step(x=data())
    assert same(weights(model.averages.G_bar), before)
    model.train_step(x=data())
    assert not same(weights(model.averages.G_bar), before)


def test_statistics_are_copied() -> None:
    norm = nn.BatchNorm1d(3).double()
    model = sd.Model("minimize E_data(x)[||f(x)||^2]", f=norm, ema={"f_bar": 0.9})
    model.train_step(x=data())
    assert torch.equal(model.averages.f_bar.running_mean, norm.running_mean)


def test_clipped_weights_stay_within_their_bounds() -> None:
    text = "min_G max_D E_data(x)[D(x)] - E_p(z)[D(G(z))]"
    model, g, d = gan(text, clip_weights={"D": 0.01})
    model.train_step(x=data())
    assert max(float(p.detach().abs().max()) for p in d.parameters()) <= 0.01
    assert max(float(p.detach().abs().max()) for p in g.parameters()) > 0.01


def test_spectral_norms_are_those_of_torch() -> None:
    d = critic()
    for layer in (d[0], d[2]):
        nn.utils.parametrizations.spectral_norm(layer)
    model, _, _ = gan("min_G max_D E_data(x)[D(x)] - E_p(z)[D(G(z))]")
    model = sd.Model(
        model.text, *(f.distribution for f in model.objective.bound.environment.factors), G=gan()[1], D=d
    )
    model.fit(data(), epochs=3, seed=0, progress=False)
    assert float(torch.linalg.matrix_norm(d[0].weight.detach(), 2)) == pytest.approx(1, abs=0.2)


def test_refusals() -> None:
    with pytest.raises(NameResolutionError, match="the average `g_bar` follows `g_bar`, which is no network"):
        bootstrap(ema={"f_xi": ("f_theta", 0.9), "g_bar": 0.9})
    with pytest.raises(OptionError, match="`h` is bound, and is to be an average too"):
        bootstrap(ema={"h": ("f_theta", 0.9)})
    with pytest.raises(OptionError, match=r"the average `f_xi` keeps 2\.0 of itself"):
        bootstrap(ema={"f_xi": ("f_theta", 2.0)})
    with pytest.raises(OptionError, match="`clip_weights` names `Q`, which is no player"):
        gan(clip_weights={"Q": 0.1})
    with pytest.raises(OptionError, match=r"`clip_weights\['D'\]` must be a positive number, not -1"):
        gan(clip_weights={"D": -1})
