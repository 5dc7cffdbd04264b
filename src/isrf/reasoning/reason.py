"""The front door: explicit reasons for every item and every user (steps 1 and 2 of the method), as tables.

Only ``TrainingData`` enters, so no held-out interaction can reach a prompt or a count. Knows nothing about what the
texts are used for afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.progress import note, track
from isrf.data.dataset import Columns
from isrf.data.histories import Histories
from isrf.data.training_data import Catalogue, TrainingData
from isrf.reasoning.answers.quality import gate_of, sentence_key, shared_sentences
from isrf.reasoning.answers.store import open_store
from isrf.reasoning.attributes.statistics import BLOCK, AttributeStatistics
from isrf.reasoning.kept_reasons import KeptReasons
from isrf.reasoning.llm.batch_runner import Asking, ask_all
from isrf.reasoning.llm.budget import parse_budget
from isrf.reasoning.llm.budget_tracker import Allowance
from isrf.reasoning.llm.client import Endpoint
from isrf.reasoning.llm.prompts import (
    ATTRIBUTE_BYTES,
    TITLE_BYTES,
    Kind,
    Prompt,
    Question,
    expected_tokens,
    item_question,
    prompt_of,
    user_question,
)
from isrf.reasoning.llm.row_results import Replies
from isrf.reasoning.llm.supplier import check_settings, endpoint_of, price_of, serving
from isrf.reasoning.sentences import Reasons
from isrf.reasoning.tables import STATISTICS, Answered, ReasonColumns, assemble, version_of


@dataclass(frozen=True)
class _Asked:
    """Rows that an LLM is to be asked about, and how.

    Attributes:
        order: (n,) int64 rows, most important first.
        questions: from rows to questions, one by one.
        texts: texts of the catalogue that tell its language.
    """

    kind: Kind
    order: np.ndarray
    prompt: Prompt
    questions: Any
    texts: list[str]


def reason_items(
    training: TrainingData, settings: ReasoningSettings, store: Path, kept: KeptReasons | None = None
) -> pl.DataFrame:
    """Who would enjoy each item, who would dislike it, and its concise feature (paper, step 1).

    An LLM supplier reasons about items in the order of training interactions they carry, ties by item id, until its
    budget is spent; the rest, and answers that are no good, come from attribute statistics, and their row says so.

    Args:
        training: catalogue and training histories.
        settings: supplier, budget, limits.
        store: SQLite file of answers, made where absent; attribute statistics do not touch it.
        kept: what attribute statistics said before of items that are not new; None counts all anew.

    Returns:
        One row an item, in item-row order: ITEM, then the columns of ``SCHEMA``.

    Raises:
        IsrfError: see ``batch_runner.ask_all``, ``store.open_store``, ``supplier.check_settings``.
    """
    check_settings(settings)
    catalogue = training.catalogue
    statistics = AttributeStatistics.fit(training, settings)
    asked = None
    if settings.supplier != STATISTICS:
        prompt = prompt_of("item", settings)

        def questions(rows: np.ndarray) -> Iterator[Question]:
            return (item_question(prompt, catalogue, int(row)) for row in rows)

        _tell_of_long_texts(catalogue)
        asked = _Asked("item", item_order(training), prompt, questions, _sample_texts(catalogue))
    if kept is None:
        blocks: Iterable[Reasons] = track(statistics.items_in_blocks(), "write items", -(-len(catalogue) // BLOCK))
    else:
        blocks = [kept.completed(Reasons.joined(statistics.items_in_blocks(kept.rows)))]
    return _table(
        Columns.ITEM, catalogue.table[Columns.ITEM], blocks, asked, settings, store, version_of(statistics.terms)
    )


def reason_users(
    training: TrainingData,
    item_features: pl.DataFrame,
    settings: ReasoningSettings,
    store: Path,
    kept: KeptReasons | None = None,
) -> pl.DataFrame:
    """Likes, dislikes and core preference of each user from the most recent K training items (paper, step 2).

    An LLM supplier reasons about users in the order of their training interactions, most first, ties by user id.

    Args:
        training: catalogue and training histories.
        item_features: the table that ``reason_items`` made for the same catalogue.
        settings, store, kept: as in ``reason_items``.

    Returns:
        One row a user, in user-row order: USER, then the columns of ``SCHEMA``.

    Raises:
        IsrfError: as ``reason_items``, and for item features of another catalogue.
    """
    check_settings(settings)
    features = _features_of(training, item_features)
    statistics = AttributeStatistics.fit(training, settings)
    asked = None
    if settings.supplier != STATISTICS:
        prompt, most = prompt_of("user", settings), settings.user_history

        def questions(rows: np.ndarray) -> Iterator[Question]:
            return (
                user_question(prompt, training.catalogue, int(row), training.histories[int(row)], features, most)
                for row in rows
            )

        asked = _Asked("user", user_order(training), prompt, questions, _sample_texts(training.catalogue))
    if kept is None:
        parts = statistics.users_in_blocks(training.histories)
        blocks: Iterable[Reasons] = track(parts, "write users", -(-training.n_users // BLOCK))
    else:
        blocks = [kept.completed(Reasons.joined(statistics.users_in_blocks(training.histories.take(kept.rows))))]
    return _table(Columns.USER, training.user_ids, blocks, asked, settings, store, version_of(statistics.terms))


def reason_history(
    training: TrainingData, item_features: pl.DataFrame, history_rows: np.ndarray, settings: ReasoningSettings
) -> dict[str, Any]:
    """Likes, dislikes and core preference of one person who is not in the log, by attribute statistics.

    For many people, fit ``AttributeStatistics`` once and call its ``users``: this fits it for one.

    Args:
        history_rows: (n,) item rows, oldest first.

    Returns:
        likes, dislikes, feature, supplier, model, and ``evidence``: item id and feature of the most recent K items,
        newest first.
    """
    features = _features_of(training, item_features)
    history = np.asarray(history_rows, dtype=np.int64)
    statistics = AttributeStatistics.fit(training, settings)
    reasons = statistics.users(Histories.of([history]))
    recent = [int(row) for row in history[::-1][: settings.user_history]]
    return {
        ReasonColumns.LIKES: reasons.likes[0],
        ReasonColumns.DISLIKES: reasons.dislikes[0],
        ReasonColumns.FEATURE: reasons.features[0],
        ReasonColumns.SUPPLIER: STATISTICS,
        ReasonColumns.MODEL: version_of(statistics.terms),
        "evidence": [
            {Columns.ITEM: training.catalogue.ids[row], ReasonColumns.FEATURE: features[row]} for row in recent
        ],
    }


def item_order(training: TrainingData) -> np.ndarray:
    """(n,) int64 rows of items that anything is known of, most training interactions first, ties by item id."""
    return _order(training.catalogue.table[Columns.ITEM], training.popularity, has_text(training.catalogue))


def user_order(training: TrainingData) -> np.ndarray:
    """(n,) int64 rows of users with a training history, longest first, ties by user id."""
    lengths = training.histories.lengths
    return _order(training.user_ids, lengths, pl.Series(lengths > 0))


def _order(ids: pl.Series | list[str], weights: np.ndarray, told: pl.Series) -> np.ndarray:
    keys = pl.DataFrame({"id": ids, "weight": weights, "told": told}).with_row_index("row")
    order = keys.filter("told").sort(["weight", "id"], descending=[True, False])["row"]
    return order.to_numpy().astype(np.int64)


def _tell_of_long_texts(catalogue: Catalogue) -> None:
    """Say how many items have texts that a prompt quotes the beginning of."""
    most = {Columns.TITLE: TITLE_BYTES, **dict.fromkeys(catalogue.attribute_columns, ATTRIBUTE_BYTES)}
    long = catalogue.table.filter(pl.any_horizontal(pl.col(c).str.len_bytes() > n for c, n in most.items())).height
    if long:
        note(
            f"{long:,} of {len(catalogue):,} items have longer texts than a prompt quotes: {TITLE_BYTES} bytes of a title, "
            f"{ATTRIBUTE_BYTES} of any other text"
        )


def has_text(catalogue: Catalogue) -> pl.Series:
    """(I,) bool: whether anything is known of the item but its id; about the rest there is nothing to ask."""
    columns = [Columns.TITLE, *catalogue.attribute_columns]
    told = pl.any_horizontal(pl.col(name).fill_null("").str.contains(r"\S") for name in columns)
    return catalogue.table.select(told.alias("told"))["told"]


SAMPLED = 400
"""Items whose texts tell the catalogue's language."""


def _sample_texts(catalogue: Catalogue) -> list[str]:
    rows = np.unique(np.linspace(0, max(len(catalogue) - 1, 0), SAMPLED).astype(np.int64))
    rows = rows[rows < len(catalogue)]
    table = catalogue.table[rows].drop(Columns.ITEM)
    return [" ".join(text for text in row if text) for row in table.iter_rows()]


def _features_of(training: TrainingData, item_features: pl.DataFrame) -> list[str]:
    if item_features[Columns.ITEM].to_list() != training.catalogue.ids:
        raise IsrfError("the item features belong to another catalogue; run the reasoning of items again")
    return item_features[ReasonColumns.FEATURE].to_list()


def _table(
    id_column: str,
    ids: pl.Series | list[str],
    blocks: Iterable[Reasons],
    asked: _Asked | None,
    settings: ReasoningSettings,
    store: Path,
    version: str,
) -> pl.DataFrame:
    if asked is None:
        return assemble(id_column, ids, blocks, None, version)
    with Replies(len(ids)) as replies:
        endpoint, shared = _ask(asked, settings, store, replies)
        answered = Answered(asked.prompt, endpoint, asked.order, replies, shared)
        return assemble(id_column, ids, blocks, answered, version)


def _ask(asked: _Asked, settings: ReasoningSettings, store: Path, replies: Replies) -> tuple[Endpoint, frozenset[int]]:
    """Ask, and ask once more about items that were given the sentence of many others.

    Returns:
        Who was asked, and the sentences that are still shared by too many items.
    """
    part: Literal["items", "users"] = "items" if asked.kind == "item" else "users"
    budget = parse_budget(settings.budget).share(part) if settings.budget else None
    order = asked.order[: int(budget.amount)] if budget is not None and budget.kind == "rows" else asked.order
    price = price_of(settings)
    gate = gate_of(asked.prompt, asked.texts, settings)
    slots = settings.concurrency if len(order) else 0
    with serving(endpoint_of(settings), settings, slots) as endpoint, open_store(store) as answers:
        asking = Asking(asked.prompt, endpoint, settings, gate, price)
        allowance = Allowance(budget, price, expected=expected_tokens(asked.prompt))
        ask_all(asked.questions(order), len(order), asking, answers, allowance, replies)
        if asked.kind == "user":  # people may well be alike
            return endpoint, frozenset()
        rows, keys = _sentences(order, replies)
        common = shared_sentences(keys)
        again = rows[np.isin(keys, np.array(sorted(common), dtype=keys.dtype))]
        if len(again):
            note(f"{len(again):,} items were given a sentence that many others were given too; asking once more")
            asking = replace(asking, shared=common)
            ask_all(asked.questions(again), len(again), asking, answers, allowance, replies)
            common |= shared_sentences(_sentences(order, replies)[1])
    return endpoint, common


def _sentences(order: np.ndarray, replies: Replies) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int64 rows that have an answer, and (n,) int64 the key of each one's feature."""
    keys, has = np.zeros(len(order), dtype=np.int64), np.zeros(len(order), dtype=bool)
    for n, row in enumerate(order):
        reply = replies.get(int(row))
        if reply is not None and not reply.failed:
            keys[n], has[n] = sentence_key(reply.feature), True
    return order[has], keys[has]
