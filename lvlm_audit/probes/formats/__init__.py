"""The forms in which probes are written down, one module each; each makes drafts of probes."""
