"""The lens: what the model would say if it stopped at state j, reduced to the numbers of a Trace.

Logits of every token and every state are far too many to keep: 48 tokens of a 30-block model with
49,152 words are 290 MB. So tokens are read in chunks: one large product, then every number that a
trace needs, then the next chunk into the same memory. Within a chunk the reductions walk over
slices that fit the processor's cache, because passes over memory, not arithmetic, are what they
cost.

Rows of one token stay together: [n, S, d] is n tokens at S = L + 1 states, state L last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lvlm_audit.errors import UsageError
from lvlm_audit.models.anatomy import Anatomy
from lvlm_audit.traces.crew import shared_out
from lvlm_audit.traces.divergence import (
    FLOOR,
    LN2,
    PRECISE_BELOW,
    jensen_shannon,
    mixture_information,
)
from lvlm_audit.traces.readout import Readout
from lvlm_audit.traces.trace import LENSES, FloatArray, IntArray, LensName

TOP_K = 5
NUCLEUS_P = 0.9
NUCLEUS_MAX = 10

CHUNK_BYTES = 96 * 2**20
"""Float32 logits of one chunk, whatever the vocabulary; one token is read even if it is more."""

_SLICE = 8192
"""Vocabulary entries reduced at a time: [S, 4096] float32 is about half a MB, a share of an L2 cache."""

_BLOCK = 64
"""The k best of a row lie in the k blocks with the highest maxima: topk then sees V/64 numbers."""


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


class Lens:
    """Reads states of one model.

    Args:
        anatomy: the model's norm, head and what follows the head.
        name: `normed` norms every state; `raw` applies the head to states 0..L-1 as they are and
            norms state L alone, as the paper's published code does.
        chunk_bytes: bound on a chunk's logits.

    Raises:
        UsageError: no lens of that name.
    """

    def __init__(
        self, anatomy: Anatomy, name: LensName = "normed", *, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        if name not in LENSES:
            raise UsageError(f"there is no lens {name!r}; choose one of {', '.join(LENSES)}.")
        self.name = name
        self.readout = Readout(anatomy)
        self.states = anatomy.states
        row = 4 * self.readout.vocabulary * self.states
        self.chunk_tokens = max(1, chunk_bytes // row)
        self._buffer: Tensor | None = None

    def prepared(self, states: Tensor) -> Tensor:
        """States [n, S, d] as the head gets them: float32, state L (and for `normed` all) normed."""
        if self.name == "normed":
            return self.readout.normed(states)
        rows = states.to(self.readout.device, torch.float32, copy=True)
        rows[:, -1] = self.readout.normed(states[:, -1])
        return rows

    def logits(self, states: Tensor) -> Tensor:
        """Float32 logits [n, S, V] of states [n, S, d], for a closer look; `read` never keeps them."""
        rows = self.prepared(states)
        return self.readout.logits(rows.flatten(0, 1)).view(*rows.shape[:2], -1)

    @torch.inference_mode()
    def read(self, states: Tensor, emitted: Tensor, distractors: Tensor) -> Reading:
        """Everything a trace keeps of n tokens.

        Args:
            states: [n, S, d] residual states, any float dtype.
            emitted: [n] ids of the tokens that were generated.
            distractors: [n] ids to follow beside them; -1 where there is none.
        """
        parts = []
        for chunk, logits in self._chunks(states):
            parts.append(_reduce(logits, emitted[chunk], distractors[chunk]))
        return Reading.join(parts)

    @torch.inference_mode()
    def compare(
        self, base: Tensor, other: Tensor, emitted: Tensor
    ) -> tuple[FloatArray, FloatArray]:
        """Two runs of the same tokens, read together.

        Args:
            base: [n, S, d] states of the first run; some of the last ones will do, down to S = 1.
            other: [n, S, d] the same states of the second.
            emitted: [n] ids both runs were made to say.

        Returns:
            [n, S] JSD between the runs' distributions at each state, bits, and [2, n] log2 of the
            emitted token's probability at state L.
        """
        n, depth = base.shape[:2]
        divergence = np.empty((n, depth), np.float32)
        surprise = np.empty((2, n), np.float32)
        # Runs are interleaved, so that both of a token are in one chunk.
        both = torch.stack([base, other], dim=1).flatten(0, 1)
        for chunk, logits in self._chunks(both, multiple=2):
            tokens = range(chunk.start // 2, chunk.stop // 2)
            for i, token in enumerate(tokens):
                p, q = (torch.log_softmax(logits[2 * i + run], -1) for run in (0, 1))
                at = int(emitted[token])
                surprise[:, token] = float(p[-1, at]) / LN2, float(q[-1, at]) / LN2
                divergence[token] = _sliced_jsd(p.exp_(), q.exp_()).cpu().numpy()
        return divergence, surprise

    def _chunks(self, states: Tensor, multiple: int = 1) -> Iterator[tuple[slice, Tensor]]:
        """Chunks of tokens and their logits [m, S, V]; every chunk overwrites the last one's."""
        n, depth = states.shape[:2]
        size = max(multiple, self.chunk_tokens * self.states // depth // multiple * multiple)
        buffer = self._room(min(n, size) * depth)
        for start in range(0, n, size):
            chunk = slice(start, min(n, start + size))
            rows = self.prepared(states[chunk])
            out = buffer[: rows.shape[0] * depth]
            self.readout.logits(rows.flatten(0, 1), out)
            yield chunk, out.unflatten(0, (rows.shape[0], depth))

    def _room(self, rows: int) -> Tensor:
        """Memory for that many rows of logits, kept from call to call.

        Fresh memory of this size comes from the system page by page, which costs as much as a third of
        the product that is written into it.
        """
        if self._buffer is None or self._buffer.shape[0] < rows:
            self._buffer = torch.empty(
                rows, self.readout.vocabulary, dtype=torch.float32, device=self.readout.device
            )
        return self._buffer


def _reduce(logits: Tensor, emitted: Tensor, distractors: Tensor) -> Reading:
    """A chunk's numbers. `logits` [m, S, V] are overwritten."""
    m = logits.shape[0]
    device = logits.device
    emitted = emitted.to(device)
    distractors = distractors.to(device)
    made: list[dict[str, Tensor]] = [{} for _ in range(m)]

    def reduce(tokens: Iterator[int]) -> None:
        scratch = _Scratch.like(logits[0])
        for i in tokens:
            made[i] = _reduce_token(logits[i], scratch, emitted[i], distractors[i])

    if device.type == "cpu":
        shared_out(reduce, m)
    else:
        reduce(iter(range(m)))
    stacked = {name: torch.stack([values[name] for values in made]) for name in made[0]}
    candidate_ids, candidate_probability = _candidates(
        stacked["top_ids"][:, :, 0], stacked["lead_probability"]
    )
    return Reading(
        probability=_float(stacked["probability"]),
        rank=stacked["rank"].to(torch.int32).cpu().numpy(),
        divergence=_float(stacked["divergence"]),
        entropy=_float(stacked["entropy"]),
        kl_to_final=_float(stacked["kl_to_final"]),
        jsd_to_final=_float(stacked["jsd_to_final"]),
        nucleus_mass=_float(stacked["nucleus_mass"]),
        top_ids=stacked["top_ids"].cpu().numpy(),
        top_probs=_float(stacked["top_probs"]),
        candidate_ids=candidate_ids,
        candidate_probability=candidate_probability,
        distractor=_float(stacked["distractor"]),
        lag=_float(stacked["lag"]),
        top_logit=_float(stacked["top_logit"]),
    )


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Memory that every token's reduction reuses."""

    p: Tensor
    """[S, V] probabilities of one token; far smaller than a chunk."""
    one: Tensor
    two: Tensor
    """[S, width] for one slice of the vocabulary."""

    @classmethod
    def like(cls, y: Tensor) -> _Scratch:
        width = min(_SLICE, y.shape[-1])
        one, two = (torch.empty(y.shape[0], width, device=y.device) for _ in range(2))
        return cls(torch.empty_like(y), one, two)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums over the vocabulary, natural logarithms."""

    information: Tensor
    """[S] sum of p_j log p_j."""
    cross: Tensor
    """[S] sum of p_L log p_j."""
    above: Tensor
    """[S] how many tokens are more probable than the emitted one."""
    with_next: Tensor
    """[L] sum of (p_j + p_(j+1)) log(p_j + p_(j+1))."""
    with_last: Tensor
    """[S] sum of (p_j + p_L) log(p_j + p_L)."""


def _reduce_token(
    y: Tensor, scratch: _Scratch, emitted: Tensor, distractor: Tensor
) -> dict[str, Tensor]:
    """One token's numbers over all its states.

    Args:
        y: [S, V] logits; overwritten by natural log-probabilities.
        scratch: memory to work in.
        emitted: scalar id.
        distractor: scalar id or -1.
    """
    p = scratch.p
    top_logits, top_ids = _top(y, min(TOP_K, y.shape[-1]))
    leaders = top_ids[:, 0]
    torch.softmax(y, -1, out=p)
    top_probs = p.gather(-1, top_ids)
    normalizer = top_logits[:, :1] - top_probs[:, :1].log()
    y.sub_(normalizer)

    last = p[-1]
    mark = y.index_select(-1, emitted.view(1))
    sums = _sums(y, scratch, mark)
    mixed = sums.with_next.sum() + sums.with_last.sum() + sums.information.sum()
    if bool(mixed.isnan()):
        # A probability that is exactly zero in both states of a pair made 0 * -inf; rare enough to
        # look again rather than to pass over all of memory beforehand. True NaN stays.
        p.clamp_min_(FLOOR)
        y.clamp_min_(-1e4)
        sums = _sums(y, scratch, mark)
    own, final = sums.information, sums.information[-1]
    # JSD = (sum p log p + sum q log q - sum (p + q) log((p + q) / 2)) / 2, and both sum to one.
    divergence = (own[:-1] + own[1:] - sums.with_next).div_(2 * LN2).add_(1.0)
    to_final = (own + final - sums.with_last).div_(2 * LN2).add_(1.0)
    kl = (final - sums.cross).div_(LN2)
    for j in _small(divergence):
        divergence[j] = jensen_shannon(p[j], p[j + 1])
    for j in _small(to_final[:-1]):
        to_final[j] = jensen_shannon(p[j], last)
    for j in _small(kl[:-1]):
        kl[j] = torch.dot(last, y[-1] - y[j]).div_(LN2)
    to_final[-1] = kl[-1] = 0.0

    other = p.index_select(-1, distractor.clamp_min(0).view(1)).squeeze(-1)
    return {
        "probability": p.index_select(-1, emitted.view(1)).squeeze(-1),
        "rank": sums.above,
        "divergence": divergence.clamp_(0.0, 1.0),
        "entropy": (-own).div_(LN2).clamp_min_(0.0),
        "kl_to_final": kl.clamp_min_(0.0),
        "jsd_to_final": to_final.clamp_(0.0, 1.0),
        "nucleus_mass": p.index_select(-1, _nucleus(last)).sum(-1),
        "lead_probability": p.index_select(-1, leaders),
        "top_ids": top_ids,
        "top_probs": top_probs,
        "top_logit": top_logits[-1, 0],
        "distractor": torch.where(distractor < 0, torch.nan, other),
        "lag": y[-1, leaders[-1]] - mark[-1, 0],
    }


def _sums(y: Tensor, scratch: _Scratch, mark: Tensor) -> _Sums:
    """Everything that takes a pass over the vocabulary, slice by slice."""
    p, states = scratch.p, y.shape[0]
    total = {name: y.new_zeros(states) for name in ("information", "cross", "above", "with_last")}
    with_next = y.new_zeros(states - 1)
    width = scratch.one.shape[-1]
    for start in range(0, y.shape[-1], width):
        logs, part = y[:, start : start + width], p[:, start : start + width]
        one, two = scratch.one[:, : part.shape[-1]], scratch.two[:, : part.shape[-1]]
        # float32 counts exactly up to 2^24, and summing a bool tensor is ten times slower.
        total["above"] += torch.gt(logs, mark, out=one).sum(-1)
        total["information"] += torch.mul(part, logs, out=one).sum(-1)
        total["cross"] += torch.mv(logs, part[-1])
        with_next += mixture_information(part[:-1], part[1:], one[:-1], two[:-1])
        total["with_last"] += mixture_information(part, part[-1:], one, two)
    return _Sums(with_next=with_next, **total)


def _small(values: Tensor) -> list[int]:
    """Where the quick form's subtraction left too few digits."""
    return [int(j) for j in torch.nonzero(values < PRECISE_BELOW).flatten().tolist()]


def _sliced_jsd(p: Tensor, q: Tensor) -> Tensor:
    """[S] accurate JSD of two runs' states [S, V], one state at a time to stay in cache."""
    return torch.stack([jensen_shannon(p[j], q[j]) for j in range(p.shape[0])])


def _nucleus(p: Tensor) -> Tensor:
    """Ids of the smallest set that holds `NUCLEUS_P` of p [V], cut to `NUCLEUS_MAX`."""
    probabilities, ids = p.topk(min(NUCLEUS_MAX, p.shape[0]))
    before = probabilities.cumsum(0) - probabilities
    return ids[before < NUCLEUS_P]


def _top(rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`torch.topk` of rows [R, V] by block maxima: one cheap pass instead of a heap over everything.

    An entry among the k largest of a row lies in one of the k blocks with the largest maxima, or ties
    with one that does.
    """
    whole = rows.shape[1] // _BLOCK * _BLOCK
    if whole // _BLOCK < 4 * k:
        return rows.topk(k, dim=-1)
    blocks = rows[:, :whole].unflatten(1, (-1, _BLOCK))
    chosen = blocks.amax(-1).topk(k, dim=-1).indices
    inside = blocks.gather(1, chosen.unsqueeze(-1).expand(-1, -1, _BLOCK)).flatten(1)
    ids = (chosen.unsqueeze(-1) * _BLOCK + torch.arange(_BLOCK, device=rows.device)).flatten(1)
    if whole < rows.shape[1]:
        inside = torch.cat([inside, rows[:, whole:]], dim=1)
        tail = torch.arange(whole, rows.shape[1], device=rows.device)
        ids = torch.cat([ids, tail.expand(rows.shape[0], -1)], dim=1)
    values, at = inside.topk(k, dim=-1)
    return values, ids.gather(1, at)


def _candidates(leaders: Tensor, lead_probability: Tensor) -> tuple[IntArray, FloatArray]:
    """Each token's distinct leaders in order of first lead, and their probability at every state.

    Args:
        leaders: [m, S] leading token of each state.
        lead_probability: [m, S (state), S (leader of)] probability of each state's leader.

    Returns:
        ids [m, S], -1 padded, and probabilities [m, S (candidate), S (state)], 0 padded.
    """
    names = leaders.cpu().numpy()
    values = lead_probability.transpose(1, 2).float().cpu().numpy()
    ids = np.full(names.shape, -1, np.int64)
    probability = np.zeros(values.shape, np.float32)
    for i, row in enumerate(names):
        first = np.sort(np.unique(row, return_index=True)[1])
        ids[i, : first.size] = row[first]
        probability[i, : first.size] = values[i, first]
    return ids, probability


def _float(values: Tensor) -> FloatArray:
    return values.to("cpu", torch.float32).numpy()
