"""Options of every public function: what has the wrong type or value is refused in words, never by Python."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm import data, zoo
from symdgm.errors import OptionError, ShapeError, SymdgmError

NAN, INF = float("nan"), float("inf")
ODD = (
    NAN, INF, -1, 1j, "", "abracadabra", [1, 2], {"a": 1}, {1: 2}, torch.zeros(2, 4), object(),
    np.float64(NAN),
)  # fmt: skip
"""What hardly any option may be."""
BLOCK = """
    p(z)   = Normal(z; 0, 1)
    q(z|x) = Normal(z; enc(x))
    p(x|z) = Bernoulli(x; logits = dec(z))
    maximize E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)]
"""
X = torch.ones(4, 3)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is taken for a path leaves no file behind."""
    monkeypatch.chdir(tmp_path)


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.loc = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.loc(x), torch.ones(len(x), 2)


def model(**options: Any) -> sd.Model:
    return sd.Model(BLOCK, **{"enc": Encoder(), "dec": nn.Linear(2, 3), "beta": 1.0, "z": 2, **options})


def fitted(**options: Any) -> object:
    return model().fit(**{"data": X, "progress": False, **options})


def built(**options: Any) -> object:
    return model(**options).train_step(x=X)


SWITCHES: list[tuple[str, Callable[..., object]]] = [
    *((name, built) for name in ("analytic", "validate", "sharing")),
    *((name, fitted) for name in ("shuffle", "drop_last", "progress", "resume", "capture")),
    ("mean", lambda mean: model().sample(2, mean=mean)),
    ("mean", lambda mean: model().reconstruct(X, mean=mean)),
    ("flat", lambda flat: data.digits(flat=flat)),
    ("download", lambda download: data.mnist("nowhere", download=download)),
    ("download", lambda download: data.chorales("nowhere", download=download)),
]
OTHERS: list[tuple[str, Callable[..., object]]] = [
    *((n, built) for n in ("samples", "estimators", "divergences", "truncate", "checkpoint")),
    ("memory_budget", built),
    *((n, built) for n in ("players", "ema", "clip_weights", "critic")),
    *((n, fitted) for n in ("epochs", "batch_size", "optimizer", "steps", "n", "seed", "scheduler")),
    *((n, fitted) for n in ("callbacks", "scalars", "validation")),
    ("name", lambda name: model().scalars[name]),
    ("draws", lambda draws: model().report(X, draws=draws)),
    ("n", lambda n: model().sample(n)),
    ("count", lambda count: data.episodes("CartPole-v1", count)),
    ("steps", lambda steps: data.episodes("CartPole-v1", 1, steps=steps)),
    ("seed", lambda seed: data.episodes("CartPole-v1", 1, steps=2, seed=seed)),
    ("images", lambda images: data.binarize(images if images is not ODD[9] else None)),
    ("generator", lambda generator: data.binarize(X, generator)),
    ("sequences", lambda sequences: data.ragged(sequences)),
    ("latent", lambda latent: zoo.vae(4, latent=latent)),
    ("size", lambda size: zoo.Codebook(3, size)),
    ("recurrent", lambda recurrent: zoo.deep_markov(3, recurrent=recurrent)),
    ("actions", lambda actions: zoo.linear_dynamics(3, actions=actions)),
    ("energy", lambda energy: zoo.planar_posterior(energy, 2)),
]
PATHS: list[tuple[str, Callable[..., object]]] = [
    ("path", lambda path: model().save(path)),
    ("path", lambda path: model().load(path)),
    ("checkpoint", lambda checkpoint: fitted(checkpoint=checkpoint)),
    ("root", lambda root: data.mnist(root)),
    ("root", lambda root: data.chorales(root)),
    ("path", lambda path: data.read_idx(path)),
]


@pytest.mark.parametrize(("name", "call"), [*SWITCHES, *OTHERS])
def test_odd_values_are_refused_in_words(name: str, call: Callable[..., object]) -> None:
    for value in ODD:
        with pytest.raises(SymdgmError):
            call(**{name: value})


@pytest.mark.parametrize(("name", "call"), SWITCHES)
def test_a_switch_is_no_number(name: str, call: Callable[..., object]) -> None:
    with pytest.raises(OptionError, match=rf"`{name}` is 1\nwrite True"):
        call(**{name: 1})


@pytest.mark.parametrize(("name", "call"), PATHS)
def test_what_is_no_path_is_refused(name: str, call: Callable[..., object]) -> None:
    for value in (v for v in ODD if not isinstance(v, str)):
        with pytest.raises(OptionError, match=f"`{name}` is .*\nwrite the path"):
            call(**{name: value})


@pytest.mark.parametrize("name", ["lr", "clip_norm", "clip_value"])
def test_step_sizes_and_limits_are_finite_positive_numbers(name: str) -> None:
    for value in (0, -1, NAN, INF, True, "a", [1], np.float32(NAN)):
        with pytest.raises(OptionError, match=f"`{name}` must be a positive number"):
            model().configure(**{name: value})
    assert model().configure(**{name: np.float32(0.1)})


@pytest.mark.parametrize("value", [NAN, INF, "a", None, True, [1.0]])
def test_a_scalar_is_a_finite_number(value: object) -> None:
    with pytest.raises(OptionError, match="the scalar `beta`"):
        model().scalars["beta"] = value


def test_the_words() -> None:
    with pytest.raises(OptionError, match=r"`ema` is 5\nwrite a dict by name, `ema=.'D_bar': 0\.999"):
        model(ema=5)
    with pytest.raises(OptionError, match="`lr` must be a positive number, not 'a'"):
        fitted(lr="a")
    with pytest.raises(OptionError, match=r"`epochs` is \[.*…\nwrite a whole number, 1 or more"):
        fitted(epochs=list(range(100)))
    with pytest.raises(OptionError, match="unknown option `momentum`\n"):
        model().configure(momentum=0.9)
    with pytest.raises(OptionError, match="`1` is named, but the objective is no game"):
        fitted(lr={1: 0.1})
    with pytest.raises(OptionError, match="`beta` is -1\nwrite a finite number, 0 or more"):
        zoo.vae(4, beta=-1)
    with pytest.raises(OptionError, match="`energy` is 5\nwrite a Callable"):
        zoo.planar_posterior(5, 2)
    with pytest.raises(ShapeError, match=r"failed in `Encoder\(x\)` of Normal q\(z\|x\) with x \[2, 5\]"):
        model().reconstruct(torch.ones(2, 5))


def test_a_player_is_named_by_a_text() -> None:
    for value in (v for v in ODD if not isinstance(v, str)):
        with pytest.raises(OptionError, match="is no game, and has no players"):
            model().player(value)


def test_a_backend_that_torch_does_not_have() -> None:
    compiled = model(compile="inductr")
    compiled.loss(x=X)
    with pytest.raises(OptionError, match=r"names the backend `inductr`(.|\n)*did you mean `inductor`"):
        compiled.loss(x=X)


def test_numpy_numbers_are_numbers() -> None:
    history = fitted(epochs=np.int64(2), batch_size=np.int32(3), seed=np.int64(1), drop_last=np.bool_(False))
    assert len(history.epochs) == 2  # type: ignore[attr-defined]
    assert model(samples=np.int64(3), sharing=np.bool_(True)).loss(x=X).dim() == 0


@pytest.mark.parametrize("number", [np.float64(2), np.float32(2), np.float16(2), np.int64(2), Fraction(2)])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow"])
def test_numbers_on_either_side_of_an_objective(number: Any, name: str) -> None:
    q, p = (
        sd.Normal("q(z)", loc=1.0, scale=2.0, event_shape=1),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=1),
    )
    objective, act = sd.Objective("KL[q || p]", q, p), getattr(operator, name)
    value = objective().double()
    assert sd.Objective(act(objective, number))().item() == pytest.approx(act(value, 2.0).item(), rel=1e-6)
    assert sd.Objective(act(number, objective))().item() == pytest.approx(act(2.0, value).item(), rel=1e-6)
    with pytest.raises(OptionError, match="ndarray is no part of a formula"):
        act(np.ones(2), objective)
