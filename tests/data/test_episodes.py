"""Episodes of environments: what is recorded is what the environment did."""

import builtins

import gymnasium
import pytest
import torch

from symdgm.data import episodes
from symdgm.errors import DataError, OptionError


def test_episodes_of_different_lengths_end_where_the_pole_falls():
    data = episodes("CartPole-v1", 6, seed=3)
    environment = gymnasium.make("CartPole-v1")
    environment.action_space.seed(3)
    for i, length in enumerate(data.T.tolist()):
        seen, _ = environment.reset(seed=3 if i == 0 else None)
        assert (
            data.x[i, 0].tolist() == pytest.approx(seen.tolist()) and data.r[i, 0] == 0 and data.c[i, 0] == 1
        )
        for t in range(1, length):
            action = environment.action_space.sample()
            assert data.a[i, t - 1].tolist() == [float(action == k) for k in range(2)]
            seen, reward, fallen, _, _ = environment.step(action)
            assert data.x[i, t].tolist() == pytest.approx(seen.tolist()) and data.r[i, t] == reward
            assert data.c[i, t] == (not fallen)
        environment.action_space.sample()  # at the last step one is drawn, and nothing is done
        assert fallen and not data.a[i, length - 1 :].any()
        assert not any(value[i, length:].any() for value in (data.x, data.r, data.c))
    assert len(set(data.T.tolist())) > 1 and data.x.shape == (6, int(data.T.max()), 4)


def test_rewards_come_with_the_observation_that_an_action_led_to():
    data = episodes("Pendulum-v1", 4, steps=7, seed=0)
    assert data.T.tolist() == [7] * 4 and data.a.shape == (4, 7, 1) and data.c.all()
    angle = torch.atan2(data.x[..., 1:2], data.x[..., :1])
    cost = angle**2 + 0.1 * data.x[..., 2:] ** 2 + 0.001 * data.a**2
    torch.testing.assert_close(data.r[:, 1:], -cost[:, :-1], rtol=1e-4, atol=1e-4)


def test_an_episode_that_is_broken_off_would_go_on():
    data = episodes("Pendulum-v1", 1)
    assert data.T.tolist() == [201] and data.c.all()


def test_a_seed_repeats_them():
    first, again = (episodes("Pendulum-v1", 2, steps=5, seed=7) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.x, episodes("Pendulum-v1", 2, steps=5, seed=8).x)
    assert repr(first) == "Episodes(x [2, 5, 3], a [2, 5, 1], r [2, 5, 1], c [2, 5, 1], T [2])"


def test_observations_and_actions_of_a_table():
    data = episodes("FrozenLake-v1", 2, steps=3)
    assert data.x.shape[2] == 16 and data.x[0].sum(-1).eq(1).all() and data.a.shape[2] == 4


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 2, "steps": 0}])
def test_nothing_to_record(options):
    with pytest.raises(OptionError, match="is 0"):
        episodes("Pendulum-v1", **options)


def test_an_environment_that_there_is_not():
    with pytest.raises(DataError, match="gymnasium has no environment `Pendulum-v99`"):
        episodes("Pendulum-v99", 1)


def test_an_environment_that_is_no_vector():
    with pytest.raises(DataError, match="neither vectors nor classes"):
        episodes("Blackjack-v1", 1)


def test_without_gymnasium(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **options):
        if name == "gymnasium":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match="the environments come with gymnasium\npip install gymnasium"):
        episodes("Pendulum-v1", 1)
