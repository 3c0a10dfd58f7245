"""The public names with their types; `__init__.py` resolves the same names on first use."""

from lvlm_audit import faults as faults
from lvlm_audit import metrics as metrics
from lvlm_audit import properties as properties
from lvlm_audit.api.audit import audit as audit
from lvlm_audit.api.calibrate import calibrate as calibrate
from lvlm_audit.api.compare import compare as compare
from lvlm_audit.api.opening import load as load
from lvlm_audit.api.plan import plan as plan
from lvlm_audit.auditing.run import run as run
from lvlm_audit.document import Audit as Audit
from lvlm_audit.document import Severity as Severity
from lvlm_audit.document import Stage as Stage
from lvlm_audit.errors import LvlmAuditError as LvlmAuditError
from lvlm_audit.interventions.named import Skip as Skip
from lvlm_audit.models.opening import hook as hook
from lvlm_audit.probes.probe import Probe as Probe
from lvlm_audit.probes.readers import read_probes as read_probes
from lvlm_audit.report.html import write as render  # noqa: F401
from lvlm_audit.spec.check import Check as Check
from lvlm_audit.spec.check import at_least as at_least
from lvlm_audit.spec.check import at_most as at_most
from lvlm_audit.spec.check import described as described
from lvlm_audit.spec.suite import suite as suite
from lvlm_audit.stages import find_stages as find_stages
from lvlm_audit.traces.recorder import record as record
from lvlm_audit.traces.trace import Trace as Trace
from lvlm_audit.version import __version__ as __version__
