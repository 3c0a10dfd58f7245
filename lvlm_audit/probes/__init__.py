"""What we ask: probes, their readers and the bundled sets.

What a third party's probe format needs is public here, and is resolved on first use.
"""

from lvlm_audit.lazy import public

_HOMES = {
    "ProbeFormat": "lvlm_audit.probes.formats.format:ProbeFormat",
    "register_probe_format": "lvlm_audit.probes.formats.registry:register_probe_format",
}

__all__ = [*_HOMES]  # noqa: PLE0604

__getattr__, __dir__ = public(__name__, _HOMES)
