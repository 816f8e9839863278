"""Gradients inside of an objective, in a form that a compiler can look into."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import pytest
import torch
from abilities import needs_compiled_expansion
from torch import Tensor, nn
from torch._dynamo.utils import counters

import symdgm as sd
from symdgm.errors import SymdgmWarning
from symdgm.runtime.tracing import traceable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
X = torch.linspace(-1, 1, 24).view(6, 4)
PENALTY = """
    where y = eps x + (1 - eps) G(z)
    p(z) = Normal(z; 0, 1)
    loss_d: maximize E_data(x)[D(x)] - E_p(z)[D(G(z))]
        - lambda E_data(x) E_p(z) E_{eps ~ U(0, 1)}[(||grad_y D(y)||_2 - 1)^2] over D
    loss_g: maximize E_p(z)[D(G(z))] over G
"""


class Critic(nn.Module):
    """One smooth number for each example."""

    def __init__(self, *middle: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 5), *middle, nn.Tanh(), nn.Linear(5, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).squeeze(-1)


def losses(
    text: str, backend: str | None, sizes: Sequence[int] = (6, 6, 4, 5), **names: object
) -> list[Tensor]:
    """The losses and the weights of some steps, in which batches become smaller."""
    torch.manual_seed(0)
    networks = {name: make() if callable(make) else make for name, make in names.items()}
    model = sd.Model(text, compile=backend or False, **networks)
    torch.manual_seed(1)
    found = []
    for size in sizes:
        data = {name: X[:size] + i for i, name in enumerate(model.variables)}
        moves = model.train_step(data) if data else model.train_step(n=size)
        found += [m.loss.detach() for m in (moves.values() if isinstance(moves, dict) else [moves])]
    return [*found, *(p.detach() for p in model.parameters())]


def agree(text: str, graphs: int | None = 1, **names: object) -> None:
    """Compiled steps are those of plain PyTorch, from so many graphs."""
    torch._dynamo.reset()
    counters.clear()
    for a, b in zip(losses(text, "aot_eager", **names), losses(text, None, **names), strict=True):
        torch.testing.assert_close(a, b)
    assert graphs is None or counters["stats"]["unique_graphs"] == graphs
    assert not counters["graph_break"]


@pytest.mark.parametrize(
    "body",
    [
        "softplus(-D(x)) + 5 ||grad_x D(x)||^2",
        "||grad_x (D(x)^2)||^2 + D(x)",
        "||grad_x D(x)||^2 + ||grad_x (D(x)^2)||^2 + ||grad_x D(x + 1)||^2",
        "||grad_x (||grad_x D(x)||^2)||^2",
    ],
    ids=["with the value", "of a function of it", "several by one point", "one of another"],
)
def test_gradients_are_part_of_one_graph(body: str) -> None:
    agree(f"minimize E_data(x)[{body}]", D=Critic)


def test_gradients_by_two_variables_of_one_function() -> None:
    agree("minimize E_data(x,y)[||grad_x D(x y)||^2 + ||grad_y D(x y)||^2]", D=Critic)


def test_a_penalty_of_a_critic_is_part_of_its_graph() -> None:
    needs_compiled_expansion()
    agree(PENALTY, 2, z=2, G=lambda: nn.Linear(2, 4), D=Critic, **{"lambda": 1.0})


@pytest.mark.parametrize("law", ["Normal(z; 0, 1)", "Uniform(z; 0, 1)", "Logistic(z; 0, 1)"])
def test_nothing_is_compiled_anew_for_a_number_of_draws(law: str) -> None:
    if "Uniform" in law:
        needs_compiled_expansion()
    agree(f"p(z) = {law}\n minimize E_p(z)[sum(G(z)^2)]", z=2, G=lambda: nn.Linear(2, 4))


@pytest.mark.parametrize(
    ("body", "middle", "reason"),
    [
        (
            "laplacian_x D(x) + ||grad_x D(x)||^2",
            nn.Identity,
            "a Jacobian or a Laplacian, which has no graph",
        ),
        ("||grad_x D(x)||^2", lambda: nn.BatchNorm1d(5), "(add_|Observed exception)"),
    ],
    ids=["a Laplacian", "a network that changes itself"],
)
def test_what_has_no_graph_runs_as_it_is(body: str, middle: Callable[[], nn.Module], reason: str) -> None:
    text = f"minimize E_data(x)[{body}]"
    with pytest.warns(SymdgmWarning, match=rf"plain PyTorch runs instead for `E_data\(x\).*`: .*{reason}"):
        agree(text, None, D=lambda: Critic(middle()))


def test_a_function_without_gradients_has_the_same_statements() -> None:
    model = sd.Model("minimize E_data(x)[D(x)^2]", D=Critic())
    model.loss(x=X)
    found: dict[str, object] = {}
    exec(traceable(model.code), found)
    function = torch.compile(found["objective"], backend="eager")  # type: ignore[call-overload]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(x=X, D=model.networks.D)[0] == model.loss(x=X)


def test_the_logarithm_of_a_size_keeps_its_digits_and_needs_one_graph() -> None:
    torch._dynamo.reset()
    counters.clear()
    source = (
        "import math\ndef objective(x):\n    'Of a size.'\n    return x - math.log(x.shape[0]) - math.log(5)"
    )
    found: dict[str, object] = {}
    exec(traceable(source), found)
    function = torch.compile(found["objective"], backend="aot_eager", dynamic=True)  # type: ignore[call-overload]
    for size in (2, 3, 7, 1000):
        x = torch.zeros(size, dtype=torch.float64)
        torch.testing.assert_close(function(x), x - math.log(5 * size), rtol=1e-14, atol=0)
    assert counters["stats"]["unique_graphs"] == 1
