"""The networks of the zoo."""

from __future__ import annotations

import pytest

from symdgm import zoo
from symdgm.errors import OptionError
from symdgm.zoo.networks import network


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "wide"])
def test_sizes_are_whole_numbers(size: object) -> None:
    with pytest.raises(OptionError, match=f"`hidden` is {size!r}\nwrite a whole number, 1 or more"):
        zoo.vae(4, hidden=size)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=f"`outputs` is {size!r}"):
        network(4, outputs=size)  # type: ignore[arg-type]
