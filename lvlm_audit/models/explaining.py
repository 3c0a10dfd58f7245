"""Explaining: what transformers and the hub raise while opening, as one of our errors."""

from __future__ import annotations

from lvlm_audit.errors import ModelNotFound, UnsupportedModel
from lvlm_audit.models.aliases import Checkpoint
from lvlm_audit.models.configured import suspects
from lvlm_audit.models.json_files import damaged_json, read_json
from lvlm_audit.settings.spelling import spelled

_LONGEST, _ANNOUNCED = 240, 4
"""Characters of what another package says, and lines of it that a heading may announce."""


def explained(checkpoint: Checkpoint, error: Exception) -> Exception:
    """The error to raise instead of `error`, which opening a checkpoint met."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    version = "" if checkpoint.revision is None else f" revision {checkpoint.revision!r}"
    name, said = checkpoint.name, first_line(error)
    if "trust_remote_code" in str(error):
        return UnsupportedModel(
            f"{name!r} needs Python code of its own, which is run only with leave: pass "
            f"{spelled('trust_remote_code')} if you trust it."
        )
    chain = _chain(error)
    if any(isinstance(e, GatedRepoError) for e in chain):
        return ModelNotFound(
            f"{checkpoint.source!r} on the hub is gated. Accept its licence on its page and log in "
            f"(`hf auth login`), or give a local folder."
        )
    if any(isinstance(e, RepositoryNotFoundError) for e in chain):
        return ModelNotFound(
            f"the hub has no model {checkpoint.source!r}, or it is private. Check the name; for a "
            f"private one log in (`hf auth login`)."
        )
    if any(isinstance(e, RevisionNotFoundError) for e in chain):
        return ModelNotFound(
            f"the hub has no{version} of {checkpoint.source!r}. Check {spelled('revision')}: a branch, a tag "
            f"or a whole commit id."
        )
    hub = (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError)
    if checkpoint.kind == "hub" and any(isinstance(e, hub) for e in chain):
        return ModelNotFound(
            f"{checkpoint.source!r}{version} is not on this machine and could not be fetched from the hub: "
            f"{said} Check the connection{' and the revision' if version else ''}, or give a local folder."
        )
    folder = checkpoint.folder
    damaged = None if folder is None else damaged_json(folder)
    if damaged is not None:
        return UnsupportedModel(f"{name!r} cannot be opened: {damaged}")
    config = None if folder is None else read_json(folder / "config.json")
    seen = None if config is None else str(config.get("model_type", "not stated"))
    if seen is not None and ("does not recognize" in str(error) or "model type" in str(error)):
        return UnsupportedModel(
            f"transformers does not know the architecture of {name!r} (model_type {seen!r}). A newer "
            f"transformers may; remote code needs {spelled('trust_remote_code', True)}."
        )
    if isinstance(error, (OSError, EnvironmentError)) and checkpoint.kind == "hub":
        return ModelNotFound(f"{checkpoint.source!r} cannot be opened from the hub: {said}")
    blamed = "" if config is None else suspects(config, str(error))
    return UnsupportedModel(f"{name!r} cannot be opened: {blamed}{type(error).__name__}: {said}")


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a message of ours and ended like a sentence.

    That is its first line; where this only announces what follows ("...:"), what follows too.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # transformers puts whole paragraphs on one line; the first sentence says what happened.
    line = lines[0] if lines else type(error).__name__
    for more in lines[1:_ANNOUNCED]:
        if not line.endswith(":"):
            break
        line = f"{line} {more}"
    line = line if len(line) <= _LONGEST else line[:_LONGEST].rpartition(" ")[0] + " ..."
    return line if line.endswith((".", "!", "?")) else line.rstrip(":") + "."
