"""Power: which faults a suite catches, measured on models that are known to be broken or known not to be."""
