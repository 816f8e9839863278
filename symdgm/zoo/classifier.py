"""Classification by maximum likelihood."""

from __future__ import annotations

from symdgm.model import Model
from symdgm.zoo.checked import checked
from symdgm.zoo.networks import network

EQUATION = """
    p(y|x) = Categorical(y; logits = net(x))
    maximize log p(y|x)
"""
"""The likelihood of the labels: minus the cross-entropy."""


@checked
def classifier(features: int, classes: int = 10, *, hidden: int = 128) -> Model:
    r"""A classifier trained by maximum likelihood.

    .. math:: \max\; \log p(y|x)

    Args:
        features: the size of an input ``x``, ``[batch, features]``.
        classes: how many values the label ``y`` has, ``[batch]`` of 0 … classes - 1.
        hidden: the size of the one hidden layer.

    Example:
        >>> import torch
        >>> model = classifier(64, hidden=16)
        >>> list(model.terms(x=torch.ones(3, 64), y=torch.tensor([0, 1, 9])))
        ['log p(y|x)']
    """
    return Model(EQUATION, net=network(features, hidden, outputs=classes))
