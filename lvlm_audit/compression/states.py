"""How alike a block's input and output are, measured while prompts run through the model.

Cosines are reduced as the states pass: within one forward pass the last few states are held, as many as
the longest window needs; nothing of a prompt outlives its pass. Prompts run one by one, so that there is no
padding to leave out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lvlm_audit.errors import RecordingError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.probes.probe import Probe
from lvlm_audit.progress import OnProgress, Step
from lvlm_audit.traces.generation import read_ends

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """Mean cosines over prompts; L blocks, K the longest window.

    Attributes:
        cosine: [K, L] of h_s and h_(s+n), n = 1..K, over all positions of all prompts; NaN past the end.
        visual: [L] of h_i and h_(i+1) over positions that hold image features; None: there are none.
        text: [L] over the others; None where `visual` is.
        angle: [K, L] arccos(cos(h_s, h_(s+n))) / pi at each prompt's last position, mean over prompts.
        no_visual: why there are no visual positions.
    """

    cosine: Matrix
    visual: Matrix | None
    text: Matrix | None
    angle: Matrix
    no_visual: str = ""


def similarity(
    hooked: HookedModel,
    probes: Sequence[Probe],
    longest: int,
    on_progress: OnProgress | None = None,
) -> Similarity:
    """Runs every prompt once.

    Args:
        hooked: an opened model.
        probes: what is asked.
        longest: K, blocks of the longest window.
        on_progress: called after each prompt.

    Raises:
        RecordingError: a state is not finite.
    """
    depth, reach = hooked.blocks, min(longest, hooked.blocks)
    sums, count = np.zeros((reach, depth)), 0
    apart = np.zeros((2, depth))
    visual_count, angles = 0, np.zeros((reach, depth))
    no_visual = ""
    step = Step(on_progress, "states of the prompts", len(probes))
    for done, probe in enumerate(probes, start=1):
        inputs = hooked.inputs([probe])
        places = hooked.image_positions(inputs)
        one = _Watch(reach, depth, None if places is None else places[0])
        with hooked.tapped(one.receive):
            (ends,) = read_ends(hooked, inputs, [1])
        if not np.isfinite(one.sums).all():
            raise RecordingError(f"probe {probe.id!r}: a state of its prompt is not finite.")
        sums += one.sums
        count += one.positions
        angles += _angles(ends[0], reach)
        if one.visual is None:
            no_visual = "images hold no positions of the prompt, or it is not known which"
        else:
            visual_count += int(one.visual.sum())
            apart += one.apart
        step.reached(done, count)
    if not no_visual and visual_count in (0, count):
        no_visual = "no prompt holds both image features and text"
    past = np.arange(depth)[None, :] + np.arange(1, reach + 1)[:, None] > depth
    return Similarity(
        cosine=np.where(past, np.nan, sums / count),
        visual=None if no_visual else apart[0] / visual_count,
        text=None if no_visual else apart[1] / (count - visual_count),
        angle=np.where(past, np.nan, angles / len(probes)),
        no_visual=no_visual,
    )


class _Watch:
    """Sums of cosines over the positions of one prompt."""

    def __init__(self, reach: int, depth: int, places: Tensor | None) -> None:
        self.sums = np.zeros((reach, depth))
        self.apart = np.zeros((2, depth))
        self.positions = 0
        self.visual = places
        self._before: deque[Tensor] = deque(maxlen=reach)

    def receive(self, j: int, state: Tensor) -> None:
        """Called with [1, n, D] as the forward pass reaches state j."""
        if j == 0:
            self._before.clear()
            self.positions = state.shape[1]
            if self.visual is not None and self.visual.shape[0] != self.positions:
                self.visual = None
        for n, earlier in enumerate(self._before, start=1):
            cosine = torch.nn.functional.cosine_similarity(
                earlier[0].float(), state[0].float(), dim=-1
            ).cpu().double()  # fmt: skip
            self.sums[n - 1, j - n] = float(cosine.sum())
            if n == 1 and self.visual is not None:
                places = self.visual.cpu()
                self.apart[:, j - 1] = float(cosine[places].sum()), float(cosine[~places].sum())
        self._before.appendleft(state.clone())


def _angles(states: Tensor, reach: int) -> Matrix:
    """[reach, L] angular distances of one position's states [S, D]; zero past the end."""
    # Double: the arc cosine of a number near 1 loses half of its digits.
    unit = torch.nn.functional.normalize(states.double().cpu(), dim=-1)
    angle = torch.arccos((unit @ unit.T).clamp(-1, 1)) / torch.pi
    depth = len(states) - 1
    found = np.zeros((reach, depth))
    for n in range(1, reach + 1):
        found[n - 1, : depth + 1 - n] = torch.diagonal(angle, n).numpy()
    return found
