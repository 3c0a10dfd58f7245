"""Engines: who opens the model and makes recordings. The local one ships."""
