"""How good the reasons are: who wrote them, what was rejected and why, how long and how alike they are, and examples.

All that a person needs to judge a supplier, as plain values. Reads the finished tables and the training data only: what
was asked, with which prompt and what it cost in money is not known here, nor how any of this is shown.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from isrf.core.config import ReasoningSettings
from isrf.core.errors import IsrfError
from isrf.core.shell import command_line
from isrf.data.dataset import Columns
from isrf.data.training_data import TrainingData
from isrf.reasoning.llm.prompts import FIELDS, Kind
from isrf.reasoning.tables import NO_BUDGET, NO_TEXT, SCHEMA, STATISTICS, UNANSWERED, ReasonColumns
from isrf.report.examples import (
    RECENT,
    TITLE,
    Encode,
    Example,
    Side,
    attributes_of,
    random_examples,
    shortened,
)
from isrf.report.sentences import Sentences, sentences_of

REASONS = 5
"""Reasons of unanswered rows that are told apart; an endpoint may word each failure anew."""

AGAIN = f"`{command_line('isrf', 'reason')}`"


@dataclass(frozen=True)
class Writer:
    """Rows that one supplier, model and prompt wrote.

    Attributes:
        prompt_version: "" for attribute statistics.
        share: of all rows of the kind, 0 to 1.
        interactions: share of training interactions that these items, or users, carry.
        tokens_in, tokens_out, tokens_thinking: what asking about these rows cost, repeats included; of attribute
            statistics what was spent in vain. Out includes thinking.
    """

    supplier: str
    model: str
    prompt_version: str
    rows: int
    share: float
    interactions: float
    tokens_in: int
    tokens_out: int
    tokens_thinking: int


@dataclass(frozen=True)
class Rejection:
    """A fault ("feature: too long"): answers rejected for it, and rows that fell back to attribute statistics with it.

    A sentence that too many items share is found out when all are answered, so it may cost rows without a rejection.
    """

    reason: str
    answers: int
    rows: int


@dataclass(frozen=True)
class Acceptance:
    """What became of the rows that an LLM was asked about; the four outcomes add up to ``asked``.

    Attributes:
        asked: rows that an LLM wrote, that cost tokens, or that were tried.
        first: written by it, no answer rejected.
        second: written by it, after one answer or more was rejected.
        fallen_back: its repeated answer was rejected too, or its sentence is that of many items; attribute statistics
            wrote the row.
        unanswered: the endpoint did not answer; attribute statistics wrote the row, the next run asks again.
        not_asked: rows by why they were not asked about: "budget", "no text".
        rejections: most rejected answers first.
        endpoint: unanswered rows by what the endpoint did, most frequent first.
        tokens_in, tokens_out, tokens_thinking: of all rows asked; out includes thinking.
        tokens_a_row: in and out together, mean over rows asked.
        tokens_in_vain: in and out together, of rows that attribute statistics wrote in the end.
    """

    asked: int
    first: int
    second: int
    fallen_back: int
    unanswered: int
    not_asked: dict[str, int]
    rejections: tuple[Rejection, ...]
    endpoint: dict[str, int]
    tokens_in: int
    tokens_out: int
    tokens_thinking: int
    tokens_a_row: float
    tokens_in_vain: int


@dataclass(frozen=True)
class KindReport:
    """All about the reasons of the items, or of the users.

    Attributes:
        sentences: of LLMs first, then of attribute statistics; only those that wrote anything.
        examples: seeded random rows that an LLM wrote; of attribute statistics where no LLM wrote any.
        searched, searchable: rows among which the nearest were searched, and all that have a feature.
    """

    kind: Kind
    rows: int
    writers: tuple[Writer, ...]
    acceptance: Acceptance
    sentences: tuple[Sentences, ...]
    examples: tuple[Example, ...]
    searched: int
    searchable: int


@dataclass(frozen=True)
class ReasoningReport:
    """The reasons of a workspace, for a person to judge who wrote them."""

    items: KindReport
    users: KindReport
    seed: int

    def document(self) -> dict[str, Any]:
        """The same as dicts, lists, texts and numbers, as JSON holds them."""
        return asdict(self, dict_factory=lambda pairs: {k: list(v) if isinstance(v, tuple) else v for k, v in pairs})


def reasoning_report(
    training: TrainingData,
    items: pl.DataFrame,
    users: pl.DataFrame,
    encode: Encode | None,
    seed: int = 0,
    examples: int = 10,
    settings: ReasoningSettings | None = None,
) -> ReasoningReport:
    """Judge the tables that ``reason_items`` and ``reason_users`` made for the training data.

    Args:
        encode: a sentence encoder; it is given the features of at most ``SEARCHED`` items and as many users. None leaves the
            nearest of each example out.
        seed: of the examples, and of the sample that is searched in a large catalogue.
        examples: most examples of each kind.
        settings: with the word limits that the tables were made under; None = the paper's.

    Raises:
        IsrfError: a table belongs to other training data, or an older version made it.
    """
    limits = settings or ReasoningSettings()
    preference = dict.fromkeys(FIELDS, limits.preference_words)
    catalogue, histories = training.catalogue, training.histories

    def title(row: int) -> str:
        return shortened(catalogue.name_of(row), TITLE)

    def about_user(row: int) -> str:
        newest = histories[row][::-1]
        more = f"; and {len(newest) - RECENT:,} more" if len(newest) > RECENT else ""
        return "; ".join(title(int(item)) for item in newest[:RECENT]) + more

    def user(row: int) -> str:
        return shortened(training.user_ids[row], TITLE)

    def preferring(row: int) -> str:
        return shortened(f"{training.user_ids[row]}: {users[ReasonColumns.FEATURE][row]}", TITLE)

    of_items = Side(
        kind="item",
        table=_checked(items, "items", Columns.ITEM, catalogue.ids),
        ids=catalogue.ids,
        carried=training.popularity.astype(np.float64),
        limits=preference | {"feature": limits.feature_words},
        title=title,
        about=lambda row: attributes_of(catalogue, row),
        neighbour=title,
    )
    of_users = Side(
        kind="user",
        table=_checked(users, "users", Columns.USER, training.user_ids),
        ids=training.user_ids,
        carried=histories.lengths.astype(np.float64),
        limits=preference,
        title=user,
        about=about_user,
        neighbour=preferring,
    )
    return ReasoningReport(_judged(of_items, encode, seed, examples), _judged(of_users, encode, seed, examples), seed)


def _checked(table: pl.DataFrame, name: str, id_column: str, ids: list[str]) -> pl.DataFrame:
    missing = [column for column in (id_column, *SCHEMA) if column not in table.columns]
    if missing:
        raise IsrfError(f"the reasons of {name} lack column {missing[0]!r}: made by another version; run {AGAIN} again")
    if table[id_column].to_list() != ids:
        raise IsrfError(f"the reasons of {name} belong to other data; run {AGAIN} again")
    return table


def _judged(side: Side, encode: Encode | None, seed: int, examples: int) -> KindReport:
    by_statistics = (side.table[ReasonColumns.SUPPLIER] == STATISTICS).to_numpy()
    sentences = [
        sentences_of(side.table.filter(pl.Series(by_statistics == statistics)), side.limits, statistics)
        for statistics in (False, True)
    ]
    shown, searched, searchable = random_examples(side, by_statistics, encode, seed, examples)
    return KindReport(
        kind=side.kind,
        rows=side.table.height,
        writers=_writers(side),
        acceptance=_acceptance(side.table, by_statistics),
        sentences=tuple(found for found in sentences if found.rows),
        examples=shown,
        searched=searched,
        searchable=searchable,
    )


def _writers(side: Side) -> tuple[Writer, ...]:
    """Who wrote how many rows, most training interactions first."""
    who = (ReasonColumns.SUPPLIER, ReasonColumns.MODEL, ReasonColumns.PROMPT_VERSION)
    counted = (ReasonColumns.TOKENS_IN, ReasonColumns.TOKENS_OUT, ReasonColumns.TOKENS_THINKING)
    found = (
        side.table.with_columns(pl.Series("carried", side.carried))
        .group_by(who)
        .agg(pl.len().alias("rows"), pl.col("carried").sum(), *(pl.col(name).sum() for name in counted))
        .sort(["carried", "rows", *who], descending=[True, True, False, False, False])
    )
    everything, all_rows = max(float(side.carried.sum()), 1.0), max(side.table.height, 1)
    return tuple(
        Writer(
            supplier=row[ReasonColumns.SUPPLIER],
            model=row[ReasonColumns.MODEL],
            prompt_version=row[ReasonColumns.PROMPT_VERSION],
            rows=row["rows"],
            share=row["rows"] / all_rows,
            interactions=row["carried"] / everything,
            tokens_in=row[ReasonColumns.TOKENS_IN],
            tokens_out=row[ReasonColumns.TOKENS_OUT],
            tokens_thinking=row[ReasonColumns.TOKENS_THINKING],
        )
        for row in found.iter_rows(named=True)
    )


def _acceptance(table: pl.DataFrame, by_statistics: np.ndarray) -> Acceptance:
    fallback, faults = table[ReasonColumns.FALLBACK], table[ReasonColumns.FAULTS]
    not_asked = fallback.is_in([NO_BUDGET, NO_TEXT])
    tokens = [table[c] for c in (ReasonColumns.TOKENS_IN, ReasonColumns.TOKENS_OUT, ReasonColumns.TOKENS_THINKING)]
    # an endpoint may not count tokens, so that who wrote the row tells it too
    asked = ~not_asked & ((tokens[0] + tokens[1] > 0) | (fallback != "") | pl.Series(~by_statistics))
    written, unanswered = asked & (fallback == ""), fallback.str.starts_with(UNANSWERED)
    fallen_back = asked & (fallback != "") & ~unanswered
    rejected = Counter(faults.filter(faults != "").str.split("; ").explode().to_list())
    lost = Counter(fallback.filter(fallen_back).to_list())
    reasons = sorted(rejected | lost, key=lambda reason: (-rejected[reason], -lost[reason], reason))
    endpoint = Counter(fallback.filter(unanswered).str.strip_prefix(UNANSWERED).to_list())
    frequent = dict(sorted(endpoint.items(), key=lambda pair: (-pair[1], pair[0]))[:REASONS])
    if others := endpoint.total() - sum(frequent.values()):
        frequent["other reasons"] = others
    rows = int(asked.sum())
    spent = [int(column.filter(asked).sum()) for column in tokens]
    return Acceptance(
        asked=rows,
        first=int((written & (faults == "")).sum()),
        second=int((written & (faults != "")).sum()),
        fallen_back=int(fallen_back.sum()),
        unanswered=int(unanswered.sum()),
        not_asked={why: count for why in (NO_BUDGET, NO_TEXT) if (count := int((fallback == why).sum()))},
        rejections=tuple(Rejection(reason, rejected[reason], lost[reason]) for reason in reasons),
        endpoint=frequent,
        tokens_in=spent[0],
        tokens_out=spent[1],
        tokens_thinking=spent[2],
        tokens_a_row=(spent[0] + spent[1]) / max(rows, 1),
        tokens_in_vain=int((tokens[0] + tokens[1]).filter(asked & ~written).sum()),
    )
