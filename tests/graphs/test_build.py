"""Both graphs of one training set, built and read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from isrf.core.config import GraphSettings
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue, TrainingData
from isrf.graphs.build import build_graphs, load_graphs, save_graphs
from isrf.semantics.features import Semantics
from isrf.semantics.reduce import fit_reduction
from isrf.workspace.layout import GRAPHS_FILE


def world(log: list[list[int]], n_items: int, seed: int = 0) -> tuple[TrainingData, Semantics]:
    rng = np.random.default_rng(seed)
    table = pl.DataFrame({Columns.ITEM: [f"i{i}" for i in range(n_items)], Columns.TITLE: [""] * n_items})
    training = TrainingData([f"u{u}" for u in range(len(log))], Catalogue(table), Histories.of(log))
    items, users = rng.normal(size=(n_items, 4)), rng.normal(size=(len(log), 4))
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    users /= np.linalg.norm(users, axis=1, keepdims=True)
    items[-1] = 0  # an item without any text
    return training, Semantics(items.astype(np.float32), users.astype(np.float32), fit_reduction(items, 4))


LOG = [[0, 1], [1, 2], [0, 2, 4], [3]]


def test_item_nodes_are_unit_and_a_textless_item_gets_the_meaning_of_its_company() -> None:
    training, semantics = world(LOG, 5)
    nodes = build_graphs(training, semantics, GraphSettings(tau=-1.0)).item_nodes
    assert nodes.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(nodes, axis=1), 1, rtol=1e-5)
    company = semantics.items[0] + semantics.items[2]
    assert nodes[4] @ company > 0.9 * np.linalg.norm(company) * 0.5


def test_the_size_of_features_cancels_so_sigma_needs_no_setting() -> None:
    """ELMRec draws them with a standard deviation; here only their directions reach a node."""
    training, semantics = world(LOG, 5)
    larger = Semantics(5 * semantics.items, semantics.users, semantics.reduction)
    one, other = (build_graphs(training, s, GraphSettings(tau=-1.0)).item_nodes for s in (semantics, larger))
    np.testing.assert_allclose(other, one, atol=1e-6)


def test_without_layers_nodes_are_the_features() -> None:
    training, semantics = world(LOG, 5)
    nodes = build_graphs(training, semantics, GraphSettings(tau=-1.0, layers=0)).item_nodes
    np.testing.assert_allclose(nodes, semantics.items, atol=1e-6)


def test_an_item_that_nobody_bought_keeps_its_own_meaning() -> None:
    training, semantics = world([[0, 1], [1, 2]], 5)
    nodes = build_graphs(training, semantics, GraphSettings(tau=-1.0)).item_nodes
    np.testing.assert_allclose(nodes[3], semantics.items[3], atol=1e-6)
    assert not nodes[4].any()


def test_without_user_layers_a_group_knows_choices_and_nothing_of_what_its_people_are_like() -> None:
    training, semantics = world(LOG, 5)
    none, one, two = (
        build_graphs(training, semantics, GraphSettings(tau=-1.0, user_layers=layers)).groups for layers in (0, 1, 2)
    )
    assert none.present.all() and np.array_equal(none.items, one.items) and np.array_equal(none.weights, one.weights)
    assert not none.semantics.any() and one.semantics.any()
    assert not np.allclose(one.semantics, two.semantics)


def test_graphs_are_the_same_after_saving(tmp_path: Path) -> None:
    training, semantics = world(LOG, 5)
    graphs = build_graphs(training, semantics, GraphSettings(tau=-1.0, top_k=2))
    assert graphs.users.links.nnz
    save_graphs(graphs, tmp_path)
    loaded = load_graphs(tmp_path / GRAPHS_FILE)
    assert np.array_equal(loaded.item_nodes, graphs.item_nodes)
    assert np.array_equal(loaded.users.links.toarray(), graphs.users.links.toarray())
    assert np.array_equal(loaded.users.best, graphs.users.best)
    for name in ("items", "weights", "semantics", "present"):
        assert np.array_equal(getattr(loaded.groups, name), getattr(graphs.groups, name))


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    training, semantics = world(LOG, 5)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_graphs(build_graphs(training, semantics, GraphSettings(tau=-1.0)), tmp_path / name)
    assert (tmp_path / "one" / GRAPHS_FILE).read_bytes() == (tmp_path / "two" / GRAPHS_FILE).read_bytes()
