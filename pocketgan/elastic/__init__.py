"""Elasticity: one set of weights at every width. Knows nothing of any particular network."""
