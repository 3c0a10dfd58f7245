"""The matrix of families, docs/families.md: `python -m tests.families.matrix` (or `nox -s families`)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lvlm_audit import Probe, hook
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.models.hooked import HookedModel
from tests.families import feed
from tests.families.zoo import drawn, model_types

PAGE = Path(__file__).parents[2] / "docs" / "families.md"

_HEAD = """# Families

For each model type that transformers {version} maps to image-text-to-text: what the lens found in a tiny
random model of its architecture. **Readout proved on a tiny random checkpoint: this proves the readout,
not an audit.** Nothing here is looked up by a family's name; a family that is not listed is found, proved
or refused in the same way when it is opened. `lvlm-audit doctor MODEL` says the same of a real checkpoint.
Written by `nox -s families`.

"Logits": at the last state the lens gives the model's own logits. "States": what is hooked equals what the
model reports as its hidden states; where a forward pass reports none, or another module's, logits alone are
compared. A state is a block's output at the position that predicts, unless the deviations say otherwise.

{proved} of {count} are read and proved.

"Image": where in the prompt's positions the model holds the image, found by showing it another one.

| family | asked with | found | deviations | image | proof |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the matrix."""

    family: str
    asked: str
    found: str
    deviations: str
    image: str
    proof: str
    proved: bool

    def __str__(self) -> str:
        cells = (self.family, self.asked, self.found, self.deviations, self.image, self.proof)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def opened(name: str, model: Any) -> HookedModel:
    """A tiny model, proved on its family's inputs."""
    return hook(model, sample=Probe.prepared(feed.inputs(name, model)))


def row_of(name: str, hooked: HookedModel) -> Row:
    """What was found of a family."""
    anatomy = hooked.anatomy
    paths = [anatomy.paths[part] for part in ("blocks", "norm", "head")]
    states = hooked.proofs[0].state_difference is not None
    return Row(
        family=name,
        asked=feed.TEXT_ONLY.get(name, "image and words"),
        found=", ".join(f"`{path}`" for path in paths if path),
        deviations="; ".join(anatomy.deviations()),
        image=_image(name, hooked),
        proof="logits and states" if states else "logits",
        proved=True,
    )


def _image(name: str, hooked: HookedModel) -> str:
    if name in feed.TEXT_ONLY:
        return ""
    held = hooked.image_positions(hooked.inputs([Probe.prepared(feed.inputs(name, hooked.model))]))
    return str(hooked.images) if held is None else f"{int(held.sum())} {hooked.images}"


def refused(name: str, error: Exception) -> Row:
    """Why a family is not read."""
    asked = feed.TEXT_ONLY.get(name, "image and words")
    return Row(name, asked, "", "", "", f"refused: {error}", proved=False)


def row(name: str) -> Row:
    """Builds and opens a family's tiny model."""
    try:
        model = drawn(name)
    except ImportError as error:
        missing = re.search(r"requires the (\w+) library", str(error))
        needs = missing.group(1) if missing else str(error).strip().splitlines()[0]
        return Row(name, "", "", "", "", f"not built here: it needs {needs}", proved=False)
    try:
        return row_of(name, opened(name, model))
    except LvlmAuditError as error:
        return refused(name, error)


def page(rows: Iterable[Row]) -> str:
    """docs/families.md."""
    import transformers

    rows = list(rows)
    head = _HEAD.format(
        version=transformers.__version__,
        proved=sum(row.proved for row in rows),
        count=len(rows),
    )
    return head + "\n".join(map(str, rows)) + "\n"


def families_on_page() -> list[str]:
    """The families that the page on disk lists."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    return [line.split(" | ")[0][2:] for line in lines if re.match(r"\| [a-z]", line)][1:]


if __name__ == "__main__":
    PAGE.write_text(page(row(name) for name in model_types()), encoding="utf-8")
    print(PAGE)
