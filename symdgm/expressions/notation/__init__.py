"""The language written out: the text that `symdgm.parse` reads back as the same tree, in three spellings.

| module | notion |
| --- | --- |
| `pieces` | a piece of text and what may stand beside it |
| `letters` | names, Greek letters and decorations |
| `spelling` | what a spelling is, and the tables of ASCII, Unicode and LaTeX |
| `arithmetic` | sums, products, fractions, powers: brackets by precedence |
| `terms` | names, applications, expectations, big operators |
| `statements` | model blocks |
| `walk` | from a tree to text, without recursion |
"""

from symdgm.expressions.notation.walk import ascii, latex, unicode

__all__ = ["ascii", "latex", "unicode"]
