"""Rules that turn an equation into one that can be computed, and the record of what they did."""

from symdgm.rewriting.derivation import Derivation, Term, derive
from symdgm.rewriting.facts import Facts
from symdgm.rewriting.rule import Change, Kind, Rule, Step

__all__ = ["Change", "Derivation", "Facts", "Kind", "Rule", "Step", "Term", "derive"]
