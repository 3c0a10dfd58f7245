"""The public names with their types."""

from lvlm_audit.models.hooked import HookedModel as HookedModel
