"""What an audit is asked to do, and which recordings its checks need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from lvlm_audit.auditing.modes import Mode, ScalingName
from lvlm_audit.errors import UsageError
from lvlm_audit.interventions.named import NAMES, Skip
from lvlm_audit.lenses.lens import LensName
from lvlm_audit.probes.controlled import CONTROLS, Control
from lvlm_audit.probes.formats.registry import AUTO, FORMATS, format_names
from lvlm_audit.spec.check import Check
from lvlm_audit.traces.trace import DivergenceName

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many probes are done, and how many there are."""

Answers = Literal["generated", "reference"]
ANSWERS: tuple[Answers, ...] = get_args(Answers)

Kind = Literal[
    "answers",
    "answer pairs",
    "reference pairs",
    "features",
    "common step",
    "feature maps",
    "image words",
    "text answers",
    "effects",
    "redecoded",
]
"""Kinds of recording, each after those that it is made of: what a metric can need, and the states.

The last kinds depend on what the answers say: which blocks a skip set is, is known once they are there."""

STATES: Sequence[Kind] = ("features", "common step", "feature maps")
"""Kinds that no check reads: stages and report do."""

DEVICES = ("auto", "map", "cpu", "cuda", "mps", "xpu")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a person can choose about a run.

    Attributes:
        model: checkpoint folder, hub id or alias; None: the demo model.
        probes: folder of images or probe file; None: the bundled set.
        probe_format: of a probe file; "auto" tells by its content.
        image_folder: what a probe file's image paths are relative to; None: its own folder.
        lens: how states are read.
        divergence: what the report shows and the distribution level reads between neighbouring states.
        scaling: how the report's heat maps are scaled; nothing is located or judged on scaled values.
        device: "auto" or a torch device.
        dtype: of the weights; "auto" is the checkpoint's own.
        max_new_tokens: longest answer, in tokens.
        batch_size: probes generated together.
        seed: of resampling; decoding is greedy and needs none.
        trust_remote_code: run code that comes with the checkpoint.
        revision: branch, tag or commit of a hub model; None: its main branch.
        adapter: folder of a PEFT adapter that goes over the weights.
        answers: "generated" by the model, or each probe's own "reference" answer, replayed.
        control: change what is shown before anything is recorded; None shows the images as they are.
        compare_llm: ask every prompt without an image too, and compare.
        redecode: ask labelled probes anew under other decodings and with mutation blocks skipped, and
            report which hallucinated words that corrects and which correct ones it breaks.

    Raises:
        UsageError: a value that cannot be used.
    """

    model: str | None = None
    probes: Path | None = None
    probe_format: str = AUTO
    image_folder: Path | None = None
    lens: LensName = "normed"
    divergence: DivergenceName = "jsd"
    scaling: ScalingName = "none"
    device: str = "auto"
    dtype: str = "auto"
    max_new_tokens: int = 48
    batch_size: int = 8
    seed: int = 0
    trust_remote_code: bool = False
    answers: Answers = "generated"
    control: Control | None = None
    compare_llm: bool = False
    revision: str | None = None
    adapter: Path | None = None
    redecode: bool = False

    @property
    def mode(self) -> Mode:
        """Lens, divergence and scaling together."""
        return Mode(self.lens, self.divergence, self.scaling)

    def __post_init__(self) -> None:
        # Made for its refusal of names that are not known.
        Mode(self.lens, self.divergence, self.scaling)
        _member("dtype", self.dtype, DTYPES)
        _member("answers", self.answers, ANSWERS)
        if self.probe_format != AUTO and self.probe_format not in FORMATS:
            _member("probe-format", self.probe_format, format_names())
        if self.probes is None and (self.probe_format != "auto" or self.image_folder is not None):
            option = "--lvlm-image-folder" if self.image_folder else "--lvlm-probe-format"
            raise UsageError(f"{option} is about a probe file: name it with --lvlm-probes.")
        if self.device.split(":")[0] not in DEVICES:
            raise UsageError(
                f"--lvlm-device {self.device!r} is not a device. Choose one of "
                f"{', '.join(DEVICES)}, with an index if need be (cuda:1)."
            )
        if self.model is None and (self.adapter is not None or self.revision is not None):
            option = "--lvlm-adapter" if self.adapter is not None else "--lvlm-revision"
            raise UsageError(f"{option} belongs to a model: name it with --lvlm-model.")
        if self.max_new_tokens < 1:
            raise UsageError(
                f"--lvlm-max-new-tokens {self.max_new_tokens} records nothing; give at least 1."
            )
        if self.batch_size < 1:
            raise UsageError(f"--lvlm-batch-size {self.batch_size} is empty; give at least 1.")
        if self.seed < 0:
            raise UsageError(f"--lvlm-seed {self.seed} is negative; give 0 or more.")
        if self.answers == "reference" and (self.control == "text-only" or self.compare_llm):
            option = "--lvlm-compare-llm" if self.compare_llm else "--lvlm-control text-only"
            raise UsageError(
                f"{option} asks without an image, where reference answers belong to none. Drop "
                f"--lvlm-answers reference."
            )
        if self.redecode and (self.answers == "reference" or self.control is not None):
            option = (
                f"--lvlm-control {self.control}" if self.control else "--lvlm-answers reference"
            )
            raise UsageError(
                f"--lvlm-redecode holds other decodings against the model's own greedy answers to its "
                f"probes' images, which {option} replaces. Drop one of the two."
            )
        if self.control is not None:
            _member("control", self.control, CONTROLS)
            if self.compare_llm:
                raise UsageError(
                    f"--lvlm-compare-llm compares the model with its images; under --lvlm-control "
                    f"{self.control} it has none of its own. Drop one of the two."
                )


@dataclass(frozen=True, slots=True)
class Need:
    """One recording that has to exist: a kind, through a lens.

    "no-image pairs" are no recording of their own: they share the run with the image, and so the
    recording, with "answer pairs".
    """

    lens: LensName
    kind: Kind
    skip: Skip | None = None
    """Of effects: under which skip set."""
    paper_index: bool = field(default=False, compare=False)
    """Answers hold `Trace.paper_index`. There is one recording of answers a lens, with it or without."""


def plan(
    checks: Iterable[Check],
    lens: LensName,
    *,
    states: bool = True,
    compare_llm: bool = False,
    labelled: bool = False,
    redecode: bool = False,
) -> list[Need]:
    """The recordings that checks need, base answers first.

    Answers through the run's lens, their replays and hidden states are recorded whatever the checks need:
    stages, the grounding curve and the report are read off them.

    Args:
        checks: of the suite.
        lens: the run's.
        states: without them only what the checks need is recorded, and answers.
        compare_llm: whether every prompt is asked without an image too.
        labelled: whether a probe's words are labelled right or wrong. Where a check reads such labels, what
            the image's own words say is recorded, which costs as much as all the rest, and what is answered
            without an image, which tells errors of the language prior from misreadings.
        redecode: whether labelled probes are asked anew, decoded otherwise and without mutation blocks.
    """
    checks = list(checks)
    wanted = {Need(lens, "answers")}
    if states:
        wanted |= {Need(lens, "answer pairs"), *(Need(lens, kind) for kind in STATES)}
    if compare_llm:
        wanted.add(Need(lens, "text answers"))
    if labelled and any(check.reads_truth for check in checks):
        wanted |= {
            Need(lens, "answer pairs"),
            Need(lens, "image words"),
            Need(lens, "text answers"),
        }
    if redecode:
        mutation: Sequence[Skip] = (Skip("skip.2"), Skip("skip.2", "paper"))
        wanted |= {Need(lens, "redecoded"), *(Need(lens, "effects", skip) for skip in mutation)}
    for check in checks:
        through, kind = check.lens or lens, check.metric.needs
        if kind == "no-image pairs":
            kind = "answer pairs"
        wanted |= {Need(through, "answers"), Need(through, kind, check.under)}
        if check.under is not None:
            # A model without stages has no skip set of its own: the paper's, by depth, stand beside them.
            wanted |= {
                Need(through, kind, Skip(name, at)) for name in NAMES for at in ("nodes", "paper")
            }
    order = get_args(Kind)
    return sorted(
        wanted,
        key=lambda n: (n.lens != lens, n.lens, order.index(n.kind), n.skip.label if n.skip else ""),
    )


def with_paper_index(needs: Iterable[Need], checks: Iterable[Check], mode: Mode) -> list[Need]:
    """The same recordings, with the paper's index where the run's mode or a check reads it."""
    lenses = {mode.lens} if mode.divergence == "paper_index" else set()
    lenses |= {c.lens or mode.lens for c in checks if c.metric.optional == "paper_index"}
    return [
        dataclasses.replace(
            n, paper_index=n.kind in ("answers", "text answers") and n.lens in lenses
        )
        for n in needs
    ]


def _member(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(f"--lvlm-{name} {value!r} is not one of {', '.join(known)}.")
