"""The statements of a model block beside families and objectives: what each kind becomes.

| statement | becomes |
| --- | --- |
| ``p(x) propto exp(-U(x))`` | `density`: a `Custom`, normalised where the integral is known |
| ``q(z|x,y) propto q(z|x) q(z|y) p(z)`` | `experts`: a `ProductOfExperts` |
| ``p(x) = sum_k pi_k N(x; mu_k, s_k)`` | `sums`: the marginal of a joint with a finite index |
| ``h = f(x)``, ``x = f(z)`` of a flow | `values`: a `Deterministic`; a `Transformed` |
| ``where a = ...``, ``L(x) = ...`` | `macros`: written out where they are used |
"""
