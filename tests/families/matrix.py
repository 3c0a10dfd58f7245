"""The matrices of families, docs/families.md and docs/decoders.md: `python -m tests.families.matrix`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lvlm_audit import Probe, hook
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.models.hooked import HookedModel
from tests.families import decoders, feed, zoo

_DOCS = Path(__file__).parents[2] / "docs"

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

## What a state means

The stream after a block, at the position that predicts the next token: what all blocks so far have added.

- **Mixture of experts**: the same; a block adds what the experts chosen for that token say.
- **State-space, linear attention, convolution beside attention**: the same stream at the same position. What a
  block remembers of earlier tokens is its own and no part of the state. Where blocks differ in kind, the
  deviations say which hold what, under the names of their classes.
- **Cross-attention to the image**: "image" says which blocks read it themselves. Asked without an image, they
  are left out and their state repeats the one before. Where it happens between blocks (idefics), a state is
  what the last block gave, not what the next one was shown: "something is added to the stream before".
- **Features added at early blocks** (deepstack), **embeddings for each layer** (gemma3n): added within or
  between blocks; a state is after the block.
- **Several residual streams**: all of them side by side; what joins them belongs to the readout.
- **Encoder-decoder**: the decoder's states; image and prompt are in the encoder, which is not read.
- **Attention over earlier states in front of the head** (inkling2): no single state gives the model's words, so
  it is refused.
- **One block applied over and over** (hrm_text): refused, its outputs belong to no one layer.

## Families

| family | asked with | found | deviations | image | proof |
|---|---|---|---|---|---|
"""


_DECODERS_HEAD = """# Text decoders

As [families.md](families.md), for each model type that transformers {version} maps to causal language models:
what is compared with in "LVLM against LLM". Asked with words. Written by `nox -s families`.

{proved} of {count} are read and proved.

| family | found | deviations | proof |
|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a matrix."""

    family: str
    cells: tuple[str, ...]
    proof: str
    proved: bool

    def __str__(self) -> str:
        cells = (self.family, *self.cells, self.proof)
        return (
            "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
        )


@dataclass(frozen=True, slots=True)
class Page:
    """One matrix.

    Attributes:
        path: where it is kept.
        head: what stands above the table; takes version, proved and count.
        model_types: the families, and their classes.
        drawn: makes a family's tiny model.
        inputs: what it is asked, as `generate()` takes it.
        cells: between a family's name and its proof: of a model that was read, and without one.
    """

    path: Path
    head: str
    model_types: Callable[[], dict[str, str]]
    drawn: Callable[[str], Any]
    inputs: Callable[[str, Any], dict[str, Any]]
    cells: Callable[[str, HookedModel | None], tuple[str, ...]]

    def opened(self, name: str, model: Any) -> HookedModel:
        """A tiny model, proved on its family's inputs."""
        return hook(model, sample=Probe.prepared(self.inputs(name, model)))

    def row_of(self, name: str, hooked: HookedModel) -> Row:
        """What was found of a family."""
        states = hooked.proofs[0].state_difference is not None
        proof = "logits and states" if states else "logits"
        return Row(name, self.cells(name, hooked), proof, proved=True)

    def refused(self, name: str, error: Exception) -> Row:
        """Why a family is not read."""
        return Row(name, self.cells(name, None), f"refused: {error}", proved=False)

    def not_built(self, name: str, error: Exception) -> Row:
        """Why a family's tiny model is not made."""
        missing = re.search(r"requires the (\w+) library", str(error))
        said = str(error).strip().splitlines()
        needs = f"it needs {missing.group(1)}" if missing else (said or [type(error).__name__])[-1]
        return Row(name, self.cells(name, None), f"not built here: {needs}", proved=False)

    def row(self, name: str) -> Row:
        """Builds and opens a family's tiny model."""
        try:
            model = self.drawn(name)
        except Exception as error:
            return self.not_built(name, error)
        try:
            return self.row_of(name, self.opened(name, model))
        except LvlmAuditError as error:
            return self.refused(name, error)

    def text(self, rows: Iterable[Row]) -> str:
        """The page."""
        import transformers

        rows = list(rows)
        head = self.head.format(
            version=transformers.__version__,
            proved=sum(row.proved for row in rows),
            count=len(rows),
        )
        return head + "\n".join(map(str, rows)) + "\n"

    def on_disk(self) -> str:
        """The page as it was written last."""
        return self.path.read_text(encoding="utf-8") if self.path.exists() else ""

    def families(self) -> list[str]:
        """The families that the page on disk lists."""
        rows = [line for line in self.on_disk().splitlines() if re.match(r"\| [a-z]", line)]
        return [line.split(" | ")[0][2:] for line in rows][1:]


def _found(hooked: HookedModel) -> tuple[str, str]:
    anatomy = hooked.anatomy
    paths = [anatomy.paths[part] for part in ("blocks", "norm", "head")]
    return ", ".join(f"`{path}`" for path in paths if path), "; ".join(anatomy.deviations())


def _with_image(name: str, hooked: HookedModel | None) -> tuple[str, ...]:
    asked = feed.TEXT_ONLY.get(name, "image and words")
    if hooked is None:
        return asked, "", "", ""
    return asked, *_found(hooked), _image(name, hooked)


def _image(name: str, hooked: HookedModel) -> str:
    if name in feed.TEXT_ONLY:
        return ""
    held = hooked.image_positions(hooked.inputs([Probe.prepared(feed.inputs(name, hooked.model))]))
    return str(hooked.images) if held is None else f"{int(held.sum())} {hooked.images}"


FAMILIES = Page(
    path=_DOCS / "families.md",
    head=_HEAD,
    model_types=zoo.model_types,
    drawn=zoo.drawn,
    inputs=feed.inputs,
    cells=_with_image,
)
DECODERS = Page(
    path=_DOCS / "decoders.md",
    head=_DECODERS_HEAD,
    model_types=decoders.model_types,
    drawn=decoders.drawn,
    inputs=lambda *_: feed.text(),
    cells=lambda _, hooked: ("", "") if hooked is None else _found(hooked),
)


if __name__ == "__main__":
    for page in (FAMILIES, DECODERS):
        page.path.write_text(page.text(map(page.row, page.model_types())), encoding="utf-8")
        print(page.path)
