"""How distributions are written."""

from __future__ import annotations

import pytest

import symdgm as sdgm
from symdgm.distributions import Declaration
from symdgm.distributions.notation import LATEX, TEXT

NAMES = {
    "z": "z",
    "q_phi": r"q_{\phi}",
    "theta": r"\theta",
    "eps": r"\varepsilon",
    "epsilon_t": r"epsilon_{t}",
    "z_{t-1}": "z_{t-1}",
    "x_{1:T}": "x_{1:T}",
    "x'": "x'",
    "z_hat_{t-1}": r"\hat{z}_{t-1}",
    "a_bar_t": r"\bar{a}_{t}",
    "x_star": "x^*",
    "x_i^{(k)}": "x_{i}^{(k)}",
    "theta_phi": r"\theta_{\phi}",
}


@pytest.mark.parametrize(("name", "latex"), NAMES.items(), ids=NAMES)
def test_names_in_latex(name: str, latex: str) -> None:
    assert LATEX.name(name) == latex
    assert TEXT.name(name) == name


@pytest.mark.parametrize("name", [n for n in NAMES if "epsilon" not in n])
def test_heads_in_latex_are_read_back(name: str) -> None:
    head = Declaration("q_phi", (name,), ("y",))
    assert Declaration.parse(LATEX.head(head)) == head
    assert Declaration.parse(TEXT.head(head)) == head
    assert sdgm.signature(sdgm.parse(TEXT.head(head))) == sdgm.signature(sdgm.parse(LATEX.head(head)))


def test_sums_and_integrals() -> None:
    assert TEXT.integral("b", ["z", "w"], ["y", "k_1"]) == "sum_y sum_{k_1} int b dz dw"
    assert LATEX.integral("b", ["z_t"], ["k"]) == r"\sum_{k} \int b \, dz_{t}"
    assert TEXT.ratio("p(x) p(z)", "p(x|z)") == "p(x) p(z) / p(x|z)"
    assert TEXT.ratio("a", "p(x, y)") == "a / (p(x, y))"
    assert TEXT.equation("p(x)", None) == "p(x)"
    assert (TEXT.proportional("p(x)", "e"), LATEX.proportional("p(x)", "e")) == (
        "p(x) propto e",
        r"p(x) \propto e",
    )
