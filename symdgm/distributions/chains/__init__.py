"""Exact computations in chains: what a latent sequence leaves of its observations, and what they tell of it.

Steps are packed: those of one time together, the longest sequence first; ``counts`` says how many sequences
have each time.
"""
