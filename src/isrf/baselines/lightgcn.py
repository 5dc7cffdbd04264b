"""LightGCN: embeddings of people and items smoothed over the graph of who bought what. Knows nothing about order or text.

He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020, trained with
its BPR loss. Defaults were chosen on validation (Amazon Beauty, direct task).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import functional as F

from isrf.data.queries import Queries
from isrf.data.split import TrainingData
from isrf.errors import IsrfError
from isrf.graphs.propagation import normalised, propagate_bipartite
from isrf.progress import task

STEPS_PER_EPOCH, SMALLEST_BATCH = 8, 16
"""A log too small for this many batches an epoch gets smaller batches, down to SMALLEST_BATCH."""


class LightGCN:
    """z = mean of E, AE, ..., A^L E over the nodes of people and items, A = D^-1/2 (adjacency) D^-1/2; scores z_u . z_i.

    A person is the node that their history makes: z_u = (e_u + sum over layers k and history items i of
    e_i^(k) / sqrt(|history| d_i)) / (L + 1), d_i the item's training interactions. For the history that was trained on
    this is LightGCN's own user node. It takes in later items the same way, as edges that the graph does not have yet,
    and people who are not in the log, whose own embedding e_u is zero. Order plays no part, in either task. Who has no
    history, or only items that nobody bought in training, gets 0 for every item unless they have an e_u.

    It trains on the CPU; one step multiplies the whole graph 2 L times.

    Args:
        dimensions: d, width of the embeddings.
        layers: L.
        epochs: passes over the training interactions; nothing stops earlier, as fitting sees no held-out item.
        batch_size: most interactions in a step, each with one drawn negative; a small log gets smaller ones.
        learning_rate: Adam, decaying to zero along a cosine.
        regularisation: weight of the squared layer-0 embeddings of a step's people and items (the paper's lambda).
        seed: of initial embeddings, batches and negatives.
        max_nodes: most people and items together; a node takes about 40 d bytes while training.
    """

    name = "lightgcn"

    def __init__(
        self,
        dimensions: int = 64,
        layers: int = 3,
        epochs: int = 100,
        batch_size: int = 8192,
        learning_rate: float = 1e-2,
        regularisation: float = 1e-4,
        seed: int = 0,
        max_nodes: int = 3_000_000,
    ) -> None:
        self.dimensions, self.layers, self.epochs, self.batch_size = dimensions, layers, epochs, batch_size
        self.learning_rate, self.regularisation = learning_rate, regularisation
        self.seed, self.max_nodes = seed, max_nodes

    def fit(self, training: TrainingData) -> None:
        """Raises IsrfError where the graph has more than ``max_nodes`` nodes, or training diverges."""
        nodes = training.n_users + training.n_items
        if nodes > self.max_nodes:
            raise IsrfError(
                f"lightgcn: {nodes:,} people and items would take {40 * self.dimensions * nodes / 1e9:.0f} GB and "
                "hours; leave lightgcn out for this log"
            )
        for _ in self.training_epochs(training):
            pass

    def training_epochs(self, training: TrainingData) -> Iterator[float]:
        """Train epoch by epoch; after each the method can score. Yields the epoch's mean loss, BPR and penalty."""
        self._histories = training.histories
        rng = np.random.default_rng(self.seed)
        # a repeated purchase is one edge
        links = (training.matrix > 0).astype(np.float32)
        graph = symmetric(normalised(links))
        drawn = torch.randn(sum(links.shape), self.dimensions, generator=torch.Generator().manual_seed(self.seed))
        table = torch.nn.Parameter(0.1 * drawn)
        optimizer = torch.optim.Adam([table], lr=self.learning_rate)
        pairs = links.tocoo()
        people, items = pairs.row.astype(np.int64), pairs.col.astype(np.int64)
        size = min(self.batch_size, max(len(people) // STEPS_PER_EPOCH, SMALLEST_BATCH))
        steps = math.ceil(len(people) / size)
        with task("lightgcn: training", total=self.epochs * steps) as running:
            for epoch in range(self.epochs):
                order = rng.permutation(len(people))
                total = 0.0
                for step in range(steps):
                    done = (epoch * steps + step) / (self.epochs * steps)
                    optimizer.param_groups[0]["lr"] = self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
                    batch = order[step * size : (step + 1) * size]
                    negatives, counts = draw_negatives(links, people[batch], rng)
                    loss = self.loss(graph, table, links.shape[0], people[batch], items[batch], negatives, counts)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    total += loss.item()
                    running.advance()
                if not math.isfinite(total):
                    raise IsrfError(f"lightgcn diverged in epoch {epoch + 1}; lower its learning_rate")
                running.say(f"epoch {epoch + 1} loss {total / steps:.3f}")
                self.keep(links, table.detach().numpy())
                yield total / steps

    def loss(
        self,
        graph: torch.Tensor,
        table: torch.Tensor,
        n_users: int,
        people: np.ndarray,
        items: np.ndarray,
        negatives: np.ndarray,
        counts: np.ndarray,
    ) -> torch.Tensor:
        """BPR over a batch of (person, item, negative) rows, -ln sigmoid(z_u . z_i - z_u . z_j), and the L2 penalty."""
        nodes = Propagation.apply(graph, table, self.layers)
        three = [torch.from_numpy(rows) for rows in (people, n_users + items, n_users + negatives)]
        user, item, negative = (nodes[rows] for rows in three)
        weights = torch.from_numpy(counts)
        ranked = -(F.logsigmoid((user * (item - negative)).sum(1)) * weights).sum() / weights.sum().clamp(min=1)
        penalty = sum((table[rows].square().sum() for rows in three), table.new_zeros(())) / (2 * len(people))
        return ranked + self.regularisation * penalty

    def keep(self, links: sp.csr_matrix, table: np.ndarray) -> None:
        """Store what scoring needs: e_u, z_i, and the sum over layers below L of each item's e_i^(k) / sqrt(d_i)."""
        n_users = links.shape[0]
        own, items = table[:n_users], table[n_users:]
        graph = normalised(links)
        self._items = propagate_bipartite(graph, own, items, self.layers)[1]
        degree = np.asarray(links.sum(0)).ravel()
        root = np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
        below = propagate_bipartite(graph, own, items, self.layers - 1)[1] * self.layers
        self._edges = (below * root[:, None]).astype(np.float32)
        self._own = own.copy()

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32."""
        links = (queries.histories.matrix(len(self._items)) > 0).astype(np.float32)
        known = np.asarray(links.sum(1)).ravel()
        people = (links @ self._edges) / np.sqrt(np.maximum(known, 1))[:, None]
        in_log = queries.users >= 0
        people[in_log] += self._own[queries.users[in_log]]
        return np.asarray(people @ self._items.T / (self.layers + 1), dtype=np.float32)


class Propagation(torch.autograd.Function):
    """Mean of E, AE, ..., A^L E for a symmetric A: the gradient goes the same way back, without a transpose."""

    @staticmethod
    def forward(ctx: Any, graph: torch.Tensor, table: torch.Tensor, layers: int) -> torch.Tensor:
        """(N, N) CSR, (N, d) float32 -> (N, d) float32."""
        ctx.graph, ctx.layers = graph, layers
        return mean_of_layers(graph, table, layers)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        return None, mean_of_layers(ctx.graph, gradients[0], ctx.layers), None


def mean_of_layers(graph: torch.Tensor, table: torch.Tensor, layers: int) -> torch.Tensor:
    """(N, d): (E + AE + ... + A^L E) / (L + 1)."""
    total, here = table.clone(), table
    for _ in range(layers):
        here = graph @ here
        total += here
    return total / (layers + 1)


def symmetric(links: sp.csr_matrix) -> torch.Tensor:
    """(U + I, U + I) torch CSR with the (U, I) block and its transpose off the diagonal."""
    whole = sp.bmat([[None, links], [links.T, None]], format="csr")
    whole.sort_indices()
    rows, columns = torch.from_numpy(whole.indptr.astype(np.int64)), torch.from_numpy(whole.indices.astype(np.int64))
    return torch.sparse_csr_tensor(rows, columns, torch.from_numpy(whole.data.astype(np.float32)), whole.shape)


def draw_negatives(
    links: sp.csr_matrix, people: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One item for each person, drawn uniformly, and whether it counts: 0 where the person has it already.

    Returns:
        (n,) int64 item rows and (n,) float32.
    """
    drawn = rng.integers(0, links.shape[1], size=len(people))
    has = np.asarray(links[people, drawn]).ravel() > 0
    return drawn, (~has).astype(np.float32)
