"""The settings of an audit: model, probes, and how they are asked and read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from lvlm_audit.errors import UsageError
from lvlm_audit.settings.checking import checked, default
from lvlm_audit.settings.declared import AUDIT
from lvlm_audit.settings.reading import (
    DivergenceName,
    LensName,
    Mode,
    ScalingName,
    choose,
)
from lvlm_audit.settings.spelling import spelled

Answers = Literal["generated", "reference"]

Control = Literal["text-only", "blank-image", "swapped-image"]

DEVICES = ("auto", "map", "cpu", "cuda", "mps", "xpu")


class Chosen(TypedDict, total=False):
    """Settings as arguments in Python, all but model and probes; tests hold it against `Settings`."""

    probe_format: str
    image_folder: str | Path
    adapter: str | Path
    revision: str
    mode: Literal["paper"]
    lens: LensName
    divergence: DivergenceName
    scaling: ScalingName
    answers: Answers
    control: Control
    compare_llm: bool
    redecode: bool
    max_new_tokens: int
    device: str
    dtype: str
    batch_size: int
    seed: int
    trust_remote_code: bool


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that a person can choose about a run; each field is declared in `settings.declared`.

    Texts are taken as options and files give them (`max_new_tokens="48"`).

    Raises:
        UsageError: a value that cannot be used, or two that contradict each other.

    Example:
        >>> Settings(dtype="bf16").dtype
        'bfloat16'
    """

    model: str | None = default(AUDIT, "model")
    probes: Path | None = default(AUDIT, "probes")
    probe_format: str = default(AUDIT, "probe_format")
    image_folder: Path | None = default(AUDIT, "image_folder")
    adapter: Path | None = default(AUDIT, "adapter")
    revision: str | None = default(AUDIT, "revision")
    lens: LensName = default(AUDIT, "lens")
    divergence: DivergenceName = default(AUDIT, "divergence")
    scaling: ScalingName = default(AUDIT, "scaling")
    answers: Answers = default(AUDIT, "answers")
    control: Control | None = default(AUDIT, "control")
    compare_llm: bool = default(AUDIT, "compare_llm")
    redecode: bool = default(AUDIT, "redecode")
    max_new_tokens: int = default(AUDIT, "max_new_tokens")
    device: str = default(AUDIT, "device")
    dtype: str = default(AUDIT, "dtype")
    batch_size: int = default(AUDIT, "batch_size")
    seed: int = default(AUDIT, "seed")
    trust_remote_code: bool = default(AUDIT, "trust_remote_code")

    @property
    def mode(self) -> Mode:
        """Lens, divergence and scaling together."""
        return Mode(self.lens, self.divergence, self.scaling)

    def __post_init__(self) -> None:
        checked(self, AUDIT)
        if self.device.split(":")[0] not in DEVICES:
            raise UsageError(
                f"{spelled('device')} {self.device!r} is not a device. Choose one of "
                f"{', '.join(DEVICES)}, with an index if need be (cuda:1)."
            )
        self._refuse_orphans()
        self._refuse_contradictions()

    def _refuse_orphans(self) -> None:
        if self.probes is None and (self.probe_format != "auto" or self.image_folder is not None):
            which = "image_folder" if self.image_folder else "probe_format"
            raise UsageError(
                f"{spelled(which)} is about a probe file: name it with {spelled('probes')}."
            )
        if self.model is None and (self.adapter is not None or self.revision is not None):
            which = "adapter" if self.adapter is not None else "revision"
            raise UsageError(
                f"{spelled(which)} belongs to a model: name it with {spelled('model')}."
            )

    def _refuse_contradictions(self) -> None:
        if self.answers == "reference" and (self.control == "text-only" or self.compare_llm):
            which = spelled("compare_llm") if self.compare_llm else spelled("control", "text-only")
            raise UsageError(
                f"{which} asks without an image, where reference answers belong to none. Drop "
                f"{spelled('answers', 'reference')}."
            )
        if self.redecode and (self.answers == "reference" or self.control is not None):
            which = (
                spelled("control", self.control)
                if self.control
                else spelled("answers", "reference")
            )
            raise UsageError(
                f"{spelled('redecode')} compares other decodings with the model's own greedy answers to its "
                f"probes' images, which {which} replaces. Drop one of the two."
            )
        if self.control is not None and self.compare_llm:
            raise UsageError(
                f"{spelled('compare_llm')} compares the model with its images; under "
                f"{spelled('control', self.control)} it has none of its own. Drop one of the two."
            )


def settings_of(given: dict[str, Any], *, mode: str | None = None) -> Settings:
    """Settings from what was given; None stands for "not given".

    Args:
        given: values or texts by field.
        mode: the name of a mode (`settings.reading.MODES`), which sets lens, divergence and scaling.

    Raises:
        UsageError: as `Settings`, or the mode is not known or contradicted.
    """
    said = {name: value for name, value in given.items() if value is not None}
    read = {name: said.pop(name, None) for name in ("lens", "divergence", "scaling")}
    if mode is not None:
        chosen = choose(mode, **read)
        read = {name: getattr(chosen, name) for name in read}
    return Settings(**said, **{k: v for k, v in read.items() if v is not None})
