"""The forward algorithm of hidden Markov models; generated code defines these functions for itself."""

import math

import torch


def log_product(log_alpha: torch.Tensor, log_transition: torch.Tensor) -> torch.Tensor:
    """``log sum_j exp(log_alpha_j + log_transition_jk)``."""
    if log_transition.ndim == 2 and len(log_transition) >= 32:  # a product of matrices is faster from here on
        top = log_alpha.detach().amax(-1, keepdim=True)
        product = (log_alpha - top).exp() @ log_transition.exp()
        if bool(product.min() > torch.finfo(product.dtype).tiny * 1e8):  # then nothing of weight was lost
            return product.log() + top
    return (log_alpha.unsqueeze(-1) + log_transition).logsumexp(-2)


def forward_messages(
    log_start: torch.Tensor, log_transition: torch.Tensor, log_emission: torch.Tensor, counts: list[int]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """``log p(x_{1:t}, z_t)`` at each time, less its largest value, and that: Rabiner (1989), eq. 19 and 20.

    A logarithm that grew with the steps would leave few digits for the differences between states.
    """
    floor = torch.finfo(log_emission.dtype).min / 1e6  # a log of 0 would have no gradient
    emissions = torch.split(log_emission.clamp(min=floor), counts, -2)
    log_transition = log_transition.clamp(min=floor)
    varying = torch.split(log_transition, counts, -3) if log_transition.ndim > 2 else None
    message = log_start.clamp(min=floor) + emissions[0]
    top = message.detach().amax(-1)
    messages, tops = [message - top.unsqueeze(-1)], [top]
    for time in range(1, len(counts)):
        step = log_transition if varying is None else varying[time]
        message = log_product(messages[-1][..., : counts[time], :], step) + emissions[time]
        top = message.detach().amax(-1)
        messages.append(message - top.unsqueeze(-1))
        tops.append(tops[-1][..., : counts[time]] + top)
    return messages, tops


def tree_of_steps(
    log_start: torch.Tensor, log_transition: torch.Tensor, log_emission: torch.Tensor, counts: list[int]
) -> torch.Tensor:
    """``log p(x_{1:T}, z_T)`` by products of neighbours, in log T rounds: Särkkä and García-Fernández (2021).

    Steps beyond a length are the identity.
    """
    floor = torch.finfo(log_emission.dtype).min / 1e6  # a log of 0 would have no gradient
    first, states = counts[0], log_emission.shape[-1]
    start = log_start.clamp(min=floor) + log_emission.clamp(min=floor)[..., :first, :]
    steps = (log_transition + log_emission.unsqueeze(-2)).clamp(min=floor)[..., first:, :, :]
    there = torch.arange(first, device=steps.device) < torch.tensor(counts[1:], device=steps.device)[:, None]
    identity = torch.eye(states, dtype=steps.dtype, device=steps.device).log().clamp(min=floor)
    place = (there.flatten().cumsum(0) - 1).clamp(min=0)
    placed = steps[..., place, :, :].reshape(*steps.shape[:-3], *there.shape, states, states)
    product = torch.where(there[..., None, None], placed, identity)
    total = start.new_zeros(())
    while product.shape[-4] > 1:
        even = product.shape[-4] // 2 * 2
        left, right = product[..., :even:2, :, :, :], product[..., 1:even:2, :, :, :]
        paired = (left.unsqueeze(-1) + right.unsqueeze(-3)).logsumexp(-2)
        top = paired.detach().amax((-2, -1), keepdim=True)
        product = torch.cat([paired - top, product[..., even:, :, :, :]], -4)
        total = total + top.sum(-4).squeeze(-1)
    return (start.unsqueeze(-1) + product.squeeze(-4)).logsumexp(-2) + total


def forward_algorithm(
    log_start: torch.Tensor, log_transition: torch.Tensor, log_emission: torch.Tensor, counts: list[int]
) -> torch.Tensor:
    """``log p(x_{1:T})`` of each sequence, the longest first; z_{1:T} is summed out."""
    states = log_emission.shape[-1]
    if len(counts) > 8 and log_emission.shape[:-2].numel() * counts[0] * states**3 <= 2048:
        log_p = tree_of_steps(log_start, log_transition, log_emission, counts).logsumexp(-1)
    else:
        messages, tops = forward_messages(log_start, log_transition, log_emission, counts)
        ends = list(zip(messages, tops, [*counts[1:], 0], strict=True))[::-1]
        log_p = torch.cat([m[..., n:, :].logsumexp(-1) + t[..., n:] for m, t, n in ends], -1)
    return log_p.where(log_p > torch.finfo(log_p.dtype).min / 1e7, -math.inf)
