"""Reading through a lens: what the model would say if it stopped at state j, reduced to the numbers of a Trace.

Logits of every token and every state are far too many to keep: 48 tokens of a 30-block model with
49,152 words are 290 MB. So tokens are read in chunks: one large product, then every number that a
trace needs (`traces.reduction`), then the next chunk into the same memory.

Rows of one token stay together: [n, S, d] is n tokens at S = L + 1 states, state L last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lvlm_audit.errors import LvlmAuditError, RecordingError, UsageError
from lvlm_audit.lenses.normed import NORMED
from lvlm_audit.lenses.registry import LENSES
from lvlm_audit.models.anatomy import Anatomy
from lvlm_audit.models.readout import Readout
from lvlm_audit.settings.reading import LensName
from lvlm_audit.traces.divergence import LN2, jensen_shannon
from lvlm_audit.traces.paper_index import paper_index
from lvlm_audit.traces.reduction import Workbench, reduce_token
from lvlm_audit.traces.trace import FloatArray, IntArray

CHUNK_BYTES = 96 * 2**20
"""Float32 logits of one chunk, whatever the vocabulary; one token is read even if it is more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the lens saw of n tokens; field names and units are those of `Trace`.

    `candidate_probability` is [n, S, S]: one column of candidates per state, padded with 0.
    """

    probability: FloatArray
    rank: npt.NDArray[np.int32]
    divergence: FloatArray
    entropy: FloatArray
    kl_to_final: FloatArray
    jsd_to_final: FloatArray
    nucleus_mass: FloatArray
    top_ids: IntArray
    top_probs: FloatArray
    candidate_ids: IntArray
    candidate_probability: FloatArray
    distractor: FloatArray
    lag: FloatArray
    """[n] nats by which the emitted token trails the most probable one at state L; 0 if it leads."""
    top_logit: FloatArray
    """[n] largest logit at state L: the scale on which `lag` may be rounding."""
    paper_index: FloatArray
    """[n, L], or [n, 0] where it was not asked for."""

    @classmethod
    def join(cls, parts: list[Reading]) -> Reading:
        """One reading of all tokens, in order."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            **{
                f.name: np.concatenate([getattr(part, f.name) for part in parts])
                for f in fields(cls)
            }
        )

    def rows(self, index: IntArray) -> Reading:
        """The reading of some tokens."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


class LensReader:
    """Reads states of one model through a lens.

    Args:
        anatomy: the model's norm, head and what follows the head.
        name: of the lens (`lvlm_audit.lenses`); state L is read by the model's own norm and head
            through each.
        paper_index: also compute the published code's divergence (`traces.paper_index`).
        chunk_bytes: bound on a chunk's logits.

    Raises:
        UsageError: no lens of that name, or it does not fit the model.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        name: LensName = "normed",
        *,
        paper_index: bool = False,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.name = name
        self._lens = LENSES.get(name)
        try:
            self._lens.check(anatomy)
        except LvlmAuditError:
            raise
        except Exception as error:
            raise UsageError(
                f"lens {name!r} could not say whether it fits this model: {type(error).__name__}: {error}. "
                f"Mend the lens, or use another one."
            ) from error
        self._paper_index = paper_index
        self.readout = Readout(anatomy)
        self.states = anatomy.states
        row = 4 * self.readout.vocabulary * self.states
        self.chunk_tokens = max(1, chunk_bytes // row)
        # Kept from call to call: fresh memory of this size comes from the system page by page, which
        # costs as much as a third of the product that is written into it.
        self._logits: Tensor | None = None
        self._bench: Workbench | None = None

    def prepared(self, states: Tensor) -> Tensor:
        """States [n, k, D], the last ones up to L, as the head gets them: float32 [n, k, d]."""
        if self._lens is NORMED:
            # It does with every state what the model does with the last: one pass for all.
            return self.readout.normed(states)
        last = self.readout.normed(states[:, -1])
        rows = last.new_empty(*states.shape[:2], last.shape[-1])
        rows[:, -1] = last
        if states.shape[1] > 1:
            rows[:, :-1] = self._before(states[:, :-1], self.states - states.shape[1])
        return rows

    def _before(self, states: Tensor, first: int) -> Tensor:
        """The lens's rows of states before the last, held to what it promises."""
        try:
            rows = self._lens.rows(states, first, self.readout)
        except LvlmAuditError:
            raise
        except Exception as error:
            raise RecordingError(
                f"lens {self.name!r} failed at states {first} to {first + states.shape[1] - 1}: "
                f"{type(error).__name__}: {error}. Mend the lens, or use another one."
            ) from error
        wanted = (*states.shape[:2], self.readout.width)
        if not isinstance(rows, Tensor) or rows.shape != wanted or not rows.is_floating_point():
            made = (
                f"{rows.dtype} {tuple(rows.shape)}"
                if isinstance(rows, Tensor)
                else repr(type(rows))
            )
            raise RecordingError(
                f"lens {self.name!r} gave {made} where the head reads floats of shape {wanted}. Mend the "
                f"lens, or use another one."
            )
        return rows

    def logits(self, states: Tensor) -> Tensor:
        """Float32 logits [n, S, V] of states [n, S, d], for a closer look; `read` never keeps them."""
        rows = self.prepared(states)
        return self.readout.logits(rows.flatten(0, 1)).view(*rows.shape[:2], -1)

    def logits_at(self, rows: Tensor, state: int) -> Tensor:
        """Float32 logits [n, V] of rows [n, d] that are all at one state; the next call overwrites them."""
        if self._lens is NORMED or state == self.states - 1:
            ready = self.readout.normed(rows)
        else:
            ready = self._before(rows.unsqueeze(1), state).squeeze(1)
            ready = ready.to(self.readout.device, torch.float32)
        return self.readout.logits(ready, self._room(len(rows)))

    @torch.inference_mode()
    def read(self, states: Tensor, emitted: Tensor, distractors: Tensor) -> Reading:
        """Everything a trace keeps of n tokens.

        Args:
            states: [n, S, d] residual states, any float dtype.
            emitted: [n] ids of the tokens that were generated.
            distractors: [n] ids to follow beside them; -1 where there is none.
        """
        parts = []
        for chunk, logits in self._chunks(states, 1):
            here, there = (ids[chunk].to(logits.device) for ids in (emitted, distractors))
            bench = self._workbench(logits)
            parts.append(
                _reading([self._token(y, bench, here[i], there[i]) for i, y in enumerate(logits)])
            )
        return Reading.join(parts)

    def _token(
        self, y: Tensor, bench: Workbench, emitted: Tensor, distractor: Tensor
    ) -> dict[str, Tensor]:
        # The index comes first: reducing a token overwrites its logits.
        index = paper_index(y) if self._paper_index else y.new_empty(0)
        return {**reduce_token(y, bench, emitted, distractor), "paper_index": index}

    @torch.inference_mode()
    def compare(self, runs: Sequence[Tensor], emitted: Tensor) -> tuple[FloatArray, FloatArray]:
        """Runs of the same tokens, read together: the first against each of the others.

        Args:
            runs: R tensors [n, S, d] of the same states; some of the last ones will do, down to S = 1.
            emitted: [n] ids that all runs were made to say.

        Returns:
            [R-1, n, S] JSD between the first run's distribution and each other's at each state, bits,
            and [R, n] log2 of the emitted token's probability at state L in each run.
        """
        count = len(runs)
        n, depth = runs[0].shape[:2]
        divergence = np.empty((count - 1, n, depth), np.float32)
        surprise = np.empty((count, n), np.float32)
        # Runs are interleaved, so that all of a token are in one chunk; a piece at a time, because
        # a copy of every state of every run would be larger than the logits of a chunk.
        step = max(1, self.chunk_tokens * self.states // depth // count)
        for start in range(0, n, step):
            piece = torch.stack([run[start : start + step] for run in runs], dim=1).flatten(0, 1)
            for chunk, logits in self._chunks(piece, count):
                for i in range(len(logits) // count):
                    token = start + chunk.start // count + i
                    at = int(emitted[token])
                    first = torch.empty(0)
                    for run in range(count):
                        p = torch.log_softmax(logits[count * i + run], -1)
                        surprise[run, token] = float(p[-1, at]) / LN2
                        p.exp_()
                        if run == 0:
                            first = p
                        else:
                            divergence[run - 1, token] = _sliced_jsd(first, p).cpu().numpy()
        return divergence, surprise

    def _chunks(self, states: Tensor, multiple: int) -> Iterator[tuple[slice, Tensor]]:
        """Chunks of tokens, a multiple of `multiple` each, with their logits [m, S, V].

        The logits lie in one memory: each chunk's are gone when the next is asked for.
        """
        n, depth = states.shape[:2]
        budget = self.chunk_tokens * self.states // depth
        size = max(multiple, min(n, budget) // multiple * multiple)
        for start in range(0, n, size):
            rows = self.prepared(states[start : start + size])
            out = self._room(len(rows) * depth)
            self.readout.logits(rows.flatten(0, 1), out)
            yield slice(start, start + len(rows)), out.unflatten(0, (len(rows), depth))

    def _room(self, rows: int) -> Tensor:
        """[rows, V] float32 for logits."""
        if self._logits is None or self._logits.shape[0] < rows:
            # The old one goes first: both at once would be twice the budget.
            self._logits = None
            self._logits = torch.empty(
                rows, self.readout.vocabulary, dtype=torch.float32, device=self.readout.device
            )
        return self._logits[:rows]

    def _workbench(self, logits: Tensor) -> Workbench:
        """For reducing tokens of `logits` [m, S, V]."""
        _, states, vocabulary = logits.shape
        if self._bench is None or self._bench.p.shape != (states, vocabulary):
            self._bench = Workbench(states, vocabulary, logits.device)
        return self._bench


def _reading(tokens: list[dict[str, Tensor]]) -> Reading:
    """Tokens' numbers as arrays."""
    stacked = {name: torch.stack([values[name] for values in tokens]) for name in tokens[0]}
    top_ids = stacked.pop("top_ids").cpu().numpy()
    rank = stacked.pop("rank").to(torch.int32).cpu().numpy()
    candidates = _candidates(top_ids[:, :, 0], _float(stacked.pop("lead_probability")))
    return Reading(
        top_ids=top_ids,
        rank=rank,
        candidate_ids=candidates[0],
        candidate_probability=candidates[1],
        **{name: _float(values) for name, values in stacked.items()},
    )


def _sliced_jsd(p: Tensor, q: Tensor) -> Tensor:
    """[S] accurate JSD of two runs' states [S, V], one state at a time to stay in cache."""
    return torch.stack([jensen_shannon(p[j], q[j]) for j in range(p.shape[0])])


def _candidates(leaders: IntArray, lead_probability: FloatArray) -> tuple[IntArray, FloatArray]:
    """Each token's distinct leaders in order of first lead, and their probability at every state.

    Args:
        leaders: [m, S] leading token of each state.
        lead_probability: [m, S (state), S (leader of)] probability of each state's leader.

    Returns:
        ids [m, S], -1 padded, and probabilities [m, S (candidate), S (state)], 0 padded.
    """
    values = lead_probability.transpose(0, 2, 1)
    ids = np.full(leaders.shape, -1, np.int64)
    probability = np.zeros(values.shape, np.float32)
    for i, row in enumerate(leaders):
        first = np.sort(np.unique(row, return_index=True)[1])
        ids[i, : first.size] = row[first]
        probability[i, : first.size] = values[i, first]
    return ids, probability


def _float(values: Tensor) -> FloatArray:
    return values.to("cpu", torch.float32).numpy()
