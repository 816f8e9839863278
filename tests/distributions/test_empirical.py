# ruff: noqa: E501 -- a row of the table of refusals is one line
from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

import symdgm.distributions as sd
from symdgm.errors import DataError, NameResolutionError, NotSupportedError, OptionError, ParameterError

X = torch.arange(12.0).reshape(6, 2)
Y = torch.arange(6)
BOTH = sd.Data("data(x, y)", x=X, y=Y)


def test_rows_are_drawn_together_and_evenly() -> None:
    drawn = BOTH.sample(n=12_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn["x"], X[drawn["y"]])
    counts = torch.bincount(drawn["y"], minlength=6)
    z = (counts - 2000) / (12_000 * (1 / 6) * (5 / 6)) ** 0.5
    assert z.abs().max() < 5  # a right sampler exceeds this with probability below 1e-5
    assert BOTH.sample(n=3, shape=(2,))["x"].shape == (2, 3, 2)
    assert BOTH.sample()["y"].shape == (1,)


def test_moments_are_those_of_the_rows() -> None:
    data = sd.Data("p_data(x)", {"x": X})
    torch.testing.assert_close(data.mean()["x"], X.mean(0, keepdim=True))
    torch.testing.assert_close(data.variance()["x"], X.var(0, correction=0, keepdim=True))


def test_data_follows_the_module_but_is_no_weight() -> None:
    data = copy.deepcopy(BOTH)
    assert list(data.state_dict()) == []
    assert list(data.parameters()) == []
    assert data.double().rows["x"].dtype == torch.float64
    assert data.to("meta").rows["y"].device.type == "meta"
    assert torch.equal(pickle.loads(pickle.dumps(BOTH)).rows["x"], X)
    sequence = sd.Data("data(x_{1:T})", {"x_{1:T}": X})
    assert sequence.sample(n=2)["x_{1:T}"].shape == (2, 2)


def test_without_rows_it_names_what_is_observed() -> None:
    data = sd.Data("data(x)")
    assert data.variables == ("x",)
    assert data.rows == {}
    assert data.sources == ()
    assert (str(data), repr(data)) == ("data(x)", "Data data(x)")
    assert repr(BOTH) == "Data data(x,y) with x [6, 2], y [6]"
    assert sd.Empirical is sd.Data


REFUSED: list[tuple[type[Exception], Callable[[], object], str]] = [
    (NotSupportedError, lambda: sd.Data("data(x)").sample(), r'has no draws: no rows were given\npass them: `Data\("data\(x\)", \{"x": x\}\)`'),
    (NotSupportedError, lambda: sd.Data("data(x)").mean(), r"has no mean: no rows were given"),
    (NotSupportedError, lambda: BOTH.mean(), r"has no mean of y, which has dtype torch.int64\ngive `y.float\(\)`"),
    (NotSupportedError, lambda: BOTH.log_prob({"x": X, "y": Y}), r"Data data\(x,y\) has no density\nfit a distribution"),
    (NotSupportedError, lambda: BOTH.entropy(), r"has no entropy\n.*leave it out of an objective"),
    (ParameterError, lambda: sd.Data("data(y|x)"), r"Data data\(y\|x\) has conditions, which data does not\n"),
    (NameResolutionError, lambda: sd.Data("data(x)", y=Y), r"takes no value of `y`"),
    (NameResolutionError, lambda: sd.Data("data(x, y)", y=Y), r"needs a value of `x`\nit got `y`"),
    (DataError, lambda: sd.Data("data(x)", x=[1.0]), r"x is a list, not a tensor"),
    (DataError, lambda: sd.Data("data(x, y)", x=X, y=Y[:3]), r"do not belong together: x \[6, 2\], y \[3\]"),
    (DataError, lambda: sd.Data("data(x)", x=X[:0]), r"do not belong together: x \[0, 2\]\n.*at least 1"),
    (DataError, lambda: sd.Data("data(x)", x=torch.tensor(1.0)), r"do not belong together: x \[\]"),
    (NameResolutionError, lambda: BOTH.sample({"x": X}), r"takes no value of `x`\nit is given nothing"),
    (OptionError, lambda: BOTH.sample(batch=3), r"unknown option `batch`"),
    (OptionError, lambda: BOTH.sample(n=0), r"`n` is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "ask", "words"), REFUSED, ids=[case[2][:40] for case in REFUSED])
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()
