"""Renderers of an audit document. None of them computes a finding."""
