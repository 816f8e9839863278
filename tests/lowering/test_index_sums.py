"""Sums over finite variables, components, tables and conditions, against PyTorch by hand."""

import math

import pytest
import torch
import torch.distributions as td
from lowering_cases import DATA, LATENT, gradients, images, vae
from torch import Tensor, nn

import symdgm as sd
from symdgm.errors import NameResolutionError, NotSupportedError, OptionError, ShapeError

DOUBLE = torch.float64


def mixture() -> tuple[list[object], nn.Embedding, nn.Parameter, nn.Linear]:
    """p(y), p(x|y) and q(y|x) over three classes."""
    torch.manual_seed(0)
    means = nn.Embedding(3, DATA).double()
    raw = nn.Parameter(torch.tensor([0.2, 0.5, 0.3], dtype=DOUBLE).log())
    classes = nn.Linear(DATA, 3).double()
    laws = [
        sd.Categorical("p(y)", logits=raw),
        sd.Normal("p(x|y)", loc=means, scale=0.7),
        sd.Categorical("q(y|x)", logits=classes),
    ]
    return laws, means, raw, classes


def joint(means: nn.Embedding, raw: Tensor, x: Tensor) -> Tensor:
    """log p(x, y) for each class, [batch, classes]."""
    return td.Normal(means.weight, 0.7).log_prob(x[:, None]).sum(-1) + raw.log_softmax(0)


@pytest.mark.parametrize(
    "text", ["log sum_y p(x|y) p(y)", "log(sum_y p(x, y))", "log sum_{y=1}^Y p(y) p(x|y)", "log p(x)"]
)
def test_a_marginal_by_enumeration(text: str) -> None:
    laws, means, raw, _ = mixture()
    x = 30 * images()
    value = sd.Objective(text, *laws[:2])(x=x)
    expected = joint(means, raw, x).logsumexp(1).mean()
    assert expected < -500
    torch.testing.assert_close(value, expected)
    parameters = [means.weight, raw]
    for ours, theirs in zip(
        torch.autograd.grad(value, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "text",
    [
        "sum_y q(y|x) (log p(x|y) + log p(y) - log q(y|x))",
        "sum_y (q(y|x) log p(x,y) - q(y|x) log q(y|x))",
        "E_q(y|x)[log p(x,y) - log q(y|x)]",
    ],
)
def test_a_bound_by_enumeration(text: str) -> None:
    laws, means, raw, classes = mixture()
    x = images()
    value = sd.Objective(text, *laws)(x=x)
    log_q = classes(x).log_softmax(1)
    expected = (log_q.exp() * (joint(means, raw, x) - log_q)).sum(1).mean()
    torch.testing.assert_close(value, expected)
    wanted = gradients(expected, means, classes)
    for ours, theirs in zip(gradients(value, means, classes), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_all_states_without_a_weight() -> None:
    """An energy over classes: log sum_y exp(f(x, y))."""
    laws, *_ = mixture()
    f = nn.Bilinear(DATA, 1, 1).double()
    energy = lambda x, y: f(x, y[:, None].double())[:, 0]  # noqa: E731
    objective = sd.Objective("log sum_y exp(f(x, y))", laws[0], f=energy)
    x = images()
    each = torch.stack([f(x, torch.full((len(x), 1), k, dtype=DOUBLE))[:, 0] for k in range(3)])
    torch.testing.assert_close(objective(x=x), each.logsumexp(0).mean())


def test_a_sum_over_what_is_not_finite_is_refused() -> None:
    with pytest.raises(NotSupportedError, match="a variable that is not finite"):
        sd.Objective("sum_z p(x|z) p(z)", *vae()[2])
    with pytest.raises(NotSupportedError, match="its sum is over all of its values"):
        sd.Objective("sum_{y=0}^1 p(x|y) p(y)", *mixture()[0])


def test_closed_forms_by_components() -> None:
    encoder, _, laws = vae()
    x = images()
    texts = [
        "KL[q(z|x) || p(z)]",
        "sum_j KL[q(z_j|x) || p(z_j)]",
        "sum_{j=1}^d KL[q(z_j|x) || p(z_j)]",
        "-1/2 sum_j (1 + log s_j(x)^2 - m_j(x)^2 - s_j(x)^2)",
        "-1/2 sum_{j=1}^3 (1 + log s_j(x)^2 - m_j(x)^2 - s_j(x)^2)",
    ]
    values = []
    for text in texts:
        names = {"s": lambda x: encoder(x)[1], "m": lambda x: encoder(x)[0]} if "s_j" in text else {}
        values.append(sd.Objective(text, *([] if names else laws), **names).per_example(x=x))
    for value in values[1:]:
        torch.testing.assert_close(value, values[0])


def test_an_entropy_by_components() -> None:
    _, _, laws = vae()
    x = images()
    parts = sd.Objective("sum_j H[q(z_j|x)]", *laws).per_example(x=x)
    torch.testing.assert_close(parts, sd.Objective("H[q(z|x)]", *laws).per_example(x=x))


@pytest.mark.parametrize("free", [0.05, 0.5])
def test_free_bits(free: float) -> None:
    """By dimension and by example, values and gradients: below the bound there is none."""
    encoder, _, laws = vae()
    x = images()
    loc, scale = encoder(x)
    each = 0.5 * (loc**2 + scale**2 - 1) - scale.log()
    cases = {
        "sum_j max(KL[q(z_j|x) || p(z_j)], c)": each.clamp(min=free).sum(1).mean(),
        "max(KL[q || p], 3 c)": each.sum(1).clamp(min=3 * free).mean(),
        "max(E_data(x)[KL[q || p]], c)": each.sum(1).mean().clamp(min=free),
    }
    parameters = list(encoder.parameters())
    for text, expected in cases.items():
        value = sd.Objective(text, *laws, c=free)(x=x)
        torch.testing.assert_close(value, expected)
        wanted = torch.autograd.grad(expected, parameters, retain_graph=True)
        for ours, theirs in zip(gradients(value, encoder), wanted, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_a_divergence_of_components_without_a_closed_form() -> None:
    """Laplace against normal: the same draws of the whole law, and the same value as the whole divergence."""
    q = sd.Laplace("q(z|x)", lambda x: (x[:, :2], 1 + x[:, 2:4]))
    p = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=2)
    x = images()
    values = []
    for text in ("sum_j KL[q(z_j|x) || p(z_j)]", "KL[q(z|x) || p(z)]", "KL[q(z|x) || prod_j p(z_j)]"):
        torch.manual_seed(0)
        values.append(sd.Objective(text, q, p, analytic=False).per_example(x=x))
    torch.testing.assert_close(values[0], values[1])
    torch.testing.assert_close(values[2], values[1])


def test_components_of_dependent_laws_are_refused() -> None:
    q = sd.MultivariateNormal("q(z)", loc=torch.zeros(2), scale_tril=torch.eye(2))
    with pytest.raises(NotSupportedError, match="the law of a component"):
        sd.Objective("sum_j H[q(z_j)]", q)


@pytest.mark.parametrize(
    ("text", "by_hand"),
    [
        ("sum_j x_j^2", lambda x: x.square().sum(1)),
        ("prod_j (1 + x_j)", lambda x: (1 + x).prod(1)),
        ("mean_j x_j", lambda x: x.mean(1)),
        ("sum_{j=2}^4 j x_j", lambda x: (x[:, 1:4] * torch.tensor([2.0, 3.0, 4.0])).sum(1)),
        ("sum_{j=1}^2 sum_{k=1}^2 x_j x_k", lambda x: x[:, :2].sum(1) ** 2),
        ("sum_{j=1}^2 sum_{k != j} x_j x_k", lambda x: 2 * x[:, 0] * x[:, 1]),
        ("sum_{j > 2} x_j", lambda x: x[:, 2:].sum(1)),
        ("sum_j 1[x_j > 0.5] j", lambda x: ((x > 0.5) * torch.arange(1, 7)).sum(1).double()),
        ("log sum_j exp(x_j)", lambda x: x.logsumexp(1)),
        ("logsumexp(x)", lambda x: x.logsumexp(1)),
        ("log prod_j exp(x_j)", lambda x: x.sum(1)),
        ("log mean_j exp(200 x_j) - 200", lambda x: (200 * x).logsumexp(1) - math.log(6) - 200),
        ("sum_{k=1}^3 sum(x)", lambda x: 3 * x.sum(1)),
        ("prod_{k=1}^3 sum(x)", lambda x: x.sum(1) ** 3),
        ("log sum_{k=1}^3 exp(sum(x))", lambda x: x.sum(1) + math.log(3)),
        ("sum_{k=1}^4 1/k", lambda x: torch.full((len(x),), 25 / 12, dtype=DOUBLE)),
    ],
)
def test_sums_over_components(text: str, by_hand) -> None:
    x = torch.rand(5, DATA, generator=torch.Generator().manual_seed(2), dtype=DOUBLE)
    objective = sd.Objective(text + " + 0 sum(x)", sd.Data("data(x)"))
    torch.testing.assert_close(objective.per_example(x=x), by_hand(x))


def test_components_of_an_image() -> None:
    x = torch.rand(5, 2, 3, dtype=DOUBLE)
    objective = sd.Objective("sum_{j=1}^6 j x_j", sd.Data("data(x)"))
    expected = (x.flatten(1) * torch.arange(1, 7)).sum(1)
    torch.testing.assert_close(objective.per_example(x=x), expected)


def test_another_number_of_components() -> None:
    objective = sd.Objective("1/D sum_{j=1}^D x_j", sd.Data("data(x)"), D=2)
    x = torch.rand(5, DATA, dtype=DOUBLE)
    torch.testing.assert_close(objective.per_example(x=x), x[:, :2].mean(1))
    objective.scalars["D"] = 6
    torch.testing.assert_close(objective.per_example(x=x), x.mean(1))


@pytest.mark.parametrize(
    ("text", "names", "error", "words"),
    [
        ("sum_{j=1}^9 x_j", {}, ShapeError, "has the indices 1 to 9, but there are 6"),
        ("sum_{j=1}^D x_j", {"D": 9}, ShapeError, "has the indices 1 to 9, but there are 6"),
        ("sum_j f_j(x)", {"f": lambda x: x.sum(1)}, ShapeError, "is one number per example"),
        ("sum_j (x_j - f_j(x))", {"f": lambda x: x[:, :2]}, ShapeError, "has 2 values of its index, but"),
        ("sum_j x_j f(x)", {"f": lambda x: x}, ShapeError, "event-shaped"),
        ("sum_j 2 sum(x)", {}, NameResolutionError, "nothing says what `j` runs over"),
        ("sum_{k=1}^K a_k + b_k + sum(x)", {"a": [1.0], "b": [2.0]}, NameResolutionError,
         r"write `sum_\{k=1\}\^K \(a_k \+ b_k \+ sum\(x\)\)`"),
        ("sum_{k=1}^2 x_k - k", {}, NameResolutionError, "the index `k` is free"),
        ("sum_{k in S} x_k", {}, NotSupportedError, "an index over a list of values"),
        ("logsumexp(sum(x))", {}, ShapeError, "over the last axis of an event"),
        ("sum_k x_k a_k", {"a": [1.0, 2.0]}, ShapeError, "values of its index, but"),
        ("sum_{j=1}^j x_j", {}, NameResolutionError, "a bound of the index `j` names `j` itself"),
        ("sum_{j=0}^d x_j", {}, NotSupportedError, "`j` runs from `0` to an end that nothing says"),
        ("sum_{j=-1}^d x_j", {}, NotSupportedError, "`j` runs from `-1` to an end that nothing says"),
        ("sum_{j=1}^{5/2} x_j", {}, ShapeError, "`5/2` is 2.5, but the bound of an index"),
        ("sum_{j=9}^D x_j", {"D": 3}, ShapeError, "runs from 9 to 3"),
        ("sum_{j=1}^x x_j", {}, NotSupportedError, "`x` is no number, but the bound of an index"),
        ("sum_{j=1}^2 sum_{i=1}^j x_i x_j", {}, NotSupportedError, r"as in `sum_\{i <= j\}`"),
        ("sum_{i=1}^2 sum_{j=i}^2 x_i x_j", {}, NotSupportedError, r"as in `sum_\{k <= i\}`"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, names: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        sd.Objective(text, sd.Data("data(x)"), **names)(x=images())


def test_tables_of_numbers_weights_and_networks() -> None:
    torch.manual_seed(0)
    x = images()
    weights = nn.Parameter(torch.rand(3, dtype=DOUBLE))
    heads = nn.ModuleList([nn.Linear(DATA, 2).double() for _ in range(3)])
    objective = sd.Objective("sum_{k=1}^K w_k ||f_k(x) - u_k||^2", sd.Data("data(x)"), w=weights, f=heads,
                             u=[torch.ones(2, dtype=DOUBLE) * k for k in range(3)])  # fmt: skip
    value = objective(x=x)
    expected = sum(weights[k] * (heads[k](x) - k).square().sum(1) for k in range(3)).mean()
    torch.testing.assert_close(value, expected)
    parameters = [weights, *heads.parameters()]
    assert {id(p) for p in parameters} == {id(p) for p in objective.parameters()}
    for ours, theirs in zip(
        torch.autograd.grad(value, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_table_is_trained_with_its_model() -> None:
    pseudo = nn.Parameter(torch.randn(4, DATA))
    model = sd.Model("minimize sum_{k=1}^K mean_{n=1}^B ||x_n - u_k||^2", sd.Data("data(x)"), u=pseudo)
    before = pseudo.detach().clone()
    model.fit(torch.ones(8, DATA), epochs=2, batch_size=8, progress=False)
    assert (pseudo.detach() - 1).abs().sum() < (before - 1).abs().sum()
    assert any(p is pseudo for p in model.parameters())


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("sum_{k=0}^3 a_k", {"a": [1.0, 2.0, 3.0, 4.0]}, 10.0),
        ("sum_{k=2}^3 a_k", {"a": [1.0, 2.0, 3.0, 4.0]}, 5.0),
        ("sum_{k=1}^K a_k", {"a": [1.0, 2.0, 3.0, 4.0], "K": 2}, 3.0),
        ("sum_k a_k / K + 0 sum_{k=1}^K a_k", {"a": [1.0, 2.0, 3.0, 4.0]}, 2.5),
        ("a_2 + a_1", {"a": [1.0, 2.0]}, 3.0),
        ("sum_{t=1}^T b_t", {"b": lambda t: t.double() ** 2, "T": 3}, 14.0),
        ("b_3", {"b": lambda t: t.double() ** 2}, 9.0),
        ("sum_{i=1}^2 sum_{j=1}^3 c_{i,j} i", {"c": torch.ones(2, 3)}, 9.0),
        ("sum_j c_{2,j}", {"c": torch.tensor([[1.0, 1.0], [2.0, 3.0]])}, 5.0),
        ("f_2(1)", {"f": [lambda v: torch.as_tensor(v) * 2.0, lambda v: torch.as_tensor(v) * 5.0]}, 5.0),
    ],
)
def test_entries_of_tables(text: str, names: dict[str, object], expected: float) -> None:
    if text == "sum_j c_{2,j}":
        text = "sum_{j=1}^2 c_{2,j}"
    assert sd.Objective(text, **names)(n=1).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "names", "error", "words"),
    [
        ("sum_{k=1}^5 a_k", {"a": [1.0, 2.0]}, ShapeError, "there are 2 entries"),
        ("a_3", {"a": [1.0, 2.0]}, ShapeError, "none of 2 entries"),
        ("sum_{k=1}^2 a_{k,k}", {"a": [1.0, 2.0]}, ShapeError, "has 2 indices"),
        ("sum_{k=1}^K a_k b_k", {"a": [1.0, 2.0], "b": [1.0]}, NameResolutionError, "has 1 entries"),
        ("sum_{k=1}^3 f_k(1)", {"f": [abs, abs]}, ShapeError, "there are 2 networks"),
        ("sum_{k=1}^2 f_k", {"f": [abs, abs]}, NameResolutionError, "is a network, not a number"),
        ("sum_{k=1}^2 a_k", {"a": []}, OptionError, "a list of nothing"),
        ("sum_{k=1}^2 a_k", {"a": [1.0, abs]}, OptionError, "cannot take an entry"),
        ("sum_{k=1}^2 f_{k,k}(1)", {"f": [abs, abs]}, NotSupportedError, "a list of networks has one"),
    ],
)
def test_tables_that_do_not_fit(
    text: str, names: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        sd.Objective(text, **names)(n=1)


def test_a_prior_of_pseudo_inputs() -> None:
    """VampPrior: log(1/K sum_k q(z|u_k)), values and gradients by hand with the same noise."""
    encoder, decoder, laws = vae()
    pseudo = nn.Parameter(torch.rand(4, DATA, dtype=DOUBLE))
    text = "E_q(z|x)[log p(x|z) - log q(z|x) + log(1/K sum_{k=1}^K q(z|u_k))]"
    objective, x = sd.Objective(text, *laws[:2], u=pseudo), images()
    torch.manual_seed(0)
    value = objective(x=x)
    loc, scale = encoder(x)
    torch.manual_seed(0)
    z = loc + scale * torch.randn_like(loc)
    own = td.Normal(*encoder(pseudo)).log_prob(z[:, None]).sum(-1).logsumexp(1) - math.log(4)
    likelihood = td.Bernoulli(logits=decoder(z)).log_prob(x).sum(-1)
    expected = (likelihood + td.Normal(loc, scale).entropy().sum(-1) + own).mean()
    torch.testing.assert_close(value, expected)
    for ours, theirs in zip(
        torch.autograd.grad(value, [pseudo, *encoder.parameters()], retain_graph=True),
        torch.autograd.grad(expected, [pseudo, *encoder.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_a_weighted_mixture_far_in_the_tails() -> None:
    """log sum_k pi_k p(x|u_k) of densities that underflow, with the gradient by a weight of zero."""
    p = sd.Normal("p(x|v)", loc=lambda v: v, scale=0.01)
    weights = nn.Parameter(torch.tensor([0.0, 1.0], dtype=DOUBLE))
    u = torch.tensor([[0.0], [3.0]], dtype=DOUBLE)
    x = torch.tensor([[1.501]], dtype=DOUBLE)
    value = sd.Objective("log sum_{k=1}^K pi_k p(x|u_k)", p, pi=weights, u=u)(x=x)
    v = td.Normal(u, 0.01).log_prob(x)[:, 0]
    assert value.item() == pytest.approx(v[1].item())
    torch.testing.assert_close(torch.autograd.grad(value, weights)[0], (v - v[1]).exp())


BALANCED = "0.8 KL[sg[q(z|x)] || p(z)] + 0.2 KL[q(z|x) || sg[p(z)]]"


def stopped_case() -> tuple[nn.Module, list[nn.Parameter], list[object]]:
    """An encoder, all parameters, and q(z|x) and p(z) with a trained location."""
    encoder, _, laws = vae()
    prior = nn.Parameter(torch.ones(LATENT, dtype=DOUBLE))
    return encoder, [prior, *encoder.parameters()], [laws[0], sd.Normal("p(z)", loc=prior, scale=1.0)]


def test_stopped_laws_by_hand() -> None:
    """sg[q] in a divergence stops the parameters of that occurrence only (LANGUAGE.md 8.25)."""
    encoder, parameters, laws = stopped_case()
    x = images()
    value = sd.Objective(BALANCED, *laws)(x=x)
    loc, scale = encoder(x)
    first = td.kl_divergence(td.Normal(loc.detach(), scale.detach()), td.Normal(parameters[0], 1.0))
    second = td.kl_divergence(td.Normal(loc, scale), td.Normal(parameters[0].detach(), 1.0))
    expected = (0.8 * first + 0.2 * second).sum(-1).mean()
    torch.testing.assert_close(value, expected)
    wanted = torch.autograd.grad(expected, parameters)
    for ours, theirs in zip(torch.autograd.grad(value, parameters), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("analytic", [True, False])
def test_a_stopped_law_gets_no_gradient(analytic: bool) -> None:
    _, parameters, laws = stopped_case()
    value = sd.Objective("KL[sg[q(z|x)] || p(z)]", *laws, analytic=analytic)(x=images())
    prior, *others = torch.autograd.grad(value, parameters, allow_unused=True)
    assert prior.abs().sum() > 0 and all(g is None or not g.any() for g in others)


def test_an_object_cannot_be_stopped() -> None:
    base = sd.Normal("b(z)", loc=0.0, scale=1.0, event_shape=2)
    flow = sd.Mixture("q(z)", [base, sd.Normal("c(z)", loc=1.0, scale=1.0, event_shape=2)], torch.ones(2) / 2)
    with pytest.raises(NotSupportedError, match="whose parameters cannot be stopped"):
        sd.Objective("E_{sg[q(z)]}[||z||^2]", flow)
