"""Recording and replaying against transformers' own generation and float64 formulas.

The five tests named `..._defect` or listed in docs/testing.md go red when the matching defect is put
into the code by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from lvlm_audit.errors import ProbesFailed, RecordingError, UsageError
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.hooks import count_hooks
from lvlm_audit.models.opening import hook
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.progress import Progress
from lvlm_audit.traces import recorder
from lvlm_audit.traces.lens import LensReader
from lvlm_audit.traces.recorder import iter_record, record, replay
from lvlm_audit.traces.trace import TokenClass, Trace
from tests import reference, tiny_models

NUMBERS = (
    "probability", "rank", "divergence", "entropy", "kl_to_final", "jsd_to_final",
    "nucleus_mass", "top_probs",
)  # fmt: skip


@pytest.fixture(scope="module")
def llava() -> HookedModel:
    return hook(*tiny_models.llava())


@pytest.fixture(scope="module")
def traces(llava: HookedModel) -> list[Trace]:
    return record(llava, tiny_models.probes(4), max_new_tokens=6, batch_size=4, keep_features=True)


def expected(llava: HookedModel, probe: Probe, tokens: int) -> reference.Answer:
    return reference.answer(llava.model, llava.inputs([probe]), tokens)


def norm_and_head(model: Any) -> tuple[Any, Any]:
    return model.model.language_model.norm, model.lm_head


def close(ours: Any, theirs: Any, name: str, rtol: float = 5e-3, atol: float = 1e-4) -> None:
    """Equal up to float32; two words of nearly the same probability may change ranks."""
    np.testing.assert_allclose(
        ours, theirs, rtol=rtol, atol=1.0 if name == "rank" else atol, err_msg=name
    )


@pytest.mark.parametrize("i", range(4))
def test_a_trace_is_what_transformers_and_scipy_say(
    llava: HookedModel, traces: list[Trace], i: int
) -> None:
    """Red for: states off by one, final norm applied twice, KL reversed, the wrong batch row."""
    trace = traces[i]
    seen = expected(llava, tiny_models.probes(4)[i], 6)
    assert trace.token_ids.tolist() == seen.tokens
    log_p = reference.distributions(seen.states, *norm_and_head(llava.model))
    for name, values in reference.curves(log_p, seen.tokens).items():
        # The batch is padded, so float32 rounds differently: more than the lens' own error.
        close(getattr(trace, name), values, name)
    np.testing.assert_array_equal(trace.leader, log_p.argmax(-1))


def test_the_last_state_gives_the_models_own_logits(
    llava: HookedModel, traces: list[Trace]
) -> None:
    """Red for: final norm applied twice."""
    for trace, probe in zip(traces, tiny_models.probes(4), strict=True):
        own = expected(llava, probe, 6).logits
        own = np.exp(own - own.max(-1, keepdims=True))
        own /= own.sum(-1, keepdims=True)
        said = own[np.arange(len(trace.token_ids)), trace.token_ids]
        np.testing.assert_allclose(trace.probability[:, -1], said, rtol=1e-3, atol=1e-5)


def test_states_are_numbered_from_the_embedding(llava: HookedModel, traces: list[Trace]) -> None:
    """Red for: states off by one."""
    trace = traces[0]
    table = llava.model.get_input_embeddings().weight.detach().numpy()
    assert trace.features is not None
    np.testing.assert_allclose(trace.features[:, 0], table[trace.input_ids], atol=2e-3)
    states = expected(llava, tiny_models.probes(4)[0], 6).states
    np.testing.assert_allclose(trace.features, states, rtol=2e-3, atol=5e-3)


def test_each_probe_reads_its_own_row(llava: HookedModel, traces: list[Trace]) -> None:
    """Red for: the wrong batch row."""
    for probe, batched in zip(tiny_models.probes(4), traces, strict=True):
        (alone,) = record(llava, [probe], max_new_tokens=6, batch_size=1)
        assert alone.asked.id == batched.asked.id == probe.id
        np.testing.assert_array_equal(alone.token_ids, batched.token_ids)
        np.testing.assert_allclose(alone.probability, batched.probability, atol=1e-4)


def test_kl_to_final_is_forward(llava: HookedModel, traces: list[Trace]) -> None:
    """Red for: KL reversed."""
    seen = expected(llava, tiny_models.probes(4)[0], 6)
    p = np.exp(reference.distributions(seen.states, *norm_and_head(llava.model)))
    forward = (p[:, -1:] * np.log2(p[:, -1:] / p)).sum(-1)
    np.testing.assert_allclose(traces[0].kl_to_final, forward, rtol=2e-3, atol=1e-3)


def test_a_bfloat16_model_is_read_in_float32() -> None:
    """Red for: bf16 logits. The reference upcasts the bf16 states and norms and projects in float64."""
    model, processor = tiny_models.llava(dtype=torch.bfloat16, tied=True, width=48, blocks=9)
    with hook(model, processor) as hooked:
        probe = tiny_models.probes(1)[0]
        (trace,) = record(hooked, [probe], max_new_tokens=5)
        blocks: list[list[torch.Tensor]] = []
        handles = [
            block.register_forward_hook(
                lambda _, __, out: blocks[-1].append(
                    (out if isinstance(out, torch.Tensor) else out[0])[0, -1].float()
                )
            )
            for block in model.model.language_model.layers
        ]
        first = model.model.language_model.layers[0].register_forward_pre_hook(
            lambda _, args: blocks.append([args[0][0, -1].float()])
        )
        said = reference.answer(model, hooked.inputs([probe]), 5).tokens
        for handle in (*handles, first):
            handle.remove()
    states = torch.stack([torch.stack(step) for step in blocks]).double().numpy()
    assert trace.token_ids.tolist() == said
    norm, head = norm_and_head(model)
    last = reference.rms_norm(
        states[:, -1:], norm.weight.detach().double().numpy(), norm.variance_epsilon
    )
    states = np.concatenate([states[:, :-1], last], axis=1)
    log_p = reference.distributions(states, norm, head)
    for name, values in reference.curves(log_p, said).items():
        close(getattr(trace, name), values, name, rtol=5e-4, atol=3e-5)


@pytest.mark.parametrize("family", list(tiny_models.FAMILIES))
def test_any_family_is_recorded_and_replayed_alike(family: str) -> None:
    model, processor = tiny_models.FAMILIES[family]()
    before = count_hooks(model)
    with hook(model, processor) as hooked:
        probes = tiny_models.probes(3) if processor is not None else [tiny_models.prepared()]
        generated = record(hooked, probes, max_new_tokens=4, batch_size=3)
        alone = replay(hooked, probes, [list(t.token_ids) for t in generated], batch_size=1)
        # Before the reference, which makes transformers install its own.
        assert count_hooks(model) == before
        for trace, probe in zip(generated, probes, strict=True):
            seen = reference.answer(model, hooked.inputs([probe]), 4)
            assert trace.token_ids.tolist() == seen.tokens
            own = torch.tensor(seen.logits).softmax(-1).numpy()
            rows = np.arange(len(seen.tokens))
            np.testing.assert_allclose(
                trace.probability[:, -1], own[rows, seen.tokens], rtol=2e-3, atol=1e-5
            )
        for one, two in zip(generated, alone, strict=True):
            for name in NUMBERS:
                close(getattr(one, name), getattr(two, name), name)


def test_a_prefix_model_is_replayed_step_by_step() -> None:
    """PaliGemma attends to its prompt in both directions; one pass would take the answer for prompt."""
    hooked = hook(*tiny_models.paligemma())
    probes = tiny_models.probes(1)
    (trace,) = record(hooked, probes, max_new_tokens=3)
    assert hooked.replays_in_one_pass is None, "found out when it is needed"
    replay(hooked, probes, [trace.token_ids.tolist()])
    assert hooked.replays_in_one_pass is False


def test_a_replay_takes_one_forward_pass_per_batch(
    llava: HookedModel, traces: list[Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [t.token_ids.tolist() for t in traces]
    replay(llava, tiny_models.probes(4)[:1], texts[:1])
    passes = 0
    handle = llava.model.lm_head.register_forward_hook(lambda *_: nonlocal_add())

    def nonlocal_add() -> None:
        nonlocal passes
        passes += 1

    try:
        replay(llava, tiny_models.probes(4), texts, batch_size=2)
    finally:
        handle.remove()
    assert passes == 2


def test_a_replay_follows_any_text_and_any_batch(llava: HookedModel) -> None:
    probes = tiny_models.probes(3)
    texts = [[40, 41], [50, 51, 52, 53, 54], [60]]
    together = replay(llava, probes, texts, batch_size=3)
    for probe, text, one in zip(probes, texts, together, strict=True):
        (alone,) = replay(llava, [probe], [text])
        assert one.token_ids.tolist() == text
        assert one.input_ids.tolist()[1:] == text[:-1]
        np.testing.assert_allclose(one.probability, alone.probability, rtol=5e-3, atol=1e-5)


def test_text_joins_and_classes_fit(traces: list[Trace]) -> None:
    for trace in traces:
        assert "".join(trace.token_texts) == trace.answer
        assert len(trace.token_classes) == trace.tokens
        assert set(trace.vocabulary) >= set(trace.token_ids.tolist()) | set(
            trace.top_ids.ravel().tolist()
        )


def test_a_distractor_is_another_probes_token_of_the_same_step(traces: list[Trace]) -> None:
    for i, trace in enumerate(traces):
        for step, word in enumerate(trace.token_ids):
            others = [traces[(i + k) % 4] for k in (1, 2, 3)]
            there = [int(o.token_ids[step]) for o in others if step < o.tokens]
            differing = [w for w in there if w != word]
            assert trace.distractor_ids[step] == (differing[0] if differing else -1)


def test_an_answer_ends_with_the_end_of_sequence() -> None:
    model, processor = tiny_models.llava(seed=3)
    probes = tiny_models.probes(6)
    with hook(model, processor) as endless:
        free = [t.token_ids.tolist() for t in record(endless, probes, max_new_tokens=12)]
    # Words that come up at different steps, but never at once: rows of one batch end one by one.
    firsts = {said[0] for said in free}
    later = [word for said in free for word in said if word not in firsts]
    ends = list(dict.fromkeys(later))[:3]
    model.generation_config.eos_token_id = ends
    hooked = hook(model, processor)
    seen = record(hooked, probes, max_new_tokens=12, batch_size=6)
    lengths = {trace.tokens for trace in seen}
    assert len(lengths) > 1, lengths
    for trace, probe in zip(seen, probes, strict=True):
        assert trace.token_ids.tolist() == expected(hooked, probe, 12).tokens
        if trace.tokens < 12:
            assert trace.token_ids[-1] in ends
            assert trace.token_classes[-1] is TokenClass.SPECIAL
        assert not set(ends) & set(trace.token_ids[:-1].tolist())


def test_prepared_probes_need_no_processor() -> None:
    model, processor = tiny_models.llava()
    with_processor = hook(model, processor)
    probe = tiny_models.probes(1)[0]
    tensors = with_processor.inputs([probe])
    (usual,) = record(with_processor, [probe], max_new_tokens=4)
    bare = hook(model)
    (trace,) = record(bare, [Probe.prepared(tensors, id="x")], max_new_tokens=4)
    np.testing.assert_allclose(trace.probability, usual.probability, atol=1e-6)
    assert trace.token_texts == tuple(f"<{i}>" for i in trace.token_ids)
    assert set(trace.token_classes) <= {TokenClass.CONTENT, TokenClass.SPECIAL}


def test_generation_settings_of_the_checkpoint_do_not_bend_greedy_decoding() -> None:
    model, processor = tiny_models.llava()
    with hook(model, processor) as plain:
        (usual,) = record(plain, tiny_models.probes(1), max_new_tokens=6)
    settings = model.generation_config
    settings.update(do_sample=True, temperature=3.0, repetition_penalty=5.0, num_beams=3)
    with hook(model, processor) as bent:
        (trace,) = record(bent, tiny_models.probes(1), max_new_tokens=6)
    assert trace.token_ids.tolist() == usual.token_ids.tolist()
    assert model.generation_config is settings


def test_a_token_that_does_not_lead_is_refused(
    llava: HookedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = recorder.generate

    def crooked(*args: Any, on_step: Callable[..., None], **kwargs: Any) -> None:
        original(*args, on_step=lambda s, e: on_step(s, (e + 7) % 300), **kwargs)

    monkeypatch.setattr(recorder, "generate", crooked)
    with pytest.raises(RecordingError, match="probe-0.*greedy"):
        record(llava, tiny_models.probes(1), max_new_tokens=2)


def test_no_hook_is_left_behind(llava: HookedModel) -> None:
    model = llava.model
    before = count_hooks(model)
    record(llava, tiny_models.probes(2), max_new_tokens=2)
    assert count_hooks(model) == before
    # transformers still finds its own hooks when the user asks for hidden states.
    inputs = llava.inputs(tiny_models.probes(1))
    assert len(model(**inputs, output_hidden_states=True).hidden_states) == llava.blocks + 1


def test_no_hook_is_left_behind_by_an_error_in_mid_generation(
    llava: HookedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = count_hooks(llava.model)
    norm = llava.model.model.language_model.norm
    calls = 0
    original = norm.forward

    def failing(x: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls >= 3:
            raise RuntimeError("the third step fails\nwith details")
        return original(x)  # type: ignore[no-any-return]

    monkeypatch.setattr(norm, "forward", failing)
    with pytest.raises(RecordingError, match=r"'probe-0'.*fails\.(?s:.*)'probe-1'.*fails\."):
        record(llava, tiny_models.probes(2), max_new_tokens=6)
    assert count_hooks(llava.model) == before
    monkeypatch.undo()
    record(llava, tiny_models.probes(1), max_new_tokens=2)


def test_traces_before_a_failing_probe_are_not_lost(llava: HookedModel) -> None:
    broken = Probe("broken", "What?", ImageSource("x.png", data=b"no image"), "c")
    seen = iter_record(llava, [*tiny_models.probes(1), broken], max_new_tokens=2, batch_size=1)
    assert next(seen).asked.id == "probe-0"
    with pytest.raises(ProbesFailed, match=r"probe 'broken': image 'x\.png'"):
        next(seen)


def test_states_wait_only_until_a_chunk_is_full(
    llava: HookedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows go to the lens in chunks while generation runs; nothing grows with the answer."""
    sizes: list[int] = []
    original = LensReader.read

    def watched(self: LensReader, states: torch.Tensor, *rest: torch.Tensor) -> Any:
        sizes.append(len(states))
        return original(self, states, *rest)

    monkeypatch.setattr(LensReader, "read", watched)
    monkeypatch.setattr(
        recorder,
        "LensReader",
        lambda anatomy, name, **how: LensReader(anatomy, name, **how, chunk_bytes=5 * 4 * 384 * 11),
    )
    record(llava, tiny_models.probes(3), max_new_tokens=20, batch_size=3)
    assert sum(sizes) > 40
    assert max(sizes) == 5


def test_progress_counts_probes_and_tokens(llava: HookedModel) -> None:
    told: list[Progress] = []
    seen = record(
        llava,
        tiny_models.probes(3),
        max_new_tokens=3,
        batch_size=2,
        on_progress=told.append,
    )
    assert told[0] == Progress("recording answers", 0, 3), "a step is named when it begins"
    tokens = sum(trace.tokens for trace in seen)
    assert told[-1] == Progress("recording answers", 3, 3, tokens=tokens)
    assert [e.done for e in told] == sorted(e.done for e in told)


def test_the_raw_lens_differs_but_for_the_last_state(llava: HookedModel) -> None:
    probes = tiny_models.probes(1)
    (normed,) = record(llava, probes, max_new_tokens=3)
    (raw,) = record(llava, probes, max_new_tokens=3, lens="raw")
    np.testing.assert_allclose(raw.probability[:, -1], normed.probability[:, -1], atol=1e-6)
    assert np.abs(raw.entropy[:, :-1] - normed.entropy[:, :-1]).max() > 0.1


@pytest.mark.parametrize(
    ("how", "message"),
    [({"max_new_tokens": 0}, "max_new_tokens"), ({"batch_size": 0}, "batch_size")],
)
def test_counts_below_one_are_refused(
    llava: HookedModel, how: dict[str, int], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        record(llava, tiny_models.probes(1), **how)  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "message"), [([], "no tokens"), ([5, 99_999], "99999")])
def test_an_answer_that_cannot_be_replayed_names_its_probe(
    llava: HookedModel, text: list[int], message: str
) -> None:
    with pytest.raises(RecordingError, match=f"probe-0.*{message}"):
        replay(llava, tiny_models.probes(1), [text])
