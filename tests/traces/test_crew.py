"""Work shared out among threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from lvlm_audit.traces.crew import shared_out


@pytest.mark.parametrize(("n", "lanes"), [(1, 4), (7, 2), (50, 3), (0, 2)])
def test_every_piece_is_done_once_in_inference_mode(n: int, lanes: int) -> None:
    done: list[int] = []

    def work(pieces: Iterator[int]) -> None:
        for piece in pieces:
            assert torch.is_inference_mode_enabled()
            done.append(piece)

    shared_out(work, n, lanes)
    assert sorted(done) == list(range(n))


def test_threads_are_counted_as_before_also_after_an_error() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        shared_out(lambda pieces: None, 4, 2)
        assert torch.get_num_threads() == 2

        def failing(pieces: Iterator[int]) -> None:
            raise ValueError("a piece failed")

        with pytest.raises(ValueError, match="a piece failed"):
            shared_out(failing, 4, 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
