"""Readings: from evidence to the parts of the document. Rounding happens here; nothing is judged."""
