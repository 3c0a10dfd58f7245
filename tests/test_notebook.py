"""docs/notebook.ipynb runs from top to bottom in a kernel, here on a tiny model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests import tiny_models

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The cells that have a tag, after the run."""
    folder = tmp_path_factory.mktemp("notebook")
    tiny_models.save(tiny_models.llava(seed=1), folder / "model")
    (folder / "photos").mkdir()
    for i in range(6):
        (folder / "photos" / f"{i}.png").write_bytes(tiny_models.picture(i).read())
    read = nbformat.read(PAGE, as_version=4)
    nbformat.validate(read)
    for cell in read.cells:
        assert not cell.get("outputs"), "the page is kept without outputs"
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source = 'MODEL, PROBES = "model", "photos"'
    patch = pytest.MonkeyPatch()
    patch.setenv("LVLM_AUDIT_CACHE", str(folder / "cache"))
    patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    NotebookClient(
        read, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    patch.undo()
    return {tag: cell for cell in read.cells for tag in cell.metadata.get("tags", ())}


def shown(cell: Any, kind: str) -> list[str]:
    return [out.data[kind] for out in cell.outputs if kind in out.get("data", {})]


def test_progress_is_one_line_that_changes_and_the_audit_is_shown(cells: dict[str, Any]) -> None:
    outputs = cells["audit"].outputs
    lines = [t for t in shown(cells["audit"], "text/plain") if t.startswith("lvlm: ")]
    assert len(lines) == 1
    assert not [o for o in outputs if o.output_type == "stream" and "lvlm: " in o.text]
    (result,) = [o for o in outputs if o.output_type == "execute_result"]
    assert result.data["text/plain"].startswith("Audit(")


def test_findings_are_listed(cells: dict[str, Any]) -> None:
    (listed,) = cells["findings"].outputs
    names = {line.split()[1].rstrip(":") for line in listed.text.splitlines() if ": " in line}
    assert len(listed.text.splitlines()) >= 9
    assert names & {"answer_forms", "image_matters", "settles_early"}


def test_the_curve_is_drawn(cells: dict[str, Any]) -> None:
    assert "(" in shown(cells["trace"], "text/plain")[0]
    (picture,) = shown(cells["plot"], "image/png")
    assert len(picture) > 5_000
