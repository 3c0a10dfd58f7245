"""Compression: which blocks may go. Nominations from what was seen, certification by skipping, removal, export.

NumPy here: `split`, `losses`, `nomination` and the methods' modules (`influence`, `windows`, `plateau`,
`sleb`), `certification`. torch: `states`, `contribution`, `removal`, `saving`, `exporting`, which run a
model. `audit.pruning` puts them together; docs/compression.md has every definition.
"""
