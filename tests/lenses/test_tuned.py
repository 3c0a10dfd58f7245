"""A tuned lens out of a third party's package: one linear map a state, registered without touching ours."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from lvlm_audit.errors import ProbesFailed, UsageError
from lvlm_audit.lenses.lens import Lens
from lvlm_audit.lenses.registry import GROUP, LENSES, content_key, register_lens
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import hook
from lvlm_audit.traces.image_word_recorder import record_image_words
from lvlm_audit.traces.paired import record_pairs
from lvlm_audit.traces.recorder import record, replay
from lvlm_audit.traces.trace import Trace
from tests import reference, tiny_models
from tests.third_party import distribution

BLOCKS, WIDTH = 6, 48

PACKAGE = '''
import hashlib

import torch


class TunedLens:
    """h -> h + A_j h + b_j before the final norm (Belrose et al. 2023)."""

    def __init__(self, name, maps, shifts):
        self.name, self.maps, self.shifts = name, maps, shifts
        self.seen = []

    def fingerprint(self):
        digest = hashlib.sha256()
        for part in (self.maps, self.shifts):
            digest.update(part.numpy().tobytes())
        return digest.hexdigest()

    def check(self, anatomy):
        from lvlm_audit.errors import UsageError

        if self.maps.shape != (anatomy.states - 1, anatomy.width, anatomy.width):
            raise UsageError(f"{self.name} was fitted for another model.")

    def rows(self, states, first, readout):
        here = range(first, first + states.shape[1])
        self.seen += here
        h = states.float()
        moved = torch.einsum("nkd,ked->nke", h, self.maps[first : here.stop])
        return readout.normed(h + moved + self.shifts[first : here.stop])


def fitted(name, seed, size=0.2):
    g = torch.Generator().manual_seed(seed)
    return TunedLens(
        name,
        size * torch.randn(6, 48, 48, generator=g) / 48**0.5,
        size * torch.randn(6, 48, generator=g),
    )


tuned = fitted("tuned", 1)
unchanged = fitted("unchanged", 1, 0.0)
'''


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """Installed for this module alone: on sys.path, with its metadata."""
    offers = {name: (GROUP, name) for name in ("tuned", "unchanged")}
    folder = distribution(
        tmp_path_factory.mktemp("site"), "a_package_with_a_tuned_lens", PACKAGE, **offers
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setattr(LENSES, "_loaded", False)
        patch.setattr(LENSES, "_others", {})
        yield importlib.import_module("a_package_with_a_tuned_lens")


@pytest.fixture(scope="module")
def llava(package: ModuleType) -> HookedModel:
    return hook(*tiny_models.llava(blocks=BLOCKS, width=WIDTH))


def same_numbers(one: Any, two: Any) -> None:
    for field in dataclasses.fields(one):
        values = getattr(one, field.name), getattr(two, field.name)
        if isinstance(values[0], np.ndarray):
            np.testing.assert_array_equal(*values, err_msg=field.name)


def test_a_package_offers_a_lens(package: ModuleType) -> None:
    assert LENSES.names() == ("normed", "raw", "tuned", "unchanged")
    assert LENSES.get("tuned") is package.tuned
    assert isinstance(package.tuned, Lens)


def test_a_trace_through_it_is_what_torch_and_scipy_say(
    llava: HookedModel, package: ModuleType
) -> None:
    probes = tiny_models.probes(3)
    traces = record(llava, probes, max_new_tokens=5, batch_size=3, lens="tuned")
    norm, head = llava.model.model.language_model.norm, llava.model.lm_head
    maps, shifts = (t.double().numpy() for t in (package.tuned.maps, package.tuned.shifts))
    for probe, trace in zip(probes, traces, strict=True):
        own = reference.answer(llava.model, llava.inputs([probe]), 5)
        moved = own.states.copy()
        for j in range(BLOCKS):
            moved[:, j] += own.states[:, j] @ maps[j].T + shifts[j]
        assert trace.lens == "tuned"
        assert trace.token_ids.tolist() == own.tokens
        log_p = reference.distributions(moved, norm, head)
        for name, values in reference.curves(log_p, own.tokens).items():
            room = 1.0 if name == "rank" else 1e-4
            np.testing.assert_allclose(
                getattr(trace, name), values, rtol=5e-3, atol=room, err_msg=name
            )
        # It is another reading than the normed one before the last state, and the same there.
        plain = replay(llava, [probe], [trace.token_ids.tolist()])[0]
        assert float(abs(plain.probability - trace.probability)[:, :-1].max()) > 1e-3
        np.testing.assert_allclose(
            plain.probability[:, -1], trace.probability[:, -1], rtol=1e-3, atol=1e-6
        )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_identity_equals_the_normed_lens_bit_by_bit(
    llava: HookedModel, batch_size: int
) -> None:
    probes = tiny_models.probes(3)

    def read(lens: str) -> list[Trace]:
        return record(llava, probes, max_new_tokens=4, batch_size=batch_size, lens=lens)

    for one, two in zip(read("normed"), read("unchanged"), strict=True):
        same_numbers(one, two)


def test_pairs_and_image_words_are_read_through_it(llava: HookedModel, package: ModuleType) -> None:
    probes = tiny_models.probes(2)
    ids = [t.token_ids.tolist() for t in record(llava, probes, max_new_tokens=3)]
    others = [probes[1].image, probes[0].image]
    made: dict[str, list[Any]] = {}
    for lens in ("normed", "unchanged", "tuned"):
        pairs = record_pairs(llava, probes, ids, others, condition="x", lens=lens)
        words = record_image_words(llava, probes, ids, lens=lens)
        made[lens] = [*pairs, *words]
        assert {item.lens for item in made[lens]} == {lens}
    for one, two, three in zip(*made.values(), strict=True):
        same_numbers(one, two)
        curve = "divergence" if hasattr(one, "divergence") else "confidence"
        moved = abs(getattr(one, curve) - getattr(three, curve))
        assert float(moved[:, :-1].max()) > 1e-4
        assert float(moved[:, -1].max()) < 1e-5


def test_the_last_state_is_never_shown_to_a_lens(llava: HookedModel, package: ModuleType) -> None:
    lens = package.fitted("watched", 2)
    register_lens(lens)
    try:
        probes = tiny_models.probes(1)
        (trace,) = record(llava, probes, max_new_tokens=3, lens="watched")
        ids = [trace.token_ids.tolist()]
        record_image_words(llava, probes, ids, lens="watched")
        assert set(lens.seen) == set(range(BLOCKS))
        lens.seen.clear()
        record_pairs(
            llava,
            probes,
            ids,
            [probes[0].image],
            condition="x",
            lens="watched",
            last_state_only=True,
        )
        assert lens.seen == []
    finally:
        LENSES.unregister("watched")


def test_a_lens_for_another_model_is_refused_before_anything_is_asked(package: ModuleType) -> None:
    other = hook(*tiny_models.llava(blocks=BLOCKS, width=64))
    with pytest.raises(UsageError, match="tuned was fitted for another model"):
        record(other, tiny_models.probes(1), max_new_tokens=1, lens="tuned")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda s, f, r: s[0], r"gave torch.float32 \(6, 48\) where the head reads floats"),
        (lambda s, f, r: r.normed(s).long(), "gave torch.int64"),
        (lambda s, f, r: None, "gave <class 'NoneType'>"),
        (lambda s, f, r: s.no_such(), "failed at states 0 to 5: AttributeError"),
        (lambda s, f, r: s * float("nan"), "through lens 'broken': probability.* is nan"),
    ],
)
def test_a_lens_that_breaks_its_promise_is_named(
    llava: HookedModel, package: ModuleType, rows: Any, message: str
) -> None:
    lens = package.fitted("broken", 3)
    lens.rows = rows
    register_lens(lens)
    try:
        with pytest.raises(ProbesFailed, match=message):
            record(llava, tiny_models.probes(1), max_new_tokens=1, lens="broken")
    finally:
        LENSES.unregister("broken")


def test_what_a_lens_holds_is_what_it_is_keyed_by(package: ModuleType) -> None:
    keys = {content_key(name) for name in ("normed", "raw", "tuned", "unchanged")}
    assert keys == {"", package.tuned.fingerprint(), package.unchanged.fingerprint()}
    assert len(package.tuned.fingerprint()) == 64
    lens = package.fitted("numbered", 4)
    lens.fingerprint = lambda: 4
    register_lens(lens)
    try:
        with pytest.raises(UsageError, match=r"'numbered': fingerprint\(\) gave a int"):
            content_key("numbered")
    finally:
        LENSES.unregister("numbered")


def test_a_lens_that_cannot_answer_is_named(llava: HookedModel, package: ModuleType) -> None:
    lens = package.fitted("mute", 5)
    lens.fingerprint = lens.check = lambda *_: 1 / 0
    register_lens(lens)
    try:
        with pytest.raises(UsageError, match=r"'mute': fingerprint\(\) failed: ZeroDivisionError"):
            content_key("mute")
        with pytest.raises(UsageError, match="'mute' could not say whether it fits .* ZeroDiv"):
            record(llava, tiny_models.probes(1), max_new_tokens=1, lens="mute")
    finally:
        LENSES.unregister("mute")


def test_what_is_no_lens_is_refused(package: ModuleType) -> None:
    with pytest.raises(UsageError, match="is the class TunedLens, not a Lens"):
        register_lens(package.TunedLens)
    with pytest.raises(UsageError, match="is str, not a Lens"):
        register_lens("tuned")  # type: ignore[arg-type]


def test_a_16_bit_model_is_read_through_it(package: ModuleType) -> None:
    model, processor = tiny_models.llava(blocks=BLOCKS, width=WIDTH, dtype=torch.bfloat16)
    with hook(model, processor) as hooked:
        (plain,) = record(hooked, tiny_models.probes(1), max_new_tokens=3)
        (same,) = record(hooked, tiny_models.probes(1), max_new_tokens=3, lens="unchanged")
    same_numbers(plain, same)
