"""pytest for the inside of a vision-language model.

Public names are resolved on first use, so that importing the package costs nothing: no torch, no NumPy. Only
names that open or ask a model import torch. `__init__.pyi` has their types.
"""

_HOMES = {
    "__version__": "lvlm_audit.version:__version__",
    # One call: what the commands do.
    "audit": "lvlm_audit.api.audit:audit",
    "calibrate": "lvlm_audit.api.calibrate:calibrate",
    "compare": "lvlm_audit.api.compare:compare",
    "plan": "lvlm_audit.api.plan:plan",
    # What a file of checks declares; metrics and properties are below.
    "Check": "lvlm_audit.spec.check:Check",
    "Severity": "lvlm_audit.document:Severity",
    "Skip": "lvlm_audit.interventions.named:Skip",
    "Stage": "lvlm_audit.document:Stage",
    "at_least": "lvlm_audit.spec.check:at_least",
    "at_most": "lvlm_audit.spec.check:at_most",
    "described": "lvlm_audit.spec.check:described",
    # Step by step: a model, probes, answers, a verdict, a page.
    "load": "lvlm_audit.api.opening:load",
    "hook": "lvlm_audit.models.opening:hook",
    "Probe": "lvlm_audit.probes.probe:Probe",
    "read_probes": "lvlm_audit.probes.readers:read_probes",
    "record": "lvlm_audit.traces.recorder:record",
    "Trace": "lvlm_audit.traces.trace:Trace",
    "find_stages": "lvlm_audit.stages:find_stages",
    "suite": "lvlm_audit.spec.suite:suite",
    "run": "lvlm_audit.auditing.run:run",
    "Audit": "lvlm_audit.document:Audit",
    "render": "lvlm_audit.api.render:render",
    "LvlmAuditError": "lvlm_audit.errors:LvlmAuditError",
    # Where the rest is.
    "faults": "lvlm_audit.faults",
    "metrics": "lvlm_audit.metrics",
    "properties": "lvlm_audit.properties",
}
_ROOMS = (
    "metrics",
    "properties",
    "faults",
    "traces",
    "hallucination",
    "models",
    "stages",
    "document",
    "lenses",
    "probes",
    "writers",
)

__all__ = [*_HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> object:
    # Not before a name is asked for: pytest imports this package in every run on the machine.
    from lvlm_audit.lazy import public

    resolve, _ = public(__name__, _HOMES, [f"{__name__}.{room}" for room in _ROOMS])
    return resolve(name)


def __dir__() -> list[str]:
    return sorted(__all__)
