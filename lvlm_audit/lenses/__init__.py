"""Lenses: how a state that is not the last is made ready for the head."""
