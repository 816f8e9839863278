"""Names of the mathematics as Python identifiers; no text of a user reaches the code in any other way."""

from __future__ import annotations

import builtins
import json
import keyword
import re

from symdgm.lowering.sample_helpers import SAMPLE_HELPERS

RESERVED = {
    *SAMPLE_HELPERS,
    "torch", "math", "binary_cross_entropy_with_logits", "softplus", "logsigmoid", "xlogy",
    "weighted", "objective",
    "differentiable", "jacobian", "diagonal_sum", "permuted",
    "log_product", "forward_messages", "tree_of_steps", "forward_algorithm", "kalman_steps", "kalman_filter",
    "log_weighted_sum", "backwards", "unpadded", "latest", "PackedSequence", "count", "time",
    "checkpoint", "in_parts", "part", "segment", "steps", "start", "kept", "before",
    "score", "leave_one_out", "without_each", "Minimised", "antithetic", "disarm", "stacked", "rebar",
    "reweighted", "terms", "value", "n", "dtype", "device",
}  # fmt: skip
"""Names that the generated code uses itself."""


def identifier(text: str) -> str:
    """A Python identifier for a name: ``z_{t-1}`` → ``z_t_minus_1``, ``q(z|x)`` → ``q_z_x``.

    Example:
        >>> identifier("z_{t-1}"), identifier("lambda"), identifier("x'")
        ('z_t_minus_1', 'lambda_', 'x_prime')
    """
    text = text.replace("'", "_prime").replace("-", "_minus_").replace("+", "_plus_").replace("*", "_star")
    text = re.sub(r"[^0-9A-Za-z_]+", "_", text)
    text = re.sub(r"__+", "_", text).strip("_") or "value"
    if text[0].isdigit():
        text = f"v_{text}"
    if keyword.iskeyword(text) or text in RESERVED or text in vars(builtins):
        text += "_"
    return text


def snake(name: str) -> str:
    """``ConvEncoder`` → ``conv_encoder``."""
    return identifier(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def literal(text: str) -> str:
    """A text as a Python literal in double quotes.

    Example:
        >>> print(literal('KL[q || p]'))
        "KL[q || p]"
    """
    return json.dumps(text)  # every string of JSON is one of Python


class Names:
    """Identifiers that are given out once each.

    Example:
        >>> names = Names(["x"])
        >>> names.fresh("z"), names.fresh("z"), names.fresh("x")
        ('z', 'z_2', 'x_2')
    """

    def __init__(self, taken: list[str] | None = None) -> None:
        self._taken = set(taken or ())

    def fresh(self, text: str) -> str:
        """An identifier for ``text`` that was not given out before."""
        base = identifier(text)
        name, count = base, 1
        while name in self._taken:
            count += 1
            name = f"{base}_{count}"
        self._taken.add(name)
        return name
