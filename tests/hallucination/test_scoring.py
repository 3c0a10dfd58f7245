"""AUROC, average precision and their intervals against scikit-learn; nulls that must be at chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import average_precision_score, roc_auc_score

from lvlm_audit.hallucination.combination import out_of_fold
from lvlm_audit.hallucination.ranking import reweighted
from lvlm_audit.hallucination.scoring import LabelledTokens, score_combination, score_signals
from lvlm_audit.hallucination.separation import advantage, separation
from lvlm_audit.hallucination.signals import BASELINE, Signal, signals
from tests.effort import examples

FULL = (0.0, 1.0)


def labelled(
    seed: int,
    *,
    images: int = 40,
    per_image: int = 5,
    effect: float = 0.0,
    levels: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, truth and images; tokens of an image have something in common."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(images), per_image)
    common = rng.normal(size=images)[owner]
    truth = rng.random(owner.size) < 0.4
    truth[:2] = [True, False]
    scores = common + rng.normal(size=owner.size) + effect * truth
    if levels is not None:
        scores = np.round(scores * levels / 4)
    return scores, truth, np.array([f"i{k}" for k in owner])


@given(st.integers(0, 10**6), st.sampled_from([None, 2, 6]), st.floats(-1, 1))
@examples(60)
def test_values_are_scikit_learns(seed, levels, effect):
    scores, truth, images = labelled(seed, images=8, effect=effect, levels=levels)
    found = separation(scores, truth, images, seed=0, resamples=50)
    assert found.auroc == pytest.approx(roc_auc_score(truth, scores))
    assert found.average_precision == pytest.approx(average_precision_score(truth, scores))
    # Hanley & McNeil: the Mann-Whitney statistic over the number of pairs.
    u = mannwhitneyu(scores[truth], scores[~truth]).statistic
    assert found.auroc == pytest.approx(u / (truth.sum() * (~truth).sum()))
    assert (found.hallucinated, found.correct, found.images) == (truth.sum(), (~truth).sum(), 8)
    assert found.base_rate == pytest.approx(truth.mean())


@given(st.integers(0, 10**6), st.sampled_from([None, 1, 3]))
@examples(60)
def test_resampled_values_are_scikit_learns_with_weights(seed, levels):
    scores, truth, images = labelled(seed, images=7, per_image=3, levels=levels)
    _, index = np.unique(images, return_inverse=True)
    draws = np.random.default_rng(seed).integers(0, 4, size=(12, 7))
    found = reweighted(scores, truth, index, draws)
    for r, draw in enumerate(draws):
        weight = draw[index]
        if weight[truth].sum() == 0 or weight[~truth].sum() == 0:
            assert np.isnan(found.auroc[r])
            assert np.isnan(found.average_precision[r])
            continue
        # Repeating a token as often as its image was drawn is what a weight means.
        again = np.repeat(np.arange(len(truth)), weight)
        assert found.auroc[r] == pytest.approx(roc_auc_score(truth[again], scores[again]))
        assert found.average_precision[r] == pytest.approx(
            average_precision_score(truth[again], scores[again])
        )


def test_many_resamples_are_split_without_a_difference(monkeypatch):
    scores, truth, images = labelled(3)
    whole = separation(scores, truth, images, seed=1)
    monkeypatch.setattr("lvlm_audit.hallucination.ranking._CELLS", 777)
    assert separation(scores, truth, images, seed=1) == whole


@given(
    st.integers(0, 10**6),
    st.sampled_from([np.exp, lambda x: x**3, lambda x: 7 * x - 2, np.arctan]),
)
@examples(30)
def test_a_monotone_change_of_the_scores_changes_nothing(seed, change):
    scores, truth, images = labelled(seed, images=12, effect=0.4, levels=20)
    one = separation(scores, truth, images, seed=5, resamples=100)
    two = separation(change(scores), truth, images, seed=5, resamples=100)
    assert one == two


@given(st.integers(0, 10**6))
@examples(30)
def test_turning_scores_around_turns_the_auroc_around(seed):
    scores, truth, images = labelled(seed, images=12, effect=0.4, levels=6)
    one = separation(scores, truth, images, seed=5, resamples=100)
    two = separation(-scores, truth, images, seed=5, resamples=100)
    assert two.auroc == pytest.approx(1 - one.auroc)
    assert two.auroc_spread.low == pytest.approx(1 - one.auroc_spread.high)
    assert two.auroc_spread.high == pytest.approx(1 - one.auroc_spread.low)


def test_a_shuffled_signal_is_at_chance():
    """The interval must hold 0.5 about as often as it says; single seeds may miss."""
    missed = 0
    for seed in range(60):
        scores, truth, images = labelled(seed, images=30, effect=1.0)
        shuffled = np.random.default_rng(seed).permutation(scores)
        found = separation(shuffled, truth, images, seed=seed, resamples=400)
        missed += not found.auroc_spread.low <= 0.5 <= found.auroc_spread.high
    # 95 % intervals: 3 of 60 expected, 8 or more with a probability below 1 %.
    assert missed <= 7


@pytest.mark.parametrize(("images", "allowed"), [(8, 12), (40, 10)])
def test_intervals_cover_the_true_auroc(images, allowed):
    """Two normals one deviation of their difference apart: AUROC = Phi(effect / sqrt(2 * 2))."""
    from scipy.stats import norm

    truly = norm.cdf(1.0 / np.sqrt(2 * 2))
    missed = 0
    for seed in range(100):
        scores, truth, names = labelled(1000 + seed, images=images, per_image=8, effect=1.0)
        found = separation(scores, truth, names, seed=seed, resamples=300)
        if not found.undecided:
            missed += not found.auroc_spread.low <= truly <= found.auroc_spread.high
    assert missed <= allowed


def test_dependent_tokens_widen_the_interval():
    """The same 300 tokens as 10 images instead of 300: less is known."""
    scores, truth, _ = labelled(4, images=300, per_image=1, effect=0.5)
    many = separation(scores, truth, [f"i{k}" for k in range(300)], seed=0)
    # Copies of one token are no evidence of their own.
    again = np.repeat(np.arange(60), 5)
    few = separation(scores[again], truth[again], [f"i{k}" for k in again], seed=0)
    width = few.auroc_spread.high - few.auroc_spread.low
    assert width > 1.5 * (many.auroc_spread.high - many.auroc_spread.low)


@pytest.mark.parametrize(
    ("bad", "good", "images", "words"),
    [
        (9, 100, 20, "9 hallucinated tokens"),
        (100, 9, 20, "9 correct tokens"),
        (40, 40, 4, "of 4 images"),
    ],
)
def test_too_little_decides_nothing(bad, good, images, words):
    truth = np.array([True] * bad + [False] * good)
    scores = truth + np.random.default_rng(0).normal(size=len(truth)) / 9
    owner = [f"i{k % images}" for k in range(len(truth))]
    found = separation(scores, truth, owner, seed=0)
    assert found.undecided.startswith("inconclusive")
    assert words in found.undecided
    assert (found.auroc_spread.low, found.auroc_spread.high) == FULL
    assert (found.precision_spread.low, found.precision_spread.high) == FULL
    assert found.auroc == pytest.approx(roc_auc_score(truth, scores))


def test_all_of_a_kind_in_one_image_decides_nothing():
    truth = np.array([True] * 20 + [False] * 80)
    owner = ["one"] * 20 + [f"i{k}" for k in range(80)]
    found = separation(np.arange(100.0), truth, owner, seed=0)
    assert "20 hallucinated tokens of 1 images" in found.undecided


@pytest.mark.parametrize("kind", [True, False])
def test_without_one_of_the_kinds_there_is_no_value(kind):
    truth = np.full(30, kind)
    found = separation(np.arange(30.0), truth, [f"i{k}" for k in range(30)], seed=0)
    assert (found.auroc, found.average_precision) == (None, None)
    assert advantage(np.arange(30.0), np.arange(30.0), truth, ["a"] * 30, seed=0) is None


def test_undefined_tokens_do_not_count():
    scores, truth, images = labelled(8, effect=0.7)
    holes = scores.copy()
    holes[::3] = np.nan
    found = separation(holes, truth, images, seed=0)
    rest = ~np.isnan(holes)
    assert found.auroc == pytest.approx(roc_auc_score(truth[rest], scores[rest]))
    assert found.hallucinated + found.correct == rest.sum()


def test_advantage_is_the_difference_on_the_same_tokens():
    scores, truth, images = labelled(9, effect=1.5)
    base = labelled(10)[0]
    base[:7] = np.nan
    found = advantage(scores, base, truth, images, seed=0)
    rest = ~np.isnan(base)
    wanted = roc_auc_score(truth[rest], scores[rest]) - roc_auc_score(truth[rest], base[rest])
    assert found.value == pytest.approx(wanted)
    assert 0 < found.spread.low < found.value < found.spread.high
    same = advantage(scores, scores, truth, images, seed=0)
    assert (same.value, same.spread.low, same.spread.high) == (0.0, 0.0, 0.0)


# --- the combination ---


def test_the_combination_finds_what_single_signals_share():
    rng = np.random.default_rng(0)
    _, truth, images = labelled(0, images=60, effect=0)
    matrix = rng.normal(size=(len(truth), 3)) + 0.8 * truth[:, None]
    found = out_of_fold(matrix, truth, images)
    alone = [roc_auc_score(truth, column) for column in matrix.T]
    assert roc_auc_score(truth, found) > max(alone) + 0.05


def test_no_token_is_scored_by_a_fit_that_saw_its_image():
    """A signal that names the image would give every token away to a fit that saw its neighbours."""
    images = np.repeat([f"i{k}" for k in range(40)], 5)
    truth = np.repeat(np.random.default_rng(1).random(40) < 0.5, 5)
    one_hot = (images[:, None] == np.unique(images)[None]).astype(float)
    found = out_of_fold(one_hot, truth, images)
    assert 0.35 < roc_auc_score(truth, found) < 0.65


def test_shuffled_labels_leave_the_combination_at_chance():
    """Pooled scores of folds without the ranks lie below 0.5 here."""
    found = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        images = np.repeat([f"i{k}" for k in range(30)], 4)
        truth = rng.random(len(images)) < 0.4
        scores = out_of_fold(rng.normal(size=(len(images), 4)), truth, images)
        found.append(roc_auc_score(truth, scores))
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


def test_undefined_values_are_filled_in_from_the_fitting_part():
    _, truth, images = labelled(2, images=30)
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(len(truth), 2)) + truth[:, None]
    matrix[rng.random(matrix.shape) < 0.3] = np.nan
    # One column that nobody measured.
    matrix = np.column_stack([matrix, np.full(len(truth), np.nan)])
    found = out_of_fold(matrix, truth, images)
    assert np.isfinite(found).all()
    assert roc_auc_score(truth, found) > 0.65


def test_a_combination_that_cannot_be_fitted():
    truth = np.array([True] * 3 + [False] * 9)
    assert out_of_fold(np.zeros((12, 2)), truth, np.array(["one"] * 12)) is None
    owner = np.array(["bad"] * 3 + [f"i{k}" for k in range(9)])
    assert out_of_fold(np.zeros((12, 2)), truth, owner) is None
    assert out_of_fold(np.zeros((12, 0)), truth, np.array([f"i{k}" for k in range(12)])) is None


# --- the table ---


def table(seed: int = 0) -> LabelledTokens:
    scores, truth, images = labelled(seed, images=50, effect=1.0)
    rng = np.random.default_rng(seed)
    known = signals()[:3]
    matrix = np.column_stack([rng.normal(size=len(truth)), np.maximum(scores - 1, 0), scores])
    # Half of the errors are of a kind that only the last signal finds.
    prior = truth & (rng.random(len(truth)) < 0.5)
    matrix[prior, 2] += 3
    return LabelledTokens(known, matrix, truth, prior, images)


def test_each_score_is_recomputed_by_scikit_learn_from_the_raw_values():
    tokens = table()
    for k, one in enumerate(score_signals(tokens)):
        values = tokens.matrix[:, k]
        assert one.all.auroc == pytest.approx(roc_auc_score(tokens.truth, values))
        for kind, errors in (
            (one.prior_driven, tokens.prior_driven),
            (one.misread, tokens.truth & ~tokens.prior_driven),
        ):
            rows = errors | ~tokens.truth
            assert kind.auroc == pytest.approx(roc_auc_score(errors[rows], values[rows]))
            assert kind.correct == (~tokens.truth).sum()
        if k:
            base = roc_auc_score(tokens.truth, tokens.matrix[:, 0])
            assert one.over_baseline.value == pytest.approx(one.all.auroc - base)
        else:
            assert one.over_baseline is None
    assert one.prior_driven.auroc > one.misread.auroc


def test_rates_on_correct_and_hallucinated_tokens():
    tokens = table()
    base, reversal, _ = score_signals(tokens)
    assert reversal.suspected.own
    assert reversal.suspected.threshold == 0
    fires = tokens.matrix[:, 1] > 0
    assert reversal.suspected.on_correct == pytest.approx(fires[~tokens.truth].mean())
    assert reversal.suspected.on_hallucinated == pytest.approx(fires[tokens.truth].mean())
    assert not base.suspected.own
    middle = np.median(tokens.matrix[tokens.truth, 0])
    assert base.suspected.threshold == pytest.approx(middle)
    assert base.suspected.on_correct == pytest.approx(
        (tokens.matrix[~tokens.truth, 0] >= middle).mean()
    )
    assert base.suspected.on_hallucinated >= 0.5


def test_errors_that_are_not_told_apart_have_no_kinds():
    tokens = table()
    plain = LabelledTokens(tokens.signals, tokens.matrix, tokens.truth, None, tokens.images)
    assert all(one.prior_driven is None and one.misread is None for one in score_signals(plain))
    assert score_signals(plain)[1].all == score_signals(tokens)[1].all


def test_the_combination_uses_measured_signals_alone():
    tokens = table()
    values, scored = score_combination(tokens, [True, True, False])
    np.testing.assert_array_equal(
        values, out_of_fold(tokens.matrix[:, :2], tokens.truth, tokens.images)
    )
    assert scored.all.auroc == pytest.approx(roc_auc_score(tokens.truth, values))


def test_a_baseline_column_is_always_there():
    assert signals()[0] == BASELINE
    assert isinstance(BASELINE, Signal)
