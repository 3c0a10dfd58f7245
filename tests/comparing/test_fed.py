"""What the two models are fed differently, by value."""

from __future__ import annotations

import pytest

from lvlm_audit.comparing.fed import fed_differences
from tests.comparing.sides import FED


def differences(now, before):
    return [(one.what, one.here, one.there) for one in fed_differences(now, before)]


def test_by_value():
    now = {**FED, "processor": {**FED["processor"], "image_mean": [0.5, 0.5, 0.5], "size": 224}}
    assert differences(now, FED) == [
        ("processor: image_mean", "[0.5, 0.5, 0.5]", "[0.48, 0.46, 0.41]"),
        ("processor: size", "224", "336"),
    ]
    assert differences(FED, FED) == []


def test_what_only_one_of_them_sets():
    now = {"generation": {"eos_token_id": 2, "temperature": 0.0}, "special tokens": {"pad": ""}}
    assert differences(now, {"generation": {"eos_token_id": 2}}) == [
        ("generation: temperature", "0.0", "not set"),
        ("special tokens: pad", '""', "not set"),
    ]


@pytest.mark.parametrize(
    ("here", "there"), [(True, 1), (None, "None"), ({"a": 1}, {"a": 2}), ([1], [1, 2]), ("1", 1)]
)
def test_values_that_look_alike(here, there):
    (one,) = fed_differences({"processor": {"x": here}}, {"processor": {"x": there}})
    assert one.what == "processor: x"
    assert differences({"processor": {"x": here}}, {"processor": {"x": here}}) == []


def test_the_order_of_keys_and_lists_as_json_reads_them():
    assert differences({"a": {"b": {"c": 1, "d": 2}}}, {"a": {"b": {"d": 2, "c": 1}}}) == []


def test_long_texts_by_their_first_line_that_differs():
    before = "\n".join(["{% for m in messages %}", "USER: {{ m }}", "{% endfor %}"])
    now = before.replace("USER", "HUMAN")
    group = "chat template"
    assert differences({group: {"chat_template": now}}, {group: {"chat_template": before}}) == [
        ("chat template", "line 2: HUMAN: {{ m }}", "line 2: USER: {{ m }}")
    ]
    longer = before + "\nASSISTANT:"
    assert differences({group: {"chat_template": longer}}, {group: {"chat_template": before}}) == [
        ("chat template", "line 4: ASSISTANT:", "line 4: none")
    ]


def test_a_difference_deep_in_a_long_line_is_seen():
    one, other = "x" * 3000 + "left", "x" * 3000 + "right"
    ((_, here, there),) = differences({"tokenizer": {"t": one}}, {"tokenizer": {"t": other}})
    assert here.endswith("left")
    assert there.endswith("right")
    assert max(len(here), len(there)) < 200


def test_a_document_that_does_not_hold_it_is_not_compared():
    assert differences({}, FED) == differences(FED, {}) == []
