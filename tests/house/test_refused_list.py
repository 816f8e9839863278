"""What is refused is listed, whole, in the README and in the changelog."""

from pathlib import Path

import pytest

from symdgm.binding.unsupported import CONSTRUCTS, FUNCTIONS
from symdgm.expressions.applications import Transposed
from symdgm.expressions.calculus import IntegralOver
from symdgm.expressions.names import IndexRange, Listing, Placeholder
from symdgm.expressions.statements import Definition, Optimize

ROOT = Path(__file__).resolve().parents[2]

WORDS = {
    IntegralOver: "integrals",
    Transposed: "transposes",
    IndexRange: "variables over a range",
    Listing: "listings",
    Placeholder: "arguments left open",
    Optimize: "optimisations inside a formula",
    Definition: "equations inside a formula",
}
"""The construct → how the lists name it."""

OTHERS = (
    "Bayes' rule",
    "densities by family inside a formula",
    "steps of a sequence",
    "upright labels",
    "an index over a list of values",
)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_every_refusal_is_listed(name: str) -> None:
    text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    refused = text[text.index("refused as not yet" if name == "README.md" else "Not yet supported") :]
    assert set(WORDS) == set(CONSTRUCTS)
    for words in (*WORDS.values(), *OTHERS, *(f"`{function}`" for function in FUNCTIONS)):
        assert words in refused, words
