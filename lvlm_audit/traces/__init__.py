"""What was seen: recording an answer under hooks, and the trace that stays of it."""
