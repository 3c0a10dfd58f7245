"""An installed package of somebody else's: a module and entry point metadata, in a folder for sys.path."""

from __future__ import annotations

import textwrap
from pathlib import Path


def distribution(folder: Path, module: str, source: str, **offers: tuple[str, str]) -> Path:
    """Writes a package that importlib.metadata finds once the folder is on sys.path.

    Args:
        folder: made if need be.
        module: its name.
        source: of the module.
        offers: entry point name -> its group and the object in the module.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    lines = [f"[{group}]\n{name} = {module}:{target}\n" for name, (group, target) in offers.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return folder
