"""Batches: the same rows whatever holds them, in an order of their own, and clear refusals."""

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from symdgm.errors import DataError, OptionError
from symdgm.training import Layout, as_batches
from symdgm.training.batches import InMemory, Loaded

CPU = torch.device("cpu")
X = torch.arange(20.0).reshape(10, 2)


def layout(**options):
    return Layout(CPU, torch.float32, asked=tuple(options), **options)


class Rows(Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return {"x": X[index]}


class Stream(IterableDataset):
    def __iter__(self):
        return iter(X)


class Doubled(TensorDataset):
    def __getitem__(self, index):
        return 2 * self.tensors[0][index]


def rows(found):
    return torch.cat([batch["x"] for batch in found])


FORMS = {
    "tensor": X,
    "float64 array": X.double().numpy(),
    "TensorDataset": TensorDataset(X),
    "Subset of a Subset": Subset(Subset(TensorDataset(X.flip(0)), list(range(10))), list(range(9, -1, -1))),
    "Dataset of dicts": Rows(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_in_order(form):
    found = as_batches(FORMS[form], ["x"], layout(batch_size=4, shuffle=False), seed=0)
    assert [len(batch["x"]) for batch in found] == [4, 4, 2]
    assert torch.equal(rows(found), X) and rows(found).dtype == torch.float32
    assert found.steps == 3


@pytest.mark.parametrize("form", FORMS)
def test_shuffling_permutes_and_differs_between_epochs(form):
    found = as_batches(FORMS[form], ["x"], layout(batch_size=4), seed=0)
    first, second = rows(found), rows(found)
    assert torch.equal(first.sort(0).values, X) and torch.equal(second.sort(0).values, X)
    assert not torch.equal(first, second)
    again = as_batches(FORMS[form], ["x"], layout(batch_size=4), seed=0)
    assert torch.equal(rows(again), first)


def test_the_order_does_not_depend_on_the_noise():
    torch.manual_seed(0)
    first = rows(as_batches(X, ["x"], layout(), seed=3))
    torch.manual_seed(1)
    assert torch.equal(rows(as_batches(X, ["x"], layout(), seed=3)), first)


def test_rows_of_several_variables_stay_together():
    found = as_batches({"x": X, "y": X[:, 0].long()}, ["x", "y"], layout(batch_size=3), seed=0)
    for batch in found:
        assert torch.equal(batch["x"][:, 0].long(), batch["y"])


@pytest.mark.parametrize("form", FORMS)
def test_a_smaller_last_batch_can_be_dropped(form):
    found = as_batches(FORMS[form], ["x"], layout(batch_size=4, drop_last=True), seed=0)
    assert [len(batch["x"]) for batch in found] == [4, 4] and found.steps == 2


def test_tensors_are_never_collated_row_by_row():
    assert isinstance(as_batches(TensorDataset(X), ["x"], layout(), seed=0), InMemory)
    found = as_batches(Doubled(X), ["x"], layout(shuffle=False), seed=0)
    assert isinstance(found, Loaded) and torch.equal(rows(found), 2 * X)


def test_large_data_stay_where_they_are(monkeypatch):
    monkeypatch.setattr("symdgm.training.batches.RESIDENT_BYTES", 8)
    data = X.double()
    found = as_batches(data, ["x"], layout(batch_size=4, shuffle=False), seed=0)
    assert found.whole["x"].data_ptr() == data.data_ptr()
    assert torch.equal(rows(found), X) and rows(found).dtype == torch.float32


@pytest.mark.parametrize(
    "source",
    [
        DataLoader(TensorDataset(X), batch_size=5),
        DataLoader(Rows(), batch_size=5),
        [{"x": X[:5]}, (X[5:],)],
        ({"x": part} for part in X.split(5)),
    ],
)
def test_what_comes_as_batches_is_taken_as_it_comes(source):
    found = as_batches(source, ["x"], layout(), seed=0)
    assert isinstance(found, Loaded)
    assert torch.equal(rows(found), X)


def test_the_length_of_a_source():
    assert as_batches(DataLoader(Rows(), batch_size=4), ["x"], layout(), seed=0).steps == 3
    assert as_batches([{"x": X}], ["x"], layout(), seed=0).steps == 1
    assert as_batches(Stream(), ["x"], layout(batch_size=4), seed=0).steps is None
    assert as_batches(iter([{"x": X}]), ["x"], layout(), seed=0).steps is None


def test_a_stream_keeps_its_own_order():
    assert torch.equal(rows(as_batches(Stream(), ["x"], layout(batch_size=4), seed=0)), X)
    with pytest.raises(OptionError, match="`shuffle` has no effect on an IterableDataset"):
        as_batches(Stream(), ["x"], layout(shuffle=True), seed=0)


def test_refusals():
    with pytest.raises(DataError, match="`drop_last` leaves nothing: 10 rows, batch_size=16"):
        as_batches(X, ["x"], layout(batch_size=16, drop_last=True), seed=0)
    with pytest.raises(OptionError, match="`batch_size` has no effect on data that come as batches already"):
        as_batches(DataLoader(Rows()), ["x"], layout(batch_size=16), seed=0)
    with pytest.raises(DataError, match="a int is no data\nknown: a tensor"):
        as_batches(3, ["x"], layout(), seed=0)
    with pytest.raises(DataError, match="a str is no data"):
        as_batches("images", ["x"], layout(), seed=0)
    with pytest.raises(DataError, match="a generator can be gone through only once, and there are 2 epochs"):
        as_batches((part for part in X), ["x"], layout(), seed=0, epochs=2)
    with pytest.raises(DataError, match="`x` is a float"):
        list(as_batches([1.0, 2.0], ["x"], layout(), seed=0))
