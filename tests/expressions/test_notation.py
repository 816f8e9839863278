from __future__ import annotations

import pytest
import sympy
from expression_samples import (
    SAMPLES,
    K,
    T,
    bernoulli,
    beta,
    big,
    density,
    draw,
    elbo,
    expect,
    f,
    grad,
    i,
    iwae,
    k,
    kl,
    minimise,
    node_classes,
    p,
    p_xz,
    p_z,
    q,
    q_zx,
    sub,
    t,
    x,
    y,
    z,
)
from sympy import Basic, Integer, Rational, Symbol, Tuple
from sympy.core.symbol import Str

from symdgm.expressions.applications import Apply, Call, Density, Indicator, Inner, Norm, Transposed, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Quotient, Times
from symdgm.expressions.calculus import DerivativeBy, IntegralOver
from symdgm.expressions.expectations import (
    Binder,
    CrossEntropy,
    DivergenceBetween,
    Entropy,
    Expect,
    MutualInformation,
)
from symdgm.expressions.indices import Aggregate, Index
from symdgm.expressions.names import IndexRange, Labelled, Listing, Name, Placeholder, Relation
from symdgm.expressions.notation import ascii, latex, unicode
from symdgm.expressions.notation.letters import undecorated
from symdgm.expressions.notation.walk import WRITERS
from symdgm.expressions.statements import Abbreviation, Block, Definition, Labeled, Optimize, Proportional

one, two = Integer(1), Integer(2)
log_p = call("log", p_xz)
sum_k = big("sum", sub(x, k), k, 1, K)
norm = Norm(x, two)


def test_every_class_of_node_has_a_writer() -> None:
    assert set(node_classes()) <= set(WRITERS)


PAPERS: list[tuple[Basic, str, str, str]] = [
    (
        elbo,
        "E_q(z|x)[log p(x|z)] - beta KL[q || p]",
        "𝔼_q(z|x)[log p(x|z)] − β KL[q ‖ p]",
        r"\mathbb{E}_{q(z|x)}\left[\log p(x|z)\right] - \beta D_{\mathrm{KL}}\left[q \,\|\, p\right]",
    ),
    (
        iwae,
        "E_{z_{1:K} ~ q(z|x)}[log(1/K sum_{k=1}^K p(x, z_k)/q(z_k|x))]",
        "𝔼_{z_{1:K} ∼ q(z|x)}[log(1/K ∑_{k=1}^K p(x, z_k)/q(z_k|x))]",
        r"\mathbb{E}_{z_{1:K} \sim q(z|x)}\left[\log\left(\frac{1}{K} \sum_{k=1}^{K} "
        r"\frac{p(x, z_{k})}{q(z_{k}|x)}\right)\right]",
    ),
    (
        Norm(x - Apply(f, z), two) ** 2,
        "||x - f(z)||^2",
        "‖x − f(z)‖²",
        r"\left\| x - f(z) \right\|^{2}",
    ),
    (
        expect(
            Rational(1, 2) * grad(call("log", Apply(p, x)), x) ** 2, Apply(Name("data"), x)
        ),
        "E_data(x)[1/2 (grad_x log p(x))^2]",
        "𝔼_data(x)[1/2 (∇_x log p(x))²]",
        r"\mathbb{E}_{\mathrm{data}(x)}\left[\frac{1}{2} (\nabla_{x} \log p(x))^{2}\right]",
    ),
    (
        Optimize(
            Str("minimize"),
            Optimize(Str("maximize"), f, Tuple(Name("D"))),
            Tuple(Name("G"), Name("E")),
        ),
        "min_{G, E} max_D f",
        "min_{G, E} max_D f",
        r"\min_{G, E} \max_{D} f",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("node", "plain", "pretty", "tex"), PAPERS, ids=[c[1] for c in PAPERS])
def test_papers(node: Basic, plain: str, pretty: str, tex: str) -> None:
    assert ascii(node) == plain
    assert unicode(node) == pretty
    assert latex(node) == tex


BRACKETS: list[tuple[Basic, str]] = [
    (Plus(Plus(x, y), z), "(x + y) + z"),
    (Plus(x, Plus(y, z)), "x + (y + z)"),
    (Plus(x, Minus(Plus(y, z))), "x - (y + z)"),
    (Plus(x, Minus(Minus(y))), "x - (-y)"),
    (Plus(Minus(x), Minus(Times(x, y))), "-x - x y"),
    (Plus(x, Times(Minus(y), z)), "x + (-y z)"),
    (Plus(x, Integer(-1)), "x + (-1)"),
    (Plus(x, Minus(Quotient(y, z))), "x - y/z"),
    (Minus(Times(x, y)), "-(x y)"),
    (Minus(Plus(x, y)), "-(x + y)"),
    (Minus(Minus(x)), "-(-x)"),
    (Minus(Power(x, two)), "-x^2"),
    (Power(Minus(x), two), "(-x)^2"),
    (Times(Minus(x), y), "-x y"),
    (Times(x, Minus(y)), "x * (-y)"),
    (Times(Times(x, y), z), "(x y) z"),
    (Times(x, Times(y, z)), "x * (y z)"),
    (Times(Quotient(x, y), z), "x/y z"),
    (Times(x, Quotient(y, z)), "x * (y/z)"),
    (Times(Quotient(x, y), Plus(y, z)), "x/y * (y + z)"),
    (Times(two, Plus(x, y)), "2 (x + y)"),
    (Times(x, Plus(x, y)), "x * (x + y)"),
    (Times(sub(x, t), Plus(x, y)), "x_t * (x + y)"),
    (Times(Power(x, two), Plus(x, y)), "x^2 (x + y)"),
    (Times(Power(x, y), Plus(x, y)), "x^y * (x + y)"),
    (Times(q_zx, Plus(x, y)), "q(z|x) (x + y)"),
    (Times(x, two), "x * 2"),
    (Times(two, two), "2 * 2"),
    (Times(Rational(1, 2), x), "1/2 x"),
    (Times(x, Rational(1, 2)), "x * (1/2)"),
    (Quotient(Times(x, y), z), "x y/z"),
    (Quotient(x, Times(y, z)), "x/(y z)"),
    (Quotient(Quotient(x, y), z), "x/y/z"),
    (Quotient(x, Quotient(y, z)), "x/(y/z)"),
    (Quotient(Plus(x, y), z), "(x + y)/z"),
    (Quotient(Minus(x), y), "-x/y"),
    (Quotient(x, Minus(y)), "x/(-y)"),
    (Quotient(x, Rational(1, 2)), "x/(1/2)"),
    (Quotient(two, Integer(4)), "2/4"),
    (Power(Power(x, two), two), "(x^2)^2"),
    (Power(x, Power(y, z)), "x^{y^z}"),
    (Power(Rational(1, 2), x), "(1/2)^x"),
    (Power(x, one - beta), "x^{1 - beta}"),
    (Power(Labelled(x, i), two), "(x^{(i)})^2"),
    (Power(x, T), "x^{{T}}"),
    (Apply(Name("D"), norm), "D((||x||))"),
    (Apply(Name("D"), Inner(norm, y)), "D((<||x||, y>))"),
    (density(p, x, norm), "p(x|(||x||))"),
    (grad(Call(Str("max"), x, y), x), "grad_x(max(x, y))"),
    (Power(expect(x, q), two), "(E_q[x])^2"),
    (Power(kl(q, p), two), "KL[q || p]^2"),
    (Transposed(Plus(x, y)), "(x + y)^T"),
    (log_p, "log p(x|z)"),
    (call("log", Times(p_xz, p_z)), "log(p(x|z) p(z))"),
    (call("log", Quotient(p_xz, p_z)), "log(p(x|z)/p(z))"),
    (call("log", Power(x, two)), "log(x^2)"),
    (Power(log_p, two), "(log p(x|z))^2"),
    (Power(call("log", x + y), two), "log(x + y)^2"),
    (Times(log_p, p_z), "(log p(x|z)) p(z)"),
    (Times(p_z, log_p), "p(z) log p(x|z)"),
    (Quotient(log_p, p_z), "(log p(x|z))/p(z)"),
    (Quotient(p_z, log_p), "p(z)/(log p(x|z))"),
    (Quotient(Times(two, log_p), p_z), "(2 log p(x|z))/p(z)"),
    (Minus(log_p), "-log p(x|z)"),
    (Times(call("exp", x), y), "exp(x) y"),
    (grad(grad(call("log", Apply(p, x)), x), x), "grad_x grad_x log p(x)"),
    (grad(x + y, x), "grad_x(x + y)"),
    (grad(x * y, x), "grad_x(x y)"),
    (Times(grad(Apply(f, x), x), y), "(grad_x f(x)) y"),
    (Norm(grad(Apply(f, x), x), two) - 1, "||grad_x f(x)|| - 1"),
    (Times(sum_k, x), "(sum_{k=1}^K x_k) x"),
    (Times(x, sum_k), "x sum_{k=1}^K x_k"),
    (Quotient(sum_k, x), "(sum_{k=1}^K x_k)/x"),
    (big("sum", x + y, k), "sum_k (x + y)"),
    (big("sum", x / y, k), "sum_k x/y"),
    (big("sum", -x, k), "sum_k (-x)"),
    (big("sum", x * sum_k, t), "sum_t x sum_{k=1}^K x_k"),
    (big("sum", x * sum_k, k), "sum_k (x sum_{k=1}^K x_k)"),
    (Times(big("prod", x, k, 1, K), big("prod", y, k, 2, K)), "prod_{k=1}^K x prod_{k=2}^K y"),
    (Times(big("prod", x, k), big("prod", y, k)), "(prod_k x) prod_k y"),
    (Times(big("prod", x, t), big("prod", y, k)), "(prod_t x) prod_k y"),
    (Plus(sum_k, x), "sum_{k=1}^K x_k + x"),
    (Times(norm, norm), "||x|| * ||x||"),
    (Times(two, norm), "2 ||x||"),
    (Norm(norm, two), "||(||x||)||"),
    (kl(norm, p), "KL[(||x||) || p]"),
    (Times(x, Inner(x, y), z), "x * <x, y> * z"),
    (Times(x, Indicator(Relation(Str("!="), k, i))), "x * 1[k != i]"),
    (Times(IntegralOver(f, t), x), "(int f dt) x"),
    (IntegralOver(f + x, t), "int (f + x) dt"),
    (Minus(Integer(-1)), "-(-1)"),
    (Apply(Apply(f, x), y), "(f(x))(y)"),
    (Times(x, Symbol("s") + 1), "x * (s + 1)"),
]


@pytest.mark.parametrize(("node", "text"), BRACKETS, ids=[c[1] for c in BRACKETS])
def test_brackets_stand_exactly_where_they_are_needed(node: Basic, text: str) -> None:
    assert ascii(node) == text


LATEX: list[tuple[Basic, str]] = [
    (Quotient(x, y) ** 2, r"\left(\frac{x}{y}\right)^{2}"),
    (Times(x, Quotient(y, z)), r"x \frac{y}{z}"),
    (Rational(-1, 2) * x, r"-\frac{1}{2} x"),
    (Times(x, Plus(x, y)), r"x \cdot (x + y)"),
    (call("sqrt", x), r"\sqrt{x}"),
    (call("abs", x), r"\left\lvert x \right\rvert"),
    (call("sg", Apply(f, x)), r"\operatorname{sg}\left[f(x)\right]"),
    (call("sg", x / y), r"\operatorname{sg}\left[\frac{x}{y}\right]"),
    (sub(Name("x'"), t) ** 2, r"(x'_{t})^{2}"),
    (Transposed(sub(Name("x_bar'"), t)), r"(\bar{x}'_{t})^{\top}"),
    (call("softplus", x), r"\operatorname{softplus}(x)"),
    (call("tr", x / y), r"\operatorname{tr}\left(\frac{x}{y}\right)"),
    (Apply(Name("N"), Integer(0), Name("I")), r"\mathcal{N}(0, I)"),
    (1 / Name("N"), r"\frac{1}{N}"),
    (x ** Name("enc"), r"x^{{\mathrm{enc}}}"),
    (sub(Name("Delta"), x) * f, r"\mathrm{Delta}_{x} f"),
    (sub(q, Name("phi")), r"q_{\phi}"),
    (Labelled(x, Str("o")), r"x^{\text{o}}"),
    (Labelled(Name("x_star"), i), r"\mathrm{x_star}^{(i)}"),
    (Power(Name("x_star"), two), r"(x^{*})^{2}"),
    (sub(x, Relation(Str("<="), Placeholder(), t)), r"x_{\le t}"),
    (Listing(one, Placeholder(), T), r"\{1, \ldots, T\}"),
    (Inner(x, y), r"\left\langle x, y \right\rangle"),
    (Transposed(x), r"x^{\top}"),
    (Norm(x, one), r"\left\| x \right\|_{1}"),
    (DerivativeBy(Str("partial"), Apply(f, x), sub(x, i)), r"\partial_{x_{i}} f(x)"),
    (DerivativeBy(Str("laplacian"), Apply(f, x), x), r"\Delta_{x} f(x)"),
    (IntegralOver(Apply(f, t), t, Integer(0), one), r"\int_{0}^{1} f(t) \, d t"),
    (Entropy(q_zx), r"\mathbb{H}\left[q(z|x)\right]"),
    (CrossEntropy(q, p), r"\mathbb{H}\left[q, p\right]"),
    (MutualInformation(Tuple(x), Tuple(z)), r"I\left[x; z\right]"),
    (DivergenceBetween(Str("Renyi"), q, p, Name("alpha")), r"D_{\alpha}\left[q \,\|\, p\right]"),
    (kl(q, p, "JS"), r"\mathrm{JS}\left[q \,\|\, p\right]"),
    (big("mean", sub(x, k), k, 1, K), r"\operatorname{mean}_{k=1}^{K} x_{k}"),
    (big("sum", x, k, Relation(Str("!="), k, i)), r"\sum_{k \neq i} x"),
    (big("sum", x, k, Relation(Str("=="), k, i)), r"\sum_{k == i} x"),
    (Proportional(p_z, x), r"p(z) \propto x"),
    (Abbreviation(Name("r"), x / y), r"\text{where } r = \frac{x}{y}"),
    (Labeled(Name("loss"), minimise), r"\mathrm{loss}: \text{minimize } f(x) \text{ over } D"),
    (
        Block(Definition(p_xz, bernoulli), Optimize(Str("maximize"), f, Tuple())),
        "\\begin{aligned}\n"
        "p(x|z) &= \\mathrm{Bernoulli}(x; \\mathrm{logits}=\\mathrm{dec}(z)) \\\\\n"
        "& \\text{maximize } f\n"
        "\\end{aligned}",
    ),
    (Times(x, Symbol("s") + 1), "x \\cdot (s + 1)"),
]


@pytest.mark.parametrize(("node", "text"), LATEX, ids=[c[1] for c in LATEX])
def test_latex(node: Basic, text: str) -> None:
    assert latex(node) == text


UNICODE: list[tuple[Basic, str]] = [
    (Power(x, Integer(3)), "x³"),
    (Power(x, Integer(4)), "x^4"),
    (Times(x, Plus(x, y)), "x · (x + y)"),
    (big("prod", x, k, 1, K), "∏_{k=1}^K x"),
    (sub(z, t - 1), "z_{t−1}"),
    (sub(x, Relation(Str("<="), Placeholder(), t)), "x_{≤t}"),
    (Inner(x, y), "⟨x, y⟩"),
    (Entropy(q), "ℍ[q]"),
    (IntegralOver(f, t, Integer(0), one), "∫_0^1 f dt"),
    (call("sqrt", x), "√(x)"),
    (DerivativeBy(Str("partial"), Apply(f, x), sub(x, i)), "∂_{x_i} f(x)"),
    (Apply(f, Placeholder()), "f(·)"),
    (Proportional(p_z, x), "p(z) ∝ x"),
    (draw(z, q), "z ∼ q"),
    (DerivativeBy(Str("laplacian"), Apply(f, x), x), "Δ_x f(x)"),
    (Listing(one, Placeholder(), T), "{1, …, T}"),
]


@pytest.mark.parametrize(("node", "text"), UNICODE, ids=[c[1] for c in UNICODE])
def test_unicode(node: Basic, text: str) -> None:
    assert unicode(node) == text


ASCII: list[tuple[Basic, str]] = [
    (sub(x, i, t), "x_{i,t}"),
    (sub(x, IndexRange(one, Placeholder())), "x_{1:}"),
    (Labelled(x, Str("o")), r"x^{\text{o}}"),
    (Density(p, Tuple(x), Tuple(), Tuple(z)), "p(x; z)"),
    (Apply(p, Definition(x, Apply(f, z))), "p(x=f(z))"),
    (Call(Str("max"), x, y), "max(x, y)"),
    (expect(x, sub(q, Name("phi"))), "E_{q_phi}[x]"),
    (expect(x, density(sub(q, Name("phi")), z, x)), "E_{q_phi(z|x)}[x]"),
    (expect(x, Density(q, Tuple(z), Tuple(), Tuple(x))), "E_{q(z; x)}[x]"),
    (expect(x, Apply(p, x), q_zx), "E_{p(x), q(z|x)}[x]"),
    (expect(x, Times(Apply(p, x), q_zx)), "E_{p(x) q(z|x)}[x]"),
    (Expect(x, Binder(Tuple(t, x), Tuple())), "E_{t, x}[x]"),
    (expect(x, draw(x, Name("data")), draw(t, Apply(Name("U"), 0, 1))), "E_{x ~ data, t ~ U(0, 1)}[x]"),
    (DivergenceBetween(Str("Renyi"), q, p, Name("alpha")), "Renyi_{alpha}[q || p]"),
    (Norm(x, one), "||x||_1"),
    (IntegralOver(f, t, Integer(0), one), "int_0^1 f dt"),
    (Optimize(Str("argmax"), f, Tuple(x)), "argmax_x f"),
    (Optimize(Str("minimize"), f, Tuple()), "minimize f"),
    (Labeled(Name("loss"), minimise), "loss: minimize f(x) over D"),
    (
        Labeled(Name("loss"), Optimize(Str("minimize"), Optimize(Str("maximize"), f, Tuple(x)), Tuple(y))),
        "loss: min_y max_x f",
    ),
    (Labeled(Name("loss"), Optimize(Str("minimize"), f, Tuple())), "loss: minimize f"),
    (Block(Definition(x, y), Abbreviation(z, y)), "x = y\nwhere z = y"),
    (Placeholder(), "."),
    (Apply(Name("Uniform"), IndexRange(one, T)), "Uniform{1..T}"),
    (Apply(f, IndexRange(one, T)), "f(1:T)"),
    (Tuple(x, y), "x, y"),
    (Call(Str("log")), "log()"),
]


@pytest.mark.parametrize(("node", "text"), ASCII, ids=[c[1] for c in ASCII])
def test_ascii(node: Basic, text: str) -> None:
    assert ascii(node) == text


NAMES = [
    ("x", "x", "x"),
    ("theta", "θ", r"\theta"),
    ("eps", "ε", r"\epsilon"),
    ("omicron", "ο", r"\mathrm{omicron}"),
    ("x_hat", "x̂", r"\hat{x}"),
    ("theta_tilde", "θ̃", r"\tilde{\theta}"),
    ("a_bar", "a\u0304", r"\bar{a}"),
    ("x_bar_hat", "x̄̂", r"\hat{\bar{x}}"),
    ("x'", "x'", "x'"),
    ("x_hat''", "x̂''", r"\hat{x}''"),
    ("x_star", "x_star", "x^{*}"),
    ("enc", "enc", r"\mathrm{enc}"),
    ("enc_hat", "enc_hat", r"\hat{\mathrm{enc}}"),
    ("f2", "f2", r"\mathrm{f2}"),
    ("a_b", "a_b", r"\mathrm{a\_b}"),
]


@pytest.mark.parametrize(("text", "pretty", "tex"), NAMES)
def test_names(text: str, pretty: str, tex: str) -> None:
    assert ascii(Name(text)) == text
    assert unicode(Name(text)) == pretty
    assert latex(Name(text)) == tex


def test_a_decoration_alone_is_a_name() -> None:
    assert undecorated("hat") == ("hat", [], 0)
    assert undecorated("_hat") == ("_hat", [], 0)


@pytest.mark.parametrize("write", [ascii, unicode, latex, sympy.latex, sympy.pretty, str])
def test_depth_costs_no_frames(write: object) -> None:
    for make in (lambda e: call("log", e + 1), lambda e: 1 / (1 + e), lambda e: expect(e * x, q_zx)):
        node: Basic = x
        for _ in range(250):
            node = make(node)
        assert len(write(node)) > 1000  # type: ignore[operator]


@pytest.mark.parametrize("write", [ascii, unicode, latex])
def test_two_equal_deep_trees_are_written_alike(write: object) -> None:
    first, second = x, x
    for _ in range(400):
        first, second = call("log", first + 1), call("log", second + 1)
    assert first is not second and write(first) == write(second)  # type: ignore[operator]


@pytest.mark.parametrize("node", SAMPLES, ids=str)
def test_brackets_of_latex_are_balanced(node: Basic) -> None:
    text = latex(node)
    assert text.count("{") == text.count("}")
    assert text.count("\\left") - text.count("\\left\\") == text.count("\\right") - text.count("\\right\\")


def test_one_text_one_tree_for_the_samples() -> None:
    for write in (ascii, unicode, latex):
        assert len({write(node) for node in SAMPLES}) == len(SAMPLES)


def test_an_aggregate_over_a_condition() -> None:
    node = Aggregate(Str("sum"), sub(x, k), Index(k, Relation(Str("in"), k, Name("S"))))
    assert ascii(node) == "sum_{k in S} x_k"
    assert latex(node) == r"\sum_{k \in S} x_{k}"
    assert ascii(beta * node) == "beta sum_{k in S} x_k"
