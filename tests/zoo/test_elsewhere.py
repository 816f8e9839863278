"""A training step of every model of the zoo on a device that is not the host's: nothing is made on the host,
nothing goes there or comes from there, and nothing waits. The device has shapes, but no memory and no values;
an operation on tensors of two devices, or one that reads a value, is an error there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from abilities import needs_gamma_without_data
from test_compiled import CASES, X
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.overrides import TorchFunctionMode

import symdgm as sd
from symdgm import zoo
from symdgm.model import Model
from symdgm.runtime.programs import defined
from symdgm.training import Stepper
from symdgm.training.guard import DeferredGuard
from symdgm.training.syncs import find_syncs

THERE = torch.device("meta")
STEPS = X.view(3, 2, 12)
ACTIONS = torch.linspace(-1, 1, 12).view(3, 2, 2)
ALL: dict[str, tuple[Callable[[], Model], dict[str, Tensor | int]]] = {
    **CASES,
    "deep_markov": (
        lambda: zoo.deep_markov(12, latent=2, hidden=3, transition=3, recurrent=3),
        {"x": STEPS},
    ),
    "action_markov": (lambda: zoo.action_markov(12, 2, latent=2, hidden=3), {"x": STEPS, "a": ACTIONS}),
    "vrnn": (lambda: zoo.vrnn(12, latent=2, hidden=3), {"x": STEPS}),
    "srnn": (lambda: zoo.srnn(12, latent=2, hidden=3), {"x": STEPS}),
    "kalman_vae": (lambda: zoo.kalman_vae(12, code=2, latent=2, hidden=3), {"x": STEPS}),
    "hidden_markov": (lambda: zoo.hidden_markov(12, states=3), {"x": STEPS}),
    "td_vae": (
        lambda: zoo.td_vae(12, latent=2, hidden=3, recurrent=3),
        {"x": STEPS, "t1": torch.tensor([1, 1, 1]), "t2": torch.tensor([2, 2, 2])},
    ),
    "world_model": (
        lambda: zoo.world_model(12, 2, latent=2, hidden=3, width=3),
        {"x": STEPS, "a": ACTIONS, "r": torch.zeros(3, 2, 1), "c": torch.ones(3, 2, 1)},
    ),
    "linear_dynamics": (lambda: zoo.linear_dynamics(2, latent=2), {"x": ACTIONS}),
}


def fused(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam as it is on a GPU after its first step."""
    optimizer = torch.optim.Adam(parameters)
    optimizer.param_groups[0]["fused"] = True
    for p in parameters:
        moments = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        optimizer.state[p] = {"step": torch.zeros((), device=THERE), **moments}
    return optimizer


def moved(key: Hashable) -> Hashable:
    """What a program is kept under, for the other device."""
    if isinstance(key, tuple):
        return tuple(map(moved, key))
    return THERE if key == torch.device("cpu") else key


def elsewhere(build: Callable[[], Model], data: dict[str, Any]) -> Model:
    """A model on the other device, with the programs that the first evaluation on the host wrote."""
    here, there = build(), build()
    here.train_step(**data)
    for module in there.modules():
        if isinstance(module, nn.RNNBase):
            module._flat_weight_refs = []
        for own in (module._parameters, module._buffers):
            for value in own.values():
                if value is not None and value.device != THERE:
                    copy = value.detach().to(THERE)
                    if isinstance(value, nn.Parameter):
                        copy = nn.Parameter(copy, value.requires_grad)
                    torch.utils.swap_tensors(value, copy)
    for one, other in zip(here.sides.values(), there.sides.values(), strict=True):
        runner = other.objective.runner
        for key, program in one.objective.runner.programs.items():
            names = {i: what.partition(":")[2] for i, what in program.inputs if i in program.networks}
            runner.programs[moved(key)] = replace(
                program,
                function=defined(program.text, {"carried": runner.carried}),
                networks={i: runner.frozen.sources[name].call for i, name in names.items()},
            )
    return there


class FromHost(TorchFunctionMode):
    """Notes numbers of the host that become tensors of the device, which waits for them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func in (torch.tensor, torch.as_tensor) and not isinstance(args[0], Tensor)
        if made and torch.device(kwargs.get("device") or "cpu") == THERE:
            self.found.append(f"{func.__name__}({args[0]})")
        return func(*args, **kwargs)


WAITING = {"kalman_vae": ["`_linalg_check_errors`"], "linear_dynamics": ["`_linalg_check_errors`"]}
"""A filter asks whether its covariances could be factorised; such steps are not recorded."""


def check(model: Model, data: dict[str, Any], waits: Sequence[str] = ()) -> None:
    """Makes a step of every player there."""
    batch = {k: v.to(THERE) for k, v in data.items() if isinstance(v, Tensor)}
    batch = batch or {"": torch.empty(6, 0, device=THERE)}
    stepper = Stepper(model, optimizer=fused, clip_norm=1.0)
    stepper._guard = DeferredGuard(model, stepper.players, THERE)
    model.train_mode(True)
    with FakeTensorMode(allow_non_fake_inputs=True), FromHost() as numbers:
        for player in stepper.players:
            evaluation, found = find_syncs(lambda player=player: stepper._made(player, batch))
            assert [f.split(" ")[0] for f in found] == [*waits] and evaluation.loss.device == THERE
            assert all(p.grad is None or p.grad.device == THERE for p in player.parameters)
    assert numbers.found == []


def test_no_model_is_left_out() -> None:
    assert set(ALL) == set(CASES)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ALL)
def test_a_step_stays_on_its_device(name: str) -> None:
    build, data = ALL[name]
    torch.manual_seed(0)
    check(elsewhere(build, data), data, WAITING.get(name, []))


class Returning(nn.Module):
    """A network that returns one parameter of a law; the others are numbers."""

    def __init__(self, inputs: int, name: str, others: dict[str, float]) -> None:
        super().__init__()
        self.body, self.name, self.others = nn.Linear(inputs, 4), name, others

    def forward(self, x: Tensor) -> dict[str, Any]:
        found = self.body(x.float().reshape(len(x), -1))
        value = found if self.name in ("loc", "logits") else nn.functional.softplus(found)
        return {self.name: value, **self.others}


LAWS: dict[str, tuple[str, dict[str, float]]] = {
    "Laplace": ("loc", {"scale": 1.0}),
    "Cauchy": ("loc", {"scale": 1.0}),
    "StudentT": ("loc", {"df": 3.0, "scale": 1.0}),
    "Logistic": ("loc", {"scale": 1.0}),
    "LogNormal": ("loc", {"scale": 1.0}),
    "Exponential": ("rate", {}),
    "Uniform": ("high", {"low": 0.0}),
    "ContinuousBernoulli": ("logits", {}),
    "RelaxedBernoulli": ("logits", {"temperature": 0.5}),
    "RelaxedOneHotCategorical": ("logits", {"temperature": 0.5}),
    "Poisson": ("rate", {}),
    "Geometric": ("logits", {}),
    "NegativeBinomial": ("logits", {"total_count": 3.0}),
    "Bernoulli": ("logits", {}),
    "Categorical": ("logits", {}),
    "OneHotCategorical": ("logits", {}),
}
DISCRETE = {"Poisson", "Geometric", "NegativeBinomial", "Bernoulli", "Categorical", "OneHotCategorical"}


@pytest.mark.parametrize("law", LAWS)
def test_draws_and_densities_stay_on_their_device(law: str) -> None:
    """Numbers beside tensors, and torch's own distributions within others, would come from the host."""
    needs_gamma_without_data(law)

    def build() -> Model:
        torch.manual_seed(0)
        q = getattr(sd, law)("q(z|x)", Returning(4, *LAWS[law]))
        p = sd.Laplace("p(x|z)", Returning(1 if law == "Categorical" else 4, "loc", {"scale": 1.0}))
        estimators = {"estimators": {"z": "score function"}} if law in DISCRETE else {}
        text = "maximize E_q(z|x)[log p(x|z) - log q(z|x)]"
        return sd.Model(text, q, p, validate=False, **estimators)

    data = {"x": torch.rand(6, 4)}
    check(elsewhere(build, data), data)
