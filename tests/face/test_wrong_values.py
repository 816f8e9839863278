"""What is said of data that are missing or wrong, by every way in which they are given."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

import symdgm as sd
from symdgm.errors import DataError, NonFiniteError, ShapeError, SupportError, SymdgmError

TEXT = "maximize E_q(z|x,y)[log p(x|z,y)] - KL[q(z|x,y)||p(z)]"
CHAIN = "maximize E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})] - KL[q(z_{1:T}|x_{1:T})||p(z_{1:T})]"
FIRST = {"x": "x,y)", "y": "y)"}
X, Y = torch.zeros(3, 4), torch.zeros(3, 1)


class Gaussian(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, 2 * outputs)

    def forward(self, *given):
        loc, scale = self.linear(torch.cat(given, -1)).chunk(2, -1)
        return loc, scale.exp()


class Logits(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, *given):
        return self.linear(torch.cat(given, -1))


def model(**options):
    return sd.Model(
        TEXT,
        sd.Normal("q(z|x,y)", Gaussian(5, 2)),
        sd.Bernoulli("p(x|z,y)", Logits(3, 4)),
        sd.Normal("p(z)", loc=0.0, scale=1.0),
        **options,
    )


def chain():
    return sd.Model(
        CHAIN,
        sd.Normal("q(z_t|z_{t-1},x_t)", Gaussian(6, 2)),
        sd.Normal("p(z_t|z_{t-1})", Gaussian(2, 2)),
        sd.Normal("p(x_t|z_t)", Gaussian(2, 4)),
        z_0=0.0, z=2,
    )  # fmt: skip


def spoiled(value, bad):
    return value.clone().index_fill_(0, torch.tensor([1]), bad)


def caret(text, place):
    """The lines that point at a place."""
    return f"\n  {text}\n  {' ' * text.index(place)}^\n"


WAYS = {
    "loss": lambda m, data: m.loss(data),
    "terms": lambda m, data: m.terms(data),
    "per example": lambda m, data: m.objective.per_example(data),
    "report": lambda m, data: m.report(data, draws=2),
    "verify": lambda m, data: m.derivation.verify(data, draws=2),
    "step": lambda m, data: m.train_step(data),
    "fit": lambda m, data: m.fit(data, epochs=1, progress=False),
    "reconstruct": lambda m, data: m.reconstruct(data["x"], y=data["y"]),
    "sample": lambda m, data: m.sample(**data),
}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("way", WAYS)
def test_values_that_are_not_finite_are_refused_by_name(way, name, bad):
    data = {"x": X, "y": Y}
    data[name] = spoiled(data[name], bad)
    with pytest.raises(SupportError, match=rf"`?{name}`? (contains|has) .*(NaN|inf)") as caught:
        WAYS[way](model(), data)
    assert caret(TEXT, FIRST[name]) in str(caught.value)


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_later_batch_stops_before_the_weights_move(name):
    trained, data = model(), {"x": X, "y": Y}
    trained.train_step(data)
    before = {k: v.clone() for k, v in trained.state().items()}
    data[name] = spoiled(data[name], float("nan"))
    with pytest.raises(NonFiniteError, match=f"the input `{name}` is NaN"):
        trained.train_step(data)
    for k, v in trained.state().items():
        assert torch.equal(v, before[k])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"z": torch.full((3, 2), float("nan"))}, "z has NaN values"),
        ({"y": Y, "z": torch.full((3, 2), float("inf"))}, "z has infinite values"),
        ({"y": Y.double()}, "`y` has the dtype torch.float64, but the networks have torch.float32"),
        ({"y": Y, "z": torch.zeros(3, 2).long()}, "z has dtype torch.int64, but Normal .* takes floating"),
        ({"y": Y, "x": torch.full((3, 4), 2.0)}, r"x has values in \[2, 2\], outside the support"),
    ],
)
def test_fixed_values_of_a_draw(given, words):
    with pytest.raises(SymdgmError, match=words):
        model().sample(**given)


def test_a_fixed_value_may_lie_in_the_support_of_one_law_of_several():
    """The posterior is positive, but the prior, which generates, is not."""
    made = sd.Model(
        "maximize E_q(z|x)[log p(x|z)] - KL[q(z|x)||p(z)]",
        sd.LogNormal("q(z|x)", Gaussian(2, 2)),
        sd.Normal("p(z)", loc=0.0, scale=1.0),
        sd.Normal("p(x|z)", Gaussian(2, 2)),
    )
    assert made.sample(z=torch.tensor([[0.0, -1.0]]))["x"].shape == (1, 2)
    with pytest.raises(SupportError, match=r"z has values in \[0, inf\]"):
        made.sample(z=torch.tensor([[0.0, float("inf")]]))


@pytest.mark.parametrize(
    "use",
    [
        lambda m, x: m.loss(x=x),
        lambda m, x: m.sample(x=x, T=7),
        lambda m, x: m.reconstruct(x),
        lambda m, x: m.train_step(x=x),
    ],
    ids=["loss", "sample", "reconstruct", "step"],
)
def test_sequences(use):
    x = torch.zeros(3, 5, 4)
    with pytest.raises(SupportError, match="x has NaN values") as caught:
        use(chain(), spoiled(x, float("nan")))
    assert caret(CHAIN, "x_{1:T}") in str(caught.value)


def test_rollouts():
    step, emit = sd.Normal("p(z_t|z_{t-1},a_t)", Gaussian(3, 2)), sd.Normal("p(x_t|z_t)", Gaussian(2, 4))
    actions = torch.full((2, 3, 1), float("nan"))
    with pytest.raises(SupportError, match="`a` contains NaN"):
        sd.rollout(step, emit, a=actions, z_0=0.0, z=2)
    with pytest.raises(SupportError, match="z has NaN values"):
        sd.rollout(step, emit, a=torch.zeros(2, 3, 1), z=torch.full((2, 1, 2), float("nan")), z_0=0.0)


@pytest.mark.parametrize(
    "use",
    [
        lambda q, x: q.sample({"x": x}),
        lambda q, x: q.log_prob({"x": x, "z": torch.zeros(3, 2)}),
        lambda q, x: q.condition(x=x).sample(),
    ],
    ids=["sample", "log_prob", "condition"],
)
def test_conditions_of_a_distribution(use):
    q = sd.Normal("q(z|x)", Gaussian(4, 2))
    with pytest.raises(SupportError, match=r"x has NaN values \(4 of 12\) under Normal q\(z\|x\)"):
        use(q, spoiled(X, float("nan")))


@pytest.mark.parametrize(
    ("data", "error", "words", "name"),
    [
        ({"x": X}, DataError, "the objective needs the data `y`, but got `x`", "y"),
        ({"x": X, "y": Y.double()}, ShapeError, "`y` has the dtype torch.float64", "y"),
        ({"x": X.long(), "y": Y}, ShapeError, "x has dtype torch.int64", "x"),
        ({"x": X + 2, "y": Y}, SupportError, r"x has values in \[2, 2\]", "x"),
        ({"x": X, "y": "one"}, DataError, "`y` is str, not a tensor", "y"),
        ({"x": X, "y": [[1.0], [1.0, 2.0]]}, DataError, "`y` cannot be read as a tensor", "y"),
        ({"x": X, "y": torch.tensor(1.0)}, ShapeError, r"no common batch size: x \[3, 4\], y \[\]", "y"),
        ({"x": X, "y": torch.zeros(3, 2)}, ShapeError, r"`y` has the event shape \[2\], but \[1\]", "y"),
    ],
)
def test_wrong_data_are_shown_where_the_formula_first_reads_them(data, error, words, name):
    with pytest.raises(error, match=words) as caught:
        model(y=1).loss(data)
    assert caret(TEXT, FIRST[name]) in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_variable_that_is_not_written_shows_the_formula_alone():
    q, p = sd.Normal("q(z|x)", Gaussian(4, 2)), sd.Normal("p(z)", loc=0.0, scale=1.0)
    objective = sd.Objective("KL[q||p]", q, p)
    with pytest.raises(SupportError) as caught:
        objective(x=spoiled(X, float("nan")))
    assert str(caught.value).startswith("`x` contains NaN\n  KL[q||p]\nclean the data")


def test_a_block_is_pointed_into():
    made = sd.Model(
        """
        p(z) = Normal(z; 0, 1)
        p(x|z) = Normal(x; f(z), 1)
        maximize log p(x|z)
        """,
        f=nn.Linear(2, 2),
    )
    with pytest.raises(DataError, match="needs the data `z`") as caught:
        made.loss(x=torch.zeros(3, 2))
    line, place = str(caught.value).splitlines()[1:3]
    assert place.index("^") == line.index("z")
