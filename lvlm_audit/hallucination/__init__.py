"""Hallucinated tokens: which they are, and what an answer is worth. NumPy only, from traces alone."""
