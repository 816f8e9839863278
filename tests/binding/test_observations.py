"""What is wrong with data is said before anything is computed, and no weight moves."""

import numpy as np
import pytest
import torch
from bound_parts import batch, vae
from torch import nn

import symdgm as sd
from symdgm.errors import DataError, ShapeError, SupportError, SymdgmError

ELBO = "E_q(z|x)[log p(x|z)] - KL[q||p]"
X = batch()
BAD = [
    ({"x": X.double()}, ShapeError, "dtype torch.float64, but the networks have torch.float32"),
    ({"x": X * 3}, SupportError, r"outside the support \[0, 1\]"),
    ({"x": torch.full_like(X, float("nan"))}, SupportError, "NaN|nan"),
    ({"x": X[:0]}, ShapeError, "the batch has no examples"),
    ({"x": torch.tensor(1.0)}, ShapeError, "no common batch size"),
    ({}, DataError, "needs the data `x`, but got nothing"),
    ({"y": X}, DataError, "no data `y`"),
    ({"x": X, "y": X}, DataError, "no data `y`"),
    ({"x": None}, DataError, "`x` is NoneType, not a tensor"),
    ({"x": "digits"}, DataError, "`x` is str"),
    ({"x": 3.0}, DataError, "`x` is float"),
    ({"x": {"a": 1}}, DataError, "`x` is dict"),
    ({"x": [[0.0, 1.0], [0.0]]}, DataError, "cannot be read as a tensor"),
    (
        {"x": [X[0], X[0, :5]]},
        DataError,
        r"list of tensors; `fit` alone reads a list of them.*\n.*\n +\^\npad them: .*ragged\(x\)",
    ),
    ({"x": X[:, :5]}, ShapeError, "the network failed|event shape"),
]


@pytest.mark.parametrize(("data", "error", "words"), BAD)
def test_bad_data_are_refused_and_no_weight_moves(
    data: dict[str, object], error: type[SymdgmError], words: str
) -> None:
    model = sd.Model(f"maximize {ELBO}", *vae())
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for attempt in (model.objective, model.terms, model.loss, model.train_step, model.objective.per_example):
        with pytest.raises(error, match=words):
            attempt(data)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(("data", "error", "words"), [bad for bad in BAD if bad[1] is not SupportError])
def test_bad_data_are_refused_after_good_ones_too(
    data: dict[str, object], error: type[SymdgmError], words: str
) -> None:
    """A step knows the kind of the batch before and takes another like it as it is, and no other."""
    model = sd.Model(f"maximize {ELBO}", *vae())
    for _ in range(2):
        model.train_step({"x": X})
    with pytest.raises(error, match=words):
        model.train_step(data)


@pytest.mark.parametrize("step", ["loss", "train_step"])
def test_networks_that_were_moved_after_good_data(step: str) -> None:
    model = sd.Model(f"maximize {ELBO}", *vae())
    for _ in range(2):
        getattr(model, step)({"x": X})
    model.double()
    with pytest.raises(ShapeError, match=r"`x` has the dtype .*, but the networks have"):
        getattr(model, step)({"x": X})


@pytest.mark.parametrize("value", [2.0, float("nan"), float("inf")])
def test_values_are_looked_at_in_every_batch(value: float) -> None:
    model = sd.Model(f"maximize {ELBO}", *vae())
    for _ in range(2):
        model.loss({"x": X})
    bad = X.clone()
    bad[-1, -1] = value
    with pytest.raises(SupportError, match="x"):
        model.loss({"x": bad})


@pytest.mark.parametrize("other", [X.numpy(), X.tolist()], ids=["numpy", "list"])
def test_data_of_another_sort_are_converted_after_tensors(other: object) -> None:
    model = sd.Model(f"maximize {ELBO}", *vae())
    found = []
    for values in (X, X, other):
        torch.manual_seed(0)
        found.append(model.loss({"x": values}))
        model.sides[""].objective.read({"x": values}, each=False)
    assert found[0] == found[1] == found[2]
    assert isinstance(model.objective.read({"x": other}, each=False)["x"], torch.Tensor)


def test_batch_sizes_must_agree() -> None:
    objective = sd.Objective("log p(x|z)", *vae())
    with pytest.raises(ShapeError, match=r"no common batch size: x \[5, 6\], z \[4, 4\]"):
        objective(x=X, z=torch.zeros(4, 4))


@pytest.mark.parametrize("how", ["keyword", "constant"])
def test_another_event_shape_than_was_declared(how: str) -> None:
    names = {"x": 7} if how == "keyword" else {}
    prior = sd.Normal("r(x)", loc=0.0, scale=1.0, event_shape=None if how == "keyword" else 7)
    objective = sd.Objective("log r(x)", prior, **names)
    with pytest.raises(ShapeError, match=r"`x` has the event shape \[6\], but"):
        objective(x=X)
    assert objective(x=torch.zeros(2, 7)).shape == ()


@pytest.mark.parametrize("kind", ["numpy", "numpy64", "list", "integers"])
def test_arrays_and_lists_are_read(kind: str) -> None:
    objective = sd.Objective("log p(x|z)", *vae())
    z = torch.zeros(5, 4)
    given = {
        "numpy": X.numpy(),
        "numpy64": X.numpy().astype(np.float64),
        "list": X.tolist(),
        "integers": X.tolist(),
    }[kind]
    assert torch.equal(objective(x=given, z=z), objective(x=X, z=z))


def test_unvalidated_data_are_taken_as_they_are() -> None:
    objective = sd.Objective("log p(x|z)", *vae(), validate=False)
    assert torch.isfinite(objective(x=X * 3, z=torch.zeros(5, 4)))


def test_infinite_data_of_no_distribution() -> None:
    objective = sd.Objective("||f(x)||^2", f=nn.Linear(6, 2))
    with pytest.raises(SupportError, match="`x` contains infinite values"):
        objective(x=(X + 1) / 0)
    with pytest.raises(SupportError, match="`x` contains NaN"):
        objective(x=X * float("nan"))


def test_data_on_another_device() -> None:
    objective = sd.Objective("||f(x)||^2", f=nn.Linear(6, 2))
    with pytest.raises(ShapeError, match="`x` is on meta, but the networks are on cpu"):
        objective(x=X.to("meta"))


def test_the_number_of_draws() -> None:
    objective = sd.Objective("E_p(z)[||z||^2]", sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2))
    assert objective.per_example(n=4).shape == (4,)
    for n in (0, -1, 2.5, True):
        with pytest.raises(sd.SymdgmError, match="`n` is"):
            objective(n=n)  # type: ignore[arg-type]


def test_data_of_a_family_whose_ends_a_network_gives() -> None:
    p = sd.Uniform("p(x|z)", lambda z: (z - 1, z + 1))
    objective = sd.Objective("log p(x|z)", p)
    assert objective(x=torch.full((3, 2), 0.5), z=torch.zeros(3, 2)).item() == pytest.approx(-2 * np.log(2))
    with pytest.raises(SupportError, match="x has infinite values"):
        objective(x=torch.full((3, 2), float("inf")), z=torch.zeros(3, 2))
