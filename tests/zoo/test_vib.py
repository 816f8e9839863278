"""The variational information bottleneck of the zoo."""

from __future__ import annotations

import handwritten as hand
import torch
import zoo_data as zd

from symdgm.zoo import vib


def test_the_model_is_the_bound_of_its_paper() -> None:
    model = vib(12, 3, latent=2, hidden=7, beta=0.5).double()
    x, y = zd.small_batch()
    torch.manual_seed(1)
    found = model.objective(x=x, y=y.argmax(-1))
    torch.manual_seed(1)
    nets = zd.networks(model)
    q = nets["enc"](x)
    written = hand.log_one_hot(y, nets["dec"](hand.draw(q))) - 0.5 * hand.kl(q)
    zd.assert_same(model, written.mean(), found)


def test_it_reads_digits_from_few_nats() -> None:
    """Measured: 99% from 4.5 nats, where 41 nats are kept with beta = 0.001."""
    train, test = zd.grey_digits()
    torch.manual_seed(0)
    model = vib(64, beta=0.1)
    model.fit(train._asdict(), epochs=60, lr=2e-3, seed=0, progress=False)
    nets = zd.networks(model)
    with torch.no_grad():
        kept = float(model.terms(x=test.x, y=test.y)["KL[p(z|x) || r(z)]"])
        read = nets["dec"](nets["enc"](test.x)[0]).argmax(-1)
    assert 2.0 < kept < 6.0
    assert float((read == test.y).float().mean()) > 0.965
