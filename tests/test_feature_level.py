"""The feature level on planted fan-outs, on autocorrelated nulls, and on states made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lvlm_audit.errors import TraceError
from lvlm_audit.metrics.geometry import spread
from lvlm_audit.stages import (
    FAN_OUT,
    INCONCLUSIVE,
    NO_PATTERN,
    NOT_MEASURED,
    find_stages,
    guitar,
    token_spread,
)
from lvlm_audit.traces.features import FeatureTrace
from lvlm_audit.traces.trace import Asked, TokenClass
from tests import synthetic
from tests.test_stages import shape

IMAGES = 8
PLACES = [
    (9, 3),
    (9, 6),
    (12, 5),
    (20, 3),
    (20, 14),
    (32, 20),
    (32, 29),
    (48, 24),
    (80, 40),
    (80, 77),
]


def planted(rng: np.random.Generator, blocks: int, state: int) -> np.ndarray:
    """[images, L+1] spread with a step, noise a tenth of it."""
    curves = np.full((IMAGES, blocks + 1), 0.1)
    curves[:, state:] = 0.4
    return np.clip(curves + rng.normal(0, 0.03, curves.shape), 0, 1)


@pytest.mark.parametrize(("blocks", "state"), PLACES)
def test_planted_fan_outs_are_recovered(blocks: int, state: int) -> None:
    rng = np.random.default_rng([blocks, state])
    found = [find_stages(features=planted(rng, blocks, state)) for _ in range(10)]
    assert {s.pattern for s in found} == {FAN_OUT}
    assert all(abs(s.critical_layer - state) <= 1 for s in found)
    reading = found[0].by_level["feature"]
    assert reading.critical.spread.low <= reading.critical.state <= reading.critical.spread.high


NULLS = ["ramp", "hump", "random walk", "rise without plateau"]


def claims(kind: str, shared: str, blocks: int, draws: int) -> float:
    """Share of draws in which a null is said to fan out."""
    rng = np.random.default_rng([blocks, len(kind), len(shared)])
    claimed = 0
    for _ in range(draws):
        rows = [shape(kind, blocks, rng) for _ in range(1 if shared == "all" else IMAGES)]
        curves = np.broadcast_to(rows, (IMAGES, blocks + 1))
        curves = np.clip(curves + rng.normal(0, 0.1, curves.shape), 0, 1)
        claimed += find_stages(features=curves).critical_layer is not None
    return claimed / draws


@pytest.mark.parametrize("blocks", [9, 12, 32])
@pytest.mark.parametrize("shared", ["all", "image"])
@pytest.mark.parametrize("kind", NULLS)
def test_autocorrelated_nulls_do_not_fan_out(kind: str, shared: str, blocks: int) -> None:
    assert claims(kind, shared, blocks, draws=60) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [9, 10, 12, 20, 32, 80])
@pytest.mark.parametrize("shared", ["all", "image"])
@pytest.mark.parametrize("kind", NULLS)
def test_autocorrelated_nulls_do_not_fan_out_in_400_draws(
    kind: str, shared: str, blocks: int
) -> None:
    assert claims(kind, shared, blocks, draws=400) <= 0.05


def features(
    states: np.ndarray, name: str, *, classes: list[TokenClass] | None = None, cluster: str = ""
) -> FeatureTrace:
    tokens = len(states)
    return FeatureTrace(
        asked=Asked(name, "What color is it?", cluster or name),
        token_ids=np.arange(tokens, dtype=np.int64),
        token_texts=(" blue",) * tokens,
        token_classes=tuple(classes or [TokenClass.CONTENT] * tokens),
        features=states.astype(np.float16),
    )


def fanning(seed: int, tokens: int = 6, blocks: int = 12, state: int = 7) -> np.ndarray:
    """[T, S, d] one direction for all tokens, then one for each; lengths grow with depth."""
    rng = np.random.default_rng(seed)
    x = np.zeros((tokens, blocks + 1, 24))
    x[..., 0] = 1
    for t in range(tokens):
        x[t, state:, 1 + t] = 1.5
    return (x + 0.05 * rng.normal(size=x.shape)) * 1.3 ** np.arange(blocks + 1)[None, :, None]


def test_states_that_fan_out_beside_the_other_levels() -> None:
    states = [features(fanning(k), f"p{k}") for k in range(6)]
    traces = [synthetic.trace(synthetic.rising(12, 7), name=f"p{k}") for k in range(6)]
    found = find_stages(traces, features=states)
    assert found.by_level["feature"].pattern == FAN_OUT
    assert found.by_level["feature"].critical_state == 7
    assert found.leading == "probability"
    assert found.levels_agree is True
    late = [features(fanning(k, state=3), f"p{k}") for k in range(6)]
    assert find_stages(traces, features=late).levels_agree is False
    assert find_stages(traces).by_level["feature"].pattern == NOT_MEASURED


def test_only_eligible_tokens_count_and_answers_of_one_image_are_one() -> None:
    kinds = [TokenClass.CONTENT] * 4 + [TokenClass.SPECIAL, TokenClass.CONTINUATION]
    one = features(fanning(0), "a", classes=kinds)
    other = features(fanning(1), "b", cluster="a")
    lone = features(fanning(2)[:1], "c")
    names, curves = token_spread([one, other, lone])
    assert names == ["a"]
    expected = (spread(one.features[:4]) + spread(other.features)) / 2
    np.testing.assert_allclose(curves, expected[None])


def test_tokens_that_stay_together_have_no_pattern() -> None:
    flat = find_stages(features=np.full((8, 33), 0.3))
    assert (flat.pattern, flat.critical_layer) == (NO_PATTERN, None)
    assert "do not fan out" in flat.evidence
    ramp = find_stages(features=np.broadcast_to(np.linspace(0, 1, 33), (8, 33)))
    assert "gradually" in ramp.evidence


def test_images_that_fan_out_at_different_states_share_no_node() -> None:
    curves = np.full((8, 33), 0.1)
    for i in range(8):
        curves[i, 8 if i % 2 else 24 :] = 0.4
    found = find_stages(features=curves)
    assert found.pattern == NO_PATTERN
    assert "lies elsewhere in the other" in found.evidence


@pytest.mark.parametrize("images", [1, 4])
def test_few_images_are_inconclusive_with_the_full_range(images: int) -> None:
    found = find_stages(features=planted(np.random.default_rng(0), 32, 20)[:images])
    assert (found.pattern, found.critical_layer) == (INCONCLUSIVE, None)
    node = found.by_level["feature"].critical.spread
    assert (node.low, node.high, node.method) == (0.0, 32.0, "full range")


def test_shallow_models_are_not_divided() -> None:
    assert "too shallow" in find_stages(features=planted(np.random.default_rng(0), 8, 4)).evidence


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(TraceError, match=r"features\[0, 1\] is nan"):
        find_stages(features=[[0.1, np.nan, 0.2]])
    with pytest.raises(TraceError, match="features have 4 blocks, the other levels 12"):
        find_stages([synthetic.trace(synthetic.rising(12, 6))], features=np.full((6, 5), 0.1))
    with pytest.raises(TraceError, match="features of 6 and 12 blocks"):
        find_stages(features=[features(fanning(0), "a"), features(fanning(0, blocks=6), "b")])
    short = find_stages(features=[features(fanning(0)[:1], "a")])
    assert short.by_level["feature"].pattern == NOT_MEASURED


class TestGuitar:
    @staticmethod
    def images(count: int, **how: int) -> list[FeatureTrace]:
        states = fanning(3, tokens=count, **how)
        states[:, 0] = states[0, 0]
        return [features(states[k : k + 1], f"p{k}") for k in range(count)]

    def test_neck_body_and_fan_out_by_hand(self) -> None:
        found = guitar(self.images(12))
        assert (found.pattern, found.fan_out, found.images) == (FAN_OUT, 7, 12)
        # Axis 0 is shared: the cosine of two images in the body is 1 / (1 + 1.5^2).
        angle = np.arccos(1 / 3.25) / np.pi
        assert found.body == pytest.approx(angle, abs=0.01)
        assert found.neck < 0.15
        assert found.spread[0] == pytest.approx(0, abs=1e-7)
        assert found.neck_spread.low <= found.neck <= found.neck_spread.high
        assert found.fan_out_spread.low <= 7 <= found.fan_out_spread.high
        assert found.support == 1.0
        assert (found.low <= found.high + 1e-12).all()

    def test_few_images(self) -> None:
        found = guitar(self.images(4))
        assert (found.pattern, found.neck, found.fan_out) == (INCONCLUSIVE, None, None)
        assert "4 images are too few" in found.evidence

    def test_the_feature_level_is_read_off_the_images_where_they_fan_out(self) -> None:
        answers = [features(fanning(k, state=13), f"p{k}") for k in range(6)]
        alone = find_stages(features=answers).by_level["feature"]
        assert alone.pattern == NO_PATTERN
        both = find_stages(features=answers, common_step=self.images(12))
        level = both.by_level["feature"]
        assert (level.pattern, both.critical_layer) == (FAN_OUT, 7)
        assert (level.critical.spread.low, level.critical.spread.high) == (7, 7)
        # What the tokens of single answers do is said as well.
        assert level.evidence.startswith("A guitar")
        assert alone.evidence in level.evidence

    def test_and_off_the_tokens_where_they_do_not(self) -> None:
        together = fanning(0, tokens=8, state=13)
        step = [features(together[k : k + 1], f"p{k}") for k in range(8)]
        answers = [features(fanning(k, state=5), f"p{k}") for k in range(6)]
        level = find_stages(features=answers, common_step=step).by_level["feature"]
        assert (level.pattern, level.critical_state) == (FAN_OUT, 5)
        assert "Images at one step: No guitar" in level.evidence
        only = find_stages(common_step=step)
        assert (only.pattern, only.critical_layer, only.blocks) == (NO_PATTERN, None, 12)
        few = find_stages(common_step=step[:4])
        assert (few.pattern, few.critical_layer) == (INCONCLUSIVE, None)

    def test_a_common_step_of_another_model_is_refused(self) -> None:
        answers = [features(fanning(0), "a")]
        with pytest.raises(TraceError, match="9 blocks, the rest 12"):
            find_stages(features=answers, common_step=self.images(8, blocks=9, state=5))

    def test_one_image_that_goes_astray_is_no_guitar(self) -> None:
        states = np.repeat(fanning(0, tokens=1, state=13), 8, axis=0)
        states = states + 0.01 * np.random.default_rng(0).normal(size=states.shape)
        states[0, 7:] *= np.where(np.arange(24) == 0, -1, 1)
        found = guitar([features(states[k : k + 1], f"p{k}") for k in range(8)])
        assert (found.pattern, found.fan_out) == (NO_PATTERN, None)
        assert found.support < 0.8
        assert "rests on a few" in found.evidence

    def test_no_step_no_guitar(self) -> None:
        states = fanning(0, tokens=8, state=13)
        found = guitar([features(states[k : k + 1], f"p{k}") for k in range(8)])
        assert (found.pattern, found.neck, found.body) == (NO_PATTERN, None, None)
        assert guitar(self.images(8, blocks=6, state=3)).pattern == NO_PATTERN

    def test_it_is_repeatable_and_refuses_whole_answers(self) -> None:
        images = self.images(8)
        assert guitar(images).neck_spread == guitar(images).neck_spread
        with pytest.raises(TraceError, match="record_common_step"):
            guitar([features(fanning(0), "a")])
        with pytest.raises(TraceError, match="record_common_step"):
            guitar([])


def test_a_feature_trace_says_what_is_wrong_with_it() -> None:
    good = features(fanning(0), "a")
    assert good.blocks == 12
    broken = good.features.copy()
    broken[2, 3, 1] = np.nan
    for change, says in (
        ({"features": broken}, r"probe 'a': features\[2, 3\] is not finite"),
        ({"features": good.features[:3]}, r"features must be an array \[6, any, any\], not \(3,"),
        ({"features": good.features.astype(np.float32)}, "must be float16"),
        ({"features": good.features[:, :1]}, "at least 2 states"),
        ({"token_ids": good.token_ids[:2]}, "token_ids must be an array"),
        ({"token_classes": good.token_classes[:2]}, "2 token_classes for 6"),
        ({"token_texts": ()}, "there are no tokens"),
    ):
        with pytest.raises(TraceError, match=says):
            dataclasses.replace(good, **change)
