"""What heads are called.

Divergences, functions, operators, in the spellings that are left after the first passes.
"""

from __future__ import annotations

from symdgm.parsing.words import GROUPS

KINDS = {
    "KL": "KL", "D_KL": "KL", "DKL": "KL", "JS": "JS", "D_JS": "JS", "JSD": "JS", "D_JSD": "JS",
    "W": "W_1", "W_1": "W_1",
    "W_2": "W_2", "MMD": "MMD", "D_MMD": "MMD", "TV": "TV", "D_TV": "TV", "Hellinger": "Hellinger",
    "D_H": "Hellinger", "Bhattacharyya": "Bhattacharyya",
    "chi2": "chi2", "D_chi2": "chi2", "SW": "SW", "Renyi": "Renyi", "D": "Renyi",
    "Energy": "Energy", "Sinkhorn": "Sinkhorn",
}  # fmt: skip
"""How a divergence is written → its kind.

``Renyi`` and ``D`` with another subscript have it as their order.
"""

LETTERS_ALONE = frozenset({"W", "D", "W_1", "W_2", "SW", "H", "I", "TV", "JS"})
"""Names that are networks as well, unless their bracket holds two distributions."""

NETWORKS_IN_PARENTHESES = frozenset({"Energy"})
"""Names that are networks of any number of arguments, unless they have square brackets or ``||``."""

DISTRIBUTIONS = ("p", "q", "data", "pi")
CANONICAL = {
    "ln": "log", "√": "sqrt", "ReLU": "relu", "Tr": "tr", "trace": "tr", "stopgrad": "sg", "stop_grad": "sg",
    "stop_gradient": "sg",
}  # fmt: skip
OPTIMIZE = {"max": "maximize", "min": "minimize", "sup": "maximize", "inf": "minimize"}
DERIVATIVES = {"∇": "grad", "nabla": "grad", "\\nabla": "grad"}
ARGUMENT_BEFORE = frozenset({"LPAR", "ARGS_OPEN", "COMMA", "BAR", "SEMI"})
ARGUMENT_AFTER = frozenset({"RPAR", "ARGS_CLOSE", "COMMA", "BAR", "SEMI"})
OPERANDS_AFTER = (
    frozenset({"NAME", "NUMBER", "FUNCTION", "DERIVATIVE", "DOUBLE", "NORM_OPEN", "FRACTION"}) | GROUPS
)
RELATIONS = {
    "≤": "<=", "≥": ">=", "≠": "!=", "∈": "in", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=",
    "geq": ">=",
    "geqslant": ">=", "ne": "!=", "neq": "!=", "lt": "<", "gt": ">", "in": "in",
}  # fmt: skip
