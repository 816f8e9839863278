"""Estimators of expectations: how values are drawn, and how the body's values at them are combined.

Each file holds one estimator: what it is, where it applies, what it draws and how it averages. An estimator
builds plan nodes only; the few operations that the others do not need are in `operations.py`.
"""
