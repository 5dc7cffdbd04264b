"""What an item costs to write: users a second of both generators beside transformers' own ``generate``.

    python bench/decoding.py [--users 128] [--rounds 8] [--items 12000] [--beams 20] [--history 20]
    python bench/decoding.py --histories 100000 [--workspace WS]

The first form times, in one process and in turns, with random weights of the default sizes:

- atomic: ``AtomicGenerator`` scores the catalogue in one decoding step, seen items are masked, the best are taken;
- semantic: ``TokenGenerator`` encodes, ``beam_search`` writes semantic identifiers, seen items excluded;
- transformers: the same encoder states, the same T5 and the same beams in ``generate()``, the trie of identifiers as
  ``prefix_allowed_tokens_fn``. It excludes nothing, as that function cannot tell a dead end: less work than ours.

Each gets the block of people that serves it best on one CPU core. Beside the clock, the CPU time of this process is
printed: on a machine that others use too, it is the steadier of the two. Both searches are compared without exclusion:
they must find the same items. The second form pushes
random histories through atomic and semantic and counts what must not happen: an item outside the catalogue, an item of
the history, an item twice, or fewer items than asked for. With a workspace its own trained model is asked instead, the
way it is served: ``recommend`` with fusion, reasons and the neighbours of somebody unknown, both tasks in turns.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import scipy.sparse as sp
import torch
from transformers import T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from isrf.core.config import GraphSettings, ModelSettings, load_settings
from isrf.core.progress import track
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.queries import TASKS, Queries
from isrf.data.training_data import Catalogue, TrainingData
from isrf.graphs.groups import GroupProfile
from isrf.graphs.signals import InterestGraphs, masked
from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.beam_search import beam_search
from isrf.model.encoder_states import EncoderStates
from isrf.model.identifiers import Identifiers, semantic_identifiers
from isrf.model.inference import generator_scores, group_tensors, padded
from isrf.model.token_generator import START, TokenGenerator
from isrf.model.trie import Trie
from isrf.ranking.recommend import recommend
from isrf.recommender.open import open_workspace
from isrf.workspace.workspace import Workspace

DIMENSIONS, PROFILE, USERS, NEIGHBOURS = 128, 20, 20_000, 100
COMPARED = 64
TARGETS = {"atomic": 20.0, "semantic": 5.0}
SERVED = 256
"""Strangers asked about at once where a whole workspace answers."""
BLOCKS = {"atomic": 512, "semantic": 64, "transformers": 16}
"""People at once, by what was fastest on one core of an x86 server among the powers of two."""


class World:
    """A random catalogue with a generator and a writer of random weights."""

    def __init__(self, n_items: int, history: int, beams: int) -> None:
        rng = np.random.default_rng(0)
        torch.manual_seed(0)
        settings = ModelSettings(history=history)
        features = torch.from_numpy(rng.normal(size=(n_items, 2 * DIMENSIONS)).astype(np.float32))
        # many small heaps of alike items, as catalogues are: pure noise would make nearly every code unique early
        centres = rng.normal(size=(max(1, n_items // 20), DIMENSIONS))
        semantics = centres[rng.integers(0, len(centres), n_items)] + 0.3 * rng.normal(size=(n_items, DIMENSIONS))
        self.identifiers = semantic_identifiers(semantics.astype(np.float32))
        self.trie = Trie.build(self.identifiers)
        self.generator = AtomicGenerator(settings, features, DIMENSIONS).eval()
        self.writer = TokenGenerator(settings, features, DIMENSIONS, self.identifiers).eval()
        self.n_items, self.width, self.beams = n_items, history, beams
        # a log for the evidence that the generator reads of the interest graphs
        ids = [f"i{row}" for row in range(n_items)]
        catalogue = Catalogue(pl.DataFrame({Columns.ITEM: ids, Columns.TITLE: ids}))
        log = Histories.of([rng.choice(n_items, 6, replace=False) for _ in range(USERS)])
        training = TrainingData([f"u{row}" for row in range(USERS)], catalogue, log)
        nodes = np.zeros((n_items, 1), dtype=np.float32)
        self.graphs = InterestGraphs.build(training, nodes, nodes, GraphSettings())

    def votes(self, queries: Queries) -> sp.csr_matrix:
        """(B, I) random votes of as many neighbours."""
        rng, count = np.random.default_rng(len(queries)), len(queries)
        rows = np.repeat(np.arange(count), NEIGHBOURS)
        columns, weights = rng.integers(0, self.n_items, len(rows)), rng.uniform(0, 1, len(rows)).astype(np.float32)
        return sp.csr_matrix((weights, (rows, columns)), shape=(count, self.n_items))

    def people(self, count: int, seed: int, least: int) -> Queries:
        """Random histories of ``least`` to ``width`` items."""
        rng = np.random.default_rng(seed)
        lengths = rng.integers(least, self.width + 1, count)
        return Queries(np.arange(count), Histories.of([rng.choice(self.n_items, n, replace=False) for n in lengths]))

    def groups(self, count: int) -> GroupProfile:
        rng = np.random.default_rng(count)
        weights = np.full((count, PROFILE), 1 / PROFILE, dtype=np.float32)
        semantics = rng.normal(size=(count, DIMENSIONS)).astype(np.float32)
        return GroupProfile(rng.integers(0, self.n_items, (count, PROFILE)), weights, semantics)

    @torch.no_grad()
    def atomic(self, items: torch.Tensor, queries: Queries) -> torch.Tensor:
        """(B, beams) item rows."""
        evidence = self.graphs.evidence(queries, self.votes)
        scores = generator_scores(self.generator, items, queries, self.groups(len(queries)), evidence)
        return torch.from_numpy(masked(scores, queries.histories)).topk(self.beams, dim=1).indices

    @torch.no_grad()
    def encode(self, items: torch.Tensor, queries: Queries) -> EncoderStates:
        rows, mask = (torch.from_numpy(a) for a in padded(list(queries.histories), self.width))
        token, _ = self.writer.group_token(items, group_tensors(self.groups(len(queries)), rows.device))
        return self.writer.encode(items, rows, mask, token, queries.task)

    def semantic(self, items: torch.Tensor, queries: Queries, exclude: bool = True) -> torch.Tensor:
        """(B, beams) item rows."""
        seen = queries.histories if exclude else None
        return beam_search(self.writer, self.encode(items, queries), self.trie, self.beams, seen)[0]


class Rival:
    """The writer's decoder as a T5 of transformers, and the trie of its identifiers as dicts."""

    def __init__(self, world: World) -> None:
        self.world = world
        writer, identifiers = world.writer, world.identifiers
        size, width = identifiers.size, writer.settings.d_model
        config = T5Config(**{**writer.decoder.config.to_dict(), "vocab_size": size + 1, "tie_word_embeddings": False})
        config.is_decoder, config.use_cache, config.scale_decoder_outputs = False, True, False
        config.decoder_start_token_id = config.pad_token_id = size
        self.t5 = T5ForConditionalGeneration(config).eval()
        self.t5.decoder.load_state_dict(writer.decoder.state_dict(), strict=False)
        start = writer.special.weight[START][None]
        self.t5.decoder.embed_tokens.weight.data = torch.cat([writer.tokens.weight, start]).detach()
        self.t5.lm_head = torch.nn.Linear(width, size + 1)  # with a bias that never writes the start
        self.t5.lm_head.weight.data = torch.cat([writer.head.weight, torch.zeros(1, width)]).detach()
        self.t5.lm_head.bias.data = torch.cat([torch.zeros(size), torch.tensor([-1e9])])
        self.allowed, self.row_of = tries(identifiers)

    def search(self, items: torch.Tensor, queries: Queries) -> torch.Tensor:
        """(B, beams) item rows."""
        encoded, beams, length = self.world.encode(items, queries), self.world.beams, self.world.identifiers.length
        written = self.t5.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded.states),
            attention_mask=encoded.mask,
            num_beams=beams,
            num_return_sequences=beams,
            max_new_tokens=length,
            min_new_tokens=length,
            do_sample=False,
            prefix_allowed_tokens_fn=lambda _, so_far: self.allowed[tuple(so_far[1:].tolist())],
        )
        found = [self.row_of[tuple(code)] for code in written[:, 1:].tolist()]
        return torch.tensor(found).view(len(queries), beams)


def tries(identifiers: Identifiers) -> tuple[dict[tuple[int, ...], list[int]], dict[tuple[int, ...], int]]:
    """What may follow each beginning of an identifier, and the item row of each whole one."""
    following: dict[tuple[int, ...], set[int]] = {}
    row_of = {}
    for row, code in enumerate(identifiers.tokens.tolist()):
        row_of[tuple(code)] = row
        for place, token in enumerate(code):
            following.setdefault(tuple(code[:place]), set()).add(token)
    return {beginning: sorted(tokens) for beginning, tokens in following.items()}, row_of


def timed(search: Callable[[Queries], torch.Tensor], queries: Queries, block: int) -> tuple[float, float]:
    """Seconds by the clock and of CPU time, block by block."""
    clock, cpu = time.perf_counter(), time.process_time()
    for begin in range(0, len(queries), block):
        rows = np.arange(begin, min(begin + block, len(queries)))
        search(Queries(rows, queries.histories.take(rows)))
    return time.perf_counter() - clock, time.process_time() - cpu


def speed(world: World, users: int, rounds: int) -> None:
    """Print users a second of the three, and how many times faster than transformers ours are."""
    rival, queries = Rival(world), world.people(users, 1, world.width)
    with torch.no_grad():
        items, own_items = world.generator.items(), world.writer.items()
    searches: dict[str, Callable[[Queries], torch.Tensor]] = {
        "atomic": lambda some: world.atomic(items, some),
        "semantic": lambda some: world.semantic(own_items, some),
        "transformers": lambda some: rival.search(own_items, some),
    }
    few = world.people(COMPARED, 2, world.width)
    same = (world.semantic(own_items, few, exclude=False) == rival.search(own_items, few)).float().mean()
    print(f"both searches find the same item at {100 * float(same):.2f}% of {COMPARED} x {world.beams} places")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in searches}
    for turn in track(range(rounds + 1), "rounds", rounds + 1):
        for name, search in searches.items():
            seconds = timed(search, queries, BLOCKS[name])
            if turn:  # the first round warms up
                found[name].append(seconds)
    clock, cpu = ({n: statistics.median(s[i] for s in each) / users for n, each in found.items()} for i in (0, 1))
    for name in searches:
        print(
            f"{name:13} {1 / clock[name]:8.1f} users/s by the clock, {1 / cpu[name]:8.1f} by CPU time "
            f"(median of {rounds} rounds of {users} users, blocks of {BLOCKS[name]})"
        )
    for name, target in TARGETS.items():
        times = [seconds["transformers"] / seconds[name] for seconds in (clock, cpu)]
        print(
            f"{name} is {times[0]:.1f} times transformers by the clock, {times[1]:.1f} by CPU time; target {target:.0f}"
        )


def properties(world: World, count: int) -> None:
    """Print how often either generator broke its promise over ``count`` random histories."""
    with torch.no_grad():
        items, own_items = world.generator.items(), world.writer.items()
    searches: dict[str, Callable[[Queries], torch.Tensor]] = {
        "atomic": lambda some: world.atomic(items, some),
        "semantic": lambda some: world.semantic(own_items, some),
    }
    for name, search in searches.items():
        places, outside, seen, twice, block = 0, 0, 0, 0, BLOCKS[name]
        for begin in track(range(0, count, block), f"{name}, {count} histories", -(-count // block)):
            queries = world.people(min(block, count - begin), 1000 + begin, 0)
            rows = search(queries).numpy()
            places += rows.size
            outside += int(((rows < 0) | (rows >= world.n_items)).sum())
            keys = np.arange(len(rows))[:, None] * world.n_items + rows
            seen += int(np.isin(keys, queries.histories.rows() * world.n_items + queries.histories.items).sum())
            twice += int(rows.size - len(np.unique(keys)))
        print(
            f"{name}: {count} histories, {places} items; {outside} missing or outside the catalogue, "
            f"{seen} of the history, {twice} twice"
        )


def served(workspace: Workspace, count: int, top: int) -> None:
    """Print how often ``recommend`` of a workspace broke its promise over ``count`` random histories of strangers."""
    recommender = open_workspace(workspace, load_settings(base=workspace.root / "settings.yaml"))
    features, training = recommender.items["feature"].to_list(), recommender.split.training
    ranker, row_of, longest = recommender.ranker, training.catalogue.row_of, min(50, training.n_items)
    rng, begun = np.random.default_rng(0), time.perf_counter()
    asked = places = outside = seen = twice = few = 0
    for turn, begin in enumerate(track(range(0, count, SERVED), f"{ranker.name}, {count} histories")):
        size = min(SERVED, count - begin)
        histories = [rng.choice(training.n_items, rng.integers(0, longest + 1), replace=False) for _ in range(size)]
        queries = Queries(np.full(size, -1), Histories.of(histories), TASKS[turn % len(TASKS)])
        for history, found in zip(histories, recommend(ranker, features, queries, top), strict=True):
            rows = [row_of.get(item.item_id, -1) for item in found]
            had = set(history.tolist())
            asked, places, outside = asked + 1, places + len(rows), outside + rows.count(-1)
            seen, twice = seen + sum(row in had for row in rows), twice + len(rows) - len(set(rows))
            few += len(rows) < min(top, training.n_items - len(had))
    model = ranker.parts.generator
    kind = "no generator" if model is None else f"{model.settings.identifiers} identifiers"
    print(
        f"{ranker.name} ({kind}), {training.n_items} items: {asked} histories of 0 to {longest} items, {places} "
        f"recommendations; {outside} outside the catalogue, {seen} of the history, {twice} twice, {few} lists too short; "
        f"{asked / (time.perf_counter() - begun):.0f} histories a second"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=128, help="people in a timed round")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--items", type=int, default=12_000)
    parser.add_argument("--beams", type=int, default=20)
    parser.add_argument("--history", type=int, default=20, help="items of each history")
    parser.add_argument("--histories", type=int, default=0, help="check so many random histories instead of timing")
    parser.add_argument("--workspace", metavar="WS", type=Path, help="check the trained model of a workspace")
    parser.add_argument("--top", type=int, default=10, help="items recommended in that check")
    asked = parser.parse_args()
    threads = torch.get_num_threads()
    print(f"{platform.machine()}, {os.cpu_count()} cores, {threads} threads, torch {torch.__version__}")
    if asked.workspace:
        served(Workspace.existing(asked.workspace), asked.histories or 100_000, asked.top)
        return
    world = World(asked.items, asked.history, asked.beams)
    print(f"{asked.items} items, identifiers {world.identifiers.tokens.shape}, {len(world.trie)} nodes in the trie")
    if asked.histories:
        properties(world, asked.histories)
    else:
        speed(world, asked.users, asked.rounds)


if __name__ == "__main__":
    main()
