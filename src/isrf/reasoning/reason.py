"""The front door: explicit reasons for every item and every user (steps 1 and 2 of the method), as tables.

Only ``TrainingData`` enters, so no held-out interaction can reach a prompt or a count. Knows nothing about what the
texts are used for afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from isrf.config import ReasoningSettings
from isrf.data.dataset import Columns
from isrf.data.split import Histories, TrainingData
from isrf.errors import IsrfError
from isrf.progress import note
from isrf.reasoning.attributes import AttributeStatistics, Reasons
from isrf.reasoning.budget import Budget, parse_budget
from isrf.reasoning.endpoint import Endpoint, Reply, ask_all
from isrf.reasoning.local import gguf_of, identity_of, local_server
from isrf.reasoning.prompts import Kind, Question, item_question, prompt_of, user_question
from isrf.reasoning.store import open_store


class ReasonColumns:
    """Columns of the tables made here, beside ``Columns.ITEM`` or ``Columns.USER``."""

    LIKES = "likes"
    DISLIKES = "dislikes"
    FEATURE = "feature"
    SUPPLIER = "supplier"  # attributes, local or openai: who wrote this very row
    MODEL = "model"
    PROMPT_VERSION = "prompt_version"
    TOKENS_IN = "tokens_in"
    TOKENS_OUT = "tokens_out"


STATISTICS = "attributes"
STATISTICS_VERSION = "lift-1"
"""Recorded as ``model`` of rows from attribute statistics; changes when the same log would give other sentences."""

SCHEMA = {
    ReasonColumns.LIKES: pl.String,
    ReasonColumns.DISLIKES: pl.String,
    ReasonColumns.FEATURE: pl.String,
    ReasonColumns.SUPPLIER: pl.String,
    ReasonColumns.MODEL: pl.String,
    ReasonColumns.PROMPT_VERSION: pl.String,
    ReasonColumns.TOKENS_IN: pl.Int64,
    ReasonColumns.TOKENS_OUT: pl.Int64,
}


def reason_items(training: TrainingData, settings: ReasoningSettings, store: Path) -> pl.DataFrame:
    """Who would enjoy each item, who would dislike it, and its concise feature (paper, step 1).

    An LLM supplier reasons about items in the order of training interactions they carry, ties by item id, until its
    budget is spent; the rest, and answers that are not usable, come from attribute statistics, and their row says so.

    Args:
        training: catalogue and training histories.
        settings: supplier, budget, limits.
        store: SQLite file of answers, made where absent; attribute statistics do not touch it.

    Returns:
        One row an item, in item-row order: ITEM, likes, dislikes, feature, supplier, model, prompt_version,
        tokens_in, tokens_out.

    Raises:
        IsrfError: see ``endpoint.ask_all``, ``store.open_store``, ``budget.parse_budget``.
    """
    check_settings(settings)
    reasons = AttributeStatistics.fit(training, settings).items()
    ids = training.catalogue.ids
    texts = training.catalogue.texts
    with_text = [row for row in range(len(ids)) if texts[row]]  # about an item without any there is nothing to ask
    order = sorted(with_text, key=lambda row: (-training.popularity[row], ids[row]))

    def ask(row: int) -> Question:
        return item_question(training.catalogue, row, settings)

    return _table(Columns.ITEM, ids, reasons, "item", order, ask, settings, store)


def reason_users(
    training: TrainingData, item_features: pl.DataFrame, settings: ReasoningSettings, store: Path
) -> pl.DataFrame:
    """Likes, dislikes and core preference of each user from the most recent K training items (paper, step 2).

    An LLM supplier reasons about users in the order of their training interactions, most first, ties by user id.

    Args:
        training: catalogue and training histories.
        item_features: the table that ``reason_items`` made for the same catalogue.
        settings, store: as in ``reason_items``.

    Returns:
        One row a user, in user-row order: USER, then the columns of ``reason_items``.

    Raises:
        IsrfError: as ``reason_items``, and for item features of another catalogue.
    """
    check_settings(settings)
    features = _features_of(training, item_features)
    reasons = AttributeStatistics.fit(training, settings).users(training.histories)
    lengths, ids = training.histories.lengths, training.user_ids
    order = [row for row in sorted(range(len(ids)), key=lambda row: (-lengths[row], ids[row])) if lengths[row]]

    def ask(row: int) -> Question:
        return user_question(training.catalogue, row, training.histories[row], features, settings)

    return _table(Columns.USER, ids, reasons, "user", order, ask, settings, store)


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
    reasons = AttributeStatistics.fit(training, settings).users(Histories.of([history]))
    recent = [int(row) for row in history[::-1][: settings.user_history]]
    return {
        ReasonColumns.LIKES: reasons.likes[0],
        ReasonColumns.DISLIKES: reasons.dislikes[0],
        ReasonColumns.FEATURE: reasons.features[0],
        ReasonColumns.SUPPLIER: STATISTICS,
        ReasonColumns.MODEL: STATISTICS_VERSION,
        "evidence": [
            {Columns.ITEM: training.catalogue.ids[row], ReasonColumns.FEATURE: features[row]} for row in recent
        ],
    }


def coverage(training: TrainingData, item_features: pl.DataFrame) -> dict[str, float]:
    """Share of training interactions whose item was reasoned by each supplier, largest first; printed as a note."""
    total = max(float(training.popularity.sum()), 1.0)
    suppliers = item_features[ReasonColumns.SUPPLIER].to_numpy()
    shares = {name: float(training.popularity[suppliers == name].sum()) / total for name in sorted(set(suppliers))}
    shares = dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))
    counts = {name: int((suppliers == name).sum()) for name in shares}
    told = ", ".join(f"{name} {share:.1%} ({counts[name]} items)" for name, share in shares.items())
    note(f"training interactions whose item was reasoned by: {told}")
    return shares


def check_settings(settings: ReasoningSettings) -> None:
    """Conflicts are found before any work, not after minutes of it. Raises IsrfError."""
    if settings.budget is not None:
        parse_budget(settings.budget)
    if settings.supplier == "openai" and not settings.model:
        raise IsrfError("reasoning.supplier=openai needs reasoning.model, the model's name at the endpoint")


def _features_of(training: TrainingData, item_features: pl.DataFrame) -> list[str]:
    if item_features[Columns.ITEM].to_list() != training.catalogue.ids:
        raise IsrfError("the item features belong to another catalogue; run the reasoning of items again")
    return item_features[ReasonColumns.FEATURE].to_list()


def _table(
    id_column: str,
    ids: list[str],
    reasons: Reasons,
    kind: Kind,
    order: list[int],
    ask: Callable[[int], Question],
    settings: ReasoningSettings,
    store: Path,
) -> pl.DataFrame:
    """Attribute statistics for every row, then an LLM's replies over them where it gave some."""
    rows: list[tuple[str, str, str, str, str, str, int, int]] = [
        (likes, dislikes, feature, STATISTICS, STATISTICS_VERSION, "", 0, 0)
        for likes, dislikes, feature in zip(reasons.likes, reasons.dislikes, reasons.features, strict=True)
    ]
    if settings.supplier != STATISTICS:
        replies, endpoint, version = _replies(kind, order, ask, settings, store)
        for row, reply in replies.items():
            if not reply.failed:
                texts = (reply.likes, reply.dislikes, reply.feature)
                who = (endpoint.supplier, endpoint.model, version)
                rows[row] = (*texts, *who, reply.tokens_in, reply.tokens_out)
            else:  # what was spent in vain is still on record
                rows[row] = (*rows[row][:6], reply.tokens_in, reply.tokens_out)
        failed = sum(reply.failed for reply in replies.values())
        note(
            f"{endpoint.model} reasoned about {len(replies) - failed} of {len(ids)} {kind}s, attribute statistics "
            + f"about the rest{f', {failed} of them because the answer was not usable' if failed else ''}"
        )
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return table.insert_column(0, pl.Series(id_column, ids, dtype=pl.String))


def _replies(
    kind: Kind, order: list[int], ask: Callable[[int], Question], settings: ReasoningSettings, store: Path
) -> tuple[dict[int, Reply], Endpoint, str]:
    part: Literal["items", "users"] = "items" if kind == "item" else "users"
    budget: Budget | None = parse_budget(settings.budget).share(part) if settings.budget else None
    if budget is not None and budget.kind == "rows":
        order = order[: int(budget.amount)]
    prompt = prompt_of(kind, settings)
    with _endpoint(settings, serve=bool(order)) as endpoint, open_store(store) as answers:
        replies = ask_all([ask(row) for row in order], prompt, endpoint, settings, answers, budget)
    return replies, endpoint, prompt.version


@contextmanager
def _endpoint(settings: ReasoningSettings, serve: bool) -> Iterator[Endpoint]:
    """Who is asked; the local supplier's server runs for as long as the block, and only if there is anything to ask."""
    if settings.supplier == "openai":
        assert settings.model is not None  # check_settings
        yield Endpoint("openai", settings.base_url, settings.model, settings.model)
        return
    gguf = gguf_of(settings)
    if not serve:
        yield Endpoint("local", None, gguf.stem, identity_of(gguf))
        return
    with local_server(gguf, settings.concurrency) as base_url:
        yield Endpoint("local", base_url, gguf.stem, identity_of(gguf))
