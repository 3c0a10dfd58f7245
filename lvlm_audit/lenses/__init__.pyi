"""The public names with their types."""

from lvlm_audit.lenses.lens import Lens as Lens
from lvlm_audit.lenses.registry import register_lens as register_lens
from lvlm_audit.lenses.registry import unregister_lens as unregister_lens
