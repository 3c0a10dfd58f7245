"""Families that third parties add."""

from __future__ import annotations

import dataclasses
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models import adapters
from lvlm_audit.models.anatomy import Anatomy, dissect
from lvlm_audit.models.opening import hook
from tests import tiny_models


def finds(model: Any, inputs: Any) -> Anatomy:
    return dissect(model, inputs)


def finds_a_scale_that_is_not_there(model: Any, inputs: Any) -> Anatomy:
    return dataclasses.replace(dissect(model, inputs), logit_scale=2.0)


def knows_nothing(model: Any, inputs: Any) -> None:
    return None


def fails(model: Any, inputs: Any) -> None:
    raise KeyError("layers")


def install(monkeypatch: pytest.MonkeyPatch, *functions: Any) -> None:
    found = [EntryPoint(f.__name__, f"{__name__}:{f.__name__}", adapters.GROUP) for f in functions]
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.name])
    asked = {adapters.GROUP: found}
    monkeypatch.setattr(adapters, "entry_points", lambda group: asked[group])


def test_an_adapter_is_asked_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, knows_nothing, finds)
    anatomy = hook(*tiny_models.llava()).anatomy
    assert anatomy.adapter == "finds"
    assert "found by the adapter finds" in anatomy.describe()


def test_without_one_that_knows_the_model_discovery_decides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, knows_nothing)
    assert hook(*tiny_models.llava()).anatomy.adapter is None


def test_a_wrong_adapter_does_not_pass_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, finds_a_scale_that_is_not_there)
    with pytest.raises(UnsupportedModel, match=r"does not give the model's own logits.*adapter"):
        hook(*tiny_models.llava())


def test_an_adapter_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, fails)
    with pytest.raises(UnsupportedModel, match=r"adapter 'fails'.*KeyError.*Mend or remove"):
        hook(*tiny_models.llava())
