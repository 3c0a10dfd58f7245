"""What is audited and what it is asked: found by name, or given by a caller in Python. Nothing is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lvlm_audit.errors import UsageError
from lvlm_audit.models.aliases import Checkpoint, resolve
from lvlm_audit.models.formats import takes_images
from lvlm_audit.models.in_memory import InMemory
from lvlm_audit.probes.probe import Probes
from lvlm_audit.settings.audit import Settings
from lvlm_audit.settings.spelling import spelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a caller in Python has in memory already; settings hold what can be written down.

    Attributes:
        model: opened.
        probes: to ask.
        keep: whether recordings are taken out of the store and kept in it.
    """

    model: InMemory | None = None
    probes: Probes | None = None
    keep: bool = True


NOTHING_GIVEN = Given()


def open_subject(
    settings: Settings, given: Given = NOTHING_GIVEN
) -> tuple[Checkpoint | InMemory, bool]:
    """Find the checkpoint without opening it, unless a model is in memory already.

    Returns:
        The subject, and whether it is the demo model.

    Raises:
        ModelNotFound: no such model, or the demo model is not assembled.
    """
    if given.model is not None:
        return given.model, given.model.is_demo
    checkpoint = find(settings.model, revision=settings.revision, adapter=settings.adapter)
    return checkpoint, is_demo_name(settings.model) or is_demo_folder(checkpoint.folder)


def find(
    name: str | None, *, revision: str | None = None, adapter: str | Path | None = None
) -> Checkpoint:
    """The checkpoint of a name; "demo" and None name the demo model.

    Raises:
        ModelNotFound: no such model, or the demo model is not assembled.
    """
    from lvlm_audit.demo.assemble import demo_folder

    folder = str(demo_folder()) if is_demo_name(name) else str(name)
    return resolve(folder, revision=revision, adapter=adapter)


def is_demo_name(name: str | None) -> bool:
    """Whether a name is the demo model's."""
    return name is None or name == "demo"


def is_demo_folder(folder: Path | None) -> bool:
    """Whether the demo model was assembled there."""
    from lvlm_audit.demo.assemble import PROVENANCE_FILE

    return folder is not None and (folder / PROVENANCE_FILE).is_file()


def without_eyes(settings: Settings, checkpoint: Checkpoint | InMemory) -> bool:
    """Whether the checkpoint is a decoder that takes no images, so that prompts are asked without theirs.

    Raises:
        UsageError: the settings ask for what needs images.
    """
    if isinstance(checkpoint, InMemory):
        if checkpoint.takes_images:
            return False
    elif checkpoint.folder is None or takes_images(checkpoint.folder):
        return False
    wanted = {
        spelled("control", settings.control): settings.control not in (None, "text-only"),
        spelled("compare_llm"): settings.compare_llm,
        spelled("answers", "reference"): settings.answers == "reference",
    }
    for option, asked in wanted.items():
        if asked:
            raise UsageError(
                f"{checkpoint.name!r} is a language model without image input: its prompts are asked without "
                f"images, and {option} needs them. Drop it, or give a vision-language checkpoint."
            )
    return True


def choose_probes(settings: Settings, is_demo: bool, given: Given = NOTHING_GIVEN) -> Probes:
    """The user's probes, or the bundled set that fits the model.

    Raises:
        ProbeError: a probe file that cannot be asked.
    """
    from lvlm_audit.probes.bundled import default_probes
    from lvlm_audit.probes.readers import read_probes

    if given.probes is not None:
        return given.probes
    if settings.probes is not None:
        return read_probes(
            settings.probes, format=settings.probe_format, images=settings.image_folder
        )
    if not is_demo:
        return Probes(default_probes())
    from lvlm_audit.demo.probes import demo_probes

    return Probes(demo_probes())


def probe_source(settings: Settings, given: Given = NOTHING_GIVEN) -> str:
    """Where probes come from, as a document names it."""
    if given.probes is not None:
        return "given in Python"
    return settings.probes.name if settings.probes else "bundled"
