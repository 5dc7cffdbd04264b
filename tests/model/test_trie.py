"""The array trie against a trie of dicts, and what a person has seen everything of against counting by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from isrf.model.identifiers import Identifiers
from isrf.model.trie import Trie

END = 0


@st.composite
def some_identifiers(draw: st.DrawFn) -> Identifiers:
    """Few tokens, so that beginnings are shared; of one length, or of many with an end token."""
    most = draw(st.integers(1, 4))
    tokens = st.integers(1, 4)
    if draw(st.booleans()):
        codes = draw(st.lists(st.lists(tokens, min_size=most, max_size=most).map(tuple), min_size=1, unique=True))
        return Identifiers("semantic", np.array(codes, dtype=np.int64), 5)
    codes = draw(st.lists(st.lists(tokens, min_size=1, max_size=most).map(tuple), min_size=1, unique=True))
    padded = [[*code, *[END] * (most + 1 - len(code))] for code in codes]
    return Identifiers("digits", np.array(padded, dtype=np.int64), 5, END)


def dict_trie(identifiers: Identifiers) -> dict[int, Any]:
    """Token -> child, an item row at the end of each path."""
    root: dict[int, Any] = {}
    for item, code in enumerate(identifiers.tokens.tolist()):
        node = root
        for token in code[:-1]:
            node = node.setdefault(token, {})
        node[code[-1]] = item
    return root


@given(some_identifiers())
def test_it_is_the_trie_of_dicts(identifiers: Identifiers) -> None:
    trie = Trie.build(identifiers)
    level: list[tuple[int, Any, tuple[int, ...]]] = [(0, dict_trie(identifiers), ())]
    visited = 0
    while level:
        visited += len(level)
        rows, children = trie.allowed(torch.tensor([node for node, _, _ in level]))
        below = []
        for index, (node, expected, prefix) in enumerate(level):
            mine = children[rows == index].tolist()
            ended = END in prefix and identifiers.end is not None
            assert bool(trie.free[node]) == (identifiers.end is not None and END in prefix[:-1])
            if isinstance(expected, int):
                assert mine == [] and trie.item[node] == expected and trie.leaves[node] == 1
                assert trie.path[expected, -1] == node
                continue
            assert trie.item[node] == -1
            assert trie.token[mine].tolist() == sorted(expected), "other tokens, or not ascending"
            assert not ended or trie.free[mine].all()
            below += [(child, expected[int(trie.token[child])], (*prefix, int(trie.token[child]))) for child in mine]
        level = below
    assert visited == len(trie), "a node that no code leads to"


@given(some_identifiers())
def test_paths_spell_the_identifiers_and_leaves_are_counted(identifiers: Identifiers) -> None:
    trie = Trie.build(identifiers)
    assert torch.equal(trie.token[trie.path], torch.from_numpy(identifiers.tokens))
    below = [int((trie.path == node).any(1).sum()) for node in range(1, len(trie))]
    assert trie.leaves.tolist() == [len(identifiers), *below]


@given(some_identifiers(), st.lists(st.integers(0, 50), max_size=12))
def test_any_nodes_in_any_order_even_twice(identifiers: Identifiers, picked: list[int]) -> None:
    trie = Trie.build(identifiers)
    nodes = torch.tensor([p % len(trie) for p in picked], dtype=torch.int64)
    rows, children = trie.allowed(nodes)
    parents = {int(c): n for n in range(len(trie)) for c in trie.allowed(torch.tensor([n]))[1]}
    assert [parents[int(c)] for c in children] == nodes[rows].tolist()
    one_by_one = [c for n in nodes for c in trie.allowed(n[None])[1].tolist()]
    assert children.tolist() == one_by_one


@given(some_identifiers(), st.data())
def test_exhausted_is_where_every_item_below_was_seen(identifiers: Identifiers, data: st.DataObject) -> None:
    trie = Trie.build(identifiers)
    seen = data.draw(st.lists(st.lists(st.integers(0, len(identifiers) - 1)), min_size=1, max_size=3))
    rows = torch.tensor([p for p, items in enumerate(seen) for _ in items], dtype=torch.int64)
    found = trie.exhausted(rows, torch.tensor([i for items in seen for i in items], dtype=torch.int64))
    expected = [
        person * len(trie) + node
        for person, items in enumerate(seen)
        for node in range(len(trie))
        if (node == 0 or (trie.path == node).any())
        and set(((trie.path == node).any(1) if node else torch.ones(len(identifiers))).nonzero()[:, 0].tolist())
        <= set(items)
    ]
    assert found.tolist() == expected


def test_a_large_catalogue_is_built_by_sorting(benchmark_items: int = 200_000) -> None:
    """Not a clock: a loop over items or nodes in Python would be felt, and the counts are checked."""
    codes = np.unique(np.random.default_rng(0).integers(0, 256, size=(benchmark_items, 4)), axis=0)
    shuffled = np.random.default_rng(1).permutation(codes)
    trie = Trie.build(Identifiers("semantic", shuffled, 256))
    prefixes = [len(np.unique(codes[:, :n], axis=0)) for n in (1, 2, 3, 4)]
    assert len(trie) == 1 + sum(prefixes)
    assert torch.equal(trie.item[trie.path[:, -1]], torch.arange(len(codes)))
    assert np.array_equal(shuffled[trie.item[-len(codes) :]], codes), "leaves are in sorted order"


def test_it_moves_to_a_device_whole() -> None:
    trie = Trie.build(Identifiers("semantic", np.array([[0, 1], [1, 0]]), 2))
    moved = trie.to(torch.device("cpu"))
    assert torch.equal(moved.path, trie.path) and moved.depth == 2 and len(moved) == 5


@pytest.mark.parametrize("length", [1, 3])
def test_one_item_is_one_path(length: int) -> None:
    trie = Trie.build(Identifiers("semantic", np.full((1, length), 2, dtype=np.int64), 3))
    assert len(trie) == length + 1 and trie.path.tolist() == [list(range(1, length + 1))]
