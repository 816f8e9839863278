r"""The spelling of names: Greek letters, decorations, and the one ASCII form that each has.

This table belongs to the whole package: the grammar, the distributions' declarations and the display use it.

Example:
    >>> canonical("q_φ(z∣x)"), canonical(r"\mu_{1}")
    ('q_phi(z|x)', 'mu_1')
"""

from __future__ import annotations

import re
import unicodedata

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "omicron": "ο", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ",
    "chi": "χ", "psi": "ψ", "omega": "ω",
    "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ",
    "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "ell": "ℓ",
}  # fmt: skip
"""Canonical ASCII name → the letter that a terminal shows."""

VARIANTS = {
    "epsilon": "eps", "varepsilon": "eps", "varphi": "phi", "vartheta": "theta", "varrho": "rho",
    "varsigma": "sigma", "varpi": "pi", "varkappa": "kappa",
    "ϵ": "eps", "ϕ": "phi", "ϑ": "theta", "ϱ": "rho", "ς": "sigma", "ϖ": "pi", "ϰ": "kappa", "µ": "mu",
}  # fmt: skip
"""Other spellings of a Greek letter → its canonical ASCII name."""

DECORATIONS = {
    "hat": "\u0302",
    "tilde": "\u0303",
    "bar": "\u0304",
    "dot": "\u0307",
    "ddot": "\u0308",
    "vec": "\u20d7",
    "star": "*",
}
"""Decoration suffix → the combining character (or the star) that a terminal shows."""

LETTERS = {letter: name for name, letter in GREEK.items()} | {
    other: name for other, name in VARIANTS.items() if len(other) == 1
}
"""Greek letter → its canonical ASCII name."""


def canonical(text: str) -> str:
    r"""The one ASCII spelling of a name or a declaration: no spaces, no LaTeX backslashes, Greek by name.

    Example:
        >>> canonical("p(x_1 , \\phi | z_{t-1})")
        'p(x_1,phi|z_{t-1})'
    """
    text = unicodedata.normalize("NFC", text).replace("∣", "|").replace("\\mid", "|").replace("\\", "")
    text = re.sub(r"\s+", "", text)
    text = "".join(LETTERS.get(c, c) for c in text)
    text = re.sub(r"[A-Za-z]+", lambda m: VARIANTS.get(m.group(), m.group()), text)
    return re.sub(r"_\{([A-Za-z0-9]+)\}", r"_\1", text)


def differential(name: str) -> str:
    """``dz``; where that would be read as one name, with a blank.

    Example:
        >>> differential("z_1"), differential("theta"), differential("latent")
        ('dz_1', 'dtheta', 'd latent')
    """
    word = re.split(r"[^A-Za-z0-9]", name, maxsplit=1)[0]
    return f"d {name}" if len(word) > 1 and word not in GREEK else f"d{name}"
