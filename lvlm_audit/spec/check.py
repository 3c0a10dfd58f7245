"""Check: one declared expectation, as data; and what its declaration may contain."""

from __future__ import annotations

import builtins
import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from lvlm_audit.document import Severity, Stage
from lvlm_audit.errors import CheckError
from lvlm_audit.interventions.named import Skip
from lvlm_audit.lenses.registry import LENSES
from lvlm_audit.metrics.curves import Metric
from lvlm_audit.properties import Property
from lvlm_audit.settings.reading import LensName
from lvlm_audit.statistics import Side

Unit = Literal["images", "tokens", "answers", "mean", "average", "difference"]
RATES: frozenset[str] = frozenset({"images", "tokens", "answers", "difference"})
"""Units of shares; the others are of quantities."""
Tokens = Literal["eligible", "content"]
Against = Literal["correct", "baseline"]


@dataclass(frozen=True, slots=True)
class Quorum:
    """What the observed value is held against.

    Attributes:
        side: ">=" or "<=".
        value: the bound, in the unit of what is observed; None of a description, which has none.
        of: how tokens become the observed value, always with images as the unit of resampling:
            "images": share of images in which at least half of the counted tokens hold;
            "tokens": share of all counted tokens that hold;
            "answers": share of answers that hold, for properties of an answer as a whole;
            "mean": mean over images of the image's median token (for quantities);
            "average": mean over images of the mean of the image's tokens (for quantities);
            "difference": share of tokens that hold, minus the same share of what it is held `against`.
    """

    side: Side
    value: float | None
    of: Unit


def at_least(value: float, *, of: Unit) -> Quorum:
    """The observed value must be at least `value`.

    Example:
        >>> lvlm_audit.at_least(0.6, of="images")
        Quorum(side='>=', value=0.6, of='images')
    """
    return Quorum(">=", value, of)


def at_most(value: float, *, of: Unit) -> Quorum:
    """The observed value must be at most `value`.

    Example:
        >>> lvlm_audit.at_most(0.1, of="mean").side
        '<='
    """
    return Quorum("<=", value, of)


def described(of: Unit) -> Quorum:
    """No bound: the observed value is described and not judged, unless it is held against a baseline.

    Example:
        >>> lvlm_audit.described(of="tokens").value is None
        True
    """
    return Quorum(">=", None, of)


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation. Its name is the name of the variable that holds it in its file.

    Attributes:
        statement: what must hold, one sentence in plain words.
        stage: the stage of evolution that it speaks about.
        metric: the curve that is looked at.
        property: what must be true of the curve, or the quantity that is read off it.
        holds_for: the bound on the observed value.
        rationale: why the bound is what it is.
        tokens: which tokens count: "eligible", or "content" words only.
        severity: an error-severity check decides the exit code.
        lens: the lens that it must be read through; None: the run's.
        allow_inconclusive: an undecided error-severity check lets the run pass all the same.
        against: of a difference, the other share: "correct" tokens, the first being of hallucinated ones, by
            the probes' labels; or the "baseline"'s tokens (`--lvlm-baseline`), on the images of both.
        max_drop: against a baseline (`--lvlm-baseline`), how much less may be observed: points of a rate
            (0.05 is 5 points), a share of the baseline's value of a quantity (0.2 is a fifth of it), and
            bits of a metric that is a logarithm of a likelihood (0.32 is a fifth of the likelihood).
        max_rise: the same of what must not become more.
        under: the skip set whose effect is looked at; for metrics of an effect, and only for them.
        name: set when the suite is loaded.
        source: file that declares it, set when the suite is loaded.

    Raises:
        CheckError: a field that is not of its kind, or property, quorum and metric that do not fit
            each other.

    Example:
        >>> check = lvlm_audit.Check(
        ...     "The answer forms.",
        ...     stage=lvlm_audit.Stage.RAPID_EVOLUTION,
        ...     metric=lvlm_audit.metrics.token_probability,
        ...     property=lvlm_audit.properties.Rise(),
        ...     holds_for=lvlm_audit.at_least(0.6, of="images"),
        ...     rationale="Our checkpoints all do it.",
        ... )
        >>> check.unit
        'share of images'
    """

    statement: str
    stage: Stage
    metric: Metric
    property: Property
    holds_for: Quorum
    rationale: str
    tokens: Tokens = "eligible"
    severity: Severity = Severity.ERROR
    lens: LensName | None = None
    allow_inconclusive: bool = False
    against: Against | None = None
    under: Skip | None = None
    max_drop: float | None = None
    max_rise: float | None = None
    name: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        label = self.name or self.statement
        if not self.statement.strip() or not self.rationale.strip():
            raise CheckError(f"check {label!r}: statement and rationale must say something.")
        self._check_kinds(label)
        self._check_units(label)
        if self.property.statement != (self.holds_for.of in RATES):
            kind = "a statement" if self.property.statement else "a quantity"
            wanted = "images or tokens" if self.property.statement else "mean"
            raise CheckError(
                f"check {label!r}: {type(self.property).__name__} is {kind}, so holds_for must be a "
                f"bound of {wanted}, not of {self.holds_for.of!r}."
            )
        if self.metric.whole != (self.holds_for.of == "answers"):
            raise CheckError(
                f"check {label!r}: {self.metric.name!r} cannot be of {self.holds_for.of!r}: metrics of whole "
                f'answers are of "answers", and only they.'
            )
        self._check_against(label)
        least, bound = (-1 if self.against else 0), self.holds_for.value
        if bound is not None and self.property.statement and not least < bound < 1:
            raise CheckError(
                f"check {label!r}: a share of {bound} can never be decided by a "
                f"sample; choose a bound inside ({least}, 1)."
            )
        if (self.metric.needs == "effects") != isinstance(self.under, Skip):
            raise CheckError(
                f"check {label!r}: a metric of an effect needs under=Skip(...), and no other takes it; "
                f"{self.metric.name!r} reads {self.metric.needs}, under is {self.under!r}."
            )
        if self.metric.needs not in ("answers", "effects") and self.tokens != "content":
            raise CheckError(
                f"check {label!r}: {self.metric.name} is read off replays, where only content words "
                f'are told apart; declare tokens="content".'
            )
        self._check_tolerance(label)

    def _check_tolerance(self, label: str) -> None:
        given = {"max_drop": self.max_drop, "max_rise": self.max_rise}
        said = {name: value for name, value in given.items() if value is not None}
        if len(said) > 1:
            raise CheckError(
                f"check {label!r}: max_drop and max_rise are both given; a change for the worse has one "
                f"direction."
            )
        if said and self.against is not None:
            raise CheckError(
                f"check {label!r}: a difference (against={self.against!r}) takes no {' or '.join(said)}."
            )
        everything = math.inf if self.max_rise is not None or self.tolerance == "absolute" else 1.0
        for name, value in said.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise CheckError(f"check {label!r}: {name} must be a number, not {value!r}.")
            if not 0 < value < everything:
                raise CheckError(
                    f"check {label!r}: {name}={value} tolerates nothing or everything; give points of a rate "
                    f"(0.05), a share of the baseline's value (0.2), or bits of a likelihood (0.32)."
                )

    def _check_kinds(self, label: str) -> None:
        """Python takes any value for a field; a severity that is mere text would decide nothing."""
        for name, kind in (("stage", Stage), ("severity", Severity), ("metric", Metric)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise CheckError(
                    f"check {label!r}: {name} must be a {kind.__name__}, not {value!r}."
                )
        if isinstance(self.property, type) or not hasattr(self.property, "observe"):
            raise CheckError(
                f"check {label!r}: property must be a property such as Rise(), not {self.property!r}."
            )
        if not isinstance(self.holds_for, Quorum):
            raise CheckError(
                f"check {label!r}: holds_for must be at_least(...) or at_most(...), "
                f"not {self.holds_for!r}."
            )
        for name, value, known in (
            ("holds_for", self.holds_for.side, get_args(Side)),
            ("holds_for", self.holds_for.of, get_args(Unit)),
            ("tokens", self.tokens, get_args(Tokens)),
            ("against", self.against, (*get_args(Against), None)),
            ("lens", self.lens, (*LENSES.names(), None)),
        ):
            if value not in known:
                words = ", ".join(map(repr, known))
                raise CheckError(f"check {label!r}: {name} says {value!r}; use one of {words}.")
        bound = self.holds_for.value
        if bound is not None and not math.isfinite(bound):
            raise CheckError(f"check {label!r}: {bound} is no bound.")

    def _check_against(self, label: str) -> None:
        if (self.holds_for.of == "difference") != (self.against is not None):
            raise CheckError(
                f"check {label!r}: a bound of a difference needs against= one of "
                f"{', '.join(map(repr, get_args(Against)))}, and no other bound takes it."
            )
        if self.against is not None and self.metric.needs != "answers":
            raise CheckError(
                f"check {label!r}: {self.metric.name!r} is read off {self.metric.needs}; a difference is one "
                f"of answers."
            )
        if self.against == "baseline" and self.metric.read_back is None:
            raise CheckError(
                f"check {label!r}: an audit's document does not hold {self.metric.name!r}, so a baseline "
                f"cannot be read. Use a metric with read_back, such as late_reversal."
            )

    def _check_units(self, label: str) -> None:
        """A bound in bits says nothing about a number in another unit."""
        units = getattr(self.property, "bounds_in", None)
        if units is not None and self.metric.unit not in units:
            name = type(self.property).__name__
            raise CheckError(
                f"check {label!r}: {name} holds its bounds against {' or '.join(sorted(units))}, but "
                f"{self.metric.name!r} is in {self.metric.unit}. Use another metric, or state the bound "
                f'in its own unit: property=Value(), holds_for=at_most(..., of="mean").'
            )

    # A field of this class is named `property`, as declarations read best.
    @builtins.property
    def unit(self) -> str:
        """Unit of the observed value and of the bound."""
        if self.holds_for.of not in RATES:
            return self.property.unit or self.metric.unit
        if self.holds_for.of == "difference":
            return "difference of shares"
        return f"share of {self.holds_for.of}"

    @builtins.property
    def bounded(self) -> bool:
        """Whether it is judged by itself; otherwise it is described, or held against a baseline alone."""
        return self.holds_for.value is not None

    @builtins.property
    def tolerance(self) -> Literal["points", "share", "absolute"]:
        """What `max_drop` and `max_rise` are: points of a rate, a share of a quantity, or bits."""
        if self.holds_for.of in RATES:
            return "points"
        return "absolute" if self.metric.logarithmic else "share"

    def _tolerated(self) -> dict[str, Any]:
        given = {"max_drop": self.max_drop, "max_rise": self.max_rise}
        said: dict[str, Any] = {n: value for n, value in given.items() if value is not None}
        if not said:
            return {}
        # What lies at the end of the support is the worst that can be observed. JSON has no infinity.
        ends = (0.0, 1.0) if self.holds_for.of in RATES else self.support
        support = [end if math.isfinite(end) else None for end in ends]
        return {**said, "tolerance": self.tolerance, "support": support}

    @builtins.property
    def reads_truth(self) -> bool:
        """Whether a bound is held against words whose truth labels know; much is recorded for their sake."""
        return (self.metric.truth and self.bounded) or self.against == "correct"

    @builtins.property
    def support(self) -> tuple[float, float]:
        """Least and greatest value that can be observed."""
        return self.property.support or self.metric.support

    def declared(self) -> dict[str, Any]:
        """The declaration as plain data, for the document."""
        parameters: dict[str, Any] = {}
        if dataclasses.is_dataclass(self.property) and not isinstance(self.property, type):
            parameters = dataclasses.asdict(self.property)
        return {
            "metric": self.metric.name,
            "property": type(self.property).__name__,
            "parameters": parameters,
            "holds_for": dataclasses.asdict(self.holds_for),
            "tokens": self.tokens,
            "lens": self.lens,
            "allow_inconclusive": self.allow_inconclusive,
            **({} if self.against is None else {"against": self.against}),
            **self._tolerated(),
            **({} if self.under is None else {"under": self.under.label}),
        }
