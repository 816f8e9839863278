"""The networks of the zoo."""

from __future__ import annotations

import pytest

from symdgm import zoo
from symdgm.errors import OptionError
from symdgm.zoo.networks import network


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "wide"])
def test_sizes_are_whole_numbers(size: object) -> None:
    words = f"the size of a layer is a whole number from 1 on, not {size!r}"
    with pytest.raises(OptionError, match=words):
        zoo.vae(4, hidden=size)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=words):
        network(4, outputs=size)  # type: ignore[arg-type]
