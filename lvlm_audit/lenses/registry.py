"""All lenses: ours, and those of third parties.

A third party registers one by `register_lens` in a file that is imported anyway (a `conftest.py`, a
`check_*.py`, a program of its own), or offers it in an installed package under the entry point group
`lvlm_audit.lenses`:

    [project.entry-points."lvlm_audit.lenses"]
    tuned = "my_package:tuned"      # a Lens
"""

from __future__ import annotations

from lvlm_audit.errors import UsageError
from lvlm_audit.lenses.lens import Lens
from lvlm_audit.lenses.normed import NORMED
from lvlm_audit.lenses.raw import RAW
from lvlm_audit.registry import Registry
from lvlm_audit.settings.reading import LensName

GROUP = "lvlm_audit.lenses"

LENSES: Registry[Lens] = Registry("lens", Lens, GROUP, UsageError, (NORMED, RAW))


def register_lens(lens: Lens) -> Lens:
    """Makes a lens known by its name; registering the same one again changes nothing.

    Raises:
        UsageError: it is no `Lens`, or another one has that name.
    """
    return LENSES.register(lens)


def unregister_lens(name: LensName) -> None:
    """Forgets a registered lens; ours stay."""
    LENSES.unregister(name)


def content_key(name: LensName) -> str:
    """What a recording through a lens has to be keyed by beside its name.

    Raises:
        UsageError: there is no such lens, or it gives no text.
    """
    lens = LENSES.get(name)
    try:
        found = lens.fingerprint()
    except Exception as error:
        raise UsageError(
            f"lens {name!r}: fingerprint() failed: {type(error).__name__}: {error}. Mend the lens, or use "
            f"another one."
        ) from error
    if not isinstance(found, str):
        raise UsageError(
            f"lens {name!r}: fingerprint() gave a {type(found).__name__}, which no recording can be kept "
            f"under. Give text, such as a digest of its weights."
        )
    return found
