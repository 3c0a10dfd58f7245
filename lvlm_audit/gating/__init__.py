"""Gating: a parent first, then the candidate, and what these probes can decide at all."""
