"""Every family that transformers maps to image-text-to-text, as a tiny random checkpoint."""
