"""The public names with their types; `__init__.py` resolves the same names on first use."""

from lvlm_audit.faults.applying import applied as applied
from lvlm_audit.faults.catalogue import FAULTS as FAULTS
from lvlm_audit.faults.fault import Fault as Fault
from lvlm_audit.faults.writing import write as write
