"""Pictures: what is drawn where, and that nothing global is touched."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from symdgm.display.figures import check_path, curves, grid, images, overview
from symdgm.errors import OptionError, SymdgmError
from symdgm.training import EpochRecord

EPOCHS = [
    EpochRecord(i, i, 0.1, -10.0 / i, {"A": -8.0 / i, "KL[q || p]": 2.0 / i}, -11.0 / i) for i in (1, 2, 3)
]


def drawn(picture, index=0):
    return picture.figure.axes[index]


def mosaic(axes):
    return np.asarray(axes.images[0].get_array().filled(np.nan))


def test_a_grid_holds_each_image_at_its_place():
    stack = np.arange(5.0)[:, None, None] / 5 + np.zeros((5, 2, 3))
    shown = mosaic(drawn(grid(stack, (2, 3), columns=3)))
    assert shown.shape == (2 * 3, 3 * 4)
    for i in range(5):
        row, column = divmod(i, 3)
        assert (shown[3 * row : 3 * row + 2, 4 * column : 4 * column + 3] == i / 5).all()
    assert np.isnan(shown[2]).all()
    assert np.isnan(shown[3:, 8:]).all()


def test_flat_images_and_tensors_are_the_same_picture():
    stack = torch.rand(4, 6)
    flat, square = (mosaic(drawn(grid(s, (2, 3)))) for s in (stack, stack.reshape(4, 2, 3).numpy()))
    assert np.array_equal(flat, square, equal_nan=True)


def test_rows_of_images_are_named():
    axes = drawn(images({"data": np.zeros((3, 4)), "again": np.ones((3, 4))}, (2, 2), title="T"))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["data", "again"]
    assert axes.get_title(loc="left") == "T"
    shown = mosaic(axes)
    assert np.nanmax(shown[:3]) == 0
    assert np.nanmin(shown[3:]) == 1


def test_curves_show_the_objective_its_validation_and_every_term():
    axes = drawn(curves(EPOCHS, objective="ELBO"))
    lines = {
        line.get_label(): line.get_ydata() for line in axes.lines if not line.get_label().startswith("_")
    }
    assert list(lines) == ["ELBO, training:  −3.3", "A:  −2.7", "KL[q || p]:  0.7", "ELBO, validation:  −3.7"]
    assert list(lines["A:  −2.7"]) == [-8.0, -4.0, -8 / 3]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "nats per image")
    assert len({line.get_color() for line in axes.lines[:3]}) == 3


def test_a_picture_without_a_notebook_says_its_size():
    assert repr(curves(EPOCHS)) == f"Picture(6.4 by {4.2 + 0.35 * len(EPOCHS[-1].terms):.1f} inches)"


def test_names_of_terms_are_typeset():
    axes = drawn(curves(EPOCHS, typeset=lambda name: rf"\mathcal{{L}}_{{{name[0]}}}"))
    assert axes.lines[1].get_label().startswith(r"$\mathcal{L}_{A}$")


def test_a_single_epoch_can_be_drawn():
    content, page = curves(EPOCHS[:1])._repr_png_()
    assert content[1:4] == b"PNG"
    assert 2 * page["width"] == int.from_bytes(content[16:20], "big")


def test_an_overview_has_all_three(tmp_path):
    picture = overview("T", {"x": np.zeros((3, 4))}, np.ones((6, 4)), (2, 2), EPOCHS)
    assert len(picture.figure.axes) == 3
    picture.save(tmp_path / "new" / "overview.png")
    assert (tmp_path / "new" / "overview.png").stat().st_size > 10_000


def test_a_name_that_is_no_picture_is_refused(tmp_path):
    check_path("a/b.png")
    with pytest.raises(OptionError, match=r"`a.xyz` is no name of a picture\nit may end with .*\.png"):
        check_path("a.xyz")
    with pytest.raises(OptionError, match="`picture` is no name of a picture"):
        check_path("picture")


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(SymdgmError, match="not installed\npip install matplotlib"):
        grid(np.zeros((1, 4)), (2, 2))


def test_no_global_state_of_matplotlib_is_touched():
    import matplotlib.pyplot as plt

    settings, figures = dict.copy(plt.rcParams), plt.get_fignums()
    overview("T", {"x": np.zeros((3, 4))}, np.ones((6, 4)), (2, 2), EPOCHS)._repr_png_()
    assert dict.copy(plt.rcParams) == settings
    assert plt.get_fignums() == figures
