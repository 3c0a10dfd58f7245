"""Where the image is: found by showing another one, not by a name."""

from __future__ import annotations

import pytest
import torch

from lvlm_audit import Probe, hook, record
from tests import tiny_models
from tests.families import feed
from tests.families.matrix import FAMILIES
from tests.families.zoo import drawn


def test_a_row_that_is_padded_and_continued_keeps_its_image_positions() -> None:
    hooked = hook(*tiny_models.llava())
    long, short = tiny_models.probes(2)
    probes = [long.showing([tiny_models.picture(1), tiny_models.picture(2)]), short]
    inputs = hooked.inputs(probes)
    held = hooked.image_positions(hooked.extended(inputs, [[30, 31, 32], [40]]))
    assert held is not None
    assert held.shape[1] == inputs["input_ids"].shape[1] + 3
    assert held.sum(1).tolist() == [2 * int(held[1].sum()), int(held[1].sum())]
    assert not held[:, -1].any()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mllama", "blocks 1, 2 read the image themselves"),
        ("git", "17 positions in front of the prompt"),
        ("florence2", "an encoder reads the image"),
        ("idefics", "every position before the first block"),
    ],
)
def test_an_image_without_positions_is_not_counted_as_none(name: str, said: str) -> None:
    model = drawn(name)
    with FAMILIES.opened(name, model) as hooked:
        assert said in str(hooked.images)
        (trace,) = record(hooked, [Probe.prepared(feed.inputs(name, model))], max_new_tokens=2)
    assert trace.asked.image_tokens is None


def test_the_configuration_is_not_believed_against_the_stream() -> None:
    model = drawn("llava")
    inputs = feed.inputs("llava", model)
    expected = inputs["input_ids"] == model.config.image_token_id
    hooked = FAMILIES.opened("llava", model)
    hooked.images, hooked.image_feature_id = None, 21  # a word of the prompt
    held = hooked.image_positions(inputs)
    assert held is not None
    assert torch.equal(held, expected)


def test_a_dead_projector_leaves_the_image_where_the_configuration_says() -> None:
    model = drawn("llava")
    inputs = feed.inputs("llava", model)
    with torch.no_grad():
        for weight in model.model.multi_modal_projector.parameters():
            weight.zero_()
    held = FAMILIES.opened("llava", model).image_positions(inputs)
    assert held is not None
    assert torch.equal(held, inputs["input_ids"] == model.config.image_token_id)
