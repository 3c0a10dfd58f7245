"""Controls: what is shown, what it is compared with, and what stays as it was."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.controlled import EXPECTATIONS, text_questions, under_control
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.settings.declared import AUDIT


def image(shade: int, size: tuple[int, int] = (9, 7)) -> ImageSource:
    data = io.BytesIO()
    Image.new("RGB", size, (shade, 2 * shade % 255, 0)).save(data, "PNG")
    return ImageSource(f"shade {shade}", data=data.getvalue())


def probe(number: int, prompt: str = "What is it?", cluster: int | None = None) -> Probe:
    of = number if cluster is None else cluster
    return Probe(
        f"p{number}", prompt, image(of, (9 + of, 7)), f"image-{of}", f"It is {of}.", {"n": number}
    )


SIX = [probe(i, cluster=i // 2, prompt="What?" if i % 2 else "Where?") for i in range(6)]


def test_no_control_shows_the_probes_as_they_are() -> None:
    shown = under_control(SIX, None)
    assert list(shown.probes) == SIX
    assert [o[0].name for o in shown.others if o] == [f"shade {i}" for i in (1, 1, 2, 2, 0, 0)]


def test_text_only_asks_each_distinct_prompt_once_without_image_or_reference() -> None:
    shown = under_control(SIX, "text-only")
    assert [p.prompt for p in shown.probes] == ["Where?", "What?"]
    assert [p.id for p in shown.probes] == ["p0", "p1"]
    assert all(p.image is None and p.answer is None for p in shown.probes)
    assert shown.others == [None, None]


def test_a_blank_image_is_uniform_grey_of_the_own_size_against_another_probes_real_one() -> None:
    shown = under_control(SIX, "blank-image")
    plain = under_control(SIX, None)
    assert shown.others == plain.others
    for was, now in zip(SIX, shown.probes, strict=True):
        assert was.image is not None
        assert now.image is not None
        pixels = np.asarray(now.image.open())
        assert now.image.open().size == was.image.open().size
        assert (pixels == 128).all()
        assert (now.id, now.prompt, now.answer, now.labels) == (
            was.id, was.prompt, was.answer, was.labels,
        )  # fmt: skip
    # Equal prompts are equal questions now.
    assert len({p.cluster for p in shown.probes}) == 2


def test_a_swapped_image_is_another_probes_and_is_compared_with_the_own_one() -> None:
    shown = under_control(SIX, "swapped-image")
    for was, now, other in zip(SIX, shown.probes, shown.others, strict=True):
        assert other == (was.image,)
        assert now.image is not None
        assert was.image is not None
        assert now.image.digest() != was.image.digest()
        assert dataclasses.replace(now, image=was.image) == was


@pytest.mark.parametrize("control", AUDIT["control"].choices)
def test_every_control_changes_the_content_key_and_says_what_to_expect(control) -> None:
    assert fingerprint(under_control(SIX, control).probes) != fingerprint(SIX)
    assert fingerprint(under_control(SIX, control).probes) == fingerprint(
        under_control(SIX, control).probes
    )
    assert EXPECTATIONS[control].startswith("Every ")


def test_the_three_controls_have_three_keys() -> None:
    assert len({fingerprint(under_control(SIX, c).probes) for c in AUDIT["control"].choices}) == 3


@pytest.mark.parametrize("control", AUDIT["control"].choices)
def test_prepared_probes_and_probes_without_image_are_refused(control) -> None:
    prepared = Probe.prepared({"input_ids": np.array([[1, 2]])}, id="ready")
    with pytest.raises(ProbeError, match=f"control '{control}': probe 'ready' is prepared"):
        under_control([prepared], control)
    with pytest.raises(ProbeError, match="no probe has an image"):
        under_control([Probe("a", "What?", None, "a")], control)


def test_one_image_cannot_be_swapped() -> None:
    with pytest.raises(ProbeError, match="all probes show the same image"):
        under_control([probe(0, cluster=0), probe(1, cluster=0)], "swapped-image")


@given(st.lists(st.sampled_from("abcd"), max_size=12))
def test_questions_are_the_distinct_prompts_in_the_order_of_their_first(prompts) -> None:
    probes = [Probe(f"p{i}", p, None, f"c{i}") for i, p in enumerate(prompts)]
    asked = text_questions(probes)
    assert [p.prompt for p in asked] == list(dict.fromkeys(prompts))
    assert len({p.cluster for p in asked}) == len({p.id for p in asked}) == len(asked)
