"""DoLa and DeCo against the papers' equations on transformers' own hidden states, by NumPy and SciPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, softmax

from lvlm_audit.errors import UsageError
from lvlm_audit.interventions.deco import DeCo, anchored
from lvlm_audit.interventions.decoding import SkipBlocks
from lvlm_audit.interventions.dola import DoLa, contrasted
from lvlm_audit.interventions.effects import answers
from lvlm_audit.interventions.redecoding import iter_redecoded
from lvlm_audit.metrics.premature import deco_states, dola_states
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import count_hooks
from lvlm_audit.models.opening import hook
from lvlm_audit.probes.probe import Probe
from lvlm_audit.traces import store
from lvlm_audit.traces.recorder import record
from tests import tiny_models
from tests.effort import examples
from tests.families import feed
from tests.families.matrix import FAMILIES
from tests.families.zoo import drawn
from tests.interventions.test_skipping import without

TOKENS = 7
SEED = 3


def by_hand_dola(final: np.ndarray, early: np.ndarray, alpha: float, strength: float) -> np.ndarray:
    """[V] scores of one step from float64 logits [V] and [C, V]; the paper's equations as they stand."""
    q = softmax(final)
    far = max(range(len(early)), key=lambda j: jensenshannon(q, softmax(early[j])))
    scores = log_softmax(final) - strength * log_softmax(early[far])
    return np.where(q >= alpha * q.max(), scores, -np.inf)


def by_hand_deco(
    final: np.ndarray, early: np.ndarray, alpha: float, top_p: float, top_k: int
) -> np.ndarray:
    """[V] scores of one step, candidate by candidate."""
    p = softmax(final)
    candidates: list[int] = []
    held = 0.0
    for token in sorted(range(len(p)), key=lambda t: -p[t])[:top_k]:
        if held >= top_p:
            break
        candidates.append(token)
        held += p[token]
    surest, anchor = max(
        ((softmax(row)[c], j) for j, row in enumerate(early) for c in candidates),
        key=lambda pair: pair[0],
    )
    scores = np.full(len(p), -np.inf)
    for c in candidates:
        scores[c] = final[c] + alpha * surest * early[anchor, c]
    return scores


# One step ------------------------------------------------------------------------------------------

LOGITS = st.integers(0, 2**31).map(
    lambda seed: np.random.default_rng(seed).normal(
        scale=np.random.default_rng(seed).uniform(0.5, 6), size=(2, 5, 23)
    )
)


@given(LOGITS, st.floats(0.01, 1.0), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_dola_scores_are_the_papers(logits, alpha, strength):
    drawn = torch.tensor(logits)
    ours = contrasted(drawn[:, 0], drawn[:, 1:], relative_top=alpha, strength=strength).numpy()
    for row, mine in zip(logits, ours, strict=True):
        wanted = by_hand_dola(row[0], row[1:], alpha, strength)
        assert np.array_equal(np.isinf(mine), np.isinf(wanted))
        known = np.isfinite(wanted)
        # Scores are known up to a constant a row.
        np.testing.assert_allclose(
            mine[known] - mine[known][0], wanted[known] - wanted[known][0], atol=1e-9
        )


@given(LOGITS, st.floats(0.01, 0.999), st.integers(1, 30), st.sampled_from([0.0, 0.6, 3.0]))
def test_deco_scores_are_the_papers(logits, top_p, top_k, alpha):
    drawn = torch.tensor(logits)
    ours = anchored(drawn[:, 0], drawn[:, 1:], alpha=alpha, top_p=top_p, top_k=top_k).numpy()
    for row, mine in zip(logits, ours, strict=True):
        wanted = by_hand_deco(row[0], row[1:], alpha, top_p, top_k)
        np.testing.assert_allclose(mine, wanted, rtol=1e-9)


@given(st.integers(0, 2**31), st.integers(1, 3))
def test_strength_zero_emits_what_greedy_decoding_does_also_among_equals(seed, different):
    """16-bit logits are often equal: of those the first is emitted."""
    rng = np.random.default_rng(seed)
    final = torch.tensor(rng.integers(0, different, (3, 40)), dtype=torch.float32)
    early = torch.tensor(rng.normal(size=(3, 4, 40)), dtype=torch.float32)
    greedy = final.argmax(-1).tolist()
    assert contrasted(final, early, relative_top=0.1, strength=0.0).argmax(-1).tolist() == greedy
    assert anchored(final, early, alpha=0.0, top_p=0.3, top_k=5).argmax(-1).tolist() == greedy


def test_barred_words_stay_barred():
    final = torch.tensor([[2.0, 1.9, -torch.inf, -3e38]])
    early = torch.tensor([[[-3e38 / 4, 0.0, -8e37, -8e37], [5.0, 0.0, -8e37, -8e37]]])
    for scores in (
        contrasted(final, early, relative_top=0.1, strength=1.0),
        anchored(final, early, alpha=0.6, top_p=1.0, top_k=4),
    ):
        assert not scores.isnan().any()
        assert int(scores.argmax()) in (0, 1)


# Which states -------------------------------------------------------------------------------------


def test_states_are_the_papers_in_their_models():
    assert dola_states("low", 32, tied=False) == tuple(range(0, 16, 2))
    assert dola_states("high", 32, tied=False) == tuple(range(16, 32, 2))
    assert dola_states("low", 32, tied=True) == tuple(range(2, 16, 2))
    assert dola_states("low", 60, tied=False) == tuple(range(0, 20, 2))
    assert dola_states("high", 60, tied=False) == tuple(range(40, 60, 2))
    assert deco_states(32) == tuple(range(20, 29))


@given(st.integers(1, 120), st.booleans())
def test_a_premature_state_is_never_the_last(blocks, tied):
    for states in (
        dola_states("low", blocks, tied=tied),
        dola_states("high", blocks, tied=tied),
        deco_states(blocks),
    ):
        assert all(0 <= s < blocks for s in states)
        assert list(states) == sorted(set(states))
    assert dola_states("high", blocks, tied=tied)
    assert deco_states(blocks)


@pytest.mark.parametrize("states", [(9,), (-1,), (2, 2), (1.0,), (True,)])
def test_states_that_cannot_be(states):
    with pytest.raises(UsageError, match="premature state"):
        dola_states(states, 9, tied=False)


def test_values_that_cannot_be():
    with pytest.raises(UsageError, match="no bucket 'middle'"):
        dola_states("middle", 9, tied=False)  # type: ignore[arg-type]
    for made in (
        lambda: DoLa(relative_top=0.0),
        lambda: DoLa(strength=math.nan),
        lambda: DeCo(alpha=-1.0),
        lambda: DeCo(top_p=0.0),
        lambda: DeCo(top_k=0),
    ):
        with pytest.raises(UsageError):
            made()


# Whole answers ------------------------------------------------------------------------------------


def by_hand(hooked: HookedModel, probe: Probe, score: Any, states: tuple[int, ...]) -> list[int]:
    """Greedy decoding without cache or hooks: hidden states as transformers gives them, normed and read by
    the model's own modules in float64."""
    model = hooked.model
    decoder = getattr(model.model, "language_model", model.model)
    text = model.config.get_text_config()
    scale, cap = getattr(text, "logit_scale", None) or 1.0, getattr(text, CAP, None)

    def read(state: torch.Tensor) -> np.ndarray:
        logits = model.lm_head(state).double() * scale
        return (cap * torch.tanh(logits / cap) if cap else logits)[0].numpy()

    said: list[int] = []
    for _ in range(TOKENS):
        inputs = hooked.inputs([probe], [said])
        with torch.inference_mode():
            out = model(**inputs, use_cache=False, output_hidden_states=True)
            early = [read(decoder.norm(out.hidden_states[j][:, -1])) for j in states]
            # The last one is normed already: it shows that this reading is the model's own.
            last = read(out.hidden_states[-1][:, -1])
        final = out.logits[0, -1].double().numpy()
        np.testing.assert_allclose(last, final, rtol=1e-4, atol=1e-4)
        scores = score(final, np.stack(early))
        said.append(int(scores.argmax()))
        if said[-1] in hooked.end_ids:
            break
    return said


CAP = "final_logit_softcapping"
MODELS: dict[str, Any] = {
    "llava": tiny_models.llava,
    "llava tied": tiny_models.FAMILIES["llava tied"],
    "logit scale": lambda: tiny_models.text_only("cohere2", logit_scale=0.25),
    "soft cap": lambda: tiny_models.text_only("gemma2", final_logit_softcapping=5.0),
}


def asked(hooked: HookedModel) -> list[Probe]:
    if hooked.processor is None:
        return [tiny_models.prepared((0, 50 + i, 60, 70, 80), f"prepared {i}") for i in range(3)]
    return tiny_models.probes(3, images=hooked.tokenizer is not hooked.processor)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_answers_are_those_of_the_equations(name):
    # Not every weight of the tiny models is drawn with their own seed.
    torch.manual_seed(SEED)
    hooked = hook(*MODELS[name]())
    plain = record(hooked, asked(hooked), max_new_tokens=TOKENS)
    differing = 0
    low, high = (dola_states(b, hooked.blocks, tied=hooked.anatomy.tied) for b in ("low", "high"))
    for intervention, score, states in (
        (DoLa("low"), lambda f, e: by_hand_dola(f, e, 0.1, 1.0), low),
        (DoLa("high"), lambda f, e: by_hand_dola(f, e, 0.1, 1.0), high),
        (DoLa((1, 3), 0.02, 2.0), lambda f, e: by_hand_dola(f, e, 0.02, 2.0), (1, 3)),
        (DeCo(), lambda f, e: by_hand_deco(f, e, 0.6, 0.9, 20), deco_states(hooked.blocks)),
        (DeCo(5.0, 0.7, 3, (2, 4)), lambda f, e: by_hand_deco(f, e, 5.0, 0.7, 3), (2, 4)),
    ):  # fmt: skip
        carried = count_hooks(hooked.model)
        found = list(iter_redecoded(hooked, asked(hooked), intervention, max_new_tokens=TOKENS))
        assert count_hooks(hooked.model) == carried
        for one, probe, trace in zip(found, asked(hooked), plain, strict=True):
            assert one.token_ids.tolist() == by_hand(hooked, probe, score, states)
            assert (one.intervention, one.asked.id) == (intervention.name, probe.id)
            differing += one.token_ids.tolist() != trace.token_ids.tolist()
    # What changes nothing would pass as well.
    assert differing >= 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["llava", "llava next"])
def test_strength_zero_is_plain_greedy_decoding_token_for_token(family, dtype):
    hooked = hook(*tiny_models.FAMILIES[family](dtype=dtype))
    _assert_neutral_at_zero(hooked, asked(hooked))


@pytest.mark.parametrize("family", sorted(set(tiny_models.FAMILIES) - {"llava", "llava next"}))
def test_every_family_can_be_decoded_otherwise(family):
    hooked = hook(*tiny_models.FAMILIES[family]())
    _assert_neutral_at_zero(hooked, asked(hooked))


@pytest.mark.parametrize("name", ["florence2", "t5gemma2", "chameleon", "gemma3n", "mllama"])
def test_encoders_barred_words_and_several_streams(name):
    """Encoder-decoders, image words that may not be said, streams side by side, blocks left out."""
    model = drawn(name)
    probe = Probe.prepared(feed.inputs(name, model))
    with FAMILIES.opened(name, model) as hooked:
        _assert_neutral_at_zero(hooked, [probe])
        barred = set(hooked.anatomy.barred)
        for intervention in (DoLa("low"), DoLa("high"), DeCo(alpha=5.0)):
            (one,) = iter_redecoded(hooked, [probe], intervention, max_new_tokens=TOKENS)
            assert not barred & set(one.token_ids.tolist())


def _assert_neutral_at_zero(hooked: HookedModel, probes: list[Probe]) -> None:
    plain = [t.token_ids.tolist() for t in record(hooked, probes, max_new_tokens=TOKENS)]
    carried = count_hooks(hooked.model)
    for neutral in (
        DoLa("low", strength=0.0),
        DoLa("high", strength=0.0),
        DoLa(()),
        DeCo(alpha=0.0),
        DeCo(states=()),
        SkipBlocks(()),
    ):
        again = list(iter_redecoded(hooked, probes, neutral, max_new_tokens=TOKENS))
        assert [one.token_ids.tolist() for one in again] == plain, neutral
    assert count_hooks(hooked.model) == carried


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava())


@pytest.mark.parametrize("intervention", [DoLa("low"), DoLa("high"), DeCo(alpha=3.0)])
def test_an_answer_does_not_depend_on_its_neighbours(llava, intervention):
    """Each row chooses its own state; rows are padded on the left and end apart."""
    probes = tiny_models.probes(5)
    together = list(
        iter_redecoded(llava, probes, intervention, max_new_tokens=TOKENS, batch_size=5)
    )
    alone = list(iter_redecoded(llava, probes, intervention, max_new_tokens=TOKENS, batch_size=1))
    assert [a.token_ids.tolist() for a in together] == [b.token_ids.tolist() for b in alone]


def test_skipping_is_the_model_without_the_blocks(llava):
    probes = tiny_models.probes(3)
    reduced = hook(without(llava.model, (2, 6)), llava.processor)
    found = list(iter_redecoded(llava, probes, SkipBlocks((2, 6), "skip.2"), max_new_tokens=TOKENS))
    assert [one.token_ids.tolist() for one in found] == answers(reduced, probes, TOKENS)
    assert {(one.intervention, one.blocks) for one in found} == {("skip.2", (2, 6))}


def test_it_is_stored_and_read_back(llava, tmp_path):
    found = list(iter_redecoded(llava, tiny_models.probes(2), DeCo(), max_new_tokens=3))
    store.save(tmp_path / "r", store.Recording(found, {}))
    for ours, theirs in zip(found, store.load(tmp_path / "r").items, strict=True):
        for name in ("asked", "intervention", "description", "source", "blocks", "answer"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert np.array_equal(ours.token_ids, theirs.token_ids)


def test_states_that_this_model_does_not_have(llava):
    probes = tiny_models.probes(1)
    for intervention in (DoLa((3, 10)), DeCo(states=(10,)), SkipBlocks((10,))):
        with pytest.raises(UsageError):
            list(iter_redecoded(llava, probes, intervention, max_new_tokens=2))
    with pytest.raises(UsageError, match="max_new_tokens"):
        list(iter_redecoded(llava, probes, DeCo(), max_new_tokens=0))


@examples(8)
@given(st.floats(0.05, 1.0), st.floats(0.0, 2.0))
def test_what_dola_emits_was_always_plausible(llava, alpha, strength):
    """V_head: never a token below alpha of the most probable one."""
    probes = tiny_models.probes(2)
    found = list(
        iter_redecoded(llava, probes, DoLa("high", alpha, strength), max_new_tokens=4, batch_size=2)
    )
    for probe, one in zip(probes, found, strict=True):
        ids = one.token_ids.tolist()
        logits = llava.model(**llava.inputs([probe], [ids]), use_cache=False).logits[0]
        said = logits[-len(ids) - 1 : -1].detach().double().softmax(-1)
        ratio = said[torch.arange(len(ids)), ids] / said.max(-1).values
        assert (ratio >= alpha * (1 - 1e-4)).all()
