"""LightGCN: embeddings of people and items smoothed over the graph of who bought what. Knows nothing of order or text.

He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", SIGIR 2020, trained with
its BPR loss. Defaults were chosen on validation (Amazon Beauty, direct task).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import functional as F

from isrf.core.errors import CannotFit
from isrf.core.progress import task
from isrf.core.shell import argument
from isrf.data.histories import Histories
from isrf.data.queries import Queries
from isrf.data.training_data import TrainingData
from isrf.graphs.propagation import normalised, propagate, propagate_bipartite
from isrf.methods.score_inputs import Reads

STEPS_PER_EPOCH, SMALLEST_BATCH = 16, 16
"""A log too small for this many batches an epoch gets smaller batches, down to SMALLEST_BATCH."""


class LightGCN:
    """z = mean of E, AE, ..., A^L E over the nodes of people and items, A = D^-1/2 (adjacency) D^-1/2; score z_u . z_i.

    A person is the node that their history makes: z_u = (e_u + sum over layers k and history items i of
    e_i^(k) / sqrt(|history| d_i)) / (L + 1), d_i the item's training interactions. For the history that was trained on
    this is LightGCN's own user node. It takes in later items the same way, as edges that the graph does not have yet,
    and people who are not in the log, whose own embedding e_u is zero. Order plays no part, in either task. Who has no
    history, or only items that nobody bought in training, gets 0 for every item unless they have an e_u.

    It trains on the CPU; one step multiplies the whole graph 2 L times.

    Args:
        dimensions: d, width of the embeddings.
        layers: L, at least 1.
        epochs: passes over the training interactions; nothing stops earlier, as fitting sees no held-out item.
        batch_size: most interactions in a step; a small log gets smaller ones.
        negatives: items drawn for each interaction, of which the one that scores highest is ranked against it (dynamic
            negative sampling, Zhang et al., SIGIR 2013); 1 = the paper's uniform draw.
        learning_rate: Adam, decaying to zero along a cosine.
        regularisation: weight of the squared layer-0 embeddings of a step's people and items (the paper's lambda).
        seed: of initial embeddings, batches and negatives.
        max_nodes: most people and items together; a node takes about 40 d bytes while training.
    """

    name = "lightgcn"
    reads = Reads(
        identity=True,
        alike="co-purchase",
        bridge="layers of LightGCN over the interaction graph",
        coupling="per batch",
        consumer="dot product of trained embeddings",
    )

    def __init__(
        self,
        dimensions: int = 256,
        layers: int = 4,
        epochs: int = 12,
        batch_size: int = 8192,
        negatives: int = 32,
        learning_rate: float = 1e-2,
        regularisation: float = 1e-2,
        seed: int = 0,
        max_nodes: int = 1_000_000,
    ) -> None:
        self.dimensions, self.layers, self.epochs, self.batch_size = dimensions, layers, epochs, batch_size
        self.negatives, self.learning_rate, self.regularisation = negatives, learning_rate, regularisation
        self.seed, self.max_nodes = seed, max_nodes

    def fit(self, training: TrainingData) -> None:
        """Raises CannotFit where there is no interaction, more than ``max_nodes`` nodes, or training diverges."""
        if not len(training.histories.items):
            raise CannotFit("lightgcn: no interaction is left to train on; leave lightgcn out for this log")
        nodes = training.n_users + training.n_items
        if nodes > self.max_nodes:
            raise CannotFit(
                f"lightgcn: {nodes:,} people and items would take {40 * self.dimensions * nodes / 1e9:.0f} GB and "
                "hours; leave lightgcn out for this log"
            )
        for _ in self.training_epochs(training):
            pass

    def training_epochs(self, training: TrainingData) -> Iterator[float]:
        """Train epoch by epoch; after each the method can score. Yields the epoch's mean loss, BPR and penalty."""
        rng = np.random.default_rng(self.seed)
        links = edges(training.histories, training.n_items)
        graph, n_users = symmetric(normalised(links)), links.shape[0]
        initial = torch.randn(sum(links.shape), self.dimensions, generator=torch.Generator().manual_seed(self.seed))
        table = torch.nn.Parameter(0.1 * initial)
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
                    drawn, counts = draw_negatives(links, people[batch], self.negatives, rng)
                    rows = people[batch], n_users + items[batch], n_users + drawn, counts
                    loss = bpr(table, Propagation.apply(graph, table, self.layers), *rows, self.regularisation)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    total += loss.item()
                    running.advance()
                if not math.isfinite(total):
                    raise CannotFit(
                        f"lightgcn diverged in epoch {epoch + 1}; lower its learning_rate where it is made in code; in a bench "
                        f"give it other seeds ({argument('seeds')}) or leave it out"
                    )
                running.say(f"epoch {epoch + 1} loss {total / steps:.3f}")
                self._nodes = Nodes.of(links, table.detach().numpy(), self.layers)
                yield total / steps

    def score(self, queries: Queries) -> np.ndarray:
        """(B, I) float32."""
        return self._nodes.scores(queries)


@dataclass(frozen=True)
class Nodes:
    """Trained embeddings, made ready to score anybody.

    Attributes:
        own: (U, d) float32 e_u.
        edges: (I, d) float32: what an edge from an item gives, the sum over layers below L of e_i^(k) / sqrt(d_i).
        items: (I, d) float32 z_i.
        layers: L.
    """

    own: np.ndarray
    edges: np.ndarray
    items: np.ndarray
    layers: int

    @classmethod
    def of(cls, links: sp.csr_matrix, table: np.ndarray, layers: int) -> Nodes:
        """From the (U, I) edges and the (U + I, d) float32 layer-0 embeddings."""
        own, items = table[: links.shape[0]], table[links.shape[0] :]
        graph = normalised(links)
        degree = np.asarray(links.sum(0)).ravel()
        root = np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
        below = propagate_bipartite(graph, own, items, layers - 1)[1] * np.float32(layers)
        return cls(own.copy(), below * root[:, None], propagate_bipartite(graph, own, items, layers)[1], layers)

    def scores(self, queries: Queries) -> np.ndarray:
        """(B, I) float32 z_u . z_i."""
        links = edges(queries.histories, len(self.items))
        known = np.asarray(links.sum(1)).ravel()
        people = (links @ self.edges) / np.sqrt(np.maximum(known, 1))[:, None]
        in_log = queries.users >= 0
        people[in_log] += self.own[queries.users[in_log]]
        return np.asarray(people @ self.items.T / (self.layers + 1), dtype=np.float32)


def bpr(
    table: torch.Tensor,
    nodes: torch.Tensor,
    people: np.ndarray,
    items: np.ndarray,
    drawn: np.ndarray,
    counts: np.ndarray,
    regularisation: float,
) -> torch.Tensor:
    """BPR of a batch, mean of -ln sigmoid(z_u . z_i - z_u . z_j) with j the best of those drawn, and the L2 penalty.

    Args:
        table: (N, d) float32 layer-0 embeddings.
        nodes: (N, d) float32 propagated embeddings z.
        people: (n,) int64 node rows.
        items: (n,) int64 node rows of items that they have.
        drawn: (n, k) int64 node rows of items.
        counts: (n, k) bool; a drawn item that the person has does not count.
        regularisation: weight of half the squared layer-0 embeddings, mean over the batch.

    Returns:
        Scalar.
    """
    candidates, allowed = torch.from_numpy(drawn), torch.from_numpy(counts)
    owners, bought = torch.from_numpy(people), torch.from_numpy(items)
    user = nodes[owners]
    with torch.no_grad():
        scores = torch.einsum("nd,nkd->nk", user, nodes[candidates]).masked_fill(~allowed, -torch.inf)
        worst = candidates.gather(1, scores.argmax(1, keepdim=True)).squeeze(1)
    weights = allowed.any(1).float()
    margin = (user * (nodes[bought] - nodes[worst])).sum(1)
    ranked = -(F.logsigmoid(margin) * weights).sum() / weights.sum().clamp(min=1)
    squares = table[owners].square().sum() + table[bought].square().sum() + table[worst].square().sum()
    return ranked + regularisation * squares / (2 * len(people))


class Propagation(torch.autograd.Function):
    """Mean of E, AE, ..., A^L E for a symmetric A: the gradient goes the same way back, without a transpose."""

    @staticmethod
    def forward(ctx: Any, graph: sp.csr_matrix, table: torch.Tensor, layers: int) -> torch.Tensor:
        """(N, N) CSR, (N, d) -> (N, d)."""
        ctx.graph, ctx.layers = graph, layers
        return torch.from_numpy(propagate(graph, table.detach().numpy(), layers))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor, None]:
        return None, torch.from_numpy(propagate(ctx.graph, gradients[0].numpy(), ctx.layers)), None


def edges(histories: Histories, n_items: int) -> sp.csr_matrix:
    """(U, I) float32 CSR: 1 where the person has the item; an item bought again is still one edge."""
    links = histories.matrix(n_items)
    links.sum_duplicates()
    links.data[:] = 1
    return links


def symmetric(links: sp.csr_matrix) -> sp.csr_matrix:
    """(U + I, U + I) CSR with the (U, I) block and its transpose off the diagonal.

    SciPy's product with it takes half the time of torch's, whose sparse tensors are in beta.
    """
    return sp.bmat([[None, links], [links.T, None]], format="csr")


def draw_negatives(
    links: sp.csr_matrix, people: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Items for each person, drawn uniformly, and whether they count: not where the person has them.

    Returns:
        (n, count) int64 item rows and (n, count) bool.
    """
    drawn = rng.integers(0, links.shape[1], size=(len(people), count))
    has = np.asarray(links[np.repeat(people, count), drawn.ravel()]).reshape(drawn.shape) > 0
    return drawn, ~has
