"""Geometry of drawings: numbers in, SVG coordinates and small pictures out. Nothing is judged here."""
