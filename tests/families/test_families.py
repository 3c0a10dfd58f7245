"""Every family: found, proved, recorded, replayed, and held against transformers' own generation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lvlm_audit import Probe
from lvlm_audit.errors import LvlmAuditError
from lvlm_audit.models.hooked import HookedModel
from tests.families import feed
from tests.families.agreement import assert_agrees, generated
from tests.families.matrix import DECODERS, FAMILIES, Page, Row

REFUSED = {
    "diffusion_gemma": "does not answer token by token",
    "inkling2": "states of earlier blocks beside",
    "pi0": "does not answer token by token",
}
REFUSED_DECODERS = {
    "blt": "cannot be run on",
    "hrm_text": "did not run once each",
    "inkling2_text": "states of earlier blocks beside",
    "prophetnet": "not a chain of modules",
    "reformer": "states of earlier blocks beside",
    "xlm": "differs from the one it reports",
    "xlnet": "not a chain of modules",
}
WITHOUT_POSITIONS = {
    "blip", "evolla", "florence2", "git", "idefics", "mistral4", "mllama", "pix2struct", "pp_formulanet",
    "t5gemma2", "udop", "vision-encoder-decoder",
}  # fmt: skip
"""Families whose image enters beside the prompt, or that name no image token and are shown no image."""
OUTPUTS = ("falcon_mamba", "mamba", "mamba2", "rwkv")
"""Decoders that report no embedding: each block's output, and then the final norm's."""
ROWS: dict[str, dict[str, Row]] = {"families": {}, "decoders": {}}
"""What the tests of families saw, for the tests of the matrices."""


@pytest.mark.parametrize("name", FAMILIES.families())
def test_a_family_is_read_as_transformers_generates(name: str) -> None:
    hooked = _read(FAMILIES, name, REFUSED)
    if hooked is not None:
        _assert_the_image_is_where_it_is(name, hooked, feed.inputs(name, hooked.model))


@pytest.mark.parametrize("name", DECODERS.families())
def test_a_decoder_is_read_as_transformers_generates(name: str) -> None:
    _read(DECODERS, name, REFUSED_DECODERS)


def _read(page: Page, name: str, refused: dict[str, str]) -> HookedModel | None:
    import transformers

    rows = ROWS[page.path.stem]
    if name not in page.model_types():
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    try:
        model = page.drawn(name)
    except Exception as error:
        rows[name] = page.not_built(name, error)
        if not rows[name].proof.startswith(_proof_on_disk(page, name)):
            raise
        pytest.skip(rows[name].proof)
    if name in refused:
        with pytest.raises(LvlmAuditError, match=refused[name]) as refusal:
            page.opened(name, model)
        rows[name] = page.refused(name, refusal.value)
        return None
    inputs = page.inputs(name, model)
    own = generated(model, inputs)
    with page.opened(name, model) as hooked:
        rows[name] = page.row_of(name, hooked)
        assert_agrees(hooked, inputs, own, outputs=name in OUTPUTS)
    return hooked


def _proof_on_disk(page: Page, name: str) -> str:
    line = next(row for row in page.on_disk().splitlines() if row.startswith(f"| {name} |"))
    return line.rstrip(" |").rpartition(" | ")[2][:14]


def _assert_the_image_is_where_it_is(
    name: str, hooked: HookedModel, inputs: dict[str, Any]
) -> None:
    """Beside words, these prompts hold one token for each feature that the image tower gave."""
    held = hooked.image_positions(hooked.inputs([Probe.prepared(inputs)]))
    if name in WITHOUT_POSITIONS:
        assert held is None
        return
    assert held is not None
    plain = torch.isin(inputs["input_ids"], torch.tensor(feed.WORDS))
    assert torch.equal(held, torch.zeros_like(plain) if name in feed.TEXT_ONLY else ~plain)


@pytest.mark.parametrize(("page", "least"), [(FAMILIES, 85), (DECODERS, 170)])
def test_the_matrix_on_disk_is_what_the_code_gives(page: Page, least: int) -> None:
    import transformers

    if f"transformers {transformers.__version__} maps" not in page.on_disk():
        pytest.skip(f"{page.path.name} is not about transformers {transformers.__version__}")
    seen = ROWS[page.path.stem]
    rows = [seen.get(name) or page.row(name) for name in page.model_types()]
    assert page.text(rows) == page.on_disk(), "run `nox -s families`"
    assert sum(row.proved for row in rows) >= least
