"""Quiet: what transformers, the hub and others print while a checkpoint is opened helps nobody here."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_TALKATIVE = ("accelerate", "bitsandbytes", "peft", "torchao", "torch.utils._pytree")
"""Loggers of packages that come along: missing kernels, weights that lie on disk, deprecations."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silences what transformers and the hub say on the way: none of it a user could act on here."""
    from huggingface_hub import logging as hub_logging
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from transformers.utils import logging as transformers_logging

    others = {name: logging.getLogger(name) for name in _TALKATIVE}
    levels = {name: logger.level for name, logger in others.items()}
    for logger in others.values():
        logger.setLevel(logging.ERROR)
    level, hub_level = transformers_logging.get_verbosity(), hub_logging.get_verbosity()
    bars, hub_bars = (
        transformers_logging.is_progress_bar_enabled(),
        not are_progress_bars_disabled(),
    )
    transformers_logging.set_verbosity_error()
    hub_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    # Downloads take minutes: their bars are the one thing worth seeing, on a terminal.
    if hub_bars and sys.stderr.isatty():
        enable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, logger in others.items():
            logger.setLevel(levels[name])
        transformers_logging.set_verbosity(level)
        hub_logging.set_verbosity(hub_level)
        if bars:
            transformers_logging.enable_progress_bar()
        if hub_bars:
            enable_progress_bars()
        else:
            disable_progress_bars()
