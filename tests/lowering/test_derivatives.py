"""Derivatives by a value: against torch.func and hand-written gradients, in value and in gradient."""

import pytest
import torch
from lowering_cases import gradients, run_text
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError, ShapeError

torch.manual_seed(0)
CRITIC = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
FIELD = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double()
X = torch.randn(5, 3, dtype=torch.float64)


def jacobians() -> Tensor:
    return torch.func.vmap(torch.func.jacrev(FIELD))(X)


def hessians() -> Tensor:
    return torch.func.vmap(torch.func.jacrev(torch.func.jacrev(lambda y: CRITIC(y)[0])))(X)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "||grad_x D(x)||^2",
            lambda: torch.func.vmap(torch.func.grad(lambda y: CRITIC(y)[0]))(X).pow(2).sum(1),
        ),
        ("laplacian_x D(x)", lambda: hessians().diagonal(dim1=1, dim2=2).sum(-1)),
        ("div_x f(x)", lambda: jacobians().diagonal(dim1=1, dim2=2).sum(-1)),
        ("||grad_x f(x)||^2", lambda: jacobians().pow(2).sum((1, 2))),
        ("div_x (grad_x D(x))", lambda: hessians().diagonal(dim1=1, dim2=2).sum(-1)),
    ],
)
def test_a_derivative_is_that_of_torch_func(text: str, expected) -> None:
    names = {k: v for k, v in {"D": CRITIC, "f": FIELD}.items() if f"{k}(" in text}
    objective = sd.Objective(text, sd.Data("data(x)"), **names)
    value, reference = objective.per_example(x=X), expected()
    assert torch.allclose(value, reference, rtol=1e-12)
    owner = CRITIC if "D" in names else FIELD
    for own, other in zip(gradients(value.mean(), owner), gradients(reference.mean(), owner), strict=True):
        assert torch.allclose(own, other, rtol=1e-10, atol=1e-14)


def test_a_gradient_penalty_and_its_code() -> None:
    objective = sd.Objective("E_data(x)[(||grad_x D(x)||_2 - 1)^2]", D=CRITIC)
    x = X.clone().requires_grad_()
    slope = torch.autograd.grad(CRITIC(x).sum(), x, create_graph=True)[0]
    expected = ((slope.norm(dim=-1) - 1) ** 2).mean()
    assert torch.allclose(objective(x=X), expected, rtol=1e-14)
    again = run_text(objective.code, objective.inputs(x=X))[0]
    for own, other in zip(gradients(again, CRITIC), gradients(expected, CRITIC), strict=True):
        assert torch.allclose(own, other, rtol=1e-10)
    assert not X.requires_grad


def test_it_is_computed_where_no_gradient_is_wanted() -> None:
    objective = sd.Objective("||grad_x D(x)||^2", D=CRITIC)
    expected = objective(x=X).detach()
    with torch.no_grad():
        value = objective(x=X)
        assert not value.requires_grad and torch.equal(value, expected)
    with torch.no_grad():
        first = sd.Objective("||grad_x D(x)||^2", D=CRITIC)(x=X)
        assert not first.requires_grad and torch.equal(first, expected)
        assert torch.equal(run_text(objective.code, {"x": X, "D": CRITIC})[0], expected)


def test_what_was_drawn_before_stays_as_it_is() -> None:
    """grad_x of a function of x and of z ~ q(z|x) is partial; that of the expectation is total."""
    q = sd.Normal("q(z|x)", lambda x: (3 * x, torch.ones_like(x)))
    partial = sd.Objective("E_q(z|x)[||grad_x (sum(z + x))||^2]", q)
    total = sd.Objective("||grad_x E_q(z|x)[sum(z + x)]||^2", q)
    assert torch.allclose(partial(x=X), torch.tensor(3.0).double())
    assert torch.allclose(total(x=X), torch.tensor(48.0).double())


def test_the_value_of_what_was_made_is_differentiated_by() -> None:
    """A gradient by y = G(z) reaches G, and is that of the critic at y."""
    generator = nn.Linear(2, 3).double()
    prior = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    objective = sd.Objective(
        "E_p(z)[||grad_z D(G(z))||^2]",
        prior,
        D=CRITIC,
        G=generator,
    )
    torch.manual_seed(3)
    value = objective(n=4)
    torch.manual_seed(3)
    z = torch.randn(4, 2, dtype=torch.float64).requires_grad_()
    slope = torch.autograd.grad(CRITIC(generator(z)).sum(), z, create_graph=True)[0]
    expected = slope.pow(2).sum(-1).mean()
    assert torch.allclose(value, expected)
    for own, other in zip(gradients(value, generator), gradients(expected, generator), strict=True):
        assert torch.allclose(own, other)


def test_several_draws_have_a_gradient_each() -> None:
    q = sd.Normal("q(z|x)", lambda x: (x, torch.ones_like(x)))
    objective = sd.Objective("E_q(z|x)[||grad_x D(z + x)||^2]", q, D=CRITIC, samples=4)
    torch.manual_seed(1)
    value = objective.per_example(x=X)
    torch.manual_seed(1)
    z = X + torch.randn(4, *X.shape, dtype=torch.float64)
    slopes = torch.func.vmap(torch.func.vmap(torch.func.grad(lambda y: CRITIC(y)[0])))(z + X)
    assert torch.allclose(value, slopes.pow(2).sum(-1).mean(0))


def test_what_has_no_derivative_is_refused() -> None:
    with pytest.raises(NameResolutionError, match=r"`D\(x\)` does not depend on `y`, so its derivative"):
        sd.Objective("||grad_y D(x)||^2", sd.Data("data(x, y)"), D=CRITIC)
    with pytest.raises(NotSupportedError, match="a component of a derivative"):
        sd.Objective("\\frac{\\partial D(x)}{\\partial x_i}", sd.Data("data(x)"), D=CRITIC)
    embedding = nn.Embedding(5, 3)
    with pytest.raises(ShapeError, match="`x` has whole values, by which nothing can be differentiated"):
        sd.Objective("||grad_x f(x)||^2", sd.Data("data(x)"), f=embedding)(x=torch.tensor([1, 2]))
    with pytest.raises(ShapeError, match=r"the divergence of an event \[1\] by one of \[3\] has no meaning"):
        sd.Objective("div_x D(x)", sd.Data("data(x)"), D=CRITIC)(x=X)
    with pytest.raises(ShapeError, match=r"the Laplacian of `f\(x\)` is that of an event"):
        sd.Objective("laplacian_x f(x)", sd.Data("data(x)"), f=FIELD)(x=X)
