"""Interventions: what changes if a part of the model is taken away. Observation nominates, this certifies.

`sets` and `named` say which blocks, without torch; `skipping` does it to an opened model.
"""
