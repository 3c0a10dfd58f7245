"""Auditing: what a suite needs, gathering it, judging it, and the document of it all."""
