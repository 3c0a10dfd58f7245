"""Training: packing changes nothing, a stopped run goes on as if it had not been stopped."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from lvlm_audit.demo.architecture import Adapter, Projector
from lvlm_audit.demo.corpus import render_corpus
from lvlm_audit.demo.decoder import DecoderSource, load_decoder
from lvlm_audit.demo.frozen_decoder import FrozenDecoder
from lvlm_audit.demo.packing import pack
from lvlm_audit.demo.perception import learning_rate
from lvlm_audit.demo.recipe import CHAT_TEMPLATE, IMAGE_TOKEN_ID, Recipe
from lvlm_audit.demo.scenes import KINDS, OBJECT_COLORS, make_scene
from lvlm_audit.demo.training import Trainer, train


@pytest.fixture(scope="module")
def decoder(tiny_decoder_folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_decoder_folder, dtype=torch.float32)


@pytest.fixture(scope="module")
def tokenizer(tiny_decoder_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_decoder_folder)


def test_packed_questions_cost_what_they_cost_alone(
    decoder: Any, tokenizer: Any, tiny_recipe: Recipe
) -> None:
    """Each packed block against transformers' own Llama on prefix + block, one by one."""
    batch = pack([3, 4], tokenizer, tiny_recipe, np.random.default_rng(0))
    lean = FrozenDecoder(decoder, compiled=False)
    packed = lean.loss(
        lean.embeddings[batch.tokens], batch.positions, batch.visible, batch.sources,
        batch.targets, len(batch.targets) + 5,
    )  # fmt: skip
    losses: list[torch.Tensor] = []
    length = batch.tokens.shape[1]
    wanted = dict(zip(batch.sources.tolist(), batch.targets.tolist(), strict=True))
    for row in range(len(batch.tokens)):
        prefix = int((batch.tokens[row] == IMAGE_TOKEN_ID).nonzero().max()) + 1
        starts = [
            column for column in range(prefix, length) if batch.positions[row, column] == prefix
        ]
        for start in starts:
            end = start
            while end < length and batch.positions[row, end] == prefix + end - start:
                end += 1
            alone = torch.cat([batch.tokens[row, :prefix], batch.tokens[row, start:end]])
            logits = decoder(alone[None]).logits[0, prefix:]
            for column in range(start, end):
                if (target := wanted.get(row * length + column)) is not None:
                    losses.append(
                        functional.cross_entropy(logits[column - start], torch.tensor(target))
                    )
    assert len(losses) == len(batch.targets)
    torch.testing.assert_close(packed, torch.stack(losses).mean(), rtol=1e-5, atol=1e-6)


def test_packed_text_is_the_chat_template_s(tokenizer: Any, tiny_recipe: Recipe) -> None:
    batch = pack([5], tokenizer, tiny_recipe, np.random.default_rng(0))
    text = tokenizer.decode(batch.tokens[0])
    first = text.split("<empty_output>")[-1]
    question = first.split("\n")[1].removesuffix("<|im_end|>")
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}],
        chat_template=CHAT_TEMPLATE,
        tokenize=False,
        add_generation_prompt=True,
    )
    shown = rendered.replace("<image>", "<empty_output>" * tiny_recipe.tower.tokens)
    assert text.startswith(shown)
    assert int(batch.targets[-1]) == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_gradients_reach_the_adapter_and_only_it(
    decoder: Any, tokenizer: Any, tiny_recipe: Recipe
) -> None:
    corpus = render_corpus(0, tiny_recipe.scenes, tiny_recipe.tower, processes=0)
    adapter = Adapter(tiny_recipe.tower, 32)
    trainer = Trainer(
        adapter, FrozenDecoder(decoder, compiled=False), tokenizer, corpus, tiny_recipe
    )
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    trainer.train_step()
    moved = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in adapter.parameters()]
    assert sum(moved) > 0.8 * len(moved)
    assert all(torch.equal(tensor, before[name]) for name, tensor in decoder.state_dict().items())


def test_a_stopped_run_goes_on_and_repeats_no_stage(
    tiny_source: DecoderSource, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    reports: list[dict[str, float]] = []

    def run(steps: int) -> Adapter:
        model, tokenizer = load_decoder(tiny_source)
        recipe = replace(tiny_recipe, language_steps=steps)
        return train(
            model, tokenizer, tmp_path, recipe, reports.append, compiled=False, processes=0
        )

    first = run(1)
    assert [figures["step"] for figures in reports] == [2.0]  # stage 1's last, and only, report
    done = {name: tensor.clone() for name, tensor in first.state_dict().items()}
    again = run(1)
    assert len(reports) == 1
    assert all(torch.equal(tensor, done[name]) for name, tensor in again.state_dict().items())
    further = run(2)
    assert len(reports) == 1
    assert any(not torch.equal(t, done[name]) for name, t in further.state_dict().items())


def test_resuming_repeats_the_same_numbers(
    decoder: Any, tokenizer: Any, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    corpus = render_corpus(0, tiny_recipe.scenes, tiny_recipe.tower, processes=0)

    def fresh() -> Trainer:
        torch.manual_seed(0)
        adapter = Adapter(tiny_recipe.tower, 32)
        lean = FrozenDecoder(decoder, compiled=False)
        return Trainer(adapter, lean, tokenizer, corpus, tiny_recipe)

    through = fresh()
    losses = [through.train_step() for _ in range(4)]
    stopped = fresh()
    assert [stopped.train_step() for _ in range(2)] == losses[:2]
    stopped.save(tmp_path / "state.pt")
    resumed = fresh()
    resumed.resume(tmp_path / "state.pt")
    assert [resumed.train_step() for _ in range(2)] == losses[2:]


def test_the_corpus_labels_patches_with_what_covers_them(tiny_recipe: Recipe) -> None:
    corpus = render_corpus(100, 6, tiny_recipe.tower, processes=0)
    for row in range(6):
        scene = make_scene(100 + row)
        kinds = {list(KINDS)[index - 1] for index in corpus.kinds[row] if index > 0}
        colors = {OBJECT_COLORS[index - 1] for index in corpus.colors[row] if index > 0}
        assert kinds <= {thing.kind for thing in scene.objects}
        assert colors <= {thing.color for thing in scene.objects}
        assert kinds
        assert int(corpus.counts[row].sum()) == len(scene.objects)


def test_the_corpus_is_kept(tiny_recipe: Recipe, tmp_path: Path) -> None:
    first = render_corpus(0, 3, tiny_recipe.tower, processes=0, cache=tmp_path / "corpus.npz")
    again = render_corpus(0, 3, tiny_recipe.tower, processes=0, cache=tmp_path / "corpus.npz")
    assert np.array_equal(first.pixels, again.pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.npz"]


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = [learning_rate(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert set(rates[10:56]) == {1.0}
    assert rates[-1] < 0.03
    assert all(a >= b for a, b in itertools.pairwise(rates[55:]))


def test_the_projector_starts_at_the_embeddings_scale() -> None:
    torch.manual_seed(0)
    projector = Projector(16, 32)
    patches = 7.0 * torch.randn(200, 16)
    embeddings = 0.13 * torch.randn(50, 32)
    projector.scale_to(patches, embeddings)
    assert float(projector(patches).detach().norm(dim=-1).mean()) == pytest.approx(
        float(embeddings.norm(dim=-1).mean()), rel=0.15
    )
