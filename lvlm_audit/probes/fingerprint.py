"""A content key for a probe set: equal keys mean that the model is asked the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.probe import Probe

# Part of every key: change it when the encoding below changes, so that old keys match nothing.
_VERSION = "lvlm_audit probes 1"


def fingerprint(probes: Iterable[Probe]) -> str:
    """SHA-256 over everything that a probe set holds, in order.

    Ids, prompts, earlier turns, answers, labels, clusters, the bytes of the images and the tensors; not where
    an image is stored or what its file is called. The order of probes counts, that of a mapping's keys
    does not. Images are read again, one at a time.

    Returns:
        64 hexadecimal digits.

    Raises:
        ProbeError: an image cannot be read, or labels or tensors hold something that has no stable
            content (an object that is neither plain data nor an array).
    """
    key = hashlib.sha256()
    _feed(key, _VERSION, "")
    for probe in probes:
        where = f"probe {probe.id!r}"
        _feed(key, probe.id, where)
        _feed(key, probe.prompt, where)
        # One image is written as itself, as it was before there could be several: old keys still match.
        shown = [image.digest() for image in probe.images]
        _feed(key, shown if len(shown) > 1 else next(iter(shown), None), where)
        _feed(key, probe.cluster, where)
        _feed(key, probe.answer, where)
        _feed(key, probe.labels, f"{where}, labels")
        _feed(key, probe.tensors, f"{where}, tensors")
        # What most probes do not have is written only where it is, for the same reason.
        if probe.turns:
            _feed(key, [[turn.role, turn.text, turn.images] for turn in probe.turns], where)
        if any(image.background for image in probe.images):
            _feed(key, {"background": [image.background for image in probe.images]}, where)
    return key.hexdigest()


def _feed(key: hashlib._Hash, value: Any, where: str) -> None:
    """Adds a value, kind and length before the content, so that no two values run together."""
    if value is None or isinstance(value, bool | int | float):
        _add(key, type(value).__name__, repr(value).encode())
    elif isinstance(value, str):
        _add(key, "str", value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, Mapping):
        _add(key, "mapping", str(len(value)).encode())
        for name in sorted(value, key=str):
            _feed(key, name, where)
            _feed(key, value[name], f"{where}[{name!r}]")
    elif isinstance(value, list | tuple):
        _add(key, "sequence", str(len(value)).encode())
        for index, item in enumerate(value):
            _feed(key, item, f"{where}[{index}]")
    elif hasattr(value, "dtype") and hasattr(value, "shape"):
        data = _array_bytes(value, where)
        _add(key, f"array {value.dtype} {tuple(value.shape)}", data)
    else:
        raise ProbeError(
            f"{where}: a {type(value).__name__} has no content key. "
            f"Use numbers, text, lists, mappings or arrays."
        )


def _add(key: hashlib._Hash, kind: str, content: bytes) -> None:
    key.update(f"{kind} {len(content)}:".encode())
    key.update(content)


def _array_bytes(array: Any, where: str) -> bytes:
    """The values of a NumPy array or torch tensor in C order, without importing either."""
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        if array.dtype.is_floating_point:
            # NumPy has no bfloat16. Widening is exact, and the dtype itself is part of the key.
            array = array.double()
        array = array.numpy()
    if array.dtype.hasobject:
        raise ProbeError(f"{where}: an array of objects has no content key. Use numbers.")
    data: bytes = array.tobytes()
    return data
