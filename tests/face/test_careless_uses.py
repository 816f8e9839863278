"""Slips of a careful user: each is refused in our own words, or does what it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

import symdgm as sd
from symdgm.errors import DataError, OptionError, ParameterError

X = (torch.arange(32).view(8, 4) % 3 < 1).float()


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        loc, scale = self.linear(x).chunk(2, -1)
        return loc, scale.exp()


def made(**options):
    return sd.Model(
        "maximize E_q(z|x)[log p(x|z)] - KL[q||p]",
        sd.Normal("q(z|x)", Encoder()),
        sd.Bernoulli("p(x|z)", nn.Linear(2, 4)),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2),
        **options,
    )


class Items(Dataset):
    def __init__(self, item):
        self.item = item

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.item(index)


def nested():
    return torch.nested.nested_tensor([X[0], X[1]], layout=torch.jagged)


SLIPS = {
    "sparse": (
        lambda m: (m.loss(x=X), m.loss(x=X.to_sparse())),
        DataError,
        r"`x` is a sparse tensor\n(.*\n){2}write `x.to_dense\(\)`",
    ),
    "sparse fixed": (lambda m: m.sample(z=X[:, :2].to_sparse()), DataError, "`z` is a sparse tensor"),
    "nested": (lambda m: m.loss(x=nested()), DataError, r"`x` is a nested tensor\n(.*\n){2}write `x.to_p"),
    "tuple": (lambda m: m.loss(x=(X, X)), DataError, "`x` is a tuple of tensors; `fit` alone reads a list"),
    "twice": (lambda m: m.loss({"x": X}, x=X), DataError, "`x` is given twice, in the dict and by keyword"),
    "player": (lambda m: m.loss(x=X, player="G"), OptionError, "is no game.*\nleave `player` out"),
    "lr": (lambda m: m.fit(X, lr={"G": 1e-3}), OptionError, "`G` is named, but the objective is no game"),
    "steps": (lambda m: m.fit(X, steps={"D": 2}), OptionError, "`D` is named, but the objective is no game"),
    "length": (lambda m: m.sample(2, T=4), DataError, "the model has no variable `T`"),
    "count": (lambda m: m.sample(2, steps=4), DataError, "the model has no variable `steps`"),
    "no gradient": (
        torch.no_grad()(lambda m: m.train_step(x=X)),
        ParameterError,
        r"gradients are switched off around a training step\ntrain outside of `torch.no_grad\(\)`",
    ),
    "inference": (
        torch.inference_mode()(lambda m: m.fit(X, epochs=1, progress=False)),
        ParameterError,
        "gradients are switched off",
    ),
    "items": (lambda m: m.fit(Items(lambda i: None)), DataError, "the items of the Dataset make no batch"),
    "lengths": (
        lambda m: m.fit(Items(lambda i: torch.zeros(4 + i)), progress=False),
        DataError,
        "the items of the Dataset make no batch: stack expects each tensor",
    ),
    "samples": (
        lambda m: made(samples="3"),
        OptionError,
        "`samples` is '3'\nwrite a whole number of draws, or a dict of such by variable, 1 or more",
    ),
    "class": (
        lambda m: sd.Model("maximize log p(x)", sd.Normal),
        OptionError,
        "the class Normal is no distribution of symdgm\npass an instance",
    ),
    "torch's": (
        lambda m: sd.Model("maximize log p(x)", torch.distributions.Normal(0, 1)),
        OptionError,
        r"a torch.distributions.Normal is no distribution of symdgm\nit has no name.*`symdgm.Normal",
    ),
    "list": (
        lambda m: sd.Model("maximize log p(x)", [sd.Normal("p(x)", loc=0.0, scale=1.0)]),
        OptionError,
        r"a list is no distribution of symdgm\ngive its entries one by one",
    ),
    "network": (lambda m: sd.Model("maximize log p(x)", nn.Linear(2, 2)), OptionError, "bind networks"),
    "generator": (
        lambda m: sd.Normal("p(z)", loc=0.0, scale=1.0).sample(generator=3),
        OptionError,
        "`generator` is a int\nwrite `torch.Generator",
    ),
    "steps of a rollout": (
        lambda m: sd.rollout(sd.Normal("p(z_t|z_{t-1})", lambda z: (z, 1.0)), n=2, z_0=0.0, z=2, T=3),
        OptionError,
        r"nothing says how many steps there are\nwrite `rollout\(..., steps=32\)`",
    ),
    "no steps": (
        lambda m: sd.rollout(sd.Normal("p(z_t|z_{t-1})", lambda z: (z, 1.0)), n=2, z_0=0.0, z=2, steps=0),
        OptionError,
        "`steps` is 0\nwrite a whole number of steps, 1 or more",
    ),
    "complex": (
        lambda m: sd.Objective("f(x)", sd.Data("data(x)"), f=lambda x: x.sum(-1) * 1j)(x=X),
        ParameterError,
        "returned value of dtype torch.complex64",
    ),
    "sparse output": (
        lambda m: sd.Objective("||f(x)||^2", sd.Data("data(x)"), f=lambda x: x.to_sparse())(x=X),
        ParameterError,
        "returned value as a sparse tensor",
    ),
    "text": (lambda m: sd.signature("log p(x)"), OptionError, "a str has no signature\nread a text first"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_slips(slip):
    use, error, words = SLIPS[slip]
    with pytest.raises(error, match=words):
        use(made())


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OptionError, match="is a folder\nwrite the name of a file in it"):
        made().save(tmp_path)
    assert list(tmp_path.parent.glob(f".{tmp_path.name}.*")) == []


def test_arrays_of_different_lengths_are_sequences_as_tensors_are():
    """They were read as one sequence and lengths."""
    x = [torch.randn(5, 2), torch.randn(3, 2)]
    found = []
    for data in (x, [v.numpy() for v in x]):
        torch.manual_seed(0)
        model = sd.Model(
            "maximize sum_{t=1}^T log p(x_t|x_{t-1})", sd.Normal("p(x_t|x_{t-1})", nn.Linear(2, 2), scale=1.0)
        )
        found.append(model.fit(data, epochs=1, seed=0, progress=False).last.value)
    assert found[0] == found[1]


def test_a_dense_batch_of_the_same_values_is_taken():
    model = made()
    torch.manual_seed(0)
    dense = model.loss(x=X)
    torch.manual_seed(0)
    assert model.loss(x=X.to_sparse().to_dense()) == dense
