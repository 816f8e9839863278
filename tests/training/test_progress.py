"""What is shown: a bar with every term where somebody looks, lines in a log, nothing when asked."""

import io
import sys
import types

import pytest
from training_models import VAE, images

from symdgm.training import fit
from symdgm.training.history import EpochRecord
from symdgm.training.progress import (
    Bar,
    Lines,
    Silence,
    in_notebook,
    make_progress,
    summary,
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_an_epoch_where_there_is_no_terminal(capsys):
    fit(VAE(), images(), epochs=2, seed=0, validation=images(20))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 2
    assert lines[1].startswith("epoch 2/2  value −") and "E[log p(x|z)] −" in lines[1] and "KL " in lines[1]
    assert "validation −" in lines[1]


def test_silence(capsys):
    fit(VAE(), images(), epochs=2, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("columns", [100, 140])
def test_a_bar_in_a_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    fit(VAE(), images(), epochs=2, seed=0, validation=images(20))
    last = terminal.getvalue().rstrip("\n").split("\r")[-1]
    for words in ("epoch 2/2", "100%", "value −", "E[log p(x|z)] −", "KL ", "validation −"):
        assert words in last
    assert ("step/s" in last) == (columns == 140) and len(last) <= columns
    assert terminal.getvalue().count("\n") == 1


def test_a_bar_for_batches_of_unknown_number(monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    fit(VAE(), ({"x": x} for x in images().split(100)), seed=0)
    assert "3 steps" in terminal.getvalue() and "epoch 1/1" in terminal.getvalue()


def test_a_notebook_is_written_to_as_text(monkeypatch):
    assert not in_notebook()
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr(sys, "stdout", out := io.StringIO())
    assert in_notebook()
    progress = make_progress(True, 1, 3, 0)
    assert isinstance(progress, Bar)
    progress.close()
    assert "0%" in out.getvalue()
    ipython.get_ipython = lambda: None
    assert not in_notebook()


def test_which_progress(monkeypatch):
    assert isinstance(make_progress(False, 1, 1, 0), Silence)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(make_progress(True, 1, 1, 0), Lines)


def test_a_single_term_which_is_the_objective_is_not_said_twice():
    assert summary(EpochRecord(1, 1, 0.1, 2.0, {"log p(x)": 2.0})) == "value 2.000"
