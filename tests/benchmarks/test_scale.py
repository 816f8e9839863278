"""Cost against size, and of building: what is linear is linear, and the scripts run."""

from __future__ import annotations

import pytest

from benchmarks import building, scale


@pytest.mark.parametrize(("name", "sizes"), [("batch", (64, 128)), ("draws", (20, 40)), ("steps", (8, 16))])
def test_memory_is_linear(name, sizes):
    small, large = scale.sweep(name, sizes)
    assert large.mb == pytest.approx(2 * small.mb, rel=0.1)
    assert small.ms > 0


def test_states_are_done_a_few_at_a_time_beyond_the_budget():
    within, beyond = scale.sweep(f"states within {scale.BUDGET}", (64, 512))
    assert within.mb == pytest.approx(scale.sweep("states", (64,))[0].mb, rel=0.01)
    assert beyond.mb < within.mb


def test_building_is_not_quadratic_in_the_number_of_terms():
    """Four times the terms in sixteen times the time would be; the benchmark holds the times themselves."""
    times = building.term_seconds((100, 400))
    assert times[400] < 10 * times[100]


def test_the_times_of_building_and_importing_are_taken():
    models = {name: building.MODELS[name] for name in ("vae", "gan")}
    assert all(first > 0 and again > 0 for first, again in building.build_ms(models).values())
    assert all(seconds > 0 for seconds in building.import_seconds(1).values())


def test_the_table_and_the_picture_are_drawn(tmp_path):
    found = {"batch": [scale.Point(1, 1.0, 0.5), scale.Point(2, 2.0, 1.0)]}
    scale.draw(found, tmp_path / "scale.png")
    assert (tmp_path / "scale.png").read_bytes().startswith(b"\x89PNG")
    assert "| batch | 2 | 2.0 | 1.00 | 1.000 | 500.0 |" in scale.table(found)
