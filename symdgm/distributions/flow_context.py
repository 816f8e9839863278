"""What the flow of a transformed distribution is conditioned on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from torch import Tensor, nn

from symdgm.distributions.distribution import Distribution
from symdgm.distributions.networks import Network, NetworkSource, label_of, register_network
from symdgm.distributions.spelling import spell
from symdgm.errors import NameResolutionError, ParameterError, suggest

NETWORK = "network"
"""The attribute under which the network of a context is registered."""


@final
class FlowContext(nn.Module):
    """The context of a flow: one of the given variables, or a network of all of them, or nothing.

    Args:
        context: the variable by name, or the network; None for the one variable that the base does not take.
        owner: the transformed distribution.
        base: its base.
        features: how many features of context the flow takes.
        described: the owner in words, for errors.

    Raises:
        NameResolutionError: the variable is not given.
        ParameterError: a given variable reaches neither the base nor the flow, or the flow lacks a context or
            takes none.
    """

    def __init__(
        self,
        context: str | Network | None,
        owner: Distribution,
        base: Distribution,
        features: int,
        described: str,
    ) -> None:
        super().__init__()
        self.given, self.described = owner.given, described
        self.networked = context is not None and not isinstance(context, str)
        self.variable: str | None = None
        if isinstance(context, str):
            self.variable = given_name(context, owner, described)
        elif context is not None:
            register_network(self, NETWORK, context, self.given, described)
        else:
            self.variable = self._left_over(base)
        self._check_heard(base)
        self._check_features(features)

    def forward(self, values: Mapping[str, Tensor], axes: Mapping[str, int]) -> tuple[Tensor | None, int]:
        """The context ``[*samples, batch, features]`` and how many leading axes it has.

        Args:
            values: the given variables by name.
            axes: the number of leading axes of each.
        """
        for source in self.sources:
            return source.parameters(values, axes)["context"], max(axes.values(), default=1)
        return (values[self.variable], axes[self.variable]) if self.variable else (None, 1)

    @property
    def sources(self) -> tuple[NetworkSource, ...]:
        """The network, if there is one."""
        if not self.networked:
            return ()
        call: Network = getattr(self, NETWORK)
        names = ("context",)
        return (NetworkSource(label_of(call), call, self.given, False, names, (names,), self.described),)

    def _left_over(self, base: Distribution) -> str | None:
        left = [name for name in self.given if name not in base.given]
        if len(left) > 1:
            raise ParameterError(
                f"{' and '.join(f'`{name}`' for name in left)} of {self.described} could each be the context",
                hint="give a network of all given variables, `context=network`",
            )
        return left[0] if left else None

    def _check_heard(self, base: Distribution) -> None:
        for name in self.given:
            if not self.networked and name not in (self.variable, *base.given):
                raise ParameterError(
                    f"`{name}` of {self.described} reaches neither the base nor the flow",
                    hint="give a network of all given variables, `context=network`, or leave it out",
                )

    def _check_features(self, features: int) -> None:
        if features and not self.networked and self.variable is None:
            raise ParameterError(
                f"the flow of {self.described} takes a context of {features} features, but has none",
                hint="write `context=`: a given variable, or a network of the given variables",
            )
        if not features and (self.networked or self.variable):
            unheard = f"`{self.variable}`" if self.variable else "the network of the context"
            raise ParameterError(
                f"the flow of {self.described} takes no context, so it would not hear {unheard}",
                hint="make its steps with `context_features=`",
            )


def given_name(name: str, owner: Distribution, described: str) -> str:
    """A given variable of a distribution, as that spells it.

    Raises:
        NameResolutionError: it is not given; ``described`` says who asks.
    """
    spelled = name if name in owner.given else spell(name)
    if spelled in owner.given:
        return spelled
    example = f"write `{owner.name}({','.join(owner.variables)}|{','.join((*owner.given, name))})`"
    raise NameResolutionError(
        f"{described} needs `{name}`, but {owner} is not given it",
        hint=suggest(name, owner.given) if owner.given else example,
    )
