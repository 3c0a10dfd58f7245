"""The content key: equal for equal sets, different for any difference."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import ProbeError
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.probe import ImageSource, Probe

BASE = Probe(
    id="a",
    prompt="What?",
    image=ImageSource("x.png", data=b"pixels"),
    cluster="c",
    answer="That.",
    labels={"kind": "count", "truth": 1},
    tensors={"input_ids": np.array([[1, 2]]), "pixel_values": np.zeros((1, 2), np.float32)},
)
OTHER = replace(BASE, id="b")


def key(*probes: Probe) -> str:
    return fingerprint(probes)


def test_is_a_sha256_that_does_not_change_between_runs() -> None:
    # Stored traces are found by it: a change of the encoding must be meant (see _VERSION).
    image = hashlib.sha256(b"pixels").hexdigest()
    content = (
        f"str 19:lvlm_audit probes 1str 1:astr 5:What?str 64:{image}str 1:cstr 5:That."
        "mapping 1:2str 4:kindstr 5:countstr 5:truthint 1:1NoneType 4:None"
    )
    plain = replace(BASE, tensors=None)
    assert key(plain) == hashlib.sha256(content.encode()).hexdigest()


def test_the_order_of_images_changes_it() -> None:
    one, two = ImageSource("x.png", data=b"pixels"), ImageSource("y.png", data=b"other")
    assert key(BASE.showing([one, two])) != key(BASE.showing([two, one]))
    assert key(BASE.showing([one])) == key(BASE)


def test_more_images_need_a_first() -> None:
    with pytest.raises(ProbeError, match="'a': more_images without image"):
        replace(BASE, image=None, more_images=(ImageSource("x.png", data=b"pixels"),))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "b"},
        {"prompt": "What"},
        {"cluster": "d"},
        {"answer": None},
        {"answer": ""},
        {"answer": "None"},
        {"image": None},
        {"image": ImageSource("x.png", data=b"pixel5")},
        {"more_images": (ImageSource("x.png", data=b"pixels"),)},
        {"labels": {}},
        {"labels": {"kind": "count", "truth": 2}},
        {"labels": {"kind": "count", "truth": "1"}},
        {"labels": {"kind": "count", "truth": True}},
        {"labels": {"kind": "count", "truth": 1.0}},
        {"labels": {"kind": "count", "truth": [1]}},
        {"labels": {"kind": "count", "truths": 1}},
        {"tensors": None},
        {"tensors": {}},
        {"tensors": {"input_ids": np.array([[1, 2]])}},
    ],
)
def test_any_field_changes_it(change: dict[str, Any]) -> None:
    assert key(replace(BASE, **change)) != key(BASE)


@pytest.mark.parametrize(
    "array",
    [
        np.array([[1, 3]]),
        np.array([[1], [2]]),
        np.array([1, 2]),
        np.array([[1, 2]], np.int32),
        np.array([[1, 2]], np.float64),
        [[1, 2]],
    ],
)
def test_values_shape_and_dtype_of_a_tensor_change_it(array: Any) -> None:
    first = replace(BASE, tensors={"input_ids": np.array([[1, 2]])})
    assert key(replace(BASE, tensors={"input_ids": array})) != key(first)


def test_memory_order_does_not() -> None:
    rows = np.arange(6).reshape(2, 3)
    columns = np.asfortranarray(rows)
    assert key(replace(BASE, tensors={"x": rows})) == key(replace(BASE, tensors={"x": columns}))


def test_order_and_number_of_probes_change_it() -> None:
    keys = {key(), key(BASE), key(BASE, BASE), key(BASE, OTHER), key(OTHER, BASE)}
    assert len(keys) == 5


def test_where_an_image_is_stored_does_not(tmp_path: Path) -> None:
    (tmp_path / "y.png").write_bytes(b"pixels")
    stored = replace(BASE, image=ImageSource("y.png", path=tmp_path / "y.png"))
    assert key(stored) == key(BASE)


def test_key_order_of_labels_does_not() -> None:
    assert key(replace(BASE, labels={"truth": 1, "kind": "count"})) == key(BASE)


def test_missing_image(tmp_path: Path) -> None:
    gone = replace(BASE, image=ImageSource("y.png", path=tmp_path / "y.png"))
    with pytest.raises(ProbeError, match="cannot read image"):
        key(gone)


def test_what_has_no_content_is_refused_by_name() -> None:
    with pytest.raises(ProbeError, match=re.escape("probe 'a', labels['x'][1]: a object has no")):
        key(replace(BASE, labels={"x": [0, object()]}))
    with pytest.raises(ProbeError, match="an array of objects"):
        key(replace(BASE, tensors={"x": np.array([object()])}))


def test_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    values = [[0.5, 1.25]]
    keys = {
        key(replace(BASE, tensors={"x": torch.tensor(values, dtype=dtype, requires_grad=True)}))
        for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64)
    }
    assert len(keys) == 4
    twice = [replace(BASE, tensors={"x": torch.tensor(values).bfloat16()}) for _ in range(2)]
    assert key(twice[0]) == key(twice[1])


TEXTS = st.lists(st.text(max_size=4), min_size=1, max_size=4)


@given(first=TEXTS, second=TEXTS)
def test_texts_do_not_run_together(first: Sequence[str], second: Sequence[str]) -> None:
    one = key(*(replace(BASE, prompt=t) for t in first))
    two = key(*(replace(BASE, prompt=t) for t in second))
    assert (one == two) == (first == second)
    labelled = key(replace(BASE, labels={"x": first})), key(replace(BASE, labels={"x": second}))
    assert (labelled[0] == labelled[1]) == (first == second)
