"""What a lens is: a name, its content's fingerprint, and what the head is shown of a state.

The model's own head reads state L after its final norm. A lens says what stands in for that at states
0..L-1: the same norm (`normed`), nothing (`raw`), or a map that was fitted for each state (a tuned lens,
Belrose et al. 2023). State L is never shown to a lens: there the model's own norm and head are applied,
so that what is proved of a model when it is opened holds through every lens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from lvlm_audit.settings.reading import LensName

if TYPE_CHECKING:
    from torch import Tensor

    from lvlm_audit.models.anatomy import Anatomy
    from lvlm_audit.models.readout import Readout


@runtime_checkable
class Lens(Protocol):
    """What a third party writes; register it with `register_lens`, or offer it as an entry point."""

    @property
    def name(self) -> LensName:
        """What `--lvlm-lens` and `record(..., lens=)` call it; recordings carry it."""

    def fingerprint(self) -> str:
        """Changes whenever what is read through the lens may change, such as a digest of its weights.

        It is a part of the store's key. Empty: there is nothing but the code.
        """

    def check(self, anatomy: Anatomy) -> None:
        """Whether the lens fits a model (`anatomy.states`, `anatomy.state_width`, `anatomy.width`).

        Raises:
            UsageError: it does not; the message says what to use instead.
        """

    def rows(self, states: Tensor, first: int, readout: Readout) -> Tensor:
        """What the head reads of some states.

        Args:
            states: [n, k, D] of n tokens at states `first` to `first + k - 1`, none of them the last; in
                the model's dtype, on any of its devices. They are not to be changed in place.
            first: number of the first state; 0 is the embedding.
            readout: the model's own `normed(states)`, in float32 on `readout.device`.

        Returns:
            [n, k, d] of any float dtype on `readout.device`; the head multiplies it in float32.
        """
