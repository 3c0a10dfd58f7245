"""What a trace means: curves and nodes over layers. NumPy and SciPy only."""
