"""Networks that a function reaches are trained; rows of the only variable need no name."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import DataError

GLOBAL = nn.Linear(4, 2)


def of_a_global(x: Tensor) -> Tensor:
    return GLOBAL(x)


def through_another(x: Tensor) -> Tensor:
    return of_a_global(x).tanh()


def applied(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return network(x)


class Holder(nn.Module):
    """Builds its distribution from its own child, and holds it."""

    def __init__(self, *, method: bool) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 2)
        network = (lambda x: self.encode(x)) if method else (lambda x: self.encoder(x))
        self.q = sd.Normal("q(z|x)", network, scale=1.0)

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)


def functions(layer: nn.Linear) -> dict[str, Callable[[Tensor], Tensor]]:
    held, named = [layer], {"a": layer}
    return {
        "closure": lambda x: layer(x),
        "attribute": lambda x: layer.forward(x),
        "default": lambda x, e=layer: e(x),
        "list": lambda x: held[0](x),
        "dict": lambda x: named["a"](x),
        "nested": lambda x: (lambda y: layer(y))(x),
        "partial": functools.partial(applied, layer),
        "partial keyword": functools.partial(lambda x, e: e(x), e=layer),
        "method": layer.forward,
    }


@pytest.mark.parametrize("kind", functions(nn.Linear(1, 1)))
def test_the_network_within_a_function_is_trained(kind: str) -> None:
    layer = nn.Linear(4, 2)
    q = sd.Normal("q(z|x)", functions(layer)[kind], scale=1.0)
    assert {id(p) for p in q.parameters()} == {id(p) for p in layer.parameters()}
    objective = sd.Objective("KL[q||p]", q, sd.Normal("p(z)", loc=0.0, scale=1.0))
    objective(x=torch.rand(3, 4)).backward()
    assert all(p.grad is not None for p in objective.parameters())
    assert q.double().sources[0].call is not None and layer.weight.dtype == torch.float64


@pytest.mark.parametrize("function", [of_a_global, through_another])
def test_a_global_network_is_trained(function: Callable[[Tensor], Tensor]) -> None:
    q = sd.Normal("q(z|x)", function, scale=1.0)
    assert {id(p) for p in q.parameters()} == {id(p) for p in GLOBAL.parameters()}


def test_a_function_without_networks_has_no_weights() -> None:
    assert not list(sd.Normal("q(z|x)", lambda x: torch.nn.functional.softplus(x), scale=1.0).parameters())


@pytest.mark.parametrize("method", [False, True])
def test_a_module_may_hold_a_distribution_of_its_own_child(method: bool) -> None:
    holder = Holder(method=method)
    assert len(list(holder.parameters())) == len(list(holder.q.parameters())) == 2
    assert holder.double().eval().encoder.weight.dtype == torch.float64


def test_a_function_of_the_formula_is_trained_and_saved() -> None:
    layer = nn.Linear(4, 1)
    model = sd.Model("minimize E_data(x)[f(x)]", sd.Data("data(x)"), f=lambda x: layer(x).square().sum(-1))
    assert {id(p) for p in model.parameters()} == {id(p) for p in layer.parameters()}
    assert [name for name in model.state_dict() if name.endswith("weight")] == [
        "networks.f_uses_layer.weight"
    ]


def test_rows_of_the_only_variable_need_no_name() -> None:
    rows = torch.rand(7, 4)
    assert torch.equal(sd.Data("data(x)", rows).rows["x"], rows)


def test_rows_of_several_variables_need_names() -> None:
    with pytest.raises(DataError, match="got a Tensor in place of rows by variable"):
        sd.Data("data(x,y)", torch.rand(7, 4))
