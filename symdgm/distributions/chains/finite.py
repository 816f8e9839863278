"""What observations tell of the states of a hidden Markov model, by the forward algorithm's messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from symdgm.distributions.chains.forward import forward_messages

Tables = tuple[Tensor, Tensor, Tensor, list[int]]
"""Log-probabilities of the first state, of transitions and of observations, and the counts."""


def filtered(tables: Tables) -> list[Tensor]:
    """``p(z_t|x_{1:t})`` at each time, ``[count, K]``."""
    return [m.softmax(-1) for m in forward_messages(*tables)[0]]


def smoothed(tables: Tables) -> list[Tensor]:
    """``p(z_t|x_{1:T})`` at each time, ``[count, K]``: Rabiner (1989), eq. 25 and 27."""
    _, _, emission, counts = tables
    emissions, moves = torch.split(emission, counts, -2), _transitions(tables)
    found: list[Tensor] = []
    later = torch.zeros_like(emissions[-1])
    for time, message in reversed(list(enumerate(forward_messages(*tables)[0]))):
        if time + 1 < len(counts):
            known = (moves[time + 1] + (emissions[time + 1] + later).unsqueeze(-2)).logsumexp(-1)
            known = known - known.detach().amax(-1, keepdim=True)
            later = _ended(known, torch.zeros_like(message))
        found.append((message + later).softmax(-1))
    return found[::-1]


def most_probable(tables: Tables) -> list[Tensor]:
    """The states of the most probable path at each time, ``[count]``: Viterbi (1967)."""
    start, _, emission, counts = tables
    emissions, moves = torch.split(emission, counts, -2), _transitions(tables)
    best, origins = [start + emissions[0]], []
    for time in range(1, len(counts)):
        value, origin = (best[-1][: counts[time]].unsqueeze(-1) + moves[time]).max(-2)
        best.append(value + emissions[time])
        origins.append(origin)

    def before(time: int, state: Tensor) -> Tensor:
        return origins[time].gather(-1, state.unsqueeze(-1)).squeeze(-1)

    return _backwards([b.argmax(-1) for b in best], before)


def sampled(tables: Tables) -> list[Tensor]:
    """A draw of ``p(z_{1:T}|x_{1:T})``, the states at each time, ``[count]``."""
    moves, messages = _transitions(tables), forward_messages(*tables)[0]

    def before(time: int, state: Tensor) -> Tensor:
        count = len(state)
        move = moves[time + 1].expand(count, *moves[time + 1].shape[-2:])
        return _draw(messages[time][:count] + move[torch.arange(count), :, state])

    return _backwards([_draw(m) for m in messages], before)


def _draw(logits: Tensor) -> Tensor:
    return torch.multinomial(logits.detach().softmax(-1), 1).squeeze(-1)


def _backwards(last: Sequence[Tensor], before: Callable[[int, Tensor], Tensor]) -> list[Tensor]:
    """Paths from their last states: what stands before a state of the next time, and else the last state."""
    path = [last[-1]]
    for time in range(len(last) - 2, -1, -1):
        path.append(_ended(before(time, path[-1]), last[time]))
    return path[::-1]


def _ended(going: Tensor, whole: Tensor) -> Tensor:
    """Values of the sequences that go on, then those of the ones that end here."""
    return torch.cat([going, whole[len(going) :]])


def _transitions(tables: Tables) -> Sequence[Tensor]:
    transition, counts = tables[1], tables[3]
    floor = torch.finfo(transition.dtype).min / 1e6
    transition = transition.clamp(min=floor)
    if transition.ndim == 2:
        return [transition] * len(counts)
    found: Sequence[Tensor] = torch.split(transition, counts, -3)
    return found
