"""Every model of the zoo compiles, of sequences what lies between loops; steps are those of plain PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from abilities import needs_compiled_expansion
from torch import Tensor
from torch._dynamo.utils import counters
from torch.nn.functional import one_hot

from symdgm import zoo
from symdgm.model import Model

X = (torch.arange(72).view(6, 12) % 5 < 2).float()
LABELS = torch.arange(6) % 3
Y = one_hot(LABELS, 3).float()
IMAGES = (torch.arange(384.0).view(6, 1, 8, 8) % 17).contiguous()
POINTS = torch.linspace(-1, 1, 12).view(6, 2)
SMALL = {"latent": 3, "hidden": 7}
T = torch.tensor([4, 1, 3, 4])
BITS, REALS = (torch.arange(96).view(4, 4, 6) % 5 < 2).float(), torch.linspace(-1, 1, 48).view(4, 4, 3)
SEQUENCES = {"x": BITS, "T": T}
ACTIONS = {"x": REALS, "a": REALS[..., :2].flip(0), "T": T}
REWARDS = {"r": REALS[..., :1].sin(), "c": BITS[..., :1]}
JUMPS = {"t1": torch.tensor([1, 1, 2, 1]), "t2": torch.tensor([3, 1, 3, 4])}
STEPWISE = {**SMALL, "recurrent": 5}

CASES: dict[str, tuple[Callable[[], Model], dict[str, Tensor | int]]] = {
    "vae": (lambda: zoo.vae(12, **SMALL), {"x": X}),
    "conditional_vae": (lambda: zoo.conditional_vae(12, 3, **SMALL), {"x": X, "y": Y}),
    "hierarchical": (lambda: zoo.hierarchical(12, latents=(3, 2), hidden=7), {"x": X}),
    "jmvae": (lambda: zoo.jmvae(12, 3, **SMALL), {"x": X, "y": Y}),
    "jmvae_poe": (lambda: zoo.jmvae_poe(12, 3, **SMALL), {"x": X, "y": Y}),
    "mvae": (lambda: zoo.mvae(12, 3, **SMALL), {"x": X, "y": Y}),
    "gaussian_mixture": (lambda: zoo.gaussian_mixture(POINTS[:3], torch.ones(3, 2)), {"x": POINTS}),
    "real_nvp": (lambda: zoo.real_nvp(2, couplings=2, hidden=5), {"x": POINTS}),
    "image_real_nvp": (lambda: zoo.image_real_nvp(8, levels=17, hidden=4), {"x": IMAGES}),
    "glow": (lambda: zoo.glow(8, levels=17, depth=1, hidden=4), {"x": IMAGES}),
    "planar_posterior": (lambda: zoo.planar_posterior(lambda z: (z**2).sum(-1), 2, length=2), {"n": 6}),
    "classifier": (lambda: zoo.classifier(12, 3, hidden=7), {"x": X, "y": LABELS}),
    "beta_vae": (lambda: zoo.beta_vae(12, **SMALL), {"x": X}),
    "beta_tcvae": (lambda: zoo.beta_tcvae(12, **SMALL), {"x": X}),
    "factor_vae": (lambda: zoo.factor_vae(12, **SMALL), {"x": X}),
    "info_vae": (lambda: zoo.info_vae(12, **SMALL), {"x": X}),
    "wae": (lambda: zoo.wae(12, **SMALL), {"x": X}),
    "adversarial_autoencoder": (lambda: zoo.adversarial_autoencoder(12, **SMALL), {"x": X}),
    "iwae": (lambda: zoo.iwae(12, **SMALL), {"x": X}),
    "discrete_vae": (lambda: zoo.discrete_vae(12, **SMALL), {"x": X}),
    "m2": (lambda: zoo.m2(12, 3, **SMALL), {"x": X, "y": Y, "x_u": X.flip(0)}),
    "vib": (lambda: zoo.vib(12, 3, **SMALL), {"x": X, "y": LABELS}),
    "vq_vae": (lambda: zoo.vq_vae(12, parts=2, entries=4, size=3, hidden=7), {"x": X}),
    "wake_sleep": (lambda: zoo.wake_sleep(12, **SMALL), {"x": X}),
    "reweighted_wake_sleep": (lambda: zoo.reweighted_wake_sleep(12, **SMALL), {"x": X}),
    "gan": (lambda: zoo.gan(12, **SMALL), {"x": X}),
    "lsgan": (lambda: zoo.lsgan(12, **SMALL), {"x": X}),
    "deep_markov": (lambda: zoo.deep_markov(6, transition=4, **STEPWISE), SEQUENCES),
    "srnn": (lambda: zoo.srnn(6, **STEPWISE), SEQUENCES),
    "vrnn": (lambda: zoo.vrnn(6, **STEPWISE), SEQUENCES),
    "td_vae": (lambda: zoo.td_vae(6, **STEPWISE), {**SEQUENCES, **JUMPS}),
    "hidden_markov": (lambda: zoo.hidden_markov(6, states=3), SEQUENCES),
    "kalman_vae": (lambda: zoo.kalman_vae(6, code=2, **SMALL), SEQUENCES),
    "linear_dynamics": (lambda: zoo.linear_dynamics(3, actions=2), ACTIONS),
    "action_markov": (lambda: zoo.action_markov(3, 2, **SMALL), ACTIONS),
    "world_model": (lambda: zoo.world_model(3, 2, width=4, **SMALL), {**ACTIONS, **REWARDS}),
    "wgan_gp": (lambda: zoo.wgan_gp(12, **SMALL), {"x": X}),
}
GRAPHS = {"kalman_vae": 2}
"""Where there are more than one for each player: one before the filter, and one behind it."""
EXPANDED = {"reweighted_wake_sleep", "wgan_gp"}
"""Those that draw from a law that is expanded."""
HELPERS = {
    "Beside",
    "Codebook",
    "Combiner",
    "GatedCell",
    "GatedTransition",
    "GaussianNetwork",
    "Jump",
    "critic",
    "expectation_maximisation",
    "network",
}


def test_no_model_is_left_out() -> None:
    assert set(CASES) == set(zoo.__all__) - HELPERS


def steps(build: Callable[[], Model], data: dict[str, Tensor | int], backend: str | None) -> list[object]:
    torch.manual_seed(0)
    model = build()
    for player in model.sides.values():
        player.objective.runner.backend = backend
    torch.manual_seed(1)
    losses: list[object] = []
    for size in (6, 6, 4):  # the last batch of an epoch may be smaller
        moves = model.train_step(**{k: size if isinstance(v, int) else v[:size] for k, v in data.items()})
        losses += [m.loss.item() for m in (moves.values() if isinstance(moves, dict) else [moves])]
    return [*losses, *(p.detach() for p in model.parameters())]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .grad attribute:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_steps_are_the_same(name: str) -> None:
    if name in EXPANDED:
        needs_compiled_expansion()
    build, data = CASES[name]
    torch._dynamo.reset()
    counters.clear()
    found, plain = steps(build, data, "aot_eager"), steps(build, data, None)
    graphs = GRAPHS.get(name, len(build().sides))
    assert counters["stats"]["unique_graphs"] == graphs and not counters["graph_break"]
    for a, b in zip(found, plain, strict=True):
        torch.testing.assert_close(a, b)
