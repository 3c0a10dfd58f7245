"""Named skip sets: the numbering of docs/method.md#states-and-transitions, by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lvlm_audit.errors import CheckError
from lvlm_audit.interventions.named import NAMES, Nodes, NoSet, Skip, blocks_of, paper_nodes

LLAVA = Nodes(32, 20, (26, 27, 28, 29, 30, 31))


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        # layers[20 : 25]; the blocks of transitions 25 to 30; layers[20 : 27].
        ("skip.1", (20, 21, 22, 23, 24)),
        ("skip.2", (25, 26, 27, 28, 29, 30)),
        ("skip.3", (20, 21, 22, 23, 24, 25, 26)),
    ],
)
def test_the_papers_model_has_the_papers_sets(name, blocks):
    assert paper_nodes(32) == LLAVA
    assert blocks_of(Skip(name), LLAVA) == blocks
    # At the paper's depth a model's own nodes do not count.
    assert blocks_of(Skip(name, "paper"), Nodes(32, None)) == blocks


def test_without_mutation_the_stage_ends_before_the_last_block():
    assert blocks_of(Skip("skip.1"), Nodes(12, 7)) == (7, 8, 9, 10)
    with pytest.raises(NoSet, match="no state mutates"):
        blocks_of(Skip("skip.2"), Nodes(12, 7))


def test_mutated_states_that_are_not_neighbours():
    assert blocks_of(Skip("skip.2"), Nodes(30, 10, (25, 28))) == (24, 27)
    assert blocks_of(Skip("skip.1"), Nodes(30, 10, (28, 25))) == tuple(range(10, 24))


@pytest.mark.parametrize(
    ("name", "nodes", "why"),
    [
        ("skip.1", Nodes(30, None), "no critical layer"),
        ("skip.1", Nodes(30, 24, (25,)), "no block lies between critical layer and mutation"),
        ("skip.3", Nodes(30, 28), "no block lies between critical layer and the last 5"),
    ],
)
def test_sets_that_do_not_exist_say_why(name, nodes, why):
    with pytest.raises(NoSet, match=why):
        blocks_of(Skip(name), nodes)


def test_indices_are_taken_as_they_are():
    skip = Skip((3, 4))
    assert blocks_of(skip, Nodes(9, None)) == (3, 4)
    assert skip.label == "blocks 3, 4"


@pytest.mark.parametrize("bad", ["skip.4", "", (), (1.0,), (True,), [1, 2], 3, None])
def test_what_is_no_skip_set(bad):
    with pytest.raises(CheckError, match="skip set"):
        Skip(bad)


def test_a_place_that_there_is_not():
    with pytest.raises(CheckError, match="nodes or paper, not at 'here'"):
        Skip("skip.1", "here")


@given(st.integers(10, 200))
def test_the_papers_depth_gives_valid_sets_for_every_depth(depth):
    nodes = paper_nodes(depth)
    assert nodes.critical is not None
    assert all(nodes.critical < m < depth for m in nodes.mutations)
    for name in NAMES:
        blocks = blocks_of(Skip(name, "paper"), Nodes(depth, None))
        assert list(blocks) == sorted(set(blocks))
        assert blocks[0] >= 0
        assert blocks[-1] < depth - 1
