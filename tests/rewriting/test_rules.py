"""Each rule by itself: what it gives, that its two sides are one number, and where it must not apply."""

import time

import pytest
import torch
import torch.distributions as td
from torch import nn

import symdgm as sd
from symdgm import zoo
from symdgm.binding import BoundFacts
from symdgm.expressions.depth import nodes
from symdgm.lowering import freeze
from symdgm.rewriting import Derivation, Term, derive
from symdgm.rewriting import rules as known
from symdgm.rewriting.algebra import join_coefficient, split_coefficient
from symdgm.rewriting.rule import Rule
from symdgm.rewriting.traversal import Everywhere
from symdgm.runtime import Runner

BATCH, DATA, LATENT = 4, 5, 2


class Gaussian(nn.Module):
    def __init__(self, *inputs):
        super().__init__()
        self.layer = nn.Linear(sum(inputs), 2 * LATENT)

    def forward(self, *given):
        loc, scale = self.layer(torch.cat(given, -1)).tanh().chunk(2, -1)
        return loc, scale.exp()


def laws():
    torch.manual_seed(0)
    found = [
        sd.Normal("q(z|x)", Gaussian(DATA)),
        sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=LATENT),
        sd.Bernoulli("p(x|z)", nn.Linear(LATENT, DATA)),
        sd.Normal("r(z|x)", Gaussian(DATA)),
        sd.Normal("s(z|y)", Gaussian(LATENT)),
        sd.Normal("w(a|z)", Gaussian(LATENT)),
        sd.Bernoulli("c(b|x)", nn.Linear(DATA, 2)),
        sd.Bernoulli("d(b)", probs=0.3, event_shape=2),
        sd.Bernoulli("e(z|x)", nn.Linear(DATA, LATENT)),
    ]
    return [law.double() for law in found]


def values():
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(BATCH, DATA, generator=generator, dtype=torch.float64).round()
    y, z, b = (torch.rand(BATCH, LATENT, generator=generator, dtype=torch.float64).round() for _ in range(3))
    return {"x": x, "y": y, "z": z, "b": b}


class Case:
    """A formula that is bound, and what rules make of it."""

    def __init__(self, text, **names):
        self.objective = sd.Objective(text, *laws(), **names)
        self.bound = self.objective.bound
        self.facts = BoundFacts(self.bound.environment)

    def after(self, *rules):
        expression = self.bound.expression
        for rule in rules:
            walk = Everywhere(lambda node, rule=rule: rule.apply(node, self.facts), rule.at)
            expression, _ = walk(expression)
        return expression

    def number(self, expression, seed=0, samples=1):
        term = Term(expression, 1, (), expression)
        frozen = freeze(self.bound, Derivation(expression, (), (term,)), self.facts, {"": samples})
        runner = Runner(frozen, ["value"], "a side of a rule", lambda: None)
        torch.manual_seed(seed)
        data = {name: value for name, value in values().items() if name in self.bound.data}
        return runner(data)[0]


EXACT = [
    (known.LOG_OF_PRODUCT, "log(p(x|z) p(z) / q(z|x))", "log p(x|z) + log p(z) - log q(z|x)", {}),
    (known.LOG_OF_PRODUCT, "log(2 p(z))", "log 2 + log p(z)", {}),
    (known.LOG_OF_PRODUCT, "log(p(z)/(q(z|x)/p(x|z)))", "log p(z) - log q(z|x) + log p(x|z)", {}),
    (known.LOG_OF_POWER, "log(p(z)^2)", "2 log p(z)", {}),
    (known.LOG_OF_POWER, "log(p(z)^beta)", "beta log p(z)", {"beta": 0.3}),
    (
        known.LINEARITY,
        "E_q(z|x)[log p(z) - 2 beta ||z||^2]",
        "E_q(z|x)[log p(z)] - 2 beta E_q(z|x)[||z||^2]",
        {"beta": 0.3},
    ),
    (known.LINEARITY, "E_q(z|x)[||z||^2 / 2]", "E_q(z|x)[||z||^2] / 2", {}),
    (known.LINEARITY, "E_q(z|x)[-||z||^2]", "-E_q(z|x)[||z||^2]", {}),
    (
        known.LINEARITY,
        "E_q(z|x) E_w(a|z)[||a||^2 + ||z||^2]",
        "E_q(z|x) E_w(a|z)[||a||^2] + E_q(z|x) E_w(a|z)[||z||^2]",
        {},
    ),
    (known.CONSTANT, "E_q(z|x)[||x||^2]", "||x||^2", {}),
    (known.CONSTANT, "E_q(z|x) E_w(a|z)[||z||^2]", "E_q(z|x)[||z||^2]", {}),
]


WIDE = {
    "of data and labels": lambda: zoo.m2(6, 3, latent=2, hidden=4),
    "of sequences": lambda: zoo.deep_markov(6, transition=4, latent=2, hidden=4, recurrent=3),
    "of components": lambda: zoo.beta_tcvae(6, latent=2, hidden=4),
    "of several parts": lambda: zoo.jmvae(6, 3, latent=2, hidden=4),
}


@pytest.mark.parametrize("build", WIDE.values(), ids=WIDE)
def test_rules_change_only_the_kinds_of_nodes_that_they_name(build):
    objective = build().objective
    formulas = [objective.bound.expression, *(s.result for s in objective.rewriting.steps)]
    rules = [rule for rule in vars(known).values() if isinstance(rule, Rule)]
    changed = set()
    for node in {node for formula in formulas for node in nodes(formula)}:
        changing = {r.name for r in rules if r.apply(node, objective.facts) not in (None, node)}
        assert changing <= {r.name for r in rules if type(node) in r.at}
        changed |= changing
    assert {step.name for step in objective.rewriting.steps} <= changed


@pytest.mark.parametrize(("rule", "before", "after", "names"), EXACT, ids=lambda v: getattr(v, "name", None))
def test_both_sides_of_an_equality_are_one_number(rule, before, after, names):
    case = Case(before, **names)
    found = case.after(rule)
    assert sd.signature(found) == sd.signature(Case(after, **names).bound.expression)
    torch.testing.assert_close(case.number(found), case.number(case.bound.expression), rtol=1e-10, atol=1e-10)


def test_a_joint_is_the_product_of_its_factors():
    case = Case("log p(x, z)")
    found = case.after(known.CHAIN_RULE)
    assert sd.signature(found) == sd.signature(Case("log(p(x|z) p(z))").bound.expression)
    data, (_, p_z, p_x, *_) = values(), laws()
    expected = p_x.log_prob({"x": data["x"], "z": data["z"]}) + p_z.log_prob({"z": data["z"]})
    torch.testing.assert_close(case.number(found), expected.mean(), rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    ("rule", "text", "names"),
    [
        (known.CHAIN_RULE, "log p(z)", {}),
        (known.LOG_OF_PRODUCT, "E_q(z|x)[log(||z||^2 ||x||^2)]", {}),  # no density: may be negative
        (known.LOG_OF_PRODUCT, "log p(z)", {}),
        (known.LOG_OF_POWER, "E_q(z|x)[log(||x||^4)]", {}),
        (known.LINEARITY, "E_q(z|x)[||x||^2 ||z||^2]", {}),  # only scalars are pulled out
        (known.LINEARITY, "E_q(z|x)[1 / ||z||^2]", {}),
        (known.LINEARITY, "E_q(z|x)[exp(||z||^2)]", {}),
        (known.CONSTANT, "E_q(z|x)[||z||^2]", {}),
        (known.CONSTANT, "E_q(z|x) E_w(a|z)[||a||^2]", {}),  # a needs z
    ],
)
def test_a_rule_leaves_alone_what_is_not_its_own(rule, text, names):
    case = Case(text, **names)
    assert case.after(rule) == case.bound.expression


def kl(q, p, **given):
    x = {k: v for k, v in given.items() if k in q.given}
    left = td.Normal(**q.parameters_at(x))
    right = td.Normal(
        **{
            k: v.expand_as(left.loc)
            for k, v in p.parameters_at({k: v for k, v in given.items() if k in p.given}).items()
        }
    )
    return td.kl_divergence(left, right).sum(-1).mean()


RECOGNISED = [
    ("E_q(z|x)[log q(z|x) - log p(z)]", "KL[q(z|x)||p(z)]"),
    ("E_q(z|x)[log p(z) - log q(z|x)]", "-KL[q(z|x)||p(z)]"),
    ("E_q(z|x)[log r(z|x)] - E_q(z|x)[log q(z|x)]", "-KL[q(z|x)||r(z|x)]"),
    ("2 E_q(z|x)[log q(z|x)] - 2 E_q(z|x)[log s(z|y)]", "2 KL[q(z|x)||s(z|y)]"),
    ("E_q(z|x)[log q(z|x) - log p(z) + log q(z|x) - log r(z|x)]", "KL[q(z|x)||p(z)] + KL[q(z|x)||r(z|x)]"),
    ("E_c(b|x)[log c(b|x) - log d(b)]", "KL[c(b|x)||d(b)]"),
    ("E_s(z|y) E_w(a|z)[log w(a|z)]", "-E_s(z|y)[H[w(a|z)]]"),
    ("E_q(z|x)[log q(z|x)]", "-H[q(z|x)]"),
    (
        "E_q(z|x)[log q(z|x)] - beta E_q(z|x)[log p(z)]",
        "-H[q(z|x)] - beta E_q(z|x)[log p(z)]",
    ),  # unequal weights
    ("E_q(z|x)[log q(z|x) + log p(z)]", "-H[q(z|x)] + E_q(z|x)[log p(z)]"),  # one sign
    ("E_q(z|x)[log q(z|x)] - E_r(z|x)[log p(z)]", "-H[q(z|x)] - E_r(z|x)[log p(z)]"),  # two laws
    ("E_q(z|x)[log e(z|x)] - E_q(z|x)[log q(z|x)]", "E_q(z|x)[log e(z|x)] + H[q(z|x)]"),  # two families
    ("E_q(z|x)[log q(z|x)] - E_q(z|x)[log s(z|y=z)]", "-H[q(z|x)] - E_q(z|x)[log s(z|y=z)]"),  # p is given z
    ("E_q(z|x)[log r(z|x)]", "E_q(z|x)[log r(z|x)]"),
]


@pytest.mark.parametrize(("before", "after"), RECOGNISED)
def test_divergences_are_recognised_where_they_are_and_nowhere_else(before, after):
    names = {"beta": 0.3} if "beta" in before else {}
    objective = sd.Objective(before, *laws(), **names)
    wanted = sd.Objective(after, *laws(), **names)
    got = derive(objective.bound.expression, BoundFacts(objective.bound.environment))
    named = [join_coefficient(t.sign, t.scalars, t.name) for t in got.terms]
    expected = derive(wanted.bound.expression, BoundFacts(wanted.bound.environment))
    assert named == [join_coefficient(t.sign, t.scalars, t.name) for t in expected.terms]


def test_a_recognised_divergence_is_the_expectation():
    data = values()
    q, p = laws()[0], laws()[1]
    closed = sd.Objective("E_q(z|x)[log q(z|x) - log p(z)]", *laws())
    torch.testing.assert_close(closed(x=data["x"]), kl(q, p, **data), rtol=1e-10, atol=0)
    sampled = Case("E_q(z|x)[log q(z|x) - log p(z)]")
    draws = torch.stack([sampled.number(sampled.bound.expression, seed) for seed in range(400)])
    error = draws.std() / 20
    assert (draws.mean() - closed(x=data["x"])).abs() / error < 4  # |z| < 4 at fixed seeds


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("KL[q(z|x)||p(z)]", lambda ls, v: kl(ls[0], ls[1], **v)),
        ("KL[q(z|x)||s(z|y)]", lambda ls, v: kl(ls[0], ls[4], **v)),
        ("H[q(z|x)]", lambda ls, v: td.Normal(**ls[0].parameters_at({"x": v["x"]})).entropy().sum(-1).mean()),
    ],
)
def test_closed_forms(text, reference):
    case = Case(text)
    torch.testing.assert_close(
        case.number(case.after(known.CLOSED_FORM)), reference(laws(), values()), rtol=1e-10, atol=0
    )


def test_cross_entropy_is_entropy_and_divergence():
    data, (q, p, *_) = values(), laws()
    value = sd.Objective("H[q(z|x), p(z)]", *laws())(x=data["x"])
    entropy = td.Normal(**q.parameters_at({"x": data["x"]})).entropy().sum(-1).mean()
    torch.testing.assert_close(value, entropy + kl(q, p, **data), rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("KL[q(z|x)||p(z)]", "E_q(z|x)[log q(z|x) - log p(z)]"),
        ("H[q(z|x)]", "-E_q(z|x)[log q(z|x)]"),
        ("H[q(z|x), p(z)]", "-E_q(z|x)[log p(z)]"),
    ],
)
def test_definitions(text, after):
    case = Case(text)
    assert sd.signature(case.after(known.DEFINITION)) == sd.signature(Case(after).bound.expression)


def test_an_expectation_stays_around_a_closed_form_that_depends_on_it():
    """The closed form names parameters of w(a|z), no longer z; the expectation over z must not be dropped."""
    objective = sd.Objective("E_q(z|x)[H[w(a|z)]]", *laws(), samples=2)
    data = values()
    torch.manual_seed(0)
    value = objective(x=data["x"])
    q, w = laws()[0], laws()[5]
    torch.manual_seed(0)
    found = q.parameters_at({"x": data["x"]})
    z = found["loc"] + found["scale"] * torch.randn(2, BATCH, LATENT, dtype=torch.float64)
    entropy = torch.stack([td.Normal(**w.parameters_at({"z": z[k]})).entropy().sum(-1) for k in range(2)])
    torch.testing.assert_close(value, entropy.mean(), rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    ("text", "sign", "scalars", "core"),
    [
        ("-2 beta ||x||^2", -1, "2 beta", "||x||^2"),
        ("||x||^2 / 2", 1, "1/2", "||x||^2"),
        ("-(-||x||^2)", 1, "", "||x||^2"),
        ("||x||^2 * ||z||^2", 1, "", "||x||^2 * ||z||^2"),
        ("||x||^2 / beta", 1, "1/beta", "||x||^2"),
    ],
)
def test_coefficients(text, sign, scalars, core):
    objective = sd.Objective(
        f"E_q(z|x)[{text} + log p(x|z)]", *laws(), **({"beta": 0.3} if "beta" in text else {})
    )
    body = objective.bound.expression.body.args[0]
    found = split_coefficient(body, BoundFacts(objective.bound.environment))
    assert (found[0], " ".join(map(str, found[1])), str(found[2])) == (sign, scalars, core)


def test_two_priors_that_print_alike_are_two():
    near, far = (sd.Normal("p(z)", loc=m, scale=1.0, event_shape=LATENT).double() for m in (0.0, 3.0))
    value = sd.Objective("KL[q||p_a] - KL[q||p_b]", laws()[0], p_a=near, p_b=far)(x=values()["x"])
    data = values()
    torch.testing.assert_close(value, kl(laws()[0], near, **data) - kl(laws()[0], far, **data))
    assert value.abs() > 1


def test_many_divergences_in_one_sum_are_all_recognised():
    text = " + ".join(["log q(z|x) - log p(z)"] * 80)
    objective = sd.Objective(f"E_q(z|x)[{text}]", *laws()[:2])
    assert all(name.startswith("KL") for name in objective.term_names) and len(objective.term_names) == 80


def test_a_thousand_terms_are_rewritten_in_a_moment():
    text = " + ".join(f"E_q(z|x)[{k} ||z||^2 + {k} log p(z)]" for k in range(1, 501))
    bound = sd.Objective("E_q(z|x)[||z||^2 + 2 log p(z)]", *laws()[:2]).bound
    expression = sd.parse(text)
    start = time.thread_time()
    found = derive(expression, BoundFacts(bound.environment))
    assert len(found.terms) == 1000
    assert time.thread_time() - start < 10  # a square of the length would take minutes
