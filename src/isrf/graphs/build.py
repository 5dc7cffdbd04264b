"""Both graphs of one training set and what is derived from them once: the room's front door and its file.

Knows nothing about the generator or ranking.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from isrf.core.arrays import unit_rows
from isrf.core.config import GraphSettings
from isrf.core.tables import open_arrays, save_arrays
from isrf.data.training_data import TrainingData
from isrf.graphs.groups import GroupProfile, group_profile, user_item_votes
from isrf.graphs.propagation import normalised, propagate, propagate_bipartite
from isrf.graphs.similar_users import UserGraph, build_user_graph
from isrf.semantics.features import Semantics
from isrf.workspace.layout import GRAPHS_FILE


@dataclass(frozen=True)
class Graphs:
    """What step 1 and step 2 know after propagation.

    Attributes:
        item_nodes: (I, k) float32 unit or zero: z_i, semantic features after LightGCN over the interaction graph.
        users: the similar-user graph.
        groups: (U,) what each user's group chose.
    """

    item_nodes: np.ndarray
    users: UserGraph
    groups: GroupProfile


def build_graphs(training: TrainingData, semantics: Semantics, settings: GraphSettings) -> Graphs:
    """Build both graphs from training interactions and features and propagate over them (paper, steps 1 and 2).

    Item nodes start from their semantic features; user nodes of the interaction graph start empty, so that nothing but
    interactions reaches them.
    """
    nodes = item_nodes(training, semantics.items, settings)
    users = build_user_graph(semantics.users, settings)
    node_semantics = user_nodes(users, semantics.users, settings.user_layers)
    choices = user_item_votes(training.histories, training.n_items, settings.decay)
    return Graphs(nodes, users, group_profile(users.links, choices, node_semantics))


def item_nodes(training: TrainingData, features: np.ndarray, settings: GraphSettings) -> np.ndarray:
    """(I, k) float32 unit or zero: (I, k) semantic features after LightGCN over the semantic interaction graph."""
    nobody = np.zeros((training.n_users, features.shape[1]), dtype=np.float32)
    return unit_rows(propagate_bipartite(normalised(training.matrix), nobody, features, settings.layers)[1])


def user_nodes(graph: UserGraph, features: np.ndarray, layers: int) -> np.ndarray:
    """(U, d) float32 user features that a group is the mean of: LightGCN's layers before the last (paper, step 2).

    The mean over a person's neighbours (``group_profile``) is itself the last of the L_user layers. So with one layer
    these are the features as they are, and nothing of a person comes back to them by way of a neighbour. Without a layer
    no feature travels: the mean over neighbours must say nothing, so these are zero.
    """
    if layers == 0:
        return np.zeros_like(features)
    binary = graph.links.copy()
    binary.data = np.ones_like(binary.data)
    return propagate(normalised(binary), features, layers - 1)


def save_graphs(graphs: Graphs, folder: Path) -> None:
    """Write ``graphs.npz`` into the folder."""
    links = graphs.users.links
    save_arrays(
        folder / GRAPHS_FILE,
        item_nodes=graphs.item_nodes,
        link_data=links.data,
        link_indices=links.indices,
        link_indptr=links.indptr,
        best=graphs.users.best,
        group_items=graphs.groups.items,
        group_weights=graphs.groups.weights,
        group_semantics=graphs.groups.semantics,
    )


def load_graphs(path: Path) -> Graphs:
    """Read ``graphs.npz``."""
    with open_arrays(path) as a:
        n = len(a["best"])
        links = sp.csr_matrix((a["link_data"], a["link_indices"], a["link_indptr"]), shape=(n, n))
        groups = GroupProfile(a["group_items"], a["group_weights"], a["group_semantics"])
        return Graphs(a["item_nodes"], UserGraph(links, a["best"]), groups)
