"""Whole pages: one module a kind of document, and one template of the same name."""
