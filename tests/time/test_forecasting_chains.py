"""Forecasts of models whose states are left out exactly: from their posterior given what was seen."""

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

import symdgm as sd
from symdgm.errors import DataError, NameResolutionError

DRAWS = 40000


def linear(size, *inputs):
    found = [nn.Linear(n, size).double() for n in inputs]
    for module in found[1:]:
        module.bias = None
    return found


def test_a_linear_chain_under_actions_against_one_gaussian():
    """Mean and covariance of z_{1:4} and x_{3:4} given x_{1:2} and a_{1:4}, by conditioning a dense law."""
    torch.manual_seed(0)
    move, push = linear(2, 2, 1)
    (show,) = linear(1, 2)
    deviation = torch.tensor([0.5, 0.3], dtype=torch.float64)
    model = sd.Model(
        """
        p(z_1) = Normal(z_1; loc = m, scale = s)
        p(z_t|z_{t-1}, a_{t-1}) = Normal(z_t; loc = B(a_{t-1}) + A(z_{t-1}), scale = s)
        p(x_t|z_t) = Normal(x_t; loc = C(z_t), scale = r)
        maximize log p(x_{1:T}|a_{1:T})
        """,
        A=move, B=push, C=show, s=deviation, m=torch.ones(2, dtype=torch.float64),
        r=torch.tensor([0.4], dtype=torch.float64),
    )  # fmt: skip
    x, a = torch.tensor([[[1.0], [-2.0]]]).double(), torch.randn(1, 4, 1, dtype=torch.float64)
    # Each step is a linear function of the noises of states (4 x 2) and observations (4 x 1).
    eye = torch.eye(12, dtype=torch.float64)
    means, maps = [torch.ones(2, dtype=torch.float64)], [deviation[:, None] * eye[:2]]
    for t in range(1, 4):
        means.append(move(means[-1]) + push(a[0, t - 1]))
        maps.append(move.weight @ maps[-1] + deviation[:, None] * eye[2 * t : 2 * t + 2])
    seen_means = torch.stack([show(m) for m in means]).flatten()
    seen_maps = torch.cat([show.weight @ m + 0.4 * eye[8 + t][None] for t, m in enumerate(maps)])
    wanted_mean = torch.cat([*means, seen_means[2:]]).detach()
    wanted_map = torch.cat([*maps, seen_maps[2:]]).detach()
    known = seen_maps[:2].detach()
    gain = wanted_map @ known.T @ torch.linalg.inv(known @ known.T)
    mean = wanted_mean + gain @ (x.flatten() - seen_means[:2].detach())
    covariance = wanted_map @ wanted_map.T - gain @ known @ wanted_map.T
    drawn = model.sample(x=x.expand(DRAWS, -1, -1), a=a.expand(DRAWS, -1, -1), seed=0)
    assert drawn["x"][:, :2].eq(x).all()
    found = torch.cat([drawn["z"].flatten(1), drawn["x"][:, 2:].flatten(1)], 1)
    error = (covariance.diag() / DRAWS).sqrt()
    assert ((found.mean(0) - mean).abs() < 4 * error).all()
    spread = (covariance.diag()[:, None] * covariance.diag() + covariance**2).div(DRAWS).sqrt()
    assert ((found.T.cov() - covariance).abs() < 4.5 * spread).all()


def test_a_finite_chain_against_its_enumeration():
    stay = torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)
    show = torch.tensor([[0.8, 0.2], [0.1, 0.9]], dtype=torch.float64)
    start = torch.tensor([0.6, 0.4], dtype=torch.float64)
    model = sd.Model(
        "maximize log p(x_{1:T})",
        sd.Categorical("p(z_1)", probs=start),
        sd.Categorical("p(z_t|z_{t-1})", lambda z: {"probs": stay[z]}),
        sd.Categorical("p(x_t|z_t)", lambda z: {"probs": show[z]}),
    )
    drawn = model.sample(x=torch.tensor([[1, 0]]).expand(DRAWS, -1), T=3, seed=0)
    joint = torch.einsum("i,i,ij,j,jk,kx->ijkx", start, show[:, 1], stay, show[:, 0], stay, show)
    joint = (joint / joint.sum()).flatten()
    z, x = drawn["z"], drawn["x"][:, 2]
    found = torch.bincount(8 * z[:, 0] + 4 * z[:, 1] + 2 * z[:, 2] + x, minlength=16) / DRAWS
    assert ((found - joint).abs() < 4 * (joint * (1 - joint) / DRAWS).sqrt()).all()


def kalman_vae():
    torch.manual_seed(0)
    (move,), (show,) = linear(1, 1), linear(1, 1)
    return sd.Model(
        """
        p(z_t|z_{t-1}) = Normal(z_t; loc = A(z_{t-1}), scale = 1/2)
        p(a_t|z_t) = Normal(a_t; loc = C(z_t), scale = 1/3)
        p(x_t|a_t) = Normal(x_t; loc = 2 a_t, scale = 1/10)
        q(a_t|x_t) = Normal(a_t; loc = 1/2 x_t, scale = 1/4)
        z_0 = 0
        maximize E_q(a_{1:T}|x_{1:T})[log p(x_{1:T}|a_{1:T}) + log p(a_{1:T}) - log q(a_{1:T}|x_{1:T})]
        """,
        A=move, C=show, z=1,
    ), move, show  # fmt: skip


def test_states_behind_what_is_inferred():
    """a_{1:2} ~ q(a|x), z_{1:2} ~ p(z|a), then on from there."""
    model, move, show = kalman_vae()
    x = torch.tensor([[[1.0], [-1.0]]]).double()
    drawn = model.sample(x=x.expand(DRAWS, -1, -1), T=3, seed=0)
    a, z = drawn["a"][..., 0], drawn["z"][..., 0]
    assert ((a[:, :2].mean(0) - x[0, :, 0] / 2).abs() < 4 * 0.25 / DRAWS**0.5).all()
    # E[z_{1:2}|a] is linear in a: the residual is uncorrelated with a.
    w, b, c, d = (v.item() for v in (move.weight, move.bias, show.weight, show.bias))
    mean = torch.tensor([b, w * b + b], dtype=torch.float64)
    covariance = torch.tensor([[0.25, w * 0.25], [w * 0.25, w * w * 0.25 + 0.25]], dtype=torch.float64)
    law = c * c * covariance + torch.eye(2, dtype=torch.float64) / 9
    gain = c * covariance @ torch.linalg.inv(law)
    residual = z[:, :2] - (mean + (a[:, :2] - c * mean - d) @ gain.T)
    left = covariance - gain @ law @ gain.T
    assert ((residual.T.cov() - left).abs() < 0.01).all() and residual.mean(0).abs().max() < 0.02
    assert (residual.T @ (a[:, :2] - a[:, :2].mean(0)) / DRAWS).abs().max() < 0.01
    after = z[:, 2] - (w * z[:, 1] + b)
    assert after.mean().abs() < 4 * 0.5 / DRAWS**0.5 and abs(after.std() - 0.5) < 0.01


def test_observations_that_are_given_for_different_times():
    model = sd.Model(
        """
        p(z_t|z_{t-1}) = Normal(z_t; loc = A(z_{t-1}), scale = 1)
        p(x_t|z_t) = Normal(x_t; loc = C(z_t), scale = 1)
        p(y_t|z_t) = Normal(y_t; loc = D(z_t), scale = 1)
        z_0 = 0
        maximize log p(x_{1:T}, y_{1:T})
        """,
        A=nn.Linear(1, 1), C=nn.Linear(1, 1), D=nn.Linear(1, 1), z=1,
    )  # fmt: skip
    assert model.sample(x=torch.ones(2, 3, 1), y=torch.ones(2, 3, 1), T=5)["y"].shape == (2, 5, 1)
    with pytest.raises(NameResolutionError, match=r"`y` depends on itself .*where `x`, `y` are given"):
        model.sample(x=torch.ones(2, 3, 1), y=torch.ones(2, 2, 1), T=5)


def test_actions_known_further_than_what_is_seen():
    """A network that reads observations and actions backwards begins at the last step that has both."""
    torch.manual_seed(0)
    reader = nn.GRU(3, 2, batch_first=True)
    model = sd.Model(
        """
        p(z_t|z_{t-1}, a_{t-1}) = Normal(z_t; move(z_{t-1}, a_{t-1}))
        p(x_t|z_t) = Normal(x_t; loc = show(z_t), scale = 1)
        h_t = rnn(x_t, a_t, h_{t+1})
        q(z_t|h_t) = Normal(z_t; loc = 1000 h_t, scale = 1/1000)
        z_0 = 0
        maximize E_q(z_{1:T}|x_{1:T}, a_{1:T})[log p(x_{1:T}|z_{1:T})]
            - KL[q(z_{1:T}|x_{1:T}, a_{1:T}) || p(z_{1:T}|a_{1:T})]
        """,
        move=lambda z, a: (z + a, torch.ones_like(z)), show=nn.Linear(2, 2), rnn=reader, z=2,
    )  # fmt: skip
    x, a = torch.randn(3, 2, 2), torch.randn(3, 5, 1)
    drawn = model.sample(x=x, a=a)
    read = reader(torch.cat([x, a[:, :2]], -1).flip(1))[0].flip(1)
    torch.testing.assert_close(drawn["z"][:, :2], 1000 * read, rtol=0, atol=0.01)
    assert drawn["x"].shape == (3, 5, 2)
    with pytest.raises(DataError, match="`a` is given for 4 steps, but step 5 is needed"):
        model.sample(x=x, a=a[:, :4], T=6)


def test_a_sum_of_linear_means_is_linear_only_with_one_of_each():
    """What is no such sum is a formula as any other, and then has no exact chain."""
    for mean in ("A(z_{t-1}) + B(z_{t-1})", "A(z_{t-1}) - B(a_{t-1})", "A(z_{t-1}) + 2 B(a_{t-1})"):
        with pytest.raises(sd.errors.NotSupportedError, match="neither finite nor linear-Gaussian"):
            sd.Model(
                f"""
                p(z_t|z_{{t-1}}, a_{{t-1}}) = Normal(z_t; loc = {mean}, scale = 1)
                p(x_t|z_t) = Normal(x_t; loc = C(z_t), scale = 1)
                z_0 = 0
                maximize log p(x_{{1:T}}|a_{{1:T}})
                """,
                A=nn.Linear(1, 1), B=nn.Linear(1, 1), C=nn.Linear(1, 1), z=1,
            )  # fmt: skip


def test_the_likelihood_of_a_sum_of_linear_means():
    torch.manual_seed(0)
    move, push = nn.Linear(1, 1).double(), nn.Linear(2, 1).double()  # both with a bias
    model = sd.Model(
        """
        p(z_1) = Normal(z_1; 0, 1)
        p(z_t|z_{t-1}, a_{t-1}) = Normal(z_t; loc = A(z_{t-1}) + B(a_{t-1}), scale = 1)
        p(x_t|z_t) = Normal(x_t; loc = C(z_t), scale = 1)
        maximize log p(x_{1:T}|a_{1:T})
        """,
        A=move, B=push, C=nn.Linear(1, 1, bias=False).double(), z=1,
    )  # fmt: skip
    x, a = torch.randn(1, 2, 1, dtype=torch.float64), torch.randn(1, 2, 2, dtype=torch.float64)
    c, w = model.objective.bound.environment.networks["C"].weight[0, 0], move.weight[0, 0]
    drift = (move.bias + push(a[0, 0]))[0]
    mean = torch.stack([drift * 0, c * drift])
    covariance = torch.stack(
        [torch.stack([c**2 + 1, c**2 * w]), torch.stack([c**2 * w, c**2 * (w**2 + 1) + 1])]
    )
    wanted = MultivariateNormal(mean, covariance).log_prob(x.flatten())
    found = model.objective(x=x, a=a)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=0)
    parameters = [move.weight, move.bias, push.weight, push.bias]
    for p, q in zip(*(torch.autograd.grad(v, parameters) for v in (found, wanted)), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)
