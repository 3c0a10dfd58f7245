"""The probe set that ships: pictures for any model. Drawn scenes are the demo's (`lvlm_audit.demo.probes`)."""

from __future__ import annotations

from pathlib import Path

from lvlm_audit.probes.probe import Probe
from lvlm_audit.probes.readers import read_probes

# An ordinary file in the ordinary format: it is also the example to start one's own set from.
_DEFAULT_SET = Path(__file__).parent / "data" / "default.jsonl"


def default_probes() -> list[Probe]:
    """The set that a model is asked when nobody names another: 48 questions about 24 pictures.

    Descriptions, colours, counts and yes/no questions in equal number (`labels["kind"]`), with a
    reference answer each; a cluster is a picture. Sources and licences: `data/LICENSES.md`.

    Returns:
        The probes, those of one picture together.

    Raises:
        ProbeError: the installation is damaged (a file of the set is missing or broken).
    """
    return read_probes(_DEFAULT_SET)
