"""The correction for a family of checks."""

from __future__ import annotations

from collections.abc import Sequence


def holm_levels(p_values: Sequence[float], alpha: float, family: int) -> list[float]:
    """The one-sided level at which each member of a family is tested (Holm 1979, step-down).

    A member is decided when its p is at most its level. Sorted by p, the r-th (from 0) is tested at
    alpha / (family - r); the first that is not decided stops the descent, and it and all after it
    keep that level, so that an interval at this level leads to the same verdict.

    Args:
        p_values: of the members that could be tested.
        alpha: one-sided family-wise error rate.
        family: size of the declared family, at least len(p_values): a member that could not be
            tested still counts, so that leaving checks out changes no verdict.

    Returns:
        Levels in the order of `p_values`.
    """
    levels = [alpha / family] * len(p_values)
    current = alpha / family
    stopped = False
    for r, i in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        if not stopped:
            current = alpha / (family - r)
            stopped = p_values[i] > current
        levels[i] = current
    return levels


def hochberg_levels(p_values: Sequence[float], alpha: float, family: int) -> list[float]:
    """The one-sided level at which each member of a family is tested (Hochberg 1988, step-up).

    A member is decided when its p is at most its level. Sorted by p, the last one (the r-th, from 0) whose p is
    at most alpha / (family - r) is decided, and all before it. It decides whatever Holm does, and more where
    several members agree. It keeps the family's error rate where the members depend on each other
    positively (Sarkar & Chang 1997), as readings of one model's losses on the same images do.

    Args:
        p_values: of the members that could be tested.
        alpha: one-sided family-wise error rate.
        family: size of the family, at least len(p_values).

    Returns:
        Levels in the order of `p_values`.
    """
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    decided = max(
        (r + 1 for r, i in enumerate(order) if p_values[i] <= alpha / (family - r)), default=0
    )
    levels = [alpha / max(family - decided, 1)] * len(p_values)
    for i in order[:decided]:
        levels[i] = alpha / (family - decided + 1)
    return levels
