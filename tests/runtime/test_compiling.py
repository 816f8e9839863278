"""`compile=True`: one graph, the same numbers, nothing compiled anew, and a word where it cannot be."""

from __future__ import annotations

import shutil
import warnings

import pytest
import torch
from shared_networks import Encoder
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.utils.flop_counter import FlopCounterMode

import symdgm as sd
from symdgm.errors import NonFiniteError, OptionError, ShapeError, SymdgmWarning
from symdgm.runtime.compiling import Compiled

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
X = (torch.arange(48).view(8, 6) % 5 < 2).float()


def vae(**options: object) -> sd.Model:
    torch.manual_seed(0)
    q, p = sd.Normal("q(z|x)", Encoder()), sd.Bernoulli("p(x|z)", nn.Linear(2, 6))
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    return sd.Model(
        "maximize E_q(z|x)[log p(x|z)] - beta KL[q||p]", q, p, prior, beta=lambda step: step / 10, **options
    )


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch._dynamo.reset()
    counters.clear()


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


def test_nothing_is_compiled_anew_for_a_scalar_a_last_batch_or_an_epoch() -> None:
    model = vae(compile="aot_eager")
    history = model.fit(
        torch.cat([X, X])[:13], epochs=4, batch_size=4, seed=0, progress=False, drop_last=True
    )
    assert graphs() == 1 and history.last.step == 12
    for size in (8, 5, 3, 2):
        model.train_step(x=X[:size])
    model.scalars["beta"] = 3.0
    model.train_step(x=X)
    assert graphs() == 1 and not counters["graph_break"]


def test_a_fit_is_that_of_plain_pytorch() -> None:
    found, plain = vae(compile="aot_eager"), vae()
    for model in (found, plain):
        model.fit(X, epochs=3, batch_size=3, seed=0, progress=False, validation=X)
    for a, b in zip(found.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_a_compiler_gives_the_same_numbers() -> None:
    found = []
    for model in (vae(compile=True), vae()):
        torch.manual_seed(1)
        found.append([model.train_step(x=X).loss.detach() for _ in range(3)])
    torch.testing.assert_close(*found)
    assert graphs() == 1


class Branching(nn.Module):
    """A network whose way depends on its values, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 6)

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z) if bool(z.sum() > 0) else self.body(-z)


def test_what_cannot_be_compiled_runs_as_it_is_and_says_so_once() -> None:
    p, prior = sd.Bernoulli("p(x|z)", Branching()), sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    objective = sd.Objective("E_p(z)[log p(x|z)]", p, prior, compile="aot_eager")
    plain = sd.Objective("E_p(z)[log p(x|z)]", p, prior)
    torch.manual_seed(0)
    expected = [plain(X) for _ in range(3)]
    torch.manual_seed(0)
    found = [objective(X)]
    with pytest.warns(SymdgmWarning, match="`compile` has no effect here, and plain PyTorch runs instead"):
        found.append(objective(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.append(objective(X))
    torch.testing.assert_close(found, expected)


def test_without_a_compiler_it_says_so() -> None:
    def failing(graph: object, inputs: object) -> object:
        raise RuntimeError("No working C++ compiler found in torch._inductor.config.cpp.cxx")

    function = Compiled("def objective(x):\n    'Sum.'\n    return x.sum(), {}", failing, {"x": (0,)})
    with pytest.warns(SymdgmWarning, match="there is no working C\\+\\+ compiler"):
        assert function(x=torch.ones(3))[0] == 3


def test_a_mode_that_counts_operations_sees_them() -> None:
    model = vae(compile="aot_eager")
    for _ in range(2):
        model.train_step(x=X)
    with FlopCounterMode(display=False) as counter:
        model.train_step(x=X)
    model.train_step(x=X)
    assert counter.get_total_flops() > 0 and graphs() == 1


def test_terms_are_differentiable_by_themselves_where_they_are_asked_for() -> None:
    found = []
    for model in (vae(compile="aot_eager"), vae()):
        torch.manual_seed(1)
        model.train_step(x=X)
        evaluation = model.train_step(x=X)
        terms = model.terms(x=X)
        for term in terms.values():
            term.backward(retain_graph=True)
        found.append([*evaluation.terms.values(), *terms.values(), *(p.grad for p in model.parameters())])
    torch.testing.assert_close(*found)
    assert graphs() == 1


def test_a_bad_gradient_names_its_term() -> None:
    shift = nn.Parameter(torch.tensor(1.0))
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    model = sd.Model("minimize E_p(z)[||z||^2] + sqrt(a)", prior, a=shift, compile="aot_eager")
    for _ in range(3):
        model.train_step(n=4)
    shift.data.zero_()
    with pytest.raises(NonFiniteError, match="its gradient is not through the term"):
        model.train_step(n=4)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")
def test_a_bad_gradient_names_its_term_in_graphs_between_loops() -> None:
    shift = nn.Parameter(torch.tensor(1.0))
    parts = (
        sd.Normal("p(x_t|h_t)", nn.Linear(2, 2), scale=1.0),
        sd.Deterministic("p(h_t|x_{t-1},h_{t-1})", nn.GRUCell(2, 2)),
    )
    equation = "minimize -sum_{t=1}^T log p(x_t|h_t) + sqrt(a)"
    model, x = sd.Model(equation, *parts, a=shift, compile="aot_eager"), torch.ones(4, 5, 2)
    for _ in range(3):
        model.train_step(x=x)
    for term in model.terms(x=x).values():
        term.backward(retain_graph=True)  # each by itself
    shift.data.zero_()
    with pytest.raises(NonFiniteError, match=r"its gradient is not through the term sqrt\(a\): `scalar_a`"):
        model.train_step(x=x)


def test_each_graph_is_for_batches_of_any_size() -> None:
    model = vae(compile="aot_eager")
    for _ in range(2):
        model.train_step(x=X)  # of gradients, for batches of any size
    model.eval()
    with torch.no_grad():
        for size in (8, 5, 3):
            model.loss(x=X[:size])  # of the value alone
    model.train_step(x=X[:3])
    assert graphs() == 2


def test_within_a_function_that_is_compiled_it_is_part_of_that() -> None:
    p, prior = sd.Bernoulli("p(x|z)", nn.Linear(2, 6)), sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    objective = sd.Objective("E_p(z)[log p(x|z)]", p, prior, compile="aot_eager")
    for _ in range(2):
        objective(X)
    whole = torch.compile(lambda x: 2 * objective.evaluate({"x": x})[0], backend="aot_eager")
    found = []
    for function in (whole, lambda x: 2 * objective.evaluate({"x": x})[0]):
        torch.manual_seed(0)
        found.append(function(X))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("stance", ["force_eager", "eager_on_recompile"])
def test_where_torch_is_told_to_compile_nothing_it_runs_as_it_is(stance: str) -> None:
    model, plain = vae(compile="aot_eager"), vae()
    found = []
    for one in (model, plain):
        torch.manual_seed(0)
        with torch.compiler.set_stance(stance):
            found.append([one.loss(x=X) for _ in range(3)])
    torch.testing.assert_close(*found)
    assert graphs() == 0


def test_an_error_is_that_of_plain_pytorch() -> None:
    model = vae(compile="aot_eager")
    model.train_step(x=X)
    with pytest.raises(ShapeError, match="the network failed"):
        model.train_step(x=X[:, :4])


def test_the_callers_tensors_are_not_marked() -> None:
    double = torch.compile(lambda x: 2 * x, backend="aot_eager")
    model, data = vae(compile="aot_eager"), X.clone()
    double(data)
    for _ in range(2):
        model.train_step(x=data)
    assert not vars(data).keys() & {"_dynamo_dynamic_indices", "_dynamo_weak_dynamic_indices"}
    model.train_step(x=data)
    double(data)
    assert graphs() == 2


def test_an_unknown_value_is_refused() -> None:
    with pytest.raises(OptionError, match="`compile` is 3"):
        vae(compile=3)
