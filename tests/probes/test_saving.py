"""A folder of probes is read back as the probes that were written."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import ProbeError, UsageError
from lvlm_audit.probes.fingerprint import fingerprint
from lvlm_audit.probes.image_places import places
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.probes.readers import read_probes
from lvlm_audit.probes.saving import save
from tests import tiny_models

# Whatever UTF-8 can hold: control characters, byte order marks and spaces at both ends are text too.
TEXT = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
PROMPT = TEXT.filter(lambda text: not places(text))
IMAGES = [
    ImageSource("../../etc/a.PNG", data=tiny_models.picture(0).read()),
    ImageSource("b", data=tiny_models.picture(1).read()),
    ImageSource("c\n<script>.svg", data=tiny_models.picture(2).read()),
]


@given(
    st.lists(
        st.tuples(
            PROMPT,
            st.none() | TEXT,
            st.sampled_from(["x", "y"]),
            st.lists(st.sampled_from(range(3)), min_size=1, max_size=3),
            st.dictionaries(st.sampled_from(["kind", "n"]), st.integers() | TEXT, max_size=2),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_what_is_read_is_what_was_written(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("probes") / "new"
    written = [
        Probe(
            id=f"{i}",
            prompt=prompt,
            image=IMAGES[shown[0]],
            more_images=tuple(IMAGES[k] for k in shown[1:]),
            cluster=cluster,
            answer=answer,
            labels=labels,
        )
        for i, (prompt, answer, cluster, shown, labels) in enumerate(rows)
    ]
    found = read_probes(save(written, folder))
    assert [p.id for p in found] == [p.id for p in written]
    for read, probe in zip(found, written, strict=True):
        assert [i.read() for i in read.images] == [i.read() for i in probe.images]
        assert (read.prompt, read.answer, read.cluster, dict(read.labels)) == (
            probe.prompt,
            probe.answer,
            probe.cluster,
            probe.labels,
        )
    used = {k for _, _, _, shown, _ in rows for k in shown}
    assert len(list(folder.iterdir())) == len(used) + 1
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    "others",
    [
        [
            "0",
            "0 ",
            " 0",
            "0\n",
            "0\r\n",
            "\t0",
            "0\u00a0",
            "0\u3000",
            "\ufeff0",
            "0\x00",
            "0\u2028",
        ],
        ["\u00e9", "e\u0301", "\ufb01", "fi", "\u202e0", "\x1b[2J0", "\U0001f600", "\u200b"],
        ['"', "\\", "\\u0030", "{}", "null", "<image", "\x85\x1c0"],
    ],
    ids=["space", "unicode", "json"],
)
def test_prompts_that_look_alike_stay_different(tmp_path: Path, others: list[str]) -> None:
    """A prompt is kept as it is: what the model is asked depends on every byte of it."""
    one = tiny_models.probes(1)[0]
    written = [replace(one, id=f"{k}", prompt=prompt) for k, prompt in enumerate(others)]
    found = read_probes(save(written, tmp_path / "new"))
    assert [p.prompt for p in found] == others
    assert fingerprint(found) == fingerprint([replace(p, labels=dict(p.labels)) for p in written])


HALF = "\ud83d"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt": " \n"}, r"line 2: 'prompt' is blank"),
        ({"prompt": f"a{HALF}"}, r"line 2: .*half a surrogate pair"),
        ({"answer": ""}, r"line 2: 'answer' is blank"),
        ({"answer": HALF}, r"line 2: .*half a surrogate pair"),
        ({"id": "0"}, r"line 2: the id '0' is taken already"),
        ({"id": "a\nb"}, r"line 2: 'id' holds the control character"),
        ({"cluster": "\u202e"}, r"line 2: 'cluster' holds the control character"),
        ({"prompt": "<image>\nWhat?"}, r"probe '1': its prompt .* would be read as 'What\?'"),
        ({"labels": {"x": math.nan}}, r"line 2: NaN is not JSON"),
        ({"labels": {1: "a", "1": "b"}}, r"line 2: the key '1' occurs twice"),
        ({"labels": {"x": {1, 2}}}, r"probe '1' cannot be written as JSON.*Keep only numbers"),
        ({"image": ImageSource("x.png", data=b"no picture")}, r"line 2: .*cannot be decoded"),
    ],
)
@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_what_cannot_be_read_back_is_not_written(
    tmp_path: Path, change: dict[str, Any], said: str, there: bool
) -> None:
    one = tiny_models.probes(1)[0]
    folder = tmp_path / "new"
    if there:
        folder.mkdir()
    with pytest.raises(ProbeError, match=said):
        save([replace(one, id="0"), replace(one, **{"id": "1", **change})], folder)
    assert folder.exists() == there
    assert not there or not list(folder.iterdir())


def test_a_prompt_for_all_images_is_kept_or_refused(tmp_path: Path) -> None:
    save(tiny_models.probes(1), tmp_path / "new")
    (tmp_path / "new" / "0000").rename(tmp_path / "new" / "a.png")
    for prompt in ("0", "0 ", "\ufeff0\x00"):
        assert [p.prompt for p in read_probes(tmp_path / "new", prompt=prompt)] == [prompt]
    with pytest.raises(ProbeError, match="half a surrogate pair"):
        read_probes(tmp_path / "new", prompt="caf\udce9")


def test_nothing_is_overwritten_and_a_blind_probe_is_named(tmp_path: Path) -> None:
    probes = tiny_models.probes(2)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        save(probes, tmp_path)
    with pytest.raises(ProbeError, match="'probe-1'"):
        save([probes[0], replace(probes[1], image=None)], tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    lines = save(probes, tmp_path / "new").read_text("utf-8").splitlines()
    assert [json.loads(line)["image"] for line in lines] == ["0000", "0001"]
