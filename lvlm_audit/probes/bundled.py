"""The probe set that ships: pictures for any model. Drawn scenes are the demo's (`lvlm_audit.demo.probes`)."""

from __future__ import annotations

from pathlib import Path

from lvlm_audit.probes.probe import Probe
from lvlm_audit.probes.readers import read_probes

# An ordinary file in the ordinary format: it is also the example to start one's own set from.
_DEFAULT_SET = Path(__file__).parent / "data" / "default.jsonl"


def default_probes() -> list[Probe]:
    """The set that a model is asked when nobody names another: 192 questions about 96 pictures.

    Two questions a picture, of seven kinds (`labels["kind"]`): naming, color, count, word, spatial and
    description, 24 of each, and yes_no, 24 of which are to be answered yes and 24 no. Each quarter of the
    set asks a quarter of each kind, so its first 24 or 48 pictures are a balanced set too. Each question
    has a reference answer and labels by which another answer can be judged; a cluster is a picture. Sources
    and licences: `data/LICENSES.md`.

    Returns:
        The probes, those of one picture together.

    Raises:
        ProbeError: the installation is damaged (a file of the set is missing or broken).
    """
    return read_probes(_DEFAULT_SET)
