"""Trains the demo model's adapter: ``python -m lvlm_audit.demo.training``.

Stage 1 teaches the tower to see (`perception`), stage 2 trains tower and projector on the
language-model loss through the frozen decoder. Both are seeded; a run that was stopped goes on
from its last checkpoint in the work folder.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lvlm_audit.demo.architecture import Adapter
from lvlm_audit.demo.corpus import Corpus, render_corpus
from lvlm_audit.demo.decoder import DecoderSource, fetch_decoder, load_decoder
from lvlm_audit.demo.frozen_decoder import FrozenDecoder
from lvlm_audit.demo.packing import PackedBatch, pack
from lvlm_audit.demo.perception import (
    Report,
    learning_rate,
    parameter_groups,
    patch_outputs,
    train_perception,
)
from lvlm_audit.demo.recipe import IMAGE_TOKEN_ID, Recipe

_SAVE_EVERY_SECONDS = 150.0


class Trainer:
    """Stage 2: the language-model loss of packed questions, through the frozen decoder.

    Attributes:
        adapter: Tower and projector, float32, trained in place.
        step: Number of steps done.
    """

    def __init__(
        self,
        adapter: Adapter,
        decoder: FrozenDecoder,
        tokenizer: Any,
        corpus: Corpus,
        recipe: Recipe,
    ) -> None:
        """Joins what a step needs.

        Args:
            adapter: Tower and projector.
            decoder: The frozen decoder.
            tokenizer: The decoder's tokenizer.
            corpus: Training pictures; row i is the scene of seed i.
            recipe: Steps, batch, rates.
        """
        self.adapter = adapter
        self.step = 0
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._corpus = corpus
        self._recipe = recipe
        self._optimizer = torch.optim.AdamW(
            parameter_groups(adapter.tower, recipe.tower_rate, recipe.weight_decay)
            + parameter_groups(adapter.projector, recipe.projector_rate, recipe.weight_decay),
            betas=(0.9, 0.98),
        )

    def train_step(self) -> float:
        """Takes one step.

        Returns:
            The loss before the step, nats per answer token.
        """
        share = learning_rate(self.step, self._recipe.language_steps, self._recipe.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * share
        loss = self.loss(self._batch())
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.adapter.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        return float(loss.detach())

    def loss(self, batch: PackedBatch) -> Tensor:
        """Mean cross-entropy of a batch's answer tokens, in nats."""
        pixels = torch.from_numpy(self._corpus.pixels[np.asarray(batch.scenes)])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            image_tokens = self.adapter.projector(patch_outputs(self.adapter.tower, pixels))
        embeddings = self._decoder.embeddings
        is_image = batch.tokens == IMAGE_TOKEN_ID
        embedded = embeddings[batch.tokens].masked_scatter(
            is_image[..., None], image_tokens.to(embeddings.dtype)
        )
        # An answer rarely needs more than this many tokens; one shape keeps one compiled kernel.
        padded = 64 * -(-max(len(batch.targets), 66 * len(batch.scenes)) // 64)
        return self._decoder.loss(
            embedded, batch.positions, batch.visible, batch.sources, batch.targets, padded
        )

    def save(self, path: Path) -> None:
        """Writes a checkpoint to resume from, in place of the previous one."""
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "step": self.step,
                "adapter": self.adapter.state_dict(),
                "optimizer": self._optimizer.state_dict(),
            },
            partial,
        )
        partial.replace(path)

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint of `save`."""
        state = torch.load(path, weights_only=True)
        self.step = int(state["step"])
        self.adapter.load_state_dict(state["adapter"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _batch(self) -> PackedBatch:
        # Seeded by step, so that a resumed run sees the batches it would have seen.
        rng = np.random.default_rng([self._recipe.seed, 2, self.step])
        seeds = rng.choice(len(self._corpus), self._recipe.language_batch, replace=False)
        return pack([int(seed) for seed in seeds], self._tokenizer, self._recipe, rng)


def train(
    decoder: Any,
    tokenizer: Any,
    work: Path,
    recipe: Recipe,
    report: Report,
    *,
    compiled: bool = True,
    processes: int = 2,
) -> Adapter:
    """Runs both stages, resuming what `work` holds.

    Args:
        decoder: SmolLM2 as a `LlamaForCausalLM`, bfloat16.
        tokenizer: Its tokenizer.
        work: Folder for rendered pictures and checkpoints.
        recipe: The recipe.
        report: Called with progress figures now and then.
        compiled: Whether to compile the decoder with `torch.compile`.
        processes: Worker processes that render pictures.

    Returns:
        The trained adapter, float32.
    """
    work.mkdir(parents=True, exist_ok=True)
    corpus = render_corpus(
        0, recipe.scenes, recipe.tower, processes=processes, cache=work / "corpus.npz"
    )
    torch.manual_seed(recipe.seed)
    adapter = Adapter(recipe.tower, decoder.config.hidden_size)
    _see(adapter, corpus, work / "perception.safetensors", recipe, report)
    trainer = Trainer(adapter, FrozenDecoder(decoder, compiled=compiled), tokenizer, corpus, recipe)
    resumable = work / "language.pt"
    if resumable.exists():
        trainer.resume(resumable)
    else:
        sample = torch.from_numpy(corpus.pixels[:64])
        with torch.no_grad():
            patches = patch_outputs(adapter.tower, sample).flatten(0, 1)
        adapter.projector.scale_to(patches, decoder.get_input_embeddings().weight)
    _speak(trainer, recipe, resumable, report)
    return adapter


def _see(adapter: Adapter, corpus: Corpus, path: Path, recipe: Recipe, report: Report) -> None:
    if path.exists():
        adapter.load_checkpoint(load_file(path))
        return
    train_perception(adapter.tower, corpus, recipe, report)
    save_file(adapter.checkpoint(), path)


def _speak(trainer: Trainer, recipe: Recipe, resumable: Path, report: Report) -> None:
    saved = time.monotonic()
    losses: list[float] = []
    while trainer.step < recipe.language_steps:
        losses.append(trainer.train_step())
        if trainer.step % 20 == 0:
            report({"step": float(trainer.step), "loss": float(np.mean(losses))})
            losses.clear()
        if time.monotonic() - saved > _SAVE_EVERY_SECONDS:
            trainer.save(resumable)
            saved = time.monotonic()
    trainer.save(resumable)


def write_adapter(adapter: Adapter, recipe: Recipe, folder: Path, facts: dict[str, Any]) -> None:
    """Writes `adapter.safetensors` (bfloat16) and `adapter.json` to a folder.

    Args:
        adapter: The trained adapter.
        recipe: What it was trained by.
        folder: Where to; made if needed.
        facts: Further JSON-ready facts, such as the training time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(adapter.checkpoint(torch.bfloat16), folder / "adapter.safetensors", {"format": "pt"})
    config = {
        "vision_config": adapter.tower.config.to_diff_dict(),
        "recipe": recipe.as_json(),
        **facts,
    }
    for volatile in ("transformers_version", "dtype", "architectures"):
        config["vision_config"].pop(volatile, None)
    (folder / "adapter.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _file_reporter(path: Path) -> Callable[[dict[str, float]], None]:
    started = time.monotonic()

    def report(figures: dict[str, float]) -> None:
        line = {"seconds": round(time.monotonic() - started, 1), **figures}
        with path.open("a") as log:
            log.write(json.dumps(line) + "\n")

    return report


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: trains and writes the adapter."""
    parser = argparse.ArgumentParser(prog="python -m lvlm_audit.demo.training", description=__doc__)
    parser.add_argument("--decoder", type=Path, help="decoder folder (default: fetched, pinned)")
    parser.add_argument("--work", type=Path, default=Path("build/demo-training"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "adapter")
    parser.add_argument("--steps", type=int, default=Recipe().language_steps)
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args(arguments)

    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    recipe = replace(Recipe(), seed=options.seed, language_steps=options.steps)
    started = time.monotonic()
    if options.decoder is None:
        source = fetch_decoder(options.work / "decoder")
    else:
        source = DecoderSource("folder", str(options.decoder), options.decoder, None, "")
    decoder, tokenizer = load_decoder(source)
    adapter = train(
        decoder,
        tokenizer,
        options.work,
        recipe,
        _file_reporter(options.work / "training.jsonl"),
    )
    minutes = round((time.monotonic() - started) / 60.0, 1)
    write_adapter(adapter, recipe, options.out, {"minutes_of_last_run": minutes})


if __name__ == "__main__":
    main()
