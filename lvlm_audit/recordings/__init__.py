"""Recordings: one module a kind (what it is, when and how it is made), in one registry; evidence by kind."""
