"""The machine that computed: what rounding depends on beside the model and the probes."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import torch

_CPU_INFO = Path("/proc/cpuinfo")


def machine(device: torch.device) -> dict[str, Any]:
    """Threads, processor, libraries, device and versions, as a document keeps them.

    Args:
        device: where the model is.
    """
    import transformers

    return {
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count() or 0,
        "cpu": cpu_name(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "blas": blas_of(torch.__config__.show()),
        "device": _device(device),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def cpu_name() -> str:
    """The processor's name; its architecture where the system does not say more."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", _CPU_INFO.read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def blas_of(build: str) -> str:
    """The library of matrix products, out of what torch says of its build."""
    named = re.search(r"BLAS_INFO=(\w+)", build)
    version = re.search(r"Math Kernel Library Version (\S+?)-", build)
    if named is None:
        return "unknown"
    return f"{named[1]} {version[1]}" if version and named[1] == "mkl" else named[1]


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
