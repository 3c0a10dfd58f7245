"""The rest of a decoder: its own code after the last block, where that is more than a chain of modules.

Some decoders compute between their last block and their head (Gemma 3n rescales and averages streams).
That code is not copied here: the decoder is run as it is, but with every block replaced by a stub that
hands on the states in question. What it gives depends on them alone if it is to pass the proof.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lvlm_audit.models.hooks import without_hooks
from lvlm_audit.models.streams import Streams, find_streams


class Rest(nn.Module):
    """Maps states to what the head is shown: rows [1, n, d], or [streams, 1, n, d], to [1, n, d].

    Args:
        decoder: the module that runs the blocks.
        blocks: its blocks; the copy that is kept holds none of them, and no embeddings.
        streams: how states lie.
        width: of the embeddings that the decoder starts from.
    """

    def __init__(
        self, decoder: nn.Module, blocks: Sequence[nn.Module], streams: Streams, width: int
    ) -> None:
        super().__init__()
        # A memo that knows these already: the copy refers to what stands for them.
        memo: dict[int, Any] = {id(block): _Stub(block) for block in blocks}
        self._stubs: list[_Stub] = list(memo.values())
        memo |= {id(m): nn.Identity() for m in decoder.modules() if isinstance(m, nn.Embedding)}
        self._decoder = without_hooks(copy.deepcopy(decoder, memo))
        self._rows = -4 if streams.count > 1 and not streams.first else -3
        self._width = width

    def forward(self, states: Tensor) -> Tensor:
        # Each row becomes a text of one token, so that nothing can depend on its neighbours.
        each = states.transpose(self._rows, self._rows + 1)
        for stub in self._stubs:
            stub.states = each
        start = torch.zeros(
            each.shape[self._rows], 1, self._width, dtype=states.dtype, device=states.device
        )
        out = self._decoder(inputs_embeds=start, use_cache=False, return_dict=True)
        last: Tensor = out.last_hidden_state
        return last.transpose(0, 1)


class _Stub(nn.Module):
    """Takes the place of a block: has its settings, which decoders ask for, and none of its weights."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        plain = (str, int, float, bool)
        self.__dict__ |= {key: v for key, v in vars(block).items() if isinstance(v, plain)}
        self.states: Tensor | None = None

    def forward(self, *_: Any, **__: Any) -> Tensor | None:
        return self.states


class Around(nn.Module):
    """A head's own module as far as its projection: maps what it is shown to what the projection is.

    RoBERTa's, say, has an activation between its layers that is no module.

    Args:
        holder: the module that runs the projection.
        head: the projection.
    """

    def __init__(self, holder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self._shown = _Shown()
        self._holder = without_hooks(copy.deepcopy(holder, {id(head): self._shown}))

    def forward(self, states: Tensor) -> Tensor:
        self._holder(states)
        shown, self._shown.states = self._shown.states, None
        assert shown is not None
        return shown


class _Shown(nn.Module):
    """Takes the place of a projection and keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.states: Tensor | None = None

    def forward(self, states: Tensor, *_: Any, **__: Any) -> Tensor:
        self.states = states
        return states


def find_around(holder: nn.Module, head: nn.Module, states: Tensor, goal: Tensor) -> Around | None:
    """The code that leads from a head's input to its projection's, if it can be run by itself.

    Args:
        holder: a module that runs the head.
        head: the projection.
        states: what `holder` was shown.
        goal: what the projection was shown.
    """
    try:
        around = Around(holder, head)
        with torch.inference_mode():
            made = around(states)
    # Whatever a stranger's module objects to when its projection is taken out.
    except Exception:
        return None
    return around if _close(made, goal) else None


def _close(made: Tensor, goal: Tensor) -> bool:
    room = 64 * torch.finfo(goal.dtype).eps * float(goal.float().abs().max())
    return made.shape == goal.shape and float((made - goal).float().abs().max()) <= room


def find_rest(
    model: nn.Module, blocks: Sequence[nn.Module], state: Tensor, goal: Tensor
) -> Rest | None:
    """The code that leads from the last state to the head's input, if it can be run by itself.

    Args:
        model: the whole model.
        blocks: its decoder's.
        state: what the last block gave, for one row.
        goal: what the head was shown, [1, n or fewer, d].
    """
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and blocks[0] in m]
    decoder = next(
        (m for m in model.modules() if any(child in lists for child in m.children())), None
    )
    if decoder is None or goal.ndim != 3:
        return None
    try:
        streams = find_streams(type(model).__name__, tuple(state.shape))
        rest = Rest(decoder, blocks, streams, goal.shape[-1])
        with torch.inference_mode():
            made = rest(state)[:, -goal.shape[1] :]
    # Whatever a stranger's decoder objects to when it is run without blocks: then it cannot be.
    except Exception:
        return None
    return rest if _close(made, goal) else None
