"""Parts: what an unfinished recording holds already. No torch.

A recording is stored whole. Until it can be, each probe's trace lies under a key of its own content, so
that a failure, Ctrl-C or crash costs one batch at most, and the next run records what is missing,
also when a failed probe was mended or dropped in between. Only the distractors know about it: they
come from the batch in which a probe was really recorded.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from lvlm_audit.errors import DamagedRecording, TraceError
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces import store
from lvlm_audit.traces.items import Item
from lvlm_audit.traces.shelf import Shelf

T = TypeVar("T", bound=Item)


class Parts:
    """The parts of one recording.

    Args:
        folder: for the parts of all recordings with the same model and settings.
        shelf: where damaged parts are set aside; None: in that folder.
    """

    def __init__(self, folder: Path, shelf: Shelf | None = None) -> None:
        self._folder = folder
        self._shelf = shelf or Shelf(folder)
        self._used: set[Path] = set()

    def completed(
        self,
        probes: Sequence[Probe],
        make: Callable[[list[int]], Iterable[T]],
        *,
        conditions: Sequence[Any] | None = None,
    ) -> list[T]:
        """One item per probe: kept ones are read, the others are made and kept one by one.

        Args:
            probes: whose items are wanted; ids are unique.
            make: given the positions of the missing ones, hands on each item as soon as it is whole.
            conditions: per probe what else decides its item, as JSON-serialisable values.

        Raises:
            LvlmAuditError: what `make` raises, after it was kept what it handed on before.
        """
        more = conditions if conditions is not None else [None] * len(probes)
        places = {
            probe.id: self._folder / store.key({"probe": fingerprint([probe]), "under": condition})
            for probe, condition in zip(probes, more, strict=True)
        }
        self._used.update(places.values())
        kept = {name: self._shelf.take(place, _one) for name, place in places.items()}
        # A part lies under the key of its own condition, so it is of the kind that is made here.
        items = {name: cast(T, one.items[0]) for name, one in kept.items() if one}
        missing = [i for i, probe in enumerate(probes) if probe.id not in items]
        for item in make(missing) if missing else ():
            _keep(places[item.asked.id], item)
            items[item.asked.id] = item
        return [items[probe.id] for probe in probes]

    def discard(self) -> None:
        """Forgets the parts, once the whole recording is stored."""
        for place in self._used:
            shutil.rmtree(place, ignore_errors=True)


def _one(recording: store.Recording) -> None:
    if len(recording.items) != 1:
        raise DamagedRecording(f"a part holds {len(recording.items)} items, not one.")


def _keep(place: Path, item: Item) -> None:
    try:
        store.save(place, store.Recording([item], {}))
    except TraceError:
        # Two processes may record the same probe at once; the same content is there then.
        if not store.exists(place):
            raise
