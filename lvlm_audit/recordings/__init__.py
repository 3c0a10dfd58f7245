"""Recordings: each kind, what it is made after, and how it is made."""
