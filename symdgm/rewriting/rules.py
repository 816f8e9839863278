"""The rules in the order in which they are tried, phase by phase; each phase runs until nothing changes."""

from __future__ import annotations

from symdgm.rewriting import algebra, divergences, time
from symdgm.rewriting.rule import Kind, Rule

CHAIN_RULE = Rule(
    "chain rule",
    Kind.EQUALITY,
    "a joint density is the product of its factors",
    algebra.chain_rule,
)
LOG_OF_PRODUCT = Rule(
    "logarithm of a product",
    Kind.EQUALITY,
    "log(a b / c) = log a + log b − log c",
    algebra.log_of_product,
)
LOG_OF_POWER = Rule("logarithm of a power", Kind.EQUALITY, "log a^n = n log a", algebra.log_of_power)
LINEARITY = Rule(
    "linearity",
    Kind.EQUALITY,
    "E[a + c b] = E[a] + c E[b] for a scalar c",
    algebra.linearity,
)
CONSTANT = Rule(
    "expectation of a constant",
    Kind.EQUALITY,
    "what does not depend on a variable need not be averaged over it",
    algebra.constant,
)
RECOGNISE_KL = Rule(
    "definition of KL",
    Kind.EQUALITY,
    "E_q[log q − log p] = KL[q || p], which has a closed form: its variance is zero",
    divergences.recognise_kl,
    "Kingma and Welling (2014), eq. 3",
)
RECOGNISE_ENTROPY = Rule(
    "definition of entropy",
    Kind.EQUALITY,
    "E_q[log q] = −H[q], which has a closed form",
    divergences.recognise_entropy,
)
CROSS_ENTROPY = Rule(
    "cross-entropy",
    Kind.EQUALITY,
    "H[q, p] = H[q] + KL[q || p], which have closed forms",
    divergences.cross_entropy,
)
CLOSED_FORM = Rule(
    "closed form",
    Kind.EQUALITY,
    "both are of one family, so the integral is known; it is summed over the event",
    divergences.closed_form,
    "Kingma and Welling (2014), appendix B",
)
DEFINITION = Rule(
    "definition",
    Kind.EQUALITY,
    "no closed form is used, so the expectation that defines it is estimated",
    divergences.definition,
)

PRODUCT_OVER_TIME = Rule(
    "product over time",
    Kind.EQUALITY,
    "a density of whole sequences is the product of those of its steps",
    time.product_over_time,
)
LOG_OVER_TIME = Rule(
    "logarithm of a product over time", Kind.EQUALITY, "log ∏ a = ∑ log a", time.log_of_product
)
SUM_OF_TERMS = Rule(
    "sum of terms", Kind.EQUALITY, "∑ (a + c b) = ∑ a + c ∑ b for a scalar c", time.sum_of_terms
)
DIVERGENCE_OVER_TIME = Rule(
    "chain rule of KL over time",
    Kind.EQUALITY,
    "both laws factorise step by step, each step given the one before: the KL of the paths is the "
    "expected sum of those of the steps",
    time.divergence_over_time,
    "Cover and Thomas (2006), theorem 2.5.3; Krishnan et al. (2017), eq. 6",
)
RECOGNISE_OVER_TIME = Rule(
    "definition of KL, step by step",
    Kind.EQUALITY,
    "E_q[log q_t − log p_t] = KL[q_t || p_t] given the step before",
    time.recognise_divergence,
    "Krishnan et al. (2017), eq. 6",
)

TIME = (DIVERGENCE_OVER_TIME, PRODUCT_OVER_TIME, LOG_OVER_TIME, SUM_OF_TERMS)
"""Splits whole sequences into steps."""
ALGEBRA = (*TIME, CHAIN_RULE, LOG_OF_POWER, LOG_OF_PRODUCT, LINEARITY, CONSTANT)
"""Splits the formula into terms; it must come first, since the others look at single terms."""
SPLIT_AND_RECOGNISE = (*ALGEBRA, RECOGNISE_KL, RECOGNISE_ENTROPY, RECOGNISE_OVER_TIME)
"""Also finds divergences in sums of expectations, before terms are looked at one by one."""
CLOSED = (CROSS_ENTROPY, CLOSED_FORM)
"""Removes the integrals that are known."""
DEFINED = (DEFINITION, PRODUCT_OVER_TIME, LOG_OVER_TIME, SUM_OF_TERMS, CHAIN_RULE, LOG_OF_PRODUCT, LINEARITY)
"""Whatever is left of divergences becomes expectations, to be estimated. No expectation is dropped any
more: a closed form names the parameters of a law, and no longer the variables that these depend on."""
