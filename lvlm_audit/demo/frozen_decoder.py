"""The frozen decoder's forward pass, lean enough to train through on two cores.

Same arithmetic as transformers' Llama, with two differences in form: the query/key/value and the
gate/up matrices are joined to one product each, and a block is one function over its weights so
that `torch.compile` compiles it once for all thirty blocks. Only the input's gradient is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class _Block:
    """Weights of one decoder block, joined: (outputs, inputs) as in `torch.nn.Linear`."""

    norm_in: Tensor
    qkv: Tensor
    out: Tensor
    norm_mlp: Tensor
    gate_up: Tensor
    down: Tensor


class FrozenDecoder:
    """A Llama decoder without trainable parameters.

    Attributes:
        embeddings: Token embeddings, (tokens, width).
    """

    def __init__(self, model: Any, *, compiled: bool = True) -> None:
        """Takes a `LlamaForCausalLM`'s weights; the model may be discarded afterwards.

        Args:
            model: The decoder, in the dtype to compute in.
            compiled: Compile the block and the loss with `torch.compile` (needs a C++ compiler).
        """
        config = model.config
        self._epsilon = float(config.rms_norm_eps)
        self._heads = int(config.num_attention_heads)
        self._groups = int(config.num_key_value_heads)
        self._head_size = int(config.head_dim)
        self._theta = float(config.rope_parameters["rope_theta"])
        self.embeddings: Tensor = model.get_input_embeddings().weight.detach()
        self._head: Tensor = model.get_output_embeddings().weight.detach()
        self._norm: Tensor = model.model.norm.weight.detach()
        self._blocks = [_take(layer) for layer in model.model.layers]
        self._block: Callable[..., Tensor] = self._run_block
        self._entropy: Callable[..., Tensor] = self._cross_entropy
        if compiled:
            self._block = torch.compile(self._run_block, dynamic=False)
            self._entropy = torch.compile(self._cross_entropy, dynamic=False)

    def loss(
        self,
        embedded: Tensor,
        positions: Tensor,
        visible: Tensor,
        sources: Tensor,
        targets: Tensor,
        padded: int,
    ) -> Tensor:
        """Mean cross-entropy at the predicting positions, in nats per token.

        Args:
            embedded: Input embeddings, (rows, length, width).
            positions: Position ids, (rows, length).
            visible: Boolean attention mask, (rows, 1, length, length).
            sources: Flat indices of the predicting positions, (targets,).
            targets: Token ids, (targets,).
            padded: Fixed number of targets to pad to, so that compilation sees one shape.

        Returns:
            A scalar, float32.
        """
        cosine, sine = self._rotations(positions, embedded.dtype)
        hidden = embedded
        for block in self._blocks:
            hidden = self._block(
                hidden, block.norm_in, block.qkv, block.out, block.norm_mlp, block.gate_up,
                block.down, cosine, sine, visible,
            )  # fmt: skip
        spare = padded - len(targets)
        if spare < 0:
            raise ValueError(f"{len(targets)} targets exceed the padded number {padded}")
        rows = functional.pad(sources, (0, spare))
        wanted = functional.pad(targets, (0, spare), value=-100)
        return self._entropy(hidden.flatten(0, 1)[rows], wanted)

    def _rotations(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        half = torch.arange(0, self._head_size, 2, dtype=torch.float32) / self._head_size
        angles = positions[:, None, :, None].float() * (self._theta**-half)
        angles = torch.cat([angles, angles], dim=-1)
        return angles.cos().to(dtype), angles.sin().to(dtype)

    def _rms(self, hidden: Tensor, weight: Tensor) -> Tensor:
        wide = hidden.float()
        scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self._epsilon)
        return weight * scaled.to(hidden.dtype)

    def _run_block(
        self,
        hidden: Tensor,
        norm_in: Tensor,
        qkv: Tensor,
        out: Tensor,
        norm_mlp: Tensor,
        gate_up: Tensor,
        down: Tensor,
        cosine: Tensor,
        sine: Tensor,
        visible: Tensor,
    ) -> Tensor:
        joined = functional.linear(self._rms(hidden, norm_in), qkv)
        joined = joined.unflatten(-1, (-1, self._head_size)).transpose(1, 2)
        query, key, value = joined.split([self._heads, self._groups, self._groups], dim=1)
        repeat = self._heads // self._groups
        query = _rotate(query, cosine, sine) * self._head_size**-0.5
        key = _rotate(key, cosine, sine).repeat_interleave(repeat, dim=1)
        # Spelled out: on CPU the fused attention's backward in bfloat16 is several times slower.
        scores = (query @ key.transpose(-1, -2)).float().masked_fill(~visible, float("-inf"))
        attended = scores.softmax(-1).to(value.dtype) @ value.repeat_interleave(repeat, dim=1)
        hidden = hidden + functional.linear(attended.transpose(1, 2).flatten(2), out)
        gate, up = functional.linear(self._rms(hidden, norm_mlp), gate_up).chunk(2, dim=-1)
        return hidden + functional.linear(functional.silu(gate) * up, down)

    def _cross_entropy(self, hidden: Tensor, wanted: Tensor) -> Tensor:
        logits = functional.linear(self._rms(hidden, self._norm), self._head)
        return functional.cross_entropy(logits.float(), wanted, ignore_index=-100)


def _take(layer: Any) -> _Block:
    attention, mlp = layer.self_attn, layer.mlp
    joined = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
    return _Block(
        norm_in=layer.input_layernorm.weight.detach(),
        qkv=torch.cat([weight.detach() for weight in joined]),
        out=attention.o_proj.weight.detach(),
        norm_mlp=layer.post_attention_layernorm.weight.detach(),
        gate_up=torch.cat([mlp.gate_proj.weight.detach(), mlp.up_proj.weight.detach()]),
        down=mlp.down_proj.weight.detach(),
    )


def _rotate(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = heads.chunk(2, dim=-1)
    return heads * cosine + torch.cat([-second, first], dim=-1) * sine
