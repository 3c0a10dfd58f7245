"""A damaged checkpoint on disk is what the same fault in memory is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lvlm_audit.errors import UsageError
from lvlm_audit.faults import FAULTS, applied, write
from lvlm_audit.models.hooked import HookedModel
from lvlm_audit.models.opening import load
from lvlm_audit.traces.generation import step_logits
from tests import tiny_models

WRITTEN = [f.name for f in FAULTS if f.kept_in == "weights" and not f.demo_only]


def said(hooked: HookedModel) -> torch.Tensor:
    return torch.stack(step_logits(hooked, hooked.inputs(tiny_models.probes(1)), 2)[1])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written") / "model"
    return tiny_models.save(
        tiny_models.llava(tied=True, blocks=9, width=48, vocabulary=500), folder
    )


@pytest.mark.parametrize("fault", WRITTEN)
def test_opened_again_it_says_what_it_says_in_memory(
    fault: str, checkpoint: Path, tmp_path: Path
) -> None:
    folder = write(fault, checkpoint, tmp_path / "out", seed=2)
    assert not list(folder.glob("*.bin"))
    with load(checkpoint) as hooked, applied(fault, hooked, seed=2) as damaged:
        wanted = said(damaged)
    with load(folder) as again:
        assert torch.allclose(wanted, said(again), atol=1e-4)


@pytest.mark.parametrize("fault", ["other threads", "int8", "image truncated"])
def test_what_no_checkpoint_can_hold_is_refused(
    fault: str, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="cannot be written into a checkpoint"):
        write(fault, checkpoint, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_in_use_is_left_alone(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError):
        write("projector zeroed", checkpoint, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
