"""Episodes of a random policy in an environment of gymnasium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from symdgm.data.sequences import ragged
from symdgm.errors import DataError
from symdgm.given import whole


class Episodes(NamedTuple):
    """What was seen, done and earned; the names are those of the zoo's equations, ``fit(data._asdict())``.

    Args:
        x: the observations, ``[N, time, features]``, zeros beyond each length as in all that follows.
        a: the action that is taken after each observation, ``[N, time, actions]``, one-hot where there are
            finitely many; zeros at the last step.
        r: the reward that comes with each observation, ``[N, time, 1]``; 0 at the first step.
        c: whether the episode continues after it, ``[N, time, 1]``: 0 where a terminal state is reached.
        T: the number of steps, ``[N]``, int64.
    """

    x: Tensor
    a: Tensor
    r: Tensor
    c: Tensor
    T: Tensor

    def __repr__(self) -> str:
        """One line with the sizes."""
        sizes = ", ".join(f"{name} {list(value.shape)}" for name, value in self._asdict().items())
        return f"Episodes({sizes})"


def episodes(name: str, count: int, *, steps: int | None = None, seed: int = 0) -> Episodes:
    """Episodes in an environment whose actions are drawn at random.

    Args:
        name: an environment of gymnasium, such as ``"Pendulum-v1"`` or ``"CartPole-v1"``.
        count: how many episodes.
        steps: the largest number of steps of one; default: until the environment ends it.
        seed: of the environment and of the actions.

    Returns:
        Sequences of different lengths, float32.

    Raises:
        DataError: gymnasium is not installed, has no such environment, or its observations or actions are
            not numbers.

    Source:
        M. Towers et al., "Gymnasium: A Standard Interface for Reinforcement Learning Environments" (2024).

    Example:
        >>> episodes("CartPole-v1", 3, steps=10)
        Episodes(x [3, 10, 4], a [3, 10, 2], r [3, 10, 1], c [3, 10, 1], T [3])
    """
    whole("count", count, what="whole number of episodes")
    if steps is not None:
        whole("steps", steps, what="whole number of steps")
    whole("seed", seed, least=0)
    environment = _made(name)
    environment.action_space.seed(seed)
    found = [list(_episode(environment, seed if i == 0 else None, steps)) for i in range(count)]
    environment.close()
    columns = [[torch.stack(column) for column in zip(*episode, strict=True)] for episode in found]
    (x, lengths), (a, _), (r, _), (c, _) = (ragged(part) for part in zip(*columns, strict=True))
    return Episodes(x, a, r, c, lengths)


def _made(name: str) -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise DataError("the environments come with gymnasium", hint="pip install gymnasium") from error
    try:
        environment = gymnasium.make(str(name))
    except (gymnasium.error.Error, ImportError) as error:
        raise DataError(f"gymnasium has no environment `{name}`", hint=str(error)) from error
    spaces = gymnasium.spaces
    known = (spaces.Box, spaces.Discrete)
    if not isinstance(environment.action_space, known) or not isinstance(
        environment.observation_space, known
    ):
        raise DataError(
            f"the observations or actions of `{name}` are neither vectors nor classes",
            hint="wrap it, as by `gymnasium.wrappers.FlattenObservation`, and record it by hand",
        )
    return environment


def _episode(
    environment: Any, seed: int | None, steps: int | None
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """An observation, the action after it, the reward that came with it, and whether it goes on."""
    seen, _ = environment.reset(seed=seed)
    reward, terminated, truncated, time = 0.0, False, False, 1
    while True:
        last = terminated or truncated or time == steps
        action = environment.action_space.sample()
        done = _vector(environment.action_space, action)
        going = torch.tensor([float(not terminated)])
        observation = _vector(environment.observation_space, seen)
        yield observation, torch.zeros_like(done) if last else done, torch.tensor([float(reward)]), going
        if last:
            return
        seen, reward, terminated, truncated, _ = environment.step(action)
        time += 1


def _vector(space: Any, value: Any) -> Tensor:
    """A value of a space as a vector, one-hot where there are finitely many."""
    if (size := getattr(space, "n", None)) is not None:
        return one_hot(torch.tensor(int(value - space.start)), int(size)).float()
    return torch.as_tensor(value, dtype=torch.float32).flatten()
