"""How long, deep and large a text may be.

Beyond these it is refused at once, so that no text can hang the reader.
"""

MAX_CHARACTERS = 32_768
"""Characters of a text."""

MAX_DEPTH = 64
"""Brackets within brackets."""

MAX_NESTING = 150
"""Nodes within nodes.

Brackets, functions without brackets, signs, fractions of fractions, powers of powers.
"""

MAX_STATEMENTS = 1_000
"""Statements of a model block."""

MAX_DIGITS = 60
"""Digits of a number."""

MAX_EXPONENT = 1_000
"""A whole number as an exponent, and the power of ten of a number."""

MAX_INDEX = 1_000_000
"""A whole number as an index or as the bound of one."""
