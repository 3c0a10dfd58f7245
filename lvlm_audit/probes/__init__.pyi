"""The public names with their types."""

from lvlm_audit.probes.formats.format import ProbeFormat as ProbeFormat
from lvlm_audit.probes.formats.registry import register_probe_format as register_probe_format
