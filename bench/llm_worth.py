"""What the reasoning is worth: everything held fixed but the text that is embedded for an item; writes docs/llm_worth.md.

    python bench/llm_worth.py ml-100k=movielens:100k beauty=p5:DATA/amazon-beauty-2014@2000 --out RUNS --asked 600 300

NAME=SRC is a whole source, NAME=SRC@N its N most bought items with the people who still have five of them. The local
LLM reasons about the ``--asked`` most bought items of each source, with both plans; its answers stay in RUNS, so that a
later call with a larger number goes on from there. Preferences of users are attribute statistics in every row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from isrf.core.config import DataSettings, ReasoningSettings, Settings, TrainingSettings
from isrf.data.clean import k_core
from isrf.data.dataset import Columns, Dataset
from isrf.data.queries import Queries, Task
from isrf.data.readers.registry import read_dataset
from isrf.data.splits.leave_one_out import leave_one_out
from isrf.data.splits.split import Split
from isrf.data.training_data import TrainingData
from isrf.evaluation.metrics import ndcg
from isrf.evaluation.protocol import evaluate, ranks_of
from isrf.evaluation.significance import bootstrap_interval, paired_permutation
from isrf.graphs.build import build_graphs
from isrf.graphs.neighbours import Neighbours
from isrf.graphs.prefix_index import PrefixIndex
from isrf.graphs.signals import InterestGraphs
from isrf.model.atomic_generator import AtomicGenerator
from isrf.model.token_generator import TokenGenerator
from isrf.pipeline.train import training_inputs
from isrf.ranking.fit_fusion import fit_fusions, stopping_users
from isrf.ranking.rankers import FusedRanker, GeneratorRanker, ScoringComponents
from isrf.ranking.storage import with_generator
from isrf.reasoning.reason import reason_items, reason_users
from isrf.reasoning.tables import ReasonColumns
from isrf.semantics.encode import Encoder
from isrf.semantics.features import Semantics, user_texts
from isrf.semantics.reduce import fit_reduction
from isrf.training.loop import Trainer

PAGE = Path(__file__).resolve().parent.parent / "docs" / "llm_worth.md"
PLANS = ("chained", "single")
METHODS = ("semantic kNN", "isrf-graph", "isrf")
BASE = "all attributes"
"""The text that others are compared with in the paired test."""
TASK: Task = "sequential"
ASKING = {"preference_words": 20, "feature_words": 16, "timeout_s": 900.0}
"""Short answers: beyond them a model of 135M parameters goes in circles. Much patience: the cores may be shared."""


@dataclass(frozen=True)
class SemanticKNN:
    """Items whose vectors are most like the mean of the history's; nothing fitted."""

    parts: ScoringComponents
    name: str = "semantic kNN"

    def score(self, queries: Queries) -> np.ndarray:
        return self.parts.signals(queries)["semantics"]


def opened(source: str) -> Dataset:
    """A source, whole or its most bought items."""
    source, _, most = source.partition("@")
    dataset = read_dataset(source, None, DataSettings(min_interactions=5))
    if not most:
        return dataset
    counts = dataset.interactions[Columns.ITEM].value_counts().sort(["count", Columns.ITEM], descending=[True, False])
    chosen = dataset.interactions.filter(pl.col(Columns.ITEM).is_in(counts[Columns.ITEM].head(int(most)).implode()))
    users = chosen[Columns.USER].rank("dense").to_numpy().astype(np.int64) - 1
    items = chosen[Columns.ITEM].rank("dense").to_numpy().astype(np.int64) - 1
    chosen = chosen.filter(pl.Series(k_core(users, items, 5)))
    catalogue = dataset.catalogue.filter(pl.col(Columns.ITEM).is_in(chosen[Columns.ITEM].unique().implode()))
    return Dataset(f"{dataset.name}, {most} most bought items", chosen, catalogue, {}, None)


def reasoned(training: TrainingData, settings: ReasoningSettings, store: Path) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The table of one plan, and what it took: seconds are of this call alone, tokens of all answers in the table."""
    before = time.perf_counter()
    table = reason_items(training, settings, store)
    asked = table.filter(pl.col(ReasonColumns.TOKENS_OUT) > 0)
    written = table.filter(pl.col(ReasonColumns.SUPPLIER) == "local")
    carried = training.popularity[(table[ReasonColumns.SUPPLIER] == "local").to_numpy()].sum()
    return table, {
        "seconds of this call": round(time.perf_counter() - before),
        "items asked about": asked.height,
        "items written": written.height,
        "share of training interactions": float(carried / training.popularity.sum()),
        "tokens out an item": float(asked[ReasonColumns.TOKENS_OUT].mean() or 0.0),  # type: ignore[arg-type]
        "tokens in an item": float(asked[ReasonColumns.TOKENS_IN].mean() or 0.0),  # type: ignore[arg-type]
    }


def texts_of(training: TrainingData, tables: dict[str, pl.DataFrame]) -> dict[str, list[str]]:
    """Name -> (I,) texts: title, attributes, and each reasoned feature alone and behind the attributes."""
    attributes = training.catalogue.texts
    found = {"title only": list(training.catalogue.titles), BASE: attributes}
    for name, table in tables.items():
        features = table[ReasonColumns.FEATURE].to_list()
        found[name] = features
        found[f"attributes + {name}"] = [
            ". ".join(part for part in pair if part) for pair in zip(attributes, features, strict=True)
        ]
    return found


def measured(
    split: Split, texts: Sequence[str], user_vectors: np.ndarray, encode: Callable[..., np.ndarray], settings: Settings
) -> dict[str, np.ndarray]:
    """Method -> (users,) NDCG@10 on test, sequential, full ranking."""
    training = split.training
    vectors = encode(texts, "encode items")
    reduction = fit_reduction(vectors, settings.semantics.dimensions)
    items = reduction(vectors)
    items[~np.any(vectors != 0, axis=1)] = 0
    semantics = Semantics(items, user_vectors, reduction)
    graphs = build_graphs(training, semantics, settings.graphs)
    moments = PrefixIndex.of(training.histories, semantics.items, settings.graphs)
    people = Neighbours(training, semantics, graphs.users, graphs.groups, moments, settings)
    parts = ScoringComponents(people, InterestGraphs.build(training, items, graphs.item_nodes, settings.graphs))
    block = settings.ranking.block
    stopping, fitting = stopping_users(split, settings.training.seed)
    found: dict[str, np.ndarray] = {}

    def test(ranker: Any) -> None:
        full, _ = evaluate(ranker, split, "test", TASK, settings.evaluation)
        found[ranker.name] = ndcg(full.ranks, 10)

    test(SemanticKNN(parts))
    test(FusedRanker("isrf-graph", parts, fit_fusions(parts, split, fitting, block, "weigh isrf-graph")))

    def validate(generator: AtomicGenerator | TokenGenerator) -> float:
        ranker = GeneratorRanker(with_generator(parts, generator))
        return float(ndcg(ranks_of(ranker, split, "valid", TASK, stopping, block), 10).mean())

    inputs = training_inputs(parts, settings.model)
    whole = with_generator(parts, Trainer(inputs, settings.model, settings.training, validate).run())
    test(FusedRanker("isrf", whole, fit_fusions(whole, split, fitting, block, "weigh isrf")))
    return found


def section(name: str, source: str, out: Path, asked: int, epochs: int, train: bool) -> str:
    """One source as Markdown; measurements that RUNS holds for the same texts are kept."""
    dataset = opened(source)
    split = leave_one_out(dataset, 0)
    training, folder = split.training, out / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = Settings(training=TrainingSettings(epochs=epochs))
    statistics = reason_items(training, settings.reasoning, folder / "answers.sqlite")
    users = reason_users(training, statistics, settings.reasoning, folder / "answers.sqlite")
    tables, took = {"attribute statistics": statistics}, {}
    for plan in PLANS:
        domain = "films" if "movielens" in source else "products"
        local = ReasoningSettings(supplier="local", plan=plan, budget=f"{asked}items", domain=domain, **ASKING)
        tables[f"local LLM, {plan}"], took[plan] = reasoned(training, local, folder / "answers.sqlite")
    if not train:
        return ""
    encoder = Encoder(settings.semantics, folder / "vectors.sqlite")
    user_vectors = encoder(user_texts(users), "encode users")
    results: dict[str, dict[str, np.ndarray]] = {}
    for text, lines in texts_of(training, tables).items():
        kept = folder / f"{text.replace(' ', '_').replace(',', '')}-{asked}-{epochs}.npz"
        if not kept.exists():
            np.savez(kept, **measured(split, lines, user_vectors, encoder, settings))  # type: ignore[arg-type]
        with np.load(kept) as arrays:
            results[text] = {method: arrays[method] for method in METHODS}
    return _markdown(name, dataset, split, results, took, settings)


def _markdown(
    name: str,
    dataset: Dataset,
    split: Split,
    results: dict[str, dict[str, np.ndarray]],
    took: dict[str, dict[str, Any]],
    settings: Settings,
) -> str:
    lines = [
        f"## {name}",
        "",
        f"{dataset.name}: {split.training.n_users:,} users, {split.training.n_items:,} items, "
        f"{dataset.interactions.height:,} interactions.",
        "",
        "| text that is embedded | " + " | ".join(METHODS) + " |",
        "|---|" + "--:|" * len(METHODS),
    ]
    seed, samples = settings.evaluation.seed, settings.evaluation.permutation_samples
    for text, by_method in results.items():
        cells = []
        for method in METHODS:
            gains = by_method[method]
            cell = f"{gains.mean():.4f}"
            if text != BASE:
                difference, p = paired_permutation(gains, results[BASE][method], samples, seed)
                cell += f" ({difference:+.4f}, p {p:.3f})"
            else:
                low, high = bootstrap_interval(gains, settings.evaluation.bootstrap_samples, seed)
                cell += f" [{low:.4f}, {high:.4f}]"
            cells.append(cell)
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    lines += ["", "| plan | " + " | ".join(next(iter(took.values()))) + " |"]
    lines += ["|---|" + "--:|" * len(next(iter(took.values())))]
    for plan, figures in took.items():
        cells = [f"{v:.1%}" if k.startswith("share") else f"{v:,.0f}" for k, v in figures.items()]
        lines.append(f"| {plan} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for answers, vectors and measurements")
    parser.add_argument(
        "--asked",
        type=int,
        nargs="+",
        default=[100_000],
        help="most items the LLM is asked about: of all, or each source",
    )
    parser.add_argument("--epochs", type=int, default=8, help="epochs of each training, 16 of them for two sources")
    parser.add_argument("--answers-only", action="store_true", help="ask, and measure later")
    parser.add_argument("sources", nargs="+", metavar="NAME=SRC[@N]")
    arguments = parser.parse_args()
    sections = []
    for n, pair in enumerate(arguments.sources):
        name, _, source = pair.partition("=")
        asked = arguments.asked[min(n, len(arguments.asked) - 1)]
        sections.append(section(name, source, arguments.out, asked, arguments.epochs, not arguments.answers_only))
    if not arguments.answers_only:
        PAGE.write_text("\n".join([HEAD.format(epochs=arguments.epochs), *sections]), encoding="utf-8")


HEAD = """# What the reasoning is worth

NDCG@10 on test, sequential recommendation, full ranking, ties against the target. Only the text that is
embedded for an item changes from row to row. In brackets: the difference from *all attributes* over the same users and
the p-value of a paired permutation test, one comparison at a time; the row of *all attributes* itself shows its 95%
interval. The local LLM is SmolLM2-135M-Instruct, asked about the most bought items (their number stands below each
table); an item that it was not asked about, or whose answer the quality gate rejected, has the feature of attribute
statistics. The generator in `isrf` is trained for {epochs} epochs with one seed; otherwise all settings are the defaults.
Written by `bench/llm_worth.py`, which says how to run it.
"""

if __name__ == "__main__":
    main()
