"""Critics: networks that tell the draws of two distributions apart, and so estimate their divergence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import nn
from torch.nn.utils import parametrizations, parametrize

from symdgm.errors import OptionError, suggest

LOSSES: dict[str, tuple[str, ...]] = {
    "JS": ("saturating", "non-saturating", "least-squares", "hinge"),
    "KL": ("ratio", "dual"),
    "W_1": ("dual",),
    "chi2": ("dual",),
    "TV": ("dual",),
}
"""Divergence → the losses that a critic may have for it, the default first."""

LAYERS = (nn.Linear, nn.Bilinear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
"""The layers whose weights `Critic` normalises."""


@dataclass(frozen=True, eq=False)
class Critic:
    r"""How a critic estimates a divergence, for the option ``critic`` of a model.

    | divergence | loss | what the critic maximises | what stands for the divergence |
    | --- | --- | --- | --- |
    | ``JS[p \|\| q]`` | saturating | ``1/2 E_p[log σ(T)] + 1/2 E_q[log σ(-T)] + log 2`` | the same |
    | | non-saturating | the same | ``-1/2 E_p[log σ(-T)] - 1/2 E_q[log σ(T)]`` |
    | | least-squares | ``-1/2 E_p[(T - 1)^2] - 1/2 E_q[T^2]`` | ``1/2 E_p[T^2] + 1/2 E_q[(T - 1)^2]`` |
    | | hinge | ``-E_p[max(0, 1 - T)] - E_q[max(0, 1 + T)]`` | ``E_p[T] - E_q[T]`` |
    | ``KL[p \|\| q]`` | ratio | as for JS, so that ``T`` becomes ``log p/q`` | ``E_p[T] - E_q[e^T] + 1`` |
    | | dual | ``E_p[T] - E_q[e^(T-1)]`` | the same |
    | ``W[p \|\| q]`` | dual | ``E_p[T] - E_q[T]`` | the same |
    | ``chi2[p \|\| q]`` | dual | ``E_p[T] - E_q[T^2/4 + T]`` | the same |
    | ``TV[p \|\| q]`` | dual | ``1/2 E_p[tanh T] - 1/2 E_q[tanh T]`` | the same |

    The last two terms of the ratio stand there only where something of q is trained.

    Args:
        network: of the variables, then of what the laws are given; it returns one number per example, a
            logit where the table has a sigmoid.
        loss: see the table; the first of its divergence by default.
        gradient_penalty: the weight of ``E[(||grad_y T(y)|| - 1)^2]`` at points between draws of both sides
            (Gulrajani et al. 2017); 0, none, by default.
        clip: the largest absolute weight (Arjovsky et al. 2017), or None.
        spectral_norm: whether linear and convolutional layers are divided by their spectral norm (Miyato et
            al. 2018); the network itself is changed.
        name: the name of the player and of T in formulas, ``critic`` by default.

    Raises:
        OptionError: a loss that no divergence has, or a weight or bound that is not positive.

    Example:
        >>> Critic(nn.Linear(2, 1), loss="hinge", spectral_norm=True).loss
        'hinge'
    """

    network: Callable[..., object]
    loss: str | None = None
    gradient_penalty: float = 0.0
    clip: float | None = None
    spectral_norm: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        known = {loss for losses in LOSSES.values() for loss in losses}
        if self.loss is not None and self.loss not in known:
            raise OptionError(f"a critic has no loss `{self.loss}`", hint=suggest(self.loss, known))
        if not callable(self.network):
            raise OptionError(
                f"a critic is a network, not a {type(self.network).__name__}", hint="write `critic=network`"
            )
        if not self.gradient_penalty >= 0:
            raise OptionError(
                f"`gradient_penalty` is {self.gradient_penalty!r}", hint="write a positive weight, such as 10"
            )
        if self.spectral_norm:
            _normalise(self.network)

    def loss_for(self, kind: str) -> str:
        """The loss for a divergence.

        Raises:
            OptionError: it is one of another divergence.
        """
        losses = LOSSES[kind]
        if self.loss is not None and self.loss not in losses:
            raise OptionError(
                f"a critic of {kind.removesuffix('_1')} has no loss `{self.loss}`",
                hint=suggest(self.loss, losses),
            )
        return self.loss or losses[0]


def _normalise(network: object) -> None:
    for layer in _layers(network):
        if not parametrize.is_parametrized(layer, "weight"):
            parametrizations.spectral_norm(layer)


def _layers(network: object) -> Iterator[nn.Module]:
    modules = network.modules() if isinstance(network, nn.Module) else ()
    found = [m for m in modules if isinstance(m, LAYERS)]
    if not found:
        raise OptionError(
            "`spectral_norm` finds no linear or convolutional layer in the critic",
            hint="leave it out, or pass an `nn.Module` that has some",
        )
    yield from found
