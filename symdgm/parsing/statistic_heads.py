"""Heads of statistics: divergences, entropies, informations. Each says whether the name is one."""

from __future__ import annotations

from symdgm.parsing.finding import Finding
from symdgm.parsing.heads import DISTRIBUTIONS, KINDS, LETTERS_ALONE, NETWORKS_IN_PARENTHESES
from symdgm.parsing.refusals import refusal
from symdgm.parsing.words import GROUPS


def divergence(finding: Finding, i: int) -> bool:
    """A divergence: known by its name and subscript, with a bracket that holds two distributions."""
    text = finding.tokens[i].text
    behind, ordered = i + 1, False
    if finding.type_at(behind) == "SUB_OPEN":
        close = finding.partner[behind]
        subscript = "".join(
            token.text for token in finding.tokens[behind + 1 : close] if token.type in ("NAME", "NUMBER")
        )
        subscript = "chi2" if _is_squared_chi(finding, behind + 1, close) else subscript
        known = f"{text}_{subscript}" in KINDS
        if not known and text not in ("D", "Renyi"):
            return False
        text = f"{text}_{subscript}" if known else text
        ordered = not known
        first, behind = behind, close + 1
    bracket = behind
    while finding.type_at(bracket) == "SUP_OPEN":
        bracket = finding.partner[bracket] + 1
    if text == "chi":
        text = "chi2"
    if finding.type_at(bracket) not in GROUPS or not _two_sided(finding, text, bracket):
        return False
    if text in ("D", "Renyi") and not ordered:
        raise refusal("which-divergence", finding.tokens[i], name=text)
    if text == "D" and finding.tokens[first + 1].text == "f":
        raise refusal("which-divergence", finding.tokens[i], name="D_f")
    finding.decide(i, "DIVERGENCE", KINDS[text])
    finding.bracket(bracket, "SIDES_OPEN")
    if not ordered:
        finding.dropped.update(range(i + 1, behind))
    if bracket > behind:
        finding.dropped.update(range(behind, bracket))
        finding.moved[finding.partner[bracket]] = (behind, bracket)
    return True


def _is_squared_chi(finding: Finding, start: int, stop: int) -> bool:
    return finding.tokens[start].text == "chi" and stop > start + 1


def squared_chi(finding: Finding, i: int) -> bool:
    """``chi^2[q || p]``."""
    if (
        finding.type_at(i + 1) != "SUP_OPEN"
        or finding.tokens[i + 2].text != "2"
        or finding.type_at(i + 4) not in GROUPS
    ):
        return False
    if "DOUBLE" not in finding.inside[i + 4]:
        return False
    finding.decide(i, "DIVERGENCE", "chi2")
    finding.dropped.update(range(i + 1, i + 4))
    finding.bracket(i + 4, "SIDES_OPEN")
    return True


def _two_sided(finding: Finding, text: str, bracket: int) -> bool:
    """Does the bracket hold two distributions? Where the name can only be a divergence, it has to."""
    inside = finding.inside[bracket]
    if "DOUBLE" in inside:
        return True
    if text == "D":
        return False
    if text in NETWORKS_IN_PARENTHESES:
        return finding.type_at(bracket) == "LSQB"
    return text not in LETTERS_ALONE or finding.type_at(bracket) == "LSQB" or "COMMA" in inside


def entropy(finding: Finding, i: int) -> bool:
    """``H[q]``, ``H[q, p]``; ``H(x)`` is a network."""
    bracket = i + 1
    if finding.type_at(bracket) not in GROUPS:
        return False
    if finding.type_at(bracket) == "LPAR" and not _distribution(finding, bracket):
        return False
    finding.decide(i, "ENTROPY")
    finding.bracket(bracket)
    return True


def _distribution(finding: Finding, bracket: int) -> bool:
    """Does the bracket start with what can only be a distribution: ``q``, ``p(x)``, ``r(x|z)``?"""
    name = finding.tokens[bracket + 1].text
    if finding.type_at(bracket + 1) != "NAME":
        return False
    if name in DISTRIBUTIONS:
        return True
    arguments = finding.behind_scripts(bracket + 1)
    return finding.type_at(arguments) == "LPAR" and "BAR" in finding.inside[arguments]


def information(finding: Finding, i: int) -> bool:
    """``I[x; z]``."""
    bracket = i + 1
    if finding.type_at(bracket) == "SUB_OPEN":
        bracket = finding.partner[bracket] + 1
    if finding.type_at(bracket) not in GROUPS or "SEMI" not in finding.inside[bracket]:
        return False
    if bracket > i + 1:
        raise refusal("information-with-subscript", finding.tokens[i])
    if "BAR" in finding.inside[bracket]:
        raise refusal("conditional-information", finding.tokens[i])
    finding.decide(i, "INFORMATION")
    finding.bracket(bracket)
    return True
