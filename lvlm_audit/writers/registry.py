"""All writers: ours, and those of third parties.

A third party registers one by `register_writer` in a file that is imported anyway (a `conftest.py`, a
`check_*.py`, a program of its own), or offers it in an installed package under the entry point group
`lvlm_audit.writers`:

    [project.entry-points."lvlm_audit.writers"]
    csv = "my_package:csv"      # a Writer
"""

from __future__ import annotations

from lvlm_audit.errors import UsageError
from lvlm_audit.registry import Registry
from lvlm_audit.writers.html import HTML
from lvlm_audit.writers.json import JSON
from lvlm_audit.writers.writer import Writer

GROUP = "lvlm_audit.writers"

WRITERS: Registry[Writer] = Registry("writer", Writer, GROUP, UsageError, (HTML, JSON))


def register_writer(writer: Writer) -> Writer:
    """Makes a writer known by its name; registering the same one again changes nothing.

    Raises:
        UsageError: it is no `Writer`, or another one has that name.
    """
    return WRITERS.register(writer)


def unregister_writer(name: str) -> None:
    """Forgets a registered writer; ours stay."""
    WRITERS.unregister(name)
