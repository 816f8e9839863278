"""The deep Markov model in Pixyz, as in its model zoo: an iterated loss of one step."""

from __future__ import annotations

from typing import Any

import torch
from pixyz.distributions import Bernoulli, Deterministic, Normal
from pixyz.losses import IterativeLoss, KullbackLeibler
from pixyz.models import Model
from torch import Tensor

from benchmarks.dmm_networks import DMM, RATE, reversed_rows
from benchmarks.peers.pixyz_steps import parameters_with
from benchmarks.variants import Run


def dmm(net: DMM, x: Tensor, lengths: Tensor, *, cache: bool = True) -> Run:
    """Pixyz's model around the given networks; time comes first."""

    class Recurrent(Deterministic):
        def __init__(self) -> None:
            super().__init__(var=["h"], cond_var=["x"], name="rnn")
            self.net = net.recurrent

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            states = self.net(reversed_rows(x.transpose(0, 1), lengths))[0]
            return {"h": reversed_rows(states, lengths).transpose(0, 1)}

    class Posterior(Normal):
        get_params = parameters_with(cache)

        def __init__(self) -> None:
            super().__init__(var=["z"], cond_var=["z_prev", "h"], name="q")
            self.net = net.combine

        def forward(self, z_prev: Tensor, h: Tensor) -> dict[str, Tensor]:
            loc, scale = self.net(z_prev, h)
            return {"loc": loc, "scale": scale}

    class Prior(Normal):
        get_params = parameters_with(cache)

        def __init__(self) -> None:
            super().__init__(var=["z"], cond_var=["z_prev"], name="p")
            self.net = net.transition

        def forward(self, z_prev: Tensor) -> dict[str, Tensor]:
            loc, scale = self.net(z_prev)
            return {"loc": loc, "scale": scale}

    class Emission(Bernoulli):
        get_params = parameters_with(cache)

        def __init__(self) -> None:
            super().__init__(var=["x"], cond_var=["z"], name="p")
            self.net = net.emit

        def forward(self, z: Tensor) -> dict[str, Tensor]:
            return {"probs": torch.sigmoid(self.net(z))}

    rnn, q, prior, p = Recurrent(), Posterior(), Prior(), Emission()
    one = KullbackLeibler(q, prior) - p.log_prob().expectation(q)
    loss = IterativeLoss(one, series_var=["x", "h"], update_value={"z": "z_prev"}).expectation(rnn).mean()
    model = Model(loss, distributions=[rnn, q, prior, p], optimizer_params={"lr": RATE})
    # z_0 is a parameter of no distribution, but it is trained like those of all other variants.
    model.optimizer.add_param_group({"params": [net.z_0]})
    mask = (torch.arange(x.shape[1])[:, None] < lengths).to(x.dtype)
    series = x.transpose(0, 1).contiguous()

    def inputs() -> dict[str, Any]:
        # A dict of Pixyz's own kind takes plain tensors only, so z_0 goes in as the result of `expand`.
        return {"x": series.view_as(series), "z_prev": net.z_0.expand(len(x), -1)}

    return Run(lambda: model.train(inputs(), mask=mask), lambda: loss.eval(inputs(), mask=mask))
