"""Anatomy: where a model keeps its decoder blocks, final norm and head, and what follows the head.

Found by structure and by execution, for families nobody has heard of: there is no table of
architectures here. `models.structure` finds blocks and head, `models.chain` what lies between them,
`models.after_head` what is done to the head's output, `models.streams` how residual streams lie in a
block's output. `models.proof` then holds the result against the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.after_head import find_after_head
from lvlm_audit.models.chain import find_chain
from lvlm_audit.models.kinds import kinds_of
from lvlm_audit.models.quantised import in_full, is_quantised
from lvlm_audit.models.rest import Around, Rest
from lvlm_audit.models.streams import ONE_STREAM, Streams, find_streams
from lvlm_audit.models.structure import (
    calls_of,
    class_name,
    find_blocks,
    find_head,
    is_encoder_decoder,
)

_OWN_CODE = "the decoder's own code after its blocks"


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """The parts of a model that the lens reads through.

    Attributes:
        blocks: the L decoder blocks in order.
        norms: what runs between the last block and the head, in order: the final norm, normally.
        head: output embeddings; its `.weight` is [V or more, d].
        width: d, of what the head reads.
        logit_scale: factor on the head's output (Cohere's logit_scale, Granite's 1 / logits_scaling).
        soft_cap: c of c * tanh(logits / c) (Gemma), or None.
        tied: the head shares its weight with the input embeddings.
        paths: module paths of blocks (the list), norms and head, for the report.
        words: V, words that the model gives logits of; None: as many as the head has rows.
        input_scale: factor on the head's input (T5's d ** -0.5).
        barred: ids whose logits the model sets to minus infinity (Chameleon's image tokens).
        state_width: of a state: streams * d; more than d if something joins streams before the head.
        streams: how residual streams lie in a block's output. A state is all of them, side by side.
        encoder_decoder: prompt and image go into an encoder; states are the decoder's.
        joined: blocks before which the model adds something to the stream (image features, say): there a
            state is not what the next block was shown.
        adapter: name of the adapter that found this (`models.adapters`), or None.
    """

    blocks: tuple[nn.Module, ...]
    norms: tuple[nn.Module, ...]
    head: nn.Module
    width: int
    logit_scale: float
    soft_cap: float | None
    tied: bool
    paths: Mapping[str, str] = field(default_factory=dict)
    words: int | None = None
    input_scale: float = 1.0
    barred: tuple[int, ...] = ()
    state_width: int = 0
    streams: Streams = ONE_STREAM
    encoder_decoder: bool = False
    joined: tuple[int, ...] = ()
    adapter: str | None = None

    @property
    def states(self) -> int:
        """S = L + 1."""
        return len(self.blocks) + 1

    @property
    def weight(self) -> Tensor:
        """[V, d] of the head; a quantised one's numbers in full, made anew each time."""
        weight = in_full(self._stored)
        assert weight is not None
        return weight[: self.words]

    @property
    def vocabulary(self) -> int:
        """V, words that the model gives logits of."""
        rows = int(self._stored.shape[0])
        return rows if self.words is None else min(rows, self.words)

    @property
    def head_quantised(self) -> bool:
        """The head's weights are stored as something else than the numbers that they stand for."""
        return is_quantised(self._stored)

    @property
    def _stored(self) -> Tensor:
        weight = self.head.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def bias(self) -> Tensor | None:
        """[V] of the head, if it has one."""
        bias = getattr(self.head, "bias", None)
        return bias[: self.words] if isinstance(bias, Tensor) else None

    def deviations(self) -> tuple[str, ...]:
        """What is unusual about this model, and what a state means for it; a phrase each."""
        found = []
        if self.adapter is not None:
            found.append(f"found by the adapter {self.adapter}")
        if self.encoder_decoder:
            found.append("image and prompt go into an encoder; states are the decoder's")
        if self.streams.count > 1:
            found.append(
                f"a state is {self.streams.count} residual streams side by side, joined before the head"
            )
        elif self.state_width not in (0, self.width):
            found.append(
                f"a state is {self.state_width} wide, brought to {self.width} before the head"
            )
        if kinds := kinds_of(self.blocks):
            found.append(kinds)
        if self.joined:
            where = f"block{'s' if len(self.joined) > 1 else ''} {', '.join(map(str, self.joined))}"
            found.append(f"something is added to the stream before {where}")
        if any(isinstance(norm, (Around, Rest)) for norm in self.norms):
            found.append("more than modules between the last block and the head")
        if not self.norms:
            found.append("no final norm")
        elif len(self.norms) > 1:
            found.append(f"{len(self.norms)} modules between the last block and the head")
        if self.input_scale != 1.0:
            found.append(f"head's input times {self.input_scale:.6g}")
        if self.bias is not None:
            found.append("head with bias")
        if self.logit_scale != 1.0:
            found.append(f"logits times {self.logit_scale:.6g}")
        if self.soft_cap is not None:
            found.append(f"logits soft-capped at {self.soft_cap:g}")
        if self.barred:
            found.append(f"{len(self.barred)} words barred")
        if self.head_quantised:
            found.append(f"head quantised ({type(self._stored).__name__})")
        if len(self._stored) != self.vocabulary:
            found.append(f"head's last {len(self._stored) - self.vocabulary} rows unused")
        return tuple(found)

    def describe(self) -> str:
        """One line for a report: what was found, and where."""
        return "; ".join(
            [
                f"{len(self.blocks)} blocks at {self.paths.get('blocks', '?')}",
                self.paths.get("norm") or "nothing before the head",
                f"{'tied' if self.tied else 'untied'} head {self.paths.get('head', '?')}"
                f" ({self.vocabulary} x {self.width})",
                *self.deviations(),
            ]
        )


def dissect(model: Any, inputs: Mapping[str, Any]) -> Anatomy:
    """Finds a model's anatomy, running it three times on `inputs`.

    Args:
        model: a transformers model with a causal decoder and a language-model head.
        inputs: a short forward pass's keyword arguments, one row.

    Raises:
        ModelBroken: the model computes NaN.
        UnsupportedModel: a part is not where any causal decoder keeps it; the message says what was
            seen instead.
    """
    names = {id(module): name for name, module in model.named_modules()}
    calls = calls_of(model, inputs)
    head = find_head(model, calls)
    blocks = find_blocks(model, calls)
    chain = find_chain(model, inputs, blocks, head, names)
    weight = head.weight
    assert isinstance(weight, Tensor)
    if calls.vocabulary > len(weight):
        raise UnsupportedModel(
            f"{class_name(model)} gives logits of {calls.vocabulary} words, but its head has "
            f"{len(weight)} rows: the others come from somewhere else."
        )
    after = find_after_head(model, inputs, head, chain.largest)
    streams = find_streams(class_name(model), chain.shape)
    first = names[id(blocks[0])]
    return Anatomy(
        blocks=blocks,
        norms=chain.modules,
        head=head,
        width=int(weight.shape[1]),
        logit_scale=after.scale,
        soft_cap=after.cap,
        tied=_tied(model, weight),
        paths={
            "blocks": first.rpartition(".")[0] or first,
            "norm": ", ".join(names.get(id(norm), _OWN_CODE) for norm in chain.modules),
            "head": names.get(id(head), "head"),
        },
        words=calls.vocabulary,
        input_scale=chain.scale,
        barred=after.barred,
        state_width=chain.shape[-1] * streams.count,
        streams=streams,
        joined=chain.joined,
        encoder_decoder=is_encoder_decoder(model),
    )


def _tied(model: Any, weight: Tensor) -> bool:
    try:
        embeddings = model.get_input_embeddings()
    except NotImplementedError:
        return False
    own = getattr(embeddings, "weight", None)
    if own is weight:
        return True
    # A quantised tensor is made of several and has no place in memory of its own.
    if not isinstance(own, Tensor) or is_quantised(own) or is_quantised(weight):
        return False
    return own.data_ptr() == weight.data_ptr()
