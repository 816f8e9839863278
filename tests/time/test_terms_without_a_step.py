"""The number of steps, constants and whole sums as terms of sums over time, against loops."""

from __future__ import annotations

import pytest
import torch
from time_models import DMM, Counted, X

import symdgm as sd

torch.manual_seed(0)
DATA = torch.bernoulli(torch.full((4, 6, X), 0.5)).double()
RAGGED = torch.tensor([6, 2, 1, 4])
TERM = "log p(x_t|x_{t-1})"
CASES = {
    f"sum_{{t=1}}^T {TERM} + T": lambda terms, T: terms.sum() + T,
    f"T - sum_{{t=1}}^T {TERM}": lambda terms, T: T - terms.sum(),
    f"sum_{{t=1}}^T ({TERM})/T": lambda terms, T: terms.mean(),
    f"(sum_{{t=1}}^T {TERM}) / T + 1/T": lambda terms, T: terms.mean() + 1 / T,
    f"sum_{{t=1}}^T ({TERM} + 1)": lambda terms, T: terms.sum() + T,
    f"sum_{{t=1}}^T {TERM} + sum_{{t=2}}^{{T-1}} 3": lambda terms, T: terms.sum() + 3 * max(T - 2, 0),
    f"sum_{{t=1}}^T {TERM} + sum_{{t=1}}^T t": lambda terms, T: terms.sum() + T * (T + 1) / 2,
    f"sum_{{t=1}}^T (t {TERM} + mean_{{t=1}}^T t)": lambda terms, T: (
        (terms * torch.arange(1, T + 1)).sum() + T * (T + 1) / 2
    ),
    f"sum_{{t=1}}^T ({TERM} - mean_{{t=1}}^T {TERM})^2": lambda terms, T: ((terms - terms.mean()) ** 2).sum(),
    f"mean_{{t=1}}^T (sum_{{t=1}}^T {TERM})": lambda terms, T: terms.sum(),
}


@pytest.mark.parametrize("lengths", [None, RAGGED], ids=["one length", "ragged"])
@pytest.mark.parametrize("text", CASES)
def test_values_and_gradients(text: str, lengths: torch.Tensor | None) -> None:
    network = Counted(X, X).double()
    objective = sd.Objective(text, sd.Bernoulli("p(x_t|x_{t-1})", network), x_0=torch.zeros(X).double())
    before = torch.cat([torch.zeros(4, 1, X), DATA[:, :-1]], 1)
    terms = torch.distributions.Bernoulli(logits=network(before)).log_prob(DATA).sum(-1)
    steps = [6] * 4 if lengths is None else lengths.tolist()
    expected = torch.stack([CASES[text](terms[b, :T], T) + 0.0 * terms.sum() for b, T in enumerate(steps)])
    given = {"x": DATA} if lengths is None else {"x": DATA, "T": lengths}
    found = objective(**given)
    torch.testing.assert_close(found, expected.mean())
    torch.testing.assert_close(objective.per_example(**given), expected)
    weights = tuple(network.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(found, weights), torch.autograd.grad(expected.mean(), weights), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


def test_a_path_within_a_sum() -> None:
    inner = "E_q(z_{1:T}|x_{1:T})[log p(x_{1:T}|z_{1:T})]"
    found = []
    for text in (inner, f"sum_{{t=1}}^T {inner}"):
        torch.manual_seed(1)
        found.append(DMM().objective(text).per_example(x=DATA, T=RAGGED))
    torch.testing.assert_close(found[1], found[0] * RAGGED)
