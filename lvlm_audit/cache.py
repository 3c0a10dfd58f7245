"""The one folder where this project keeps what it can make again: traces, digests, demo models."""

from __future__ import annotations

import os
from pathlib import Path

from lvlm_audit.errors import UsageError

VARIABLE = "LVLM_AUDIT_CACHE"


def cache_dir() -> Path:
    """`$LVLM_AUDIT_CACHE`, or the user's cache folder. It may not exist yet.

    Raises:
        UsageError: it begins with the home folder of somebody who has none.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        try:
            return Path(chosen).expanduser()
        except RuntimeError as error:
            raise UsageError(
                f"{VARIABLE}={chosen!r} names a home folder that is not known. Give the folder's whole path."
            ) from error
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("lvlm_audit"))


def cannot_keep(what: str, error: OSError) -> UsageError:
    """The error for a cache that cannot be written.

    Args:
        what: what has to be kept there, as the beginning of a sentence.
        error: what writing met.
    """
    folder = cache_dir()
    reason = error.strerror or str(error)
    met = [Path(error.filename)] if isinstance(error.filename, str) else []
    for place in (*met, folder, *folder.parents):
        # What is to be a folder on the way there, not a file that is to be written.
        if isinstance(error, FileExistsError | NotADirectoryError) and place.is_file():
            reason = f"{str(place)!r} is a file"
    return UsageError(
        f"{what} cannot be kept in the cache folder {str(folder)!r}: {reason}. Set {VARIABLE} to a folder "
        f"that can be written and has space."
    )
