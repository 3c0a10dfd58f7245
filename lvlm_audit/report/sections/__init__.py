"""Sections of a page: one module each, and one template of the same name.

A module holds what its template reads and a function `section` that makes it out of the audit;
None where the audit holds nothing of it, and then the page has no such section.
"""

from __future__ import annotations

from typing import ClassVar, Protocol


class Section(Protocol):
    """What the page asks of a section; its template reads the rest.

    Attributes:
        name: of the template in `templates/sections/`; also the section's id in the page.
    """

    name: ClassVar[str]
