"""The nodes of the language, and what may be done with them without knowing what is bound.

| module | notion |
| --- | --- |
| `node` | the root class: immutable, rebuilt from its arguments, operators in written order |
| `names` | names with subscripts and labels |
| `arithmetic` | sums, products, fractions, powers in written order |
| `applications` | functions, networks, densities, norms |
| `expectations` | expectations, divergences, entropies |
| `indices` | sums, products and means over an index |
| `calculus` | derivatives and integrals |
| `statements` | what a model block consists of |
| `notation` | ASCII, Unicode and LaTeX |
| `scope` | free names, replacement without capture |
| `signature` | sameness |
| `families` | log-densities, samples and closed forms as formulas |
"""
