"""Networks of sequences that change after an evaluation: hooks, parametrisations, modes, other weights."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrizations, parametrize

import symdgm as sd
from symdgm.errors import OptionError, ParameterError

STEPS, SIZE, HIDDEN = 5, 3, 4
BLOCKS = {
    True: "h_{1:T} = f(x_{1:T})\nminimize sum_{t=1}^T ||g(h_t)||^2",
    False: "h_t = f(x_t, h_{t-1})\nminimize sum_{t=1}^T ||g(h_t)||^2",
}


class Cell(nn.Module):
    """A cell of parts, one of which may drop units."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.before = nn.Linear(SIZE, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.drop(self.read(x) + self.before(h)))


class Twice(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def is_whole(net: nn.Module) -> bool:
    return isinstance(net, nn.RNNBase)


def by_hand(net: nn.Module, out: nn.Module, x: Tensor) -> Tensor:
    """The loss by a loop, or by a call of a recurrent module."""
    if is_whole(net):
        return out(net(x.transpose(0, 1))[0]).square().sum((0, 2)).mean()
    h, total = x.new_zeros(len(x), HIDDEN), x.new_zeros(())
    for t in range(STEPS):
        h = net(x[:, t], h)
        total = total + out(h).square().sum(-1)
    return total.mean()


def parts(kind: Callable[..., nn.Module]) -> tuple[sd.Model, nn.Module, nn.Module]:
    torch.manual_seed(0)
    net, out = (Cell() if kind is Cell else kind(SIZE, HIDDEN)).double().eval(), nn.Linear(HIDDEN, 2).double()
    return sd.Model(BLOCKS[is_whole(net)], f=net, g=out, h=HIDDEN), net, out


def data() -> Tensor:
    return torch.randn(3, STEPS, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def gradients(value: Tensor, modules: Sequence[nn.Module]) -> list[Tensor]:
    wanted = [p for m in modules for p in m.parameters() if p.requires_grad]
    found = torch.autograd.grad(value, wanted, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(wanted, found, strict=True)]


def agree(model: sd.Model, net: nn.Module, out: nn.Module) -> None:
    x = data()
    for seed in range(2):
        torch.manual_seed(seed)
        value = model.loss(x=x)
        torch.manual_seed(seed)
        wanted = by_hand(net, out, x)
        torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(
            gradients(value, [net, out]), gradients(wanted, [net, out]), rtol=1e-9, atol=1e-11
        )


def doubled(value: Any) -> Any:
    return tuple(doubled(v) for v in value) if isinstance(value, tuple) else 2 * value


def named_weight(net: nn.Module) -> tuple[nn.Module, str]:
    owner = net.read if isinstance(net, Cell) else net
    return owner, next(n for n, _ in owner.named_parameters(recurse=False) if n.startswith("weight"))


def hooked(net: nn.Module) -> None:
    net.register_forward_hook(lambda module, given, result: doubled(result))


def hooked_within(net: nn.Module) -> None:
    named_weight(net)[0].register_forward_hook(lambda module, given, result: doubled(result))


def hooked_before(net: nn.Module) -> None:
    net.register_forward_pre_hook(lambda module, given: (2 * given[0], *given[1:]))


def hooked_backward(net: nn.Module) -> None:
    net.register_full_backward_hook(
        lambda module, inner, outer: tuple(None if g is None else 2 * g for g in inner)
    )


def parametrised(net: nn.Module) -> None:
    parametrize.register_parametrization(*named_weight(net), Twice())


def spectral(net: nn.Module) -> None:
    parametrizations.spectral_norm(*named_weight(net))
    net.eval()


def normed(net: nn.Module) -> None:
    parametrizations.weight_norm(*named_weight(net))


def frozen(net: nn.Module) -> None:
    net.requires_grad_(False)


def other_weight(net: nn.Module) -> None:
    owner, name = named_weight(net)
    setattr(owner, name, nn.Parameter(3 * getattr(owner, name).detach()))


def assigned(net: nn.Module) -> None:
    net.load_state_dict({n: 2 * v for n, v in net.state_dict().items()}, assign=True)


def other_forward(net: Any) -> None:
    usual = net.forward
    net.forward = lambda *given: doubled(usual(*given))


CHANGES = (
    hooked, hooked_within, hooked_before, parametrised, spectral, normed, frozen, other_weight,
    assigned, other_forward,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", [Cell, nn.GRUCell, nn.RNN, nn.GRU, nn.LSTM])
def test_a_change_after_an_evaluation_is_seen(
    kind: Callable[..., nn.Module], change: Callable[[nn.Module], None]
) -> None:
    model, net, out = parts(kind)
    agree(model, net, out)
    before = model.loss(x=data())
    change(net)
    agree(model, net, out)
    assert change in (frozen, normed) or not torch.isclose(model.loss(x=data()), before)


@pytest.mark.parametrize("kind", [Cell, nn.GRUCell])
def test_a_backward_hook_after_an_evaluation_is_called(kind: Callable[..., nn.Module]) -> None:
    model, net, out = parts(kind)
    agree(model, net, out)
    hooked_backward(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first step has no input with a gradient
        agree(model, net, out)


def test_hooks_that_are_taken_away_again() -> None:
    model, net, out = parts(nn.GRU)
    agree(model, net, out)
    handle = net.register_forward_hook(lambda module, given, result: doubled(result))
    agree(model, net, out)
    assert "carried(" not in model.code
    handle.remove()
    agree(model, net, out)
    assert "carried(" in model.code


def test_another_part_of_a_network() -> None:
    model, net, out = parts(Cell)
    agree(model, net, out)
    net.read = nn.Linear(SIZE, HIDDEN).double()
    agree(model, net, out)


def test_training_and_evaluation_in_turns() -> None:
    model, net, out = parts(Cell)
    for turn in range(6):
        model.train(turn % 2 == 0)
        agree(model, net, out)


def test_hooks_of_what_a_function_calls() -> None:
    cell, x = nn.GRUCell(SIZE, HIDDEN).double(), data()
    calls: list[int] = []
    out = nn.Linear(HIDDEN, 2).double()
    model = sd.Model(BLOCKS[False], f=lambda x, h: cell(x, h), g=out, h=HIDDEN)
    model.loss(x=x).backward()
    model.loss(x=x).backward()
    cell.register_forward_hook(lambda *given: calls.append(1))
    model.loss(x=x).backward()
    assert sum(calls) == STEPS


@pytest.mark.parametrize(("kind", "times"), [(nn.GRUCell, STEPS), (nn.GRU, 1)])
def test_hooks_of_all_modules(kind: Callable[..., nn.Module], times: int) -> None:
    model, net, _ = parts(kind)
    model.loss(x=data())
    model.loss(x=data())
    calls: list[nn.Module] = []
    handle = register_module_forward_hook(lambda module, given, result: calls.append(module))
    try:
        model.loss(x=data())
    finally:
        handle.remove()
    assert sum(module is net for module in calls) == times


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.GRU])
def test_another_dtype(kind: Callable[..., nn.Module]) -> None:
    model, net, out = parts(kind)
    agree(model, net, out)
    model.float()
    x = data().float()
    torch.testing.assert_close(model.loss(x=x), by_hand(net, out, x))
    model.double()
    agree(model, net, out)


def test_a_network_that_is_bound_is_not_replaced() -> None:
    model, _, _ = parts(nn.GRUCell)
    with pytest.raises(OptionError, match="formulas call the network that `g` was given at first"):
        model.networks.g = nn.Linear(HIDDEN, 2)
    q = sd.Normal("q(z|x)", nn.Linear(2, 2), scale=1.0)
    with pytest.raises(OptionError, match=r"formulas call the network that `.*` was given at first"):
        setattr(q, next(iter(dict(q.named_children()))), nn.Linear(2, 2))


def test_parameters_of_the_formula_itself_are_not_assigned() -> None:
    beta, begin = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.zeros(HIDDEN))
    text = BLOCKS[False].replace("minimize", "h_0 = b\nminimize beta")
    model = sd.Model(text, f=nn.GRUCell(SIZE, HIDDEN), g=nn.Linear(HIDDEN, 2), h=HIDDEN, beta=beta, b=begin)
    state = {name: 3 * value for name, value in model.state_dict().items()}
    with pytest.raises(OptionError, match="would replace `scalar_beta`, `initial_h`"):
        model.load_state_dict(state, assign=True)
    model.load_state_dict(state)
    assert beta.item() == 6.0


def test_an_optimiser_of_weights_that_are_not_there_any_more() -> None:
    model, _, _ = parts(nn.GRUCell)
    model.train_step(x=data())
    model.load_state_dict(model.state_dict(), assign=True)
    with pytest.raises(ParameterError, match="none of the weights that the optimiser moves"):
        model.train_step(x=data())
    model.configure()
    before = model.networks.g.weight.clone()
    model.train_step(x=data())
    assert not torch.equal(model.networks.g.weight, before)
