"""Frames: an audit's numbers as tidy pandas tables, one row a number. pandas is asked for when one is made."""
