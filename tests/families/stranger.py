"""A stranger: an architecture of our own, unlike Llama in its names, that transformers does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

DIM, WORDS, HEADS = 32, 211, 4


class StrangerConfig(PretrainedConfig):
    """All sizes under names of its own.

    Attributes:
        steps: blocks.
        keep: how they are kept: "list", "dict", "sequence", "numbered", "nested", "one" (applied over
            and over), "same" (a list of one and the same).
        hands: what a block hands on: "tensor", "tuple", "dict" or "record".
        norm: whether there is a final norm.
        loud: logits are cap * tanh(loud * head / cap).
        top: cap, or 0.
    """

    model_type = "stranger"
    attribute_map = {"num_hidden_layers": "steps"}  # noqa: RUF012 -- as generate() asks for it

    def __init__(
        self,
        steps: int = 5,
        keep: str = "list",
        hands: str = "tensor",
        norm: bool = True,
        loud: float = 1.0,
        top: float = 0.0,
        bias: bool = False,
        spare: int = 0,
        **more: Any,
    ) -> None:
        self.steps, self.keep, self.hands, self.norm = steps, keep, hands, norm
        self.loud, self.top, self.bias, self.spare = loud, top, bias, spare
        super().__init__(**more)


@dataclass
class Record:
    """What a block may hand on."""

    stream: Tensor
    note: str = ""


class Step(nn.Module):
    """Attention and a gate beside each other, both read off the same normed stream."""

    def __init__(self, place: int, hands: str) -> None:
        super().__init__()
        self.place, self.hands = place, hands
        self.scale = nn.LayerNorm(DIM)
        self.look, self.join, self.gate = (nn.Linear(DIM, n) for n in (3 * DIM, DIM, DIM))

    def forward(self, stream: Tensor, memory: Any = None) -> Any:
        x = self.scale(stream)
        rows, n, _ = x.shape
        q, k, v = self.look(x).view(rows, n, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        if memory is not None:
            k, v = memory.update(k, v, self.place)
        before = torch.ones(n, k.shape[2], dtype=torch.bool).tril(k.shape[2] - n)
        seen = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=before)
        stream = (
            stream + self.join(seen.transpose(1, 2).reshape(rows, n, DIM)) + self.gate(x).tanh()
        )
        if self.hands == "tuple":
            return stream, None
        if self.hands == "dict":
            return {"stream": stream, "note": ""}
        return Record(stream) if self.hands == "record" else stream


class Stairs(nn.Module):
    """The steps, kept in one way or another."""

    def __init__(self, config: StrangerConfig) -> None:
        super().__init__()
        made = [Step(i, config.hands) for i in range(config.steps)]
        self.keep, self.count = config.keep, config.steps
        if config.keep == "dict":
            self.flight = nn.ModuleDict({f"s{i}": step for i, step in enumerate(made)})
        elif config.keep == "sequence":
            self.flight = nn.Sequential(*made)
        elif config.keep == "numbered":
            for i, step in enumerate(made):
                setattr(self, f"step{i}", step)
        elif config.keep == "nested":
            self.flight = nn.ModuleList([nn.ModuleList(made)])
        elif config.keep == "one":
            self.flight = made[0]
        else:
            self.flight = nn.ModuleList([made[0]] * config.steps if config.keep == "same" else made)

    def steps(self) -> list[Any]:
        if self.keep == "dict":
            return list(self.flight.values())
        if self.keep == "numbered":
            return [getattr(self, f"step{i}") for i in range(self.count)]
        if self.keep == "one":
            return [self.flight] * self.count
        return list(self.flight[0]) if self.keep == "nested" else list(self.flight)


class StrangerForSaying(PreTrainedModel, GenerationMixin):
    """The whole: words, steps, perhaps a norm, and a head."""

    config_class = StrangerConfig
    _no_split_modules = ("Step",)

    def __init__(self, config: StrangerConfig) -> None:
        super().__init__(config)
        self.words = nn.Embedding(WORDS, DIM)
        self.stairs = Stairs(config)
        self.last = nn.LayerNorm(DIM) if config.norm else nn.Identity()
        self.mouth = nn.Linear(DIM, WORDS + config.spare, bias=config.bias)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def get_output_embeddings(self) -> nn.Module:
        return self.mouth

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool = True,
        output_hidden_states: bool = False,
        return_dict: bool = True,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        memory = DynamicCache() if use_cache and past_key_values is None else past_key_values
        stream = self.words(input_ids)
        states = [stream]
        for step in self.stairs.steps():
            made = step(stream, memory)
            stream = {
                "tuple": lambda made=made: made[0],
                "dict": lambda made=made: made["stream"],
                "record": lambda made=made: made.stream,
            }.get(self.config.hands, lambda made=made: made)()
            states.append(stream)
        logits = self.mouth(self.last(stream))[..., :WORDS] * self.config.loud
        if self.config.top:
            logits = self.config.top * torch.tanh(logits / self.config.top)
        return CausalLMOutputWithPast(
            logits=logits,
            past_key_values=memory,
            hidden_states=tuple(states) if output_hidden_states else None,
        )
