"""The trie of all item identifiers as arrays: which tokens may follow what was written so far.

Nodes are numbered level by level in sorted order, so that a node's children are consecutive numbers and the tree needs
no pointers. Knows nothing about models, beams or people.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch

from isrf.model.identifiers import Identifiers


@dataclass(frozen=True)
class Trie:
    """A trie over I codes of T tokens with N nodes; node 0 is the root.

    Attributes:
        first_child: (N + 1,) int64; the children of node n are ``first_child[n]`` up to ``first_child[n + 1]``.
        token: (N,) int64, the token that leads into a node; -1 for the root.
        free: (N,) bool, nodes behind the end of an identifier: they are entered without writing anything.
        item: (N,) int64, item row at a leaf, -1 at an inner node.
        leaves: (N,) int64, items below a node, itself included.
        path: (I, T) int64, the nodes from below the root to each item's leaf.
    """

    first_child: torch.Tensor
    token: torch.Tensor
    free: torch.Tensor
    item: torch.Tensor
    leaves: torch.Tensor
    path: torch.Tensor

    @classmethod
    def build(cls, identifiers: Identifiers) -> Trie:
        """Sort the codes once; a node begins wherever a sorted code differs from the one above it so far."""
        tokens = identifiers.tokens
        n_items, length = tokens.shape
        order = np.lexsort(tokens.T[::-1])
        code = tokens[order]
        begins = np.ones((n_items, length), dtype=bool)
        begins[1:] = np.logical_or.accumulate(code[1:] != code[:-1], axis=1)
        per_level = begins.sum(0)
        base = 1 + np.concatenate([[0], np.cumsum(per_level)])  # first node of each level below the root
        at = np.cumsum(begins, axis=0) - 1 + base[:-1]  # (I, T) node of each prefix of each sorted code
        n_nodes = int(base[-1])
        token, leaves = np.full(n_nodes, -1, dtype=np.int64), np.empty(n_nodes, dtype=np.int64)
        parent, free = np.full(n_nodes, -1, dtype=np.int64), np.zeros(n_nodes, dtype=bool)
        leaves[0] = n_items
        for level in range(length):
            rows = np.flatnonzero(begins[:, level])
            nodes = at[rows, level]
            token[nodes] = code[rows, level]
            leaves[nodes] = np.diff(np.append(rows, n_items))
            parent[nodes] = at[rows, level - 1] if level else 0
            if level and identifiers.end is not None:
                free[nodes] = code[rows, level - 1] == identifiers.end
        children = np.bincount(parent[1:], minlength=n_nodes)
        first_child = 1 + np.concatenate([[0], np.cumsum(children)])
        item = np.full(n_nodes, -1, dtype=np.int64)
        item[at[:, -1]] = order
        path = np.empty_like(at)
        path[order] = at
        return cls(*(torch.from_numpy(a) for a in (first_child, token, free, item, leaves, path)))

    def __len__(self) -> int:
        return len(self.token)

    @property
    def depth(self) -> int:
        """T."""
        return self.path.shape[1]

    def to(self, device: torch.device) -> Trie:
        """The same trie on another device."""
        return Trie(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def allowed(self, nodes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What may follow each of some nodes.

        Args:
            nodes: (M,) int64, any nodes in any order.

        Returns:
            (C,) int64 rows, the index into ``nodes`` that a child belongs to, ascending; and (C,) int64 children,
            ascending within a row. ``token[children]`` are the tokens, ascending too.
        """
        begin = self.first_child[nodes]
        count = self.first_child[nodes + 1] - begin
        rows = torch.repeat_interleave(torch.arange(len(nodes), device=nodes.device), count)
        before = torch.cumsum(count, 0) - count
        return rows, torch.arange(len(rows), device=nodes.device) + (begin - before)[rows]

    def exhausted(self, rows: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Nodes under which a person has seen everything, leaves of seen items among them.

        Args:
            rows: (S,) int64 person of each seen item.
            items: (S,) int64 item rows; the same item may stand there twice.

        Returns:
            (E,) int64 sorted keys ``person * len(self) + node``.
        """
        n_items = len(self.path)
        pairs = torch.unique(rows * n_items + items)
        keys = (pairs // n_items)[:, None] * len(self) + torch.cat(
            [torch.zeros_like(pairs)[:, None], self.path[pairs % n_items]], 1
        )
        keys, seen = torch.unique(keys, return_counts=True)
        return keys[seen == self.leaves[keys % len(self)]]
