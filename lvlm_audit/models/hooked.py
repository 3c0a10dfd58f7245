"""HookedModel: the one object that everything which needs weights goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from lvlm_audit.errors import CannotRun, LvlmAuditError, UnsupportedModel
from lvlm_audit.models.adapters import adapted
from lvlm_audit.models.anatomy import Anatomy, dissect
from lvlm_audit.models.asking import (
    Inputs,
    Prompt,
    build_inputs,
    check_asks,
    extend,
    prompts_of,
    tokenizer_of,
)
from lvlm_audit.models.explaining import first_line
from lvlm_audit.models.finetuned import heads_merged
from lvlm_audit.models.fitting import bounds_of, misplaced, words_without_row
from lvlm_audit.models.hooks import Receive, hooks_restored, tapped
from lvlm_audit.models.images import ImagePlaces, find_images
from lvlm_audit.models.proof import Proof, prove
from lvlm_audit.models.structure import check_generates
from lvlm_audit.models.templates import check_template
from lvlm_audit.models.tokens import end_ids, image_feature_id, image_token_ids, start_id
from lvlm_audit.models.unwrapping import unwrapped
from lvlm_audit.notes import Note
from lvlm_audit.probes.probe import ImageSource, Probe

_SAMPLE_SIDE = 64
"""Pixels of the image that a model is proved on: small, so that any-resolution models stay quick."""


class HookedModel:
    """A vision-language model whose inside can be read. A context manager.

    Opening proves that the lens reads what the model says (`models.proof`); afterwards, and after
    every recording, the model carries no hook that it did not carry before.

    Attributes:
        model: the transformers model, in evaluation mode.
        processor: its processor, or None if it is asked prepared probes only.
        tokenizer: the processor's tokenizer, or None.
        name: as messages and reports call it.
        anatomy: where blocks, final norm and head are.
        proofs: what was compared at opening.
        images: how pictures enter the decoder; None until inputs with a picture were seen.
        image_token_ids: ids that stand for image positions in a prompt, marks around them included.
        image_feature_id: the one of them that stands for a feature of an image, if the model names it.
        special_ids: control tokens, the image's among them.
        end_ids: tokens that end an answer.

    Example:
        >>> hooked.blocks
        10
        >>> len(hooked.proofs)
        2
    """

    def __init__(
        self,
        model: Any,
        processor: Any = None,
        *,
        name: str | None = None,
        sample: Probe | None = None,
        notes: Iterable[Note] = (),
    ) -> None:
        self.model = model = unwrapped(model)
        check_asks(processor)
        self.processor = processor
        self.tokenizer = tokenizer_of(processor)
        self.name = name or getattr(model, "name_or_path", "") or type(model).__name__
        self.notes: tuple[Note, ...] = tuple(notes)
        """What of the checkpoint is not used, or used otherwise than it was given."""
        self.sample = sample
        """The prepared probe that it was proved on, if one was given."""
        # Each part for itself: a frozen tower may be in evaluation mode while the rest trains.
        self._training = [(module, module.training) for module in model.modules()]
        model.eval()
        self._restore_head: Callable[[], None] = lambda: None
        self.images: ImagePlaces | None = None
        try:
            check_generates(model)
            # An encoder-decoder's answer is not the end of its prompt: it is said step by step.
            self.replays_in_one_pass: bool | None = None if self.start_id is None else False
            """Found out by `traces.replaying` on first use: does one pass give what generation gave?"""
            self._restore_head = heads_merged(model)
            self.image_token_ids = image_token_ids(model, processor)
            self.image_feature_id = image_feature_id(model)
            self.end_ids = end_ids(model, self.tokenizer)
            known = set(getattr(self.tokenizer, "all_special_ids", None) or ())
            self.special_ids = frozenset(known | self.image_token_ids | self.end_ids)
            self._bounds = bounds_of(self.name, model, self.tokenizer, self.image_token_ids)
            if processor is not None:
                self.notes += check_template(self.name, processor, self.tokenizer)
                self.notes += words_without_row(self._bounds, self.tokenizer)
            samples = {asked: _spoken(inputs) for asked, inputs in self._samples().items()}
            first = next(iter(samples.values()))
            self.anatomy: Anatomy = adapted(model, first) or dissect(model, first)
            self.proofs: tuple[Proof, ...] = self._proved(samples)
            self._image_places(first)
        except CannotRun as error:
            self.close()
            said = first_line(error.__cause__ or error)
            why = misplaced(model, processor, first, said)
            if not why:
                raise
            raise UnsupportedModel(f"{self.name}: {why}. It said: {said}") from error
        except LvlmAuditError:
            self.close()
            raise

    @property
    def blocks(self) -> int:
        """L, decoder blocks."""
        return len(self.anatomy.blocks)

    @property
    def width(self) -> int:
        """d, of the residual stream."""
        return self.anatomy.width

    @property
    def vocabulary(self) -> int:
        """V, rows of the head."""
        return self.anatomy.vocabulary

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights; the lens computes in float32 in any case."""
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def device(self) -> torch.device:
        """Where inputs have to go."""
        # The first weights of a spread model may be out of memory, on no device at all.
        here = (p.device for p in self.model.parameters() if not p.is_meta)
        return next(here, torch.device("cpu"))

    def inputs(
        self, probes: Sequence[Probe], continuations: Sequence[Sequence[int]] | None = None
    ) -> Inputs:
        """Left-padded inputs for probes, each with its continuation's ids appended.

        Raises:
            ProbeError: an image cannot be read, or the processor refuses a probe.
            UnsupportedModel: a probe is not prepared, and there is no processor, or the model reads
                no question.
        """
        self._check_is_asked(probes)
        made = build_inputs(
            self.processor,
            probes,
            device=self.device,
            dtype=self.dtype,
            continuations=continuations,
            image_id=self.image_feature_id,
            bounds=self._bounds,
        )
        return self._started(made)

    def _check_is_asked(self, probes: Sequence[Probe]) -> None:
        """An encoder of pictures alone (TrOCR, Donut) would answer without the question."""
        reads = getattr(self.model, "main_input_name", "input_ids")
        if self.start_id is None or reads == "input_ids" or probes[0].tensors is not None:
            return
        raise UnsupportedModel(
            f"{self.name} takes no tokens of the question of probe {probes[0].id!r}: its encoder reads "
            f"{reads} alone. Audit a model that is asked in words, or give this one Probe.prepared("
            f"{{{reads!r}: ..., 'decoder_input_ids': ...}}), also as HookedModel(..., sample=...)."
        )

    @property
    def start_id(self) -> int | None:
        """Token that an encoder-decoder's answer starts from; None for other models."""
        return start_id(self.model)

    def extended(self, inputs: Inputs, continuations: Sequence[Sequence[int]]) -> Inputs:
        """The same inputs with ids appended to each row, as `inputs(probes, continuations)` makes them."""
        return extend(inputs, continuations, self.padding_id)

    @property
    def padding_id(self) -> int:
        """What stands where nothing is read; the tokenizer's own where the model has a row for it."""
        return self._bounds.padding

    def prompts(self, inputs: Inputs) -> list[Prompt]:
        """How many positions each row's prompt has, and how many of them are the image's."""
        return prompts_of(inputs, self.image_positions(inputs))

    def image_positions(self, inputs: Inputs) -> Tensor | None:
        """Which positions of prompts hold an image feature, padding never.

        Args:
            inputs: as `inputs` makes them, with continuations or without.

        Returns:
            Boolean [B, n], as `input_ids`; None where images hold no positions of the prompt (they enter
            through an encoder, through cross-attention, or in front of the prompt) and where it is not
            known. A prompt without an image holds none of them.
        """
        places = self._image_places(inputs)
        return None if places is None else places.of(inputs)

    def _image_places(self, inputs: Inputs) -> ImagePlaces | None:
        """Found once, on the first inputs that show a picture; until then as the configuration says."""
        if self.images is None:
            self.images = find_images(
                self.model,
                inputs,
                self.anatomy.blocks,
                named=self.image_feature_id,
                encoder=self.anatomy.encoder_decoder,
            )
        if self.images is not None or self.image_feature_id is None:
            return self.images
        return ImagePlaces(frozenset([self.image_feature_id]))

    def tapped(self, receive: Receive) -> AbstractContextManager[None]:
        """While entered, `receive(j, state)` is called with every state of every forward pass.

        `state` is [batch, positions, d], alive only during the call. See `models.hooks.tapped`.
        """
        return tapped(self.anatomy.blocks, receive, self.anatomy.streams)

    def untouched(self) -> AbstractContextManager[None]:
        """On leaving, all hooks are as they were on entering, transformers' own included."""
        module: nn.Module = self.model
        return hooks_restored(module)

    def close(self) -> None:
        """Gives the model back as it came."""
        self._restore_head()
        self._restore_head = lambda: None
        for module, training in self._training:
            module.training = training

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"HookedModel({self.name!r}: {self.anatomy.describe()}; {self.dtype}, {self.device})"

    def _proved(self, samples: Mapping[str, Inputs]) -> tuple[Proof, ...]:
        proofs: list[Proof] = []
        for asked, inputs in samples.items():
            try:
                proofs.append(
                    prove(self.model, self.anatomy, inputs, asked=asked, start_id=self.start_id)
                )
            except CannotRun:
                # Some models take no text without an image; the first sample must do.
                if not proofs:
                    raise
        return tuple(proofs)

    def _samples(self) -> dict[str, Inputs]:
        """Inputs to be proved on, by what they hold."""
        samples: dict[str, Inputs] = {}
        if self.sample is not None:
            return {"the sample given": self.inputs([self.sample])}
        if self.tokenizer is not None and self.tokenizer is not self.processor:
            probe = Probe("sample", "What is shown?", _sample_image(), cluster="sample")
            samples["image and text"] = self.inputs([probe])
        if self.tokenizer is not None:
            # Short and without an image: a model that mistakes a prefix for the whole shows it here.
            ids = self.tokenizer("What is shown?", return_tensors="pt")["input_ids"]
            if ids.shape[1] == 0:
                raise UnsupportedModel(
                    f"the tokenizer of {self.name} ({type(self.tokenizer).__name__}) makes no tokens of "
                    f'"What is shown?": its vocabulary is empty. Save the tokenizer into the '
                    f"checkpoint's folder (tokenizer.save_pretrained)."
                )
        else:
            ids = self._plain_ids()
        samples.setdefault("text", self._text(ids))
        return samples

    def _text(self, ids: Tensor) -> Inputs:
        ids = ids.to(self.device)
        return self._started({"input_ids": ids, "attention_mask": torch.ones_like(ids)})

    def _started(self, inputs: Inputs) -> Inputs:
        """With the token that an encoder-decoder's answer starts from."""
        start = self.start_id
        if start is None or "decoder_input_ids" in inputs:
            return inputs
        rows = inputs["input_ids"].shape[0]
        return {
            **inputs,
            "decoder_input_ids": torch.full((rows, 1), start, device=self.device),
        }

    def _plain_ids(self) -> Tensor:
        """A few ids that are neither images nor control tokens, for a model without tokenizer."""
        rows = self.model.get_input_embeddings().weight.shape[0]
        usable = [i for i in range(min(rows, 512)) if i not in self.special_ids][-6:]
        if not usable:
            raise UnsupportedModel(f"{self.name} has no ordinary token among its first {rows}.")
        return torch.tensor([usable])


def _sample_image() -> ImageSource:
    import io

    from PIL import Image

    # A gradient: every patch differs, so that no two image tokens are alike.
    image = Image.linear_gradient("L").resize((_SAMPLE_SIDE, _SAMPLE_SIDE)).convert("RGB")
    data = io.BytesIO()
    image.save(data, "PNG")
    return ImageSource("a drawn gradient", data=data.getvalue())


def _spoken(inputs: Inputs) -> Inputs:
    """With an answer of several tokens where a decoder of its own gives it; any tokens will do.

    On a single position a norm cannot be told from a factor.
    """
    if "decoder_input_ids" not in inputs:
        return inputs
    start = inputs["decoder_input_ids"]
    said = torch.tensor([[3, 4, 5]], device=start.device).expand(len(start), -1)
    return {**inputs, "decoder_input_ids": torch.cat([start, said], dim=1)}
