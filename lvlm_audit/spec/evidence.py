"""Evidence: everything recorded for one audit through one lens, as checks see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lvlm_audit.document import Audit
from lvlm_audit.interventions.named import Skip
from lvlm_audit.lenses.lens import LensName
from lvlm_audit.metrics.curves import Needs
from lvlm_audit.short_repr import ShortRepr
from lvlm_audit.traces.effects import EffectTrace
from lvlm_audit.traces.features import FeatureMap, FeatureTrace
from lvlm_audit.traces.image_words import ImageWords
from lvlm_audit.traces.redecoded import Redecoded
from lvlm_audit.traces.trace import PairedTrace, Trace

Item = Trace | PairedTrace | EffectTrace


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Effects(ShortRepr):
    """What a skip set did to the answers.

    Attributes:
        items: one for each probe that the set could be formed for, in order.
        reason: why it could not be formed for some or all; empty otherwise.
    """

    items: Sequence[EffectTrace] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evidence(ShortRepr):
    """Recordings of one set of probes.

    Attributes:
        lens: how states were read.
        traces: one for each probe, in order.
        answer_pairs: paired replays of the answers; empty when not required or not possible.
        reference_pairs: paired replays of reference answers, for the probes that have one.
        features: states of some answers; no check reads them, stages and report do.
        common_step: states of every image at one step.
        feature_maps: pictures of both.
        no_image_pairs: paired replays of the answers without any image; empty when not possible.
        no_image_reason: why there are none, where the model said so; else empty.
        image_words: what the images' own positions say of the answers; no check reads them, signals do.
        image_words_reason: why there are none, where the model said so; else empty.
        text_answers: one for each distinct prompt, asked without any image; for comparing the model
            with the language model inside it.
        effects: of each skip set that was asked for.
        baseline: an earlier audit that this one is held against, if one was given.
        redecoded: labelled probes asked anew under other decodings; no check reads them, the report does.
    """

    lens: LensName
    traces: Sequence[Trace]
    answer_pairs: Sequence[PairedTrace] = ()
    reference_pairs: Sequence[PairedTrace] = ()
    features: Sequence[FeatureTrace] = ()
    common_step: Sequence[FeatureTrace] = ()
    feature_maps: Sequence[FeatureMap] = ()
    no_image_pairs: Sequence[PairedTrace] = ()
    no_image_reason: str = ""
    image_words: Sequence[ImageWords] = ()
    image_words_reason: str = ""
    text_answers: Sequence[Trace] = ()
    effects: Mapping[Skip, Effects] = field(default_factory=dict)
    baseline: Audit | None = None
    redecoded: Sequence[Redecoded] = ()

    def items(self, needs: Needs, under: Skip | None = None) -> Sequence[Item]:
        """The recordings of one kind; of effects, those of a skip set."""
        if under is not None:
            return self.effects.get(under, Effects()).items
        kinds: dict[Needs, Sequence[Item]] = {
            "answers": self.traces,
            "answer pairs": self.answer_pairs,
            "no-image pairs": self.no_image_pairs,
            "reference pairs": self.reference_pairs,
            "text answers": self.text_answers,
        }
        return kinds[needs]
