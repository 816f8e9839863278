"""What is refused is listed, whole, in the README and in the changelog."""

from pathlib import Path

import pytest

from symdgm.binding.unsupported import CONSTRUCTS, FUNCTIONS
from symdgm.expressions.applications import Indicator, Transposed
from symdgm.expressions.calculus import DerivativeBy, IntegralOver
from symdgm.expressions.expectations import MutualInformation
from symdgm.expressions.names import IndexRange, Labelled, Listing, Placeholder, Relation
from symdgm.expressions.statements import Definition, Optimize, Proportional

ROOT = Path(__file__).resolve().parents[2]

WORDS = {
    DerivativeBy: "derivatives",
    IntegralOver: "integrals",
    Transposed: "transposes",
    Indicator: "indicators",
    MutualInformation: "mutual information",
    Labelled: "superscript labels",
    IndexRange: "variables over a range",
    Relation: "conditions",
    Listing: "listings",
    Placeholder: "arguments left open",
    Optimize: "optimisations inside a formula",
    Proportional: "`propto`",
    Definition: "deterministic values (`h = g(z)`)",
}
"""The construct → how the lists name it."""

OTHERS = (
    "several objectives",
    "Bayes' rule",
    "laws written in place",
    "densities by family inside a formula",
)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_every_refusal_is_listed(name: str) -> None:
    text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    refused = text[text.index("refused as not yet" if name == "README.md" else "Not yet supported") :]
    assert set(WORDS) == set(CONSTRUCTS)
    for words in (*WORDS.values(), *OTHERS, *(f"`{function}`" for function in FUNCTIONS)):
        assert words in refused, words
