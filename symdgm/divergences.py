"""How the divergences of samples in an objective are estimated: ``divergences={"MMD": MMD(kernel="imq")}``.

| written | value | default |
| --- | --- | --- |
| ``MMD[q || p]`` | squared maximum mean discrepancy | U-statistic, Gaussian kernels of median widths |
| ``Energy[q || p]`` | energy distance | U-statistic |
| ``SW[q || p]`` | sliced Wasserstein distance | 128 directions, order 1 |
| ``W[q || p]`` | the same, where no critic is bound | |
| ``Sinkhorn[q || p]`` | Sinkhorn divergence, by geomloss | blur 0.05, order 2 |

An entry of ``divergences`` is for a kind, ``"MMD"``, or for one divergence as it is written,
``"MMD[q(z) || p(z)]"``, which goes before its kind.
"""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Basic

from symdgm.binding import Bound
from symdgm.errors import OptionError, suggest
from symdgm.expressions.expectations import SAMPLED, DivergenceBetween
from symdgm.given import table
from symdgm.lowering.divergence_options import MMD, Energy, Option, Sinkhorn, SlicedWasserstein
from symdgm.parsing import parse

__all__ = ["MMD", "Energy", "Sinkhorn", "SlicedWasserstein"]


def read_divergences(given: Mapping[str, Option] | None) -> dict[Basic | str, Option]:
    """The option ``divergences`` of an objective, with divergences that are written out read.

    Args:
        given: a divergence or the name of a kind → how it is estimated.

    Raises:
        OptionError: what is no divergence of samples, or no way to estimate one.
    """
    found: dict[Basic | str, Option] = {}
    for key, option in table("divergences", given, "divergences={'MMD': sd.divergences.MMD()}").items():
        if not isinstance(option, Option):
            raise OptionError(
                f"`divergences` says {option!r} for `{key}`",
                hint="write `sd.divergences.MMD(...)`, `Energy`, `SlicedWasserstein` or `Sinkhorn`",
            )
        found[_key(key)] = option
    return found


def _key(text: str) -> Basic | str:
    """The kind, or the divergence that is written."""
    kind = "W_1" if text == "W" else text
    if kind in SAMPLED:
        return kind
    node = parse(text)
    if not isinstance(node, DivergenceBetween) or node.kind not in SAMPLED:
        raise OptionError(
            f"`{text}` is no divergence of samples",
            hint=f"name a kind or a divergence, as in `MMD[q(z) || p(z)]`; {suggest(text, SAMPLED)}",
        )
    return node


def bind_kernels(bound: Bound, divergences: Mapping[Basic | str, Option]) -> None:
    """Make kernels that are modules networks of the formula, so that their parameters are found.

    Args:
        bound: the bound formula; its networks grow.
        divergences: how divergences are estimated.
    """
    for option in divergences.values():
        if isinstance(option, MMD) and not isinstance(option.kernel, str):
            networks = dict(bound.environment.networks)
            name = next((n for n, call in networks.items() if call is option.kernel), None)
            if name is None:
                name = "kernel" if "kernel" not in networks else f"kernel_{len(networks)}"
                bound.environment.networks = {**networks, name: option.kernel}
            bound.networks = tuple(dict.fromkeys((*bound.networks, name)))
