"""The JSON files of a checkpoint: the object that one holds, and which of them is damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OF_ANY_FORM = frozenset({"trainer_state.json", "all_results.json", "train_results.json"})
"""JSON files of a training run, which nobody reads here."""


def read_json(path: Path) -> Mapping[str, Any] | None:
    """The object in a JSON file; None where there is none."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def damaged_json(folder: Path) -> str | None:
    """The first of a folder's JSON files that holds no object, and what is wrong with it; None: none.

    Whoever opens a checkpoint reads several, and an error rarely says in which one it was.
    """
    for path in sorted(folder.glob("*.json")):
        if path.name in _OF_ANY_FORM or not path.is_file():
            continue
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except RecursionError:
            what = "is nested deeper than any real file"
        except (OSError, ValueError) as error:
            what = f"is no JSON ({error})"
        else:
            if isinstance(held, dict):
                continue
            what = f"holds a {type(held).__name__} where an object belongs"
        return f"its {path.name!r} {what}. It is damaged: save it again, or fetch it anew."
    return None
