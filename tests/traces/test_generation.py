"""A family's own generate() may drop the logits processor by which answers are dictated and rescored."""

from __future__ import annotations

import types

import numpy as np
import pytest
import torch

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.interventions.dola import DoLa
from lvlm_audit.interventions.redecoding import iter_redecoded
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.traces.generation import step_logits
from lvlm_audit.traces.recorder import replay
from tests import tiny_models

TEXTS = [[50, 61, 72, 83], [90, 91], [101, 55, 66]]


@pytest.fixture
def llava() -> HookedModel:
    return hook(*tiny_models.llava(blocks=9))


def dropping(model: HookedModel) -> HookedModel:
    """As Janus does it."""
    own = model.model.generate

    def generate(self, *args, logits_processor=None, **more):
        return own(*args, **more)

    model.model.generate = types.MethodType(generate, model.model)
    return model


def test_dictation_rescoring_and_logits_survive_it(llava):
    probes = tiny_models.probes(3)
    llava.replays_in_one_pass = False
    expected = [t.probability for t in replay(llava, probes, TEXTS)]
    ids, logits = step_logits(llava, llava.inputs(probes[:1]), 3)
    decoded = [r.token_ids for r in iter_redecoded(llava, probes, DoLa("low"), max_new_tokens=5)]

    deaf = dropping(llava)
    found = replay(deaf, probes, TEXTS)
    assert [t.token_ids.tolist() for t in found] == TEXTS
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.probability, other)
    again, their_logits = step_logits(deaf, deaf.inputs(probes[:1]), 3)
    assert again == ids
    assert len(their_logits) == 3
    for one, other in zip(logits, their_logits, strict=True):
        torch.testing.assert_close(one, other)
    anew = [r.token_ids for r in iter_redecoded(deaf, probes, DoLa("low"), max_new_tokens=5)]
    assert [a.tolist() for a in anew] == [d.tolist() for d in decoded]
    assert "_get_logits_processor" not in vars(deaf.model)


def test_where_nobody_asks_it_is_an_error_and_not_another_text(llava):
    deaf = dropping(llava)
    collect = deaf.model._get_logits_processor
    own = deaf.model.generate

    def generate(self, *args, **more):
        self._get_logits_processor = collect  # its own way of collecting them
        return own(*args, **more)

    deaf.model.generate = types.MethodType(generate, deaf.model)
    with pytest.raises(UnsupportedModel, match=r"generate\(\) asks no logits processor"):
        step_logits(deaf, deaf.inputs(tiny_models.probes(1)), 2)
