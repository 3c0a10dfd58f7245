"""What must hold: checks as data, properties, bounds and verdicts."""
