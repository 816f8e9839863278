"""The choice of estimators: the table, what a user names, what is refused, and what is kept."""

import copy
import pickle

import pytest
import torch
from estimator_cases import DOUBLE, Rows, Toy, numbers
from torch import nn

import symdgm as sd
from symdgm import estimators as est
from symdgm.errors import EstimatorError, OptionError, ShapeError


class Wide(nn.Module):
    """Logits of 14 bits, too many to be summed over."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 14).double()

    def forward(self, x):
        return self.layer(x)


def wide(**options):
    return sd.Objective(
        "E_q(y|x)[f(y)]", sd.Bernoulli("q(y|x)", Wide()), f=lambda y: y.sum(-1).square(), **options
    )


X = torch.ones(6, 3, dtype=DOUBLE)


def test_too_many_states_are_drawn():
    """No error, and no silent zero gradient; the derivation tells what the shapes have decided."""
    objective = wide(samples=3)
    assert objective.derivation[0].name == "enumeration"
    value = objective(x=X)
    assert objective.derivation[0].name == "score function" and ".sample((3,))" in objective.code
    gradients = torch.autograd.grad(value, objective.parameters())
    assert all(g.abs().sum() > 0 for g in gradients)


def test_the_first_evaluation_uses_the_noise_of_the_later_ones():
    objective, values = wide(), []
    for _ in range(2):
        torch.manual_seed(4)
        values.append(objective(x=X))
    assert torch.equal(*values)


def test_states_that_were_asked_for_are_never_drawn():
    with pytest.raises(EstimatorError, match=r"`y` has 2\^14 states, more than the 4096"):
        wide(estimators={"y": "enumeration"})(x=X)


NORMAL, POISSON = sd.Normal("q(z|x)", lambda x: (x, 1.0)), sd.Poisson("q(z|x)", lambda x: x.exp())
BITS, CLASSES = sd.Bernoulli("q(z|x)", lambda x: x), sd.Categorical("q(z|x)", lambda x: x)
MIXED = sd.Mixture("q(z|x)", [NORMAL])
ONE, LOG = "E_q(z|x)[f(z)]", "log E_q(z|x)[exp(f(z))]"
SEVERAL = "E_{z_{1:3} ~ q(z|x)}[log(1/3 sum_{k=1}^3 exp(f(z_k)))]"


@pytest.mark.parametrize(
    ("law", "text", "estimator", "words"),
    [
        (NORMAL, ONE, "enumeration", "a Normal has no finite support"),
        (BITS, SEVERAL, "enumeration", "the body joins several draws"),
        (BITS, ONE, "pathwise", "a Bernoulli carry no gradient by its parameters"),
        (BITS, ONE, "sticking the landing", "carry no gradient by its parameters"),
        (NORMAL, SEVERAL, "sticking the landing", "is not zero in expectation"),
        (
            sd.Transformed("q(z|x)", NORMAL, sd.distributions.flows.Planar(3)),
            ONE,
            "sticking the landing",
            "as a whole",
        ),
        (NORMAL, ONE, "DisARM", "for Bernoulli variables, not for a Normal"),
        (BITS, LOG, "DisARM", "whose gradient joins all draws"),
        (BITS, SEVERAL, "REBAR", "the body joins its draws"),
        (CLASSES, ONE, "Gumbel-softmax", "no value between two classes"),
        (POISSON, ONE, "straight-through", "a Poisson has no relaxation"),
        (BITS, ONE, est.ScoreFunction("leave-one-out"), "one draw has no others"),
        (BITS, ONE, "VIMCO", "its baselines need several draws"),
        (sd.Custom("q(z|x)", lambda z, x: -z.sum(-1)), ONE, "score function", "cannot be drawn from"),
    ],
    ids=str,
)
def test_what_does_not_apply_is_refused(law, text, estimator, words):
    with pytest.raises(EstimatorError, match=words) as caught:
        sd.Objective(text, law, f=lambda z: z.double().sum(-1), estimators={"z": estimator})
    assert "E_" in str(caught.value) and caught.value.hint


def test_a_body_that_is_no_bound_has_no_vimco():
    text = "E_{z_{1:3} ~ q(z|x)}[f(z_1) * f(z_2)]"
    with pytest.raises(EstimatorError, match="no function of one `log sum_k`"):
        sd.Objective(text, BITS, f=lambda z: z.sum(-1), estimators={"z": "VIMCO"})
    with pytest.raises(EstimatorError, match="not linear in one `log sum_k`"):
        sd.Objective(
            "E_{z_{1:3} ~ q(z|x)}[log(1/3 sum_{k=1}^3 exp(f(z_k)))^2]",
            NORMAL, f=lambda z: z.sum(-1), estimators={"z": "doubly reparameterised"},
        )  # fmt: skip


def test_scores_inside_two_logarithms_are_refused():
    laws = [sd.Bernoulli("q(a|x)", lambda x: x), sd.Bernoulli("q(b|a)", lambda a: a)]
    text = "log E_q(a|x)[exp(f(a)) * E_q(b|a)[exp(f(b))]]"
    for estimator in ("score function", "VIMCO"):
        with pytest.raises(EstimatorError, match="inside the logarithm of another average"):
            sd.Objective(
                text, *laws, f=lambda a: a.sum(-1), estimators=dict.fromkeys("ab", estimator), samples=3
            )


def test_draws_of_other_rows_are_refused():
    """The score of one example would have to know the values of all."""
    text = "E_q(z|x)[log(1/B sum_{j=1}^B exp(f(x, z_j)))]"
    with pytest.raises(EstimatorError, match="joins the draws of several examples"):
        sd.Objective(text, BITS, f=lambda x, z: (x * z).sum(-1), estimators={"z": "score function"})(x=X)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"estimators": "DisARM"}, "`estimators` is 'DisARM'"),
        ({"estimators": {"w": "DisARM"}}, "names `w`, which is no variable"),
        ({"estimators": {"y": "Disarm"}}, "is 'Disarm', which is none"),
        ({"estimators": {"y": est.DisARM}}, "which is none"),
    ],
)
def test_unknown_estimators_are_refused(options, words):
    with pytest.raises(OptionError, match=words):
        wide(**options)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: est.ScoreFunction("leave one out"), "unknown baseline `leave one out`"),
        (lambda: est.GumbelSoftmax(0.0), "the temperature is 0.0"),
        (lambda: est.REBAR(temperature=-1.0), "the temperature is -1.0"),
        (lambda: est.REBAR(eta=nn.Parameter(torch.ones(()))), "the eta of a control variate is not trained"),
        (lambda: wide(estimators={"y": est.ScoreFunction([1])}), "list is no baseline"),
    ],
)
def test_wrong_options_are_refused(make, words):
    with pytest.raises(OptionError, match=words):
        make()


def test_a_learned_baseline_needs_something_given():
    q = sd.Bernoulli("q(y)", logits=nn.Parameter(torch.zeros(2)))
    with pytest.raises(EstimatorError, match="given nothing that it could be a function of"):
        sd.Objective(
            "E_q(y)[f(y)]", q, f=lambda y: y.sum(-1), estimators={"y": est.ScoreFunction(nn.Linear(1, 1))}
        )


def test_a_baseline_returns_one_number():
    with pytest.raises(ShapeError, match="event-shaped"):
        wide(estimators={"y": est.ScoreFunction(nn.Linear(3, 2).double())})(x=X)


# What is kept.


def model(direction, sign, baseline):
    torch.manual_seed(0)
    return sd.Model(
        f"{direction} {sign} beta E_q(y|x)[f(y)]", sd.Bernoulli("q(y|x)", Wide()),
        f=lambda y: y.sum(-1), beta=2.0, estimators={"y": est.ScoreFunction(baseline)},
    )  # fmt: skip


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_a_learned_baseline_always_learns(direction, sign):
    """Its squared error falls, whether the term is maximised or minimised."""
    baseline = nn.Linear(3, 1).double()
    trained = model(direction, sign, baseline)
    assert {id(p) for p in baseline.parameters()} <= {id(p) for p in trained.parameters()}
    loss = trained.loss(x=X)
    gradient = torch.autograd.grad(loss, baseline.bias, retain_graph=True)[0]
    values = [baseline(X).mean().item()]
    trained.configure(optimizer=torch.optim.SGD, lr=1e-2)
    for _ in range(60):
        trained.train_step(x=X)
    values.append(baseline(X).mean().item())
    start, end = (abs(v - 7.0) for v in values)
    assert gradient < 0 and end < start, "14 bits, about 7 of them set"


def test_a_learned_baseline_belongs_to_one_player():
    baseline = nn.Linear(3, 1).double()
    game = sd.Model(
        "min_q max_D E_data(x) E_q(y|x)[D(y)]", sd.Bernoulli("q(y|x)", Wide()),
        D=nn.Linear(14, 1).double(), estimators={"y": est.ScoreFunction(baseline)},
    )  # fmt: skip
    owners = [name for name, owned in game.players.items() if any(p is baseline.bias for p in owned)]
    before = baseline.bias.clone()
    game.fit(X, epochs=1, progress=False)
    assert len(owners) == 1 and not torch.equal(before, baseline.bias)


def test_a_learned_baseline_leaves_the_value_and_its_inputs_alone():
    laws = [sd.Normal("q(z|x)", lambda x: (x, 1.0)), sd.Bernoulli("q(y|z)", lambda z: z.detach())]
    weight = nn.Parameter(torch.ones(3, dtype=DOUBLE))
    baseline = nn.Linear(3, 1).double()
    laws[0] = sd.Normal("q(z|x)", lambda x: (x * weight, 1.0))
    objective = sd.Objective(
        "E_q(z|x) E_q(y|z)[f(y)]", *laws, f=lambda y: y.sum(-1),
        estimators={"y": est.ScoreFunction(baseline)},
    )  # fmt: skip
    value = objective(x=X)
    (gradient,) = torch.autograd.grad(value, weight, allow_unused=True, materialize_grads=True)
    assert gradient.abs().max() == 0


def test_a_running_mean_moves_in_training_steps_only():
    trained = model("maximize", "", "running mean")
    state = {k: v for k, v in trained.state_dict().items() if "running_mean" in k}
    assert sorted(state) == ["baselines.y_running_mean.total", "baselines.y_running_mean.weight"]
    trained.train_mode(False)
    trained.loss(x=X)
    with torch.no_grad():
        trained.train_mode(True)
        trained.loss(x=X)
    assert trained.state_dict()["baselines.y_running_mean.weight"] == 0
    for _ in range(3):
        trained.train_step(x=X)
    mean = trained.baselines.get_submodule("y_running_mean")
    assert mean.weight == pytest.approx(1 - 0.99**3)
    assert 3 < mean.eval()(torch.zeros(())) < 11


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_state_is_copied_and_saved(tmp_path, again):
    trained = sd.Model("maximize E_q(y|x)[||y||^2]", sd.Bernoulli("q(y|x)", Wide()),
                       estimators={"y": est.ScoreFunction("running mean")})  # fmt: skip
    trained.train_step(x=X)
    other = again(trained)
    other.train_step(x=X)
    weight = [m.baselines.get_submodule("y_running_mean").weight for m in (trained, other)]
    assert weight[0] < weight[1]
    other.save(tmp_path / "weights")
    trained.load(tmp_path / "weights")
    assert torch.equal(trained.baselines.get_submodule("y_running_mean").weight, weight[1])


def test_each_term_has_a_running_mean_of_its_own():
    q = sd.Bernoulli("q(y|x)", Wide())
    objective = sd.Objective(
        "E_q(y|x)[f(y)] + E_q(y|x)[f(y)^2]", q, f=lambda y: y.sum(-1),
        estimators={"y": est.ScoreFunction("running mean")},
    )  # fmt: skip
    objective(x=X)
    assert list(objective.baselines.state_dict()) == [
        f"y_running_mean{n}.{part}" for n in ("", "_2") for part in ("total", "weight")
    ]


def test_the_derivation_names_estimator_kind_reason_and_reference():
    text = repr(Toy(4).objective("score function", 3).derivation)
    assert "score function (unbiased estimator)" in text and "Williams (1992)" in text
    assert "minus the mean over the other draws" in text


def test_a_scalar_that_the_formula_has_keeps_its_name():
    q = sd.Bernoulli("q(y|x)", Rows([0.0], 3))
    objective = sd.Objective(
        "temperature_y E_q(y|x)[||y||^2]", q, temperature_y=3.0, estimators={"y": est.GumbelSoftmax(0.5)}
    )
    objective(x=numbers(3))
    assert objective.scalars["temperature_y"] == 3.0 and objective.scalars["temperature_y_"] == 0.5
