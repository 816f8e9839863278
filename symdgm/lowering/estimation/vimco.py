"""VIMCO: the score function of a multi-sample bound, with a baseline of its own for each draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from symdgm.lowering.estimation.baselines import WithoutEach
from symdgm.lowering.estimation.estimator import Estimator, Place, Recipe
from symdgm.lowering.estimation.score_function import estimator, leave_one_out


@final
@dataclass(frozen=True)
class VIMCO(Recipe):
    r"""The score function of a multi-sample bound with leave-one-out bounds as baselines.

    .. math:: \nabla L = \sum_k (\hat L - \hat L_{-k}) \nabla \log q(z_k) + \nabla \hat L, \quad
        \hat L = \log \tfrac{1}{K} \sum_k w_k

    In the bound without k, the k-th weight is the geometric mean of the others. Several draws are needed. An
    expectation that is not logged has the mean of the others as its baseline.

    Source: Mnih and Rezende, Variational inference for Monte Carlo objectives, 2016, equations 8 to 10.
    """

    def at(self, place: Place) -> Estimator:
        """The score function with these baselines; see `Recipe.at`."""
        baseline = WithoutEach(needed=True) if place.several else leave_one_out(place)
        if baseline is None:
            hint = f'write `samples={{"{place.name}": 5}}`, or take `score function`'
            raise place.refuse("VIMCO", "its baselines need several draws", hint)
        return estimator(
            place,
            baseline,
            "VIMCO" if place.log or place.several else "score function",
            "Mnih and Rezende (2016)",
        )
