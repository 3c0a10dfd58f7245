"""Hallucinated tokens: which they are, what an answer is worth, and how well signals find them. NumPy only."""
