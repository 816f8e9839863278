"""Sequences of different lengths in every form of data."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from symdgm.data.sequences import ragged as padded_data
from symdgm.errors import DataError
from symdgm.training.batches import Layout, as_batches
from symdgm.training.forms import named
from symdgm.training.ragged import collated, cut

STEPS = [torch.arange(6.0).reshape(3, 2), torch.ones(5, 2), 2 * torch.ones(1, 2), torch.rand(4, 2)]
DATA = padded_data(STEPS)
TIMES = {"T": ["x"]}


class Items(Dataset):
    """Sequences one by one, as a tensor, a tuple or a dict."""

    def __init__(self, form: str) -> None:
        self.form = form

    def __len__(self) -> int:
        return len(STEPS)

    def __getitem__(self, index: int) -> object:
        x = STEPS[index]
        return {"tensor": x, "dict": {"x": x}}[self.form]


def as_list(batch: list[torch.Tensor]) -> list[torch.Tensor]:
    return batch


FORMS = {
    "a list": STEPS,
    "a dict of a list": {"x": STEPS},
    "padded": {"x": DATA.steps, "T": DATA.lengths},
    "a tuple": (DATA.steps, DATA.lengths),
    "a named tuple": DATA,
    "a TensorDataset": TensorDataset(*DATA),
    "a Dataset": Items("tensor"),
    "a Dataset of dicts": Items("dict"),
    "a DataLoader": DataLoader(Items("tensor"), batch_size=2, collate_fn=as_list),
    "a DataLoader of padded rows": DataLoader(TensorDataset(*DATA), batch_size=2),
    "batches": [{"x": DATA.steps[:2], "T": DATA.lengths[:2]}, {"x": STEPS[2:]}],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_batches_cut_to_their_longest_sequence(form):
    asked = {"batch_size": 2, "shuffle": False}
    layout = Layout(torch.device("cpu"), torch.float64, **asked, ragged=TIMES)
    batches = list(as_batches(FORMS[form], ["x"], layout, seed=0))
    assert [tuple(b["x"].shape) for b in batches] == [(2, 5, 2), (2, 4, 2)]
    assert [b["T"].tolist() for b in batches] == [[3, 5], [1, 4]]
    assert all(b["x"].dtype == torch.float64 and not b["T"].is_floating_point() for b in batches)
    for i, sequence in enumerate(STEPS):
        row = batches[i // 2]["x"][i % 2]
        assert torch.equal(row[: len(sequence)], sequence.double())
        assert not row[len(sequence) :].any()


def test_lengths_may_be_left_out():
    found = named({"x": DATA.steps}, ["x"], TIMES)
    assert list(found) == ["x"]
    assert cut(found, TIMES)["x"] is found["x"]
    assert list(named(DATA.steps, ["x"], TIMES)) == ["x"]


def test_several_sequences_share_their_lengths():
    actions = [torch.rand(len(s), 1) for s in STEPS]
    found = named({"x": STEPS, "a": actions}, ["x", "a"], {"T": ["x", "a"]})
    assert found["a"].shape == (4, 5, 1)
    assert torch.equal(found["T"], DATA.lengths)
    with pytest.raises(DataError, match=r"the sequences of `x`, `a` differ in their steps, or have none"):
        named({"x": STEPS, "a": actions[::-1]}, ["x", "a"], {"T": ["x", "a"]})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"x": STEPS, "T": DATA.lengths}, r"`x` is a list of sequences, which have their own lengths"),
        ({"x": [STEPS[0], STEPS[0][:0]]}, r"the sequences of `x` differ in their steps, or have none"),
        ({"x": DATA.steps, "U": DATA.lengths}, r"the model has no data variable `U`"),
        ({"T": DATA.lengths}, r"the data variable `x` is missing"),
        ({"x": [STEPS[0], STEPS[1][:, :1]]}, r"`x` is a list, not a tensor or a NumPy array"),
        ({"x": DATA.steps, "T": DATA.lengths[:2]}, r"different numbers of rows: `x` has 4, `T` has 2"),
        ((DATA.steps, DATA.lengths, DATA.lengths), r"the data have 3 parts, the model has 1 data variable"),
    ],
)
def test_refusals(data, words):
    with pytest.raises(DataError, match=words):
        named(data, ["x"], TIMES)


def test_items_of_equal_shape_are_stacked_and_others_stay_a_list():
    batch = collated([(STEPS[0], 1), (STEPS[1], 2)])
    assert [len(s) for s in batch[0]] == [3, 5]
    assert torch.equal(batch[1], torch.tensor([1, 2]))
    assert collated([STEPS[0], STEPS[0]]).shape == (2, 3, 2)
