"""Whom we ask: names, opening a checkpoint, its anatomy, and the hooked model."""
