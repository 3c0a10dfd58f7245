"""Every setting, declared once: what it is, what it means, and what may be given.

Light, because pytest imports it in every run on the machine: no dataclass, nothing but the standard library.
The typed views are `settings.audit.Settings`, `settings.files.Files` and `settings.pruning.Wanted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

REQUIRED = object()
"""As a default: there is none, the setting has to be given."""


class Declared:
    """What is known of a setting.

    Attributes:
        kind: what a value is: "text", a "path", a "whole" number, a "number", a "flag", or
            "files": FORMAT=FILE, which can be given more than once.
        help: one line, without a full stop.
        default: None: nothing was chosen.
        metavar: what a value is called in help and tables.
        choices: the values that there are; empty: any.
        registry: where others' choices are registered, as "module:object" (a `lvlm_audit.registry.Registry`);
            looked up when a value is none of ours, so that this room imports nothing. Empty: there are none.
        least: the least number.
        too_small: what is wrong with a smaller one.
        aliases: other words for a choice.
    """

    __slots__ = (
        "aliases",
        "choices",
        "default",
        "help",
        "kind",
        "least",
        "metavar",
        "registry",
        "too_small",
    )

    def __init__(
        self,
        kind: str,
        help: str,
        *,
        default: object = None,
        metavar: str = "",
        choices: Sequence[str] = (),
        registry: str = "",
        least: int | None = None,
        too_small: str = "",
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.help = help
        self.default = default
        self.metavar = metavar
        self.choices = tuple(choices)
        self.registry = registry
        self.least = least
        self.too_small = too_small
        self.aliases = aliases or {}

    @property
    def values(self) -> str:
        """What may be given, as help and tables write it."""
        known = (*self.choices, "...") if self.registry else self.choices
        return "{" + ",".join(known) + "}" if known else self.metavar


AUDIT: Mapping[str, Declared] = {
    "model": Declared(
        "text",
        "checkpoint folder, hub id or alias (llava-1.5-7b); without it the demo model",
        metavar="MODEL",
    ),
    "probes": Declared(
        "path",
        "folder of images (all are asked one question), JSONL, or a file of a known format (docs/probes.md); "
        "without it a bundled set",
        metavar="PATH",
    ),
    "probe_format": Declared(
        "text",
        "of the probe file (docs/probes.md); auto tells by its content",
        metavar="FORMAT",
        default="auto",
    ),
    "image_folder": Declared(
        "path",
        "what the probe file's image paths are relative to; without it the file's own folder",
        metavar="DIR",
    ),
    "adapter": Declared(
        "path",
        "PEFT adapter (LoRA and its kin, safetensors) that goes over the model",
        metavar="FOLDER",
    ),
    "revision": Declared("text", "branch, tag or commit of a hub model", metavar="REVISION"),
    "lens": Declared(
        "text",
        "final norm before the head at every state (normed), the paper's raw reading (raw), or a lens that "
        "a package or a conftest.py registers",
        choices=("normed", "raw"),
        registry="lvlm_audit.lenses.registry:LENSES",
        default="normed",
    ),
    "divergence": Declared(
        "text",
        "between neighbouring states: Jensen-Shannon in bits (jsd), or what the paper's code computes, in a "
        "unit of its own (paper_index)",
        choices=("jsd", "paper_index"),
        default="jsd",
    ),
    "scaling": Declared(
        "text",
        "of the report's heat maps: none, or each transition by its own maximum (paper); nothing is located or "
        "judged on scaled values",
        choices=("none", "paper"),
        default="none",
    ),
    "answers": Declared(
        "text",
        "audit the model's own answers (generated), or replay each probe's own answer (reference)",
        choices=("generated", "reference"),
        default="generated",
    ),
    "control": Declared(
        "text",
        "take the image away, blank it or swap it before anything is recorded",
        choices=("text-only", "blank-image", "swapped-image"),
    ),
    "compare_llm": Declared(
        "flag",
        "ask every distinct prompt without an image too, and compare the stages",
        default=False,
    ),
    "redecode": Declared(
        "flag",
        "answer labelled probes again with DoLa, with DeCo and with mutation blocks skipped; report which "
        "hallucinated words that corrects and which correct ones it breaks",
        default=False,
    ),
    "max_new_tokens": Declared(
        "whole",
        "longest answer, in tokens",
        metavar="N",
        least=1,
        too_small="records nothing",
        default=48,
    ),
    "device": Declared(
        "text",
        "auto, cpu, cuda, cuda:1, ...; map spreads blocks over accelerators, memory and disk (accelerate)",
        metavar="DEVICE",
        default="auto",
    ),
    "dtype": Declared(
        "text",
        "of the weights; auto: the checkpoint's own. The lens computes in float32 in any case",
        choices=("auto", "float32", "bfloat16", "float16"),
        aliases={"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"},
        default="auto",
    ),
    "batch_size": Declared(
        "whole", "probes generated together", metavar="N", least=1, too_small="is empty", default=8
    ),
    "seed": Declared(
        "whole",
        "of the resampling; decoding is greedy and needs none",
        metavar="N",
        least=0,
        too_small="is negative",
        default=0,
    ),
    "trust_remote_code": Declared(
        "flag",
        "run code that comes with the checkpoint; only for checkpoints that you trust",
        default=False,
    ),
}
"""Model, probes, and how they are asked and read."""

FILES: Mapping[str, Declared] = {
    "report": Declared("path", "write the HTML report there", metavar="FILE.html"),
    "json": Declared("path", "write the document there", metavar="FILE.json"),
    "write": Declared(
        "files",
        "write the document in this format there (html, json, or one that a package or a conftest.py "
        "registers); can be given more than once",
        default=(),
        metavar="FORMAT=FILE",
    ),
}
"""What is written."""

GATE: Mapping[str, Declared] = {
    "baseline": Declared(
        "text",
        "what the model is held against: an earlier audit's document, or a model (folder, hub id, alias), "
        "which is asked the same probes",
        metavar="FILE.json|MODEL",
    ),
    "fail_on": Declared(
        "text",
        "what fails the run: a loss against the baseline that is shown (regression), a check that does not "
        "hold (absolute), either (both), or a loss that is not excluded (not-excluded); without this setting "
        "regression where there is a baseline, else absolute",
        choices=("regression", "absolute", "both", "not-excluded"),
    ),
    "inconclusive": Declared(
        "text",
        "undecided deciding checks: pass and are named (warn), end the run with exit code 6 (fail), or "
        "more images are asked, in three looks (more); without this setting warn where there is a baseline, "
        "else fail",
        choices=("warn", "fail", "more"),
    ),
    "baseline_allow_mismatch": Declared(
        "flag",
        "compare although probes, lens, divergence, control, longest answer or seed differ from the baseline's",
        default=False,
    ),
    "update_baseline": Declared(
        "flag",
        "when the run is green, write its document in the baseline's place; the first baseline is kept "
        "beside it as an anchor that is judged too",
        default=False,
    ),
}
"""What the model is held against, and what turns the run red."""

PRUNING: Mapping[str, Declared] = {
    "budget": Declared(
        "number",
        "largest loss allowed, in the measure's unit",
        metavar="B",
        least=0,
        too_small="is no bound",
        default=REQUIRED,
    ),
    "measure": Declared(
        "text",
        "kl: bits a token; disagreement: share of tokens; accuracy: share of right answers lost",
        choices=("kl", "disagreement", "accuracy"),
        default="kl",
    ),
    "max_blocks": Declared(
        "whole",
        "largest set; without it a quarter of the depth",
        metavar="N",
        least=1,
        too_small="removes nothing",
    ),
    "export": Declared("path", "write the pruned checkpoint there", metavar="DIR"),
}
"""What a pruning plan is asked for."""

MODE = Declared(
    "text",
    "paper: raw lens, paper_index and paper scaling together, as the published code has it",
    choices=("paper",),
)
"""No field of its own: it sets three."""


def add_options(
    add: Callable[..., Any],
    known: Mapping[str, Declared],
    *,
    prefix: str = "--",
    only: Iterable[str] | None = None,
) -> None:
    """Add an option for each declared setting. None is what an option that was not given has.

    Values are checked when settings are made of them (`settings.checking.checked`), so that every command
    line says the same of a wrong one.

    Args:
        add: `addoption` of a pytest group, or `add_argument` of an argparse parser.
        known: what is declared.
        prefix: of every option.
        only: these settings alone, in this order.
    """
    for name in known if only is None else only:
        declared = known[name]
        flag = prefix + name.replace("_", "-")
        if declared.kind == "flag":
            add(flag, action="store_const", const=True, default=None, help=declared.help)
            continue
        needed = {"required": True} if declared.default is REQUIRED else {}
        again: dict[str, Any] = {"action": "append"} if declared.kind == "files" else {}
        shown = (
            "" if needed or declared.default in (None, ()) else f" (default: {declared.default})"
        )
        # argparse reads % as the start of a placeholder.
        text = (declared.help + shown).replace("%", "%%")
        add(flag, default=None, metavar=declared.values, help=text, **needed, **again)
