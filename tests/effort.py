"""How hard property tests look for a counterexample: the profiles of hypothesis, and all about them.

`tests` (loaded here) draws the same examples in every run of the same tree, on every machine: what turns
red is the change, not the dice. `explore` draws 20 times as many, other ones each time.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

ORDINARY = 100
"""Examples of a property test that says nothing else, outside `explore`."""

TIMES = 20
KEPT = Path(__file__).parents[1] / ".hypothesis" / "examples"

# A slow machine is no counterexample. Every value is given: hypothesis' own defaults depend on CI.
_COMMON: dict[str, Any] = {
    "deadline": None,
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow],
}
settings.register_profile(
    "tests", max_examples=ORDINARY, derandomize=True, database=None, **_COMMON
)
settings.register_profile(
    "explore",
    max_examples=TIMES * ORDINARY,
    derandomize=False,
    database=DirectoryBasedExampleDatabase(KEPT),
    **_COMMON,
)
settings.load_profile("tests")


def examples(count: int, *, allow: Collection[HealthCheck] = ()) -> settings:
    """For a test that wants more or fewer examples than others; `max_examples` would not follow the profile.

    Args:
        count: how many at ordinary effort.
        allow: what hypothesis would complain about, beside what the profile allows.
    """
    profile = settings()
    return settings(
        max_examples=count * profile.max_examples // ORDINARY,
        suppress_health_check=[*profile.suppress_health_check, *allow],
    )


@pytest.hookimpl(trylast=True)  # after hypothesis has loaded the profile that its option names
def pytest_configure(config: pytest.Config) -> None:
    if not settings().derandomize:
        return
    # hypothesis also draws constants of the modules that happen to be imported, so that examples would
    # depend on which tests ran before in the same worker. It has no setting for that.
    patch = pytest.MonkeyPatch()
    patch.setattr(providers, "_get_local_constants", Constants)
    config.add_cleanup(patch.undo)
