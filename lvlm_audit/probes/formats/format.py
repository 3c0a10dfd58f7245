"""What a format of probe files is: a name, the keys by which it is known, and its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lvlm_audit.probes.drafts import Draft
from lvlm_audit.probes.source import Source


@dataclass(frozen=True, slots=True)
class ProbeFormat:
    """One format of probe files.

    Attributes:
        name: what `--lvlm-probe-format` and `read_probes(..., format=)` call it.
        keys: what a file's first object must hold to be of it; a format with more of them goes first. Empty:
            it has to be named.
        read: the file's questions, one draft each; it raises ProbeError for a record that is not its own.
        title: what messages call it; empty: its name.
    """

    name: str
    keys: frozenset[str]
    read: Callable[[Source], Iterator[Draft]]
    title: str = ""
