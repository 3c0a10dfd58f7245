"""A folder of probes is read back as the probes that were written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import ProbeError, UsageError
from lvlm_audit.probes.probe import ImageSource, Probe
from lvlm_audit.probes.readers import read_probes
from lvlm_audit.probes.saving import save
from tests import tiny_models

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1).filter(
    str.strip
)
IMAGES = [
    ImageSource("../../etc/a.PNG", data=tiny_models.picture(0).read()),
    ImageSource("b", data=tiny_models.picture(1).read()),
    ImageSource("c\n<script>.svg", data=tiny_models.picture(2).read()),
]


@given(
    st.lists(
        st.tuples(
            TEXT,
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
        assert (read.prompt, read.answer, read.cluster) == (
            probe.prompt.strip(),
            probe.answer if probe.answer is None else probe.answer.strip(),
            probe.cluster,
        )
        assert dict(read.labels) == dict(probe.labels)
    used = {k for _, _, _, shown, _ in rows for k in shown}
    assert len(list(folder.iterdir())) == len(used) + 1
    assert list(folder.parent.iterdir()) == [folder]


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
