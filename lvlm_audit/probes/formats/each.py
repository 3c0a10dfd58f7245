"""Reading a file record by record, so that everything that is wrong with it is said at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.json_text import records
from lvlm_audit.probes.problems import Problems
from lvlm_audit.probes.source import Source

Make = Callable[[str, dict[str, Any], Source], Draft]
"""Makes the draft of one record: its place as messages name it, the record, the file."""


def each(source: Source, make: Make) -> Iterator[Draft]:
    """The draft of every record of a file.

    Raises:
        ProbeError: records that cannot be asked, all of them; or a file that holds none.
    """
    problems = Problems(source.where)
    for where, record in records(source, problems):
        try:
            draft = make(where, record, source)
        except ProbeError as error:
            problems.add(where, error)
        else:
            yield draft
    problems.refuse()
