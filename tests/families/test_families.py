"""Every family: found, proved, recorded, replayed, and held against transformers' own generation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lvlm_audit import Probe, find_stages, record
from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import count_hooks
from lvlm_audit.traces.recorder import replay
from tests.families import feed, matrix
from tests.families.zoo import drawn, model_types

TOKENS = 4
REFUSED = {
    "diffusion_gemma": "does not answer token by token",
    "inkling2": "not a chain of modules",
    "pi0": "does not answer token by token",
}
WITHOUT_POSITIONS = {
    "blip", "evolla", "florence2", "git", "idefics", "mistral4", "mllama", "pix2struct", "pp_formulanet",
    "t5gemma2", "udop", "vision-encoder-decoder",
}  # fmt: skip
"""Families whose image enters beside the prompt, or that name no image token and are shown no image."""
ROWS: dict[str, matrix.Row] = {}
"""What the tests of families saw, for the test of the matrix."""


@pytest.mark.parametrize("name", matrix.families_on_page())
def test_a_family_is_read_as_transformers_generates(name: str) -> None:
    import transformers

    if name not in model_types():
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    try:
        model = drawn(name)
    except ImportError as error:
        ROWS[name] = matrix.row(name)
        pytest.skip(f"{name} cannot be built here: {str(error).strip().splitlines()[0]}")
    if name in REFUSED:
        with pytest.raises(UnsupportedModel, match=REFUSED[name]) as refusal:
            matrix.opened(name, model)
        ROWS[name] = matrix.refused(name, refusal.value)
        return

    inputs = feed.inputs(name, model)
    own = model.generate(
        **inputs, do_sample=False, max_new_tokens=TOKENS,
        output_logits=True, output_hidden_states=True, return_dict_in_generate=True,
    )  # fmt: skip
    carried = count_hooks(model)
    with matrix.opened(name, model) as hooked:
        ROWS[name] = matrix.row_of(name, hooked)
        _assert_hooks_change_nothing(hooked, inputs)
        _assert_the_image_is_where_it_is(name, hooked, inputs)
        probe = Probe.prepared(inputs)
        trace = record(hooked, [probe], max_new_tokens=TOKENS, keep_features=True)[0]
        again = replay(hooked, [probe], [trace.token_ids])[0]
    assert count_hooks(model) == carried

    steps = len(trace.token_ids)
    assert steps == len(own.logits)
    assert trace.token_ids.tolist() == own.sequences[0, -steps:].tolist()
    theirs = torch.stack([step[0] for step in own.logits]).double().softmax(-1)
    emitted = theirs.gather(1, torch.tensor(trace.token_ids)[:, None])[:, 0]
    np.testing.assert_allclose(trace.probability[:, -1], emitted, rtol=1e-3, atol=1e-6)
    best = theirs.topk(trace.top_probs.shape[-1]).values
    np.testing.assert_allclose(trace.top_probs[:, -1], best, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(again.probability, trace.probability, rtol=1e-2, atol=1e-4)

    states = _decoder_states(own, hooked)
    assert states is not None or ROWS[name].proof == "logits"
    if states is not None:
        assert trace.features is not None
        for j in range(hooked.blocks):
            reference = states[:, j].numpy()
            room = 2e-3 * np.abs(reference).max()  # features are kept as float16
            np.testing.assert_allclose(trace.features[:, j], reference, rtol=2e-3, atol=room)
    assert find_stages([trace]).blocks == hooked.blocks


def _assert_hooks_change_nothing(hooked: HookedModel, inputs: dict[str, Any]) -> None:
    inputs = hooked.inputs([Probe.prepared(inputs)])
    with torch.inference_mode():
        plain = hooked.model(**inputs, use_cache=False).logits
        with hooked.tapped(lambda *_: None):
            watched = hooked.model(**inputs, use_cache=False).logits
    assert torch.equal(plain, watched)


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


def _decoder_states(own: Any, hooked: HookedModel) -> Tensor | None:
    """[T, S, streams * d] at the predicting positions, as transformers reports them."""
    steps = getattr(own, "decoder_hidden_states", None) or getattr(own, "hidden_states", None)
    if not steps or len(steps[0]) != hooked.blocks + 1:
        return None
    made = []
    for step in steps:
        rows = [
            (state.movedim(0, 2) if state.ndim == 4 and state.shape[0] > 1 else state)[0, -1]
            for state in step[:-1]
        ]
        made.append(torch.stack([row.flatten() for row in rows]))
    return torch.stack(made).float()


def test_the_matrix_on_disk_is_what_the_code_gives() -> None:
    import transformers

    page = matrix.PAGE.read_text(encoding="utf-8")
    if f"transformers {transformers.__version__} maps" not in page:
        pytest.skip(f"docs/families.md is not about transformers {transformers.__version__}")
    rows = [ROWS.get(name) or matrix.row(name) for name in model_types()]
    assert matrix.page(rows) == page, "run `nox -s families`"
    assert sum(row.proved for row in rows) >= 85
