"""One recording to be made: the opened model, what is asked, and what was recorded before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

from lvlm_audit.errors import LvlmAuditError, ProbesFailed, RecordingError
from lvlm_audit.probes.controlled import Shown
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress, renamed
from lvlm_audit.recordings.kind import Kind
from lvlm_audit.recordings.need import Need
from lvlm_audit.recordings.skip_sets import SkippedBlocks
from lvlm_audit.settings.audit import Settings
from lvlm_audit.traces.parts import Parts
from lvlm_audit.traces.store import Recording
from lvlm_audit.traces.trace import Trace

if TYPE_CHECKING:
    from lvlm_audit.models.hooked import HookedModel

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """One recording to be made: all but the model, which an engine adds.

    Attributes:
        shown: probes to ask, and the images that each is compared with.
        settings: of the run.
        need: lens and kind.
        done: recordings that exist already; answers come before what is made of them.
        on_progress: called while recording.
        parts: what an earlier run left unfinished.
        skipped: of effects, which blocks are skipped.
        shared: what recordings of one run share, by name; never stored.
    """

    shown: Shown
    settings: Settings
    need: Need
    done: Mapping[Need, Recording]
    on_progress: OnProgress
    parts: Parts
    skipped: SkippedBlocks | None = None
    shared: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job(Work):
    """A recording that is being made.

    Attributes:
        model: opened.
        reasons: why a kind has no item, by its name; filled while recording, kept beside the items.
    """

    model: HookedModel
    reasons: dict[str, str] = field(default_factory=dict)

    def progress(self, what: str) -> OnProgress | None:
        """A recorder's progress, under the name that its step has in this run."""
        return renamed(self.on_progress, lambda _: what)

    def recorded(self, kind: Kind[T]) -> Sequence[T]:
        """What was recorded before of one kind, through this job's lens."""
        items = self.done[Need(self.need.lens, kind.name)].items
        return [cast(T, item) for item in items if isinstance(item, kind.item)]

    def asked(self, probes: Sequence[Probe], what: str) -> Sequence[Trace]:
        """The model's own answers to probes."""
        from lvlm_audit.traces.recorder import iter_record

        def make(missing: list[int]) -> Iterator[Trace]:
            return iter_record(
                self.model,
                [probes[i] for i in missing],
                max_new_tokens=self.settings.max_new_tokens,
                lens=self.need.lens,
                batch_size=self.settings.batch_size,
                paper_index=self.need.paper_index,
                on_progress=self.progress(what),
            )

        return self.parts.completed(probes, make)

    def asked_without_image(self, probes: Sequence[Probe], option: str) -> Sequence[Trace]:
        """The model's own answers to questions without images.

        Args:
            probes: without images.
            option: what asked for it, for the message.

        Raises:
            RecordingError: the model cannot be asked so.
        """
        try:
            return self.asked(probes, "recording answers without an image")
        except LvlmAuditError as error:
            raise RecordingError(
                f"{option}: this model could not be asked without an image. {reason_of(error)}"
            ) from error


def reason_of(error: LvlmAuditError) -> str:
    """Where every probe fails, it is the model's refusal, and the first probe's says it."""
    if isinstance(error, ProbesFailed) and len(error.failures) == error.asked:
        return str(error.failures[0][1])
    return str(error)
