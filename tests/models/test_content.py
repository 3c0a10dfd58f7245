"""The content key of a model in memory: equal for what computes the same, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lvlm_audit.models.content import NoContentError, content_key
from lvlm_audit.models.opening import hook
from tests import tiny_models


def key(change: Callable[[Any, Any], Any] = lambda model, processor: None, **made: Any) -> str:
    model, processor = tiny_models.llava(blocks=9, width=32, **made)
    with hook(model, processor) as hooked:
        change(model, processor)
        return content_key(hooked)


def test_equal_models_have_one_key() -> None:
    # The content of library functions is part of it, and another test may have exchanged one: of one moment.
    assert key() == key()
    assert len(key()) == 64


def one_weight(model: Any, processor: Any) -> None:
    with torch.no_grad():
        model.get_output_embeddings().weight[5, 3] += 1e-6


def an_epsilon(model: Any, processor: Any) -> None:
    model.model.language_model.norm.variance_epsilon *= 2


def a_buffer_that_is_not_saved(model: Any, processor: Any) -> None:
    model.model.language_model.rotary_emb.inv_freq.mul_(1.001)


def a_setting(model: Any, processor: Any) -> None:
    model.config.vision_feature_layer = -1


def of_generation(model: Any, processor: Any) -> None:
    model.generation_config.repetition_penalty = 1.5


def a_class(model: Any, processor: Any) -> None:
    class Norm(type(model.model.language_model.norm)):  # type: ignore[misc]
        def forward(self, states: Any) -> Any:
            return super().forward(states) * 1.01

    model.model.language_model.norm.__class__ = Norm


def an_activation(model: Any, processor: Any) -> None:
    model.model.language_model.layers[0].mlp.act_fn = torch.nn.ReLU()


def blocks_in_another_order(model: Any, processor: Any) -> None:
    blocks = model.model.language_model.layers
    blocks[2], blocks[3] = blocks[3], blocks[2]


def a_template(model: Any, processor: Any) -> None:
    processor.chat_template += " "


def a_size(model: Any, processor: Any) -> None:
    processor.image_processor.image_mean = [0.1, 0.2, 0.3]


def a_token(model: Any, processor: Any) -> None:
    processor.tokenizer.add_tokens(["<new>"])


CHANGES = [
    one_weight,
    an_epsilon,
    a_buffer_that_is_not_saved,
    a_setting,
    of_generation,
    a_class,
    an_activation,
    blocks_in_another_order,
    a_template,
    a_size,
    a_token,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_changes_the_answer_changes_the_key(change: Callable[[Any, Any], Any]) -> None:
    assert key(change) != key()


def test_dtype_and_seed_change_it() -> None:
    assert len({key(), key(seed=2), key(dtype=torch.bfloat16)}) == 3


def test_code_that_a_notebook_changes_changes_the_key() -> None:
    """The same class by name; a helper that its method calls says something else."""

    def make(scale: str) -> str:
        space: dict[str, Any] = {"torch": torch, "__name__": "__main__"}
        exec(
            f"def helper(x):\n    return x * {scale}\n"
            "class Norm(torch.nn.Identity):\n    def forward(self, x):\n        return helper(x)\n",
            space,
        )

        def change(model: Any, processor: Any) -> None:
            model.extra = space["Norm"]()

        return key(change)

    assert make("2.0") == make("2.0")
    assert make("2.0") != make("3.0")


def test_a_function_exchanged_in_the_models_own_module_changes_the_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers.models.llama import modeling_llama

    before = key()
    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", lambda q, k, *rest: (q, k))
    assert key() != before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, p: m.register_forward_hook(lambda *_: None), "carries forward_hooks"),
        (lambda m, p: m.lm_head.register_forward_pre_hook(lambda *_: None), "forward_pre_hooks"),
        (lambda m, p: setattr(m, "source", (i for i in range(3))), "generator"),
        (lambda m, p: setattr(p, "apply_chat_template", lambda *a, **k: ""), "exchanged"),
    ],
    ids=["hook", "pre-hook", "generator", "processor"],
)
def test_what_has_no_content_has_no_key(change: Callable[[Any, Any], Any], message: str) -> None:
    with pytest.raises(NoContentError, match=message):
        key(change)


def test_a_method_that_was_exchanged_is_read_as_code() -> None:
    def steered(by: float) -> str:
        def change(model: Any, processor: Any) -> None:
            head = model.lm_head
            head.forward = lambda x: torch.nn.functional.linear(x, head.weight) * by

        return key(change)

    assert len({key(), steered(1.0), steered(2.0)}) == 3
    assert steered(2.0) == steered(2.0)


def test_a_model_without_a_key_is_audited_and_nothing_is_kept(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two steering hooks on the same weights: the second must not be served the first's answers."""
    import lvlm_audit

    monkeypatch.setenv("LVLM_AUDIT_CACHE", str(tmp_path / "cache"))
    model, processor = tiny_models.llava(blocks=9, width=32)
    probes = tiny_models.probes(4)
    answers = []
    for shift in (0.0, 5.0):
        with hook(model, processor) as hooked:
            block = hooked.anatomy.blocks[5]
            handle = block.register_forward_hook(
                lambda m, a, out, s=shift: (
                    (out[0] + s, *out[1:]) if isinstance(out, tuple) else out + s
                )
            )
            audit = lvlm_audit.audit(hooked, probes, max_new_tokens=4)
            handle.remove()
        answers.append([t.probability for p in audit.probes for t in p.tokens])
        assert "are not kept" in caplog.text
    assert answers[0] != answers[1]
    assert not (tmp_path / "cache" / "traces").exists()
