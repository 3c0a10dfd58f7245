"""Writing a damaged checkpoint: an ordinary folder that any command opens."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from lvlm_audit.errors import UnsupportedModel, UsageError
from lvlm_audit.faults.applying import applied
from lvlm_audit.faults.catalogue import FAULTS
from lvlm_audit.faults.fault import Fault
from lvlm_audit.models.explaining import first_line
from lvlm_audit.models.opening import load
from lvlm_audit.models.quiet import quiet
from lvlm_audit.writing import check_new_folder


def write(fault: Fault | str, model: str | Path, folder: str | Path, *, seed: int = 0) -> Path:
    """Writes a checkpoint with a fault, its processor included; whole or not at all.

    Args:
        fault: one of `FAULTS`, or its name.
        model: the checkpoint, as `lvlm_audit.load` takes it.
        folder: missing or empty.
        seed: of what is random in the fault.

    Returns:
        The folder.

    Raises:
        UsageError: the folder is not usable, or no checkpoint can have the fault.
        UnsupportedModel: the model cannot have it, or cannot be saved.

    Example:
        >>> lvlm_audit.faults.write("projector zeroed", checkpoint, folder / "blind").name
        'blind'
    """
    chosen = FAULTS.get(fault) if isinstance(fault, str) else fault
    place = Path(folder)
    if chosen.kept_in != "weights":
        raise UsageError(
            f"fault {chosen.name!r} cannot be written into a checkpoint: {chosen.kept_in}. Apply it to an "
            f"opened model (lvlm_audit.faults.applied)."
        )
    check_new_folder(place)
    target = place.absolute()
    written = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with load(model) as hooked, applied(chosen, hooked, seed=seed, written=True) as damaged:
            try:
                with quiet():
                    damaged.model.save_pretrained(written)
                    if damaged.processor is not None:
                        damaged.processor.save_pretrained(written)
            except OSError:
                raise
            # Families' own saving each has words of its own.
            except Exception as error:
                raise UnsupportedModel(
                    f"{hooked.name} with fault {chosen.name!r} cannot be saved: {first_line(error)}"
                ) from error
        written.chmod(0o755)
        if target.exists():
            target.rmdir()
        written.rename(target)
    except OSError as error:
        raise UsageError(f"cannot write {str(place)!r}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return place
