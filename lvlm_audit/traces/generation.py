"""Generation under hooks: the model's own `generate()`, watched at the predicting position.

The model prepares its inputs, positions and cache itself; nothing here knows a family. What is kept
of each step is one position per row, never the prompt's states and never logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.asking import Inputs
from lvlm_audit.models.greedy import greedy
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import Receive

OnStep = Callable[[Tensor, Tensor], None]
"""Called after each step with states [B, S, d] of the predicting position and emitted ids [B]."""

Rescore = Callable[[Tensor, Tensor], Tensor]
"""Called at each step, before a token is chosen, with states [B, S, d] of the predicting position and the
model's own logits [B, V], float32; gives back scores [B, V], of which the greatest is emitted."""


def generate(
    hooked: HookedModel,
    inputs: Inputs,
    *,
    max_new_tokens: int,
    on_step: OnStep,
    rescore: Rescore | None = None,
) -> None:
    """Greedy generation of a left-padded batch.

    A row that has ended goes on emitting padding until all have; the caller drops it.

    Args:
        hooked: the model.
        inputs: as `HookedModel.inputs` makes them.
        max_new_tokens: an answer's length at most.
        on_step: receives states that are the caller's to keep.
        rescore: another decoding than the model's own; None: its most probable token is emitted.
    """
    _run(hooked, inputs, max_new_tokens, sorted(hooked.end_ids), on_step, rescore=rescore)


def force(
    hooked: HookedModel, inputs: Inputs, continuations: Sequence[Sequence[int]], on_step: OnStep
) -> None:
    """The same, but each row is made to say its continuation, token by token.

    Rows shorter than the longest repeat their last token; the caller drops those steps.
    """
    longest = max(map(len, continuations))
    plan = torch.tensor([[*row, *([row[-1]] * (longest - len(row)))] for row in continuations])
    plan = plan.to(hooked.device)
    start: int | None = None

    def dictate(ids: Tensor, scores: Tensor) -> Tensor:
        # What generation counts as prompt differs: an encoder-decoder's is the decoder's start token.
        nonlocal start
        start = ids.shape[1] if start is None else start
        wanted = plan[:, ids.shape[1] - start, None].to(scores.device)
        return torch.full_like(scores, -torch.inf).scatter_(1, wanted, 0.0)

    _run(hooked, inputs, longest, [], on_step, dictate)


def read_ends(hooked: HookedModel, inputs: Inputs, counts: Sequence[int]) -> list[Tensor]:
    """One forward pass over prompts with their answers appended, keeping each row's last states.

    Args:
        hooked: the model.
        inputs: prompts extended by all but the last token of each answer.
        counts: answer tokens of each row.

    Returns:
        Per row [T, S, d]: the states at the positions that predict its answer tokens.
    """
    kept: list[list[Tensor]] = [[] for _ in counts]

    def receive(_: int, state: Tensor) -> None:
        for row, count in enumerate(counts):
            kept[row].append(state[row, -count:].clone())

    read_prompt(hooked, inputs, receive)
    return [torch.stack(states, dim=1) for states in kept]


def read_prompt(hooked: HookedModel, inputs: Inputs, receive: Receive) -> None:
    """One forward pass over prompts, handing every state of every position to `receive` as it comes.

    Args:
        hooked: the model.
        inputs: as `HookedModel.inputs` makes them.
        receive: called with j and state j [B, n, d], which is alive only during the call.
    """
    with hooked.untouched(), torch.inference_mode(), hooked.tapped(receive):
        # One new token: prepares positions as generation does, and runs the model once.
        _call(hooked, inputs, 1, [])


def generate_only(hooked: HookedModel, inputs: Inputs, tokens: int) -> None:
    """Exactly so many tokens and nothing else, whatever ends an answer: what timing is done on."""
    with hooked.untouched(), torch.inference_mode():
        _call(hooked, inputs, tokens, [])


def step_logits(hooked: HookedModel, inputs: Inputs, tokens: int) -> tuple[list[int], list[Tensor]]:
    """The model's own logits while it says exactly so many tokens, greedily, to one prompt.

    Returns:
        The emitted ids, and per step logits [V].
    """
    seen: list[Tensor] = []
    ids: list[int] = []

    def keep(_: Tensor, scores: Tensor) -> Tensor:
        seen.append(scores[0].clone())
        return scores

    def after(text: Tensor, _: Any, **__: Any) -> Tensor:
        ids.append(int(text[0, -1]))
        return torch.zeros(text.shape[0], dtype=torch.bool, device=text.device)

    with hooked.untouched(), torch.inference_mode():
        _call(hooked, inputs, tokens, [], after, keep)
    return ids, seen


def _run(
    hooked: HookedModel,
    inputs: Inputs,
    max_new_tokens: int,
    ends: list[int],
    on_step: OnStep,
    processor: Callable[[Tensor, Tensor], Tensor] | None = None,
    rescore: Rescore | None = None,
) -> None:
    states: list[Tensor] = []

    def receive(j: int, state: Tensor) -> None:
        if j == 0:
            states.clear()
        # With left padding the last position predicts, in the prompt's pass as in every later one.
        states.append(state[:, -1].clone())

    def after(ids: Tensor, _: Any, **__: Any) -> Tensor:
        on_step(torch.stack(states, dim=1), ids[:, -1])
        return torch.zeros(ids.shape[0], dtype=torch.bool, device=ids.device)

    if rescore is not None:
        decode = rescore

        def processor(_: Tensor, scores: Tensor) -> Tensor:
            return decode(torch.stack(states, dim=1), scores)

    with hooked.untouched(), torch.inference_mode(), hooked.tapped(receive):
        _call(hooked, inputs, max_new_tokens, ends, after, processor)


def _call(
    hooked: HookedModel,
    inputs: Inputs,
    max_new_tokens: int,
    ends: list[int],
    after: Callable[..., Tensor] | None = None,
    processor: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> None:
    from transformers import (
        LogitsProcessor,
        LogitsProcessorList,
        StoppingCriteria,
        StoppingCriteriaList,
    )

    asked = False

    class After(StoppingCriteria):
        """Called by `generate()` after each token has been appended: the end of a step."""

        def __call__(self, ids: Tensor, scores: Any, **more: Any) -> Tensor:
            assert after is not None
            if processor is not None and not asked:
                raise _NotAsked
            return after(ids, scores, **more)

    class Choose(LogitsProcessor):
        """Called by `generate()` between the forward pass and the choice of a token."""

        def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
            nonlocal asked
            asked = True
            assert processor is not None
            return processor(ids, scores)

    run = partial(
        greedy,
        hooked.model,
        inputs,
        max_new_tokens=max_new_tokens,
        end_ids=ends,
        padding_id=hooked.padding_id,
        start_id=hooked.start_id,
        stopping_criteria=StoppingCriteriaList([After()] if after is not None else []),
    )
    if processor is None:
        run()
        return
    try:
        run(logits_processor=LogitsProcessorList([Choose()]))
    except _NotAsked:
        # A family's own generate() may drop the argument: it is put where transformers' collects them.
        try:
            with _collected(hooked.model, Choose()):
                run()
        except _NotAsked:
            raise UnsupportedModel(
                f"{type(hooked.model).__name__}.generate() asks no logits processor, so that its answers can "
                f"neither be dictated nor decoded otherwise. Record what it says by itself."
            ) from None


class _NotAsked(Exception):
    """A token was chosen, and the processor had no say in it."""


@contextmanager
def _collected(model: Any, one: Any) -> Iterator[None]:
    collect = getattr(model, "_get_logits_processor", None)
    if collect is None:
        raise _NotAsked

    def more(*arguments: Any, **options: Any) -> Any:
        found = collect(*arguments, **options)
        found.append(one)
        return found

    model._get_logits_processor = more
    try:
        yield
    finally:
        del model._get_logits_processor
