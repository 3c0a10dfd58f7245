"""Fetched code: what a configuration names that transformers would fetch from a hub and run. No torch.

`trust_remote_code` guards the Python files that a checkpoint brings. Kernels are code too: a name like
"owner/kernel" is fetched and loaded wherever the package `kernels` is installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.settings.spelling import spelled

_KERNELS = "implementation"
"""End of the keys under which a kernel can be named: of attention, of experts, and what may follow."""
_ARCHITECTURES = ("architecture", "backbone")
"""Keys whose value goes to timm."""
_ELSEWHERE = ("hf-hub:", "hf_hub:", "local-dir:")
"""Beginnings by which timm is sent to a hub, or to another folder, for a model's description."""


def check_fetches_nothing(name: str, config: Mapping[str, Any], *, trust_remote_code: bool) -> None:
    """Refuses a configuration that has code fetched, unless that is allowed.

    Args:
        name: of the model, as the user gave it.
        config: config.json as it is written.
        trust_remote_code: whether code of others may be run.

    Raises:
        UnsupportedModel: at any depth it names a kernel or an architecture that lies elsewhere.
    """
    if trust_remote_code:
        return
    for path, value in _texts(config):
        keys = path.split(".")
        kernel = "/" in value and any(key.endswith(_KERNELS) for key in keys)
        described = keys[-1] in _ARCHITECTURES and value.startswith(_ELSEWHERE)
        if kernel or described:
            what = "code" if kernel else "a description"
            raise UnsupportedModel(
                f"the config.json of {name!r} says {path} = {value[:120]!r}: {what} that would be fetched from "
                f"elsewhere. Remove the entry; or, if you trust it, give "
                f"{spelled('trust_remote_code', True)}."
            )


def _texts(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each text with its path ("text_config.attn_implementation"); nesting of any depth is no recursion."""
    waiting: list[tuple[str, Any]] = [("", config)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, Mapping):
            waiting += [(f"{path}.{key}" if path else str(key), one) for key, one in value.items()]
        elif isinstance(value, list):
            waiting += [(path, one) for one in value]
