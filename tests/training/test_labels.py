"""Names of terms stay different when they are shortened."""

import pytest

from symdgm.training.labels import number, short_names


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["E_q(z|x)[log p(x|z)]", "KL[q(z|x) || p(z)]"], ["E[log p(x|z)]", "KL"]),
        (["𝔼_{q(z|x)}[log p(x|z)]"], ["𝔼[log p(x|z)]"]),
        (["E_q[log p(x|z)]", "E_r[log p(x|z)]"], ["E_q[log p(x|z)]", "E_r[log p(x|z)]"]),
        (["KL[q(y) || p(y)]", "KL[q(z) || p(z)]"], ["KL[q(y) || p(y)]", "KL[q(z) || p(z)]"]),
        (["D_KL[q || p]", "H[q]"], ["D_KL", "H"]),
        (["a" * 40], ["a" * 27 + "…"]),
        (["a" * 40, "a" * 41], ["a" * 40, "a" * 41]),
        (["G: E_p(z)[log D(G(z))]"], ["G: E[log D(G(z))]"]),
        (["E_{z ~ q(z|x)}[f]"], ["E[f]"]),
        ([], []),
    ],
)
def test_short_names(names, short):
    assert short_names(names) == short


def test_numbers():
    assert [number(v) for v in (-81.2, 22.0512, 1234.5, 0.0, float("nan"), -123456.0)] == [
        "−81.20",
        "22.05",
        "1234",
        "0.000",
        "nan",
        "−1.235e+05",
    ]
