"""Values that do not fit: names, shapes, dtypes, supports, options."""

# ruff: noqa: E501 -- a row of the table of refusals is one line
from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import symdgm.distributions as sd
from symdgm.errors import (
    DataError,
    NameResolutionError,
    OptionError,
    ParameterError,
    ShapeError,
    SupportError,
)

NAN, INF = float("nan"), float("inf")
Q = sd.Normal("q(z|x)", lambda x: (x, torch.ones_like(x)))
P = sd.Bernoulli("p(x|z)", lambda z: z)
C = sd.Categorical("p(y|x)", lambda x: x)
PRIOR = sd.Normal("p(z)", loc=0.0, scale=1.0, event_shape=3)
CLASSES = sd.Categorical("p(y)", probs=torch.tensor([0.2, 0.3, 0.5]))
HOT = sd.OneHotCategorical("p(y)", probs=torch.tensor([0.2, 0.3, 0.5]))
X = torch.zeros(4, 3)


def returning(*parameters: object) -> sd.Normal:
    return sd.Normal("q(z|x)", lambda x: parameters)


REFUSED: list[tuple[str, type[Exception], Callable[[], object], str]] = [
    ("unknown option", OptionError, lambda: PRIOR.sample(batch_size=5), r"unknown option `batch_size`\n.*known: .*`n`"),
    ("near option", OptionError, lambda: PRIOR.sample(shapes=(5,)), r"unknown option `shapes`\ndid you mean `shape`\?"),
    ("log_prob option", OptionError, lambda: PRIOR.log_prob({"z": X}, sum=True), r"unknown option `sum`"),
    ("prob option", OptionError, lambda: PRIOR.prob({"z": X}, sum=True), r"unknown option `sum`"),
    ("no given", NameResolutionError, lambda: Q.sample(), r"Normal q\(z\|x\) needs a value of `x`\nit got no values"),
    ("missing", NameResolutionError, lambda: Q.log_prob({"x": X}), r"needs a value of `z`\nit got `x`"),
    ("unknown name", NameResolutionError, lambda: Q.sample({"x_1": X}), r"takes no value of `x_1`\n.*known: `x`"),
    ("extra name", NameResolutionError, lambda: PRIOR.sample({"x": X}), r"Normal p\(z\) takes no value of `x`\nit is given nothing"),
    ("no mapping", DataError, lambda: Q.sample(X), r"got a Tensor in place of named values\nwrite `\{\"x\": x\}`"),
    ("no tensor", DataError, lambda: Q.sample({"x": [1.0]}), r"x is a list, not a tensor\nwrite `torch.as_tensor\(x\)`"),
    ("n with given", OptionError, lambda: Q.sample({"x": X}, n=4), r"`n` is for what is given nothing; the batch of Normal q\(z\|x\) is that of x\n.*shape=\(4,\)"),
    ("n zero", OptionError, lambda: PRIOR.sample(n=0), r"`n` is 0\nwrite a positive number"),
    ("n float", OptionError, lambda: PRIOR.sample(n=2.0), r"`n` is 2.0"),
    ("shape", OptionError, lambda: PRIOR.sample(shape=(2, -1)), r"`shape` is \(2, -1\)\nwrite positive lengths"),
    ("sample axes name", NameResolutionError, lambda: Q.sample({"x": X}, sample_axes={"y": 1}), r"has no variable `y`"),
    ("sample axes count", OptionError, lambda: Q.sample({"x": X}, sample_axes={"x": -1}), r"`sample_axes` of x is -1"),
    ("no batch axis", ShapeError, lambda: Q.sample({"x": torch.tensor(1.0)}), r"x has shape \[\], which has no batch axis\n.*x.unsqueeze\(0\)"),
    ("no sample axis", ShapeError, lambda: Q.sample({"x": X[0]}, sample_axes={"x": 1}), r"x has shape \[3\], which has no 2 leading axes"),
    ("batches of givens", ShapeError, lambda: sd.Normal("q(z|x,y)", lambda x, y: (x, y)).sample({"x": X, "y": X[:2]}), r"batch sizes do not fit together: x \[4, 3\]; y \[2, 3\]"),
    ("event of the value", ShapeError, lambda: PRIOR.log_prob({"z": torch.zeros(4, 1)}), r"z has shape \[4, 1\], but Normal p\(z\) is over \[batch, \*event\] with the event \[3\]\nnothing is broadcast"),
    ("event not batched", ShapeError, lambda: PRIOR.log_prob({"z": torch.zeros(3)}), r"z has shape \[3\], but"),
    ("event of networks", ShapeError, lambda: Q.log_prob({"z": torch.zeros(4, 2), "x": X}), r"z has shape \[4, 2\], .* with the event \[3\]"),
    ("batch of the value", ShapeError, lambda: Q.log_prob({"z": torch.zeros(1, 3), "x": X}), r"z has shape \[1, 3\], but the parameters of Normal q\(z\|x\) are for the batch \[4\]"),
    ("batch of the network", ShapeError, lambda: returning(X[:1], X[:1] + 1).sample({"x": X}), r"loc of Normal q\(z\|x\) has shape \[1, 3\] for a batch \[4\]"),
    ("parameter not batched", ShapeError, lambda: returning(X, torch.ones(3)).sample({"x": X}), r"scale of Normal q\(z\|x\) has shape \[3\] for a batch \[4\]"),
    ("parameter broadcast", ShapeError, lambda: returning(X, torch.ones(4, 1)).sample({"x": X}), r"different event shapes: loc \[3\], scale \[1\]\ngive equal shapes"),
    ("event of constant", ShapeError, lambda: sd.Normal("q(z|x)", loc=lambda x: x, scale=torch.ones(2)).sample({"x": X}), r"different event shapes: loc \[3\], scale \[2\]"),
    ("scalar against event", ShapeError, lambda: sd.Normal("q(z|x)", loc=lambda x: x[:, 0], scale=torch.ones(4)).sample({"x": X}), r"different event shapes: loc \[\], scale \[4\]"),
    ("negative scale", ParameterError, lambda: returning(X, X - 1).sample({"x": X}), r"scale of Normal q\(z\|x\) has values in \[-1, -1\]; it must be positive"),
    ("negative scale in density", ParameterError, lambda: returning(X, X - 1).log_prob({"x": X, "z": X}), r"it must be positive"),
    ("integer to Normal", ShapeError, lambda: PRIOR.log_prob({"z": X.long()}), r"z has dtype torch.int64, but Normal p\(z\) takes floating values\nwrite `z.float\(\)`"),
    ("bytes to Bernoulli", ShapeError, lambda: P.log_prob({"x": X.byte(), "z": X}), r"x has dtype torch.uint8, but Bernoulli p\(x\|z\) takes floating.*\n.*/ 255"),
    ("NaN to Normal", SupportError, lambda: PRIOR.log_prob({"z": X + NAN}), r"z has NaN values \(12 of 12\) under Normal p\(z\)"),
    ("inf to Normal", SupportError, lambda: PRIOR.log_prob({"z": X + INF}), r"z has infinite values \(12 of 12\)"),
    ("NaN to Bernoulli", SupportError, lambda: P.log_prob({"x": X + NAN, "z": X}), r"x has NaN values"),
    ("Bernoulli interval", SupportError, lambda: P.log_prob({"x": torch.tensor([[-0.4, 1.2]]), "z": X[:1, :2]}), r"x has values in \[-0.4, 1.2\], outside the support \[0, 1\] of Bernoulli p\(x\|z\)\nscale the data into \[0, 1\]"),
    ("float to Categorical", SupportError, lambda: C.log_prob({"y": torch.zeros(4), "x": X}), r"y has dtype torch.float32, but Categorical p\(y\|x\) takes class indices \(torch.long\)\nwrite `y.long\(\)`, or use OneHotCategorical"),
    ("class too high", SupportError, lambda: C.log_prob({"y": torch.full((4,), 3), "x": X}), r"y has values in \[3, 3\], outside the support \[0, 2\] of Categorical p\(y\|x\)\nclasses are counted from 0"),
    ("class negative", SupportError, lambda: CLASSES.log_prob({"y": torch.tensor([-1, 2])}), r"y has values in \[-1, 2\], outside the support \[0, 2\]"),
    ("class known", SupportError, lambda: CLASSES.check_support(torch.tensor([3]), "y"), r"outside the support \[0, 2\]"),
    ("class not known", SupportError, lambda: C.check_support(torch.tensor([-3]), "y"), r"values in \[-3, -3\], outside the support 0, 1, 2, … of"),
    ("one-hot integers", ShapeError, lambda: HOT.log_prob({"y": torch.eye(3).long()}), r"y has dtype torch.int64"),
    ("one-hot entries", SupportError, lambda: HOT.log_prob({"y": torch.tensor([[2.0, -1.0, 0.0]])}), r"y has values in \[-1, 2\], outside the support \[0, 1\].*\na row holds one 1"),
    ("one-hot sums", SupportError, lambda: HOT.log_prob({"y": torch.tensor([[1.0, 1.0, 0.0]])}), r"y has rows that sum to 2, not to 1, under OneHotCategorical p\(y\)"),
    ("one-hot NaN", SupportError, lambda: HOT.log_prob({"y": torch.tensor([[1.0, NAN, 0.0]])}), r"y has NaN values \(1 of 3\)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "ask", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refusals(kind: type[Exception], ask: Callable[[], object], words: str) -> None:
    with pytest.raises(kind, match=words):
        ask()


def test_values_within_the_support_pass() -> None:
    P.check_support(torch.tensor([0.0, 0.5, 1.0]), "x")
    PRIOR.check_support(torch.tensor([-1e30, 1e30]), "z")
    C.check_support(torch.tensor([10**9]), "y")
    CLASSES.check_support(torch.tensor([0, 2]), "y")
    HOT.check_support(torch.tensor([[0.2, 0.3, 0.5]]), "y")
    for family, empty in [(P, X[:0]), (PRIOR, X[:0]), (CLASSES, X[:0].long()), (HOT, X[:0])]:
        family.check_support(empty, "v")


def test_names_may_be_spelled_in_unicode_or_latex() -> None:
    p = sd.Normal("p(ψ_1|φ)", lambda x: (x, 1.0))
    drawn = p.sample({r"\phi": X})["psi_1"]
    assert torch.equal(p.log_prob({"ψ_{1}": drawn, "φ": X}), p.log_prob({"psi_1": drawn, "phi": X}))


def test_grey_values_give_minus_the_cross_entropy() -> None:
    z, x = torch.randn(4, 3), torch.rand(4, 3)
    expected = -nn.functional.binary_cross_entropy_with_logits(z, x, reduction="none").sum(-1)
    torch.testing.assert_close(P.log_prob({"x": x, "z": z}), expected)


def test_soft_labels_give_minus_the_cross_entropy() -> None:
    logits, y = torch.randn(4, 3), torch.rand(4, 3).softmax(-1)
    q = sd.OneHotCategorical("q(y|x)", lambda x: x)
    expected = -nn.functional.cross_entropy(logits, y, reduction="none")
    torch.testing.assert_close(q.log_prob({"y": y, "x": logits}), expected)


def test_unchecked_densities_read_nothing_back() -> None:
    """Under vmap, reading a value back raises; so this shows that no check runs."""
    batched: Callable[[Tensor], Tensor] = torch.vmap(lambda z: PRIOR.log_prob({"z": z}, check=False))
    assert batched(torch.zeros(5, 4, 3)).shape == (5, 4)
