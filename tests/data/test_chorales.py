"""Bach's chorales: the real file where it is there, a small one of its form everywhere."""

import json
from pathlib import Path

import pytest
import torch

from symdgm.data import chorales, ragged
from symdgm.errors import DataError

SHARED = Path(__file__).parents[3] / "shared" / "data"


def write(folder, counts):
    pieces = {name: [[[21, 108], [60]][: 1 + i % 2] for i in range(n)] for name, n in counts.items()}
    (folder / "jsb-chorales-quarter.json").write_text(json.dumps(pieces))


def test_a_file_of_that_form(tmp_path, monkeypatch):
    write(tmp_path, {"train": 229, "valid": 76, "test": 77})
    monkeypatch.setenv("SYMDGM_DATA", str(tmp_path))
    data = chorales()
    assert [len(part.lengths) for part in data] == [229, 76, 77]
    assert data.train.steps.shape == (229, 2, 88) and data.train.lengths[:4].tolist() == [1, 2, 1, 2]
    assert data.train.steps[1].nonzero().tolist() == [[0, 0], [0, 87], [1, 39]]
    assert data.train.steps[0, 1].sum() == 0
    assert repr(data.test) == "Ragged(77 sequences of 1 to 2 steps, [77, 2, 88])"


@pytest.mark.skipif(not (SHARED / "jsb-chorales-quarter.json").exists(), reason="the file is not here")
def test_the_real_file():
    data = chorales(SHARED)
    assert [len(part.lengths) for part in data] == [229, 76, 77]
    assert int(data.train.lengths.max()) == 129 and data.train.lengths[0] == 129
    notes = json.loads((SHARED / "jsb-chorales-quarter.json").read_text())["train"][0]
    found = [(row.nonzero().flatten() + 21).tolist() for row in data.train.steps[0]]
    assert found == [sorted(set(step)) for step in notes]
    assert set(data.test.steps.unique().tolist()) == {0.0, 1.0}


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"there is no `jsb-chorales-quarter\.json`"):
        chorales(tmp_path)
    write(tmp_path, {"train": 1, "valid": 76, "test": 77})
    with pytest.raises(DataError, match="is not the file of the chorales"):
        chorales(tmp_path)
    (tmp_path / "jsb-chorales-quarter.json").write_text("{")
    with pytest.raises(DataError, match="is no JSON"):
        chorales(tmp_path)


def test_sequences_of_different_lengths():
    data = ragged([torch.ones(2), torch.ones(3), torch.ones(1)])
    assert data.lengths.tolist() == [2, 3, 1]
    torch.testing.assert_close(data.steps, torch.tensor([[1.0, 1, 0], [1, 1, 1], [1, 0, 0]]))
    with pytest.raises(DataError, match="there are no sequences"):
        ragged([])
    with pytest.raises(DataError, match="different events"):
        ragged([torch.ones(2, 1), torch.ones(2, 2)])
    with pytest.raises(DataError, match="different events"):
        ragged([torch.ones(2, 1), torch.ones(2, 1).double()])
    with pytest.raises(DataError, match="one has no steps"):
        ragged([torch.ones(0, 1)])
