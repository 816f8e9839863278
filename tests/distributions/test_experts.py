"""Products of normal experts, against grids and against products of two Gaussians by hand."""
# ruff: noqa: E501 -- a row of the table of refusals is one line

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.distributions as td
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import DataError, NameResolutionError, OptionError, ParameterError, ShapeError

torch.manual_seed(0)
D = torch.float64


class Encoder(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.net = nn.Linear(inside, 2 * outside, dtype=D)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        loc, raw = self.net(x).chunk(2, -1)
        return loc, nn.functional.softplus(raw) + 0.2


QX, QY = sd.Normal("q(z|x)", Encoder(3, 1)), sd.Normal("q(z|y)", Encoder(2, 1))
PRIOR = sd.Normal("p(z)", loc=0.5, scale=1.5, event_shape=1)
X, Y = torch.randn(4, 3, dtype=D), torch.randn(4, 2, dtype=D)
GRID = torch.linspace(-20, 20, 8001, dtype=D)


def by_grid(terms: list[tuple[sd.Distribution, dict[str, Tensor], float | Tensor]]) -> Tensor:
    """The log of the normalised product on a grid, ``[grid, batch]``."""
    z = GRID.reshape(-1, 1, 1).expand(-1, 4, 1)
    logs = [w * p.log_prob({"z": z, **given}) for p, given, w in terms]
    total = torch.stack([log.expand(len(GRID), 4) for log in logs]).sum(0)
    return total - (total.logsumexp(0) + (GRID[1] - GRID[0]).log())


@pytest.mark.parametrize("weights", [None, [0.3, 2.0]], ids=["plain", "weighted"])
@pytest.mark.parametrize("prior", [None, PRIOR], ids=["no prior", "prior"])
def test_the_density_is_that_of_the_normalised_product(
    weights: list[float] | None, prior: sd.Normal | None
) -> None:
    """Pixyz had no density of a product at all."""
    q = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=prior, weights=weights)
    w = weights or [1.0, 1.0]
    terms = [(QX, {"x": X}, w[0]), (QY, {"y": Y}, w[1]), *([(PRIOR, {}, 1.0)] if prior else [])]
    z = GRID.reshape(-1, 1, 1).expand(-1, 4, 1)
    found = q.log_prob({"z": z, "x": X, "y": Y})
    expected = by_grid(terms)
    inside = expected > -40
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-4, atol=1e-4)


def test_missing_modalities() -> None:
    q = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR)
    only_x = q.only("x")
    assert (str(only_x), isinstance(only_x, sd.Normal)) == ("q(z|x)", True)
    direct = sd.ProductOfExperts("q(z|x)", [QX], prior=PRIOR)
    assert torch.equal(only_x.mean({"x": X})["z"], direct.mean({"x": X})["z"])
    nothing = q.only()
    torch.testing.assert_close(nothing.mean()["z"], torch.tensor([[0.5]]))
    torch.testing.assert_close(nothing.variance()["z"], torch.tensor([[2.25]]))
    assert nothing.sample(n=6)["z"].shape == (6, 1)
    assert next(only_x.parameters()) is next(q.parameters())
    assert str(q.only("x").rename(x="a")) == "q(z|a)"
    assert torch.equal(q.only("x").rename(x="a").mean({"a": X})["z"], direct.mean({"x": X})["z"])


@pytest.mark.parametrize(
    "present", [("x",), ("y",), (), ("x", "y")], ids=lambda names: "".join(names) or "none"
)
def test_a_modality_that_is_left_out_of_a_call(present: tuple[str, ...]) -> None:
    """Pixyz: a product uses the experts whose inputs are there, and its prior."""
    q = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR, weights=[0.5, 2.0])
    given = {name: value for name, value in {"x": X, "y": Y}.items() if name in present}
    part = q.only(*present)
    assert part.given == present
    terms = [
        (PRIOR, {}, 1.0),
        *((e, {n: given[n]}, w) for n, e, w in (("x", QX, 0.5), ("y", QY, 2.0)) if n in given),
    ]
    z = GRID.reshape(-1, 1, 1).expand(-1, 4, 1)
    expected = by_grid(terms)
    inside = expected > -40
    found = q.log_prob({"z": z, **given}).expand(len(GRID), 4)
    torch.testing.assert_close(found[inside], expected[inside], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(q.prob({"z": z, **given}), part.prob({"z": z, **given}))
    for ask in ("mean", "variance", "parameters_at"):
        ours, theirs = getattr(q, ask)(given), getattr(part, ask)(given)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert torch.equal(q.entropy(given), part.entropy(given))
    options: dict[str, int] = {} if present else {"n": 4}
    draws = [
        p.sample(given, shape=3, generator=torch.Generator().manual_seed(0), **options) for p in (q, part)
    ]
    assert torch.equal(draws[0]["z"], draws[1]["z"])
    assert draws[0]["z"].shape == (3, 4, 1)


def test_an_expert_counts_where_all_of_its_conditions_are_there() -> None:
    both = sd.Normal("q(z|x,y)", lambda x, y: (x.sum(-1, keepdim=True) + y.sum(-1, keepdim=True), 1.0))
    q = sd.ProductOfExperts("q(z|x,y)", [both, QX], prior=PRIOR)
    direct = sd.ProductOfExperts("q(z|x)", [QX], prior=PRIOR)
    assert torch.equal(q.mean({"x": X})["z"], direct.mean({"x": X})["z"])
    torch.testing.assert_close(q.mean({"y": Y})["z"], torch.full((4, 1), 0.5, dtype=D))


def test_modalities_that_are_left_out_under_other_names_and_in_products() -> None:
    q = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR)
    direct = q.only("x").mean({"x": X})["z"]
    renamed = q.rename(x="a", y="x")
    assert torch.equal(renamed.mean({"a": X})["z"], direct)
    assert torch.equal(renamed.only("a").mean({"a": X})["z"], direct)
    assert torch.equal(renamed.only("x").mean({"x": Y})["z"], q.only("y").mean({"y": Y})["z"])
    effect = sd.Normal("q(w|z)", lambda z: (2 * z, 1.0))
    joint = effect * q
    drawn = joint.sample({"x": X}, shape=5, generator=torch.Generator().manual_seed(0))
    assert {name: tuple(t.shape) for name, t in drawn.items()} == {"w": (5, 4, 1), "z": (5, 4, 1)}
    values = {**drawn, "x": X}
    torch.testing.assert_close(
        joint.log_prob(values),
        effect.log_prob(drawn, sample_axes={"z": 1}) + q.only("x").log_prob({"z": drawn["z"], "x": X}),
    )
    assert joint.log_prob({**values, "y": Y}).ne(joint.log_prob(values)).all()
    assert torch.equal(sd.Joint([q]).mean({"x": X})["z"], direct)
    assert torch.equal(sd.Joint([q]).entropy({"x": X}), q.only("x").entropy({"x": X}))
    other = sd.Normal("r(v|y)", lambda y: (y, 1.0))
    with pytest.raises(NameResolutionError, match="needs a value of `y`"):
        (q * other).sample({"x": X})  # the product could do without it, its other factor could not


def test_the_networks_of_missing_modalities_do_not_run() -> None:
    def fail(y: Tensor) -> tuple[Tensor, Tensor]:
        raise AssertionError

    q = sd.ProductOfExperts("q(z|x,y)", [QX, sd.Normal("q(z|y)", fail)], prior=PRIOR)
    assert q.sample({"x": X})["z"].shape == (4, 1)
    loss = q.log_prob({"z": torch.zeros(4, 1, dtype=D), "x": X}).sum()
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(loss, list(QX.parameters())))


def test_modalities_that_are_missing_for_some_examples() -> None:
    q = sd.ProductOfExperts("q(z|x,y,m)", [QX, QY], prior=PRIOR, mask="m")
    mask = torch.tensor([[1, 1], [1, 0], [0, 1], [0, 0]])
    found = q.mean({"x": X, "y": Y, "m": mask})["z"]
    whole = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR)
    rows = [whole.mean({"x": X, "y": Y}), whole.only("x").mean({"x": X}), whole.only("y").mean({"y": Y})]
    for i, row in enumerate(rows):
        torch.testing.assert_close(found[i], row["z"][i])
    torch.testing.assert_close(found[3], torch.tensor([0.5], dtype=D))
    part = q.only("x")
    assert part.given == ("x", "m")
    torch.testing.assert_close(part.mean({"x": X, "m": mask})["z"][1], rows[1]["z"][1])
    torch.testing.assert_close(q.mean({"x": X, "m": mask})["z"], part.mean({"x": X, "m": mask})["z"])
    other = q.rename(m="present", x="a")
    torch.testing.assert_close(
        other.mean({"a": X, "present": mask})["z"], part.mean({"x": X, "m": mask})["z"]
    )


def test_each_network_runs_once_and_gradients_reach_experts_and_weights() -> None:
    weights = nn.Parameter(torch.ones(2, dtype=D))
    q = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR, weights=weights)
    calls: list[str] = []
    hooks = [p.network.register_forward_hook(lambda m, i, o, n=str(p): calls.append(n)) for p in (QX, QY)]
    z = q.sample({"x": X, "y": Y}, shape=5)["z"]
    assert calls == ["q(z|x)", "q(z|y)"]
    for hook in hooks:
        hook.remove()
    (z.sum() + q.log_prob({"z": z.detach(), "x": X, "y": Y}).sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in q.parameters())

    def density(w: Tensor) -> Tensor:
        other = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR)
        other.weights = w
        return other.log_prob({"z": z[0].detach(), "x": X, "y": Y})

    assert torch.autograd.gradcheck(density, [torch.tensor([0.7, 1.3], dtype=D, requires_grad=True)])


def test_weights_for_every_element() -> None:
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=D)
    a, b = (sd.Normal(f"q(z|{c})", lambda v: (v, torch.ones_like(v))) for c in "xy")
    q = sd.ProductOfExperts("q(z|x,y)", [a, b], weights=weights)
    x, y = torch.randn(2, 4, 2, dtype=D).unbind(0)
    torch.testing.assert_close(q.mean({"x": x, "y": y})["z"], torch.stack([x[:, 0], y[:, 1]], -1))


def test_entropy_and_divergence_are_those_of_a_normal() -> None:
    q = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR)
    given = {"x": X, "y": Y}
    reference = td.Normal(q.mean(given)["z"], q.variance(given)["z"].sqrt())
    torch.testing.assert_close(q.entropy(given), reference.entropy().sum(-1))
    precision = 1 / QX.variance({"x": X})["z"] + 1 / QY.variance({"y": Y})["z"] + 1 / 2.25
    torch.testing.assert_close(1 / q.variance(given)["z"], precision)


def test_every_element_of_the_condition_as_an_expert() -> None:
    """Broken in Pixyz: it raised on sampling."""
    expert = sd.Normal("q(z|x)", Encoder(3, 1))
    q = sd.ElementwiseProductOfExperts("q(z|x)", expert, prior=PRIOR)
    x = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]], dtype=D)
    for i, row in enumerate(x):
        parts = [
            expert.parameters_at({"x": (row * torch.eye(3, dtype=D)[d]).unsqueeze(0)})
            for d in range(3)
            if row[d]
        ]
        precision = sum((1 / p["scale"] ** 2 for p in parts), start=torch.tensor(1 / 2.25, dtype=D))
        shift = sum((p["loc"] / p["scale"] ** 2 for p in parts), start=torch.tensor(0.5 / 2.25, dtype=D))
        torch.testing.assert_close(q.mean({"x": x})["z"][i], (shift / precision).reshape(1))
        torch.testing.assert_close(q.variance({"x": x})["z"][i], (1 / precision).reshape(1))
    assert q.sample({"x": x}, shape=7)["z"].shape == (7, 3, 1)
    masked = sd.ElementwiseProductOfExperts("q(z|x,m)", expert, prior=PRIOR, mask="m")
    mask = torch.tensor([[1, 1, 1], [0, 1, 0], [0, 0, 0]])
    torch.testing.assert_close(masked.mean({"x": x, "m": mask})["z"], q.mean({"x": x})["z"])
    full = masked.mean({"x": x, "m": torch.ones(3, 3)})["z"]
    assert not torch.allclose(full[1], q.mean({"x": x})["z"][1])
    many = torch.randn(5, 3, 3, dtype=D)
    each = torch.stack([q.mean({"x": row})["z"] for row in many])
    torch.testing.assert_close(q.mean({"x": many}, sample_axes={"x": 1})["z"], each)


def test_nothing_is_kept_between_calls() -> None:
    """Pixyz kept the output for a tensor that it had seen, also after its weights had changed."""
    q = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR)
    other = copy.deepcopy(q)
    before = other.mean({"x": X, "y": Y})["z"]
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert not torch.allclose(other.mean({"x": X, "y": Y})["z"], before)
    x = X.clone()
    first = q.mean({"x": x, "y": Y})["z"]
    x.mul_(2.0)
    assert not torch.allclose(q.mean({"x": x, "y": Y})["z"], first)


def test_copies_and_states() -> None:
    q = sd.ProductOfExperts("q(z|x,y)", [QX, QY], prior=PRIOR, weights=[0.5, 2.0])
    given = {"x": X, "y": Y}
    for same in (copy.deepcopy(q), pickle.loads(pickle.dumps(q))):
        assert torch.equal(same.mean(given)["z"], q.mean(given)["z"])
    other = copy.deepcopy(q)
    for parameter in other.parameters():
        nn.init.normal_(parameter)
    other.load_state_dict(q.state_dict())
    assert torch.equal(other.mean(given)["z"], q.mean(given)["z"])
    assert repr(q) == "Normal q(z|x,y) with network ProductOfExperts"


NORMAL = sd.Normal("q(z|x)", lambda x: (x, 1.0))
REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (ParameterError, lambda: sd.ProductOfExperts("q(z|x)", []), r"has no experts\nwrite `ProductOfExperts\(\"q\(z\|x\)\""),
    (ParameterError, lambda: sd.ProductOfExperts("q(z|x)", [sd.Laplace("q(z|x)", lambda x: (x, 1.0))]), r"the expert q\(z\|x\) of Normal q\(z\|x\) is no Normal\nnormal experts have a product in closed form"),  # type: ignore[list-item]
    (ParameterError, lambda: sd.ProductOfExperts("q(z|x)", [NORMAL], weights=[1.0, 1.0]), r"has weights of shape \[2\] for 1 experts"),
    (ParameterError, lambda: sd.ProductOfExperts("q(z|x)", [NORMAL], prior=NORMAL), r"has the prior q\(z\|x\), which has conditions"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x)", [NORMAL.rename(z="w")]), r"has the expert q\(w\|x\), which is over another variable\nall experts are over z"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x,y)", [NORMAL]), r"is declared, but its experts and mask are given \(x\)\ndeclare `q\(z\|x\)`"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x)", [NORMAL], mask="m"), r"is not given `m`"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x)", [NORMAL]).only("y"), r"is not given `y`"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x)", [NORMAL]).only(), r"has no expert that is given only \(\), and no prior\nits experts are q\(z\|x\)"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x,y)", [QX, QY]).sample(), r"has no expert that is given only \(\), and no prior\nits experts are q\(z\|x\), q\(z\|y\)"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x,y,m)", [QX, QY], mask="m").sample({"x": X, "y": Y}), r"needs a value of `m`\nit got `x`, `y`"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x,y)", [QX, QY]).sample({"x": X, "yy": Y}), r"takes no value of `yy`\ndid you mean `y`"),
    (NameResolutionError, lambda: sd.ProductOfExperts("q(z|x,y)", [QX, QY]).log_prob({"x": X}), r"needs a value of `z`"),
    (OptionError, lambda: sd.ProductOfExperts("q(z|x,y)", [QX, QY]).sample({"x": X}, n=3), r"`n` is for what is given nothing; the batch of Normal q\(z\|x\) is that of x"),
    (OptionError, lambda: sd.ProductOfExperts("q(z|x,y)", [QX, QY]).sample({"x": X}, batch=3), r"`batch`"),
    (DataError, lambda: sd.ProductOfExperts("q(z|x,y)", [QX, QY]).sample(X), r"got a Tensor in place of named values"),
    (ShapeError, lambda: sd.ProductOfExperts("q(z|x)", [NORMAL], prior=sd.Normal("p(z)", loc=0.0, scale=1.0)).sample(n=3), r"is the prior p\(z\) alone, whose numbers do not say how many elements there are\ngive the prior `event_shape=`"),
    (ParameterError, lambda: sd.ElementwiseProductOfExperts("q(z|x,y)", sd.Normal("q(z|x,y)", lambda x, y: (x, 1.0))), r"is given 2 variables\nan elementwise expert is given one"),
    (ParameterError, lambda: sd.ElementwiseProductOfExperts("q(z|x)", NORMAL).mean({"x": torch.zeros(1, 2)}) and sd.ElementwiseProductOfExperts("q(z|x)", NORMAL).sample({"x": torch.zeros(1, 2)}), r"must be|has NaN"),
    (ParameterError, lambda: sd.ProductOfExperts("q(z|x,m)", [NORMAL], mask="m").sample({"x": torch.zeros(1, 2), "m": torch.zeros(1, 1)}), r"NaN|must be"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()


def test_weights_by_a_function_and_weights_of_which_none_is_positive() -> None:
    experts = [sd.Normal(f"q(z|{c})", lambda v: (v, torch.ones_like(v))) for c in "xy"]
    current = torch.tensor([2.0, -0.5])
    p = sd.ProductOfExperts("q(z|x,y)", experts, weights=lambda: current)
    given = {"x": torch.tensor([[3.0]]), "y": torch.tensor([[6.0]])}
    torch.testing.assert_close(p.mean(given)["z"], torch.tensor([[(2 * 3.0 - 0.5 * 6) / 1.5]]))
    torch.testing.assert_close(p.variance(given)["z"], torch.tensor([[1 / 1.5]]))
    current.copy_(torch.tensor([1.0, 1.0]))
    torch.testing.assert_close(p.mean(given)["z"], torch.tensor([[4.5]]))
    with pytest.raises(ParameterError, match=r"no expert of Normal q.* has a positive weight"):
        sd.ProductOfExperts("q(z|x,y)", experts, weights=[0.0, -1.0])
