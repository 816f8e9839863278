"""What a refusal shows of the author's text."""

from symdgm.errors import SymdgmError


def test_a_text_without_a_place_is_shown_only_if_it_is_one_line() -> None:
    """Of several lines the first one would be shown as if it were wrong."""
    error = SymdgmError("wrong", hint="write it right")
    assert str(error.at("p(x) = 3", None)) == "wrong\n  p(x) = 3\nwrite it right"
    assert str(error.at("\np(x) = 3\nmaximize J\n", None)) == "wrong\nwrite it right"
    assert str(error.at("p(x) = 3\nmaximize J", (9, 17))) == "wrong\n  maximize J\n  ^\nwrite it right"
