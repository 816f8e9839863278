"""The rules in the order in which they are tried, phase by phase; each phase runs until nothing changes."""

from __future__ import annotations

from symdgm.expressions.applications import Apply, Call, Density
from symdgm.expressions.arithmetic import Minus, Plus, Quotient, Times
from symdgm.expressions.expectations import CrossEntropy, DivergenceBetween, Entropy, Expect
from symdgm.expressions.indices import Aggregate
from symdgm.rewriting import (
    aggregated,
    algebra,
    definitions,
    divergences,
    index_sums,
    joint_divergences,
    moments,
    normal_divergences,
    recognition,
    time,
)
from symdgm.rewriting.rule import Kind, Rule

DENSITIES = (Apply, Density)
"""What a density may be written as."""

CHAIN_RULE = Rule(
    "chain rule",
    Kind.EQUALITY,
    "a joint density is the product of its factors",
    algebra.chain_rule,
    DENSITIES,
)
LOG_OF_PRODUCT = Rule(
    "logarithm of a product",
    Kind.EQUALITY,
    "log(a b / c) = log a + log b − log c",
    algebra.log_of_product,
    (Call,),
)
LOG_OF_POWER = Rule("logarithm of a power", Kind.EQUALITY, "log a^n = n log a", algebra.log_of_power, (Call,))
LINEARITY = Rule(
    "linearity",
    Kind.EQUALITY,
    "E[a + c b] = E[a] + c E[b] for a scalar c",
    algebra.linearity,
    (Expect,),
    in_logs=False,  # the log of an average over draws is one estimate, whose parts share them
)
CONSTANT = Rule(
    "expectation of a constant",
    Kind.EQUALITY,
    "what does not depend on a variable need not be averaged over it",
    algebra.constant,
    (Expect,),
)
RECOGNISE_KL = Rule(
    "definition of KL",
    Kind.EQUALITY,
    "E_q[log q − log p] = KL[q || p], which has a closed form: its variance is zero",
    recognition.recognise_kl,
    (Plus,),
    "Kingma and Welling (2014), eq. 3",
)
RECOGNISE_ENTROPY = Rule(
    "definition of entropy",
    Kind.EQUALITY,
    "E_q[log q] = −H[q], which has a closed form",
    recognition.recognise_entropy,
    (Expect,),
)
CROSS_ENTROPY = Rule(
    "cross-entropy",
    Kind.EQUALITY,
    "H[q, p] = H[q] + KL[q || p], which have closed forms",
    divergences.cross_entropy,
    (CrossEntropy,),
)
CLOSED_FORM = Rule(
    "closed form",
    Kind.EQUALITY,
    "both are of one family, so the integral is known; it is summed over the event",
    divergences.closed_form,
    (DivergenceBetween, Entropy),
    "Kingma and Welling (2014), appendix B",
)
KNOWN_INTEGRAL = Rule(
    "known integral",
    Kind.EQUALITY,
    "the distribution computes it, or `torch.distributions.kl_divergence` of the pair, for each element",
    divergences.known_integral,
    (DivergenceBetween, Entropy),
    "torch.distributions.kl",
)
DEFINITION = Rule(
    "definition",
    Kind.EQUALITY,
    "no closed form is used, so the expectation that defines it is estimated",
    definitions.definition,
    (DivergenceBetween, Entropy, CrossEntropy),
)
DISTRIBUTE = Rule(
    "distributivity",
    Kind.EQUALITY,
    "c (a + b) = c a + c b for a scalar c, so that each term is looked at by itself",
    algebra.distribute,
    (Plus, Minus, Times, Quotient),
)
KL_OF_JOINTS = Rule(
    "chain rule of KL",
    Kind.EQUALITY,
    "both joints factorise in one order, so the divergence is the sum of those of their factors",
    joint_divergences.chain_of_kl,
    (DivergenceBetween,),
    "Cover and Thomas (2006), theorem 2.5.3",
)
ENTROPY_OF_JOINT = Rule(
    "chain rule of entropy",
    Kind.EQUALITY,
    "the entropy of a joint is the sum of those of its factors, each given those before it",
    joint_divergences.chain_of_entropy,
    (Entropy,),
    "Cover and Thomas (2006), theorem 2.5.1",
)
NORMAL_DIVERGENCE = Rule(
    "closed form between normals",
    Kind.EQUALITY,
    "both laws are normal, so the integral is known",
    normal_divergences.closed_normal,
    (DivergenceBetween,),
    "Gil, Alajaji and Linder (2013), table 2; for W_2 Givens and Shortt (1984)",
)
KNOWN_MOMENTS = Rule(
    "known moments",
    Kind.EQUALITY,
    "the body is linear in statistics of the variable, whose means under its law are known",
    moments.known_moments,
    (Expect,),
)
FINITE_SUM = Rule(
    "sum over a finite variable",
    Kind.EQUALITY,
    "a sum that is weighted by the law of its variable is an expectation, which is enumerated",
    index_sums.finite_sum,
    (Aggregate,),
)
LOG_OF_INDEXED_PRODUCT = Rule(
    "logarithm of a product over an index",
    Kind.EQUALITY,
    "log prod_j a_j = sum_j log a_j",
    index_sums.log_of_indexed_product,
    (Call,),
)
COMPONENT_FORM = Rule(
    "closed form of a component",
    Kind.EQUALITY,
    "the components are independent, so the integral over one is a term of that over all",
    index_sums.component_form,
    (DivergenceBetween, Entropy),
)
WHOLE_LAW = Rule(
    "marginal of a component",
    Kind.EQUALITY,
    "what depends on one component has the same expectation under the law of all",
    index_sums.whole_law,
    (Expect,),
)
AGGREGATED_EXPECTATION = Rule(
    "aggregated law",
    Kind.EQUALITY,
    "q(z) is the average of q(z|x) over the data, so it is drawn by drawing a row, then z",
    aggregated.aggregated_expectation,
    (Expect,),
    "Makhzani et al. (2015), section 2",
)
STRATIFIED_DENSITY = Rule(
    "minibatch stratified sampling",
    Kind.BIASED,
    "the row that z was drawn from counts 1/N, the others of the batch stand for all others: the density is "
    "unbiased, its logarithm is not",
    aggregated.stratified_density,
    (Expect,),
    "Chen et al. (2018), appendix C.2",
)
AGGREGATED_DENSITY = Rule(
    "minibatch mixture",
    Kind.BIASED,
    "the average over the data is replaced by that over the batch, which holds the row that z was drawn from",
    aggregated.aggregated_density,
    DENSITIES,
    "Chen et al. (2018), appendix C",
)

PRODUCT_OVER_TIME = Rule(
    "product over time",
    Kind.EQUALITY,
    "a density of whole sequences is the product of those of its steps",
    time.product_over_time,
    DENSITIES,
)
LOG_OVER_TIME = Rule(
    "logarithm of a product over time", Kind.EQUALITY, "log ∏ a = ∑ log a", time.log_of_product, (Call,)
)
SUM_OF_TERMS = Rule(
    "sum of terms", Kind.EQUALITY, "∑ (a + c b) = ∑ a + c ∑ b for a scalar c", time.sum_of_terms, (Aggregate,)
)
SHIFTED_SUM = Rule(
    "shift of the index",
    Kind.EQUALITY,
    "a sum over t + 1 is one over t: terms that name the same steps share them",
    time.shifted_sum,
    (Aggregate,),
)
DIVERGENCE_OVER_TIME = Rule(
    "chain rule of KL over time",
    Kind.EQUALITY,
    "both laws factorise step by step, each step given the one before: the KL of the paths is the "
    "expected sum of those of the steps",
    time.divergence_over_time,
    (DivergenceBetween,),
    "Cover and Thomas (2006), theorem 2.5.3; Krishnan et al. (2017), eq. 6",
)
RECOGNISE_OVER_TIME = Rule(
    "definition of KL, step by step",
    Kind.EQUALITY,
    "E_q[log q_t − log p_t] = KL[q_t || p_t] given the step before",
    time.recognise_divergence,
    (Plus,),
    "Krishnan et al. (2017), eq. 6",
)

TIME = (DIVERGENCE_OVER_TIME, PRODUCT_OVER_TIME, LOG_OVER_TIME, SUM_OF_TERMS, SHIFTED_SUM)
"""Splits whole sequences into steps."""
ALGEBRA = (
    *TIME,
    CHAIN_RULE,
    FINITE_SUM,
    LOG_OF_POWER,
    LOG_OF_PRODUCT,
    LOG_OF_INDEXED_PRODUCT,
    LINEARITY,
    DISTRIBUTE,
    CONSTANT,
)
"""Splits the formula into terms; it must come first, since the others look at single terms."""
SPLIT_AND_RECOGNISE = (*ALGEBRA, RECOGNISE_KL, RECOGNISE_ENTROPY, RECOGNISE_OVER_TIME)
"""Also finds divergences in sums of expectations, before terms are looked at one by one."""
CLOSED = (
    COMPONENT_FORM,
    KL_OF_JOINTS,
    ENTROPY_OF_JOINT,
    CROSS_ENTROPY,
    NORMAL_DIVERGENCE,
    KNOWN_MOMENTS,
    CLOSED_FORM,
    KNOWN_INTEGRAL,
)
"""Removes the integrals that are known."""
DEFINED = (
    DEFINITION,
    WHOLE_LAW,
    AGGREGATED_EXPECTATION,
    PRODUCT_OVER_TIME,
    LOG_OVER_TIME,
    SUM_OF_TERMS,
    SHIFTED_SUM,
    CHAIN_RULE,
    LOG_OF_PRODUCT,
    LOG_OF_INDEXED_PRODUCT,
    LINEARITY,
    STRATIFIED_DENSITY,
    AGGREGATED_DENSITY,
)
"""Whatever is left of divergences becomes expectations, to be estimated. No expectation is dropped any
more: a closed form names the parameters of a law, and no longer the variables that these depend on."""
