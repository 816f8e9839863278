"""Piano rolls: which notes are drawn where, and by which names."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from symdgm.display.rolls import VOICES, colour_of, name_of, notes, rolls


def piece():
    """C4 for four steps, E4 for the first two, then G4 for two."""
    roll = torch.zeros(4, 88)
    roll[:, 39] = 1
    roll[:2, 43] = 1
    roll[2:, 46] = 1
    return roll


def boxes(axes):
    """Key, first step and length of each note."""
    found = [p for p in axes.patches if p.get_zorder() == 3]
    places = [(p.get_y() + 0.42, p.get_x() - 0.06, p.get_width() + 0.12) for p in found]
    return sorted(tuple(map(round, place)) for place in places)


def test_notes_are_drawn_at_their_keys_as_long_as_they_sound():
    picture = rolls({"one": piece(), "other": piece()[:2]}, given={"other": 1}, title="both")
    one, other = picture.figure.axes
    assert boxes(one) == [(60, 0, 4), (64, 0, 2), (67, 2, 2)]
    assert boxes(other) == [(60, 0, 2), (64, 0, 2)]
    assert one.get_title(loc="left") == "one" and picture.figure.get_suptitle() == "both"
    assert [t.get_text() for t in one.get_yticklabels()] == ["C4", "G4"]
    assert one.get_xlim() == other.get_xlim() == (0, 4)


def test_what_was_given_has_a_ground_of_its_own():
    picture = rolls({"one": piece(), "other": piece()}, given={"other": 3})
    grounds = [[p.get_width() for p in axes.patches if p.get_zorder() == 0.5] for axes in picture.figure.axes]
    assert grounds == [[], [3.0]]


def test_voices_are_counted_from_the_top():
    found = notes(piece().bool().numpy())
    assert [(key, colour) for key, _, _, colour in found] == [
        (39, VOICES[1]),
        (43, VOICES[0]),
        (46, VOICES[0]),
    ]
    assert colour_of(4) == VOICES[3] and colour_of(5) == colour_of(9) not in VOICES


def test_silence_is_drawn_too():
    assert boxes(rolls({"rest": np.zeros((3, 88))}).figure.axes[0]) == []


@pytest.mark.parametrize(("key", "name"), [(21, "A0"), (60, "C4"), (61, "C♯4"), (108, "C8")])
def test_keys_have_names(key, name):
    assert name_of(key) == name
