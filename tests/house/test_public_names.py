"""The public surface: short, explicit, and complete."""

from __future__ import annotations

import tomllib

import pytest
from repository import ROOT

import symdgm

NAMES = [
    "KL",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chain",
    "Conditioned",
    "ContinuousBernoulli",
    "Critic",
    "Custom",
    "Data",
    "Delta",
    "Deterministic",
    "Dirichlet",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "E",
    "ElementwiseProductOfExperts",
    "Empirical",
    "Exponential",
    "Gamma",
    "Geometric",
    "H",
    "InverseGamma",
    "Joint",
    "Laplace",
    "LinearNormal",
    "LogNormal",
    "Logistic",
    "Marginal",
    "Mixture",
    "Model",
    "Multinomial",
    "MultivariateNormal",
    "NegativeBinomial",
    "Normal",
    "Objective",
    "OneHotCategorical",
    "Poisson",
    "Posterior",
    "ProductOfExperts",
    "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
    "StudentT",
    "SymdgmError",
    "Transformed",
    "Uniform",
    "VonMises",
    "VonMisesFisher",
    "algebra",
    "cache_clear",
    "cache_info",
    "divergences",
    "equivalent",
    "estimators",
    "exp",
    "log",
    "maximize",
    "minimize",
    "parse",
    "rollout",
    "sg",
    "signature",
    "symbols",
]


def test_the_public_names_are_these():
    assert symdgm.__all__ == NAMES
    assert dir(symdgm) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_explained(name):
    assert getattr(symdgm, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'symdgm' has no attribute 'Normall'"):
        _ = symdgm.Normall


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert symdgm.__version__ == project["version"]


def test_the_changelog_has_the_version():
    assert f"## [{symdgm.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
