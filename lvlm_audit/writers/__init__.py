"""Writers: a document as a file, one module a format.

What a third party's writer needs is public here, and is resolved on first use.
"""

from lvlm_audit.lazy import public

_HOMES = {
    "TextWriter": "lvlm_audit.writers.writer:TextWriter",
    "Writer": "lvlm_audit.writers.writer:Writer",
    "register_writer": "lvlm_audit.writers.registry:register_writer",
    "unregister_writer": "lvlm_audit.writers.registry:unregister_writer",
}

__all__ = [*_HOMES]  # noqa: PLE0604

__getattr__, __dir__ = public(__name__, _HOMES)
