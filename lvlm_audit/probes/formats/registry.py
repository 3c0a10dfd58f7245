"""All formats of probe files: ours, and those of third parties.

A third party registers one by `register_probe_format` in a file that is imported anyway, or offers it in an
installed package under the entry point group `lvlm_audit.probe_formats`:

    [project.entry-points."lvlm_audit.probe_formats"]
    my_format = "my_package:my_format"      # a ProbeFormat
"""

from __future__ import annotations

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.formats import (
    amber,
    chair,
    conversations,
    hallusion,
    jsonl,
    lmms_eval,
    messages,
    pope,
    questions,
)
from lvlm_audit.probes.formats.format import ProbeFormat
from lvlm_audit.registry import Registry

GROUP = "lvlm_audit.probe_formats"

AUTO = "auto"
"""Tell by the file's content."""

FORMATS: Registry[ProbeFormat] = Registry(
    "probe format",
    ProbeFormat,
    GROUP,
    ProbeError,
    (
        ProbeFormat("pope", pope.KEYS, pope.drafts, "POPE"),
        ProbeFormat("amber", amber.KEYS, amber.drafts, "AMBER"),
        ProbeFormat("chair", chair.KEYS, chair.drafts, "CHAIR output"),
        ProbeFormat("hallusion", hallusion.KEYS, hallusion.drafts, "HallusionBench"),
        ProbeFormat("messages", messages.KEYS, messages.drafts, "chat messages"),
        ProbeFormat(
            "conversations",
            conversations.KEYS,
            conversations.drafts,
            "LLaVA or ShareGPT conversations",
        ),
        ProbeFormat("openai-batch", messages.BATCH_KEYS, messages.batch_drafts, "an OpenAI batch"),
        ProbeFormat("lmms-eval", lmms_eval.KEYS, lmms_eval.drafts, "a sample log of lmms-eval"),
        # `detect` recognises its files otherwise than by their keys.
        ProbeFormat("questions", frozenset(), questions.drafts, "a question file (LLaVA-Bench)"),
        ProbeFormat("jsonl", frozenset({"image", "prompt"}), jsonl.drafts, "our own format"),
    ),
)


def format_names() -> tuple[str, ...]:
    """What a format may be called: "auto" and every known one."""
    return (AUTO, *FORMATS.names())


def register_probe_format(made: ProbeFormat) -> ProbeFormat:
    """Makes a format known by its name; registering the same one again changes nothing.

    Raises:
        ProbeError: it is no `ProbeFormat`, or another one has that name.
    """
    return FORMATS.register(made)
