"""Keeping recordings: what the store holds is read without a lock, what it lacks is made under one.

No torch; what makes a recording is handed in.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lvlm_audit.cache import cache_dir, cannot_keep
from lvlm_audit.errors import DamagedRecording
from lvlm_audit.notes import Note
from lvlm_audit.traces import store
from lvlm_audit.traces.locking import locked
from lvlm_audit.traces.parts import Parts
from lvlm_audit.traces.shelf import Shelf
from lvlm_audit.traces.store import Recording
from lvlm_audit.traces.trace import Trace

_SUBJECT: Mapping[str, type] = {
    "architecture": str,
    "blocks": int,
    "width": int,
    "vocabulary": int,
    "dtype": str,
    "device": str,
    "anatomy": dict,
}


class Keeper:
    """Recordings of one model, probe set and settings. A context manager: on leaving it lets others record.

    Args:
        identity: everything that determines the recordings.
        told: called with what is being waited for.
        folder: where recordings lie; None: the cache's.
    """

    def __init__(
        self,
        identity: Mapping[str, Any],
        told: Callable[[str], None],
        *,
        folder: Path | None = None,
    ) -> None:
        self._identity = identity
        self._told = told
        self._shelf = Shelf(folder or cache_dir() / "traces")
        self._held = contextlib.ExitStack()
        self._is_locked = False
        self.reused = 0
        """Recordings that were there already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    @property
    def notes(self) -> Sequence[Note]:
        """What was damaged and is recorded anew."""
        return self._shelf.notes

    def provide(
        self,
        named: Mapping[str, Any],
        part_of: Mapping[str, Any],
        make: Callable[[Parts], Recording],
        *,
        made_of: str | None = None,
        unchanged: Callable[[], None] = lambda: None,
    ) -> Recording:
        """A recording: out of the store, or made and kept.

        Args:
            named: what tells it from the others of the same identity.
            part_of: the same of its parts, which belong to a probe and not to the set.
            make: makes it.
            made_of: digest of the recording that it was made of, None where it is made of none.
            unchanged: called when it was made; raises where it no longer belongs to the identity.

        Raises:
            UsageError: it has to be made, and the cache cannot be written.
            LvlmAuditError: it cannot be made.
        """

        def check(recording: Recording) -> None:
            _check_facts(recording.facts, made_of)

        place = self._shelf.folder / store.key({**self._identity, **named})
        found = self._shelf.peek(place, check)
        if found is None:
            self._lock(str(named.get("kind", "recording")))
            found = self._shelf.take(place, check)
        if found is not None:
            self.reused += 1
            return found
        rest = {name: value for name, value in self._identity.items() if name != "probes"}
        parts = Parts(self._shelf.folder / "parts" / store.key({**rest, **part_of}), self._shelf)
        made = make(parts)
        try:
            unchanged()
        except BaseException:
            parts.discard()
            raise
        made = dataclasses.replace(made, facts={**made.facts, "made_of": made_of})
        store.save(place, made)
        parts.discard()
        return made

    def _lock(self, what: str) -> None:
        """Under xdist, say, several processes want the same recording: the first makes it."""
        if self._is_locked:
            return
        folder = self._shelf.folder
        path = folder / f"{store.key(self._identity)[:32]}.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._held.enter_context(locked(path, self._told))
        except OSError as error:
            raise cannot_keep(f"{what!r} has to be recorded, and", error) from error
        self._is_locked = True


def digest_of(recording: Recording) -> str:
    """Tells answers apart: what is made of a recording belongs to its very tokens."""
    traces = [item for item in recording.items if isinstance(item, Trace)]
    said = [[trace.asked.id, trace.token_ids.tolist()] for trace in traces]
    return store.key({"answers": said})


def _is_fed(fed: Any) -> bool:
    return isinstance(fed, dict) and all(isinstance(section, dict) for section in fed.values())


def _check_facts(facts: Mapping[str, Any], made_of: str | None) -> None:
    subject, notes = facts.get("subject"), facts.get("notes", [])
    reasons = facts.get("reasons", {})
    whole = (
        isinstance(subject, dict)
        and subject.keys() == _SUBJECT.keys()
        and all(type(subject[name]) is kind for name, kind in _SUBJECT.items())
        and type(facts.get("seconds")) in (int, float)
        and isinstance(notes, list)
        and all(isinstance(n, list) and [type(t) for t in n] == [str, str] for n in notes)
        and isinstance(reasons, dict)
        and all(isinstance(reason, str) for reason in reasons.values())
        # Recordings of earlier versions say neither.
        and isinstance(facts.get("machine", {}), dict)
        and _is_fed(facts.get("fed", {}))
    )
    if not whole:
        raise DamagedRecording("stored facts do not describe a model.")
    if facts.get("made_of") != made_of:
        raise DamagedRecording("stored traces were made of other answers than those that are kept.")
