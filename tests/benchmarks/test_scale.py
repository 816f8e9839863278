"""Cost against size, and of building: what is linear is linear, and the scripts run."""

from __future__ import annotations

import pytest

from benchmarks import building, scale


@pytest.mark.parametrize(("name", "sizes"), [("batch", (64, 128)), ("draws", (20, 40)), ("steps", (8, 16))])
def test_memory_is_linear(name, sizes):
    small, large = scale.sweep(name, sizes)
    assert large.mb == pytest.approx(2 * small.mb, rel=0.06)
    assert small.ms > 0


def test_states_are_done_a_few_at_a_time_beyond_the_budget():
    within, beyond = scale.sweep(f"states within {scale.BUDGET}", (64, 512))
    assert within.mb == pytest.approx(scale.sweep("states", (64,))[0].mb, rel=0.01)
    assert beyond.mb < within.mb


def test_building_is_linear_in_the_number_of_terms():
    times = building.term_seconds((100, 400))
    assert times[400] < 6 * times[100] and times[400] < 3


def test_models_are_built_in_a_moment():
    """On a machine with nothing else to do within 50 ms; here four times that is let pass."""
    for name, (first, _) in building.build_ms(
        {n: building.MODELS[n] for n in ("vae", "iwae", "gan")}
    ).items():
        assert first < 200, name


def test_importing_costs_little_beside_torch():
    found = building.import_seconds(2)
    assert found["symdgm after torch"] < found["torch"]
    assert found["symdgm without torch, and an equation read"] < found["torch"] + 0.2


def test_the_table_and_the_picture_are_drawn(tmp_path):
    found = {"batch": [scale.Point(1, 1.0, 0.5), scale.Point(2, 2.0, 1.0)]}
    scale.draw(found, tmp_path / "scale.png")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")
    assert "| batch | 2 | 2.0 | 1.00 | 1.000 | 500.0 |" in scale.table(found)
