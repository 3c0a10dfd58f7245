"""Measurements: speed and memory as ratios within one run, and the controls. Nothing here is a test."""
