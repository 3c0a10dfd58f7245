"""The pruning planner: which blocks may go, nominated on one half of the images, certified on the other."""
