"""Several residual streams: how they are laid side by side and taken apart again."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import UnsupportedModel
from lvlm_audit.models.streams import ONE_STREAM, Streams, find_streams

sizes = st.integers(1, 5)


@given(count=st.integers(2, 4), positions=sizes, width=sizes, first=st.booleans())
def test_apart_undoes_together(count: int, positions: int, width: int, first: bool) -> None:
    shape = (count, 1, positions, width) if first else (1, positions, count, width)
    output = torch.randn(shape)
    streams = Streams(count, first)
    state = streams.together(output)
    assert state.shape == (1, positions, count * width)
    assert torch.equal(streams.apart(state[0]), output)


def test_streams_lie_side_by_side_in_order() -> None:
    after = torch.tensor([[[[1, 2], [3, 4]]]])  # one position, two streams of two
    first = torch.tensor([[[[1, 2]]], [[[3, 4]]]])
    for layout, output in ((Streams(2), after), (Streams(2, first=True), first)):
        assert layout.together(output).tolist() == [[[1, 2, 3, 4]]]


def test_one_stream_is_left_alone() -> None:
    output = torch.randn(2, 3, 4)
    assert ONE_STREAM.together(output) is output
    assert ONE_STREAM.apart(output[0]).shape == (1, 3, 4)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 6, 8), ONE_STREAM),
        ((1, 6, 4, 8), Streams(4)),
        ((4, 1, 6, 8), Streams(4, first=True)),
    ],
)
def test_the_layout_is_read_off_the_shape(shape: tuple[int, ...], expected: Streams) -> None:
    assert find_streams("Model", shape) == expected


@pytest.mark.parametrize("shape", [(6, 8), (2, 3, 4, 8), (1, 2, 3, 4, 8)])
def test_other_shapes_are_refused_with_the_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedModel, match=str(list(shape)).replace("[", r"\[")):
        find_streams("Model", shape)
